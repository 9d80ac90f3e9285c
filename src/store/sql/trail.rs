//! The records of where the audit trail begins, where it ends, and which one it is.

use super::SqlStore;
use super::connection::SqlConnection;
use super::kept::Write;
use super::statement::{SqlRow, query};
use crate::audit::chain::{Chain, Head, Trail};
use crate::audit::store::{Beginning, Renewed};
use crate::audit::witness::{End, Seen};
use crate::error::Result;

/// Writes an end, whether its row is there or gone.
macro_rules! put_end {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (one, seq, mac, seal) VALUES (1, $1, $2, $3) ON CONFLICT (one) \
             DO UPDATE SET seq = excluded.seq, mac = excluded.mac, seal = excluded.seal"
        )
    };
}

/// The lock: who adds rows next waits here until this transaction is committed.
pub(super) async fn lock_head(write: &mut Write) -> Result<()> {
    query("UPDATE audit_head SET seq = seq WHERE one = 1").execute(write).await?;
    Ok(())
}

/// The beginning, under the lock of who removes rows.
pub(super) async fn lock_start(write: &mut Write) -> Result<Option<Head>> {
    let start = query("UPDATE audit_start SET seq = seq WHERE one = 1 RETURNING *");
    let row = start.fetch_optional(write).await?;
    row.as_ref().map_or(Ok(None), |row| head(row, ["seq", "mac", "seal"]))
}

/// Everything about the end in one statement, so that all of it is of one moment.
pub(super) async fn end(connection: &mut SqlConnection, seen: i64) -> Result<End> {
    let row = query(
        "SELECT t.id, t.follows, t.seal AS name_seal, \
         h.seq AS head_seq, h.mac AS head_mac, h.seal AS head_seal, \
         s.seq AS start_seq, s.mac AS start_mac, s.seal AS start_seal, \
         l.seq AS last_seq, l.mac AS last_mac, \
         (SELECT e.mac FROM audit_event e WHERE e.seq = $1) AS at_seen \
         FROM (SELECT 1 AS one) o \
         LEFT JOIN audit_trail t ON t.one = o.one \
         LEFT JOIN audit_head h ON h.one = o.one \
         LEFT JOIN audit_start s ON s.one = o.one \
         LEFT JOIN (SELECT seq, mac FROM audit_event ORDER BY seq DESC LIMIT 1) l ON 1 = 1",
    )
    .bind(seen)
    .fetch_one(connection)
    .await?;
    let text = |column: &str| row.try_get::<Option<String>, _>(column);
    let named = |(id, follows, seal)| Trail { id, follows, seal };
    let trail = triple(text("id")?, text("follows")?, text("name_seal")?).map(named);
    let last = row.try_get::<Option<i64>, _>("last_seq")?.zip(text("last_mac")?);
    Ok(End {
        trail,
        head: head(&row, ["head_seq", "head_mac", "head_seal"])?,
        start: head(&row, ["start_seq", "start_mac", "start_seal"])?,
        last: last.unwrap_or_default(),
        at_seen: text("at_seen")?,
    })
}

fn head(row: &SqlRow, [seq, mac, seal]: [&str; 3]) -> Result<Option<Head>> {
    let head = triple(
        row.try_get::<Option<i64>, _>(seq)?,
        row.try_get::<Option<String>, _>(mac)?,
        row.try_get::<Option<String>, _>(seal)?,
    );
    Ok(head.map(|(seq, mac, seal)| Head { seq, mac, seal }))
}

fn triple<A, B, C>(a: Option<A>, b: Option<B>, c: Option<C>) -> Option<(A, B, C)> {
    Some((a?, b?, c?))
}

pub(super) async fn has_accounts(connection: &mut SqlConnection) -> Result<bool> {
    let one = query("SELECT 1 FROM account LIMIT 1").fetch_optional(connection).await?;
    Ok(one.is_some())
}

/// See `AuditStore::begin`.
pub(super) async fn begin(store: &SqlStore, chain: &Chain, id: &str) -> Result<Beginning> {
    let mut write = store.pool.write().await?;
    lock_head(&mut write).await?;
    let found = end(&mut write, 0).await?;
    let beginning = match &found {
        End { trail: Some(_), .. } => Beginning::Known,
        // Whoever has an account has been told of in the trail.
        found if is_untouched(found) && !has_accounts(&mut write).await? => Beginning::Began,
        End { head: Some(head), last, .. }
            if chain.holds(None, head) && *last == (head.seq, head.mac.clone()) =>
        {
            Beginning::Named
        }
        _ => Beginning::Gone,
    };
    let trail = chain.name(id, "");
    if matches!(beginning, Beginning::Began | Beginning::Named) {
        put_name(&mut write, &trail).await?;
    }
    if beginning == Beginning::Began {
        put_head(&mut write, &chain.seal_empty(&trail)).await?;
    }
    write.end(matches!(beginning, Beginning::Began | Beginning::Named)).await?;
    Ok(beginning)
}

/// Whether everything is as the migrations left it.
fn is_untouched(end: &End) -> bool {
    let migrated = Some(Head::default());
    end.head == migrated && end.start == migrated && end.last == (0, String::new())
}

/// See `AuditStore::renew`.
pub(super) async fn renew(store: &SqlStore, chain: &Chain, id: &str) -> Result<Renewed> {
    let mut write = store.pool.write().await?;
    lock_head(&mut write).await?;
    let old = end(&mut write, 0).await?;
    let follows = old.trail.as_ref().filter(|trail| chain.holds_name(trail));
    let trail = chain.name(id, follows.map_or("", |trail| &trail.id));
    let deleted = query("DELETE FROM audit_event").execute(&mut write).await?;
    query("DELETE FROM audit_trail").execute(&mut write).await?;
    put_name(&mut write, &trail).await?;
    put_head(&mut write, &chain.seal_empty(&trail)).await?;
    put_start(&mut write, &Head::default()).await?;
    write.commit().await?;
    let new = Seen { trail: trail.id, seq: 0, mac: String::new() };
    Ok(Renewed { events: deleted.rows_affected(), old: old.seen(), new })
}

async fn put_name(write: &mut Write, trail: &Trail) -> Result<()> {
    query("INSERT INTO audit_trail (one, id, follows, seal) VALUES (1, $1, $2, $3)")
        .bind(trail.id.as_str())
        .bind(trail.follows.as_str())
        .bind(trail.seal.as_str())
        .execute(write)
        .await?;
    Ok(())
}

/// The head to go on from, by what is kept of it and by the last row that is there. Where it is gone,
/// or there are rows behind it, somebody has been at the table: then it is one after all rows that
/// are there, so that events go on being kept.
pub(super) fn place_to_go_on(end: &End) -> Head {
    let (seq, mac) = end.last.clone();
    match &end.head {
        Some(head) if seq <= head.seq => head.clone(),
        _ => Head { seq, mac, seal: String::new() },
    }
}

pub(super) async fn put_head(write: &mut Write, head: &Head) -> Result<()> {
    put(write, put_end!("audit_head"), head).await
}

pub(super) async fn put_start(write: &mut Write, start: &Head) -> Result<()> {
    put(write, put_end!("audit_start"), start).await
}

async fn put(write: &mut Write, text: &'static str, head: &Head) -> Result<()> {
    query(text)
        .bind(head.seq)
        .bind(head.mac.as_str())
        .bind(head.seal.as_str())
        .execute(write)
        .await?;
    Ok(())
}
