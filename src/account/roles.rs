//! The service behind roles and the operator's permissions: who may change what they grant (SR-51),
//! and how the accounts that have a role learn of it (SR-35).
//!
//! A change is committed first. Then every account that has the role is shown to its sessions anew,
//! a batch at a time, and only then is the change answered. A request that comes between is judged by
//! what its account held before. Nobody is left with that: an account that gets the role meanwhile is
//! read after the commit, and one whose owner signs in meanwhile is too old for the session store.
//! This may break off halfway, because a store is away or the server stops. A refresh does not make
//! up for that: accounts whose turn had not come are of the version that is shown already. So the
//! change itself notes that it is to be shown, and servers look after what stays noted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;

use super::Actor;
use super::store::{AccountStore, Standings};
use crate::audit::{Audit, Entry, Kind};
use crate::clock::Clock;
use crate::error::{Error, FieldError, Result, keep_error};
use crate::reloadable::Reloadable;
use crate::role::store::{RoleChange, Unshown};
use crate::role::{Declared, Permission, Role, RoleName, RoleStore, checked_description};

/// How many accounts are shown anew at a time.
const BATCH: u32 = 100;

/// How often a role may be changed by others while somebody decides about it.
const MAX_CHANGES_DURING_DECISION: usize = 8;

/// Roles and the operator's permissions, and every change they can go through.
pub struct Roles {
    pub(super) store: Arc<dyn RoleStore>,
    accounts: Arc<dyn AccountStore>,
    pub(super) standings: Arc<dyn Standings>,
    pub(super) configured: Reloadable<BTreeSet<Permission>>,
    pub(super) audit: Arc<Audit>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Roles {
    /// Puts the service together, and declares the permissions of the configuration that are not
    /// declared yet. One that has left the configuration stays declared until it is withdrawn: roles
    /// may grant it, and another replica's configuration may still name it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there are too many; [`Error::Unavailable`].
    pub async fn open(
        store: Arc<dyn RoleStore>,
        accounts: Arc<dyn AccountStore>,
        standings: Arc<dyn Standings>,
        configured: &[Declared],
        audit: Arc<Audit>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let names = Reloadable::new(BTreeSet::new());
        let roles = Self { store, accounts, standings, configured: names, audit, clock };
        roles.declare_configured(configured).await?;
        Ok(roles)
    }

    /// All roles, by name.
    pub async fn all(&self) -> Result<Vec<Role>> {
        self.store.roles().await
    }

    /// How many accounts have each role; roles that nobody has are left out.
    pub async fn holders(&self) -> Result<BTreeMap<RoleName, u64>> {
        self.store.holders().await
    }

    /// The role of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, name: &str) -> Result<Role> {
        let all = self.store.roles().await?;
        all.into_iter().find(|role| role.name.as_str() == name).ok_or(Error::NotFound)
    }

    /// Makes a role.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `name`, `description` or `permissions`; [`Error::PermissionDenied`] if
    /// it is to grant what the actor does not hold; [`Error::Conflict`] if there is one of this name.
    pub async fn create(
        &self,
        actor: Actor<'_>,
        name: &str,
        description: &str,
        permissions: &[String],
    ) -> Result<Role> {
        let role = self.checked(new_name(name), description, permissions).await?;
        self.require(actor, role.permissions.iter()).await?;
        done(self.store.create_role(&role, self.clock.now()).await?)?;
        let detail =
            format!("role {} created; grants: {}", role.name, list(role.permissions.iter()));
        self.audit.record(actor.sign(Entry::of(Kind::AuthzChange).detail(detail))).await;
        Ok(role)
    }

    /// A role as it was asked for, or every field that is wrong.
    async fn checked(
        &self,
        name: Result<RoleName>,
        description: &str,
        permissions: &[String],
    ) -> Result<Role> {
        let mut wrong: Vec<FieldError> = Vec::new();
        let name = keep_error(name, &mut wrong)?;
        let description = keep_error(checked_description(description), &mut wrong)?;
        let permissions = keep_error(self.existing(permissions).await, &mut wrong)?;
        match (name, description, permissions) {
            (Some(name), Some(description), Some(permissions)) => {
                Ok(Role { name, description: description.to_owned(), permissions })
            }
            _ => Err(Error::Invalid(wrong)),
        }
    }

    /// Has a role grant exactly these permissions, and changes its description if one is given. It
    /// counts from the next request on of everybody who has the role.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for `description` or `permissions`;
    /// [`Error::PermissionDenied`] if one that is added or taken away is not the actor's;
    /// [`Error::Conflict`] for what `admin` grants, or if the actor could not change roles any more.
    pub async fn change(
        &self,
        actor: Actor<'_>,
        name: &str,
        description: Option<&str>,
        permissions: &[String],
    ) -> Result<Role> {
        for _ in 0..MAX_CHANGES_DURING_DECISION {
            let all = self.store.roles().await?;
            let before = all.iter().find(|role| role.name.as_str() == name);
            let before = before.ok_or(Error::NotFound)?;
            let name = Ok(before.name.clone());
            // What is not changed was admitted once, perhaps by other rules.
            let kept = description.is_none_or(|text| text.trim() == before.description);
            let given = if kept { "" } else { description.unwrap_or_default() };
            let mut after = self.checked(name, given, permissions).await?;
            if kept {
                after.description.clone_from(&before.description);
            }
            self.require_change(actor, before, Some(&after), &all).await?;
            self.standings.ping().await?;
            match self.store.change_role(before, &after).await? {
                RoleChange::Moved => continue,
                change => done(change)?,
            }
            if *before != after {
                let event = Entry::of(Kind::AuthzChange).detail(difference(before, &after));
                self.audit.record(actor.sign(event)).await;
            }
            self.show_holders(&after.name).await?;
            return Ok(after);
        }
        Err(Error::Conflict("somebody else changes this role at the same time; look at it again"))
    }

    /// Deletes a role and takes it from everybody who has it; says from how many.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::PermissionDenied`] if it grants what the actor does not hold;
    /// [`Error::Conflict`] for a built-in one, or if the actor could not change roles any more.
    pub async fn delete(&self, actor: Actor<'_>, name: &str) -> Result<u64> {
        let all = self.store.roles().await?;
        let role = all.iter().find(|role| role.name.as_str() == name).ok_or(Error::NotFound)?;
        if role.name.is_built_in() {
            return Err(Error::Conflict("Doorward itself needs this role"));
        }
        self.require_change(actor, role, None, &all).await?;
        self.standings.ping().await?;
        let mut taken = 0;
        loop {
            let accounts = self.accounts.take_role(&role.name, BATCH).await?;
            taken += accounts.len() as u64;
            let now = self.clock.now();
            try_join_all(accounts.iter().map(|account| self.standings.publish(account, now)))
                .await?;
            if accounts.is_empty() {
                match self.store.delete_role(&role.name).await? {
                    // Somebody was given it in this very moment.
                    RoleChange::Held => continue,
                    change => done(change)?,
                }
                break;
            }
        }
        let granted = list(role.permissions.iter());
        let detail =
            format!("role {name} deleted; granted: {granted}; taken from {taken} accounts");
        self.audit.record(actor.sign(Entry::of(Kind::AuthzChange).detail(detail))).await;
        Ok(taken)
    }

    /// Lets nobody decide about a permission that they do not hold, nor shut themselves out, nor
    /// change what the role of administrators grants. `after` is `None` if the role is to go.
    async fn require_change(
        &self,
        actor: Actor<'_>,
        before: &Role,
        after: Option<&Role>,
        all: &[Role],
    ) -> Result<()> {
        let nothing = BTreeSet::new();
        let granted = after.map_or(&nothing, |role| &role.permissions);
        if before.name == RoleName::admin() && *granted != before.permissions {
            return Err(Error::Conflict("this role always grants everything that there is"));
        }
        self.require(actor, before.permissions.symmetric_difference(granted)).await?;
        let Actor::Account(account) = actor else { return Ok(()) };
        let is_key = |permission: &Permission| permission.as_str() == Permission::ROLES_WRITE;
        let taken = before.permissions.iter().any(is_key) && !granted.iter().any(is_key);
        let held = |role: &&Role| account.roles.contains(&role.name) && role.name != before.name;
        let elsewhere = || all.iter().filter(held).any(|role| role.permissions.iter().any(is_key));
        if taken && account.roles.contains(&before.name) && !elsewhere() {
            return Err(Error::Conflict("you could not change roles any more after this"));
        }
        Ok(())
    }

    /// Lets nobody decide about what they do not hold, and records who tries.
    pub(super) async fn require(
        &self,
        actor: Actor<'_>,
        permissions: impl Iterator<Item = &Permission>,
    ) -> Result<()> {
        let refused = actor.must_hold(permissions);
        if let Err(Error::PermissionDenied(permission)) = &refused {
            let event = Entry::of(Kind::AuthzFail).detail(format!("to decide about {permission}"));
            self.audit.record(actor.sign(event)).await;
        }
        refused
    }

    /// The permissions of these names, all of which exist.
    async fn existing(&self, names: &[String]) -> Result<BTreeSet<Permission>> {
        let declared = self.store.declared().await?;
        let exists = |permission: &Permission| {
            permission.is_ours() || declared.iter().any(|known| known.name == *permission)
        };
        let find = |name: &String| Permission::parse(name).filter(exists);
        names.iter().map(|name| find(name).ok_or_else(unknown_permission)).collect()
    }

    /// Shows what roles grant now to those who were not shown it because that broke off; gives what
    /// was unshown at first. Whoever changes a role is at it themselves for a while, so only what is
    /// in `before`, an earlier answer, is taken up; without one, everything.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: then what is left is unshown still.
    pub async fn make_up(&self, before: Option<&[Unshown]>) -> Result<Vec<Unshown>> {
        let unshown = self.store.unshown().await?;
        let is_left = |one: &&Unshown| before.is_none_or(|before| before.contains(one));
        for Unshown { role, .. } in unshown.iter().filter(is_left) {
            self.show_holders(role).await?;
            tracing::info!(%role, "a changed role is shown to everybody who has it, which had broken off");
        }
        Ok(unshown)
    }

    /// Shows what a role grants now to everybody who has it.
    pub(super) async fn show_holders(&self, role: &RoleName) -> Result<()> {
        // Read before any account is: a change that comes after this is shown by whoever makes it.
        let unshown = self.store.unshown().await?;
        self.show_one_by_one(role).await?;
        match unshown.iter().find(|change| change.role == *role) {
            Some(change) => self.store.shown(change).await,
            None => Ok(()),
        }
    }

    async fn show_one_by_one(&self, role: &RoleName) -> Result<()> {
        let mut after = None;
        loop {
            let batch = self.accounts.touch_holders(role, after.as_ref(), BATCH).await?;
            let now = self.clock.now();
            let shown = batch.accounts.iter().map(|account| self.standings.publish(account, now));
            try_join_all(shown).await?;
            after = batch.last;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

fn done(change: RoleChange) -> Result<()> {
    match change {
        RoleChange::Done => Ok(()),
        RoleChange::NotFound => Err(Error::NotFound),
        RoleChange::Exists => Err(Error::Conflict("a role of this name exists already")),
        RoleChange::TooMany => Err(Error::Conflict("there are as many roles as there can be")),
        RoleChange::UnknownPermission(_) => Err(unknown_permission()),
        RoleChange::Moved | RoleChange::Held => {
            Err(Error::internal("a change of a role ended in a way that it cannot"))
        }
    }
}

/// The name of a role to be made.
fn new_name(text: &str) -> Result<RoleName> {
    match RoleName::parse(text) {
        None => Err(Error::field(
            "name",
            "invalid_role_name",
            "Use 1 to 32 of a-z, 0-9, - and _, the first one a letter.",
        )),
        Some(name) if name.is_reserved() => Err(Error::field(
            "name",
            "reserved_name",
            "Doorward uses this name for something else. Choose another one.",
        )),
        Some(name) => Ok(name),
    }
}

fn unknown_permission() -> Error {
    Error::field("permissions", "unknown_permission", "One of these permissions does not exist.")
}

/// What was changed, as an event tells it.
fn difference(before: &Role, after: &Role) -> String {
    let added = list(after.permissions.difference(&before.permissions));
    let removed = list(before.permissions.difference(&after.permissions));
    let mut detail = format!("role {}", before.name);
    for (what, names) in [("added", added), ("removed", removed)] {
        if !names.is_empty() {
            detail.push_str(&format!("; {what}: {names}"));
        }
    }
    if before.description != after.description {
        detail.push_str("; description");
    }
    detail
}

/// Names, as an event or a sentence lists them.
pub(super) fn list<T: std::fmt::Display>(names: impl Iterator<Item = T>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}
