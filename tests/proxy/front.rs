//! Everyday life behind each proxy: there and back, scripts, forms, websockets, the end of a session.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::stack::{Guest, PAGE, Proxy, SCRIPT, Seen, Stack};
use crate::app::{ACCESS, REFRESH};
use crate::on_every_proxy;

/// Where a person is sent who opens this page of the app without being signed in.
fn sign_in_at(stack: &Stack, target: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(stack.url(target).as_bytes()).collect();
    format!("http://localhost:{}/login?next={next}", stack.login)
}

/// What comes back over a websocket that this person opens.
fn websocket(guest: &Guest<'_>) -> std::io::Result<(String, Vec<u8>)> {
    let cookies: Vec<String> =
        guest.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, guest.stack.app))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let head = format!(
        "GET /socket HTTP/1.1\r\nHost: localhost:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-Fetch-Mode: websocket\r\nCookie: {}\r\n\r\n",
        guest.stack.app,
        cookies.join("; ")
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    if !status.contains(" 101") {
        return Ok((status, Vec::new()));
    }
    // A masked text frame: "hi".
    let frame = [0x81, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2];
    stream.write_all(&frame)?;
    let mut echo = vec![0; frame.len()];
    stream.read_exact(&mut echo)?;
    assert_eq!(echo, frame);
    Ok((status, echo))
}

on_every_proxy! {
    fn a_stranger_is_sent_to_sign_in_and_comes_back_to_the_page(stack) {
        stack.registered("back@example.org").sign_out();
        let mut guest = stack.stranger();
        let target = "/wiki/Z%C3%BCrich?page=1&x=%27";
        let answer = guest.app("GET", target, PAGE);
        assert_eq!(answer.status, 302, "{}", answer.text());
        assert_eq!(answer.header("location"), Some(sign_in_at(stack, target).as_str()));
        let (at, page) = guest.open(&stack.url(target));
        assert_eq!((at, page.status), (sign_in_at(stack, target), 200));
        let policy = page.header("content-security-policy").expect("a policy");
        let allowed = format!("form-action 'self' http://localhost:{};", stack.app);
        assert!(policy.contains(&allowed), "{policy}");
        let back = guest.sign_in(&page, "back@example.org");
        assert_eq!(back, stack.url(target));
        let seen = guest.seen(target, PAGE);
        assert_eq!(seen.0["request"], format!("GET {target} HTTP/1.1"));
        assert_eq!(seen.all("Remote-User"), ["back@example.org"]);
        // Whoever is signed in already is sent on at once.
        let (at, _) = guest.open(&sign_in_at(stack, "/again"));
        assert_eq!(at, stack.url("/again"));
    }

    fn a_script_is_told_and_not_sent_anywhere(stack) {
        let mut guest = stack.stranger();
        for headers in [
            SCRIPT,
            &[("Accept", "application/json")],
            &[("Accept", "text/html"), ("X-Requested-With", "XMLHttpRequest")],
            &[],
        ] {
            let answer = guest.app("GET", "/data", headers);
            assert_eq!(answer.status, 401, "{headers:?}: {}", answer.text());
            assert_eq!(answer.header("location"), None, "{headers:?}");
            assert_eq!(answer.json()["code"], "not_signed_in", "{headers:?}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
            assert_eq!(guest.app(method, "/data", SCRIPT).status, 401, "{method}");
        }
    }

    fn a_form_of_a_stranger_leads_to_sign_in_with_get(stack) {
        let mut guest = stack.stranger();
        let answer = guest.send(stack.app, "POST", "/form", PAGE, "a=1");
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(answer.header("location"), Some(sign_in_at(stack, "/form").as_str()));
        let answer = guest.app("HEAD", "/page", PAGE);
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), Some(sign_in_at(stack, "/page").as_str()));
    }

    fn what_somebody_who_is_signed_in_sends_reaches_the_app_whole(stack) {
        let mut guest = stack.registered("whole@example.org");
        assert_eq!(guest.app("HEAD", "/page", PAGE).status, 200);
        let body = "x".repeat(300_000);
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let answer = guest.send(stack.app, method, "/form?a=b", SCRIPT, &body);
            assert_eq!(answer.status, 200, "{method}: {}", answer.text());
            let seen = answer.json();
            assert_eq!(seen["request"], format!("{method} /form?a=b HTTP/1.1"));
            assert!(seen["body"] == body, "{method}: the body is not whole");
        }
        // A proxy that sent the body along would have Doorward read a form here.
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = guest.send(stack.app, "POST", "/form", &form, "_method=GET&a=1");
        assert_eq!(answer.json()["body"], "_method=GET&a=1");
    }

    fn a_websocket_opens_for_those_who_are_signed_in_alone(stack) {
        let guest = stack.registered("socket@example.org");
        let (status, echo) = websocket(&guest).expect("an answer");
        assert!(status.contains(" 101") && !echo.is_empty(), "{status}");
        let (status, _) = websocket(&stack.stranger()).expect("an answer");
        assert!(status.contains(" 401"), "{status}");
    }

    fn a_session_that_has_ended_is_refused_at_the_next_request(stack) {
        let mut guest = stack.registered("ended@example.org");
        let mut copy = guest.clone();
        guest.seen("/page", PAGE);
        guest.sign_out();
        assert_eq!(copy.app("GET", "/page", SCRIPT).status, 401);
        assert_eq!(copy.app("GET", "/page", PAGE).status, 302);
        assert!(websocket(&copy).expect("an answer").0.contains(" 401"));

        let mut guest = stack.registered("operator@example.org");
        guest.seen("/page", PAGE);
        let done = stack.doorward.run(&["user", "end-sessions", "operator@example.org"], "");
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(guest.app("GET", "/page", SCRIPT).status, 401);
    }

    fn a_permission_opens_what_a_rule_keeps_for_it(stack) {
        let mut user = stack.registered("user@example.org");
        for headers in [PAGE, SCRIPT] {
            let answer = user.app("GET", "/admin/people", headers);
            assert_eq!((answer.status, answer.header("location")), (403, None));
        }
        let mut root = stack.administrator("root@example.org");
        let seen = root.seen("/admin/people", PAGE);
        assert!(seen.all("Remote-Permissions")[0].contains("users:read"), "{seen:?}");
        assert_eq!(stack.stranger().app("GET", "/admin/people", PAGE).status, 302);
    }

    fn nobody_is_thrown_out_when_the_access_token_has_run_out(stack) {
        let mut guest = stack.registered("stays@example.org");
        let refresh = guest.jar[REFRESH].clone();
        guest.jar.remove(ACCESS);
        // Scripts, forms and websockets go on with the refresh token, which stays as it is.
        for method in ["GET", "POST", "PUT"] {
            let answer = guest.app(method, "/data", SCRIPT);
            assert_eq!((answer.status, answer.header("set-cookie")), (200, None), "{method}");
        }
        assert_eq!(guest.send(stack.app, "POST", "/form", PAGE, "a=1").status, 200);
        assert!(websocket(&guest).expect("an answer").0.contains(" 101"));
        assert_eq!(guest.jar[REFRESH], refresh);
        // A person who opens a page comes by for a new pair, and does not notice.
        let (at, answer) = guest.open(&stack.url("/page?x=1"));
        assert_eq!((at, answer.status), (stack.url("/page?x=1"), 200));
        assert_ne!(guest.jar[REFRESH], refresh);
        assert_eq!(Seen(answer.json()).all("Remote-User"), ["stays@example.org"]);
        assert_eq!(guest.app("GET", "/data", SCRIPT).status, 200);
    }

    fn what_is_public_is_for_everybody(stack) {
        let seen = stack.stranger().seen("/public/x", PAGE);
        assert_eq!(seen.all("Remote-User"), [""; 0]);
        let seen = stack.registered("known@example.org").seen("/public/x", PAGE);
        assert_eq!(seen.all("Remote-User"), ["known@example.org"]);
    }

    fn only_the_proxy_asks_doorward(stack) {
        let mut guest = stack.registered("nosy@example.org");
        for path in [
            "/api/authz/forward-auth", "/api/authz/auth-request", "/api/authz/ext-authz/x",
            "/%61pi/authz/forward-auth", "/api/authz%2fforward-auth", "/api%2fauthz/forward-auth",
            "//api/authz/forward-auth", "/API/authz/forward-auth", "/api/./authz/forward-auth",
        ] {
            let described = [
                ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/"),
                ("X-Original-Method", "GET"), ("X-Original-URL", "http://localhost/"),
            ];
            let answer = guest.send(stack.login, "GET", path, &described, "");
            assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
            assert_eq!(answer.header("x-doorward-identity"), None, "{path}");
        }
    }
}

/// What cannot be asked about does not pass, and says so soon.
fn closes_when_doorward_is_away(proxy: Proxy) {
    let stack = Stack::start(proxy).unwrap_or_else(|reason| panic!("{reason}"));
    let mut guest = stack.registered("away@example.org");
    guest.seen("/page", PAGE);
    stack.doorward.kill();
    for (target, headers) in [("/page", PAGE), ("/data", SCRIPT), ("/public/x", PAGE)] {
        let begun = Instant::now();
        let answer = guest.app("GET", target, headers);
        assert!(matches!(answer.status, 502 | 503), "{target}: {}", answer.status);
        assert!(begun.elapsed() < Duration::from_secs(6), "{target}: {:?}", begun.elapsed());
    }
    stack.doorward.restart();
    guest.seen("/page", PAGE);
}

mod the_app_is_closed_while_doorward_is_away {
    use super::*;

    #[test]
    fn nginx() {
        closes_when_doorward_is_away(Proxy::Nginx);
    }

    #[test]
    fn caddy() {
        closes_when_doorward_is_away(Proxy::Caddy);
    }

    #[test]
    fn haproxy() {
        closes_when_doorward_is_away(Proxy::Haproxy);
    }
}
