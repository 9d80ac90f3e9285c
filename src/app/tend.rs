//! What the server does by itself while it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rocket::fairing::{AdHoc, Fairing};
use rocket::tokio::time::sleep;

use crate::account::{Accounts, Roles};
use crate::audit::{Audit, Entry, Kind, Origin};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::reloadable::Reloadable;
use crate::session::Sessions;
use crate::token::key::Keys;

/// How often a server looks whether the audit trail is still the one that it knows.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often a server looks for changes of roles that were left unfinished.
const MAKE_UP_EVERY: Duration = Duration::from_secs(30);
/// How often a part of the list of all sessions is looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How long after its start a server first looks for rows that nobody needs any more.
const FIRST_CLEARING: Duration = Duration::from_secs(60);
/// How often it looks for them afterwards.
const CLEAR_EVERY: Duration = Duration::from_secs(60 * 60);

/// Follows the signing keys of the other replicas, and rotates them when it is time.
pub(super) fn keys() -> impl Fairing {
    AdHoc::on_liftoff("Signing keys", |rocket| {
        Box::pin(async move {
            let services = rocket.state::<Arc<Keys>>().zip(rocket.state::<Arc<Audit>>());
            if let Some((keys, audit)) = services {
                rocket::tokio::spawn(tend_keys(Arc::downgrade(keys), Arc::downgrade(audit)));
            }
        })
    })
}

/// Ends when the server has ended. While the database is away the keys stay as they are, and the log
/// says so once.
async fn tend_keys(keys: Weak<Keys>, audit: Weak<Audit>) {
    let mut failing = false;
    loop {
        sleep(Keys::TEND_EVERY).await;
        let Some(keys) = keys.upgrade() else { return };
        let outcome = keys.tend().await;
        if let (Ok(Some(key)), Some(audit)) = (&outcome, audit.upgrade()) {
            let event = Entry::of(Kind::KeyRotated).detail(format!("next key {}", key.id));
            Origin::server().scope(audit.record(event)).await;
        }
        match &outcome {
            Ok(_) if failing => tracing::info!("reading the signing keys again"),
            // That the database is away is said already.
            Err(error) if !failing && !error.is_told() => {
                let cause = crate::error::chain(error);
                tracing::error!(cause, "failed to read the signing keys; they stay as they are");
            }
            _ => {}
        }
        failing = outcome.as_ref().is_err_and(|error| !error.is_told());
    }
}

/// Looks at the end of the audit trail, also while nothing happens that would be added to it.
pub(super) fn audit() -> impl Fairing {
    looked_after("Audit trail", look_at_trail)
}

/// Ends when the server has ended. A database that is away has nothing to show.
async fn look_at_trail(audit: Weak<Audit>) {
    loop {
        sleep(LOOK_EVERY).await;
        let Some(audit) = audit.upgrade() else { return };
        let _ = audit.look().await;
    }
}

/// Shows changes of roles to those who were not shown them because a server stopped halfway, or a
/// store was away.
pub(super) fn roles() -> impl Fairing {
    looked_after("Roles", make_up_for_roles)
}

/// Ends when the server has ended. It begins at once, with everything: it may be this server that had
/// stopped. What failed is done the next time.
async fn make_up_for_roles(roles: Weak<Roles>) {
    let mut before = None;
    while let Some(roles) = roles.upgrade() {
        match roles.make_up(before.as_deref()).await {
            Ok(unshown) => before = Some(unshown),
            Err(error) if error.is_told() => {}
            Err(error) => {
                let cause = crate::error::chain(&error);
                tracing::warn!(
                    cause,
                    "failed to publish a changed role to all who have it; will retry"
                );
            }
        }
        drop(roles);
        sleep(MAKE_UP_EVERY).await;
    }
}

/// Walks through the list of all sessions, so that those which ended by themselves leave it.
pub(super) fn sessions() -> impl Fairing {
    looked_after("Sessions", sweep_sessions)
}

/// Ends when the server has ended. While the store is away there is nothing to sweep up.
async fn sweep_sessions(sessions: Weak<Sessions>) {
    let mut after = None;
    loop {
        sleep(SWEEP_EVERY).await;
        let Some(sessions) = sessions.upgrade() else { return };
        if let Ok(next) = sessions.sweep(after.clone()).await {
            after = next;
        }
    }
}

/// Removes rows of the database that nobody needs any more: each replica for itself, one after the other.
pub(super) fn database(retention: Reloadable<Option<Duration>>) -> impl Fairing {
    AdHoc::on_liftoff("Database", move |rocket| {
        Box::pin(async move {
            let clock = rocket.state::<Arc<dyn Clock>>().cloned();
            let services = rocket.state::<Arc<Accounts>>().zip(rocket.state::<Arc<Audit>>());
            if let Some(((accounts, audit), clock)) = services.zip(clock) {
                let (accounts, audit) = (Arc::downgrade(accounts), Arc::downgrade(audit));
                rocket::tokio::spawn(clear_database(accounts, audit, clock, retention.clone()));
            }
        })
    })
}

/// Ends when the server has ended. What failed is done the next time.
async fn clear_database(
    accounts: Weak<Accounts>,
    audit: Weak<Audit>,
    clock: Arc<dyn Clock>,
    retention: Reloadable<Option<Duration>>,
) {
    // Of names that an earlier release wrote: until then their accents and widths make a difference.
    if let Some(accounts) = accounts.upgrade()
        && let Err(error) = accounts.index_names().await
    {
        let cause = crate::error::chain(&error);
        tracing::warn!(cause, "failed to index names for searches; will retry within a minute");
    }
    let mut pause = FIRST_CLEARING;
    loop {
        sleep(pause).await;
        pause = CLEAR_EVERY;
        let Some((accounts, audit)) = accounts.upgrade().zip(audit.upgrade()) else { return };
        let done = clear(&accounts, &audit, retention.get().map(|kept| clock.now() - kept));
        if let Err(error) = Origin::server().scope(done).await
            && !error.is_told()
        {
            let cause = crate::error::chain(&error);
            tracing::warn!(cause, "failed to delete expired rows; will retry");
        }
    }
}

async fn clear(accounts: &Accounts, audit: &Audit, before: Option<Timestamp>) -> Result<()> {
    accounts.sweep().await?;
    accounts.index_names().await?;
    if let Some(before) = before {
        audit.retain(before).await?;
    }
    Ok(())
}

/// Has a service looked after by a task of its own, from when the server serves.
fn looked_after<T, F>(name: &'static str, work: fn(Weak<T>) -> F) -> impl Fairing
where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    AdHoc::on_liftoff(name, move |rocket| {
        Box::pin(async move {
            if let Some(service) = rocket.state::<Arc<T>>() {
                rocket::tokio::spawn(work(Arc::downgrade(service)));
            }
        })
    })
}
