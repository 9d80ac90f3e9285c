//! Whose turn it is to use a connection. SQLite's are kept for what is done all the time: each has a
//! thread and a cache of its own, and one that is used in turn with nine others finds its cache outdated.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::connection::SqlConnection;
use super::lease::{Connections, Lease};
use super::statement::Access;
use crate::error::Result;

/// A connection that is kept, if there is one yet. Whoever holds the lock uses it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(Arc<Mutex<Option<Lease>>>);

impl Place {
    /// Waits for its turn to use the connection. If there is none, one is taken from the others.
    pub async fn turn(&self, connections: &Connections) -> Result<Turn> {
        Turn::begin(Arc::clone(&self.0).lock_owned().await, connections).await
    }

    /// The turn to use the connection, or another one while that is in use.
    pub async fn turn_or_other(&self, connections: &Connections) -> Result<Turn> {
        match Arc::clone(&self.0).try_lock_owned() {
            Ok(place) => Turn::begin(place, connections).await,
            Err(_) => Turn::once(connections).await,
        }
    }

    /// Whether a connection lies here that nobody uses.
    pub fn is_idle(&self) -> bool {
        self.0.try_lock().is_ok_and(|kept| kept.is_some())
    }

    /// Lets go of the connection.
    pub async fn clear(&self) {
        *self.0.lock().await = None;
    }
}

/// The turn to use a connection. Dropped without [`Turn::end`], because something failed or was given
/// up, it does not keep the connection, and what was not ended is undone.
pub(super) struct Turn {
    place: Option<OwnedMutexGuard<Option<Lease>>>,
    lease: Lease,
}

impl Turn {
    async fn begin(
        mut place: OwnedMutexGuard<Option<Lease>>,
        connections: &Connections,
    ) -> Result<Self> {
        let lease = match place.take() {
            Some(kept) => kept,
            None => connections.acquire().await?,
        };
        Ok(Self { place: Some(place), lease })
    }

    /// A turn with a connection that is not kept.
    pub async fn once(connections: &Connections) -> Result<Self> {
        Ok(Self { place: None, lease: connections.acquire().await? })
    }

    /// Says that all went well: the connection is kept where it came from.
    pub fn end(self) {
        let Self { place, lease } = self;
        if let Some(mut place) = place {
            *place = Some(lease);
        }
    }
}

impl Deref for Turn {
    type Target = SqlConnection;

    fn deref(&self) -> &SqlConnection {
        &self.lease
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut SqlConnection {
        &mut self.lease
    }
}

/// A transaction that may write. Dropped without [`Write::commit`], it changes nothing.
pub(super) struct Write(Turn);

impl Write {
    /// Begins a transaction, now that it is its turn.
    pub async fn begin(mut turn: Turn) -> sqlx::Result<Self> {
        turn.begin(Access::Write).await?;
        Ok(Self(turn))
    }

    /// Makes its changes last.
    pub async fn commit(mut self) -> Result<()> {
        self.0.commit().await?;
        self.0.end();
        Ok(())
    }

    /// Makes its changes last if `keep` says so; otherwise undoes them.
    pub async fn end(mut self, keep: bool) -> Result<()> {
        if keep {
            return self.commit().await;
        }
        self.0.rollback().await?;
        self.0.end();
        Ok(())
    }
}

impl Deref for Write {
    type Target = SqlConnection;

    fn deref(&self) -> &SqlConnection {
        &self.0
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqlConnection {
        &mut self.0
    }
}
