//! Signing keys in SQL.

use async_trait::async_trait;

use super::statement::{SqlRow, query};
use super::{SqlStore, row};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::token::key::{Algorithm, KeyRecord, KeyStore};

#[async_trait]
impl KeyStore for SqlStore {
    async fn list(&self) -> Result<Vec<KeyRecord>> {
        self.in_time("key.list", async {
            let all = query(
                "SELECT number, kid, algorithm, sealed, created_at, signs_from, withdrawn_at \
                 FROM signing_key ORDER BY number",
            );
            let rows = self.pool.fetch_all(all).await?;
            rows.iter().map(key).collect()
        })
        .await
    }

    async fn add(&self, key: &KeyRecord, withdraw_earlier: Option<Timestamp>) -> Result<bool> {
        self.in_time("key.add", async {
            let mut write = self.pool.write().await?;
            // Of two at once the second waits here for the first, and then finds its number taken.
            let added = query(
                "INSERT INTO signing_key (number, kid, algorithm, sealed, created_at, signs_from, \
                 withdrawn_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            )
            .bind(key.number)
            .bind(key.id.as_str())
            .bind(key.algorithm.as_str())
            .bind(key.sealed.as_deref())
            .bind(key.created_at.as_millis())
            .bind(key.signs_from.as_millis())
            .bind(key.withdrawn_at.map(Timestamp::as_millis))
            .execute(&mut write)
            .await?
            .rows_affected()
                > 0;
            if let Some(at) = withdraw_earlier.filter(|_| added) {
                query(
                    "UPDATE signing_key SET withdrawn_at = $1 \
                     WHERE number < $2 AND withdrawn_at IS NULL",
                )
                .bind(at.as_millis())
                .bind(key.number)
                .execute(&mut write)
                .await?;
            }
            write.end(added).await?;
            Ok(added)
        })
        .await
    }

    async fn erase(&self, number: i64) -> Result<()> {
        self.in_time("key.erase", async {
            let mut write = self.pool.write().await?;
            query("UPDATE signing_key SET sealed = NULL WHERE number = $1")
                .bind(number)
                .execute(&mut write)
                .await?;
            write.commit().await
        })
        .await
    }
}

fn key(row: &SqlRow) -> Result<KeyRecord> {
    let algorithm: String = row.try_get("algorithm")?;
    let withdrawn_at: Option<i64> = row.try_get("withdrawn_at")?;
    Ok(KeyRecord {
        number: row.try_get("number")?,
        id: row.try_get("kid")?,
        algorithm: Algorithm::parse(&algorithm).ok_or_else(|| row::corrupt("algorithm"))?,
        sealed: row.try_get("sealed")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        signs_from: Timestamp::from_millis(row.try_get("signs_from")?),
        withdrawn_at: withdrawn_at.map(Timestamp::from_millis),
    })
}
