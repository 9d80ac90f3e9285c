//! PostgreSQL's connections that were in use a moment ago.
//!
//! The pool asks a connection whether it is alive before it hands it out, and twice when it comes
//! back: three round trips beside the one that a sign-in or a refresh needs. What was alive a moment
//! ago is used without asking; after that moment the pool has its way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Any, Pool};
use tokio::time::{Instant, sleep};

use crate::error::Result;

/// How long a moment is: shorter than a restart of PostgreSQL takes.
const MOMENT: Duration = Duration::from_millis(250);

/// The connections.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    capacity: usize,
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    /// The one used last on top.
    lying: Vec<Lying>,
    /// Whether somebody looks after them.
    tended: bool,
}

/// A connection that nobody uses.
#[derive(Debug)]
struct Lying {
    connection: PoolConnection<Any>,
    since: Instant,
}

impl Lying {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < MOMENT
    }
}

impl Shelf {
    /// For half of a pool's connections: the others are left for whoever else asks it.
    pub fn of(pool_size: u32) -> Self {
        let capacity = usize::try_from(pool_size / 2).unwrap_or_default();
        Self { capacity, board: Arc::default() }
    }

    /// The connection that was used last, or one from the pool.
    pub async fn take(&self, pool: &Pool<Any>) -> Result<PoolConnection<Any>> {
        let last = self.board().lying.pop();
        match last.filter(Lying::is_fresh) {
            Some(last) => Ok(last.connection),
            None => Ok(pool.acquire().await?),
        }
    }

    /// Keeps a connection on which all went well, for a moment.
    pub fn put(&self, connection: PoolConnection<Any>) {
        let mut board = self.board();
        if board.lying.len() < self.capacity {
            board.lying.push(Lying { connection, since: Instant::now() });
            if !std::mem::replace(&mut board.tended, true) {
                tokio::spawn(self.clone().tend());
            }
        }
    }

    /// How many lie here.
    pub fn len(&self) -> usize {
        self.board().lying.len()
    }

    /// Gives them all to the pool.
    pub fn clear(&self) {
        self.board().lying.clear();
    }

    /// Gives to the pool, where others may wait for them, those that nobody uses any more.
    async fn tend(self) {
        loop {
            sleep(MOMENT).await;
            let mut board = self.board();
            board.lying.retain(Lying::is_fresh);
            if board.lying.is_empty() {
                board.tended = false;
                return;
            }
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
