//! Each operation leaves its event, with who, whom, from where, and in which request (SR-80).

use doorward::audit::Event;
use rocket::http::Method;
use serde_json::{Value, json};

use super::{events, events_since};
use crate::app::*;
use crate::on_every_backend;

const NEW: &str = "another tower of nougat";

/// What one request records, as `(kind, result, actor, subject)`; each with the client's address and
/// the request's name.
struct Said(Vec<Event>);

impl Said {
    #[track_caller]
    fn of(events: Vec<Event>, answer: &Answer) -> Self {
        for event in &events {
            assert_eq!(event.ip.as_deref(), Some("203.0.113.7"), "{event:?}");
            assert_eq!(event.request_id.as_deref(), answer.header("X-Request-Id"), "{event:?}");
        }
        Self(events)
    }

    #[track_caller]
    fn is(&self, expected: &[(&str, &str, Option<&str>, Option<&str>)]) {
        let found = self.0.iter().map(|e| {
            (e.kind.as_str(), e.result.as_str(), e.actor.as_deref(), e.subject.as_deref())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

/// Sends a request and gives the answer with what it recorded.
macro_rules! recorded {
    ($app:expr, $request:expr) => {{
        let before = events(&$app).await.len();
        let answer: Answer = $request.await;
        let said = Said::of(events_since(&$app, before).await, &answer);
        (answer, said)
    }};
}

on_every_backend! {
    async fn sr_80_what_the_server_does_is_recorded(app: TestApp) {
        let said = events(&app).await;
        let said = said.iter().map(|e| (e.kind.as_str(), e.actor.as_deref(), e.detail.as_deref()));
        let mut said: Vec<_> = said.collect();
        said.sort_unstable();
        let version = concat!("doorward ", env!("CARGO_PKG_VERSION"));
        assert_eq!(said, [
            ("authn_token_created", Some("server"), Some("set-up link")),
            ("sys_startup", Some("server"), Some(version)),
        ]);
    }

    async fn sr_80_what_people_do_is_recorded(app: TestApp) {
        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        let (answer, said) =
            recorded!(app, app.call(Method::Post, "/api/v1/auth/register", body));
        let id = answer.expect(201).json()["user"]["id"].as_str().expect("an id").to_owned();
        let me = Some(id.as_str());
        said.is(&[("user_created", "success", me, me), ("session_created", "success", me, me)]);

        let visitor = app.stranger();
        let (answer, said) = recorded!(app, visitor.log_in_with("ada@example.org", "wrong"));
        answer.expect(401);
        said.is(&[("authn_login_fail", "failure", None, me)]);
        let (answer, said) = recorded!(app, visitor.log_in_with("eve@example.org", "wrong"));
        answer.expect(401);
        said.is(&[("authn_login_fail", "failure", None, None)]);
        let (answer, said) = recorded!(app, visitor.log_in_with("ada@example.org", PASSWORD));
        answer.expect(200);
        said.is(&[
            ("session_created", "success", me, me),
            ("authn_login_success", "success", me, me),
        ]);

        let body = json!({ "display_name": "Ada" });
        let (_, said) = recorded!(app, app.call(Method::Patch, "/api/v1/me", body));
        said.is(&[("user_updated", "success", me, me)]);
        let others = "/api/v1/me/sessions?others=true";
        let (_, said) = recorded!(app, app.call(Method::Delete, others, Value::Null));
        said.is(&[("session_ended", "success", me, me)]);

        let body = json!({ "current_password": "wrong", "new_password": NEW });
        let (_, said) = recorded!(app, app.call(Method::Put, "/api/v1/me/password", body));
        said.is(&[("authn_password_change_fail", "failure", me, me)]);
        let body = json!({ "current_password": PASSWORD, "new_password": NEW });
        let (_, said) = recorded!(app, app.call(Method::Put, "/api/v1/me/password", body));
        said.is(&[("authn_password_change", "success", me, me)]);

        let copy = app.copy();
        let logout = app.call(Method::Post, "/api/v1/auth/logout", Value::Null);
        let (_, said) = recorded!(app, logout);
        said.is(&[("session_ended", "success", me, me)]);
        let again = copy.call(Method::Post, "/api/v1/auth/logout", Value::Null);
        let (_, said) = recorded!(app, again);
        said.is(&[]);

        app.log_in_with("ada@example.org", NEW).await.expect(200);
        let body = json!({ "password": NEW });
        let (answer, said) = recorded!(app, app.call(Method::Delete, "/api/v1/me", body));
        answer.expect(204);
        said.is(&[("user_deleted", "success", me, me)]);
        assert!(app.audit().await.verify(None).await.expect("it answers").broken.is_none());
    }

    async fn sr_80_what_administrators_do_is_recorded(app: TestApp) {
        let admin = app.signed_in("root@example.org", &["admin"]).await;
        let (answer, _) = recorded!(app, admin.get("/api/v1/me"));
        let root = answer.json()["user"]["id"].as_str().expect("an id").to_owned();
        let actor = Some(root.as_str());

        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        let (answer, said) = recorded!(app, admin.call(Method::Post, "/api/v1/admin/users", body));
        let id = answer.expect(201).json()["user"]["id"].as_str().expect("an id").to_owned();
        let ada = Some(id.as_str());
        said.is(&[("user_created", "success", actor, ada)]);
        assert_eq!(said.0[0].detail.as_deref(), Some("roles: user"));

        let path = format!("/api/v1/admin/users/{id}");
        let roles = format!("{path}/roles");
        let (_, said) =
            recorded!(app, admin.call(Method::Put, &roles, json!({ "roles": ["admin"] })));
        said.is(&[("authz_change", "success", actor, ada)]);
        assert_eq!(said.0[0].detail.as_deref(), Some("roles: admin; before: user"));
        for (status, kind) in [("disabled", "user_disabled"), ("active", "user_enabled")] {
            let body = json!({ "status": status });
            let (_, said) = recorded!(app, admin.call(Method::Patch, &path, body));
            said.is(&[(kind, "success", actor, ada)]);
        }
        let sessions = format!("{path}/sessions");
        let (_, said) = recorded!(app, admin.call(Method::Delete, &sessions, Value::Null));
        said.is(&[("session_ended", "success", actor, ada)]);
        let (_, said) = recorded!(app, admin.call(Method::Delete, &path, Value::Null));
        said.is(&[("user_deleted", "success", actor, ada)]);
    }

    async fn sr_80_what_is_refused_is_recorded(app: TestApp) {
        let id = app.create("ada@example.org", &["user"]).await;
        let me = Some(id.as_str());
        app.log_in("ada@example.org").await;

        let (answer, said) = recorded!(app, app.get("/api/v1/admin/users?q=secret"));
        answer.expect_problem(403, "permission_denied");
        said.is(&[("authz_fail", "failure", me, None)]);
        assert_eq!(said.0[0].detail.as_deref(), Some("GET /api/v1/admin/users"));
        let (_, said) = recorded!(app, app.get("/admin/users"));
        said.is(&[("authz_fail", "failure", me, None)]);

        let foreign = app.ask(Method::Patch, "/api/v1/me").header("Sec-Fetch-Site", "cross-site");
        let foreign = foreign.json(&json!({ "display_name": "Eve" }));
        let (answer, said) = recorded!(app, foreign.send());
        answer.expect_problem(403, "csrf_refused");
        said.is(&[("malicious_csrf", "failure", None, None)]);
        let form = app.ask(Method::Post, "/profile").header("Sec-Fetch-Site", "same-origin");
        let form = form.form(&[("display_name", "Eve"), ("csrf_token", "made up")]);
        let (answer, said) = recorded!(app, form.send());
        answer.expect(403);
        said.is(&[]);

        let body = json!({ "display_name": "Ada", "roles": ["admin"] });
        let (_, said) = recorded!(app, app.call(Method::Patch, "/api/v1/me", body));
        said.is(&[("input_validation_fail", "failure", me, None)]);
        let (_, said) = recorded!(app, app.get("/api/v1/me"));
        said.is(&[]);
    }

    async fn sr_36_reuse_is_recorded_and_the_owner_told(app: TestApp) {
        let id = app.create("ada@example.org", &["user"]).await;
        app.log_in("ada@example.org").await;
        let thief = app.copy().at("198.51.100.66");
        app.later(minutes(1));
        app.refresh().await.expect(200);
        app.get("/api/v1/me").await.expect(200);
        app.later(minutes(1));

        let before = events(&app).await.len();
        thief.refresh().await.expect_problem(401, "refresh_reused");
        let said = events_since(&app, before).await;
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].kind, "authn_token_reuse");
        assert_eq!(said[0].subject.as_deref(), Some(id.as_str()));
        assert_eq!(said[0].ip.as_deref(), Some("198.51.100.66"));

        app.log_in("ada@example.org").await;
        for page in ["/profile", "/profile/sessions", "/profile"] {
            let html = app.get(page).await.expect(200).text();
            assert!(html.contains("used from two places at once"), "{page}");
            assert!(html.contains("198.51.100.66"), "{page}");
        }
    }

    async fn the_audit_log_is_listed_and_filtered(app: TestApp) {
        let ada = app.create("ada@example.org", &["user"]).await;
        for password in ["one", "two", "three"] {
            app.stranger().log_in_with("ada@example.org", password).await.expect(401);
            app.later(hours(1));
        }
        let admin = app.signed_in("root@example.org", &["admin"]).await;
        app.audit().await;

        let path = format!("/api/v1/admin/audit?kind=authn_login_fail&subject={ada}&limit=2");
        let page = admin.get(&path).await.expect(200).json();
        assert_eq!(page["items"].as_array().map(Vec::len), Some(2));
        let first = &page["items"][0];
        let names: Vec<&str> = first.as_object().expect("an object").keys().map(String::as_str).collect();
        let fields =
            ["id", "at", "kind", "actor", "subject", "ip", "result", "request_id", "detail"];
        assert_eq!(names, fields);
        assert_eq!(first["at"], (START + hours(2)).to_string());
        let cursor = page["next_cursor"].as_str().expect("a third").to_owned();
        let rest = admin.get(&format!("{path}&cursor={cursor}")).await.expect(200).json();
        assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(rest["next_cursor"], Value::Null);

        let from = (START + hours(1)).to_string();
        let path = format!("/api/v1/admin/audit?kind=authn_login_fail&from={from}&to={from}");
        assert_eq!(admin.get(&path).await.expect(200).json()["items"], json!([]));
        for wrong in ["kind=x", "from=yesterday", "limit=0", "limit=201", "cursor=x"] {
            let path = format!("/api/v1/admin/audit?{wrong}");
            admin.get(&path).await.expect_problem(422, "validation_failed");
        }
        let html = admin.get(&format!("/admin/audit?subject={ada}")).await.expect(200).text();
        assert!(html.contains("authn_login_fail") && html.contains(&ada));
        let html = admin.get("/admin/audit?subject=ada@example.org&kind=authn_login_fail").await;
        assert!(html.expect(200).text().contains("3 events on this page"));
        let html = admin.get("/admin/audit?subject=nobody@example.org").await.expect(200).text();
        assert!(html.contains("No event matches."));

        let stats = admin.get("/api/v1/admin/stats?bucket=hour").await.expect(200).json();
        let hours = stats["items"].as_array().expect("items");
        assert_eq!(hours.len(), 24);
        let sum = |name: &str| hours.iter().filter_map(|hour| hour[name].as_u64()).sum::<u64>();
        assert_eq!((sum("login_success"), sum("login_fail")), (1, 3));
        let days = admin.get("/api/v1/admin/stats?bucket=day").await.expect(200).json();
        assert_eq!(days["items"].as_array().map(Vec::len), Some(30));
        admin.get("/api/v1/admin/stats?bucket=week").await.expect(422);
        let html = admin.get("/admin").await.expect(200).text();
        assert!(html.contains("<svg class=\"chart\"") && html.contains("1 successful, 3 refused"));
    }

    async fn the_audit_log_is_for_those_who_may_read_it(app: TestApp) {
        let user = app.signed_in("ada@example.org", &["user"]).await;
        for path in ["/api/v1/admin/audit", "/api/v1/admin/stats"] {
            user.get(path).await.expect_problem(403, "permission_denied");
            app.stranger().get(path).await.expect_problem(401, "not_signed_in");
        }
        user.get("/admin/audit").await.expect(403);
    }
}
