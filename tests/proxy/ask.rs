//! The questions as the proxies ask them, in process.

use rocket::http::Method::{self, Get};

use crate::app::*;

pub const FORWARD: &str = "/api/authz/forward-auth";
pub const ORIGINAL: &str = "/api/authz/auth-request";

const RULES: &str = r#"[
    {"host": "localhost:3000", "path": "/public", "allow": "public"},
    {"host": "localhost:3000", "path": "/admin", "allow": "users:read", "audience": "the-admin-app"},
    {"host": "localhost:3000", "path": "/read", "methods": ["GET"], "allow": "signed_in"},
    {"host": "localhost:3000", "path": "/app", "allow": "signed_in"}
]"#;

/// What stands in the environment of a server that these proxies ask.
pub const SETTINGS: [(&str, &str); 2] =
    [("DOORWARD_ACCESS_RULES", RULES), ("DOORWARD_PROXIES_TRUSTED", "203.0.113.0/24")];

pub async fn app_on(backend: Backend) -> TestApp {
    TestApp::boot_with(backend, &SETTINGS).await
}

pub async fn light() -> TestApp {
    app_on(Backend::SqliteEmbedded).await
}

/// Runs a test on every combination of stores.
macro_rules! on_every_store {
    ($(async fn $name:ident($app:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn test($app: TestApp) $body

            #[rocket::async_test]
            async fn sqlite_embedded() {
                test(app_on(Backend::SqliteEmbedded).await).await;
            }

            #[rocket::async_test]
            async fn sqlite_redis() {
                test(app_on(Backend::SqliteRedis).await).await;
            }

            #[rocket::async_test]
            async fn postgres_redis() {
                test(app_on(Backend::PostgresRedis).await).await;
            }
        }
    )*};
}

/// The question as Traefik, Caddy and our script for HAProxy ask it.
pub fn forward<'v>(visitor: &'v Visitor, method: &str, target: &str) -> Ask<'v> {
    visitor
        .ask(Get, FORWARD)
        .header("X-Forwarded-Method", method)
        .header("X-Forwarded-Proto", "http")
        .header("X-Forwarded-Host", "localhost:3000")
        .header("X-Forwarded-Uri", target)
        .header("X-Forwarded-For", "198.51.100.9")
        .header("X-Forwarded-Server", "traefik")
}

/// The question as nginx asks it.
pub fn original<'v>(visitor: &'v Visitor, method: &str, target: &str) -> Ask<'v> {
    visitor
        .ask(Get, ORIGINAL)
        .header("X-Original-Method", method)
        .header("X-Original-URL", &format!("http://localhost:3000{target}"))
}

/// The question as Envoy asks it.
pub fn external<'v>(visitor: &'v Visitor, method: Method, target: &str) -> Ask<'v> {
    visitor
        .ask(method, &format!("/api/authz/ext-authz{target}"))
        .header("Host", "localhost:3000")
        .header("X-Forwarded-Proto", "http")
}

/// The question about a page that a person opens.
pub fn page(ask: Ask<'_>) -> Ask<'_> {
    ask.header("Accept", "text/html").header("Sec-Fetch-Mode", "navigate")
}

pub(crate) use on_every_store;
