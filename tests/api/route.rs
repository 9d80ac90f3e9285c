//! Every route there is, and what it needs: the table that [`super::matrix`] holds the server to.

use doorward::role::Permission;
use rocket::http::Method::{self, Delete, Get, Head, Options, Patch, Post, Put};

/// What a route asks of whoever asks for it.
#[derive(Clone, Copy, Debug)]
pub enum Needs {
    /// Nothing; a stranger who says nothing else gets one of these statuses.
    Nothing(&'static [u16]),
    /// To be signed in.
    SignIn,
    /// A permission.
    Permission(&'static str),
    /// A permission, and a password given a short while ago.
    Fresh(&'static str),
}

use Needs::{Fresh, Nothing, SignIn};
const VIEW: Needs = Needs::Permission(Permission::ADMIN_VIEW);
const USERS: Needs = Needs::Permission(Permission::USERS_READ);
const USERS_FORM: Needs = Needs::Permission(Permission::USERS_WRITE);
const USERS_WRITE: Needs = Fresh(Permission::USERS_WRITE);
const ROLES: Needs = Needs::Permission(Permission::ROLES_READ);
const ROLES_FORM: Needs = Needs::Permission(Permission::ROLES_WRITE);
const ROLES_WRITE: Needs = Fresh(Permission::ROLES_WRITE);
const SESSIONS: Needs = Needs::Permission(Permission::SESSIONS_READ);
const REVOKE: Needs = Fresh(Permission::SESSIONS_REVOKE);
const TOKENS: Needs = Needs::Permission(Permission::TOKENS_REVOKE);
const DENY: Needs = Fresh(Permission::TOKENS_REVOKE);
const REVOKE_FORM: Needs = Needs::Permission(Permission::SESSIONS_REVOKE);
const KEYS: Needs = Needs::Permission(Permission::KEYS_READ);
const KEYS_WRITE: Needs = Fresh(Permission::KEYS_WRITE);
const SETTINGS: Needs = Needs::Permission(Permission::SETTINGS_READ);
const AUDIT: Needs = Needs::Permission(Permission::AUDIT_READ);

/// Every route there is. One that is not listed here fails a test.
pub const DECLARED: &[(Method, &str, Needs)] = &[
    (Get, "/", Nothing(&[303])),
    (Get, "/login", Nothing(&[200])),
    (Post, "/login", Nothing(&[403, 422])),
    (Post, "/logout", Nothing(&[303])),
    (Get, "/register", Nothing(&[200])),
    (Post, "/register", Nothing(&[403, 422])),
    (Get, "/setup", Nothing(&[200, 403, 404])),
    (Post, "/setup", Nothing(&[403, 422])),
    (Get, "/static/<name>", Nothing(&[404])),
    (Get, "/.well-known/jwks.json", Nothing(&[200])),
    (Get, "/.well-known/change-password", Nothing(&[303])),
    (Get, "/.well-known/security.txt", Nothing(&[404])),
    (Get, "/favicon.ico", Nothing(&[200])),
    (Get, "/apple-touch-icon.png", Nothing(&[200])),
    (Get, "/apple-touch-icon-precomposed.png", Nothing(&[200])),
    (Get, "/robots.txt", Nothing(&[200])),
    (Get, "/livez", Nothing(&[200])),
    (Get, "/readyz", Nothing(&[200])),
    (Post, "/csp-report", Nothing(&[204])),
    // Where requests for other hosts are led.
    (Get, "/.doorward/host", Nothing(&[404])),
    (Get, "/api/.doorward/host", Nothing(&[404])),
    // For proxies alone, which none of these is.
    (Get, "/api/authz/forward-auth", Nothing(&[403])),
    (Get, "/api/authz/auth-request", Nothing(&[403])),
    (Get, "/api/authz/ext-authz/<path..>", Nothing(&[403])),
    (Head, "/api/authz/ext-authz/<path..>", Nothing(&[403])),
    (Post, "/api/authz/ext-authz/<path..>", Nothing(&[403])),
    (Put, "/api/authz/ext-authz/<path..>", Nothing(&[403])),
    (Patch, "/api/authz/ext-authz/<path..>", Nothing(&[403])),
    (Delete, "/api/authz/ext-authz/<path..>", Nothing(&[403])),
    (Options, "/api/authz/ext-authz/<path..>", Nothing(&[403])),
    (Get, "/profile", SignIn),
    (Post, "/profile", SignIn),
    (Post, "/profile/password", SignIn),
    (Get, "/profile/new-password", SignIn),
    (Post, "/profile/new-password", SignIn),
    (Get, "/profile/delete", SignIn),
    (Post, "/profile/delete", SignIn),
    (Post, "/profile/notices/dismiss", SignIn),
    (Get, "/profile/sessions", SignIn),
    (Post, "/profile/sessions/<id>/revoke", SignIn),
    (Post, "/profile/sessions/revoke-others", SignIn),
    (Get, "/reauthenticate", SignIn),
    (Post, "/reauthenticate", SignIn),
    (Get, "/admin", VIEW),
    (Get, "/admin/users", USERS),
    (Post, "/admin/users", USERS_WRITE),
    (Get, "/admin/users/new", USERS_FORM),
    (Get, "/admin/users/<id>", USERS),
    (Post, "/admin/users/<id>/email", USERS_WRITE),
    (Post, "/admin/users/<id>/roles", USERS_WRITE),
    (Post, "/admin/users/<id>/disable", USERS_WRITE),
    (Post, "/admin/users/<id>/enable", USERS_WRITE),
    (Get, "/admin/users/<id>/delete", USERS_FORM),
    (Post, "/admin/users/<id>/delete", USERS_WRITE),
    (Post, "/admin/users/<id>/end-sessions", REVOKE),
    (Post, "/admin/users/<id>/sessions/<session>/revoke", REVOKE),
    (Get, "/admin/roles", ROLES),
    (Post, "/admin/roles", ROLES_WRITE),
    (Get, "/admin/roles/new", ROLES_FORM),
    (Get, "/admin/roles/<name>", ROLES),
    (Post, "/admin/roles/<name>", ROLES_WRITE),
    (Get, "/admin/roles/<name>/delete", ROLES_FORM),
    (Post, "/admin/roles/<name>/delete", ROLES_WRITE),
    (Post, "/admin/permissions", ROLES_WRITE),
    (Post, "/admin/permissions/<name>/delete", ROLES_WRITE),
    (Get, "/admin/tokens", TOKENS),
    (Post, "/admin/tokens", DENY),
    (Get, "/admin/sessions", SESSIONS),
    (Get, "/admin/sessions/revoke", REVOKE_FORM),
    (Post, "/admin/sessions/revoke", REVOKE),
    (Get, "/admin/audit", AUDIT),
    (Get, "/admin/audit/export", AUDIT),
    (Get, "/admin/keys", KEYS),
    (Post, "/admin/keys/rotate", KEYS_WRITE),
    (Get, "/admin/settings", SETTINGS),
    (Get, "/api/v1/inspections/<token>", Nothing(&[404])),
    (Post, "/api/v1/auth/login", Nothing(&[400])),
    (Post, "/api/v1/auth/register", Nothing(&[400])),
    (Post, "/api/v1/auth/refresh", Nothing(&[401])),
    (Post, "/api/v1/auth/logout", Nothing(&[204])),
    (Post, "/api/v1/auth/reauthenticate", SignIn),
    (Get, "/api/v1/me", SignIn),
    (Patch, "/api/v1/me", SignIn),
    (Delete, "/api/v1/me", SignIn),
    (Put, "/api/v1/me/password", SignIn),
    (Get, "/api/v1/me/sessions", SignIn),
    (Delete, "/api/v1/me/sessions", SignIn),
    (Delete, "/api/v1/me/sessions/<id>", SignIn),
    (Get, "/api/v1/admin/users", USERS),
    (Post, "/api/v1/admin/users", USERS_WRITE),
    (Get, "/api/v1/admin/users/<id>", USERS),
    (Patch, "/api/v1/admin/users/<id>", USERS_WRITE),
    (Delete, "/api/v1/admin/users/<id>", USERS_WRITE),
    (Put, "/api/v1/admin/users/<id>/roles", USERS_WRITE),
    (Get, "/api/v1/admin/users/<id>/sessions", SESSIONS),
    (Delete, "/api/v1/admin/users/<id>/sessions", REVOKE),
    (Get, "/api/v1/admin/roles", ROLES),
    (Post, "/api/v1/admin/roles", ROLES_WRITE),
    (Put, "/api/v1/admin/roles/<name>", ROLES_WRITE),
    (Delete, "/api/v1/admin/roles/<name>", ROLES_WRITE),
    (Get, "/api/v1/admin/permissions", ROLES),
    (Post, "/api/v1/admin/permissions", ROLES_WRITE),
    (Delete, "/api/v1/admin/permissions/<name>", ROLES_WRITE),
    (Post, "/api/v1/admin/tokens/revoke", DENY),
    (Get, "/api/v1/admin/tokens/revoked", TOKENS),
    (Get, "/api/v1/admin/sessions", SESSIONS),
    (Delete, "/api/v1/admin/sessions", REVOKE),
    (Delete, "/api/v1/admin/sessions/<id>", REVOKE),
    (Get, "/api/v1/admin/audit", AUDIT),
    (Get, "/api/v1/admin/audit/export", AUDIT),
    (Get, "/api/v1/admin/keys", KEYS),
    (Post, "/api/v1/admin/keys/rotate", KEYS_WRITE),
    (Get, "/api/v1/admin/settings", SETTINGS),
    (Get, "/api/v1/admin/stats", VIEW),
    (Get, "/api/v1/openapi.json", Nothing(&[200])),
    (Get, "/api/docs", Nothing(&[200])),
];

/// Names nothing: whoever is let in gets past the guards and changes nothing.
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAA";

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
}

/// An address that fits a pattern.
pub fn address(pattern: &str) -> String {
    let part = |part| if str::starts_with(part, '<') { NOBODY } else { part };
    parts(pattern).map(part).collect::<Vec<_>>().join("/")
}

/// What is declared for a method of an address: of a pattern that says it literally, or else of one
/// that it fits. HEAD is GET without the body.
pub fn declared(method: Method, path: &str) -> Option<Needs> {
    let method = if method == Head { Get } else { method };
    let fits = |pattern: &str| {
        parts(pattern).count() == parts(path).count()
            && parts(pattern).zip(parts(path)).all(|(p, have)| p == have || p.starts_with('<'))
    };
    let of_method = || DECLARED.iter().filter(|(m, _, _)| *m == method);
    let exact = of_method().find(|(_, pattern, _)| address(pattern) == path);
    exact.or_else(|| of_method().find(|(_, pattern, _)| fits(pattern))).map(|(_, _, needs)| *needs)
}
