//! The audit trail in SQL: rows are added, read, and when they are too old removed. No statement here
//! changes one.

use std::time::Duration;

use async_trait::async_trait;

use super::kept::Write;
use super::list::Composed;
use super::statement::{SqlRow, Statement, query};
use super::{SqlStore, trail};
use crate::audit::chain::{Chain, Row};
use crate::audit::store::{Appended, AuditStore, Beginning, Count, EventFilter, Removal, Renewed};
use crate::audit::verify::Break;
use crate::audit::witness::{Alarm, End, Seen};
use crate::audit::{Event, Kind, retention};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::EventId;

/// What a row of the table is made of.
const COLUMNS: &str = "seq, id, at, kind, actor, subject, ip, result, request_id, detail, mac";
/// How many rows one statement adds, the most first: few texts, so that each is prepared once.
const CHUNKS: [usize; 4] = [32, 8, 2, 1];

#[async_trait]
impl AuditStore for SqlStore {
    async fn begin(&self, chain: &Chain, id: &str) -> Result<Beginning> {
        self.in_time("audit.begin", trail::begin(self, chain, id)).await
    }

    async fn renew(&self, chain: &Chain, id: &str) -> Result<Renewed> {
        self.in_time("audit.renew", trail::renew(self, chain, id)).await
    }

    async fn append(
        &self,
        chain: &Chain,
        seen: Option<&Seen>,
        events: &[Event],
    ) -> Result<Appended> {
        self.in_time("audit.append", async {
            let mut write = self.pool.write().await?;
            trail::lock_head(&mut write).await?;
            let place = seen.map_or(0, |seen| seen.seq);
            let end = trail::end(&mut write, place).await?;
            if is_known(&mut write, events).await? {
                write.end(false).await?;
                return Ok(Appended { seen: end.seen(), alarm: None });
            }
            let alarm = chain.judge(&end, seen);
            let head = trail::place_to_go_on(&end);
            let sound = matches!(alarm, None | Some(Alarm::Missing(_)));
            let (rows, head) = chain.extend(&head, sound, events);
            insert(&mut write, &rows).await?;
            trail::put_head(&mut write, &head).await?;
            write.commit().await?;
            let seen = Seen { seq: head.seq, mac: head.mac, ..end.seen() };
            Ok(Appended { seen, alarm })
        })
        .await
    }

    async fn end(&self, seen: i64) -> Result<End> {
        self.in_time("audit.end", async {
            let mut connection = self.pool.acquire().await?;
            trail::end(&mut connection, seen).await
        })
        .await
    }

    async fn has_accounts(&self) -> Result<bool> {
        self.in_time("audit.has_accounts", async {
            let mut connection = self.pool.acquire().await?;
            trail::has_accounts(&mut connection).await
        })
        .await
    }

    async fn list(&self, filter: &EventFilter) -> Result<Vec<Row>> {
        let texts = [&filter.actor, &filter.subject];
        // PostgreSQL refuses NUL in a text, and no stored text has one.
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Ok(Vec::new());
        }
        let statement = page(filter);
        self.in_time("audit.list", async {
            let query = statement.query();
            self.pool.fetch_all(query).await?.iter().map(row).collect()
        })
        .await
    }

    async fn tally(
        &self,
        kinds: &[Kind],
        from: Timestamp,
        to: Timestamp,
        span: Duration,
    ) -> Result<Vec<Count>> {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1);
        let statement = tally(kinds, from, to, span);
        self.in_time("audit.tally", async {
            let query = statement.query();
            let rows = self.pool.fetch_all(query).await?;
            let count = |row: &SqlRow| {
                Ok(Count {
                    begins_at: Timestamp::from_millis(
                        row.try_get::<i64, _>(0)?.saturating_mul(span),
                    ),
                    kind: row.try_get(1)?,
                    count: u64::try_from(row.try_get::<i64, _>(2)?).map_err(Error::internal)?,
                })
            };
            rows.iter().map(count).collect()
        })
        .await
    }

    async fn rows_after(&self, seq: i64, limit: u32) -> Result<Vec<Row>> {
        self.in_time("audit.rows_after", async {
            let text =
                format!("SELECT {COLUMNS} FROM audit_event WHERE seq > $1 ORDER BY seq LIMIT $2");
            let rows = Statement::of(text, vec![seq.into(), i64::from(limit).into()]);
            let rows = self.pool.fetch_all(rows).await?;
            rows.iter().map(row).collect()
        })
        .await
    }

    async fn remove(&self, chain: &Chain, before: Timestamp, limit: u32) -> Result<Removal> {
        self.in_time("audit.remove", async {
            let mut write = self.pool.write().await?;
            // The lock: another server waits here. Who adds rows does not.
            let start = trail::lock_start(&mut write).await?;
            // One more than may go, so that the last row of all stays.
            let mut rows = first_rows(&mut write, i64::from(limit) + 1).await?;
            rows.pop();
            let shortened = match start {
                None => Err(Break::Start),
                Some(start) => retention::shorten(chain, &start, &rows, before),
            };
            let (rows, start) = match shortened {
                Ok(Some(shortened)) => shortened,
                Ok(None) => return Ok(Removal::Nothing),
                Err(broken) => return Ok(Removal::Refused(broken)),
            };
            query("DELETE FROM audit_event WHERE seq <= $1")
                .bind(start.seq)
                .execute(&mut write)
                .await?;
            trail::put_start(&mut write, &start).await?;
            write.commit().await?;
            Ok(Removal::Done { rows, start })
        })
        .await
    }
}

/// The rows with the lowest places, as a transaction sees them.
async fn first_rows(write: &mut Write, limit: i64) -> Result<Vec<Row>> {
    let rows = Statement::of(
        format!("SELECT {COLUMNS} FROM audit_event ORDER BY seq LIMIT $1"),
        Vec::new(),
    )
    .bind(limit)
    .fetch_all(write)
    .await?;
    rows.iter().map(row).collect()
}

/// Whether the first of these events is in the table already.
async fn is_known(write: &mut Write, events: &[Event]) -> Result<bool> {
    let Some(first) = events.first() else { return Ok(true) };
    let known = query("SELECT 1 FROM audit_event WHERE id = $1").bind(first.id.as_str());
    Ok(known.fetch_optional(write).await?.is_some())
}

/// Adds rows, many with one statement.
async fn insert(write: &mut Write, mut rows: &[Row]) -> Result<()> {
    for size in CHUNKS {
        while let Some((chunk, rest)) = rows.split_at_checked(size) {
            let places: Vec<String> = (0..size)
                .map(|row| {
                    let numbers: Vec<String> =
                        (1..=11).map(|column| format!("${}", row * 11 + column)).collect();
                    format!("({})", numbers.join(", "))
                })
                .collect();
            let text = format!("INSERT INTO audit_event ({COLUMNS}) VALUES {}", places.join(", "));
            let mut query = Statement::of(text, Vec::new());
            for Row { seq, event, mac } in chunk {
                query = query
                    .bind(*seq)
                    .bind(event.id.as_str())
                    .bind(event.at.as_millis())
                    .bind(event.kind.as_str())
                    .bind(event.actor.as_deref())
                    .bind(event.subject.as_deref())
                    .bind(event.ip.as_deref())
                    .bind(event.result.as_str())
                    .bind(event.request_id.as_deref())
                    .bind(event.detail.as_deref())
                    .bind(mac.as_str());
            }
            query.execute(write).await?;
            rows = rest;
        }
    }
    Ok(())
}

/// The statement for a page of events; its text depends on which filters are set alone (SR-63).
pub(super) fn page(filter: &EventFilter) -> Composed {
    let mut page = Composed::new(format!("SELECT {COLUMNS} FROM audit_event WHERE 1 = 1"));
    for (column, value) in [
        ("actor", filter.actor.as_deref()),
        ("subject", filter.subject.as_deref()),
        ("kind", filter.kind.map(Kind::as_str)),
    ] {
        if let Some(value) = value {
            let value = page.text(value);
            page.and(&format!("{column} = {value}"));
        }
    }
    for (relation, at) in [(">=", filter.from), ("<", filter.to)] {
        if let Some(at) = at {
            let at = page.bind(at.as_millis());
            page.and(&format!("at {relation} {at}"));
        }
    }
    if let Some((at, seq)) = filter.after {
        let at = page.bind(at.as_millis());
        let seq = page.bind(seq);
        page.and(&format!("(at, seq) < ({at}, {seq})"));
    }
    let limit = page.bind(i64::from(filter.limit));
    page.push(&format!(" ORDER BY at DESC, seq DESC LIMIT {limit}"));
    page
}

/// The statement that counts events by span of time and kind.
fn tally(kinds: &[Kind], from: Timestamp, to: Timestamp, span: i64) -> Composed {
    let mut tally = Composed::new("SELECT at / ".to_owned());
    let span = tally.bind(span);
    tally.push(&format!("{span}, kind, COUNT(*) FROM audit_event WHERE 1 = 1"));
    let kinds: Vec<String> = kinds.iter().map(|kind| tally.text(kind.as_str())).collect();
    tally.and(&format!("kind IN ({})", kinds.join(", ")));
    let from = tally.bind(from.as_millis());
    let to = tally.bind(to.as_millis());
    tally.and(&format!("at >= {from} AND at < {to}"));
    tally.push(" GROUP BY 1, 2 ORDER BY 1, 2");
    tally
}

fn row(row: &SqlRow) -> Result<Row> {
    let text = |column| row.try_get::<String, _>(column);
    let optional = |column| row.try_get::<Option<String>, _>(column);
    Ok(Row {
        seq: row.try_get("seq")?,
        event: Event {
            id: EventId::stored(&text("id")?),
            at: Timestamp::from_millis(row.try_get("at")?),
            kind: text("kind")?,
            actor: optional("actor")?,
            subject: optional("subject")?,
            ip: optional("ip")?,
            result: text("result")?,
            request_id: optional("request_id")?,
            detail: optional("detail")?,
        },
        mac: text("mac")?,
    })
}
