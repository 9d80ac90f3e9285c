//! The application on a port, with people and a past, for a browser to look at.

use std::sync::{Arc, Mutex};

use doorward::account::{Actor, Invitation};
use doorward::id::SecretString;
use doorward::role::RoleStore;
use rocket::fairing::AdHoc;
use rocket::http::Method;
use rocket::{Build, Rocket};
use serde_json::json;

use crate::app::*;
use crate::support::free_port;

/// Administers.
pub const GRACE: &str = "grace.hopper@example.org";
/// Looks after people, and may not change them.
pub const KATHERINE: &str = "katherine@example.org";
/// Has devices, and has been told of things.
pub const ADA: &str = "ada@example.org";
/// Calls herself what an attacker would.
pub const EVE: &str = "eve@example.org";
/// Has the longest name and the longest address.
pub const HUBERT: &str = "hubert.blaine.wolfeschlegelsteinhausenbergerdorff.senior@a-very-long-domain-name-that-somebody-has-registered.example.org";
/// May not sign in.
pub const MALLORY: &str = "mallory@example.org";
/// Signs in with a password that an administrator chose.
pub const IDA: &str = "ida.rhodes@example.org";
/// Guesses passwords.
pub const GUESSED: &str = "trent@example.org";

const NAMES: [(&str, &str); 8] = [
    (GRACE, "Grace Hopper"),
    (KATHERINE, "Katherine Johnson"),
    (ADA, "Ada Lovelace"),
    (IDA, "Ida Rhodes"),
    (EVE, "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"),
    (
        HUBERT,
        "HubertBlaineWolfeschlegelsteinhausenbergerdorffWelcheVorAlternWarenGewissenhaftSchaferWessenSchafe",
    ),
    (MALLORY, ""),
    (GUESSED, "\u{5d8}\u{5e8}\u{5e0}\u{5d8} \u{738b}\u{5c0f}\u{660e} \u{1f469}\u{200d}\u{1f52c}"),
];

/// Everybody else, so that a list has a second page.
const CROWD: [&str; 16] = [
    "Emmy Noether",
    "Kurt G\u{f6}del",
    "Alonzo Church",
    "Annie Easley",
    "Claude Shannon",
    "Sofja Kowalewskaja",
    "Srinivasa Ramanujan",
    "Mary Somerville",
    "John McCarthy",
    "Hedy Lamarr",
    "Evelyn Boyd Granville",
    "Christopher Strachey",
    "Maryam Mirzakhani",
    "Edsger Dijkstra",
    "Joan Clarke",
    "Alan Turing",
];

/// The address of one of the crowd.
fn one_of_many(number: usize) -> String {
    let name = CROWD[number % CROWD.len()].to_lowercase().replace(' ', ".").replace('\u{f6}', "oe");
    let again = number / CROWD.len();
    let again = if again == 0 { String::new() } else { format!(".{again}") };
    format!("{name}{again}@example.org")
}

const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/156.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const ATTACK: &str = "<b onmouseover=alert(1)>\"'";

/// An answer with a page.
#[derive(Clone)]
pub struct Page {
    /// The route that answered, as method and pattern.
    pub route: Option<(Method, String)>,
    pub method: Method,
    pub path: String,
    pub status: u16,
    pub html: String,
}

/// An application on a port, and what it has answered there.
pub struct Stage {
    pub app: TestApp,
    port: u16,
    pages: Arc<Mutex<Vec<Page>>>,
}

impl Stage {
    /// An application on fresh stores, with settings of its own.
    pub async fn open(settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let (public_url, number) = (format!("http://localhost:{port}"), port.to_string());
        let mut all = vec![("DOORWARD_PUBLIC_URL", &*public_url), ("ROCKET_PORT", &*number)];
        all.extend(settings);
        let app = TestApp::boot_with(Backend::SqliteRedis, &all).await;
        Self { app, port, pages: Arc::default() }
    }

    /// Lets browsers in.
    pub async fn listen(&self) {
        let pages = Arc::clone(&self.pages);
        self.app.listen(|rocket| record(rocket, pages)).await;
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// The pages that were seen so far, and the reports of browsers that something was not allowed.
    pub fn pages(&self) -> Vec<Page> {
        self.pages.lock().expect("unpoisoned").clone()
    }

    /// The path of the page about somebody.
    pub async fn person(&self, email: &str) -> String {
        let account = self.app.accounts().find(email).await.expect("there is an account");
        format!("/admin/users/{}", account.id)
    }

    /// Makes everybody, and lets a day pass as it would.
    pub async fn live(&self) {
        let app = &self.app;
        let rights = ["admin:view", "users:read", "sessions:read", "audit:read"];
        app.add_role("support", &rights).await;
        for (email, name) in NAMES {
            let roles: &[&str] = match email {
                GRACE => &["admin"],
                KATHERINE => &["support"],
                _ => &[],
            };
            self.invite(email, name, roles).await;
            app.later(days(3));
        }
        for number in 0..50 {
            let roles: &[&str] = if number % 9 == 0 { &["support", "user"] } else { &[] };
            self.invite(&one_of_many(number), CROWD[number % CROWD.len()], roles).await;
            app.later(hours(5));
        }
        let grace = app.stranger();
        // As the browser that will come: it is not told of a new device on every page.
        sign_in(&grace, GRACE, CHROME).await;
        for (name, description) in [("invoices:read", "See invoices"), ("invoices:write", ATTACK)] {
            let permission = json!({ "name": name, "description": description });
            grace.call(Method::Post, "/api/v1/admin/permissions", permission).await.expect(201);
        }
        for email in [MALLORY, &one_of_many(46)] {
            let (person, disable) = (self.person(email).await, json!({ "status": "disabled" }));
            grace.call(Method::Patch, &format!("/api/v1{person}"), disable).await.expect(200);
        }
        self.devices_of_ada().await;
        self.a_day_of_sign_ins().await;
        self.denied_tokens(&grace).await;
        app.audit().await;
    }

    /// Makes an account.
    pub async fn invite(&self, email: &str, display_name: &str, roles: &[&str]) {
        let known: &Arc<dyn RoleStore> = self.app.service();
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let password = Some(SecretString::new(PASSWORD));
        let is_temporary = email == IDA;
        let invitation = Invitation { email, display_name, password, is_temporary, roles: &roles };
        let made = self.app.accounts().create(Actor::Operator, &**known, invitation).await;
        made.expect("the account is made");
    }

    async fn a_day_of_sign_ins(&self) {
        for hour in 0..24 {
            self.app.later(hours(1));
            for number in 0..(hour * 7) % 9 {
                let person = self.app.stranger();
                person.log_in(&one_of_many(45 - number - hour)).await;
                if number % 3 == 2 {
                    person.log_in_with(&one_of_many(49 - number), "wrong").await;
                }
            }
        }
        // Enough for the form to say that it has to wait.
        for _ in 0..6 {
            self.app.log_in_with(GUESSED, "wrong").await;
        }
    }

    async fn devices_of_ada(&self) {
        for (agent, ip) in [
            (FIREFOX, "203.0.113.80"),
            (IPHONE, "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
            ("curl/8.16.0", "198.51.100.4"),
            (ATTACK, "192.0.2.1"),
        ] {
            sign_in(&self.app.stranger().at(ip), ADA, agent).await;
            self.app.later(hours(7));
        }
    }

    async fn denied_tokens(&self, grace: &Visitor) {
        sign_in(grace, GRACE, CHROME).await;
        for reason in ["Found in a public log", "", ATTACK] {
            let person = self.app.stranger();
            person.log_in(&one_of_many(7)).await;
            let token = person.cookie(ACCESS).expect("an access cookie");
            let body = json!({ "token": token, "reason": reason });
            grace.call(Method::Post, "/api/v1/admin/tokens/revoke", body).await.expect(204);
        }
    }
}

/// Signs somebody in with this browser, to stay so.
async fn sign_in(visitor: &Visitor, email: &str, agent: &str) {
    let body = json!({ "email": email, "password": PASSWORD, "remember": true });
    let ask = visitor.ask(Method::Post, "/api/v1/auth/login").header("User-Agent", agent);
    ask.header("Sec-Fetch-Site", "same-origin").json(&body).send().await.expect(200);
}

/// Writes down every page as it goes out, and every report that comes in.
fn record(rocket: Rocket<Build>, pages: Arc<Mutex<Vec<Page>>>) -> Rocket<Build> {
    rocket.attach(AdHoc::on_response("Record", move |request, response| {
        let pages = Arc::clone(&pages);
        Box::pin(async move {
            let route = request.route().map(|r| (r.method, r.uri.path().to_owned()));
            let is_report = request.uri().path() == "/csp-report";
            if !is_report && !response.content_type().is_some_and(|kind| kind.is_html()) {
                return;
            }
            let html = response.body_mut().to_string().await.expect("UTF-8");
            response.set_sized_body(html.len(), std::io::Cursor::new(html.clone()));
            let page = Page {
                route,
                method: request.method(),
                path: request.uri().to_string(),
                status: response.status().code,
                html,
            };
            pages.lock().expect("unpoisoned").push(page);
        })
    }))
}
