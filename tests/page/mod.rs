//! The pages, as people use and misuse them, without a browser.

mod admin;
mod delete;
mod docs;
mod error;
mod isolation;
mod login;
mod profile;
mod reauthenticate;
mod register;
mod session;
mod setup;
mod stale;
mod submission;

use rocket::http::Method;

use crate::app::*;

/// Sends a form as our own page does, with `token` as its form token, if any.
async fn post(visitor: &Visitor, to: &str, token: Option<&str>, fields: &[(&str, &str)]) -> Answer {
    let mut fields = fields.to_vec();
    fields.extend(token.map(|token| ("csrf_token", token)));
    let ask = visitor.ask(Method::Post, to).header("Sec-Fetch-Site", "same-origin");
    ask.form(&fields).send().await
}

/// The form token of the page at `path`.
async fn form_token(visitor: &Visitor, path: &str) -> String {
    visitor.get(path).await.expect(200).hidden("csrf_token")
}

/// Tries the form at `at`, sent to `to`, with every wrong form token there is, and from other
/// sites. `foreign` is a token that was issued to somebody else.
async fn expect_only_own_forms(
    visitor: &Visitor,
    at: &str,
    to: &str,
    fields: &[(&str, &str)],
    foreign: &str,
) {
    let good = form_token(visitor, at).await;
    let bent: String = good.chars().rev().collect();
    for token in [None, Some(""), Some("a.b"), Some(&*bent), Some(foreign)] {
        let refused = post(visitor, to, token, fields).await.expect(403);
        let shown_again = refused.text().contains("This form had expired");
        assert!(
            shown_again || refused.text().contains("You cannot do this"),
            "{to} with {token:?}"
        );
        assert_eq!(refused.header("Set-Cookie"), None, "{to} with {token:?}");
    }
    let mut fields = fields.to_vec();
    fields.push(("csrf_token", &good));
    let origins = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ];
    for (name, value) in origins {
        let ask = visitor.ask(Method::Post, to).header(name, value);
        let refused = ask.form(&fields).send().await.expect(403);
        assert_eq!(refused.header("Set-Cookie"), None, "{to} with {name}: {value}");
    }
    fields.push(("csrf_token", &good));
    visitor.ask(Method::Post, to).form(&fields).send().await.expect(403);
}

/// Sends what no page of ours sends to `to`; `fields` is what a good form has.
async fn expect_strict_forms(visitor: &Visitor, at: &str, to: &str, fields: &[(&str, &str)]) {
    let token = form_token(visitor, at).await;
    let with = |extra: &[(&'static str, &'static str)]| {
        let mut all = fields.to_vec();
        all.extend(extra.iter().copied());
        all
    };
    post(visitor, to, Some(&token), &with(&[("roles[]", "admin")])).await.expect(422);
    let long = "a".repeat(17 * 1024);
    let mut large = fields.to_vec();
    large.push(("csrf_token", &token));
    large.push(("more", &long));
    let ask = |kind: &str, body: Vec<u8>| {
        let ask = visitor.ask(Method::Post, to).header("Sec-Fetch-Site", "same-origin");
        ask.body(kind, body)
    };
    let form = "application/x-www-form-urlencoded";
    visitor.ask(Method::Post, to).form(&large).send().await.expect(413);
    for kind in ["text/plain", "application/json", "multipart/form-data; boundary=x"] {
        ask(kind, b"csrf_token=x".to_vec()).send().await.expect(415);
    }
    let bad = format!("csrf_token={token}&email=%ff%fe");
    ask(form, bad.into_bytes()).send().await.expect(400);
    let raw = [format!("csrf_token={token}&email=").into_bytes(), vec![0xff]].concat();
    ask(form, raw).send().await.expect(400);
    let many = vec![("a", "b"); 101];
    post(visitor, to, Some(&token), &many).await.expect(400);
}

impl Answer {
    /// The text with the references of HTML resolved, to look for what a person reads.
    fn reading(&self) -> String {
        let references = [
            ("&#x2F;", "/"),
            ("&#x27;", "'"),
            ("&#39;", "'"),
            ("&quot;", "\""),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&amp;", "&"),
        ];
        references.iter().fold(self.text(), |text, (from, to)| text.replace(from, to))
    }

    /// What stands beside the field `name` because it needs attention.
    fn fault(&self, name: &str) -> Option<String> {
        let text = self.reading();
        let rest = text.split(&format!("id=\"e-{name}\">")).nth(1)?;
        Some(rest.split("</p>").next().unwrap_or_default().to_owned())
    }

    /// What the field `name` holds.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let text = self.reading();
        let tag = text.split("<input").find(|tag| tag.contains(&format!(" name=\"{name}\"")));
        let tag = tag.unwrap_or_else(|| panic!("no field {name} in {text}"));
        let value = tag.split(" value=\"").nth(1).unwrap_or_default();
        value.split('"').next().unwrap_or_default().to_owned()
    }

    /// The identifiers between `before` and `after` on the page, each once.
    fn between(&self, before: &str, after: &str) -> Vec<String> {
        let text = self.reading();
        let parts = text.split(before).skip(1);
        let mut found: Vec<String> =
            parts.filter_map(|part| Some(part.split_once(after)?.0.to_owned())).collect();
        found.dedup();
        found
    }

    /// Fails unless the page says `what`.
    #[track_caller]
    pub fn says(&self, what: &str) -> &Self {
        let text = self.reading();
        assert!(text.contains(what), "no {what:?} in {text}");
        self
    }

    /// Fails if the page says `what`.
    #[track_caller]
    pub fn never_says(&self, what: &str) -> &Self {
        let text = self.reading();
        assert!(!text.contains(what), "{what:?} in {text}");
        self
    }
}
