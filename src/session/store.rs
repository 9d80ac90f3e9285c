//! What sessions ask of the place that keeps them. Each promise is a case of `tests/store/session.rs`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Session;
use super::survey::{Stretch, Survey};
use crate::account::Account;
use crate::account::store::Standings;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{AccountId, SessionId};
use crate::token::access::AccessDigest;
use crate::token::denylist::Denylist;
use crate::token::refresh::{Lineage, RefreshDigest};

/// The current pair of tokens of a session, as a store knows them.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its access token.
    pub access: AccessDigest,
    /// Its refresh token.
    pub refresh: RefreshDigest,
}

/// Whether [`SessionStore::open`] may make a session or only renew one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Make it.
    New,
    /// Only replace what is there; a session that has ended stays ended.
    Renewal,
}

/// What became of an attempt to open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    Done,
    /// A newer version of the account is known here: read it again and decide again.
    AccountChanged,
    /// It was to be renewed, but has ended or run out.
    Gone,
}

/// A live session with its account, as a request sees them.
#[derive(Clone, Debug)]
pub struct Live {
    /// The session.
    pub session: Arc<Session>,
    /// Its account as last published.
    pub account: Arc<Account>,
}

/// A request to replace the refresh token `old` by `new`.
#[derive(Clone, Debug)]
pub struct Rotate<'a> {
    /// Whose session it is, as SQL has it at this moment.
    pub account: &'a Account,
    /// The session.
    pub session: &'a SessionId,
    /// The refresh token that was presented.
    pub old: &'a Lineage,
    /// The pair that follows it.
    pub new: &'a Pair,
    /// How long the new access token is to live.
    pub access_lifetime: Duration,
    /// How long after a rotation the token before it is still answered (SR-36).
    pub grace: Duration,
    /// The present moment.
    pub now: Timestamp,
}

/// What became of a rotation.
#[derive(Clone, Debug)]
pub enum Rotation {
    /// `old` was current; now `new` is.
    Rotated(Session),
    /// `old` follows the token that was current here: that rotation was lost with a part of the
    /// store, and has been made up for. Now `new` is current.
    CaughtUp(Session),
    /// `old` was rotated before, and `new` is its successor still: the session as it stands.
    /// Nothing changed, but that an access token that had run out meanwhile got a new life.
    Repeated(Session),
    /// `old` belongs to the past of the session. The session has been ended.
    Reused,
    /// There is no such session (any more).
    Unknown,
}

/// What a refresh token is worth to whoever shows it and does not trade it in.
#[derive(Clone, Debug)]
pub enum Vouched {
    /// A refresh would be answered: the session and its account.
    Good(Box<Live>),
    /// It belongs to the past of the session, which is as it was.
    Spent,
    /// There is no such session (any more).
    Unknown,
}

/// Where live sessions are kept, beside what they know of their account ([`Standings`]).
///
/// Every method is atomic, whichever replicas call it. Time comes in as an argument and is compared
/// with what is kept; a store's own expiry only sweeps up.
#[async_trait]
pub trait SessionStore: Standings + Denylist {
    /// Opens `session` with its first pair of tokens and publishes `account`.
    async fn open(
        &self,
        session: &Session,
        pair: &Pair,
        account: &Account,
        opening: Opening,
        now: Timestamp,
    ) -> Result<Opened>;

    /// The session, if it is alive and `access` is its current access token, which is not on the
    /// [`Denylist`]. A session under a
    /// lower epoch than the account that is shown is not alive (SR-38).
    ///
    /// Notes that the pair was used, and at most once per [`super::SEEN_EVERY`] that the session
    /// was seen. One round trip, and a second where there is something to note; no SQL.
    async fn verify(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
        now: Timestamp,
    ) -> Result<Option<Live>>;

    /// The session, if [`SessionStore::rotate`] would answer its refresh token at this moment. The
    /// token stays what it is.
    ///
    /// Notes use and presence as [`SessionStore::verify`] does. One round trip, no SQL.
    async fn vouch(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &Lineage,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Vouched>;

    /// Whether `refresh` is the current refresh token of a live session: then a browser that is given
    /// it once more loses nothing. Notes nothing.
    async fn is_current(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &RefreshDigest,
        now: Timestamp,
    ) -> Result<bool>;

    /// Replaces the refresh token of a session (SR-36).
    ///
    /// Of any number of calls with one `old` that is current, exactly one gets
    /// [`Rotation::Rotated`]; the others get [`Rotation::Repeated`] as long as `old` is the
    /// immediate predecessor and either at most `grace` has passed or the successor was never
    /// used. Every other token of the session's past ends it.
    ///
    /// A store that lost its last moments, as a replica that is promoted may have, can meet a token
    /// that it has never seen: one that follows the current one gets [`Rotation::CaughtUp`]. One that
    /// is younger than all that the store knows of ends the session, which is then unknown: nobody
    /// has stolen anything.
    ///
    /// A session opened under a lower
    /// epoch than the account's is ended and unknown (SR-38). Under an account of a lower epoch
    /// than the one that is shown the session is unknown as well, and stays as it is: the refresh
    /// was overtaken by a change of the password.
    async fn rotate(&self, rotate: Rotate<'_>) -> Result<Rotation>;

    /// Notes that the owner of a session proved at `now` who they are; gives the session, if it is
    /// alive. Its tokens stay as they are, and what is noted outlives them.
    async fn reauthenticate(
        &self,
        account: &AccountId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>>;

    /// Ends a session; whether there was one, be it that it had run out and was not swept up yet.
    async fn end(&self, account: &AccountId, session: &SessionId) -> Result<bool>;

    /// The live sessions of an account, in no particular order.
    async fn list(&self, account: &AccountId, now: Timestamp) -> Result<Vec<Session>>;

    /// Live sessions of all accounts, the highest [`Place`](super::survey::Place) first: the latest
    /// first, or, within a network, by address and then the latest first.
    ///
    /// Whoever goes on from `next` until there is none meets every session that lives all the
    /// while, once. One call looks at a bounded number of sessions: behind many that have ended a
    /// stretch may be short, or empty. Where a store keeps a list of its own for this, a session
    /// may be missing from it after a failure, until it is next refreshed or a little later; what
    /// [`SessionStore::verify`] and [`SessionStore::list`] say does not depend on that list.
    async fn survey(&self, survey: &Survey, now: Timestamp) -> Result<Stretch>;

    /// Whose session it is, as far as [`SessionStore::survey`] would find it; it may have ended.
    async fn owner(&self, session: &SessionId) -> Result<Option<AccountId>>;

    /// How many sessions [`SessionStore::survey`] has to look at: those that live, and those that
    /// have ended without anybody having come across them.
    async fn count(&self) -> Result<u64>;

    /// Writes what is not written yet and lets go of the store: for a server that stops.
    async fn close(&self) {}
}
