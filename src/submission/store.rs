//! What submissions ask of the place that all replicas share. Each promise is a case of
//! `tests/store/submission.rs`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;

/// Names a form as it was handed to one visitor, once: a keyed hash, of which nobody learns the form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubmissionKey(String);

impl SubmissionKey {
    /// The key of this digest.
    pub fn new(digest: &str) -> Self {
        Self(digest.to_owned())
    }

    /// The digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubmissionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One submission of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// A keyed digest of all that was sent: the same for identical submissions.
    pub content: String,
    /// A random name for whoever works on it.
    pub holder: String,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The form is the claimant's.
    First,
    /// An identical submission is worked on.
    Running,
    /// An identical submission was finished, with this sealed result.
    Done(String),
}

/// Where it is kept which submissions are under way and how they came out, for all replicas together.
///
/// Every method is atomic. Of each form the last submission alone is known. Everything is forgotten by
/// itself: a submission that is worked on at the end of its lease, a result at the end of its life. Time
/// comes in as an argument.
#[async_trait]
pub trait SubmissionStore: Send + Sync {
    /// Claims the form for `lease`, unless the last submission has the same content and either is worked
    /// on by somebody else or has a result. One round trip.
    async fn claim(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Claimed>;

    /// Keeps the sealed result of `claim` for `lifetime`, if it is the last of its form.
    async fn finish(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        sealed: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<()>;

    /// Forgets `claim`, if it is the last of its form.
    async fn give_up(&self, key: &SubmissionKey, claim: &Claim) -> Result<()>;
}
