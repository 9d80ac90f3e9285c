//! Submissions in the process itself, in memory alone: a restart forgets them, and with them whoever
//! worked on them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{LEEWAY, Timestamp};
use crate::error::Result;
use crate::limit::{Bounded, Fades};
use crate::submission::LIFETIME;
use crate::submission::store::{Claim, Claimed, SubmissionKey, SubmissionStore};

/// How many submissions are known at most. A result has about 3 KB.
const CAPACITY: usize = 4096;

/// The last submission of a form.
#[derive(Debug)]
struct Last {
    claim: Claim,
    until: Timestamp,
    sealed: Option<String>,
}

impl Last {
    /// Whether it counts still. What would count for longer than anything does was written before the
    /// clock was set back.
    fn counts(&self, now: Timestamp) -> bool {
        now < self.until && self.until.since(now) <= LIFETIME + LEEWAY
    }
}

impl Fades for Last {
    fn worth(&self, now: Timestamp) -> i64 {
        if self.counts(now) { self.until.as_millis() - now.as_millis() } else { 0 }
    }
}

/// The submissions of one process.
#[derive(Debug)]
pub struct EmbeddedSubmissions(Mutex<Bounded<SubmissionKey, Last>>);

impl Default for EmbeddedSubmissions {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(CAPACITY)))
    }
}

impl EmbeddedSubmissions {
    fn locked(&self) -> MutexGuard<'_, Bounded<SubmissionKey, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SubmissionStore for EmbeddedSubmissions {
    async fn claim(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Claimed> {
        let fresh = || Last { claim: claim.clone(), until: now + lease, sealed: None };
        let mut all = self.locked();
        let last = all.entry(key.clone(), now, fresh);
        if last.claim.content == claim.content && last.counts(now) {
            return Ok(match &last.sealed {
                Some(sealed) => Claimed::Done(sealed.clone()),
                None if last.claim.holder == claim.holder => Claimed::First,
                None => Claimed::Running,
            });
        }
        *last = fresh();
        Ok(Claimed::First)
    }

    async fn finish(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        sealed: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<()> {
        if let Some(last) = self.locked().get_mut(key).filter(|last| last.claim == *claim) {
            last.sealed = Some(sealed.to_owned());
            last.until = now + lifetime;
        }
        Ok(())
    }

    async fn give_up(&self, key: &SubmissionKey, claim: &Claim) -> Result<()> {
        let mut all = self.locked();
        if all.get_mut(key).is_some_and(|last| last.claim == *claim) {
            all.remove(key);
        }
        Ok(())
    }
}
