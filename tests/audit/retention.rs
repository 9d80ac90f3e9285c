//! Old events are removed, and what is left still shows whoever tampers with it (SR-80).

use std::sync::Arc;
use std::time::Duration;

use doorward::audit::chain::Chain;
use doorward::audit::store::EventFilter;
use doorward::audit::verify::{Break, Checkpoint, Verdict};
use doorward::audit::{Audit, Entry, Kind};
use doorward::clock::{Clock as _, Manual};
use doorward::id::{Os, SecretString};
use doorward::metric::Registry;
use doorward::store::sql::SqlStore;
use doorward::token::key::MasterSecret;

use crate::app::{START, days};
use crate::store::database::{Database, on_both_databases};

/// A trail over which time passes.
struct Trail {
    database: Database,
    audit: Audit,
    clock: Manual,
    secret: SecretString,
}

impl Trail {
    async fn of(database: Database) -> Self {
        let (clock, secret) = (Manual::at(START), MasterSecret::generate_base64(&Os));
        let audit = another(&database, &secret, &clock);
        audit.begin().await.expect("it answers");
        Self { database, audit, clock, secret }
    }

    /// A trail with ten events on each of these days.
    async fn over(database: Database, many: u32) -> Self {
        let trail = Self::of(database).await;
        for _ in 0..many {
            trail.add(10).await;
            trail.clock.advance(days(1));
        }
        trail
    }

    async fn add(&self, events: usize) {
        for _ in 0..events {
            self.audit.record(Entry::of(Kind::LoginFail)).await;
        }
        self.flush().await;
    }

    async fn flush(&self) {
        assert!(self.audit.flush(Duration::from_secs(20)).await);
    }

    /// Removes what is older than so many days; the removal itself is in the table afterwards.
    async fn keep(&self, kept: u64) -> u64 {
        let removed = self.audit.retain(self.clock.now() - days(kept)).await.expect("it answers");
        self.flush().await;
        removed
    }

    async fn verify(&self, known: Option<&Checkpoint>) -> Verdict {
        self.audit.verify(known).await.expect("it answers")
    }

    async fn broken(&self) -> Option<Break> {
        self.verify(None).await.broken
    }

    /// How many events there are, and the place of the first.
    async fn kept(&self) -> (i64, i64) {
        let first = self.database.number("SELECT COALESCE(MIN(seq), 0) FROM audit_event").await;
        (self.database.number("SELECT COUNT(*) FROM audit_event").await, first)
    }
}

fn another(database: &Database, secret: &SecretString, clock: &Manual) -> Audit {
    let store = Arc::new(SqlStore::new(database.pool.clone()));
    let chain = Chain::new(&MasterSecret::from_base64(secret).expect("a secret"));
    Audit::start(store, chain, Arc::new(clock.clone()), Arc::new(Os), &Registry::default())
}

on_both_databases! {
    async fn sr_80_old_events_go_and_the_rest_is_a_whole_trail(database: Database) {
        let trail = Trail::over(database, 10).await;
        let old = trail.verify(None).await;
        assert_eq!((old.good, old.removed, old.broken), (100, 0, None));
        assert_eq!(trail.keep(30).await, 0);

        assert_eq!(trail.keep(4).await, 60);
        let verdict = trail.verify(None).await;
        assert_eq!((verdict.good, verdict.removed, verdict.broken), (41, 60, None));
        let page = trail.audit.list(EventFilter { limit: 200, ..EventFilter::default() }, None);
        let page = page.await.expect("it answers");
        let last = page.items.first().expect("an event");
        assert_eq!(last.kind, "sys_audit_removed");
        let detail = last.detail.as_deref().expect("a detail");
        assert!(detail.starts_with("60 events before 2027-01-21") && detail.contains(" 60:"), "{detail}");
        assert!(page.items.iter().all(|event| event.at >= START + days(6)));

        // A checkpoint of before holds as long as its row is there.
        let known = old.checkpoint.expect("a place");
        assert_eq!(trail.verify(Some(&known)).await.broken, None);
        assert_eq!(trail.keep(0).await, 40);
        // That row was the last that went: it is what the chain begins behind.
        assert_eq!(trail.verify(Some(&known)).await.broken, None);
        let other = Checkpoint { seq: known.seq, mac: "bm9uZQ".into() };
        assert_eq!(trail.verify(Some(&other)).await.broken, Some(Break::Checkpoint(100)));
        trail.clock.advance(days(1));
        assert!(trail.keep(0).await > 0);
        assert_eq!(trail.verify(Some(&known)).await.broken, Some(Break::Outdated(100)));
        assert_eq!(trail.broken().await, None);
    }

    async fn sr_80_a_shortened_trail_shows_tampering_as_before(database: Database) {
        let trail = Trail::over(database, 4).await;
        trail.database.execute("CREATE TABLE old AS SELECT * FROM audit_event").await;
        assert_eq!(trail.keep(2).await, 20);
        trail.database.execute(
            "CREATE TABLE kept AS SELECT * FROM audit_event;\
             CREATE TABLE kept_start AS SELECT * FROM audit_start",
        ).await;
        for (crime, found) in [
            ("DELETE FROM audit_event WHERE seq = 21", Break::Missing(21)),
            ("DELETE FROM audit_event WHERE seq <= 30", Break::Missing(21)),
            ("UPDATE audit_event SET ip = '192.0.2.1' WHERE seq = 21", Break::Altered(21)),
            // Back, or further on, than we have ever been.
            ("UPDATE audit_start SET seq = 0, mac = '', seal = ''", Break::Missing(1)),
            ("UPDATE audit_start SET seq = 22, mac = (SELECT mac FROM audit_event WHERE seq = 22)", Break::Start),
            (
                "UPDATE audit_start SET seq = h.seq, mac = h.mac, seal = h.seal FROM audit_head h",
                Break::Start,
            ),
            ("DELETE FROM audit_start", Break::Start),
            // Rows that had gone, put back: they are none of the trail.
            ("INSERT INTO audit_event SELECT * FROM old WHERE seq = 20", Break::Altered(20)),
        ] {
            trail.database.execute(crime).await;
            assert_eq!(trail.broken().await, Some(found), "{crime}");
            trail.database.execute(
                "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM kept;\
                 DELETE FROM audit_start; INSERT INTO audit_start SELECT * FROM kept_start",
            ).await;
        }
        assert_eq!(trail.broken().await, None);
    }

    async fn sr_80_rows_that_were_altered_are_evidence_and_stay(database: Database) {
        let trail = Trail::over(database, 3).await;
        for crime in [
            "UPDATE audit_event SET detail = 'x' WHERE seq = 7",
            "DELETE FROM audit_event WHERE seq = 3",
            "UPDATE audit_start SET seq = 1, mac = 'x', seal = 'x'",
            "DELETE FROM audit_start",
        ] {
            trail.database.execute(crime).await;
            let before = trail.kept().await;
            assert_eq!(trail.keep(0).await, 0, "{crime}");
            assert_eq!(trail.kept().await, before, "{crime}");
        }
    }

    async fn sr_80_the_last_event_is_never_too_old(database: Database) {
        let trail = Trail::of(database).await;
        assert_eq!(trail.keep(0).await, 0);
        trail.add(1).await;
        trail.clock.advance(days(400));
        assert_eq!(trail.keep(30).await, 0);
        trail.add(1).await;
        trail.clock.advance(days(400));
        assert_eq!(trail.keep(30).await, 1);
        assert_eq!(trail.broken().await, None);
    }

    async fn sr_80_events_are_removed_while_others_are_added_and_verified(database: Database) {
        let trail = Trail::of(database).await;
        trail.add(1_800).await;
        trail.clock.advance(days(9));
        let other = another(&trail.database, &trail.secret, &trail.clock);
        let before = trail.clock.now() - days(7);
        // A row of today, so that none of the old ones is the last, which would stay.
        trail.add(1).await;
        let add = async {
            for _ in 0..300 {
                trail.audit.record(Entry::of(Kind::LoginFail)).await;
                rocket::tokio::task::yield_now().await;
            }
            trail.flush().await;
        };
        let verify = async {
            for _ in 0..15 {
                assert_eq!(trail.broken().await, None);
            }
        };
        let (one, two, (), ()) =
            rocket::tokio::join!(trail.audit.retain(before), other.retain(before), add, verify);
        assert_eq!(one.expect("it answers") + two.expect("it answers"), 1_800);
        trail.flush().await;
        assert!(other.flush(Duration::from_secs(20)).await);
        assert_eq!(trail.broken().await, None);
        assert!(trail.kept().await.0 <= 303);
    }

    async fn what_is_over_is_forgotten(database: Database) {
        use doorward::account::store::AccountStore as _;
        use doorward::id::SessionId;
        let at = |hour: u64| START + Duration::from_secs(3600 * hour);
        let (store, ids) = (&database.store, [SessionId::random(&Os), SessionId::random(&Os)]);
        store.add_setup_token("one", at(1), at(0)).await.expect("it answers");
        store.end_sessions(&ids[..1], at(1), at(0)).await.expect("it answers");
        store.add_setup_token("two", at(3), at(0)).await.expect("it answers");
        store.end_sessions(&ids[1..], at(3), at(0)).await.expect("it answers");
        for (hour, left) in [(0, 4), (1, 2), (2, 2), (3, 0)] {
            store.sweep(at(hour)).await.expect("it answers");
            let rows = "SELECT (SELECT COUNT(*) FROM setup_token) + (SELECT COUNT(*) FROM ended_session)";
            assert_eq!(database.number(rows).await, left, "after {hour} hours");
        }
    }
}
