//! Refusing single access tokens before their time.

use super::Sessions;
use crate::audit::{Entry, Kind};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::SecretString;
use crate::text;
use crate::token::access::AccessDigest;
use crate::token::denylist::DeniedToken;

/// Longest reason, in characters.
const MAX_REASON: usize = 200;

/// Which access token is meant.
pub enum Denial {
    /// The one with this `jti`, as a log or a service that verifies tokens itself names it.
    Jti(String),
    /// The one itself, as it was found somewhere it should not be.
    Token(SecretString),
}

impl Sessions {
    /// Puts an access token on the denylist until it would have run out; it is refused from the
    /// next request on, on every replica. Its session goes on: end that to shut its owner out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `jti`, a `token` or a `reason` that cannot be one.
    pub async fn deny_token(&self, denial: Denial, reason: &str) -> Result<()> {
        let reason = text::checked(reason, "reason", MAX_REASON).map_err(|_| {
            let message =
                "Use at most 200 characters, all of which can be seen, and no line breaks.";
            Error::field("reason", "invalid_reason", message)
        })?;
        let now = self.clock.now();
        let (digest, expires_at) = match denial {
            Denial::Jti(jti) => (digest_of(&jti)?, now + self.lifetimes.access_lifetime),
            Denial::Token(token) => match self.tokens.read_access(&token, now).await {
                Ok(claims) => (claims.digest.clone(), claims.expires_at),
                // It opens nothing any more: what was asked for is so already.
                Err(Error::TokenExpired) => return Ok(()),
                Err(error @ Error::Unavailable(_)) => return Err(error),
                Err(_) => {
                    let message = "This is not an access token of this server.";
                    return Err(Error::field("token", "not_an_access_token", message));
                }
            },
        };
        let token = DeniedToken { digest, denied_at: now, expires_at, reason: reason.to_owned() };
        self.store.deny(&token, now).await?;
        let detail = format!("jti digest {}; {reason}", token.digest.as_str());
        self.audit.record(Entry::of(Kind::TokenRevoked).detail(detail)).await;
        Ok(())
    }

    /// The denylist, the latest first.
    pub async fn denied_tokens(&self) -> Result<Vec<DeniedToken>> {
        let mut tokens = self.store.denied(self.clock.now()).await?;
        let order = |token: &DeniedToken| -> (Timestamp, String) {
            (token.denied_at, token.digest.as_str().to_owned())
        };
        tokens.sort_by_key(|token| std::cmp::Reverse(order(token)));
        Ok(tokens)
    }
}

/// The digest of a `jti` that somebody typed or pasted.
fn digest_of(jti: &str) -> Result<AccessDigest> {
    let jti = jti.trim();
    let shaped = (16..=64).contains(&jti.len())
        && jti.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if shaped {
        Ok(AccessDigest::of(jti))
    } else {
        Err(Error::field("jti", "invalid_jti", "This is not the jti of an access token."))
    }
}
