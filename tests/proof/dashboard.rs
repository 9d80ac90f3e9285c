//! The dashboard with a hundred thousand people behind it: no list reads a whole table and sorts it,
//! and every page is there in a tenth of a second.
//!
//! The short form has fewer people and looks at the plans alone; `tests/proofs` measures.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::account::Status;
use doorward::account::email::Email;
use doorward::account::store::{AccountFilter, AccountStore};
use doorward::audit::Kind;
use doorward::audit::store::EventFilter;
use doorward::clock::Timestamp;
use doorward::id::{AccountId, Os, SecretString, SessionId};
use doorward::role::RoleName;
use doorward::session::Session;
use doorward::session::store::{Opening, Pair, SessionStore};
use doorward::store::sql::{SqlPool, SqlStore};
use doorward::token::access::AccessJti;
use doorward::token::refresh::RefreshJti;
use futures::{StreamExt as _, stream};
use sqlx::Connection as _;

use crate::app::*;

/// How many people there are, and how many from which on it is measured.
fn people() -> u32 {
    let set = std::env::var("DW_TEST_PROOF_PEOPLE").ok();
    set.map_or(3_000, |text| text.parse().expect("DW_TEST_PROOF_PEOPLE is a number"))
}
const MEASURED_FROM: u32 = 100_000;
const LIMIT: Duration = Duration::from_millis(100);

/// The identifier of the person of this number, in SQL and here.
const ID: &str = "substr(CAST(10000000000 + i AS TEXT) || 'AAAAAAAAAAA', 1, 22)";
fn id(number: u32) -> AccountId {
    let text = format!("{}AAAAAAAAAAA", 10_000_000_000 + u64::from(number));
    AccountId::parse(&text).expect("22 characters")
}

/// Fills the database: the tables of people and events, as if all had signed in for a month.
async fn seed(url: &str, people: u32) {
    sqlx::any::install_default_drivers();
    let mut db = sqlx::AnyConnection::connect(url).await.expect("connect");
    let run = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people})"
    );
    let (start, month) = (START.as_millis(), 30 * 24 * 3_600_000_i64);
    let step = month / i64::from(people);
    let statements = [
        format!(
            "{run} INSERT INTO account (id, email, email_key, display_name, search_key, status, created_at) \
             SELECT {ID}, 'User' || i || '@example.org', 'user' || i || '@example.org', \
             'Name ' || i || ' Surname', 'name ' || i || ' surname', \
             CASE WHEN i % 1000 = 7 THEN 'disabled' ELSE 'active' END, \
             {start} - {month} + CAST(i AS BIGINT) * {step} FROM n"
        ),
        format!("{run} INSERT INTO account_role (account_id, role) SELECT {ID}, 'user' FROM n"),
        "INSERT INTO role (name, description, created_at) VALUES ('rare', '', 0)".to_owned(),
        format!(
            "INSERT INTO account_role (account_id, role) SELECT id, 'rare' FROM account \
                 WHERE id = '{}' OR id = '{}'",
            id(1),
            id(people / 2)
        ),
    ];
    let events = format!(
        "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < {events}) \
         INSERT INTO audit_event (seq, id, at, kind, actor, subject, ip, result, mac) \
         SELECT 1000000 + k, 'e' || k, {start} - {month} + CAST(k AS BIGINT) * {step} / 5, \
         CASE k % 10 WHEN 0 THEN 'authn_login_fail' WHEN 1 THEN 'session_ended' \
         WHEN 2 THEN 'session_created' ELSE 'authn_login_success' END, \
         {ID}, {ID}, '203.0.113.7', 'success', '' FROM (SELECT k, k % {people} + 1 AS i FROM n) AS m",
        events = 5 * people
    );
    for statement in statements.into_iter().chain([events, "ANALYZE".to_owned()]) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut db).await.expect("seeded");
    }
}

/// Signs everybody in once.
async fn open_sessions(app: &TestApp, people: u32) {
    let store: &Arc<dyn SessionStore> = app.service();
    let me = app.accounts().find("root@example.org").await.expect("found");
    let opens =
        (1..=people).map(|number| {
            let (store, mut account) = (Arc::clone(store), me.clone());
            account.id = id(number);
            account.email = Email::parse(&format!("user{number}@example.org")).expect("an address");
            let now = START + seconds(u64::from(number % 3000));
            let session = Session {
                id: SessionId::random(&Os),
                account: account.id.clone(),
                created_at: now,
                last_seen_at: now,
                issued_at: now,
                reauthenticated_at: None,
                access_expires_at: now + minutes(10),
                refresh_expires_at: now + hours(24),
                absolute_expires_at: now + days(7),
                idle_lifetime: hours(24),
                epoch: account.session_epoch,
                remember: false,
                user_agent:
                    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".into(),
                ip: IpAddr::from(Ipv4Addr::from(0xCB00_0000 + number)).into(),
            };
            let (access, refresh) =
                (AccessJti::random(&Os).digest(), RefreshJti::random(&Os).digest());
            async move {
                store.open(&session, &Pair { access, refresh }, &account, Opening::New, now).await
            }
        });
    let opened: Vec<_> = stream::iter(opens).buffer_unordered(500).collect().await;
    opened.into_iter().for_each(|one| assert!(one.is_ok(), "{one:?}"));
}

/// A filter, and where a later page begins.
fn account_filters(people: u32) -> Vec<(&'static str, AccountFilter)> {
    let step = 30 * 24 * 3_600_000 / i64::from(people);
    let middle = START.as_millis() - 30 * 24 * 3_600_000 + i64::from(people / 2) * step;
    let after = Some((Timestamp::from_millis(middle), id(people / 2)));
    let all = AccountFilter { limit: 51, ..AccountFilter::default() };
    let role = |name| AccountFilter { role: RoleName::parse(name), ..all.clone() };
    let disabled = AccountFilter { status: Some(Status::Disabled), ..all.clone() };
    vec![
        ("all", all.clone()),
        ("a later page", AccountFilter { after: after.clone(), ..all.clone() }),
        ("a later page of the disabled", AccountFilter { after, ..disabled.clone() }),
        ("the disabled", disabled),
        ("a common role", role("user")),
        ("a rare role", role("rare")),
    ]
}

fn event_filters() -> Vec<(&'static str, EventFilter)> {
    let all = EventFilter { limit: 51, ..EventFilter::default() };
    let after = Some((START - days(15), 1_000_100));
    let who = Some(id(5).to_string());
    vec![
        ("all", all.clone()),
        ("a later page", EventFilter { after, ..all.clone() }),
        ("a rare actor", EventFilter { actor: who.clone(), ..all.clone() }),
        ("a rare subject", EventFilter { subject: who, ..all.clone() }),
        ("by kind", EventFilter { kind: Some(Kind::LoginFail), ..all.clone() }),
        ("a rare kind", EventFilter { kind: Some(Kind::TokenReuse), ..all.clone() }),
        ("of a day", EventFilter { from: Some(START - days(2)), to: Some(START - days(1)), ..all }),
    ]
}

/// Whether a plan reads a whole table, or sorts what is not little.
fn is_bad(plan: &str, name: &str) -> bool {
    // SQLite says SCAN … USING INDEX for a walk in the order of an index. What `p` stands for, the
    // permissions of all roles, fits on a page or two.
    let scans = plan.lines().any(|line| {
        line.contains("Seq Scan on account a")
            || line.contains("Seq Scan on audit_event")
            || (line.contains("SCAN ") && !line.contains("INDEX") && line != "SCAN p")
    });
    let sorts = plan.contains("Sort") || plan.contains("TEMP B-TREE");
    // Those who have a rare role, or did a rare thing, are few: they may be sorted.
    scans || (sorts && !name.contains("rare"))
}

async fn plans(url: &str, people: u32) {
    let pool = SqlPool::open(&SecretString::new(url), 2).await.expect("open");
    let store = SqlStore::new(pool);
    let mut bad = String::new();
    for (name, filter) in account_filters(people) {
        let plan = store.plan_of_accounts(&filter).await.expect("a plan");
        if is_bad(&plan, name) {
            writeln!(bad, "people, {name}:\n{plan}").expect("written");
        }
    }
    let plan = store.plan_of_reach(&AccountFilter::default()).await.expect("a plan");
    // Among few people PostgreSQL would rather sort them all.
    assert!(people < MEASURED_FROM || plan.contains("account_by_age"), "{plan}");
    // What a common role finds on the way is what it would find by itself.
    let common =
        AccountFilter { role: RoleName::parse("user"), limit: 51, ..AccountFilter::default() };
    let met = AccountStore::list(&store, &common).await.expect("listed");
    let newest: Vec<AccountId> = (0..51).map(|n| id(people - n)).collect();
    assert_eq!(met.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), newest);
    for (name, filter) in event_filters() {
        let plan = store.plan_of_events(&filter).await.expect("a plan");
        if is_bad(&plan, name) {
            writeln!(bad, "events, {name}:\n{plan}").expect("written");
        }
    }
    assert!(bad.is_empty(), "{bad}");
}

/// The pages, and the calls behind them.
fn places(people: u32) -> Vec<String> {
    let person = id(people / 2);
    let users = [
        "",
        "q=surname",
        "q=name%20500",
        "q=no-such-thing",
        "role=user",
        "role=rare",
        "status=disabled",
        "q=no-such-thing&role=user&status=active",
    ];
    let sessions =
        ["", "user=user500@example.org", "ip=203.0.0.0/16", "ip=203.0.1.7", "ip=198.51.100.0/24"];
    let events =
        ["", "kind=authn_login_fail", "kind=authn_token_reuse", "subject=user500@example.org"];
    let mut places = vec!["/admin".to_owned(), format!("/admin/users/{person}")];
    for (path, queries) in [("users", &users[..]), ("sessions", &sessions), ("audit", &events)] {
        for query in queries {
            places.push(format!("/admin/{path}?{query}"));
            places.push(format!("/api/v1/admin/{path}?{query}"));
        }
    }
    places.extend(["roles", "tokens", "keys", "settings"].map(|page| format!("/admin/{page}")));
    places.push("/api/v1/admin/stats".to_owned());
    places.push("/admin/sessions/revoke?ip=203.0.1.0/24".to_owned());
    places
}

async fn measure(root: &Visitor, people: u32) {
    let mut slow = Vec::new();
    for place in places(people) {
        let mut took = Vec::new();
        for _ in 0..5 {
            let asked = Instant::now();
            root.get(&place).await.expect(200);
            took.push(asked.elapsed());
        }
        took.sort();
        println!("{:>7.1} ms  {place}", took[2].as_secs_f64() * 1000.0);
        if took[2] > LIMIT {
            slow.push(place);
        }
    }
    assert!(people < MEASURED_FROM || slow.is_empty(), "slower than {LIMIT:?}: {slow:#?}");
}

async fn proof(backend: Backend) {
    let people = people();
    let app = TestApp::boot(backend).await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    seed(&app.database, people).await;
    plans(&app.database, people).await;
    open_sessions(&app, people.min(MEASURED_FROM)).await;
    measure(&root, people).await;
}

#[rocket::async_test]
async fn a_hundred_thousand_people_on_sqlite_and_the_embedded_store() {
    proof(Backend::SqliteEmbedded).await;
}

#[rocket::async_test]
async fn a_hundred_thousand_people_on_postgresql_and_redis() {
    proof(Backend::PostgresRedis).await;
}
