//! Notices to owners, and the devices that accounts were seen on.

use super::SqlStore;
use super::change::update;
use super::statement::{Statement, query};
use crate::account::notice::{self, Notice};
use crate::account::store::{Change, Sighting};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::AccountId;

/// How many devices are remembered: whoever knows a password cannot fill the table.
const MAX_DEVICES: usize = 50;

impl SqlStore {
    /// Changes an account's notices by `change`, one transaction after the other.
    pub(super) async fn change_notices(
        &self,
        id: &AccountId,
        change: impl FnOnce(Vec<Notice>) -> Vec<Notice> + Send,
    ) -> Result<Change> {
        self.in_time("account.change_notices", async {
            let mut write = self.pool.write().await?;
            // Raised first: it is the lock under which the notices are read.
            let change = match update(&mut write, id, raise(id)).await? {
                Change::Done(account) => {
                    let notices = notice::write(&change(account.notices))?;
                    let put = query("UPDATE account SET notices = $1 WHERE id = $2")
                        .bind(notices)
                        .bind(id.as_str());
                    update(&mut write, id, put).await?
                }
                other => other,
            };
            write.end(matches!(change, Change::Done(_))).await?;
            Ok(change)
        })
        .await
    }

    pub(super) async fn see_device(
        &self,
        id: &AccountId,
        device: &str,
        now: Timestamp,
    ) -> Result<Sighting> {
        self.in_time("account.note_device", async {
            let known = query("SELECT device FROM account_device WHERE account_id = $1");
            let known = self.pool.fetch_all(known.bind(id.as_str())).await?;
            for row in &known {
                if row.try_get::<String, _>(0)? == device {
                    return Ok(Sighting::Known);
                }
            }
            if known.len() < MAX_DEVICES {
                let mut write = self.pool.write().await?;
                // From the account, so that nothing is noted of one that was deleted meanwhile.
                query(
                    "INSERT INTO account_device (account_id, device, first_seen_at) \
                     SELECT id, $1, $2 FROM account WHERE id = $3 \
                     ON CONFLICT (account_id, device) DO NOTHING",
                )
                .bind(device)
                .bind(now.as_millis())
                .bind(id.as_str())
                .execute(&mut write)
                .await?;
                write.commit().await?;
            }
            Ok(if known.is_empty() { Sighting::First } else { Sighting::New })
        })
        .await
    }
}

fn raise(id: &AccountId) -> Statement {
    query("UPDATE account SET version = version + 1 WHERE id = $1").bind(id.as_str())
}
