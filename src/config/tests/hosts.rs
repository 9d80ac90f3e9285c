//! Which hosts the server answers for (SR-11).

use super::{PUBLIC, accepted, refused};

const HOSTS: &str = "DOORWARD_HOSTS_EXTRA";

fn hosts(text: &str) -> Vec<String> {
    let config = accepted("", "release", &[PUBLIC, (HOSTS, text)]);
    config.hosts.extra.iter().map(ToString::to_string).collect()
}

#[test]
fn sr_11_extra_hosts_are_names_and_addresses() {
    assert_eq!(hosts(""), [""; 0]);
    assert_eq!(
        hosts("ID.internal, 10.0.0.7,::1, [2001:db8:0::7], b\u{fc}cher.example"),
        ["id.internal", "10.0.0.7", "[::1]", "[2001:db8::7]", "xn--bcher-kva.example"]
    );
    let toml = "[default.hosts]\nextra = ['id.internal', '10.0.0.7']";
    assert_eq!(accepted(toml, "release", &[PUBLIC]).hosts.extra.len(), 2);
}

#[test]
fn an_extra_host_that_is_none_is_refused_with_what_to_write() {
    for (text, word) in [
        ("https://id.internal", "more than a host"),
        ("id.internal/login", "more than a host"),
        ("id.internal:8443", "has a port"),
        ("*.example.com", "name each host"),
        ("a b", "is no host"),
        ("user@id.internal", "is no host"),
    ] {
        refused("", "release", &[PUBLIC, (HOSTS, text)], &["hosts.extra", text, word]);
    }
}

#[test]
fn hosts_that_do_nothing_or_belong_to_an_app_are_told() {
    let rules = r#"[{"host": "wiki.example.com", "allow": "signed_in"}]"#;
    let config = accepted(
        "",
        "release",
        &[
            PUBLIC,
            (HOSTS, "Login.example.com,wiki.example.com,id.internal"),
            ("DOORWARD_ACCESS_RULES", rules),
            ("DOORWARD_COOKIES_DOMAIN", "example.com"),
            ("DOORWARD_PROXIES_TRUSTED", "127.0.0.1"),
        ],
    );
    let told = |words: [&str; 2]| {
        let both = |text: &&String| words.iter().all(|word| text.contains(word));
        config.warnings().iter().filter(both).count()
    };
    assert_eq!(told(["hosts.extra", "login.example.com"]), 1);
    assert_eq!(told(["hosts.extra", "wiki.example.com"]), 1);
    assert_eq!(told(["hosts.extra", "id.internal"]), 0);
}
