//! The audit trail in SQL: rows are added, read, and when they are too old removed. No statement here
//! changes one.

use std::time::Duration;

use async_trait::async_trait;

use super::SqlStore;
use super::kept::Write;
use super::list::Composed;
use super::statement::{SqlRow, Statement, query};
use crate::audit::chain::{Chain, Head, Row};
use crate::audit::store::{AuditStore, Count, EventFilter, Removal};
use crate::audit::verify::Break;
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
    async fn append(&self, chain: &Chain, events: &[Event]) -> Result<()> {
        let Some(first) = events.first() else { return Ok(()) };
        self.in_time("audit.append", async {
            let mut write = self.pool.write().await?;
            // The lock: the next batch waits here until this one is committed.
            let head =
                query("UPDATE audit_head SET seq = seq WHERE one = 1 RETURNING seq, mac, seal");
            let head = optional_head(head.fetch_optional(&mut write).await?)?;
            let last = query(
                "SELECT seq, mac, (SELECT COUNT(*) FROM audit_event WHERE id = $1) AS known \
                 FROM audit_event ORDER BY seq DESC LIMIT 1",
            )
            .bind(first.id.as_str())
            .fetch_optional(&mut write)
            .await?;
            let (seq, mac, known) = match last {
                Some(row) => (row.try_get(0)?, row.try_get(1)?, row.try_get::<i64, _>(2)? > 0),
                None => (0, String::new(), false),
            };
            if known {
                return write.end(false).await;
            }
            let head = sound_head(&mut write, head, (seq, mac)).await?;
            let (rows, head) = chain.extend(&head, events);
            insert(&mut write, &rows).await?;
            query("UPDATE audit_head SET seq = $1, mac = $2, seal = $3 WHERE one = 1")
                .bind(head.seq)
                .bind(head.mac)
                .bind(head.seal)
                .execute(&mut write)
                .await?;
            write.commit().await
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

    async fn last_seq(&self) -> Result<i64> {
        self.in_time("audit.last_seq", async {
            let row = query("SELECT COALESCE(MAX(seq), 0) FROM audit_event");
            Ok(self.pool.fetch_one(row).await?.try_get(0)?)
        })
        .await
    }

    async fn head(&self) -> Result<Option<Head>> {
        self.in_time("audit.head", async {
            let row = query("SELECT seq, mac, seal FROM audit_head WHERE one = 1");
            optional_head(self.pool.fetch_optional(row).await?)
        })
        .await
    }

    async fn start(&self) -> Result<Option<Head>> {
        self.in_time("audit.start", async {
            let row = query("SELECT seq, mac, seal FROM audit_start WHERE one = 1");
            optional_head(self.pool.fetch_optional(row).await?)
        })
        .await
    }

    async fn remove(&self, chain: &Chain, before: Timestamp, limit: u32) -> Result<Removal> {
        self.in_time("audit.remove", async {
            let mut write = self.pool.write().await?;
            // The lock: another server waits here. Who adds rows does not.
            let start =
                query("UPDATE audit_start SET seq = seq WHERE one = 1 RETURNING seq, mac, seal");
            let start = optional_head(start.fetch_optional(&mut write).await?)?;
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
            query("UPDATE audit_start SET seq = $1, mac = $2, seal = $3 WHERE one = 1")
                .bind(start.seq)
                .bind(start.mac.as_str())
                .bind(start.seal.as_str())
                .execute(&mut write)
                .await?;
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

/// The head to go on from, by what is kept of it and by the last row that is there. Where it is gone,
/// or there are rows behind it, somebody has been at the table: then it is one after all rows that
/// are there, so that events go on being kept, and without a seal, so that it stays known.
async fn sound_head(
    write: &mut Write,
    head: Option<Head>,
    (seq, mac): (i64, String),
) -> Result<Head> {
    match head {
        Some(head) if seq <= head.seq => return Ok(head),
        Some(_) => {}
        None => {
            query("INSERT INTO audit_head (one, seq, mac, seal) VALUES (1, 0, '', '')")
                .execute(write)
                .await?;
        }
    }
    Ok(Head { seq, mac, seal: "broken".to_owned() })
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

fn optional_head(row: Option<SqlRow>) -> Result<Option<Head>> {
    let head = |row: SqlRow| {
        Ok(Head { seq: row.try_get("seq")?, mac: row.try_get("mac")?, seal: row.try_get("seal")? })
    };
    row.map(head).transpose()
}
