//! Nobody deletes the trail, or puts back an older end of it, under a server that knows it (SR-80).

use doorward::audit::verify::{Break, Checkpoint};
use doorward::audit::witness::Alarm;

use super::chain::Trail;
use crate::store::database::{Database, on_both_databases};

/// Deletes every event, and makes the end look like that of a new table.
const EMPTIED: &str = "DELETE FROM audit_event; UPDATE audit_head SET seq = 0, mac = '', seal = ''; \
                       UPDATE audit_start SET seq = 0, mac = '', seal = ''";
/// The same, as if no server had ever named a trail.
const UNNAMED: &str = "DELETE FROM audit_trail";
/// Keeps a copy of the trail as it is now, in tables whose names begin so.
const KEEP: &str = "CREATE TABLE kept_event AS SELECT * FROM audit_event; \
                    CREATE TABLE kept_head AS SELECT * FROM audit_head; \
                    CREATE TABLE kept_trail AS SELECT * FROM audit_trail";
/// Puts the copy back, as whoever can write to the database can.
const PUT_BACK: &str = "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM kept_event; \
                        DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head; \
                        DELETE FROM audit_trail; INSERT INTO audit_trail SELECT * FROM kept_trail";

on_both_databases! {
    async fn sr_80_a_trail_that_is_deleted_is_missed(database: Database) {
        let trail = Trail::of(database, 9).await;
        trail.database.account("ada@example.org").await;
        trail.sql(KEEP).await;
        for (crime, found) in [
            (EMPTIED.to_owned(), Break::Head),
            (format!("{EMPTIED}; {UNNAMED}"), Break::Name),
            (format!("{EMPTIED}; {UNNAMED}; DELETE FROM audit_head"), Break::Name),
            (format!("{EMPTIED}; DELETE FROM audit_head"), Break::Head),
            (format!("{UNNAMED}; UPDATE audit_head SET seq = 0, mac = '', seal = ''"), Break::Head),
            ("UPDATE audit_trail SET seal = 'x'".to_owned(), Break::Name),
            ("UPDATE audit_trail SET id = 'another'".to_owned(), Break::Name),
        ] {
            trail.sql(&crime).await;
            assert_eq!(trail.broken().await, Some(found), "{crime}");
            // The server that runs finds out, and so does the next one that starts.
            trail.audit.look().await.expect("it answers");
            assert!(trail.audit.alarm().is_some(), "{crime}");
            let restarted = trail.another().await;
            assert!(restarted.alarm().is_some(), "{crime}");
            // What comes later is kept, and heals nothing.
            trail.add(3).await;
            assert!(trail.broken().await.is_some(), "{crime}");
            trail.sql(PUT_BACK).await;
        }
    }

    async fn sr_80_an_older_end_that_is_put_back_is_noticed_by_a_server_that_runs(
        database: Database
    ) {
        let trail = Trail::of(database, 5).await;
        trail.sql(KEEP).await;
        trail.add(4).await;
        trail.sql(PUT_BACK).await;
        // Rows, end and seal are those of an earlier time: nothing in the database is wrong.
        assert_eq!(trail.broken().await, None);
        assert_eq!(trail.audit.alarm(), None);
        trail.audit.look().await.expect("it answers");
        assert_eq!(trail.audit.alarm(), Some(Alarm::Shorter { end: 5, seen: 9 }));
        // What it found out by looking is not forgotten: it seals nothing more.
        trail.add(1).await;
        assert_eq!(trail.broken().await, Some(Break::Head));
        // Nor does the same end, put back once more, pass for the one that it knows.
        trail.sql(PUT_BACK).await;
        trail.add(1).await;
        assert_eq!(trail.broken().await, Some(Break::Head));
    }

    async fn sr_80_the_next_event_after_that_breaks_the_trail_for_good(database: Database) {
        let trail = Trail::of(database, 5).await;
        trail.sql(KEEP).await;
        trail.add(4).await;
        trail.sql(PUT_BACK).await;
        trail.add(1).await;
        assert_eq!(trail.audit.alarm(), Some(Alarm::Shorter { end: 5, seen: 9 }));
        assert_eq!(trail.broken().await, Some(Break::Head));
        let restarted = trail.another().await;
        assert_eq!(restarted.alarm(), Some(Alarm::Head));
    }

    async fn sr_80_rows_that_others_wrote_anew_are_noticed_too(database: Database) {
        let trail = Trail::of(database, 5).await;
        trail.sql(KEEP).await;
        trail.add(4).await;
        trail.sql(PUT_BACK).await;
        // A server that does not know better goes beyond where the trail once ended.
        let other = trail.another().await;
        trail.write_by(&other, 6).await;
        assert_eq!(trail.broken().await, None);
        trail.audit.look().await.expect("it answers");
        assert_eq!(trail.audit.alarm(), Some(Alarm::Replaced(9)));
    }

    async fn sr_80_rows_that_retention_removed_raise_no_alarm(database: Database) {
        let trail = Trail::of(database, 5).await;
        let other = trail.another().await;
        trail.write_by(&other, 5).await;
        let (start, later) = (crate::app::START, std::time::Duration::from_secs(1));
        assert_eq!(other.retain(start + later).await.expect("it answers"), 9);
        trail.audit.look().await.expect("it answers");
        assert_eq!(trail.audit.alarm(), None);
        trail.add(2).await;
        assert_eq!((trail.audit.alarm(), trail.broken().await), (None, None));
    }

    async fn sr_80_a_trail_begins_once_and_only_where_there_are_no_accounts(database: Database) {
        let trail = Trail::unbegun(database);
        assert_eq!(trail.broken().await, Some(Break::Name));
        let (one, two) = (trail.audit.begin(), trail.audit.begin());
        let (one, two) = rocket::tokio::join!(one, two);
        one.and(two).expect("it answers");
        let verdict = trail.audit.verify(None).await.expect("it answers");
        assert_eq!((verdict.good, verdict.broken, trail.audit.alarm()), (0, None, None));
        let name = verdict.trail.expect("a name");
        let checkpoint = verdict.checkpoint.expect("a checkpoint");
        assert_eq!(checkpoint, Checkpoint { seq: 0, mac: name.clone() });
        let known = trail.audit.verify(Some(&checkpoint)).await.expect("it answers");
        assert_eq!(known.broken, None);
        let other = Checkpoint { seq: 0, mac: "another".into() };
        let known = trail.audit.verify(Some(&other)).await.expect("it answers");
        assert_eq!(known.broken, Some(Break::Checkpoint(0)));

        // An account was made, and the event about it has to be there.
        trail.database.account("ada@example.org").await;
        assert_eq!(trail.broken().await, Some(Break::Empty));
        trail.add(1).await;
        assert_eq!(trail.broken().await, None);
        let known = trail.audit.verify(Some(&checkpoint)).await.expect("it answers");
        assert_eq!((known.broken, known.trail), (None, Some(name)));

        // Emptied as a whole, it does not begin again.
        trail.sql(&format!("{EMPTIED}; {UNNAMED}")).await;
        let restarted = trail.another().await;
        assert_eq!(restarted.alarm(), Some(Alarm::Nameless));
        assert_eq!(trail.broken().await, Some(Break::Name));
    }

    async fn a_trail_of_an_earlier_release_goes_on_under_a_name(database: Database) {
        let trail = Trail::of(database, 3).await;
        trail.database.account("ada@example.org").await;
        trail.sql(UNNAMED).await;
        let verdict = trail.audit.verify(None).await.expect("it answers");
        assert_eq!((verdict.good, verdict.broken, verdict.trail), (3, None, None));
        let restarted = trail.another().await;
        trail.write_by(&restarted, 2).await;
        assert_eq!(restarted.alarm(), None);
        let verdict = restarted.verify(None).await.expect("it answers");
        assert_eq!((verdict.good, verdict.broken), (5, None));
        assert!(verdict.trail.is_some());
    }

    async fn a_new_trail_of_the_operators_raises_no_alarm_and_any_other_does(database: Database) {
        let trail = Trail::of(database, 3).await;
        let operator = trail.another().await;
        let bystander = trail.another().await;
        let renewed = operator.renew().await.expect("it answers");
        assert_eq!((renewed.events, renewed.old.seq), (3, 3));
        trail.write_by(&operator, 1).await;
        trail.audit.look().await.expect("it answers");
        trail.add(1).await;
        let verdict = trail.audit.verify(None).await.expect("it answers");
        // The first one tells of the one before.
        assert_eq!((verdict.good, verdict.broken), (3, None));
        assert_eq!((trail.audit.alarm(), operator.alarm()), (None, None));
        // To one who has not seen the one in between, a third is a strange one.
        operator.renew().await.expect("it answers");
        bystander.look().await.expect("it answers");
        assert_eq!(bystander.alarm(), Some(Alarm::Other));
    }
}
