//! What administrators and the operator's command line do to accounts (SR-51).

use std::collections::BTreeSet;

use super::email::Email;
use super::notice::{Notice, NoticeKind};
use super::store::{AccountFilter, Change, Creation, NewAccount};
use super::{Account, Accounts, Actor, Status, done};
use crate::audit::{Entry, Kind};
use crate::clock::Timestamp;
use crate::cursor;
use crate::error::{Error, Result, keep_error};
use crate::id::{AccountId, SecretString, base64url, from_base64url};
use crate::role::{Role, RoleName, RoleStore};

/// An account that an administrator or the operator makes for somebody.
#[derive(Debug)]
pub struct Invitation<'a> {
    /// Its address.
    pub email: &'a str,
    /// The name it shows; may be empty.
    pub display_name: &'a str,
    /// Its first password; without one its owner cannot sign in with a password yet.
    pub password: Option<SecretString>,
    /// Whether its owner has to change that password before anything else. One that an administrator
    /// chose has to be changed in any case (SR-52).
    pub is_temporary: bool,
    /// Its roles; [`RoleName::USER`] if there are none.
    pub roles: &'a [String],
}

/// The changes to an account; what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alteration<'a> {
    /// The address.
    pub email: Option<&'a str>,
    /// The name it shows.
    pub display_name: Option<&'a str>,
    /// Whether it may be used.
    pub status: Option<Status>,
}

/// One page of a list, and where the next one begins.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// The `cursor` of the next page, if there is one.
    pub next_cursor: Option<String>,
}

impl Accounts {
    /// Makes an account for somebody else.
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::Conflict`] if the address is taken;
    /// [`Error::PermissionDenied`] if a role grants what the actor does not hold.
    pub async fn create(
        &self,
        actor: Actor<'_>,
        roles: &dyn RoleStore,
        invitation: Invitation<'_>,
    ) -> Result<Account> {
        let granted = self.existing(roles, invitation.roles).await?;
        self.require_grant(actor, None, granted.iter()).await?;
        let mut names: BTreeSet<RoleName> = granted.into_iter().map(|role| role.name).collect();
        if names.is_empty() {
            names.insert(RoleName::user());
        }
        let Invitation { email, display_name, password, is_temporary, .. } = invitation;
        let must_change =
            password.is_some() && (is_temporary || matches!(actor, Actor::Account(_)));
        let password = password.map(|password| (password, actor.requester()));
        let new = self.prepare(email, password, display_name, names.into_iter().collect()).await?;
        let new = NewAccount { must_change_password: must_change, ..new };
        match self.store.create(&new).await? {
            Creation::Created(account) => {
                let event = Entry::of(Kind::UserCreated).about(&account.id);
                let event = event.detail(format!("roles: {}", list(&account.roles)));
                self.record_by(Some(actor), event).await;
                Ok(account)
            }
            Creation::EmailTaken => Err(Error::Conflict("another account has this e-mail address")),
            Creation::UnknownRole | Creation::SetupRefused => Err(unknown_role()),
        }
    }

    /// Gives an account exactly these roles; they count from the next request on (SR-35).
    ///
    /// # Errors
    /// [`Error::Invalid`] for `roles`; [`Error::PermissionDenied`] if the account, or a role that is
    /// given, holds what the actor does not; [`Error::Conflict`] for one's own account;
    /// [`Error::LastAdmin`]; [`Error::NotFound`].
    pub async fn set_roles(
        &self,
        actor: Actor<'_>,
        roles: &dyn RoleStore,
        id: &AccountId,
        names: &[String],
    ) -> Result<Account> {
        actor.must_be_another(id)?;
        let before = self.changeable(actor, id).await?;
        let names = self.existing(roles, names).await?;
        let wanted: BTreeSet<RoleName> = names.iter().map(|role| role.name.clone()).collect();
        // Taking away is deciding about a permission just as giving is; what stays is not touched.
        let removed: Vec<String> =
            before.roles.difference(&wanted).map(ToString::to_string).collect();
        let added = names.iter().filter(|role| !before.roles.contains(&role.name));
        let removed = self.existing(roles, &removed).await?;
        self.require_grant(actor, Some(id), added.chain(&removed)).await?;
        let names: Vec<RoleName> = wanted.into_iter().collect();
        self.standings.ping().await?;
        let account = done(self.store.set_roles(id, &names).await?)?;
        let change = format!("roles: {}; before: {}", list(&account.roles), list(&before.roles));
        self.record_by(Some(actor), Entry::of(Kind::AuthzChange).about(id).detail(change)).await;
        self.standings.publish(&account, self.clock.now()).await?;
        Ok(account)
    }

    /// Enables an account, or disables it and ends its sessions.
    ///
    /// # Errors
    /// [`Error::Conflict`] for one's own account; [`Error::PermissionDenied`] if the account holds
    /// what the actor does not; [`Error::LastAdmin`]; [`Error::NotFound`].
    pub async fn set_status(
        &self,
        actor: Actor<'_>,
        id: &AccountId,
        status: Status,
    ) -> Result<Account> {
        actor.must_be_another(id)?;
        self.changeable(actor, id).await?;
        match status {
            Status::Active => self.standings.ping().await?,
            Status::Disabled => self.standings.ping_to_revoke().await?,
        }
        let account = done(self.store.set_status(id, status).await?)?;
        let kind = match status {
            Status::Active => Kind::UserEnabled,
            Status::Disabled => Kind::UserDisabled,
        };
        self.record_by(Some(actor), Entry::of(kind).about(id)).await;
        match status {
            Status::Active => self.standings.publish(&account, self.clock.now()).await?,
            Status::Disabled => {
                self.standings.revoke(&account, None, self.clock.now()).await?;
            }
        }
        Ok(account)
    }

    /// Changes the address that the owner of an account signs in with, and tells them. Their sessions
    /// go on.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `email`; [`Error::PermissionDenied`] if the account holds what the actor
    /// does not; [`Error::Conflict`] if another account has the address; [`Error::NotFound`].
    pub async fn set_email(
        &self,
        actor: Actor<'_>,
        id: &AccountId,
        email: &str,
    ) -> Result<Account> {
        let email = Email::parse(email)?;
        let account = self.changeable(actor, id).await?;
        if account.email == email {
            return Ok(account);
        }
        self.standings.ping().await?;
        let account = done(self.store.set_email(id, &email).await?)?;
        let event = Entry::of(Kind::UserUpdated).about(id).detail("e-mail address");
        self.record_by(Some(actor), event).await;
        let notice = Notice::new(NoticeKind::EmailChanged, self.clock.now());
        let account = self.try_notify(account, notice).await;
        self.standings.publish(&account, self.clock.now()).await?;
        Ok(account)
    }

    /// Changes the address, the name, the state, or several of them, of an account. What is
    /// refused is not done in part.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `email` and `display_name`; [`Error::PermissionDenied`] if the account
    /// holds what the actor does not; as [`Accounts::set_email`] and [`Accounts::set_status`].
    pub async fn change(
        &self,
        actor: Actor<'_>,
        id: &AccountId,
        wanted: Alteration<'_>,
    ) -> Result<Account> {
        let Alteration { email, display_name, status } = wanted;
        let mut account = self.changeable(actor, id).await?;
        let mut wrong = Vec::new();
        if let Some(email) = email {
            keep_error(self.require_free(email, id).await, &mut wrong)?;
        }
        if let Some(name) = display_name {
            keep_error(self.changed_name(id, name).await, &mut wrong)?;
        }
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        // To disable is done again, for if it broke off halfway it must be finished.
        let due = |status: &Status| *status != account.status || *status == Status::Disabled;
        if let Some(status) = status.filter(due) {
            account = self.set_status(actor, id, status).await?;
        }
        if let Some(email) = email {
            account = self.set_email(actor, id, email).await?;
        }
        if let Some(name) = display_name {
            account = self.rename(id, name).await?;
        }
        Ok(account)
    }

    /// Refuses an address that another account has.
    async fn require_free(&self, email: &str, id: &AccountId) -> Result<()> {
        let holder = self.store.credentials(&Email::parse(email)?).await?;
        match holder.is_some_and(|holder| holder.account.id != *id) {
            true => done(Change::EmailTaken).map(drop),
            false => Ok(()),
        }
    }

    /// Sets the password of an account without knowing the old one, and ends its sessions.
    /// Only the operator can: administrators never set a password (SR-52). A password that
    /// `is_temporary` opens nothing but its own change.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `password`; [`Error::NotFound`].
    pub async fn set_password(
        &self,
        id: &AccountId,
        password: SecretString,
        is_temporary: bool,
    ) -> Result<Account> {
        let account = self.get(id).await?;
        let requester = Actor::Operator.requester();
        let hash = self.checked_hash(password, "password", &account, requester).await?;
        self.standings.ping_to_revoke().await?;
        let account = done(self.store.set_password(id, &hash, is_temporary).await?)?;
        self.record_by(Some(Actor::Operator), Entry::of(Kind::PasswordChange).about(id)).await;
        let notice = Notice::new(NoticeKind::PasswordChanged, self.clock.now());
        let account = self.try_notify(account, notice).await;
        self.standings.revoke(&account, None, self.clock.now()).await?;
        Ok(account)
    }

    /// Ends all sessions of somebody's account, for good (SR-38); says how many there were.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] if the account holds what the actor does not;
    /// [`Error::NotFound`].
    pub async fn end_sessions(&self, actor: Actor<'_>, id: &AccountId) -> Result<u64> {
        self.changeable(actor, id).await?;
        self.end_own_sessions(id).await
    }

    /// Ends all sessions of an account for its owner, for good (SR-38); says how many there were.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn end_own_sessions(&self, id: &AccountId) -> Result<u64> {
        self.standings.ping_to_revoke().await?;
        let account = done(self.store.raise_session_epoch(id).await?)?;
        let ended = self.standings.revoke(&account, None, self.clock.now()).await;
        // Also if that failed: the sessions are dead already, by their epoch (SR-38).
        let detail = ended.as_ref().map_or_else(|_| "all".to_owned(), |n| format!("all: {n}"));
        self.audit.record(Entry::of(Kind::SessionEnded).about(id).detail(detail)).await;
        ended
    }

    /// Deletes somebody else's account and ends its sessions.
    ///
    /// # Errors
    /// [`Error::Conflict`] for one's own account; [`Error::PermissionDenied`] if the account holds
    /// what the actor does not; [`Error::LastAdmin`]; [`Error::NotFound`].
    pub async fn delete(&self, actor: Actor<'_>, id: &AccountId) -> Result<()> {
        actor.must_be_another(id)?;
        self.changeable(actor, id).await?;
        self.erase(id, Some(actor)).await
    }

    /// A page of accounts, newest first. `cursor` is the `next_cursor` of the page before.
    ///
    /// No index helps to find a part of a name, so a search looks at a bounded number of accounts
    /// for a page. Where there are more, a page can be short, or even empty, and still have a next
    /// one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `cursor` that is none of ours.
    pub async fn list(
        &self,
        mut filter: AccountFilter,
        cursor: Option<&str>,
    ) -> Result<Page<Account>> {
        if let Some(cursor) = cursor {
            filter.after = Some(read_cursor(cursor).ok_or_else(cursor::unknown)?);
        }
        filter.until = self.store.reach(&filter).await?;
        let limit = filter.limit as usize;
        filter.limit += 1;
        let mut items = self.store.list(&filter).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more).map(place);
        // Where the search broke off, the next page goes on.
        let next_cursor = last.or(filter.until).as_ref().map(write_cursor);
        Ok(Page { items, next_cursor })
    }

    /// How many accounts there are.
    pub async fn count(&self) -> Result<u64> {
        self.store.count().await
    }

    /// The account with this address.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for `email`.
    pub async fn find(&self, email: &str) -> Result<Account> {
        let email = Email::parse(email)?;
        let found = self.store.credentials(&email).await?;
        found.map(|found| found.account).ok_or(Error::NotFound)
    }

    /// Whom a text names, as events name them: an e-mail address is looked up, and everything else
    /// is taken as an identifier.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn named(&self, text: &str) -> Result<String> {
        if !text.contains('@') {
            return Ok(text.to_owned());
        }
        match self.find(text).await {
            Ok(account) => Ok(account.id.to_string()),
            // Nobody: then nothing is found.
            Err(Error::NotFound | Error::Invalid(_)) => Ok(text.to_owned()),
            Err(error) => Err(error),
        }
    }

    /// Lets nobody grant or take away what they do not hold, and records who tries.
    async fn require_grant<'r>(
        &self,
        actor: Actor<'_>,
        subject: Option<&AccountId>,
        roles: impl Iterator<Item = &'r Role>,
    ) -> Result<()> {
        let refused = actor.may_grant(roles);
        if let Err(Error::PermissionDenied(permission)) = &refused {
            let event = Entry::of(Kind::AuthzFail).detail(format!("to grant {permission}"));
            let event = subject.map_or(event.clone(), |id| event.about(id));
            self.record_by(Some(actor), event).await;
        }
        refused
    }

    /// The roles with these names.
    async fn existing(&self, roles: &dyn RoleStore, names: &[String]) -> Result<Vec<Role>> {
        let all = roles.roles().await?;
        let find = |name: &String| all.iter().find(|role| role.name.as_str() == name).cloned();
        names.iter().map(|name| find(name).ok_or_else(unknown_role)).collect()
    }
}

/// Names of roles as an event lists them.
fn list(roles: &BTreeSet<RoleName>) -> String {
    roles.iter().map(RoleName::as_str).collect::<Vec<_>>().join(", ")
}

fn unknown_role() -> Error {
    Error::field("roles", "unknown_role", "One of these roles does not exist.")
}

fn place(account: &Account) -> (Timestamp, AccountId) {
    (account.created_at, account.id.clone())
}

fn write_cursor((created_at, id): &(Timestamp, AccountId)) -> String {
    base64url(format!("{}:{id}", created_at.as_millis()))
}

fn read_cursor(cursor: &str) -> Option<(Timestamp, AccountId)> {
    let text = String::from_utf8(from_base64url(cursor)?).ok()?;
    let (millis, id) = text.split_once(':')?;
    Some((Timestamp::from_millis(millis.parse().ok()?), AccountId::parse(id)?))
}
