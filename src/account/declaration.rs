//! The permissions that there are to grant: Doorward's own, and what the operator declares.

use std::collections::BTreeSet;

use super::Actor;
use super::roles::{Roles, list};
use crate::audit::{Entry, Kind};
use crate::error::{Error, Result};
use crate::role::store::{Declaration, Withdrawal};
use crate::role::{Declared, Permission, RoleName, Source};

/// A permission that roles can grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPermission {
    /// What it is called.
    pub name: Permission,
    /// What it allows, in a sentence; may be empty.
    pub description: String,
    /// Who says that it exists.
    pub source: Source,
}

impl Roles {
    /// Declares the permissions of the configuration that are not declared yet.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there are too many; [`Error::Unavailable`].
    pub async fn declare_configured(&self, configured: &[Declared]) -> Result<()> {
        let names = configured.iter().map(|permission| permission.name.clone()).collect();
        if configured.is_empty() {
            self.configured.replace(names);
            return Ok(());
        }
        let known = self.store.declared().await?;
        for wanted in configured {
            match known.iter().find(|known| known.name == wanted.name) {
                Some(known) if known == wanted => {}
                Some(_) => drop(self.store.describe(wanted).await?),
                None => match self.store.declare(wanted, self.clock.now()).await? {
                    // Another replica that starts was faster.
                    Declaration::Exists => {}
                    other => self.declared(other, wanted, None).await?,
                },
            }
        }
        self.configured.replace(names);
        Ok(())
    }

    /// Every permission there is: Doorward's own first, then the operator's by name.
    pub async fn permissions(&self) -> Result<Vec<KnownPermission>> {
        let theirs = self.store.declared().await?;
        Ok(ours().chain(theirs.into_iter().map(|declared| self.known(declared))).collect())
    }

    /// What is known of the permissions that somebody holds. Doorward's own are known without SQL; a
    /// database that is away leaves the others without a word.
    pub async fn in_words(&self, held: &BTreeSet<Permission>) -> Vec<KnownPermission> {
        match held.iter().all(Permission::is_ours) {
            true => ours().collect(),
            false => self.permissions().await.unwrap_or_else(|_| ours().collect()),
        }
    }

    fn known(&self, declared: Declared) -> KnownPermission {
        let source = match self.configured.get().contains(&declared.name) {
            true => Source::Configuration,
            false => Source::Declared,
        };
        KnownPermission { name: declared.name, description: declared.description, source }
    }

    /// Declares a permission of the operator's own; the role `admin` grants it from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `name` or `description`; [`Error::Conflict`] if it is there.
    pub async fn declare(
        &self,
        actor: Actor<'_>,
        name: &str,
        description: &str,
    ) -> Result<KnownPermission> {
        let new = Declared::new(name, description)?;
        self.standings.ping().await?;
        let declaration = self.store.declare(&new, self.clock.now()).await?;
        self.declared(declaration, &new, Some(actor)).await?;
        Ok(self.known(new))
    }

    async fn declared(
        &self,
        declaration: Declaration,
        new: &Declared,
        actor: Option<Actor<'_>>,
    ) -> Result<()> {
        match declaration {
            Declaration::Done => {}
            Declaration::Exists => {
                return Err(Error::Conflict("this permission is declared already"));
            }
            Declaration::TooMany => {
                return Err(Error::Conflict("there are as many declared permissions as can be"));
            }
        }
        let event =
            Entry::of(Kind::AuthzChange).detail(format!("permission {} declared", new.name));
        self.audit.record(actor.map_or(event.clone(), |actor| actor.sign(event))).await;
        self.show_holders(&RoleName::admin()).await
    }

    /// Withdraws a permission of the operator's own.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::PermissionDenied`] if the actor does not hold it;
    /// [`Error::PermissionGranted`] if a role grants it; [`Error::Conflict`] if it is Doorward's or the
    /// configuration's.
    pub async fn withdraw(&self, actor: Actor<'_>, name: &str) -> Result<()> {
        let name = Permission::parse(name).ok_or(Error::NotFound)?;
        if name.is_ours() {
            return Err(Error::Conflict("this permission is one of Doorward's own"));
        }
        if self.configured.get().contains(&name) {
            return Err(Error::Conflict(
                "the configuration declares this permission; take it out there first",
            ));
        }
        if !self.store.declared().await?.iter().any(|known| known.name == name) {
            return Err(Error::NotFound);
        }
        self.require(actor, std::iter::once(&name)).await?;
        self.standings.ping().await?;
        match self.store.withdraw(&name).await? {
            Withdrawal::Done => {}
            Withdrawal::NotFound => return Err(Error::NotFound),
            Withdrawal::Granted(roles) => return Err(Error::PermissionGranted(list(roles.iter()))),
        }
        let event = Entry::of(Kind::AuthzChange).detail(format!("permission {name} withdrawn"));
        self.audit.record(actor.sign(event)).await;
        self.show_holders(&RoleName::admin()).await
    }
}

/// Doorward's own permissions.
fn ours() -> impl Iterator<Item = KnownPermission> {
    Permission::CATALOGUE.iter().map(|(name, description)| KnownPermission {
        name: Permission::stored(name),
        description: (*description).to_owned(),
        source: Source::BuiltIn,
    })
}
