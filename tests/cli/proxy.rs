//! `doorward proxy-config`: what it prints, and what it does not print for.

use crate::support::binary::run;

const RULES: &str = r#"[
    {"host": "wiki.example.org", "path": "/admin", "allow": "users:read"},
    {"host": "wiki.example.org", "allow": "signed_in"},
    {"host": "*.apps.example.org", "allow": "signed_in"}
]"#;

const SETTINGS: [(&str, &str); 4] = [
    ("DOORWARD_PUBLIC_URL", "https://login.example.org"),
    ("DOORWARD_COOKIES_DOMAIN", "example.org"),
    ("DOORWARD_PROXIES_TRUSTED", "127.0.0.1"),
    ("DOORWARD_ACCESS_RULES", RULES),
];

const PROXIES: [&str; 5] = ["nginx", "caddy", "haproxy", "traefik", "envoy"];

#[test]
fn a_configuration_names_every_host_strips_every_header_and_is_whole() {
    for proxy in PROXIES {
        let text = run(&["proxy-config", proxy], "", &SETTINGS).done();
        assert!(!text.contains("{{") && !text.contains("{%"), "{proxy}: {text}");
        for part in ["login.example.org", "wiki.example.org", "127.0.0.1:8000", "/api/authz"] {
            let part = if proxy == "envoy" { part.replace(":8000", "") } else { part.to_owned() };
            assert!(text.contains(&part), "{proxy} has no {part}: {text}");
        }
        assert!(
            text.contains("apps.example.org") || text.contains("apps\\.example\\.org"),
            "{text}"
        );
        let lower = text.to_lowercase();
        assert!(lower.contains("x-original-url") && lower.contains("x-rewrite-url"), "{proxy}");
    }
    let script = run(&["proxy-config", "haproxy-lua"], "", &SETTINGS).done();
    assert!(script.contains("\"remote-user\"") && script.contains("\"x-doorward-identity\""));
}

#[test]
fn an_app_and_its_address_are_taken_from_the_command() {
    let arguments =
        ["proxy-config", "nginx", "--host", "wiki.example.org", "--upstream", "10.0.0.5:80"];
    let text =
        run(&[&arguments[..], &["--doorward", "10.0.0.9:8000"]].concat(), "", &SETTINGS).done();
    assert!(
        text.contains("proxy_pass http://10.0.0.5:80;") && text.contains("server 10.0.0.9:8000;")
    );
    assert!(!text.contains("apps.example.org") && text.contains("listen *:443 ssl;"), "{text}");
}

#[test]
fn nothing_is_printed_for_what_no_rule_names() {
    let line = run(&["proxy-config", "nginx", "--host", "evil.example"], "", &SETTINGS).failed();
    assert!(line.contains("no access rule is about evil.example"), "{line}");
    let line = run(&["proxy-config", "caddy"], "", &SETTINGS[..3]).failed();
    assert!(line.contains("name no app"), "{line}");
    let twice = ["proxy-config", "nginx", "--upstream", "a:1", "--upstream", "b:1"];
    assert!(run(&twice, "", &SETTINGS).failed().contains("more --upstream"));
    for odd in ["x; }", "a b:1", "a:99999", "`x`:1", "a:1\n}"] {
        let arguments = ["proxy-config", "nginx", "--upstream", odd];
        assert!(run(&arguments, "", &SETTINGS).code == Some(2), "{odd}");
    }
}
