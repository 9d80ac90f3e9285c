//! Names for things: random identifiers, secrets that cannot be printed, and where randomness comes from.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A source of random bytes, injected so that tests can repeat themselves.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` from the source.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's cryptographically secure generator (SR-64).
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

impl Random for Os {
    fn fill(&self, bytes: &mut [u8]) {
        // A machine that cannot give random bytes must not hand out tokens.
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// `N` random bytes for a name that is no secret. The system is asked for many at a time: once for
/// each request would cost more than all the rest that is done for its name.
pub fn random_name_bytes<const N: usize>() -> [u8; N] {
    const STOCK: usize = 1024;
    thread_local! {
        static LEFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    LEFT.with_borrow_mut(|left| {
        if left.len() < N {
            left.resize(STOCK.max(N), 0);
            Os.fill(left);
        }
        let mut bytes = [0; N];
        bytes.iter_mut().zip(left.drain(left.len() - N..)).for_each(|(byte, fresh)| *byte = fresh);
        bytes
    })
}

/// base64url without padding (RFC 4648 §5).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes behind base64url without padding; `None` if it is not exactly that.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// SHA-256 in base64url: how a store knows a token that it must not hold (SR-34).
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    base64url(digest(&SHA256, bytes.as_ref()))
}

/// Whether two byte strings are equal, in time that depends on their lengths alone (SR-21).
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(left, right).is_ok()
}

/// A text that must never be seen: it has no `Display`, its `Debug` hides it, and it is wiped when dropped.
///
/// [`SecretString::expose`] is the one way out, so a search for that word finds every use.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, description = "A secret.", extend("format" = "password", "writeOnly" = true))]
pub struct SecretString(String);

impl SecretString {
    /// Wraps a text that must stay secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Drop for SecretString {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Declares an identifier: 128 random bits in base64url, 22 characters.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        #[schemars(inline, extend("pattern" = "^[A-Za-z0-9_-]{22}$", "examples" = ["mRkVt8cGQ0a1bYz5uJ3xWg"]))]
        pub struct $name(Arc<str>);

        impl $name {
            /// A fresh identifier.
            pub fn random(random: &dyn Random) -> Self {
                Self(base64url(random_bytes::<16>(random)).into())
            }

            /// Reads an identifier; `None` unless it has the shape of one.
            pub fn parse(text: &str) -> Option<Self> {
                let shaped = text.len() == 22
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                shaped.then(|| Self(text.into()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// Names an account; the `sub` of its tokens. It is no secret.
    AccountId
}

identifier! {
    /// Names a session; the `sid` of its tokens. It is no secret: knowing it opens nothing.
    SessionId
}

identifier! {
    /// Names an event of the audit trail.
    EventId
}

impl EventId {
    /// An identifier as a store remembers it, which may be anything.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_identifier_reads_back_and_refuses_other_shapes() {
        let id = SessionId::random(&Os);
        assert_eq!(SessionId::parse(id.as_str()), Some(id));
        for other in
            ["", "short", "aaaaaaaaaaaaaaaaaaaaa/", "aaaaaaaaaaaaaaaaaaaaaaa", "ééééééééééé"]
        {
            assert_eq!(SessionId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn names_do_not_repeat() {
        let names: BTreeSet<[u8; 12]> = (0..1000).map(|_| random_name_bytes()).collect();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", SecretString::new("hunter2")), "[secret]");
    }
}
