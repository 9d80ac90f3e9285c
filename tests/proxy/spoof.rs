//! What attackers try behind each proxy: to say who they are, to get around a rule, to lead others away.

use serde_json::json;

use super::stack::{JSON, PAGE, Proxy, SCRIPT, Stack};
use crate::app::{ORIGIN, PASSWORD};
use crate::key::foreign;
use crate::on_every_proxy;
use crate::support::http;

/// Names of headers by which an app could be told who somebody is.
const NAMES: [&str; 16] = [
    "Remote-User",
    "remote-user",
    "REMOTE-USER",
    "Remote_User",
    "REMOTE_USER",
    "Remote-Id",
    "Remote-Email",
    "Remote_Email",
    "Remote-Name",
    "Remote-Groups",
    "Remote_Groups",
    "Remote-Permissions",
    "X-Doorward-Identity",
    "X_Doorward_Identity",
    "X-Doorward_Identity",
    "X_Doorward-Identity",
];

#[test]
fn sr_40_the_cookies_of_a_server_without_https_are_kept_from_apps_as_well() {
    for proxy in [Proxy::Nginx, Proxy::Caddy, Proxy::Haproxy] {
        let insecure = [("DOORWARD_INSECURE_COOKIES", "true")];
        let stack = Stack::start_with(proxy, &insecure).unwrap_or_else(|reason| panic!("{reason}"));
        let mut guest = stack.registered("plain@example.org");
        assert!(guest.jar.contains_key("dw-at"), "{:?}", guest.jar);
        for (name, value) in [("aaa", "1"), ("dx-at", "2"), ("zzz", "3")] {
            guest.jar.insert(name.to_owned(), value.to_owned());
        }
        let seen = guest.seen("/page", PAGE);
        assert_eq!(seen.all("Remote-User"), ["plain@example.org"], "{proxy:?}");
        let cookies = seen.all("Cookie").join("; ");
        assert_eq!(cookies.trim_matches([' ', ';']), "aaa=1; dx-at=2; zzz=3", "{proxy:?}");
    }
}

on_every_proxy! {
    fn nobody_says_who_they_are(stack) {
        let forged: Vec<(&str, &str)> = NAMES.map(|name| (name, "forged")).into();
        let with = |more: &[(&'static str, &'static str)]| [&forged[..], more].concat();
        let mut guest = stack.registered("honest@example.org");
        for (guest, target, user) in [
            (&mut guest, "/page", &["honest@example.org"][..]),
            (&mut stack.stranger(), "/public/x", &[]),
        ] {
            let seen = guest.seen(target, &with(PAGE));
            assert_eq!(seen.all("Remote-User"), user, "{seen:?}");
            assert!(!seen.0.to_string().contains("forged"), "{seen:?}");
        }
        assert_eq!(stack.stranger().app("GET", "/page", &with(SCRIPT)).status, 401);
        assert_eq!(guest.app("GET", "/admin/x", &with(PAGE)).status, 403);
    }

    fn the_app_gets_its_own_cookies_and_none_of_doorwards(stack) {
        let mut guest = stack.registered("cookies@example.org");
        guest.seen("/page", PAGE);
        for name in ["__Secure-dw-at", "__Secure-dw-rt"] {
            guest.jar.insert(name.to_owned(), "stale".to_owned());
        }
        assert!(guest.jar.keys().any(|name| name.ends_with("-rt")), "{:?}", guest.jar);
        for (own, expected) in [
            (&[][..], ""),
            (&[("aaa", "1"), ("theme", "dark"), ("zzz", "3")][..], "aaa=1; theme=dark; zzz=3"),
            (&[("theme", "dark")][..], "theme=dark"),
        ] {
            let mut guest = guest.clone();
            guest.jar.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let seen = guest.seen("/page", PAGE);
            let cookies = seen.all("Cookie").join("; ");
            let cookies = cookies.trim_matches([' ', ';']);
            assert!(!cookies.contains("dw-"), "{cookies}");
            assert_eq!(cookies, expected);
        }
    }

    fn no_spelling_of_a_path_is_a_way_around_a_rule(stack) {
        let mut guest = stack.registered("spelling@example.org");
        for target in [
            "/admin", "/admin/", "/ADMIN", "/%61dmin", "//admin", "/%2fadmin", "/%2e/admin", "/./admin",
            "/x/../admin", "/x/%2e%2e/admin", "/x/..%2fadmin", "/x/..%5cadmin", "/x/..;/admin",
            "/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public%2f..%2fadmin",
            "/public/%252e%252e/admin", "/admin;x", "/;/admin", "/admin%20", "/admin%00", "/public/..;/admin",
            "/admin?/public", "/public/..\\admin", "/public/.%2e/admin/x",
        ] {
            for mut guest in [guest.clone(), stack.stranger()] {
                let answer = guest.app("GET", target, SCRIPT);
                assert!(matches!(answer.status, 400 | 401 | 403 | 404), "{target}: {}", answer.text());
            }
        }
        // Those that a proxy passes on as they are.
        for target in [
            "/admin%3fx.php", "/admin%3fx", "/admin%23x", "/admin%26x=1", "/admin.json", "/admin.html", "/admin.php/x", "/admin::$DATA",
            "/%ef%bc%8fadmin", "/adm%e2%80%8bin", "/adm%c2%adin", "/adm%c4%b1n", "/ADM%C4%B0N", "/%c3%a1dmin", "/admin%253fx", "/index.php/admin",
            "//localhost/admin", "/admin~1", "/ADMIN", "/admin;x", "/admin%2fx", "/adm%25c4%25b1n",
        ] {
            let answer = guest.app("GET", target, SCRIPT);
            assert!(matches!(answer.status, 400 | 403 | 404), "{target}: {}", answer.text());
            let answer = stack.stranger().app("GET", target, SCRIPT);
            assert!(matches!(answer.status, 400 | 401 | 403 | 404), "{target}: {}", answer.text());
        }
        // A person who may see what is kept gets to the app.
        let mut root = stack.administrator("spelling-root@example.org");
        for target in [
            "/reports", "/reports%3fx.php", "/reports%23x", "/reports.json", "/REPORTS", "/rep%e2%80%8borts",
            "/index.php/reports", "//localhost/reports", "/reports%2fx",
        ] {
            assert_eq!(guest.app("GET", target, SCRIPT).status, 403, "{target}");
            let seen = root.seen(target, SCRIPT);
            assert_eq!(seen.0["request"], format!("GET {target} HTTP/1.1"));
        }
        for target in ["/wiki/C%23", "/wiki/What%3F", "/group%2Fname/files", "/caf%C3%A9", "/a/b;v=1", "/x.json"] {
            assert_eq!(guest.seen(target, SCRIPT).0["request"], format!("GET {target} HTTP/1.1"));
        }
        let absolute = stack.url("/admin");
        let answer = guest.app("GET", &absolute, SCRIPT);
        assert!(matches!(answer.status, 400 | 403 | 404), "{absolute}: {}", answer.text());
        for (name, value) in [
            ("X-Original-URL", "http://localhost/public/x"), ("X-Original-Method", "OPTIONS"),
            ("X-Forwarded-Uri", "/public/x"), ("X-Forwarded-Method", "OPTIONS"),
            ("X-Forwarded-Host", "localhost"), ("X-Forwarded-Prefix", "/public"),
            ("X-HTTP-Method-Override", "GET"), ("Forwarded", "host=evil.example"),
        ] {
            assert_eq!(guest.app("GET", "/admin", &[(name, value)]).status, 403, "{name}");
            let seen = guest.seen("/page", &[(name, value)]);
            if name != "X-Forwarded-Prefix" {
                assert!(!seen.all(name).contains(&value.to_owned()), "{seen:?}");
            }
        }
    }

    fn nobody_is_led_away_to_another_site(stack) {
        let mut guest = stack.stranger();
        // By the Host or by what a client says of it.
        for (name, value) in [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")] {
            let headers = [PAGE, &[(name, value)]].concat();
            let answer = guest.app("GET", "/page", &headers);
            let location = answer.header("location").expect("to the sign-in page");
            assert!(location.starts_with(&format!("http://localhost:{}/login?next=http%3A%2F%2Flocalhost%3A", stack.login)), "{location}");
        }
        for host in ["evil.example", "localhost", "localhost:1", "localhost.evil.example", ""] {
            let raw = format!("GET /page HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
            let answer = http::raw(stack.app, &raw).expect("an answer");
            assert!(!answer.contains("evil"), "{answer}");
            // nginx knows which of its hosts it is asked for by the port, and says that one.
            let location = answer.lines().find_map(|line| line.strip_prefix("Location: ").or_else(|| line.strip_prefix("location: ")));
            let home = format!("http://localhost:{}/login?next=http%3A%2F%2Flocalhost%3A{}%2Fpage", stack.login, stack.app);
            assert!(location.is_none_or(|to| to == home), "{answer}");
            assert!(!answer.contains("\"request\""), "{host}: {answer}");
        }
        // By the sign-in page itself.
        stack.registered("led@example.org").sign_out();
        let app = stack.url("/");
        for next in [
            "https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)",
            &format!("{}@evil.example/", app.trim_end_matches('/')),
            &app.replace("localhost", "localhost.evil.example"),
            &app.replace("http:", "https:"), "http://localhost:1/", "http://localhost/",
            &app.replace("http://", "http:\\\\"), &app.replace("http://", "http:///"),
        ] {
            let mut guest = stack.stranger();
            let query: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
            let page = guest.send(stack.login, "GET", &format!("/login?next={query}"), PAGE, "");
            assert!(page.header("content-security-policy").expect("a policy").contains("form-action 'self';"), "{next}");
            assert!(!page.text().contains("evil.example"), "{next}");
            let to = guest.sign_in(&page, "led@example.org");
            assert!(to == "/" || to == "/profile", "{next}: {to}");
            let again = guest.send(stack.login, "GET", &format!("/login?next={query}"), PAGE, "");
            assert_eq!(again.header("location"), Some("/"), "{next}");
        }
    }

    fn the_identity_token_is_for_this_app_and_opens_nothing(stack) {
        let mut guest = stack.registered("token@example.org");
        let token = guest.seen("/page", PAGE).all("X-Doorward-Identity").remove(0);
        let jwks = http::get(stack.login, "/.well-known/jwks.json").expect("an answer").json();
        let issuer = format!("http://localhost:{}", stack.login);
        let audience = format!("http://localhost:{}", stack.app);
        let verdict = |audience: &str| foreign::judge(json!({
            "jwks": jwks, "issuer": issuer, "audience": audience, "type": "id+jwt", "tokens": { "it": token },
        }));
        assert_eq!(verdict(&audience), json!({ "it": "good" }));
        assert_eq!(verdict(&issuer), json!({ "it": "InvalidAudienceError" }));
        assert_ne!(issuer, ORIGIN);
        let bearer = format!("Bearer {token}");
        let answer = http::request(stack.login, "GET", "/api/v1/me", &[("Authorization", &bearer)], b"");
        assert_eq!(answer.expect("an answer").status, 401);
        let mut thief = stack.stranger();
        for name in ["__Host-Http-dw-at", "__Host-Http-dw-rt"] {
            thief.jar.insert(name.to_owned(), token.clone());
        }
        assert_eq!(thief.app("GET", "/page", SCRIPT).status, 401);
        let body = json!({ "email": "token@example.org", "password": PASSWORD }).to_string();
        assert_eq!(thief.send(stack.login, "POST", "/api/v1/auth/login", JSON, &body).status, 200);
    }
}
