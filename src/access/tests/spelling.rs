//! No spelling of a path is a way around a rule.

use std::time::{Duration, Instant};

use super::{guarded, rule, who};
use crate::access::*;

/// Spellings of `admin` as a segment, each of which some system takes for it.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    // Case, and the pairs of case that leave ASCII.
    "ADMIN", "Admin", "aDmIn", "adm%c4%b1n", "adm%C4%B0n", "ADM%C4%B0N", "ADM%c4%b1N",
    // Compatibility forms: full width, circled, mathematical, superscript.
    "%ef%bd%81dmin", "%EF%BC%A1dmin", "%e2%93%90dmin", "%f0%9d%90%9admin", "%f0%9d%9a%8admin", "%c2%aadmin", "adm%e2%81%b1n",
    "%ef%bd%81%ef%bd%84%ef%bd%8d%ef%bd%89%ef%bd%8e",
    // Accents, composed and not, strokes, and letters of the code pages of Windows.
    "%c3%a1dmin", "a%cc%81dmin", "adm%c3%adn", "a%c4%91min", "%c3%84DMIN", "%ce%b1dmin", "a%ce%b4min",
    // What nobody sees.
    "adm%e2%80%8bin", "adm%c2%adin", "%ef%bb%bfadmin", "admin%e2%80%8d", "a%cd%8fdmin", "adm%e2%81%a0in", "adm%ef%b8%8fin",
    "adm%f3%a0%81%81in", "adm%e1%a0%8ein", "ad%e2%80%aemin", "admin%e3%85%a4", "adm%ef%bf%bdin",
    // Encoded more often than once.
    "%2561dmin", "%25%36%31dmin", "%252561dmin", "%25u0061dmin", "adm%25c4%25b1n", "%2541DMIN", "adm%25c2%25adin",
    // What follows is a parameter, a query, a fragment, an argument or a stream to some.
    "admin;", "admin;x", "admin;x=1", "admin%3b", "admin%3Bx", "admin%253bx", "admin;%25", "admin%3f", "admin%3fx",
    "admin%3fx.php", "admin%253fx", "admin%23", "admin%23x", "admin%2523x", "admin%26x=1", "admin&x=1", "admin:x",
    "admin::$DATA", "admin%3a%3a$DATA", "admin:$i30:$INDEX_ALLOCATION", "admin%ef%bc%9bx", "admin%ef%bc%9fx",
    "admin%ef%bc%83x", "admin%cd%bex", "admin%ef%b9%96x", "admin%ef%b9%9fx", "admin;a%2fb", "admin%3fa%2fb",
    // Dots and blanks around it.
    "admin.", "admin..", "admin%20", "admin%20.", "%20admin", "admin%2e", "admin%252e", "admin+", "+admin", "admin%c2%a0",
    "admin%e3%80%80", "admin%e3%80%82", "admin%e2%80%a4", "admin%ef%bc%8e", "admin%e2%80%a6",
    // Endings.
    "admin.json", "admin.html", "admin.php", "admin.xml", "admin.anything", "admin.tar.gz", "admin%2ejson", "ADMIN.JSON",
    "admin.json;x", "admin.php%3fx", "adm%c4%b1n.json", "admin.1", "admin%ef%bc%8ejson", "admin.%20", "admin.json%20",
    // Short names.
    "admin~1", "ADM~1", "adm~2", "AD1B2C~1", "admin~1.php",
];

/// Places for such a word, in each of which some system finds it at the beginning of the path.
#[rustfmt::skip]
const PLACES: &[&str] = &[
    "/@", "/@/", "/@/x", "/@//", "/@?q=/public", "//@", "///@", "/%2f@", "/%5c@", "/\\@", "/%252f@", "/;/@", "/;x/@", "/%3b/@",
    "/%20/@", "/:/@", "/.../@", "/%e2%80%8b/@", "/%ef%bc%8f@", "/%e2%88%95@", "/%e2%81%84@", "/%ef%bc%bc@", "/%ef%b9%a8@",
    "/%ef%bc%852f@", "/%25ef%25bc%258f@", "/@%2fx", "/@%2f", "/@%5cx", "/@\\x", "/@%ef%bc%8fx", "/@%e2%88%95x", "/@%252fx", "/@%255cx",
    "//example.org/@", "//example.org/@/x", "/%2fexample.org/@", "/\\example.org/@", "/index.php/@", "/index.php/@/x",
    "/INDEX.PHP/@", "/index.php;x/@", "/app.cgi/@", "/index%2ephp/@", "/index.php//@",
];

/// Paths that no browser sends, or that are broken.
#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "/public/../admin", "/public/%2e%2e/admin", "/public/%252e%252e/admin", "/public/..;/admin", "/public/..%3bx/admin",
    "/public/..%2fadmin", "/public/..%5cadmin", "/public/..\\admin", "/public/.%2e/admin", "/public/%2e./admin", "/./admin",
    "/admin/.", "/x/..", "/..", "/.", "/public/%c0%ae%c0%ae/admin", "/public/%ef%bc%8e%ef%bc%8e/admin",
    "/public/%e2%80%a4%e2%80%a4/admin", "/public/%e2%80%a5/admin", "/public/%e3%80%82%e3%80%82/admin",
    "/public/.%e2%80%8b./admin", "/public/.%c2%ad./admin", "/public/..%20/admin", "/public/%20../admin", "/public/..%3f/admin",
    "/public/..%23/admin", "/public/..:x/admin", "/public/%252e%252e%252fadmin", "/public/..%252fadmin", "/public/..%ef%bc%8fadmin",
    "/public%2f..%2fadmin", "/help%20/%2e%2e", "/admin/help/..", "/%25%32%65%25%32%65/admin", "/%2525252e%2525252e/admin",
    "/%252525252561dmin", "/admin%00", "/admin%00.png", "/%00admin", "/admin%2500", "/admin%0a", "/admin%0d%0aX:%20y", "/admin%09",
    "/admin%7f", "/admin%c2%85", "/admin%250a", "/%u0061dmin", "/admin%", "/admin%6", "/%zz", "/%61dm%69n%", "/admin%ff", "/admin%c3",
    "/%c1%a1dmin", "/%e0%81%a1dmin", "/%f0%80%81%a1dmin", "/%25c1%25a1dmin", "/%c0%afadmin", "/%25c0%25afadmin", "/%ed%a0%80admin",
    "/\u{e4}", "/a b", "/admin#x", "/\u{131}",
];

#[test]
fn no_spelling_of_a_path_is_a_way_around_a_rule() {
    let access = guarded("/admin");
    for word in [&["admin", "%61dmin"], WORDS].concat() {
        for place in PLACES {
            let target = place.replace('@', word);
            assert_eq!(who(&access, &target), "admins", "{target}");
        }
    }
    for target in REFUSED {
        assert_eq!(who(&access, target), "nobody", "{target}");
    }
}

#[test]
fn no_spelling_is_a_way_around_a_rule_for_one_path_alone() {
    let access = guarded("/admin$");
    for word in [&["admin", "%61dmin"], WORDS].concat() {
        // Not those that go on below it.
        for place in PLACES.iter().filter(|place| place.ends_with(['@', '/', 'c'])) {
            let target = place.replace('@', word);
            assert_eq!(who(&access, &target), "admins", "{target}");
        }
    }
    for (target, expected) in [
        ("/admin/x", "all"),
        ("/admin/x/", "all"),
        ("/admin/", "admins"),
        ("/admin//", "admins"),
        ("/admin;/x", "admins"),
        ("/admin%3f/x", "admins"),
        ("/admin/%3fx", "admins"),
        ("/admin/%3fx/y", "admins"),
        ("/admin/;x", "admins"),
        ("/admin/index.html", "admins"),
        ("/admin/INDEX.php", "admins"),
        ("/admin/default.aspx", "admins"),
        ("/admin/index", "admins"),
        ("/admin/index.html/x", "all"),
        ("/admin.json/x", "all"),
    ] {
        assert_eq!(who(&access, target), expected, "{target}");
    }
    let front = guarded("/$");
    for target in ["/", "//", "/;x", "/%3fx", "/index.html", "/%20", "/Default.aspx"] {
        assert_eq!(who(&front, target), "admins", "{target}");
    }
    assert_eq!(who(&front, "/x"), "all");
}

#[test]
#[rustfmt::skip]
fn no_spelling_is_a_way_around_a_rule_for_a_file() {
    for (path, targets) in [
        ("/admin.php", &[
            "/admin.php", "/ADMIN.PHP", "/admin.php%3fx.php", "/admin.php%23x", "/admin.php;x", "/admin.php/x", "/admin.php.",
            "/admin.php%20", "/admin.php::$DATA", "/admin%2ephp", "/admin%252ephp", "/admin", "/admin/x", "/admin.html", "/admin.json",
            "/admin.php5", "/admin.phtml", "/admin.php.bak", "/admin.php.json", "/adm%c4%b1n.php", "/admin%e2%80%8b.php",
            "/admin.p%e2%80%8bhp", "/admin%ef%bc%8ephp", "/admin.php%00", "/admin~1.php", "/ADMIN~1.PHP", "//admin.php",
            "/%2fadmin.php", "/x.php/admin.php", "/admin.php%c2%ad", "/admin.php&x", "/admin.php+",
        ][..]),
        ("/admin.php$", &["/admin.php", "/admin.php/x", "/admin.php/x/y", "/admin.php/", "/admin.php%3fx/y", "/ADMIN.PHP/x", "/admin", "/admin.html"]),
        ("/index.php", &["/index.php", "/", "//", "/index.php/x", "/index", "/index.html", "/%3fx", "/Index.PHP"]),
        ("/admin/index.php", &["/admin/", "/admin", "/ADMIN", "/admin;x", "/admin/index", "/admin/index.html", "/admin/index.php/x"]),
        ("/my-admin", &["/my-admin", "/my%c2%adadmin", "/my%e2%80%90admin", "/my%e2%88%92admin", "/my-%c2%adadmin", "/MY-ADMIN.json"]),
        ("/a+b", &["/a+b", "/a%2bb", "/A+B", "/a+b.json", "/a%EF%BC%8Bb"]),
        ("/strasse", &["/stra%c3%9fe", "/STRA%e1%ba%9eE", "/stra%C5%BF%C5%BFe"]),
        ("/keys", &["/%e2%84%aaeys", "/%E2%84%AAEYS", "/key%c5%bf", "/KEY%c5%bf"]),
        ("/office", &["/o%ef%ac%83ce", "/of%ef%ac%81ce"]),
        ("/.env", &["/.env", "/.ENV", "/.env%20", "/.env.json", "/.env;x", "/%2eenv", "/%252eenv"]),
        ("/v1.0", &["/v1.0", "/V1.0", "/v1.0.json", "/v1.0;x"]),
    ] {
        let access = guarded(path);
        for target in targets {
            assert_ne!(who(&access, target), "all", "{path}: {target}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn no_spelling_is_a_way_around_a_rule_further_down() {
    let access = guarded("/teams/*/admin");
    for word in [&["admin", "%61dmin"], WORDS].concat() {
        for place in [
            "/teams/7/@", "/teams/7/@/x", "/teams/7//@", "/teams/7%2f@", "/teams%2f7/@", "/TEAMS/7/@", "/teams/7;x/@", "/teams/a%2fb/@",
            "//teams/7/@", "/teams/7/%3b/@", "/teams//@", "/teams/%20/@", "/teams/index.php/7/@", "/teams/7/%5c@", "/teams/a%252fb/@",
            "/teams/%2f7/@", "//example.org/teams/7/@",
        ] {
            let target = place.replace('@', word);
            assert_eq!(who(&access, &target), "admins", "{target}");
        }
    }
    assert_eq!(who(&access, "/x/teams/7/admin"), "all");
}

#[test]
#[rustfmt::skip]
fn what_ordinary_apps_serve_needs_no_more_than_its_rule() {
    let rules = [
        ("/assets", "public"), ("/admin", "users:read"), ("/reports.pdf", "users:read"), ("/wiki/admin", "users:read"),
        ("/v1", "users:read"), ("/v2", "signed_in"), ("/v1.1", "signed_in"), ("/sites/example.com", "users:read"), ("/", "signed_in"),
    ];
    let rules = rules.map(|(path, allow)| rule("app.example.org", path, &[], allow));
    let access = Access::new(rules.into(), "https");
    for target in [
        "/", "/assets/app.css?v=1", "/assets/admin.css", "/wiki/Z%C3%BCrich", "/wiki/C%23", "/wiki/What%3F", "/wiki/AT%26T", "/wiki/a:b",
        "/wiki/a%2Fb", "/projects/group%2Fname", "/projects/group%2Fname/files", "/page;v=2/x", "/q/a//b", "/100%25", "/files/a%20b.txt",
        "/x/...", "/x/..hidden", "/~ada", "/~ada/x", "/users/ada@example.org", "/users/ada.lovelace", "/users/1:activate", "/v2.0",
        "/v1.1", "/v1.1/x", "/sites/example.org", "/sites/example", "/administrator", "/administrator.php", "/admins", "/x/admin", "/badmin",
        "/reports.doc.zip.x", "/report.pdf", "/src/main.py/edit", "/%E6%97%A5%E6%9C%AC", "/%C3%BC", "/caf%c3%a9",
        "/search/1+1", "/50%25%20off", "/20%25added", "/x?..=/../admin", "/index.html", "/index.php", "/index.php/x", "/a/b/c/d/e/f/g/h/i/j",
        "/api/%7B%22a%22%3A1%7D", "/data/aGVsbG8%3D", "/date/2026-01-01T00%3A00%3A00Z",
    ] {
        assert_eq!(who(&access, target), "all", "{target}");
    }
}

#[test]
fn a_rule_that_names_an_ending_decides_about_it() {
    let of = |paths: &[(&str, &str)]| {
        let rules = paths.iter().map(|(path, allow)| rule("app.example.org", path, &[], allow));
        Access::new(rules.collect(), "https")
    };
    let access = of(&[("/app", "users:read"), ("/app.js", "public"), ("/", "signed_in")]);
    assert_eq!(who(&access, "/app.js"), "all");
    assert_eq!(who(&access, "/app.css"), "admins");
    // But about no other spelling of it.
    assert_eq!(who(&access, "/APP.js"), "admins");
    assert_eq!(who(&access, "/app.js%3fx"), "admins");
    let access = of(&[("/a", "a:read"), ("/a.x", "users:read"), ("/", "signed_in")]);
    assert_eq!(who(&access, "/a.x"), "admins");
    assert_eq!(who(&access, "/A.x"), "nobody", "who holds users:read alone lacks a:read");
}

#[test]
fn a_token_for_one_of_two_apps_on_a_host_does_not_go_to_the_other() {
    let of = |path: &str, audience: Option<&str>| {
        let spec = RuleSpec {
            host: "app.example.org".into(),
            path: Some(path.into()),
            methods: Vec::new(),
            allow: "signed_in".into(),
            audience: audience.map(Into::into),
        };
        Rule::read(&spec, "https").unwrap()
    };
    let access = Access::new(vec![of("/one", Some("one")), of("/", None)], "https");
    assert_eq!(who(&access, "/one"), "all");
    assert_eq!(who(&access, "/two"), "all");
    assert_eq!(who(&access, "/ONE"), "nobody");
}

#[test]
fn a_path_that_can_be_read_in_very_many_ways_is_judged_soon() {
    let access = guarded("/admin/*/x/*/y");
    let begun = Instant::now();
    for part in ["/", "%2f", ";/", "a%2f", "a.php/", "%5c", "/%20", "%252f", "&/", "%3f", "a/"] {
        let target = format!("/{}", part.repeat(8000 / part.len()));
        assert_ne!(who(&access, &target), "admins", "{part}");
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
