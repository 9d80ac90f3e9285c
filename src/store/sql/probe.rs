//! What a database says of itself. Nothing is changed, and no table is needed.

use std::time::Instant;

use super::SqlPool;
use super::migrate;
use super::statement::query;
use crate::clock::Clock;
use crate::error::Result;
use crate::store::probe::{Probe, ahead};

/// How far the tables are up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// How many this release knows.
    pub known: usize,
    /// Those of them that have not been made.
    pub missing: Vec<i64>,
    /// Those that only a newer release knows.
    pub newer: Vec<i64>,
}

impl SqlPool {
    /// Asks the database for its release and its clock.
    ///
    /// # Errors
    /// [`crate::error::Error::Unavailable`].
    pub async fn probe(&self, clock: &dyn Clock) -> Result<Probe> {
        self.in_time(async {
            let (version, time) = if self.is_sqlite() {
                ("SELECT sqlite_version()", "SELECT 0")
            } else {
                (
                    "SELECT current_setting('server_version')",
                    "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
                )
            };
            // This one also connects, so that the next is a round trip and nothing else.
            let version: String = self.fetch_one(query(version)).await?.try_get(0)?;
            let (asked_at, began) = (clock.now(), Instant::now());
            let time: i64 = self.fetch_one(query(time)).await?.try_get(0)?;
            let round_trip = began.elapsed();
            let clock_ahead = (!self.is_sqlite()).then(|| ahead(time, asked_at, round_trip));
            Ok(Probe { version: Some(version), round_trip, clock_ahead })
        })
        .await
    }

    /// Compares the tables with those of this release.
    ///
    /// # Errors
    /// [`crate::error::Error::Unavailable`].
    pub async fn migrations(&self) -> Result<Migrations> {
        self.in_time(async {
            let known = migrate::known();
            let mut made = Vec::new();
            if self.fetch_optional(query(migrate::table_exists(self.is_sqlite()))).await?.is_some()
            {
                let text = "SELECT version FROM _sqlx_migrations WHERE success ORDER BY version";
                for row in self.fetch_all(query(text)).await? {
                    made.push(row.try_get::<i64, _>(0)?);
                }
            }
            let without = |all: &[i64], others: &[i64]| {
                all.iter().copied().filter(|one| !others.contains(one)).collect()
            };
            let (missing, newer) = (without(&known, &made), without(&made, &known));
            Ok(Migrations { known: known.len(), missing, newer })
        })
        .await
    }
}
