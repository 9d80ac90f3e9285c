//! `/api/v1/admin`: everybody's accounts and sessions.

use doorward::role::Permission;
use rocket::http::Method::{Delete, Get, Patch, Post, Put};
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

const USERS: &str = "/api/v1/admin/users";

/// The addresses on a page of accounts.
fn emails(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let items = body["items"].as_array().expect("items");
    items.iter().map(|user| user["email"].as_str().expect("an address").to_owned()).collect()
}

/// The address of an account.
fn user(id: &str) -> String {
    format!("{USERS}/{id}")
}

on_every_backend! {
    async fn accounts_are_made_read_changed_and_deleted(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let body = json!({
            "email": "ada@example.org", "password": PASSWORD, "display_name": "Ada", "roles": ["user"],
        });
        let made = root.call(Post, USERS, body.clone()).await.expect(201);
        assert_fields(&made.json(), "user");
        assert_fields(&made.json()["user"], USER);
        assert_eq!(made.json()["user"]["last_login_at"], Value::Null);
        let id = made.json()["user"]["id"].as_str().unwrap().to_owned();
        assert_eq!(made.header("Location"), Some(user(&id).as_str()));
        assert_eq!(root.get(&user(&id)).await.expect(200).json(), made.json());
        root.call(Post, USERS, body).await.expect_problem(409, "conflict");

        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        let own = json!({ "current_password": PASSWORD, "new_password": "another tower of nougat" });
        ada.call(Put, "/api/v1/me/password", own).await.expect(204);
        let renamed = root.call(Patch, &user(&id), json!({ "display_name": "Countess" })).await;
        assert_eq!(renamed.expect(200).json()["user"]["display_name"], "Countess");
        assert_eq!(ada.me().await.expect(200).json()["user"]["display_name"], "Countess");
        root.call(Patch, &user(&id), json!({})).await.expect(200);

        root.call(Delete, &user(&id), Value::Null).await.expect(204);
        ada.me().await.expect_problem(401, "session_ended");
        ada.refresh().await.expect_problem(401, "session_ended");
        root.get(&user(&id)).await.expect_problem(404, "not_found");
        root.call(Delete, &user(&id), Value::Null).await.expect_problem(404, "not_found");
        root.call(Patch, &user(&id), json!({ "display_name": "x" })).await
            .expect_problem(404, "not_found");
        root.call(Put, &format!("{}/roles", user(&id)), json!({ "roles": ["user"] })).await
            .expect_problem(404, "not_found");
        root.get(&format!("{}/sessions", user(&id))).await.expect_problem(404, "not_found");
        root.call(Delete, &format!("{}/sessions", user(&id)), Value::Null).await
            .expect_problem(404, "not_found");
    }

    async fn an_address_is_changed_for_its_owner_who_is_told_and_stays_signed_in(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        app.create("bob@example.org", &["user"]).await;
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        for taken in ["bob@example.org", "BOB@Example.org"] {
            let body = json!({ "email": taken, "display_name": "Ada", "status": "disabled" });
            root.call(Patch, &user(&id), body).await.expect_problem(409, "conflict");
        }
        let before = root.get(&user(&id)).await.json();
        assert_eq!(before["user"]["email"], "ada@example.org");
        assert_eq!((&before["user"]["status"], &before["user"]["display_name"]), (&json!("active"), &json!("")));

        let body = json!({ "email": " Ada@B\u{fc}cher.example" });
        let changed = root.call(Patch, &user(&id), body).await.expect(200).json();
        let new = "Ada@xn--bcher-kva.example";
        assert_eq!(changed["user"]["email"], new);
        assert_eq!(ada.me().await.expect(200).json()["user"]["email"], new);
        ada.get("/profile").await.expect(200).says("Your e-mail address was changed");
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect(401);
        app.stranger().log_in(new).await;
        assert_eq!(emails(&root.get(&format!("{USERS}?q=b%C3%BCcher")).await), [new]);
        assert_eq!(emails(&root.get(&format!("{USERS}?q=ada@example.org")).await), [""; 0]);
        // The old address is free, and the same once more changes nothing.
        app.create("ada@example.org", &["user"]).await;
        root.call(Patch, &user(&id), json!({ "email": new })).await.expect(200);

        let filter = format!("/api/v1/admin/audit?kind=user_updated&subject={id}");
        app.audit().await;
        let events = root.get(&filter).await.expect(200).json();
        let details: Vec<_> = events["items"].as_array().unwrap().iter().map(|e| &e["detail"]).collect();
        assert_eq!(details, ["e-mail address"]);
    }

    async fn sr_51_nobody_changes_the_address_of_an_account_that_holds_more(app: TestApp) {
        let id = app.create("root@example.org", &["admin"]).await;
        let root = app.stranger();
        root.log_in("root@example.org").await;
        let role = json!({ "name": "helpdesk", "description": "", "permissions": ["users:read", "users:write"] });
        root.call(Post, "/api/v1/admin/roles", role).await.expect(201);
        let helper = app.signed_in("helper@example.org", &["helpdesk"]).await;
        let body = json!({ "email": "helper2@example.org" });
        helper.call(Patch, &user(&id), body).await.expect_problem(403, "permission_denied");
        assert_eq!(root.me().await.expect(200).json()["user"]["email"], "root@example.org");
    }

    async fn sr_35_a_disabled_account_is_out_at_the_next_request(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        let answer = root.call(Patch, &user(&id), json!({ "status": "disabled" })).await.expect(200);
        assert_eq!(answer.json()["user"]["status"], "disabled");
        ada.me().await.expect_problem(401, "session_ended");
        ada.refresh().await.expect_problem(401, "session_ended");
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect(401);

        root.call(Patch, &user(&id), json!({ "status": "active" })).await.expect(200);
        // What was ended stays ended (SR-38).
        ada.me().await.expect_problem(401, "session_ended");
        ada.refresh().await.expect_problem(401, "session_ended");
        app.stranger().log_in("ada@example.org").await;
    }

    async fn sr_35_roles_count_from_the_next_request_on(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        ada.get(USERS).await.expect_problem(403, "permission_denied");

        let roles = format!("{}/roles", user(&id));
        let promoted = root.call(Put, &roles, json!({ "roles": ["admin", "user"] })).await;
        assert_eq!(promoted.expect(200).json()["user"]["roles"], json!(["admin", "user"]));
        ada.get(USERS).await.expect(200);
        assert_eq!(ada.me().await.json()["user"]["roles"], json!(["admin", "user"]));

        root.call(Put, &roles, json!({ "roles": [] })).await.expect(200);
        ada.get(USERS).await.expect_problem(403, "permission_denied");
        assert_eq!(ada.me().await.json()["user"]["permissions"], json!([]));
    }

    async fn administrators_see_and_end_anybodys_sessions(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        let (phone, tablet) = (app.stranger(), app.stranger());
        phone.log_in("ada@example.org").await;
        tablet.log_in("ada@example.org").await;
        let path = format!("{}/sessions", user(&id));
        let listed = root.get(&path).await.expect(200).json();
        assert_fields(&listed, "items next_cursor");
        let items = listed["items"].as_array().unwrap();
        assert_eq!(items.len(), 2);
        items.iter().for_each(|session| assert_fields(session, SESSION));
        assert!(items.iter().all(|session| session["current"] == false));

        let ended = root.call(Delete, &path, Value::Null).await.expect(200).json();
        assert_eq!(ended, json!({ "revoked": 2 }));
        phone.me().await.expect_problem(401, "session_ended");
        tablet.refresh().await.expect_problem(401, "session_ended");
        root.me().await.expect(200);
        assert_eq!(root.get(&path).await.json()["items"], json!([]));
    }

    async fn sr_51_nobody_administers_themselves(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        app.create("second@example.org", &["admin"]).await;
        let id = root.me().await.json()["user"]["id"].as_str().unwrap().to_owned();
        let path = user(&id);
        let both = json!({ "display_name": "Half", "status": "disabled" });
        root.call(Patch, &path, both).await.expect_problem(409, "conflict");
        root.call(Delete, &path, Value::Null).await.expect_problem(409, "conflict");
        let roles = format!("{path}/roles");
        root.call(Put, &roles, json!({ "roles": ["user"] })).await.expect_problem(409, "conflict");
        let me = root.me().await.expect(200).json();
        assert_eq!(me["user"]["roles"], json!(["admin"]));
        assert_eq!(me["user"]["display_name"], "", "a refused change leaves everything as it was");
    }

    async fn sr_51_two_administrators_cannot_remove_each_other(app: TestApp) {
        let one = app.signed_in("one@example.org", &["admin"]).await;
        let two = app.signed_in("two@example.org", &["admin"]).await;
        let id = |answer: Answer| answer.json()["user"]["id"].as_str().unwrap().to_owned();
        let (one_id, two_id) = (id(one.me().await), id(two.me().await));
        let (one_path, two_path) = (user(&one_id), user(&two_id));
        let off = json!({ "status": "disabled" });
        let (a, b) = rocket::tokio::join!(
            one.call(Patch, &two_path, off.clone()),
            two.call(Patch, &one_path, off.clone()),
        );
        let mut answers = [a.status.code, b.status.code];
        answers.sort_unstable();
        assert!(matches!(answers, [200, 401 | 409]), "{answers:?}");
        let left = [one.me().await.status.code, two.me().await.status.code];
        assert!(left.contains(&200), "{left:?}");
    }

    async fn sr_33_a_promotion_shortens_the_sessions_that_are_there(app: TestApp) {
        let id = app.create("ada@example.org", &["user"]).await;
        app.create("root@example.org", &["admin"]).await;
        let remembered = json!({ "email": "ada@example.org", "password": PASSWORD, "remember": true });
        let (idle, busy) = (app.stranger(), app.stranger());
        idle.call(Post, "/api/v1/auth/login", remembered.clone()).await.expect(200);
        busy.call(Post, "/api/v1/auth/login", remembered).await.expect(200);
        let root = app.stranger();
        root.log_in("root@example.org").await;
        let roles = json!({ "roles": ["admin"] });
        root.call(Put, &format!("{}/roles", user(&id)), roles).await.expect(200);
        for _ in 0..28 {
            app.later(minutes(25));
            busy.refresh().await.expect(200);
        }
        idle.me().await.expect_problem(401, "session_ended");
        app.later(minutes(19));
        busy.me().await.expect(200);
        app.later(minutes(2));
        busy.me().await.expect_problem(401, "session_ended");
        busy.refresh().await.expect_problem(401, "session_ended");
    }

    async fn sr_54_a_list_is_walked_page_by_page(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        for n in 0..6 {
            // Two accounts share each moment.
            if n % 2 == 0 {
                app.later(seconds(1));
            }
            app.create(&format!("user{n}@example.org"), &["user"]).await;
        }
        let (mut seen, mut path, mut pages) = (Vec::new(), format!("{USERS}?limit=3"), 0);
        loop {
            let page = root.get(&path).await.expect(200);
            seen.extend(emails(&page));
            pages += 1;
            let body = page.json();
            let Some(cursor) = body["next_cursor"].as_str() else { break };
            path = format!("{USERS}?limit=3&cursor={cursor}");
        }
        assert_eq!(pages, 3);
        assert_eq!(seen.len(), 7);
        assert_eq!(seen.last().map(String::as_str), Some("root@example.org"));
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), 7, "{seen:?}");
    }

    async fn sr_63_a_search_takes_every_character_for_itself(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        for email in ["under_score@example.org", "underXscore@example.org", "per%cent@example.org"] {
            app.create(email, &["user"]).await;
        }
        let search = async |q: &str| {
            let mut found = emails(&root.get(&format!("{USERS}?q={q}")).await.expect(200));
            found.sort();
            found
        };
        assert_eq!(search("UNDER_").await, ["under_score@example.org"]);
        assert_eq!(search("%25").await, ["per%cent@example.org"]);
        assert_eq!(search("%25_%25").await, [""; 0]);
        assert_eq!(search("%5C").await, [""; 0]);
        assert_eq!(search("%27%20OR%201=1--").await, [""; 0]);
        assert_eq!(search("").await.len(), 4);
        let nul = root.get(&format!("{USERS}?q=%00")).await;
        assert!(nul.status.code < 500, "{}", nul.text());
        let bytes = root.get(&format!("{USERS}?q=%ff%fe")).await;
        assert!(bytes.status.code < 500, "{}", bytes.text());
    }

    async fn a_list_is_filtered_by_role_and_state(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        app.create("bob@example.org", &["user"]).await;
        root.call(Patch, &user(&id), json!({ "status": "disabled" })).await.expect(200);
        let list = async |query: &str| {
            let mut found = emails(&root.get(&format!("{USERS}?{query}")).await.expect(200));
            found.sort();
            found
        };
        assert_eq!(list("role=admin").await, ["root@example.org"]);
        assert_eq!(list("role=user").await, ["ada@example.org", "bob@example.org"]);
        assert_eq!(list("status=disabled").await, ["ada@example.org"]);
        assert_eq!(list("role=user&status=active&q=BOB").await, ["bob@example.org"]);
        let refused = root.get(&format!("{USERS}?role=nobody")).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), ["role: unknown_role"]);
    }
}

#[rocket::async_test]
async fn sr_54_pages_are_bounded() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let ask = async |query: &str| root.get(&format!("{USERS}?{query}")).await;
    for limit in ["0", "-1", "201", "99999999999999999999", "", "ten", "1.5", "0x10"] {
        let refused = ask(&format!("limit={limit}")).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), ["limit: out_of_range"], "{limit}");
    }
    for limit in ["1", "50", "200"] {
        ask(&format!("limit={limit}")).await.expect(200);
    }
    for cursor in ["garbage", "", "MTIz", "OmFiYw", "%00", "../../etc/passwd", "LTE6eHg"] {
        let refused = ask(&format!("cursor={cursor}")).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), ["cursor: invalid_cursor"], "{cursor}");
    }
    for (query, faults) in [
        ("role=NoRole!", &["role: unknown_role"][..]),
        ("status=sleeping", &["status: unknown_status"]),
        (
            "status=sleeping&role=nope&limit=0",
            &["role: unknown_role", "status: unknown_status", "limit: out_of_range"],
        ),
        ("statsu=disabled", &["statsu: unknown_field"]),
        ("q=a&Q=b", &["Q: unknown_field"]),
    ] {
        let refused = ask(query).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), faults, "{query}");
    }
}

#[rocket::async_test]
async fn a_parameter_that_nobody_knows_narrows_nothing_and_is_refused() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    app.audit().await;
    for path in [
        "/api/v1/admin/audit?form=2026-01-01",
        "/api/v1/admin/audit/export?format=csv&knd=user_created",
        "/api/v1/admin/stats?buket=day",
        "/api/v1/admin/sessions?usr=ada@example.org",
    ] {
        let refused = root.get(path).await.expect_problem(422, "validation_failed");
        assert!(refused.faults()[0].ends_with(": unknown_field"), "{path}: {:?}", refused.faults());
    }
    let mine = "/api/v1/me/sessions?other=true";
    root.call(Delete, mine, Value::Null).await.expect_problem(422, "validation_failed");
    let many = "/api/v1/admin/sessions?ip=0.0.0.0/0&usr=ada";
    root.call(Delete, many, Value::Null).await.expect_problem(422, "validation_failed");
    root.me().await.expect(200);
    // Where nothing is asked for, nothing is misunderstood.
    root.get("/api/v1/me?x=1").await.expect(200);
}

#[rocket::async_test]
async fn a_time_is_a_moment_or_a_day_and_a_bare_plus_is_explained() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    app.audit().await;
    let list = "/api/v1/admin/audit";
    let count = async |query: &str| {
        let body = root.get(&format!("{list}?{query}")).await.expect(200).json();
        body["items"].as_array().expect("items").len()
    };
    let all = count("").await;
    // It is 15 January 2027, 08:00 UTC.
    assert_eq!(count("from=2027-01-15").await, all);
    assert_eq!(count("from=2027-01-15&to=2027-01-15").await, all);
    assert_eq!(count("from=2027-01-15T00:00:00%2B00:00&to=2027-01-16T00:00:00Z").await, all);
    assert_eq!(count("from=2027-01-16").await, 0);
    assert_eq!(count("to=2027-01-14").await, 0);
    for query in ["from=2027-01-15T00:00:00+01:00", "to=2027-01-15T00:00:00+01:00"] {
        let refused = root.get(&format!("{list}?{query}")).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert!(refused.faults()[0].ends_with(": invalid_time"));
        assert!(refused.text().contains("%2B"), "{}", refused.text());
    }
    let stats = "/api/v1/admin/stats?from=2027-01-14&to=2027-01-15&bucket=day";
    let items = root.get(stats).await.expect(200).json()["items"].as_array().map(Vec::len);
    assert_eq!(items, Some(2));
}

#[rocket::async_test]
async fn a_page_holds_fifty_accounts_unless_asked_otherwise() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    for n in 0..55 {
        app.create(&format!("user{n}@example.org"), &[]).await;
    }
    let page = root.get(USERS).await.expect(200);
    assert_eq!(emails(&page).len(), 50);
    assert!(page.json()["next_cursor"].is_string());
    assert_eq!(emails(&root.get(&format!("{USERS}?limit=200")).await).len(), 56);
}

#[rocket::async_test]
async fn an_invitation_is_read_strictly() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let invite = async |body: Value| root.call(Post, USERS, body).await;
    for (body, fault) in [
        (json!({}), "email: required"),
        (json!({ "email": "ada" }), "email: invalid_email"),
        (json!({ "email": "ada@example.org", "password": "short" }), "password: too_short"),
        (json!({ "email": "ada@example.org", "roles": ["none"] }), "roles: unknown_role"),
        (json!({ "email": "ada@example.org", "roles": ["no\0ne"] }), "roles: unknown_role"),
        (json!({ "email": "ada@example.org", "roles": "admin" }), "roles: wrong_type"),
        (json!({ "email": "ada@example.org", "roles": [7] }), "roles[0]: wrong_type"),
        (json!({ "email": "ada@example.org", "status": "active" }), "status: unknown_field"),
        (json!({ "email": "ada@example.org", "id": "x" }), "id: unknown_field"),
    ] {
        let refused = invite(body).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), [fault]);
    }
    // Without a password nobody can sign in; without roles it is an ordinary account.
    let made = invite(json!({ "email": "ada@example.org" })).await.expect(201).json();
    assert_eq!(made["user"]["roles"], json!(["user"]));
    for password in ["", PASSWORD] {
        app.stranger().log_in_with("ada@example.org", password).await.expect(401);
    }
}

#[rocket::async_test]
async fn changes_to_an_account_are_read_strictly_and_made_whole_or_not_at_all() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let id = app.create("ada@example.org", &["user"]).await;
    for (body, fault) in [
        (json!({ "status": "sleeping", "display_name": "x" }), "status: unknown_status"),
        (
            json!({ "status": "disabled", "display_name": "x\0" }),
            "display_name: invalid_characters",
        ),
        (json!({ "roles": ["admin"] }), "roles: unknown_field"),
        (json!({ "email": "nonsense", "status": "disabled" }), "email: invalid_email"),
        (json!({ "email": null, "display_name": "x\u{202e}" }), "display_name: invalid_characters"),
        (json!({ "password": "a bridge of nougat" }), "password: unknown_field"),
        (json!({ "status": 1 }), "status: wrong_type"),
    ] {
        let refused = root.call(Patch, &user(&id), body).await;
        assert_eq!(refused.expect_problem(422, "validation_failed").faults(), [fault]);
    }
    let ada = root.get(&user(&id)).await.json();
    assert_eq!(
        (&ada["user"]["status"], &ada["user"]["display_name"]),
        (&json!("active"), &json!(""))
    );
    let roles = format!("{}/roles", user(&id));
    let refused = root.call(Put, &roles, json!({ "roles": ["user", "none"] })).await;
    assert_eq!(refused.expect_problem(422, "validation_failed").faults(), ["roles: unknown_role"]);
    for nobody in ["AAAAAAAAAAAAAAAAAAAAAA", "nonsense", "%00", "..%2F..", "a%27b"] {
        root.get(&user(nobody)).await.expect_problem(404, "not_found");
    }
}

#[rocket::async_test]
async fn sr_51_nobody_grants_or_takes_what_they_do_not_hold() {
    let app = TestApp::light().await;
    app.add_role("support", &["users:read", "users:write", "roles:read"]).await;
    app.create("root@example.org", &["admin"]).await;
    let other = app.create("other@example.org", &["admin"]).await;
    let ada = app.create("ada@example.org", &["user"]).await;
    let support = app.signed_in("support@example.org", &["support"]).await;
    let set = async |id: &str, roles: Value| {
        support.call(Put, &format!("{}/roles", user(id)), json!({ "roles": roles })).await
    };
    set(&ada, json!(["admin"])).await.expect_problem(403, "permission_denied");
    set(&other, json!(["user"])).await.expect_problem(403, "permission_denied");
    set(&ada, json!(["support"])).await.expect(200);
    let body = json!({ "email": "new@example.org", "roles": ["admin"] });
    support.call(Post, USERS, body).await.expect_problem(403, "permission_denied");
    let roles = support.get(&user(&other)).await.json()["user"]["roles"].clone();
    assert_eq!(roles, json!(["admin"]));
}

#[rocket::async_test]
async fn roles_and_permissions_can_be_read() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let roles = root.ask(Get, "/api/v1/admin/roles").send().await.expect(200).json();
    assert_fields(&roles, "items next_cursor");
    for role in roles["items"].as_array().unwrap() {
        assert_fields(role, "name description permissions built_in accounts");
    }
    assert_eq!(roles["items"][0]["name"], "admin");
    assert_eq!(roles["items"][1]["permissions"], json!([]));
    let permissions = root.get("/api/v1/admin/permissions").await.expect(200).json();
    assert_fields(&permissions["items"][0], "name description source");
    assert_eq!(permissions["items"].as_array().unwrap().len(), Permission::CATALOGUE.len());
}

#[rocket::async_test]
async fn sr_33_an_administrators_session_is_short() {
    let app = TestApp::light().await;
    app.create("root@example.org", &["admin"]).await;
    let root = app.stranger();
    let body = json!({ "email": "root@example.org", "password": PASSWORD, "remember": true });
    let begun = root.call(Post, "/api/v1/auth/login", body).await.expect(200).json();
    assert_eq!(begun["session"]["refresh_expires_at"], (START + minutes(30)).to_string());
    let idle = root.copy();
    for _ in 0..28 {
        app.later(minutes(25));
        root.refresh().await.expect(200);
    }
    idle.refresh().await.expect_problem(401, "session_ended");
    // 28 × 25 minutes: twenty minutes are left of twelve hours.
    app.later(minutes(19));
    root.me().await.expect(200);
    app.later(minutes(2));
    root.me().await.expect_problem(401, "session_ended");
    root.refresh().await.expect_problem(401, "session_ended");
}
