//! One rule: a host, a path, methods, and who may.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use super::fit::{Doubts, fit};
use super::is_method;
use super::path::Path;
use crate::error::Result;
use crate::role::{self, Permission};

/// A rule as an operator writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// `app.example.org`, `app.example.org:8443`, or `*.example.org` for one label in place of `*`.
    pub host: String,
    /// `/admin`: this and all below. `*` stands for one segment; `$` at the end: nothing below.
    #[serde(default)]
    pub path: Option<String>,
    /// The methods that it is about; all, if none are named. `GET` includes `HEAD`.
    #[serde(default)]
    pub methods: Vec<String>,
    /// `public`, `signed_in`, or a permission.
    pub allow: String,
    /// The `aud` of the identity token; the app's origin, if it is not given.
    #[serde(default)]
    pub audience: Option<String>,
}

/// Who may make a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Everybody.
    Nothing,
    /// Everybody who is signed in.
    SignedIn,
    /// Those who hold this permission.
    Permission(Permission),
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("public"),
            Self::SignedIn => f.write_str("signed_in"),
            Self::Permission(permission) => permission.fmt(f),
        }
    }
}

impl Requirement {
    /// Lets a person with these permissions pass if they may.
    ///
    /// # Errors
    /// [`crate::error::Error::PermissionDenied`].
    pub fn admit(&self, granted: &BTreeSet<Permission>) -> Result<()> {
        match self {
            Self::Nothing | Self::SignedIn => Ok(()),
            Self::Permission(needed) => role::require(granted, needed.as_str()),
        }
    }
}

/// Which hosts a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// This one.
    Exactly(String),
    /// All whose name is one label and then this, which begins with a dot.
    OneBelow(String),
}

impl Host {
    /// Reads what a rule names.
    fn read(text: &str, scheme: &str) -> Option<Self> {
        match text.strip_prefix('*') {
            None => Self::literal(text, scheme).map(Self::Exactly),
            Some(rest) => {
                // A port and a domain of at least two labels: `*.org` is nobody's.
                let domain = Self::literal(rest.strip_prefix('.')?, scheme)?;
                let labels = domain.split(':').next().unwrap_or_default();
                (labels.contains('.') && labels.parse::<std::net::IpAddr>().is_err())
                    .then(|| Self::OneBelow(format!(".{domain}")))
            }
        }
    }

    /// A host as browsers write it: lower case, without the port that `scheme` has by itself.
    pub(super) fn literal(text: &str, scheme: &str) -> Option<String> {
        let plain =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']');
        if text.is_empty() || !text.bytes().all(plain) || text.ends_with(['.', ':']) {
            return None;
        }
        let url = Url::parse(&format!("{scheme}://{text}/")).ok()?;
        let name = url.host_str()?;
        Some(url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")))
    }

    /// Whether it is this one, in the form of [`Host::literal`].
    pub fn fits(&self, host: &str) -> bool {
        match self {
            Self::Exactly(name) => name == host,
            Self::OneBelow(end) => {
                let label = host.strip_suffix(end.as_str());
                label.is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }

    /// The name without a port, or what follows the label that may be any.
    pub fn name(&self) -> &str {
        let (Self::Exactly(text) | Self::OneBelow(text)) = self;
        let text = text.trim_start_matches('.');
        if text.starts_with('[') { text } else { text.split(':').next().unwrap_or(text) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::OneBelow(end) => write!(f, "*{end}"),
        }
    }
}

/// A segment of a rule's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// `*`.
    Any,
    /// What has to stand there.
    Word {
        /// As the operator wrote it.
        text: String,
        /// In lower case.
        key: String,
    },
}

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The hosts.
    pub host: Host,
    segments: Vec<Segment>,
    /// Whether it is about this path alone and nothing below.
    exact: bool,
    methods: Vec<String>,
    /// Who may.
    pub requirement: Requirement,
    audience: Option<Arc<str>>,
}

impl Rule {
    /// Reads a rule for an app that is reached under `scheme`.
    ///
    /// # Errors
    /// What is wrong with it, for the operator.
    pub fn read(spec: &RuleSpec, scheme: &str) -> Result<Self, String> {
        let RuleSpec { host, path, methods, allow, audience } = spec;
        let read = Host::read(host, scheme);
        let read = read.ok_or_else(|| {
            format!("\"{host}\" is no host; write for example app.example.org or *.example.org")
        })?;
        let (segments, exact) = segments(path.as_deref().unwrap_or("/"))?;
        if let Some(wrong) = methods.iter().find(|method| !is_method(method)) {
            return Err(format!("\"{wrong}\" is no method; write for example GET"));
        }
        if audience.as_deref().is_some_and(|text| text.trim().is_empty()) {
            return Err("the audience must not be empty".to_owned());
        }
        Ok(Self {
            host: read,
            segments,
            exact,
            methods: methods.clone(),
            requirement: requirement(allow)?,
            audience: audience.as_deref().map(Into::into),
        })
    }

    /// Whether it speaks of this host and method.
    pub(super) fn is_about(&self, host: &str, method: &str) -> bool {
        let head = |name: &str| method == "HEAD" && name == "GET";
        let named = |name: &String| name == method || head(name);
        self.host.fits(host) && (self.methods.is_empty() || self.methods.iter().any(named))
    }

    /// Why it may be about this path and may not; nothing, if it certainly is, and `None` if it is not.
    pub(super) fn fits(&self, path: &Path) -> Option<Doubts> {
        fit(&self.segments, self.exact, path)
    }

    /// Whether it names the segment at this position by a word.
    pub(super) fn names(&self, position: usize) -> bool {
        matches!(self.segments.get(position), Some(Segment::Word { .. }))
    }

    /// Whether `later` can never decide anything after this rule.
    pub fn covers(&self, later: &Self) -> bool {
        let methods = |rule: &Self| rule.methods.clone();
        let all_methods = self.methods.is_empty()
            || (!later.methods.is_empty()
                && methods(later).iter().all(|method| self.methods.contains(method)));
        let same_host = self.host == later.host
            || matches!(&later.host, Host::Exactly(name) if self.host.fits(name));
        let above = self.segments.len() <= later.segments.len()
            && self.segments.iter().zip(&later.segments).all(|(a, b)| *a == Segment::Any || a == b);
        let same_place = self.segments.len() == later.segments.len() && later.exact;
        same_host && all_methods && above && (!self.exact || same_place)
    }

    /// Whether identity tokens for both have the same `aud`.
    pub(super) fn is_for_the_same_app(&self, other: &Self) -> bool {
        self.audience == other.audience
    }

    /// The `aud` of an identity token for this host.
    pub(super) fn audience_of(&self, host: &str, scheme: &str) -> Arc<str> {
        self.audience.clone().unwrap_or_else(|| format!("{scheme}://{host}").into())
    }
}

impl fmt::Display for Rule {
    /// `app.example.org/admin GET,POST: users:read`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        for segment in &self.segments {
            match segment {
                Segment::Any => f.write_str("/*")?,
                Segment::Word { text, .. } => write!(f, "/{text}")?,
            }
        }
        if self.segments.is_empty() {
            f.write_str("/")?;
        }
        if self.exact {
            f.write_str("$")?;
        }
        if !self.methods.is_empty() {
            write!(f, " {}", self.methods.join(","))?;
        }
        write!(f, ": {}", self.requirement)
    }
}

fn segments(path: &str) -> Result<(Vec<Segment>, bool), String> {
    let wrong = || {
        format!(
            "\"{path}\" is no path; write for example /admin, with letters, digits and - _ . @ +, and * for one segment"
        )
    };
    let (inner, exact) = path.strip_suffix('$').map_or((path, false), |inner| (inner, true));
    let inner = inner.strip_prefix('/').ok_or_else(wrong)?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok((Vec::new(), exact));
    }
    let read = |segment: &str| match segment {
        "*" => Ok(Segment::Any),
        word if is_word(word) => {
            Ok(Segment::Word { text: word.to_owned(), key: word.to_ascii_lowercase() })
        }
        _ => Err(wrong()),
    };
    Ok((inner.split('/').map(read).collect::<Result<_, _>>()?, exact))
}

/// Whether a segment of a rule is one that has no other spelling but its case.
fn is_word(segment: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b);
    !segment.is_empty() && segment.bytes().all(plain) && !segment.ends_with('.')
}

fn requirement(allow: &str) -> Result<Requirement, String> {
    match allow {
        "public" => Ok(Requirement::Nothing),
        "signed_in" => Ok(Requirement::SignedIn),
        other => Permission::parse(other).map(Requirement::Permission).ok_or_else(|| {
            format!(
                "\"{other}\" is neither public nor signed_in nor a permission, such as users:read"
            )
        }),
    }
}
