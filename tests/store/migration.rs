//! What docs/upgrading.md promises of migrations: forward only, and beside the previous release.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::database::{Database, on_both_databases};
use crate::house::{files, read};

/// The SHA-256 of files that somebody runs. A file joins them with the release that brings it.
const RELEASED: [(&str, &str); 7] = [
    ("0001_account.sql", "fbbdb5da921490efd1f2582266530e6372fd1e21acba3c2bd70ed72612859375"),
    ("0002_signing_key.sql", "bbf2eb798b248720b46c2bd74f2aab4a5cc97d3ae0d18bba5d9936abf148d3c2"),
    ("0003_audit.sql", "b3688350720b933ed7ab3c414864e8eb009463a0c632b7cc771bb24aa33d15ea"),
    ("0004_tokens_revoke.sql", "501294319583e0630babeba3a90daf8c6dffe37468c4cf74ae65c2e243e73daa"),
    ("0005_ended_session.sql", "7d23562839e00bde479bb58992c4aa78662fb988ec73e332b5d9d1518e7a9495"),
    ("0006_permission.sql", "26f0f8621ea07afe4887c56d5d4f369308d037fe94f8d88eeb57f0db03c352bb"),
    ("0007_dashboard.sql", "bc13ed907ffcb60385d29e8b0c985c52dc0a6e7ff07cb33502e53fbfc48c4539"),
];

/// The migrations by their names, in their order.
fn migrations() -> Vec<(String, String)> {
    let name = |path: &std::path::Path| path.file_name().expect("a name").display().to_string();
    files("migrations", "").iter().map(|path| (name(path), read(path))).collect()
}

/// The statements of a file, without comments, in single spaces.
fn statements(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter_map(|line| line.split("--").next()).collect();
    let all = code.join(" ");
    let words = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    all.split(';').map(words).filter(|statement| !statement.is_empty()).collect()
}

/// Whether the release before, which has not heard of it, can live with a statement: new things beside
/// the old ones, and other content.
fn only_adds(statement: &str) -> bool {
    let added = |rest: &str| rest.split_once(" ADD COLUMN ").is_some();
    match statement.split_once(' ') {
        Some(("CREATE", rest)) => rest.starts_with("TABLE ") || rest.starts_with("INDEX "),
        Some(("INSERT" | "UPDATE", _)) => true,
        Some(("ALTER", rest)) => rest.starts_with("TABLE ") && added(rest),
        _ => false,
    }
}

/// Whether a file says that older programs cannot work with the database any more.
fn raises_the_floor(statements: &[String]) -> bool {
    statements.iter().any(|statement| statement.starts_with("UPDATE schema_floor SET migration = "))
}

#[test]
fn a_migration_that_was_released_is_never_edited() {
    let all: BTreeMap<String, String> = migrations().into_iter().collect();
    for (name, expected) in RELEASED {
        let text = all.get(name).unwrap_or_else(|| panic!("{name} is gone"));
        let sum = digest::digest(&digest::SHA256, text.as_bytes());
        let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sum, expected, "{name} was released: write a new one");
    }
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    for (number, (name, _)) in (1..).zip(migrations()) {
        assert!(name.starts_with(&format!("{number:04}_")) && name.ends_with(".sql"), "{name}");
    }
}

#[test]
fn a_migration_only_adds_or_says_that_it_does_not() {
    for (name, text) in migrations() {
        let statements = statements(&text);
        for statement in &statements {
            assert!(only_adds(statement) || raises_the_floor(&statements), "{name}: {statement}");
        }
    }
    for wrong in [
        "DROP TABLE account",
        "DELETE FROM account",
        "ALTER TABLE account RENAME COLUMN email TO address",
        "ALTER TABLE account DROP COLUMN email",
        "CREATE UNIQUE INDEX one_name ON account (display_name)",
        "CREATE TRIGGER t AFTER INSERT ON account BEGIN SELECT 1; END",
    ] {
        assert!(!only_adds(wrong), "{wrong}");
    }
}

/// A column: its type, whether it may be empty when a row is added without it, and its place in the key.
type Column = (String, bool, i64);

/// Every column of every table, and how many unique indices each table has.
async fn schema(db: &mut SqliteConnection) -> BTreeMap<(String, String), Column> {
    let columns: Vec<(String, String, String, bool, i64)> = sqlx::query_as(
        "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 OR c.dflt_value IS NOT NULL, c.pk \
         FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' \
         UNION ALL SELECT t.name, '(unique)', '', 1, COUNT(*) \
         FROM sqlite_master t JOIN pragma_index_list(t.name) i WHERE t.type = 'table' AND i.\"unique\" \
         GROUP BY t.name",
    )
    .fetch_all(db)
    .await
    .expect("the schema");
    columns.into_iter().map(|(t, c, kind, free, key)| ((t, c), (kind, free, key))).collect()
}

/// Fails if somebody who knows `before` alone could not work with `after`.
fn assert_lives_on(
    name: &str,
    before: &BTreeMap<(String, String), Column>,
    after: &BTreeMap<(String, String), Column>,
) {
    for (place, column) in before {
        assert_eq!(after.get(place), Some(column), "{name}: {place:?}");
    }
    for (place, (_, free, key)) in after.iter().filter(|(place, _)| !before.contains_key(*place)) {
        let is_old = before.keys().any(|(table, _)| *table == place.0);
        assert!(!is_old || (*free && *key == 0), "{name}: {place:?} has to be given");
    }
}

#[rocket::async_test]
async fn what_the_previous_release_reads_and_writes_stays_as_it_is() {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.expect("it opens");
    let mut before = schema(&mut db).await;
    for (name, text) in migrations() {
        db.execute(sqlx::raw_sql(AssertSqlSafe(text.clone()))).await.expect("it runs");
        let after = schema(&mut db).await;
        if !raises_the_floor(&statements(&text)) {
            assert_lives_on(&name, &before, &after);
        }
        before = after;
    }
    assert!(before.len() > 30, "{before:?}");
    for wrong in [
        "ALTER TABLE account DROP COLUMN last_login_at",
        "ALTER TABLE account RENAME COLUMN last_login_at TO seen_at",
        "CREATE UNIQUE INDEX one_name ON account (display_name)",
        "CREATE UNIQUE INDEX one_end ON ended_session (until)",
    ] {
        let mut copy = SqliteConnection::connect("sqlite::memory:").await.expect("it opens");
        for (_, text) in migrations() {
            copy.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.expect("it runs");
        }
        copy.execute(sqlx::raw_sql(wrong)).await.expect(wrong);
        let after = schema(&mut copy).await;
        let lives = std::panic::catch_unwind(|| assert_lives_on(wrong, &before, &after));
        assert!(lives.is_err(), "{wrong}");
    }
}

on_both_databases! {
    async fn a_program_that_is_too_old_says_so_and_stops(database: Database) {
        database.pool.migrate().await.expect("it is as it was");
        database.execute("UPDATE schema_floor SET migration = 9999").await;
        let error = database.pool.migrate().await.expect_err("it is too old");
        let text = doorward::error::chain(&error);
        assert!(text.contains("would have to know migration 9999"), "{text}");
    }
}
