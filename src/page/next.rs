//! Where to go after signing in: only ever a place of this site, or of an app that the operator's
//! access rules name (SR-26).

use url::Url;

use crate::access::Access;

/// The path that `asked` names, if it is one of this site; `None` for anything else.
///
/// Browsers read a path that begins with `//` or `/\` as another host, drop tabs and line breaks, and
/// turn `\` into `/`; so none of those gets through, and what does is what a URL parser makes of it.
pub fn local_path(asked: &str) -> Option<String> {
    let mut chars = asked.chars();
    if chars.next() != Some('/') || matches!(chars.next(), Some('/' | '\\')) {
        return None;
    }
    if asked.len() > 2048 || asked.contains('\\') || asked.chars().any(char::is_control) {
        return None;
    }
    let here = Url::parse("http://here.invalid").ok()?;
    let there = here.join(asked).ok()?;
    if there.origin() != here.origin() || there.path().starts_with("//") {
        return None;
    }
    let query = there.query().map(|query| format!("?{query}")).unwrap_or_default();
    let fragment = there.fragment().map(|part| format!("#{part}")).unwrap_or_default();
    Some(format!("{}{query}{fragment}", there.path()))
}

/// The place that `asked` names: a path of this site or a page of an app; `None` for anything else.
pub fn place(asked: &str, access: &Access) -> Option<String> {
    local_path(asked).or_else(|| access.page(asked))
}

/// Where a form's `next` leads: to a path of this site, or else to `/profile`.
pub fn destination(next: Option<&str>) -> String {
    to_one_of(next, local_path)
}

/// As [`destination`], and also to a page of an app.
pub fn place_to_go(next: Option<&str>, access: &Access) -> String {
    to_one_of(next, |asked| place(asked, access))
}

fn to_one_of(next: Option<&str>, known: impl Fn(&str) -> Option<String>) -> String {
    let asked = next.filter(|next| !next.is_empty());
    match asked {
        None => "/profile".to_owned(),
        Some(asked) => known(asked).unwrap_or_else(|| "/".to_owned()),
    }
}

/// The origin of a place of an app; `None` for a place of this site.
pub fn foreign_origin(place: Option<&str>) -> Option<String> {
    Url::parse(place?).ok().map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_26_only_paths_of_this_site_pass() {
        for (asked, expected) in [
            ("/notes?page=2#top", Some("/notes?page=2#top")),
            ("/a/../b", Some("/b")),
            ("/caf\u{e9}", Some("/caf%C3%A9")),
            ("/", Some("/")),
        ] {
            assert_eq!(local_path(asked).as_deref(), expected, "{asked}");
        }
        for evil in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "\u{2f}\u{2f}evil.example",
            "/a\\b",
            "/%0d%0a\r\nX: y",
            "evil",
            " /x",
            "/.//evil.example",
            "/..//evil.example",
            "@evil.example",
            "///evil.example",
        ] {
            assert_eq!(local_path(evil), None, "{evil:?}");
        }
        let long = format!("/{}", "x".repeat(2047));
        assert_eq!(local_path(&long), Some(long.clone()));
        assert_eq!(local_path(&format!("{long}x")), None);
        for to in
            [destination, |next: Option<&str>| place_to_go(next, &Access::new(Vec::new(), "https"))]
        {
            assert_eq!(to(None), "/profile");
            assert_eq!(to(Some("//evil.example")), "/");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_passes_stays_on_this_site(asked in "[/\\\\a-z:.@%\\t\\n?#]{0,24}") {
            if let Some(path) = local_path(&asked) {
                let site = Url::parse("https://site.example").unwrap();
                proptest::prop_assert_eq!(site.join(&path).unwrap().origin(), site.origin());
                proptest::prop_assert_eq!(local_path(&path), Some(path));
            }
        }
    }
}
