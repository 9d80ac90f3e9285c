//! What the rules decide, and what gets around none of them.

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
        Ok(demand) => demand.requirement.to_string(),
        Err(Refusal::Ambiguous) => "ambiguous".to_owned(),
        Err(Refusal::NoRule) => "nobody".to_owned(),
        Err(Refusal::Unreadable(_)) => "unreadable".to_owned(),
    }
}

fn get(target: &str) -> String {
    ask("GET", "app.example.org", target)
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

/// Paths that some app takes for one below `/admin`, `/assets` or `/health`, and some do not.
#[rustfmt::skip]
const SPELLINGS: &[&str] = &[
    // Another case: to some apps it is the same page.
    "/ADMIN",
    "/Admin/x",
    "/aDmin/help",
    "/Assets/x",
    "/HEALTH",
    // Dot segments, in every wrapping.
    "/assets/../admin",
    "/assets/%2e%2e/admin",
    "/assets/%252e%252e/admin",
    "/assets/..;/admin",
    "/assets/..%2fadmin",
    "/assets/..%5cadmin",
    "/assets/.%2e/admin",
    "/./admin",
    "/admin/.",
    "/assets/%c0%ae%c0%ae/admin",
    "/assets/%ef%bc%8e%ef%bc%8e/admin",
    "/x/..",
    "/..",
    // What some merge, cut or split, and some do not.
    "//admin",
    "/assets//../admin",
    "/%2fadmin",
    "/%5cadmin",
    "/\\admin",
    "/;x/admin",
    "/admin;x=1",
    "/admin;x/help",
    "/admin%2fhelp",
    "/admin%20",
    "/admin.",
    "/admin%00",
    "/admin::$DATA",
    "/admin%252fhelp",
    "/assets;/x",
    "/assets%2f..%2fadmin",
    "/%u0061dmin",
    "/admin%",
    "/%zz",
    "/%61dm%69n;",
    "/ADMIN/help",
    "/teams/%2e%2e/settings",
    "/\u{e4}",
    "/a b",
    "/admin#x",
    "/teams/a%2fb/settings",
    "/%25%32%65%25%32%65/admin",
    "/%2525252e%2525252e/admin",
    "/admin~1",
    "/adm~1",
    "/:/admin",
    "/%20/admin",
    "/%ef%bd%81dmin",
    "/help%20/%2e%2e",
];

#[test]
fn no_spelling_of_a_path_is_a_way_around_a_rule() {
    for target in SPELLINGS {
        assert_eq!(get(target), "ambiguous", "{target}");
    }
    for target in ["", "admin", "*", ":/admin", "https://app.example.org/"] {
        assert_eq!(get(target), "unreadable", "{target}");
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
    assert_eq!(get("/admin/a%2fb"), "ambiguous", "it could be below /admin/help");
    assert_eq!(get("/admin/users/x/a%2fb"), "users:read");
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
    let demand = access().demand(&asked).unwrap();
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

/// What the most generous app makes of a path: all that some app decodes, merges, cuts or folds.
fn as_the_most_generous_app_reads(target: &str) -> Vec<String> {
    let mut text = target.to_owned();
    for _ in 0..4 {
        let bytes = percent_decode(&text);
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in text.replace('\\', "/").split('/') {
        let name = segment.split([';', ':']).next().unwrap_or_default().to_lowercase();
        match name.as_str() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other.trim_end_matches([' ', '.']).to_owned()),
        }
    }
    segments
}

/// Decodes what is encoded, and leaves what only looks so.
fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let value = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value.filter(|_| *byte == b'%') {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

proptest::proptest! {
    #[test]
    fn nothing_below_admin_is_ever_reached_without_its_permission(
        target in "(/|/|/|%2f|%5c|%252f|;|:|\\.|\\.\\.|%2e|%252e|%25|admin|ADMIN|%61|dmin|help|assets|x|%20){0,8}",
        method in "GET|POST|HEAD",
    ) {
        let target = format!("/{target}");
        let verdict = ask(&method, "app.example.org", &target);
        let read = as_the_most_generous_app_reads(&target);
        let help = read.get(1).is_some_and(|second| second == "help");
        if read.first().is_some_and(|first| first == "admin") && !help {
            let closed = ["users:read", "ambiguous", "nobody", "unreadable"];
            proptest::prop_assert!(closed.contains(&verdict.as_str()), "{target}: {verdict}");
        }
    }

    #[test]
    fn whatever_page_is_let_through_is_on_a_host_of_the_rules(asked in "https://[a-z.@:/\\\\#?%]{0,30}app\\.example\\.org[/@:.a-z]{0,10}") {
        if let Some(page) = access().page(&asked) {
            let url = Url::parse(&page).unwrap();
            proptest::prop_assert_eq!(url.host_str(), Some("app.example.org"));
        }
    }
}
