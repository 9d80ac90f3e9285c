//! What the rules decide.

mod reading;
mod spelling;

use super::*;

fn rule(host: &str, path: &str, methods: &[&str], allow: &str) -> Rule {
    let spec = RuleSpec {
        host: host.into(),
        path: Some(path.into()),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        allow: allow.into(),
        audience: None,
    };
    Rule::read(&spec, "https").unwrap_or_else(|what| panic!("{what}"))
}

#[test]
fn no_new_role_is_called_like_a_word_of_the_rules() {
    for word in [Requirement::Nothing, Requirement::SignedIn].map(|word| word.to_string()) {
        let name = crate::role::RoleName::parse(&word);
        assert!(name.is_some_and(|name| name.is_reserved()), "{word}");
    }
}

fn access() -> Access {
    let rules = vec![
        rule("app.example.org", "/", &["OPTIONS"], "public"),
        rule("app.example.org", "/health$", &[], "public"),
        rule("app.example.org", "/assets", &["GET"], "public"),
        rule("app.example.org", "/admin/help", &[], "signed_in"),
        rule("app.example.org", "/admin", &[], "users:read"),
        rule("app.example.org", "/teams/*/settings", &[], "roles:read"),
        rule("app.example.org", "/", &[], "signed_in"),
        rule("*.apps.example.org:8443", "/", &[], "signed_in"),
        rule("half.example.org", "/only", &[], "signed_in"),
    ];
    Access::new(rules, "https")
}

fn ask(method: &str, host: &str, target: &str) -> String {
    let asked = Asked { method, scheme: "https", host, target };
    match access().demand(&asked) {
        Ok(demand) => demand.to_string(),
        Err(Refusal::Ambiguous) => "ambiguous".to_owned(),
        Err(Refusal::Odd(_)) => "odd".to_owned(),
        Err(Refusal::NoRule) => "nobody".to_owned(),
        Err(Refusal::Unreadable(_)) => "unreadable".to_owned(),
    }
}

fn get(target: &str) -> String {
    ask("GET", "app.example.org", target)
}

/// The rules of an app that keep `path` for some.
fn guarded(path: &str) -> Access {
    let rules = vec![
        rule("app.example.org", "/public", &[], "public"),
        rule("app.example.org", path, &[], "users:read"),
        rule("app.example.org", "/", &[], "signed_in"),
    ];
    Access::new(rules, "https")
}

/// Whom these rules let in: `all` who are signed in, `admins`, who hold `users:read`, or `nobody`.
fn who(access: &Access, target: &str) -> &'static str {
    let asked = Asked { method: "GET", scheme: "https", host: "app.example.org", target };
    let Ok(demand) = access.demand(&asked) else { return "nobody" };
    let admin = BTreeSet::from([Permission::parse("users:read").unwrap()]);
    match (demand.admit(&BTreeSet::new()), demand.admit(&admin)) {
        (Ok(()), _) => "all",
        (Err(_), Ok(())) => "admins",
        (Err(_), Err(_)) => "nobody",
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    for (method, target, expected) in [
        ("GET", "/", "signed_in"),
        ("GET", "/health", "public"),
        ("GET", "/health/", "public"),
        ("GET", "/health/more", "signed_in"),
        ("GET", "/healthy", "signed_in"),
        ("GET", "/assets/app.css?v=1", "public"),
        ("HEAD", "/assets/app.css", "public"),
        ("POST", "/assets/app.css", "signed_in"),
        ("OPTIONS", "/admin", "public"),
        ("GET", "/admin", "users:read"),
        ("GET", "/admin/", "users:read"),
        ("GET", "/admin/x/y?next=/assets", "users:read"),
        ("GET", "/%61dmin", "users:read"),
        ("GET", "/admin/help/me", "signed_in"),
        ("GET", "/administrator", "signed_in"),
        ("GET", "/teams/7/settings/x", "roles:read"),
        ("GET", "/teams/7/members", "signed_in"),
        ("PROPFIND", "/x", "signed_in"),
    ] {
        assert_eq!(ask(method, "app.example.org", target), expected, "{method} {target}");
    }
}

#[test]
fn what_no_rule_names_nobody_may_reach() {
    for host in ["evil.example", "example.org", "x.app.example.org", "app.example.org.evil.example"]
    {
        assert_eq!(ask("GET", host, "/"), "nobody", "{host}");
    }
    assert_eq!(ask("GET", "half.example.org", "/"), "nobody");
    assert_eq!(ask("GET", "half.example.org", "/only/this"), "signed_in");
    assert_eq!(ask("GET", "half.example.org", "/%2fonly"), "ambiguous");
}

#[test]
fn hosts_have_one_spelling_and_a_port_counts() {
    for (host, expected) in [
        ("APP.example.org", "signed_in"),
        ("app.example.org:443", "signed_in"),
        ("app.example.org:8443", "nobody"),
        ("one.apps.example.org:8443", "signed_in"),
        ("one.apps.example.org", "nobody"),
        ("a.b.apps.example.org:8443", "nobody"),
        ("apps.example.org:8443", "nobody"),
        ("app.example.org.", "unreadable"),
        ("app.example.org/x", "unreadable"),
        ("me@app.example.org", "unreadable"),
        ("app.example.org, evil.example", "unreadable"),
        ("app.example.org:99999", "unreadable"),
        ("", "unreadable"),
    ] {
        assert_eq!(ask("GET", host, "/x"), expected, "{host}");
    }
}

#[test]
fn where_a_reading_makes_no_difference_it_does_not_count() {
    for target in [
        "/wiki/Z%C3%BCrich",
        "/projects/group%2Fname/files",
        "/page;v=2/x",
        "/q/a//b",
        "/caf%c3%a9",
        "/100%25",
        "/x/Y/z",
        "/files/a%20b.txt",
        "/wiki/a:b",
        "/x/...",
        "/x/..hidden",
        "/%C3%BC",
        "/x?..=/../admin",
    ] {
        assert_eq!(get(&format!("/docs{target}")), "signed_in", "{target}");
    }
    assert_eq!(get("/admin/a%2fb"), "users:read");
    assert_eq!(get("/admin/users/x/a%2fb"), "users:read");
    for target in ["", "admin", "*", ":/admin", "https://app.example.org/"] {
        assert_eq!(get(target), "unreadable", "{target}");
    }
}

#[test]
fn odd_methods_and_schemes_are_unreadable() {
    for method in ["", "get", "GET ", "GET\r\n", "G3T", "A".repeat(33).as_str()] {
        assert_eq!(ask(method, "app.example.org", "/"), "unreadable", "{method:?}");
    }
    let plain = Asked { method: "GET", scheme: "http", host: "app.example.org", target: "/" };
    assert!(matches!(access().demand(&plain), Err(Refusal::Unreadable(_))));
}

#[test]
fn a_demand_names_the_page_and_the_audience() {
    let asked = Asked {
        method: "GET",
        scheme: "https",
        host: "APP.example.org:443",
        target: "/a%20b?x=%27",
    };
    let access = access();
    let demand = access.demand(&asked).unwrap();
    assert_eq!(demand.page, "https://app.example.org/a%20b?x=%27");
    assert_eq!(&*demand.audience, "https://app.example.org");
}

#[test]
fn sr_26_nobody_is_sent_to_a_site_that_no_rule_names() {
    let access = access();
    for (asked, expected) in [
        ("https://app.example.org/x?y=1#z", Some("https://app.example.org/x?y=1#z")),
        ("https://app.example.org", Some("https://app.example.org/")),
        ("https://APP.example.org:443/", Some("https://app.example.org/")),
        ("https://one.apps.example.org:8443/", Some("https://one.apps.example.org:8443/")),
    ] {
        assert_eq!(access.page(asked).as_deref(), expected, "{asked}");
    }
    for evil in [
        "https://evil.example/",
        "https://app.example.org.evil.example/",
        "https://app.example.org@evil.example/",
        "https://app.example.org:8443/",
        "https://user@app.example.org/",
        "https://a:b@app.example.org/",
        "http://app.example.org/",
        "https:app.example.org/",
        "https:/app.example.org/",
        "https:///app.example.org/",
        "https:\\\\app.example.org/",
        "https://app.example.org\\@evil.example/",
        "https://app.example.org%2f@evil.example/",
        "https://evil.example#@app.example.org/",
        "https://evil.example?@app.example.org/",
        "//app.example.org/",
        "javascript://app.example.org/%0aalert(1)",
        "data:text/html,x",
        " https://app.example.org/",
        "https://app.example.org/\r\nX: y",
        "https://app.\texample.org/",
        "https://a.b.apps.example.org:8443/",
        "",
    ] {
        assert_eq!(access.page(evil), None, "{evil:?}");
    }
}

#[test]
fn a_rule_that_is_none_says_what_is_wrong() {
    let spec = |host: &str, path: &str, method: &str, allow: &str| RuleSpec {
        host: host.into(),
        path: Some(path.into()),
        methods: vec![method.into()],
        allow: allow.into(),
        audience: None,
    };
    for (host, path, method, allow, word) in [
        ("", "/", "GET", "public", "host"),
        ("*", "/", "GET", "public", "host"),
        ("*.org", "/", "GET", "public", "host"),
        ("https://app.example.org", "/", "GET", "public", "host"),
        ("app.example.org/x", "/", "GET", "public", "host"),
        ("a b", "/", "GET", "public", "host"),
        ("app.example.org", "admin", "GET", "public", "path"),
        ("app.example.org", "/a//b", "GET", "public", "path"),
        ("app.example.org", "/a/../b", "GET", "public", "path"),
        ("app.example.org", "/a%2fb", "GET", "public", "path"),
        ("app.example.org", "/a*", "GET", "public", "path"),
        ("app.example.org", "/", "get", "public", "method"),
        ("app.example.org", "/", "GET", "everybody", "permission"),
        ("app.example.org", "/", "GET", "users:", "permission"),
    ] {
        let told = Rule::read(&spec(host, path, method, allow), "https").expect_err(host);
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn a_rule_that_can_never_decide_is_noticed() {
    let all = rule("app.example.org", "/", &[], "public");
    for (earlier, later, covered) in [
        (&all, rule("app.example.org", "/admin", &[], "users:read"), true),
        (&all, rule("other.example.org", "/admin", &[], "users:read"), false),
        (&rule("app.example.org", "/", &["GET"], "public"), all.clone(), false),
        (&rule("*.example.org", "/", &[], "public"), all.clone(), true),
        (
            &rule("app.example.org", "/a/*", &[], "public"),
            rule("app.example.org", "/a/b/c", &["GET"], "a:b"),
            true,
        ),
        (
            &rule("app.example.org", "/a$", &[], "public"),
            rule("app.example.org", "/a", &[], "a:b"),
            false,
        ),
    ] {
        assert_eq!(earlier.covers(&later), covered, "{earlier} {later}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_page_is_let_through_is_on_a_host_of_the_rules(asked in "https://[a-z.@:/\\\\#?%]{0,30}app\\.example\\.org[/@:.a-z]{0,10}") {
        if let Some(page) = access().page(&asked) {
            let url = Url::parse(&page).unwrap();
            proptest::prop_assert_eq!(url.host_str(), Some("app.example.org"));
        }
    }
}
