//! Forms that are sent twice: the second of two identical submissions gets the result of the first.

pub mod store;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use tokio::time::{Instant, sleep, timeout};

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::id::{Random, SecretString, base64url, random_bytes};
use crate::token::key::{MasterSecret, Sealing};
use store::{Claim, Claimed, SubmissionKey, SubmissionStore};

/// How long a submission may be worked on before an identical one is taken for a first one: whoever
/// worked on it may have been killed.
pub const LEASE: Duration = Duration::from_secs(10);

/// How long a result is kept.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// How long an identical submission waits at most, should the lease not run out for it.
const PATIENCE: Duration = Duration::from_secs(11);

/// How long the store may take.
const STEP_LIMIT: Duration = Duration::from_millis(600);

/// A store that takes longer than this to fail leaves no time for what the form asks of it, which then
/// would be refused too late (SR-70). One that fails at once, because it is full, may still do that.
const QUICK: Duration = Duration::from_millis(100);

/// How long keeping a result may take, for which somebody waits.
const KEEP_LIMIT: Duration = Duration::from_millis(300);

/// The first and the longest pause between two questions whether the first submission is done.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// The service that knows which submissions are under way and how the last ones came out.
pub struct Submissions {
    store: Arc<dyn SubmissionStore>,
    key: hmac::Key,
    sealing: Sealing,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// What is known of a submission.
pub enum Begun {
    /// It is the first: its work has to be done, and settled with [`Submissions::finish`] or
    /// [`Submissions::give_up`].
    First(Ticket),
    /// It was done already, with this result.
    Done(SecretString),
    /// The store has no room, or the first takes too long. The work has to be done, and nobody
    /// learns how it came out.
    Unknown,
}

/// The right to say how a submission came out.
pub struct Ticket {
    key: SubmissionKey,
    claim: Claim,
}

impl Submissions {
    /// The service on `store`, with keys that only holders of this server's secret can derive.
    ///
    /// # Errors
    /// [`Error::Internal`] if the cipher does not take the key.
    pub fn new(
        store: Arc<dyn SubmissionStore>,
        secret: &MasterSecret,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self> {
        let key = secret.derive(b"doorward/submission/v1");
        let sealing = secret.sealing(b"doorward/submission-result/v1")?;
        Ok(Self { store, key, sealing, clock, random })
    }

    /// Begins the submission of a form: `form` names it as it was handed to one visitor, once, and
    /// `content` is all that was sent with it. While an identical one is worked on, waits for its
    /// result.
    ///
    /// Only the last submission of a form counts: other content begins a new one, and so does the
    /// content of before after that.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store is silent.
    pub async fn begin(&self, form: &str, content: &[&[u8]]) -> Result<Begun> {
        let key = SubmissionKey::new(&self.digest(&[b"form", form.as_bytes()]));
        let holder = base64url(random_bytes::<16>(&*self.random));
        let claim = Claim { content: self.digest(content), holder };
        let (began, (mut pause, longest)) = (Instant::now(), PAUSES);
        loop {
            let (asked_at, now) = (Instant::now(), self.clock.now());
            match timeout(STEP_LIMIT, self.store.claim(&key, &claim, LEASE, now)).await {
                Ok(Ok(Claimed::First)) => return Ok(Begun::First(Ticket { key, claim })),
                Ok(Ok(Claimed::Done(sealed))) => {
                    let opened = self.sealing.open(key.as_str(), &sealed);
                    return Ok(opened.map_or(Begun::Unknown, Begun::Done));
                }
                Ok(Ok(Claimed::Running)) if began.elapsed() < PATIENCE => {}
                Ok(Err(error)) if asked_at.elapsed() > QUICK => return Err(error),
                Ok(_) => return Ok(Begun::Unknown),
                Err(elapsed) => return Err(Error::unavailable(elapsed)),
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Keeps the result of a submission for [`LIFETIME`], sealed.
    pub async fn finish(&self, ticket: &Ticket, result: &SecretString) {
        let Ticket { key, claim } = ticket;
        let Ok(sealed) = self.sealing.seal(key.as_str(), result) else { return };
        let kept = self.store.finish(key, claim, &sealed, LIFETIME, self.clock.now());
        if let Ok(Err(_)) = timeout(KEEP_LIMIT, kept).await {
            // A store that is full still has room to forget that the submission is under way.
            self.give_up(ticket);
        }
    }

    /// Lets an identical submission be the first: this one had no result that is worth repeating.
    /// Nobody waits for it.
    pub fn give_up(&self, ticket: &Ticket) {
        let (store, key, claim) =
            (Arc::clone(&self.store), ticket.key.clone(), ticket.claim.clone());
        tokio::spawn(async move {
            // A claim that cannot be taken back runs out.
            let _ = store.give_up(&key, &claim).await;
        });
    }

    /// A keyed digest, so that a store holds nothing by which a password could be guessed.
    fn digest(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        base64url(context.sign())
    }
}
