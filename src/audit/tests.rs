//! What a record costs, and how its line looks.

use std::io;
use std::sync::Mutex;
use std::time::Instant;

use async_trait::async_trait;
use tracing_subscriber::fmt::MakeWriter;

use super::store::{Appended, Removal};
use super::witness::{End, Seen};
use super::*;
use crate::clock::Manual;
use crate::error::Error;
use crate::id::Os;
use crate::token::key::MasterSecret;

/// A database that does not answer.
struct Away;

#[async_trait]
impl AuditStore for Away {
    async fn begin(&self, _: &Chain, _: &str) -> Result<Beginning> {
        Err(Error::unavailable("away"))
    }

    async fn renew(&self, _: &Chain, _: &str) -> Result<Renewed> {
        Err(Error::unavailable("away"))
    }

    async fn append(&self, _: &Chain, _: Option<&Seen>, _: &[Event]) -> Result<Appended> {
        Err(Error::unavailable("away"))
    }

    async fn end(&self, _: i64) -> Result<End> {
        Err(Error::unavailable("away"))
    }

    async fn has_accounts(&self) -> Result<bool> {
        Err(Error::unavailable("away"))
    }

    async fn list(&self, _: &EventFilter) -> Result<Vec<Row>> {
        Err(Error::unavailable("away"))
    }

    async fn tally(
        &self,
        _: &[Kind],
        _: Timestamp,
        _: Timestamp,
        _: Duration,
    ) -> Result<Vec<Count>> {
        Err(Error::unavailable("away"))
    }

    async fn rows_after(&self, _: i64, _: u32) -> Result<Vec<Row>> {
        Err(Error::unavailable("away"))
    }

    async fn remove(&self, _: &Chain, _: Timestamp, _: u32) -> Result<Removal> {
        Err(Error::unavailable("away"))
    }
}

fn started(chain: Chain, clock: Arc<Manual>) -> Audit {
    Audit::start(Arc::new(Away), chain, clock, Arc::new(Os), &Registry::default())
}

#[tokio::test]
async fn sr_80_a_database_that_is_away_holds_nobody_up() {
    let chain = Chain::new(&MasterSecret::generate(&Os));
    let clock = Arc::new(Manual::at(Timestamp::from_millis(0)));
    let audit = started(chain, clock);
    let began = Instant::now();
    for _ in 0..writer::QUEUE {
        audit.record(Entry::of(Kind::LoginFail)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // What the writer holds in its hand leaves room for some more; then the queue is full.
    for _ in 0..200 {
        let _ = audit.queue.try_send(Item::Flush(oneshot::channel().0));
    }
    let began = Instant::now();
    audit.record(Entry::of(Kind::LoginFail)).await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(!audit.flush(Duration::from_millis(50)).await);
}

#[tokio::test]
async fn sr_80_a_flood_of_requests_is_no_flood_of_events() {
    let chain = Chain::new(&MasterSecret::generate(&Os));
    let clock = Manual::at(Timestamp::from_millis(0));
    let audit = started(chain, Arc::new(clock.clone()));
    let from = |n: u32| (Kind::RateLimited, Some(IpAddr::from(n.to_be_bytes())));
    assert!(audit.note(from(1)) && !audit.note(from(1)) && audit.note(from(2)));
    assert!(audit.note((Kind::Csrf, from(1).1)));
    let noted = (3..5000).filter(|n| audit.note(from(*n))).count();
    assert_eq!(noted, MAX_NOTED - 3);
    clock.advance(SPARINGLY);
    assert!(audit.note(from(1)) && audit.note(from(4999)));
}

#[tokio::test]
async fn an_event_knows_where_the_work_comes_from() {
    assert_eq!((client_ip(), origin::actor()), (None, None));
    let ip: std::net::IpAddr = [203, 0, 113, 7].into();
    let (one, other) = (crate::id::AccountId::random(&Os), crate::id::AccountId::random(&Os));
    Origin::request(ip.into(), "request")
        .scope(async {
            assert_eq!(origin::actor(), None);
            acting(&one);
            acting(&other);
            assert_eq!(origin::actor().as_deref(), Some(one.as_str()));
            assert_eq!((client_ip(), origin::request_id().as_deref()), (Some(ip), Some("request")));
        })
        .await;
    Origin::operator()
        .scope(async { assert_eq!(origin::actor().as_deref(), Some(OPERATOR)) })
        .await;
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[test]
fn sr_80_no_event_looks_like_two() {
    let evil = "x\r\n2026 INFO audit: event=\"user_deleted\" \u{1b}[2J\u{85}\u{9b}";
    let event = Event {
        id: EventId::random(&Os),
        at: Timestamp::from_millis(0),
        kind: evil.to_owned(),
        actor: Some(evil.to_owned()),
        subject: Some(evil.to_owned()),
        ip: Some(evil.to_owned()),
        result: evil.to_owned(),
        request_id: Some(evil.to_owned()),
        detail: Some(evil.to_owned()),
    };
    let (text, json) = (Lines::default(), Lines::default());
    let format = tracing_subscriber::fmt().with_ansi(false).with_writer(text.clone()).finish();
    tracing::subscriber::with_default(format, || log(&event));
    let format = tracing_subscriber::fmt().json().flatten_event(true).with_writer(json.clone());
    tracing::subscriber::with_default(format.finish(), || log(&event));
    for lines in [text, json] {
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line = written.strip_suffix('\n').expect("one line");
        let raw = |c: char| c.is_ascii_control();
        assert!(!line.contains(raw), "{line:?}");
    }
}
