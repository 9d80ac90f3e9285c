//! What accounts ask of the place that keeps them.

use async_trait::async_trait;

use super::email::Email;
use super::notice::Notice;
use super::password::PasswordHash;
use super::search::Search;
use super::{Account, Status};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{AccountId, SessionId};
use crate::role::RoleName;

/// An account to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The identifier it will have.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// The name it shows; may be empty.
    pub display_name: String,
    /// The hash of its password; without one nobody can sign in with a password.
    pub password_hash: Option<PasswordHash>,
    /// Whether another person chose that password, so that its owner has to change it.
    pub must_change_password: bool,
    /// The roles it starts with.
    pub roles: Vec<RoleName>,
    /// When it is made.
    pub created_at: Timestamp,
    /// The same moment, if its owner is signed in by making it.
    pub last_login_at: Option<Timestamp>,
}

/// What became of an attempt to make an account.
#[derive(Debug)]
pub enum Creation {
    /// It was made.
    Created(Account),
    /// Another account has the address, compared in lower case (SR-5).
    EmailTaken,
    /// One of the roles does not exist.
    UnknownRole,
    /// The set-up link is spent, expired or unknown, or an administrator can sign in already.
    SetupRefused,
}

/// What became of a change to an account.
#[derive(Debug)]
pub enum Change {
    /// It was made; this is the account after it.
    Done(Account),
    /// There is no such account.
    NotFound,
    /// One of the roles does not exist.
    UnknownRole,
    /// It would have left no administrator who can sign in (SR-51).
    LastAdmin,
    /// Another account has the address, compared in lower case (SR-5).
    EmailTaken,
}

/// Whether an account was seen on a device before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It was.
    Known,
    /// On others, but not on this one.
    New,
    /// It was not seen on any yet.
    First,
}

/// An account with the hash of its password, for the one who checks passwords.
#[derive(Debug)]
pub struct Credentials {
    /// The account.
    pub account: Account,
    /// Its password's hash, if it has a password.
    pub password_hash: Option<PasswordHash>,
}

/// Whose account an address names that somebody signs in with, before their password is checked.
#[derive(Debug)]
pub struct Candidate {
    /// The account, and what the password is checked against.
    pub credentials: Credentials,
    /// Whether the account was seen before on the device that they are on.
    pub device_known: bool,
}

/// Some of the accounts that have a role.
#[derive(Debug, Default)]
pub struct Holders {
    /// The accounts, as they are now.
    pub accounts: Vec<Account>,
    /// After which to go on; `None`: there are no more.
    pub last: Option<AccountId>,
}

/// Which accounts to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Only accounts in whose address or display name these words are.
    pub q: Option<Search>,
    /// Only accounts that have this role.
    pub role: Option<RoleName>,
    /// Only accounts in this state.
    pub status: Option<Status>,
    /// Continue after the account made at this moment with this identifier.
    pub after: Option<(Timestamp, AccountId)>,
    /// Look no further than the account made at this moment with this identifier.
    pub until: Option<(Timestamp, AccountId)>,
    /// At most this many.
    pub limit: u32,
}

/// Where accounts are kept. Every method is one transaction: all of it happens, or nothing.
///
/// Each change raises [`Account::version`]; those that must end sessions also raise
/// [`Account::session_epoch`] (SR-38).
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Makes an account. Of any number of calls with one address exactly one creates it (SR-8).
    async fn create(&self, new: &NewAccount) -> Result<Creation>;

    /// Makes the first administrator, spending the set-up token with this digest.
    ///
    /// Succeeds at most once over all replicas: only while no administrator can sign in, and
    /// only with a token that was added and has not passed its `expires_at`.
    async fn create_first_admin(&self, new: &NewAccount, setup_digest: &str) -> Result<Creation>;

    /// Remembers the digest of a set-up token until `expires_at`, and forgets expired ones.
    async fn add_setup_token(
        &self,
        digest: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<()>;

    /// Whether a set-up token with this digest would be taken at `now`.
    async fn setup_token_works(&self, digest: &str, now: Timestamp) -> Result<bool>;

    /// Whether there is an administrator who can sign in, by
    /// [`SignInMeans`](super::SignInMeans::can_sign_in).
    async fn admin_can_sign_in(&self) -> Result<bool>;

    /// The account with this identifier.
    async fn get(&self, id: &AccountId) -> Result<Option<Account>>;

    /// The account with this identifier, unless this session of it was ended on purpose (SR-38).
    async fn get_in_session(&self, id: &AccountId, session: &SessionId) -> Result<Option<Account>>;

    /// Remembers until `until` that sessions were ended on purpose, whatever a session store that
    /// was restored from an old copy says; forgets those whose time is over.
    async fn end_sessions(
        &self,
        sessions: &[SessionId],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<()>;

    /// The account with this address, and its password hash.
    async fn credentials(&self, email: &Email) -> Result<Option<Credentials>>;

    /// The account with this address, for somebody who signs in with it on `device`.
    async fn candidate(&self, email: &Email, device: &str) -> Result<Option<Candidate>>;

    /// The account with this identifier, and its password hash, unless this session of it was ended
    /// on purpose (SR-38).
    async fn credentials_in_session(
        &self,
        id: &AccountId,
        session: &SessionId,
    ) -> Result<Option<Credentials>>;

    /// Notes a sign-in at `now`, and keeps `rehashed` instead of `verified` where it is given.
    /// `account` is how it was read together with `verified`.
    ///
    /// `None` if the account is gone, is disabled, or has another password hash than `verified`
    /// by now: the password that was checked no longer opens it.
    async fn record_login(
        &self,
        account: &Account,
        verified: &PasswordHash,
        rehashed: Option<&PasswordHash>,
        now: Timestamp,
    ) -> Result<Option<Account>>;

    /// Changes the display name.
    async fn set_display_name(&self, id: &AccountId, display_name: &str) -> Result<Change>;

    /// Changes the address. Of any number of accounts that ask for one address exactly one gets it.
    async fn set_email(&self, id: &AccountId, email: &Email) -> Result<Change>;

    /// Changes the password hash, says whether its owner has to change that password, and raises the
    /// session epoch.
    async fn set_password(
        &self,
        id: &AccountId,
        hash: &PasswordHash,
        must_change: bool,
    ) -> Result<Change>;

    /// Enables or disables the account; disabling raises the session epoch.
    async fn set_status(&self, id: &AccountId, status: Status) -> Result<Change>;

    /// Gives the account exactly these roles. The account in [`Change::Done`] is read after the
    /// change is made, with what its roles grant then; so it is with every new account.
    async fn set_roles(&self, id: &AccountId, roles: &[RoleName]) -> Result<Change>;

    /// Raises the version of up to `limit` accounts that have the role, those after `after`, because
    /// of what it grants now; gives them as they are after that.
    ///
    /// An account that gets the role after this has looked is not among them: whoever gives it, reads
    /// what the role grants after that was changed.
    async fn touch_holders(
        &self,
        role: &RoleName,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Holders>;

    /// Takes the role from up to `limit` accounts, and gives them as they are then. Not for the role
    /// of administrators.
    async fn take_role(&self, role: &RoleName, limit: u32) -> Result<Vec<Account>>;

    /// Raises the session epoch: every session opened before is dead for good (SR-38).
    async fn raise_session_epoch(&self, id: &AccountId) -> Result<Change>;

    /// Adds a notice to the account.
    async fn add_notice(&self, id: &AccountId, notice: Notice) -> Result<Change>;

    /// Puts the account's notices away, as [`Notice::dismiss`] does.
    async fn dismiss_notices(
        &self,
        id: &AccountId,
        session: &SessionId,
        until: Timestamp,
    ) -> Result<Change>;

    /// Notes that the account was seen on a device, and says what is new about that. Does not
    /// raise the version.
    async fn note_device(&self, id: &AccountId, device: &str, now: Timestamp) -> Result<Sighting>;

    /// Deletes the account and all that belongs to it. The account in [`Change::Done`] is what it
    /// was, disabled, with version and session epoch raised.
    async fn delete(&self, id: &AccountId) -> Result<Change>;

    /// A page of accounts, newest first.
    async fn list(&self, filter: &AccountFilter) -> Result<Vec<Account>>;

    /// How far one page of such a list should look, so that its answer comes soon: up to the account
    /// of this moment with this identifier; `None`: to the end. To be the filter's `until`.
    async fn reach(&self, filter: &AccountFilter) -> Result<Option<(Timestamp, AccountId)>>;

    /// Works out anew what is looked through for up to `limit` accounts whose name was written by a
    /// release that did not; how many there were. Until then they are found by their names and
    /// addresses in lower case.
    async fn index_names(&self, limit: u32) -> Result<u32>;

    /// Forgets set-up tokens and ended sessions whose time is over at `now`.
    async fn sweep(&self, now: Timestamp) -> Result<()>;

    /// Raises version and session epoch of up to `limit` accounts, those after `after`, by more than they
    /// can have risen since a backup was made; gives them as they are after that.
    ///
    /// In a database that was put back both are lower than what session stores, and tokens that are
    /// still about, may have seen.
    async fn supersede(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<Account>>;

    /// How many accounts there are.
    async fn count(&self) -> Result<u64>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;
}

/// What live sessions know of their account: a copy of it, kept beside them, so that a request is
/// judged without SQL (SR-35).
#[async_trait]
pub trait Standings: Send + Sync + 'static {
    /// Shows `account` to its live sessions from the next request on. An older version than the
    /// one that is shown already changes nothing.
    async fn publish(&self, account: &Account, now: Timestamp) -> Result<()>;

    /// Publishes `account` and ends all its sessions but `keep`, in one step; says how many ended.
    ///
    /// The session `keep` goes on under the epoch of `account`. An account that was changed is
    /// remembered for at least an hour, also without sessions, so that a sign-in that read it
    /// before the change is told.
    async fn revoke(
        &self,
        account: &Account,
        keep: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64>;

    /// Whether the store answers and would keep a change.
    async fn ping(&self) -> Result<()>;

    /// Whether the store answers and would take a [`Standings::revoke`] of all sessions, for which even
    /// one that is full has room.
    async fn ping_to_revoke(&self) -> Result<()> {
        self.ping().await
    }
}
