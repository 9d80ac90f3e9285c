//! Which hosts the server answers for (SR-11): on the wire, and in an application that has others.

use std::sync::LazyLock;

use doorward::{Doorward, LoggedIn};
use rocket::http::Method::{Get, Options, Post};
use rocket::{get, routes};

use crate::app::*;
use crate::support::binary::Server;
use crate::support::{free_port, http};

/// An answer as it came over the wire.
struct Wire(String);

impl Wire {
    /// Sends a request of these lines to the server, and reads all that it answers.
    fn of(port: u16, target: &str, hosts: &[&str]) -> Self {
        Self::asked(port, &format!("GET {target} HTTP/1.1"), hosts)
    }

    fn asked(port: u16, line: &str, hosts: &[&str]) -> Self {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        let message = format!("{line}\r\n{hosts}Connection: close\r\n\r\n");
        Self(http::raw(port, &message).expect("an answer"))
    }

    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    fn has(&self, header: &str) -> bool {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.lines().any(|line| line.eq_ignore_ascii_case(header))
    }

    /// Fails unless this is a refusal like any other: with the headers of all answers.
    #[track_caller]
    fn refused(&self, status: u16, what: &str) {
        assert_eq!(self.status(), status, "{what}: {}", self.0);
        for header in ["X-Content-Type-Options: nosniff", "Cache-Control: no-store"] {
            assert!(self.has(header), "{what}: {}", self.0);
        }
        assert!(!self.0.contains("Set-Cookie") && !self.0.contains("set-cookie"), "{what}");
    }
}

/// One server for the tests that change nothing.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    Server::start(&[
        ("DOORWARD_LOG_ACCESS", "false"),
        ("DOORWARD_HOSTS_EXTRA", "id.internal, 10.1.2.3, [2001:db8::1], b\u{fc}cher.example"),
    ])
});

/// Something of each kind that the server answers.
const TARGETS: [&str; 12] = [
    "/",
    "/login",
    "/profile",
    "/nothing",
    "/static/app.css",
    "/logout",
    "/api/docs",
    "/api/v1/me",
    "/api/v1/nothing",
    "/api/nothing",
    "/.well-known/security.txt",
    "/.well-known/change-password",
];

/// What everybody may call as they like.
const FOR_ANY_NAME: [&str; 3] = ["/livez", "/readyz", "/.well-known/jwks.json"];

#[test]
fn sr_11_a_request_that_names_no_host_or_several_is_refused_and_the_connection_closed() {
    let port = SERVER.port();
    let ours = format!("localhost:{port}");
    for target in TARGETS.into_iter().chain(FOR_ANY_NAME) {
        for hosts in [
            &[][..],
            &[&*ours, &*ours],
            &[&*ours, "evil.example"],
            &["evil.example", &*ours],
            &[""],
            &["a b@c"],
            &["root@localhost"],
            &["localhost/login"],
            &["localhost:99999"],
            &["localhost:80:80"],
            &["localhost, localhost"],
            &["[::1"],
            &["::1"],
        ] {
            let refused = Wire::of(port, target, hosts);
            refused.refused(400, &format!("{target} {hosts:?}"));
            assert!(refused.has("Connection: close"), "{}", refused.0);
        }
    }
    // An older client may leave it out; but then nobody knows whom it means.
    Wire::asked(port, "GET /login HTTP/1.0", &[]).refused(400, "HTTP/1.0");
    assert_eq!(Wire::asked(port, "GET /login HTTP/1.0", &["localhost"]).status(), 200);
}

#[test]
fn sr_11_a_request_for_another_host_is_refused_whatever_it_is() {
    let port = SERVER.port();
    for host in ["evil.example", "localhost.evil.example", "192.0.2.1", "[2001:db8::2]", "a%40b"] {
        for target in TARGETS {
            Wire::of(port, target, &[host]).refused(421, &format!("{target} {host}"));
        }
        for target in FOR_ANY_NAME {
            assert_eq!(Wire::of(port, target, &[host]).status(), 200, "{target} {host}");
        }
        for line in ["POST /login", "OPTIONS /login", "OPTIONS *", "DELETE /api/v1/me", "PUT /x"] {
            Wire::asked(port, &format!("{line} HTTP/1.1"), &[host]).refused(421, line);
        }
        // No trusted proxy asks.
        let authz = "/api/authz/ext-authz/page";
        Wire::of(port, authz, &[host]).refused(421, authz);
        // With a target in absolute form, as a client sends it to a proxy.
        if !host.contains('%') {
            let target = format!("http://{host}/login");
            Wire::of(port, &target, &[host]).refused(421, &target);
        }
        // What stands elsewhere makes no host ours, and ours no other.
        let ours = format!("localhost:{port}");
        for name in ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"] {
            let line = |value: &str| format!("GET /login HTTP/1.1\r\n{name}: {value}");
            Wire::asked(port, &line(&ours), &[host]).refused(421, name);
            assert_eq!(Wire::asked(port, &line(host), &[&ours]).status(), 200);
        }
    }
    assert_eq!(Wire::asked(port, "HEAD /login HTTP/1.1", &["evil.example"]).status(), 421);
}

#[test]
fn sr_11_a_person_at_another_address_is_shown_the_right_one_and_a_program_is_told() {
    let port = SERVER.port();
    let place = format!("http://localhost:{port}");
    let page = Wire::of(port, "/login", &["evil.example"]).0;
    assert!(page.contains(&format!("<a href=\"{place}\">{place}</a>")), "{page}");
    // Nothing of the page is asked of the other host.
    assert!(!page.contains("/static/") && !page.contains("evil"), "{page}");
    let problem = Wire::of(port, "/api/v1/me", &["evil.example"]).0;
    assert!(problem.contains("\"code\":\"misdirected_request\""), "{problem}");
    assert!(problem.contains(&place) && !problem.contains("evil"), "{problem}");
    let line = SERVER.lines().wait_for("another host");
    assert!(line.contains("evil.example") && line.contains("hosts.extra"), "{line}");
}

#[test]
fn sr_11_this_machine_goes_by_all_its_names_and_others_by_those_of_the_operator() {
    let port = SERVER.port();
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost:1",
        "app.localhost:8000",
        "127.0.0.1",
        "[::1]:8000",
        "id.internal",
        "ID.internal:443",
        "10.1.2.3",
        "[2001:DB8:0::1]",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(Wire::of(port, "/login", &[host]).status(), 200, "{host}");
    }
    for host in ["127.0.0.2", "localhost.", "sub.id.internal", "notlocalhost"] {
        assert_eq!(Wire::of(port, "/login", &[host]).status(), 421, "{host}");
    }
}

#[test]
fn figures_are_shown_under_any_name_but_not_under_none() {
    let shown = free_port();
    let _server = Server::start(&[("DOORWARD_METRICS_ADDRESS", &format!("127.0.0.1:{shown}"))]);
    for host in ["10.0.0.7:9464", "prometheus.example", "localhost"] {
        assert_eq!(Wire::of(shown, "/metrics", &[host]).status(), 200, "{host}");
    }
    for target in ["/metrics", "/nothing"] {
        for hosts in [&[][..], &["a b"], &["a", "b"]] {
            let refused = Wire::of(shown, target, hosts);
            assert_eq!(refused.status(), 400, "{target} {hosts:?}");
            assert!(refused.has("Connection: close"), "{}", refused.0);
        }
    }
    let nothing = Wire::of(shown, "/nothing", &["localhost"]);
    assert_eq!(nothing.status(), 404);
    assert!(!nothing.0.contains("Rocket"), "{}", nothing.0);
}

/// A question about a page of an app, with the host of that app.
fn ask<'v>(visitor: &'v Visitor, path: &str) -> Ask<'v> {
    visitor.ask(Get, path).header("Host", "app.example.org").header("X-Forwarded-Proto", "http")
}

#[rocket::async_test]
async fn sr_11_a_trusted_proxy_asks_about_the_hosts_of_its_apps() {
    let settings = [("DOORWARD_PROXIES_TRUSTED", "203.0.113.0/24")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let proxy = app.stranger();
    // It is judged by the rules, of which there are none.
    ask(&proxy, "/api/authz/ext-authz/page").send().await.expect(403);
    ask(&proxy, "/api/authz/forward-auth").send().await.expect(400);
    ask(&proxy, "/login").send().await.expect(421);
    let stranger = app.stranger().at("198.51.100.1");
    ask(&stranger, "/api/authz/ext-authz/page").send().await.expect(421);
}

#[rocket::async_test]
async fn sr_11_scripts_of_other_sites_are_no_way_around() {
    let friend = "https://app.example.org";
    let app = TestApp::boot_with(
        Backend::SqliteEmbedded,
        &[("DOORWARD_CORS_ALLOWED_ORIGINS", friend), ("DOORWARD_PUBLIC_URL", "https://id.example")],
    )
    .await;
    for origin in [friend, "https://evil.example", "https://id.example"] {
        for (method, path) in [(Options, "/api/v1/me"), (Options, "/nothing"), (Get, "/api/v1/me")]
        {
            let ask = app.ask(method, path).header("Host", "evil.example").header("Origin", origin);
            let ask = ask.header("Access-Control-Request-Method", "PATCH");
            ask.send().await.expect(421);
        }
    }
    // Where the server is not this machine, nobody reaches it as that.
    app.ask(Get, "/login").header("Host", "localhost").send().await.expect(421);
    app.get("/login").await.expect(200);
}

#[get("/shop")]
fn shop() -> &'static str {
    "a shop at many hosts"
}

#[get("/till")]
fn till(clerk: LoggedIn) -> String {
    clerk.account.name().to_owned()
}

async fn application(doorward: fn(Doorward) -> Doorward) -> TestApp {
    TestApp::boot_made(Backend::SqliteEmbedded, &[], move |config, world| {
        let doorward = doorward(Doorward::with(config, world));
        rocket::build().mount("/", routes![shop, till]).attach(doorward)
    })
    .await
}

#[rocket::async_test]
async fn sr_11_an_applications_own_hosts_stay_its_own() {
    let app = application(|doorward| doorward).await;
    app.register("ada@example.org").await.expect(201);
    let at = |method, path: &str| app.ask(method, path).header("Host", "shop.example");
    at(Get, "/shop").send().await.expect(200);
    at(Get, "/nothing").send().await.expect(404);
    // Doorward's routes and guards are for its own.
    for path in ["/till", "/login", "/api/v1/me", "/profile"] {
        at(Get, path).send().await.expect(421);
        app.get(path).await;
    }
    at(Post, "/login").send().await.expect(421);
    app.get("/till").await.expect(200);
}

#[rocket::async_test]
async fn sr_11_an_application_can_have_every_request_checked() {
    let app = application(Doorward::check_all_hosts).await;
    for path in ["/shop", "/till", "/login", "/nothing"] {
        app.ask(Get, path).header("Host", "shop.example").send().await.expect(421);
        app.ask(Get, path).header("Host", "").send().await.expect(400);
    }
    app.get("/shop").await.expect(200);
    // Nobody comes there by themselves.
    app.get("/.doorward/host").await.expect(404);
    app.get("/api/.doorward/host").await.expect_problem(404, "not_found");
}
