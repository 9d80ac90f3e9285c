//! Every mounted route, by every method, asked by everybody: strangers, users, holders of one
//! permission, administrators, and administrators who have not given their password for a while
//! (SR-50, SR-52).

use std::collections::{BTreeMap, BTreeSet};

use doorward::role::Permission;
use rocket::http::Method::{self, Delete, Get, Head, Options, Patch, Post, Put};

use super::route::Needs::{self, Fresh, Nothing, SignIn};
use super::route::{DECLARED, address, declared};
use crate::app::*;

const METHODS: [Method; 7] = [Get, Head, Post, Put, Patch, Delete, Options];

/// How an answer looks to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Past every guard about who asks: whatever came of it there.
    In,
    /// Told to sign in.
    SignInFirst,
    /// Refused, for this permission is missing.
    Denied(&'static str),
    /// Told to give the password again.
    ReauthFirst,
    /// There is no such method.
    NoMethod,
}

impl Outcome {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        assert!(answer.status.code < 500, "{}", answer.text());
        let problem = answer.header("Content-Type") == Some("application/problem+json");
        let body = if problem { answer.json() } else { serde_json::Value::Null };
        match body["code"].as_str() {
            Some("not_signed_in" | "session_ended" | "token_expired") => Self::SignInFirst,
            Some("reauth_required") => Self::ReauthFirst,
            Some("method_not_allowed") => Self::NoMethod,
            Some("permission_denied") => {
                let detail = body["detail"].as_str().unwrap_or_default();
                let mut all = Permission::CATALOGUE.iter().map(|(name, _)| *name);
                // The set-up link is refused with the same code, and names no permission.
                all.find(|name| detail.contains(name)).map_or(Self::In, Self::Denied)
            }
            _ => Self::In,
        }
    }
}

/// Somebody who asks.
struct Asker {
    name: String,
    permissions: BTreeSet<&'static str>,
    signed_in: bool,
    fresh: bool,
    browser: Visitor,
}

impl Asker {
    async fn signed_in(
        app: &TestApp,
        name: &str,
        permissions: &[&'static str],
        role: &str,
    ) -> Self {
        let browser = app.signed_in(&format!("{name}@example.org"), &[role]).await;
        let permissions = permissions.iter().copied().collect();
        Self { name: name.to_owned(), permissions, signed_in: true, fresh: true, browser }
    }

    /// What has to come of it when they ask.
    fn expected(&self, needs: Option<Needs>) -> Outcome {
        let permission = match needs {
            None => return Outcome::NoMethod,
            Some(Nothing(_)) => return Outcome::In,
            Some(_) if !self.signed_in => return Outcome::SignInFirst,
            Some(SignIn) => return Outcome::In,
            Some(Needs::Permission(permission) | Fresh(permission)) => permission,
        };
        if !self.permissions.contains(permission) {
            Outcome::Denied(permission)
        } else if matches!(needs, Some(Fresh(_))) && !self.fresh {
            Outcome::ReauthFirst
        } else {
            Outcome::In
        }
    }

    /// Asks, with nothing in the body that could be done; wants to be told in JSON, also by pages.
    async fn ask(&self, method: Method, path: &str) -> Answer {
        let ask = self.browser.ask(method, path).header("Sec-Fetch-Site", "same-origin");
        let ask = ask.header("Accept", "application/json");
        match method {
            Get | Head | Options => ask.send().await,
            _ if path.starts_with("/api/") => ask.body("application/json", "{").send().await,
            _ => ask.form(&[]).send().await,
        }
    }

    /// Signs in again, if what was asked for was to sign out.
    async fn stay(&self, method: Method) {
        if self.signed_in && method != Get && self.browser.me().await.status.code == 401 {
            assert!(self.fresh, "nobody is signed out who has to give the password again");
            self.browser.log_in(&format!("{}@example.org", self.name)).await;
        }
    }
}

async fn askers(app: &TestApp) -> Vec<Asker> {
    let all: Vec<&'static str> = Permission::CATALOGUE.iter().map(|(name, _)| *name).collect();
    let mut askers = vec![
        Asker {
            name: "stranger".to_owned(),
            permissions: BTreeSet::new(),
            signed_in: false,
            fresh: false,
            browser: app.stranger(),
        },
        Asker::signed_in(app, "user", &[], "user").await,
        Asker::signed_in(app, "admin", &all, "admin").await,
    ];
    for (number, permission) in all.iter().enumerate() {
        let role = format!("only-{number}");
        app.add_role(&role, &[permission]).await;
        askers.push(Asker::signed_in(app, &role, &[permission], &role).await);
    }
    askers
}

#[rocket::async_test]
async fn sr_50_every_route_declares_what_it_needs() {
    let app = TestApp::light().await;
    let routes = app.client.rocket().routes();
    let mounted: BTreeSet<(&str, String)> =
        routes.map(|route| (route.method.as_str(), route.uri.path().to_owned())).collect();
    let listed: BTreeSet<(&str, String)> =
        DECLARED.iter().map(|(method, path, _)| (method.as_str(), (*path).to_owned())).collect();
    assert_eq!(listed.len(), DECLARED.len(), "a route is declared twice");
    let undeclared: Vec<_> = mounted.difference(&listed).collect();
    assert!(undeclared.is_empty(), "say in DECLARED who may ask for {undeclared:?}");
    let gone: Vec<_> = listed.difference(&mounted).collect();
    assert!(gone.is_empty(), "declared, but there is no such route: {gone:?}");
}

#[rocket::async_test]
async fn sr_50_every_route_answers_everybody_as_it_is_declared() {
    let app = TestApp::light().await;
    let askers = askers(&app).await;
    let paths: BTreeSet<String> = DECLARED.iter().map(|(_, path, _)| address(path)).collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &paths {
        for method in METHODS {
            let needs = declared(method, path);
            for asker in &askers {
                let answer = asker.ask(method, path).await;
                let who = format!("{method} {path} as {}", asker.name);
                let expected = asker.expected(needs);
                if method == Head {
                    let get = asker.ask(Get, path).await;
                    assert_eq!(answer.status, get.status, "{who}");
                    assert!(answer.body.is_empty(), "{who}");
                } else {
                    assert_eq!(Outcome::of(&answer), expected, "{who}: {}", answer.text());
                }
                asker.stay(method).await;
                *seen.entry(word(&expected)).or_default() += 1;
            }
        }
    }
    for (outcome, least) in [("in", 500), ("sign in", 60), ("denied", 500), ("no method", 3000)] {
        assert!(seen[outcome] >= least, "{seen:?}");
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::In => "in",
        Outcome::SignInFirst => "sign in",
        Outcome::Denied(_) => "denied",
        Outcome::ReauthFirst => "confirm",
        Outcome::NoMethod => "no method",
    }
}

#[rocket::async_test]
async fn sr_52_every_change_by_an_administrator_needs_a_fresh_password() {
    let app = TestApp::light().await;
    for (method, path, needs) in DECLARED {
        let admin = path.contains("/admin");
        let fresh = matches!(needs, Fresh(_));
        assert_eq!(fresh, admin && *method != Get, "{method} {path} changes something for others");
    }
    let mut admin = askers(&app).await.remove(2);
    app.later(minutes(16));
    admin.fresh = false;
    for (method, pattern, needs) in DECLARED {
        // What signs out, and says so.
        if matches!(needs, Nothing(_)) || *pattern == "/api/v1/me/sessions" && *method == Delete {
            continue;
        }
        let path = address(pattern);
        let answer = admin.ask(*method, &path).await;
        let expected = admin.expected(Some(*needs));
        assert_eq!(Outcome::of(&answer), expected, "{method} {path}: {}", answer.text());
        if expected == Outcome::ReauthFirst {
            let answer = answer.expect_problem(401, "reauth_required");
            assert!(answer.all("Set-Cookie").iter().all(|set| !set.contains("Max-Age=0")));
            assert_eq!(answer.header("Clear-Site-Data"), None);
        }
        admin.stay(*method).await;
    }
}

#[rocket::async_test]
async fn sr_50_strangers_are_told_to_sign_in_by_every_route_that_is_not_public() {
    let app = TestApp::light().await;
    for (method, pattern, needs) in DECLARED {
        let (visitor, path) = (app.stranger(), address(pattern));
        let ask = visitor.ask(*method, &path).header("Sec-Fetch-Site", "same-origin");
        let answer = match method {
            Get => ask.send().await,
            _ if path.starts_with("/api/") => ask.body("application/json", "{").send().await,
            _ => ask.form(&[]).send().await,
        };
        match needs {
            Nothing(statuses) => {
                assert!(
                    statuses.contains(&answer.status.code),
                    "{method} {path}: {}",
                    answer.status
                );
            }
            _ if path.starts_with("/api/") => drop(answer.expect_problem(401, "not_signed_in")),
            _ => {
                let answer = answer.expect(303);
                assert!(answer.header("Location").is_some_and(|to| to.starts_with("/login")));
            }
        }
    }
}
