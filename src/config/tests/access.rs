//! Access rules and the cookies that carry people to the apps.

use super::{PUBLIC, accepted, read, refused, reported};

const DOMAIN: (&str, &str) = ("DOORWARD_COOKIES_DOMAIN", "example.com");
const PROXY: (&str, &str) = ("DOORWARD_PROXIES_TRUSTED", "10.0.0.7");

fn with_rules(rules: &str) -> [(&str, &str); 4] {
    [PUBLIC, DOMAIN, PROXY, ("DOORWARD_ACCESS_RULES", rules)]
}

#[test]
fn rules_are_tables_of_the_file_or_json_of_the_environment() {
    let toml = "[[default.access.rules]]\nhost = 'wiki.example.com'\npath = '/admin'\n\
                methods = ['GET']\nallow = 'users:read'\naudience = 'wiki'\n\
                [[default.access.rules]]\nhost = '*.example.com'\nallow = 'signed_in'\n";
    let json = r#"[{"host": "wiki.example.com", "path": "/admin", "methods": ["GET"],
                    "allow": "users:read", "audience": "wiki"},
                   {"host": "*.example.com", "allow": "signed_in"}]"#;
    let of_file = accepted(toml, "release", &[PUBLIC, DOMAIN, PROXY]);
    let of_environment = accepted("", "release", &with_rules(json));
    assert_eq!(of_file.access.rules(), of_environment.access.rules());
    let shown = "wiki.example.com/admin GET: users:read; *.example.com/: signed_in";
    let place = "Rocket.toml [default]";
    assert_eq!(reported(&of_file, "access.rules"), (shown.to_owned(), place.to_owned()));
    assert_eq!(accepted("", "debug", &[]).access.rules(), []);
}

#[test]
fn a_rule_that_is_none_is_told_by_its_number() {
    let good = r#"{"host": "a.example.com", "allow": "signed_in"}"#;
    for (rule, words) in [
        (r#"{"host": "b.example.com"}"#, &["missing field `allow`"][..]),
        (r#"{"allow": "public"}"#, &["missing field `host`"]),
        (r#"{"host": "b.example.com", "allow": "public", "hots": 1}"#, &["unknown field `hots`"]),
        (r#"{"host": "b c", "allow": "public"}"#, &["rule 2", "b c"]),
        (r#"{"host": "b.example.com", "allow": "everybody"}"#, &["rule 2", "everybody"]),
        (r#"{"host": "b.example.com", "path": "x", "allow": "public"}"#, &["rule 2", "path"]),
        (r#"{"host": "a.example.com", "path": "/x", "allow": "a:b"}"#, &["rule 2", "rule 1"]),
        ("1", &["JSON"]),
    ] {
        let rules = format!("[{good}, {rule}]");
        refused("", "release", &with_rules(&rules), &[&["access.rules"], words].concat());
    }
    refused("", "release", &with_rules("nonsense"), &["access.rules", "JSON"]);
    let unknown = "[[default.access.rules]]\nhost = 'a.example.com'\nallow = 'public'\nhots = 1";
    refused(unknown, "release", &[PUBLIC, DOMAIN, PROXY], &["rule 1", "hots"]);
    let table = "[default.access]\nrules = 'signed_in'";
    refused(table, "release", &[PUBLIC, DOMAIN, PROXY], &["access.rules"]);
}

#[test]
fn a_rule_for_a_host_that_no_cookie_reaches_is_refused() {
    let rule = |host: &str| format!(r#"[{{"host": "{host}", "allow": "signed_in"}}]"#);
    for host in ["wiki.example.com", "login.example.com:8443", "*.example.com", "a.b.example.com"] {
        accepted("", "release", &with_rules(&rule(host)));
    }
    for host in ["wiki.example.org", "badexample.com", "*.example.org", "127.0.0.1"] {
        refused("", "release", &with_rules(&rule(host)), &["nobody can sign in", host]);
    }
    let alone = rule("login.example.com");
    accepted("", "release", &[PUBLIC, PROXY, ("DOORWARD_ACCESS_RULES", &alone)]);
    let other = rule("wiki.example.com");
    let env = [PUBLIC, PROXY, ("DOORWARD_ACCESS_RULES", other.as_str())];
    refused("", "release", &env, &["login.example.com alone", "cookies.domain"]);
    // What is public needs no cookie.
    let public = r#"[{"host": "www.example.org", "allow": "public"}]"#;
    accepted("", "release", &with_rules(public));
}

#[test]
fn sr_40_a_cookie_domain_is_one_that_browsers_take_from_this_host() {
    for domain in ["example.com", ".example.com", "Example.COM", "login.example.com"] {
        let config = accepted("", "release", &[PUBLIC, ("DOORWARD_COOKIES_DOMAIN", domain)]);
        let domain = domain.trim_start_matches('.').to_lowercase();
        assert_eq!(config.cookies.domain, Some(domain));
        assert!(config.warnings().iter().any(|warning| warning.contains("cookies.domain")));
    }
    for domain in
        ["com", "localhost", "127.0.0.1", "[::1]", "example.com.", "a b.com", "x;y.com", "..com"]
    {
        refused("", "release", &[PUBLIC, ("DOORWARD_COOKIES_DOMAIN", domain)], &["cookies.domain"]);
    }
    for domain in ["example.org", "wiki.example.com", "ample.com", "gin.example.com"] {
        let env = [PUBLIC, ("DOORWARD_COOKIES_DOMAIN", domain)];
        refused("", "release", &env, &["cookies.domain", "is not in"]);
    }
}

#[test]
fn rules_that_nobody_may_ask_for_are_told() {
    let rules = r#"[{"host": "login.example.com", "allow": "wiki:write"}]"#;
    let config = read("", "release", &[PUBLIC, ("DOORWARD_ACCESS_RULES", rules)]).expect("good");
    let told = config.warnings().join("\n");
    assert!(told.contains("proxies.trusted"), "{told}");
}
