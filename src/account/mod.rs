//! Accounts: who there is, what proves it, and every change an account can go through.

mod actor;
mod administration;
mod admission;
mod confirm;
mod declaration;
pub mod email;
mod means;
pub mod notice;
pub mod password;
mod roles;
pub mod search;
mod setup;
pub mod store;
mod upkeep;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::{Audit, Entry, Kind};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::id::{AccountId, Random, SecretString, SessionId};
use crate::limit::Limits;
use crate::reloadable::Reloadable;
use crate::role::{self, Permission, RoleName};
use crate::text;
use email::Email;
use notice::{Notice, NoticeKind};
use password::{Hasher, Password, PasswordHash, Policy, Requester, Verdict};
use store::{AccountStore, Candidate, Change, Creation, Standings};

pub use actor::Actor;
pub use administration::{Alteration, Invitation, Page};
pub use confirm::InSession;
pub use declaration::KnownPermission;
pub use means::SignInMeans;
pub use roles::Roles;
pub use setup::SETUP_LINK_LIFETIME;

/// Longest display name, in characters.
const MAX_DISPLAY_NAME: usize = 100;

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// It may.
    Active,
    /// An administrator has stopped it.
    Disabled,
}

impl Status {
    /// The word for it, in JSON, in SQL and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "active" => Some(Self::Active),
            "disabled" => Some(Self::Disabled),
            _ => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A person's account, without anything that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Names the account for ever.
    pub id: AccountId,
    /// Where its owner is reached, and what they sign in with.
    pub email: Email,
    /// The name it shows; may be empty.
    pub display_name: String,
    /// Whether it may be used.
    pub status: Status,
    /// The roles it has.
    pub roles: BTreeSet<RoleName>,
    /// What its roles grant together.
    pub permissions: BTreeSet<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its owner last signed in.
    pub last_login_at: Option<Timestamp>,
    /// Raised by every change, so that of two copies the newer is known.
    pub version: i64,
    /// Sessions opened under a lower epoch are dead, whatever a session store says (SR-38).
    pub session_epoch: i64,
    /// Whether another person chose its password: its sessions open nothing but the change of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_change_password: bool,
    /// What its owner has not yet put away; the oldest first (SR-81).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
}

impl Account {
    /// Whether the account administers Doorward.
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role.as_str() == RoleName::ADMIN)
    }

    /// Whether the account has power over Doorward itself: it holds one of Doorward's own
    /// permissions, whichever role grants it.
    pub fn has_power(&self) -> bool {
        self.permissions.iter().any(Permission::is_ours)
    }

    /// The name to greet its owner by.
    pub fn name(&self) -> &str {
        if self.display_name.is_empty() { self.email.local_part() } else { &self.display_name }
    }

    /// Whether one of its roles grants the permission, for what a page offers. What a route demands
    /// stands in its signature.
    pub fn may(&self, permission: &str) -> bool {
        role::require(&self.permissions, permission).is_ok()
    }
}

/// Somebody whose password was right.
#[derive(Debug)]
pub struct LoggedIn {
    /// Their account.
    pub account: Account,
    /// Whether it was seen before on the device that they are on.
    pub device_known: bool,
}

/// What the operator decides about accounts.
#[derive(Clone, Debug)]
pub struct AccountPolicy {
    /// What passwords must be.
    pub passwords: Policy,
    /// The host name that people see, which no password may contain.
    pub public_host: String,
    /// Whether people may register themselves.
    pub registration_open: bool,
}

/// The service behind everything that happens to accounts.
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    standings: Arc<dyn Standings>,
    hasher: Arc<Hasher>,
    policy: Reloadable<AccountPolicy>,
    limits: Arc<Limits>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Accounts {
    /// Puts the service together.
    #[allow(clippy::too_many_arguments, reason = "each is another service, named once, in `app`")]
    pub fn new(
        store: Arc<dyn AccountStore>,
        standings: Arc<dyn Standings>,
        hasher: Arc<Hasher>,
        policy: AccountPolicy,
        limits: Arc<Limits>,
        audit: Arc<Audit>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let policy = Reloadable::new(policy);
        Self { store, standings, hasher, policy, limits, audit, clock, random }
    }

    /// Replaces what the operator decides about accounts.
    pub fn set_policy(&self, policy: AccountPolicy) {
        self.policy.replace(policy);
    }

    /// Who may try what, how often.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Whether people may register themselves.
    pub fn registration_open(&self) -> bool {
        self.policy.get().registration_open
    }

    /// The fewest code points a new password may have (SR-1).
    pub fn min_password_length(&self) -> usize {
        self.policy.get().passwords.min_length()
    }

    /// Makes an account for somebody who asks for one.
    ///
    /// # Errors
    /// [`Error::RegistrationClosed`]; [`Error::Invalid`] with every field that is wrong;
    /// [`Error::RegistrationRefused`] if the address is taken (SR-20: without saying so).
    pub async fn register(
        &self,
        email: &str,
        password: SecretString,
        display_name: &str,
        requester: Requester,
    ) -> Result<Account> {
        if !self.policy.get().registration_open {
            return Err(Error::RegistrationClosed);
        }
        let roles = vec![RoleName::user()];
        let password = Some((password, requester));
        let mut new = self.prepare(email, password, display_name, roles).await?;
        new.last_login_at = Some(new.created_at);
        match self.store.create(&new).await? {
            Creation::Created(account) => {
                let event = Entry::of(Kind::UserCreated).about(&account.id);
                self.audit.record(event.by(account.id.as_str()).detail("registration")).await;
                Ok(account)
            }
            _ => Err(Error::RegistrationRefused),
        }
    }

    /// Checks an address and a password, notes the sign-in, and says whether the account was seen
    /// before on `device`.
    ///
    /// Whatever is wrong, the answer is the same and costs one hash (SR-20, SR-21).
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`]; [`Error::Overloaded`]; [`Error::Unavailable`].
    pub async fn authenticate(
        &self,
        email: &str,
        password: SecretString,
        requester: Requester,
        device: &str,
    ) -> Result<LoggedIn> {
        // Too long to be anybody's password: not worth a hash, and no account's business.
        let Ok(password) = Password::from_secret(&password) else {
            return Err(self.login_refused(None, "password too long").await);
        };
        let candidate = match Email::parse(email) {
            Ok(email) => self.store.candidate(&email, device).await?,
            Err(_) => None,
        };
        let known = candidate.and_then(|Candidate { credentials, device_known }| {
            Some((credentials.account, credentials.password_hash?, device_known))
        });
        let Some((account, hash, device_known)) = known else {
            self.hasher.verify_nobody(&password, requester).await?;
            return Err(self.login_refused(None, "no such account").await);
        };
        let verdict = self.hasher.verify(&password, &hash, requester).await?;
        // Of an account that may not be used nothing more is done after a good hash than after a bad
        // one, or the time would tell that the password is right (SR-21).
        let rehashed = match verdict {
            Verdict::Match { rehash } if account.status == Status::Active => {
                if rehash {
                    self.rehash(&password, requester).await?
                } else {
                    None
                }
            }
            Verdict::Match { .. } => {
                return Err(self.login_refused(Some(&account.id), "account disabled").await);
            }
            Verdict::Mismatch => {
                return Err(self.login_refused(Some(&account.id), "wrong password").await);
            }
        };
        let now = self.clock.now();
        match self.store.record_login(&account, &hash, rehashed.as_ref(), now).await? {
            Some(account) => Ok(LoggedIn { account, device_known }),
            None => Err(self.login_refused(Some(&account.id), "account disabled or changed").await),
        }
    }

    /// The hash that takes the place of one that was made with other parameters, unless the server is
    /// too busy: then the next sign-in will do.
    async fn rehash(
        &self,
        password: &Password,
        requester: Requester,
    ) -> Result<Option<PasswordHash>> {
        match self.hasher.hash(password, requester).await {
            Err(Error::Overloaded) => Ok(None),
            hashed => hashed.map(Some),
        }
    }

    /// Records that a sign-in was refused, and why, for administrators alone. What was typed is not
    /// recorded: people type passwords
    /// into the wrong field.
    async fn login_refused(&self, account: Option<&AccountId>, reason: &str) -> Error {
        let event = Entry::of(Kind::LoginFail).detail(reason);
        self.audit.record(account.map_or(event.clone(), |id| event.about(id))).await;
        Error::InvalidCredentials
    }

    /// The account with this identifier.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &AccountId) -> Result<Account> {
        self.store.get(id).await?.ok_or(Error::NotFound)
    }

    /// The account as it is in SQL at this moment; `None` if it was deleted.
    pub async fn current(&self, id: &AccountId) -> Result<Option<Account>> {
        self.store.get(id).await
    }

    /// The account as it is in SQL at this moment; `None` if it was deleted, or if this session of
    /// it was ended on purpose.
    pub async fn current_in(&self, id: &AccountId, session: &SessionId) -> Result<Option<Account>> {
        self.store.get_in_session(id, session).await
    }

    /// Remembers until `until` that sessions were ended on purpose (SR-38).
    pub async fn note_ended(&self, sessions: &[SessionId], until: Timestamp) -> Result<()> {
        self.store.end_sessions(sessions, until, self.clock.now()).await
    }

    /// Changes the name that an account shows.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `display_name`; [`Error::NotFound`].
    pub async fn rename(&self, id: &AccountId, display_name: &str) -> Result<Account> {
        let display_name = self.changed_name(id, display_name).await?;
        self.standings.ping().await?;
        let account = done(self.store.set_display_name(id, display_name).await?)?;
        self.audit.record(Entry::of(Kind::UserUpdated).about(id).detail("display name")).await;
        self.standings.publish(&account, self.clock.now()).await?;
        Ok(account)
    }

    /// The name that an account is to show. The one that it has was admitted once, perhaps by other
    /// rules, and stays good.
    async fn changed_name<'t>(&self, id: &AccountId, display_name: &'t str) -> Result<&'t str> {
        match checked_display_name(display_name) {
            Err(_) if self.get(id).await?.display_name == display_name.trim() => {
                Ok(display_name.trim())
            }
            checked => checked,
        }
    }

    /// Changes the password of an account whose owner knows the current one (SR-9), and ends its
    /// sessions but the one in which that is asked for (SR-37).
    ///
    /// # Errors
    /// As [`Accounts::confirm`]; [`Error::Invalid`] for `new_password`; [`Error::NotFound`].
    pub async fn change_password(
        &self,
        live: InSession<'_>,
        current: SecretString,
        new: SecretString,
    ) -> Result<Account> {
        let InSession { account: id, session: keep, .. } = live;
        let is_same = is_same_password(&current, &new);
        let account = self.confirm_password(live, current, Kind::PasswordChangeFail).await?;
        if account.must_change_password && is_same {
            let message = "Choose another password than the one that you were given.";
            return Err(Error::field("new_password", "same_password", message));
        }
        let requester = Requester::known(&account.email.key());
        let hash = self.checked_hash(new, "new_password", &account, requester).await?;
        self.standings.ping().await?;
        let account = done(self.store.set_password(id, &hash, false).await?)?;
        self.audit.record(Entry::of(Kind::PasswordChange).about(id)).await;
        let notice = Notice {
            session: Some(keep.clone()),
            ..Notice::new(NoticeKind::PasswordChanged, self.clock.now())
        };
        let account = self.try_notify(account, notice).await;
        self.standings.revoke(&account, Some(keep), self.clock.now()).await?;
        Ok(account)
    }

    /// Deletes the account of its owner, who confirms it with the password; its sessions end.
    ///
    /// # Errors
    /// As [`Accounts::confirm`]; [`Error::LastAdmin`]; [`Error::NotFound`].
    pub async fn delete_own(&self, live: InSession<'_>, password: SecretString) -> Result<()> {
        self.confirm_password(live, password, Kind::AuthzFail).await?;
        self.erase(live.account, None).await
    }

    /// Deletes the account; `actor` as in [`Accounts::record_by`].
    async fn erase(&self, id: &AccountId, actor: Option<Actor<'_>>) -> Result<()> {
        self.standings.ping_to_revoke().await?;
        let gone = done(self.store.delete(id).await?)?;
        self.record_by(actor, Entry::of(Kind::UserDeleted).about(id)).await;
        self.standings.revoke(&gone, None, self.clock.now()).await?;
        Ok(())
    }

    /// Records what `actor` did; without one, what the request's own account did.
    async fn record_by(&self, actor: Option<Actor<'_>>, event: Entry) {
        let event = match actor {
            Some(actor) => actor.sign(event),
            None => event,
        };
        self.audit.record(event).await;
    }
}

/// Whether both are one password, however they are typed (SR-1).
fn is_same_password(one: &SecretString, other: &SecretString) -> bool {
    match (Password::from_secret(one), Password::from_secret(other)) {
        (Ok(one), Ok(other)) => one.expose() == other.expose(),
        _ => false,
    }
}

/// The account after a change that was made.
fn done(change: Change) -> Result<Account> {
    match change {
        Change::Done(account) => Ok(account),
        Change::NotFound => Err(Error::NotFound),
        Change::LastAdmin => Err(Error::LastAdmin),
        Change::EmailTaken => Err(Error::Conflict("another account has this e-mail address")),
        Change::UnknownRole => {
            Err(Error::field("roles", "unknown_role", "One of these roles does not exist."))
        }
    }
}

/// A display name that can stand on a page.
fn checked_display_name(text: &str) -> Result<&str> {
    text::checked(text, "display_name", MAX_DISPLAY_NAME)
}
