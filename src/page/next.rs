//! Where to go after signing in: only ever a place of this site, or of an app that the operator's
//! access rules name (SR-26), and never one of ours that shows no page.

use rocket::request::{FromRequest, Outcome, Request};
use rocket::{Orbit, Rocket, State};
use url::Url;

use crate::access::Access;
use crate::guard::csrf::PublicOrigin;
use crate::guard::route;
use crate::reloadable::Reloadable;

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

/// The places that a `next` can lead to.
pub struct Places<'r> {
    rocket: &'r Rocket<Orbit>,
    access: &'r State<Reloadable<Access>>,
    origin: &'r State<PublicOrigin>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Places<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let rocket = request.rocket();
        match State::get(rocket).zip(State::get(rocket)) {
            Some((access, origin)) => Outcome::Success(Self { rocket, access, origin }),
            None => Outcome::Error((rocket::http::Status::InternalServerError, ())),
        }
    }
}

impl Places<'_> {
    /// The path of this site that `asked` names, unless it is one of ours that shows no page;
    /// `None` for anything else.
    pub fn path(&self, asked: &str) -> Option<String> {
        local_path(asked).filter(|path| route::opens(self.rocket, path))
    }

    /// The place that `asked` names: as [`Places::path`], or a page of an app.
    pub fn place(&self, asked: &str) -> Option<String> {
        if asked.starts_with('/') {
            return self.path(asked);
        }
        let page = self.access.get().page(asked)?;
        // An app may be below a path of our own host.
        match page.strip_prefix(&self.origin.0).filter(|rest| rest.starts_with('/')) {
            Some(path) => route::opens(self.rocket, path).then_some(page),
            None => Some(page),
        }
    }

    /// Where a `next` leads that may name a path of this site.
    pub fn path_to_go(&self, next: Option<&str>) -> String {
        to_one_of(next, |asked| self.path(asked))
    }

    /// Where a `next` leads that may also name a page of an app.
    pub fn place_to_go(&self, next: Option<&str>) -> String {
        to_one_of(next, |asked| self.place(asked))
    }
}

/// The place that `next` names. A place that is not ours to send to gives way to the first page, and one
/// of ours that shows no page to the profile, as if nothing had been asked for.
fn to_one_of(next: Option<&str>, known: impl Fn(&str) -> Option<String>) -> String {
    let Some(asked) = next.filter(|next| !next.is_empty()) else { return "/profile".to_owned() };
    let otherwise = if local_path(asked).is_some() { "/profile" } else { "/" };
    known(asked).unwrap_or_else(|| otherwise.to_owned())
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
        assert_eq!(to_one_of(None, local_path), "/profile");
        assert_eq!(to_one_of(Some("//evil.example"), local_path), "/");
        assert_eq!(to_one_of(Some("/logout"), |_| None), "/profile");
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
