//! Every mounted route, asked by everybody: strangers, users, holders of one permission, and
//! administrators (SR-50).

use std::collections::BTreeMap;

use doorward::role::Permission;
use rocket::http::Method;

use crate::app::*;

/// The permission that a route asks for, by its method and its path; `None`: being signed in is enough.
fn needed(method: Method, path: &str) -> Option<&'static str> {
    let path = path.trim_start_matches("/api/v1");
    let sessions = path.contains("/sessions") || path.contains("/end-sessions");
    match path {
        "/admin" => Some(Permission::ADMIN_VIEW),
        _ if path.starts_with("/admin/users/<id>") && sessions => Some(match method {
            Method::Get => Permission::SESSIONS_READ,
            _ => Permission::SESSIONS_REVOKE,
        }),
        _ if path.ends_with("/new") || path.ends_with("/delete") => Some(Permission::USERS_WRITE),
        _ if path.starts_with("/admin/users") => Some(match method {
            Method::Get => Permission::USERS_READ,
            _ => Permission::USERS_WRITE,
        }),
        "/admin/stats" => Some(Permission::ADMIN_VIEW),
        _ if path.starts_with("/admin/audit") => Some(Permission::AUDIT_READ),
        _ if path.starts_with("/admin/tokens") => Some(Permission::TOKENS_REVOKE),
        _ if path.starts_with("/admin/") => Some(Permission::ROLES_READ),
        _ => None,
    }
}

/// The routes below `/admin`, pages and calls, as method and pattern.
fn routes(app: &TestApp) -> Vec<(Method, String)> {
    let all = app.client.rocket().routes();
    let admin = all.filter(|route| route.uri.path().contains("/admin"));
    admin.map(|route| (route.method, route.uri.path().to_owned())).collect()
}

/// Asks for a route, about an account and a session that do not exist: whoever is let in gets past
/// the guard and changes nothing.
async fn ask(visitor: &Visitor, method: Method, pattern: &str) -> Answer {
    let nobody = "AAAAAAAAAAAAAAAAAAAAAA";
    let parts = pattern.split('/');
    let path = parts
        .map(|part| if part.starts_with('<') { nobody } else { part })
        .collect::<Vec<_>>()
        .join("/");
    let ask = visitor.ask(method, &path).header("Sec-Fetch-Site", "same-origin");
    match method {
        Method::Get | Method::Head => ask.send().await,
        _ if pattern.starts_with("/api/") => ask.body("application/json", "{").send().await,
        _ => ask.form(&[]).send().await,
    }
}

#[rocket::async_test]
async fn sr_50_every_administrative_route_opens_for_its_permission_alone() {
    let app = TestApp::light().await;
    let routes = routes(&app);
    assert!(routes.len() >= 20, "{routes:?}");
    let admin = app.signed_in("root@example.org", &["admin"]).await;
    let user = app.signed_in("user@example.org", &["user"]).await;
    let mut holders = BTreeMap::new();
    for (number, (permission, _)) in Permission::CATALOGUE.iter().enumerate() {
        let role = format!("only-{number}");
        app.add_role(&role, &[permission]).await;
        let visitor = app.signed_in(&format!("{role}@example.org"), &["user", &role]).await;
        holders.insert(*permission, visitor);
    }
    for (method, pattern) in &routes {
        let wanted = needed(*method, pattern).expect("a permission");
        let open = |status: u16| !matches!(status, 401 | 403 | 303);
        let denied = ask(&user, *method, pattern).await;
        assert_eq!(denied.status.code, 403, "{method} {pattern} as a user");
        let let_in = ask(&admin, *method, pattern).await.status.code;
        // A page's form token is asked for only behind the permission.
        let api = pattern.starts_with("/api/");
        let form = *method == Method::Post && !api;
        assert!(form || open(let_in), "{method} {pattern} as an administrator: {let_in}");
        for (permission, holder) in &holders {
            let answer = ask(holder, *method, pattern).await;
            let status = answer.status.code;
            if *permission != wanted {
                assert_eq!(status, 403, "{method} {pattern} with {permission} alone");
            } else if api {
                assert!(open(status), "{method} {pattern} with {permission}: {status}");
            }
            if *permission != wanted && api {
                answer.expect_problem(403, "permission_denied");
            }
        }
        let stranger = ask(&app.stranger(), *method, pattern).await;
        if api {
            stranger.expect_problem(401, "not_signed_in");
        } else {
            let stranger = stranger.expect(303);
            assert!(stranger.header("Location").unwrap().starts_with("/login"));
        }
    }
}

#[rocket::async_test]
async fn sr_50_other_methods_of_a_route_do_nothing_for_anybody() {
    let app = TestApp::light().await;
    let admin = app.signed_in("root@example.org", &["admin"]).await;
    let mut by_path: BTreeMap<String, Vec<Method>> = BTreeMap::new();
    for route in app.client.rocket().routes() {
        by_path.entry(route.uri.path().to_owned()).or_default().push(route.method);
    }
    for (path, methods) in by_path {
        for method in [Method::Put, Method::Post, Method::Patch, Method::Delete, Method::Options] {
            if !methods.contains(&method) {
                let answer = ask(&admin, method, &path).await;
                // `/admin/users/new` is also a value of `/admin/users/<id>`, which has no POST.
                assert_eq!(answer.status.code, 405, "{method} {path}");
            }
        }
    }
}
