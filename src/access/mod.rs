//! Who may reach which page of the apps behind the proxies: the operator's rules, the first of which
//! that fits decides. What no rule names, nobody may reach.

mod path;
mod rule;

use std::collections::BTreeSet;
use std::sync::Arc;

use url::Url;

use crate::error::Result;
use crate::role::{self, Permission};
use path::Path;
use rule::Fit;

pub use rule::{Host, Requirement, Rule, RuleSpec};

/// Longest request target that is looked at, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// A request to an app, as its proxy tells of it.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// `https`, or `http` on this machine.
    pub scheme: &'a str,
    /// The host that was asked, with its port if that is not the scheme's own.
    pub host: &'a str,
    /// Path and query, as they came.
    pub target: &'a str,
}

/// What a request to an app needs, by the rule that fits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Who may make it.
    pub requirement: Requirement,
    /// The `aud` of the identity token for the app.
    pub audience: Arc<str>,
    /// Where the browser finds the page again.
    pub page: String,
}

impl Demand {
    /// Lets a person with these permissions pass if they may.
    ///
    /// # Errors
    /// [`crate::error::Error::PermissionDenied`].
    pub fn admit(&self, granted: &BTreeSet<Permission>) -> Result<()> {
        match &self.requirement {
            Requirement::Nothing | Requirement::SignedIn => Ok(()),
            Requirement::Permission(needed) => role::require(granted, needed.as_str()),
        }
    }
}

/// Why a request to an app is refused whoever makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The proxy did not say, or not in a way that can be read, what was asked for.
    #[error("{0}")]
    Unreadable(&'static str),
    /// No rule lets anybody reach this.
    #[error("no access rule names this address")]
    NoRule,
    /// The path is one that proxies and apps read in different ways, and that would matter here.
    #[error("this address can be read in more than one way")]
    Ambiguous,
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    rules: Vec<Rule>,
    /// The scheme under which the apps are reached: that of the sign-in page.
    scheme: String,
}

impl Access {
    /// The rules, for apps that are reached under `scheme`.
    pub fn new(rules: Vec<Rule>, scheme: impl Into<String>) -> Self {
        Self { rules, scheme: scheme.into() }
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the request needs.
    ///
    /// A path that can be read in more than one way (an encoded slash, an empty segment, another
    /// case) passes only where every rule that it could fall under demands the same, so that no
    /// spelling is a way around a rule.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn demand(&self, asked: &Asked<'_>) -> Result<Demand, Refusal> {
        if !is_method(asked.method) {
            return Err(Refusal::Unreadable("the method is not one of HTTP"));
        }
        if asked.scheme != self.scheme {
            return Err(Refusal::Unreadable("the scheme is not that of public_url"));
        }
        let host = Host::literal(asked.host, &self.scheme);
        let host = host.ok_or(Refusal::Unreadable("the host is not one"))?;
        if asked.target.len() > MAX_TARGET || !asked.target.starts_with('/') {
            return Err(Refusal::Unreadable("the address is not a path"));
        }
        let path = Path::read(asked.target).ok_or(Refusal::Ambiguous)?;
        let rule = self.deciding(&host, asked.method, &path)?;
        let page = format!("{}://{host}{}", self.scheme, asked.target);
        let page = Url::parse(&page).map_err(|_| Refusal::Unreadable("the address is not one"))?;
        Ok(Demand {
            requirement: rule.requirement.clone(),
            audience: rule.audience_of(&host, &self.scheme),
            page: page.into(),
        })
    }

    fn deciding(&self, host: &str, method: &str, path: &Path) -> Result<&Rule, Refusal> {
        let mut possible: Option<&Rule> = None;
        for rule in self.rules.iter().filter(|rule| rule.is_about(host, method)) {
            let fit = rule.fits(path);
            if fit == Fit::No {
                continue;
            }
            if possible.is_some_and(|other| !other.demands_the_same(rule)) {
                return Err(Refusal::Ambiguous);
            }
            possible = possible.or(Some(rule));
            if fit == Fit::Yes {
                return possible.ok_or(Refusal::NoRule);
            }
        }
        // Of the rules that it might fall under none has to: what is left is "nobody".
        Err(if possible.is_some() { Refusal::Ambiguous } else { Refusal::NoRule })
    }

    /// The page of an app that `asked` names, if a rule names its host; `None` for anything else, so
    /// that nobody is sent from the sign-in page to a site that the operator does not know (SR-26).
    pub fn page(&self, asked: &str) -> Option<String> {
        let plain = |c: char| !c.is_control() && c != '\\' && !c.is_whitespace();
        let authority = asked.strip_prefix(&self.scheme)?.strip_prefix("://")?;
        if asked.len() > MAX_TARGET || !asked.chars().all(plain) || authority.starts_with('/') {
            return None;
        }
        let url = Url::parse(asked).ok()?;
        let name = url.host_str()?;
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let known = url.scheme() == self.scheme
            && url.username().is_empty()
            && url.password().is_none()
            && self.rules.iter().any(|rule| rule.host.fits(&host));
        known.then(|| url.into())
    }
}

/// Whether a text is a method: upper-case letters, as all that are registered (RFC 9110 §16.1.1),
/// and the hyphen of a few.
fn is_method(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
}

#[cfg(test)]
mod tests;
