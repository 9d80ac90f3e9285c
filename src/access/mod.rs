//! Who may reach which page of the apps behind the proxies: the operator's rules, the first of which
//! that fits decides. What no rule names, nobody may reach.

mod fit;
mod letters;
mod path;
mod rule;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use url::Url;

use crate::error::Result;
use crate::role::Permission;
use path::Path;

pub use fit::{Doubt, Doubts};
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

/// A rule that a request to an app may fall under.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its number in the configuration, counted from 1.
    pub number: usize,
    /// The rule.
    pub rule: &'a Rule,
    /// Why the request may fall under it and may not; none, if it does by every reading.
    pub doubts: Doubts,
}

/// What a request to an app needs: all that the rules ask for under which it may fall.
#[derive(Clone, Debug)]
pub struct Demand<'a> {
    /// Those rules, in their order. The last is the one that it falls under as it stands there.
    pub candidates: Vec<Candidate<'a>>,
    /// The `aud` of the identity token for the app.
    pub audience: Arc<str>,
    /// Where the browser finds the page again.
    pub page: String,
}

impl Demand<'_> {
    /// Whether everybody may make the request, signed in or not.
    pub fn is_public(&self) -> bool {
        self.requirements().all(|requirement| *requirement == Requirement::Nothing)
    }

    /// Lets a person with these permissions pass if they may, whichever of the rules it is.
    ///
    /// # Errors
    /// [`crate::error::Error::PermissionDenied`].
    pub fn admit(&self, granted: &BTreeSet<Permission>) -> Result<()> {
        self.requirements().try_for_each(|requirement| requirement.admit(granted))
    }

    fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.candidates.iter().map(|candidate| &candidate.rule.requirement)
    }
}

impl fmt::Display for Demand<'_> {
    /// All permissions that are asked for: `roles:read, users:read`; without any, `signed_in` or `public`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut asked: Vec<String> = self
            .requirements()
            .filter(|requirement| matches!(requirement, Requirement::Permission(_)))
            .map(Requirement::to_string)
            .collect();
        asked.sort();
        asked.dedup();
        match (asked.is_empty(), self.is_public()) {
            (false, _) => f.write_str(&asked.join(", ")),
            (true, true) => Requirement::Nothing.fmt(f),
            (true, false) => Requirement::SignedIn.fmt(f),
        }
    }
}

/// Why a request to an app is refused for every person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The proxy did not say, or not in a way that can be read, what was asked for.
    #[error("{0}")]
    Unreadable(&'static str),
    /// No rule lets anybody reach this.
    #[error("no access rule names this address")]
    NoRule,
    /// The path is one that no browser sends: what is odd about it.
    #[error("this address can be read in more than one way: {0}")]
    Odd(&'static str),
    /// By some reading of the path no rule lets anybody reach it, or the rules that it may fall under
    /// are for different audiences.
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
    /// A path that can be read in more than one way (an encoded slash, an empty segment, another case,
    /// another ending) needs all that the rules ask for which it could fall under, so that no spelling is
    /// a way around a rule.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn demand(&self, asked: &Asked<'_>) -> Result<Demand<'_>, Refusal> {
        let host = self.host(asked)?;
        let candidates = self.of_host(&host, asked)?;
        let Some(decides) = candidates.last() else { return Err(Refusal::NoRule) };
        let audience = decides.rule.audience_of(&host, &self.scheme);
        // One of two apps on a host is not handed a token for the other.
        let one_audience = |other: &Candidate<'_>| decides.rule.is_for_the_same_app(other.rule);
        if !decides.doubts.is_empty() || !candidates.iter().all(one_audience) {
            return Err(Refusal::Ambiguous);
        }
        let page = format!("{}://{host}{}", self.scheme, asked.target);
        let page = Url::parse(&page).map_err(|_| Refusal::Unreadable("the address is not one"))?;
        Ok(Demand { candidates, audience, page: page.into() })
    }

    /// The rules that the request may fall under, in their order, to the first that it certainly falls
    /// under. If there is none such, some reading of the path is one that no rule names.
    ///
    /// # Errors
    /// [`Refusal`], where the request cannot be read.
    pub fn candidates(&self, asked: &Asked<'_>) -> Result<Vec<Candidate<'_>>, Refusal> {
        self.of_host(&self.host(asked)?, asked)
    }

    fn of_host(&self, host: &str, asked: &Asked<'_>) -> Result<Vec<Candidate<'_>>, Refusal> {
        let path = Path::read(asked.target).map_err(Refusal::Odd)?;
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        for (number, rule) in (1..).zip(&self.rules) {
            if !rule.is_about(host, asked.method) {
                continue;
            }
            let Some(doubts) = rule.fits(&path) else { continue };
            let decides = doubts.is_empty();
            if decides {
                // Who names a path with its ending has thought of it.
                let settled = |doubt: &Doubt| matches!(doubt, Doubt::Ending(at) if rule.names(*at));
                candidates.retain(|other| !other.doubts.iter().all(settled));
            }
            candidates.push(Candidate { number, rule, doubts });
            if decides {
                break;
            }
        }
        Ok(candidates)
    }

    /// The host of the request, if the request can be read at all.
    fn host(&self, asked: &Asked<'_>) -> Result<String, Refusal> {
        if !is_method(asked.method) {
            return Err(Refusal::Unreadable("the method is not one of HTTP"));
        }
        if asked.scheme != self.scheme {
            return Err(Refusal::Unreadable("the scheme is not that of public_url"));
        }
        if asked.target.len() > MAX_TARGET || !asked.target.starts_with('/') {
            return Err(Refusal::Unreadable("the address is not a path"));
        }
        let host = Host::literal(asked.host, &self.scheme);
        host.ok_or(Refusal::Unreadable("the host is not one"))
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
