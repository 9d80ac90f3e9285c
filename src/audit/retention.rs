//! Retention: events that are older than they may be kept are removed, from the first on, and what is
//! left goes on being a chain.

use super::chain::{Chain, Head, Row};
use super::store::Removal;
use super::verify::Break;
use super::{Audit, Entry, Kind};
use crate::clock::Timestamp;
use crate::error::Result;

/// How many rows are removed at a time: servers that add rows wait no longer than for these.
const STEP: u32 = 500;

/// How many of `rows`, the first of the chain, happened before `before` and can go, and where the chain
/// then begins; `None` if the first one stays.
///
/// A row goes only if it is as it was written, so that removing rows covers up nothing. What happened
/// earlier than the row before it, by another server's clock, waits for that.
///
/// # Errors
/// Where the chain breaks.
pub fn shorten(
    chain: &Chain,
    start: &Head,
    rows: &[Row],
    before: Timestamp,
) -> Result<Option<(u32, Head)>, Break> {
    if !chain.holds_start(start) {
        return Err(Break::Start);
    }
    let (mut seq, mut mac) = (start.seq, start.mac.as_str());
    let mut count = 0;
    for row in rows.iter().take_while(|row| row.event.at < before) {
        if row.seq > seq + 1 {
            return Err(Break::Missing(seq + 1));
        }
        if !chain.follows(seq, mac, row) {
            return Err(Break::Altered(row.seq));
        }
        (seq, mac) = (row.seq, &row.mac);
        count += 1;
    }
    Ok((count > 0).then(|| (count, chain.seal_start(seq, mac))))
}

impl Audit {
    /// Removes all events that happened before `before`, but for the last one, and records that; how
    /// many they were.
    ///
    /// Where the chain is broken they stay, and the log says why.
    pub async fn retain(&self, before: Timestamp) -> Result<u64> {
        let (mut removed, mut last) = (0, None);
        loop {
            match self.store.remove(&self.chain, before, STEP).await? {
                Removal::Done { rows, start } => {
                    removed += u64::from(rows);
                    last = Some(start);
                }
                Removal::Nothing => break,
                Removal::Refused(broken) => {
                    tracing::error!(
                        cause = %broken,
                        "old audit events are kept, because the trail is not whole"
                    );
                    break;
                }
            }
        }
        if let Some(Head { seq, mac, .. }) = last {
            let detail = format!("{removed} events before {before}; the last was {seq}:{mac}");
            self.record(Entry::of(Kind::AuditRemoved).detail(detail)).await;
        }
        Ok(removed)
    }
}
