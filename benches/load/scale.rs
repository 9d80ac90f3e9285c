//! What grows with how many there are: people in the database, and live sessions in either store.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use doorward::account::email::Email;
use doorward::account::{Account, Status};
use doorward::clock::{Clock as _, System, Timestamp};
use doorward::id::{AccountId, Os, SecretString, SessionId};
use doorward::session::Session;
use doorward::session::store::{Opening, Pair, SessionStore};
use doorward::store::embedded::{Embedded, Role};
use doorward::store::redis::{RedisPool, RedisStore};
use doorward::token::access::AccessJti;
use doorward::token::refresh::RefreshJti;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::doorward::Doorward;
use crate::measure::{Done, Round, Stage, middle, millis};
use crate::report::{Table, tenths, whole};
use crate::visitor::{Member, Visitor};

/// How many people, each with a session.
const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];
/// Who asks meanwhile.
const MEMBERS: usize = 32;
/// How many look at the dashboard at a time.
const ADMINS: usize = 2;
/// How many sessions are opened at a time.
const OPENING: u32 = 512;
/// What an administrator looks at.
const VIEWS: [(&str, &str); 4] = [
    ("overview", "/admin"),
    ("people", "/api/v1/admin/users"),
    ("search", "/api/v1/admin/users?q=name+77"),
    ("sessions", "/api/v1/admin/sessions"),
];

/// Measures signed-in requests, and the dashboard, at each size.
pub fn scale(stage: &Stage) -> Done<()> {
    let mut requests = Table::new(&[
        "GET /api/v1/me, by sessions",
        "sessions",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "server us",
        "Redis us",
        "MiB",
        "first answer, ms",
    ]);
    let mut views = Table::new(&["Dashboard, by people", "people", "a second", "p50 ms", "p99 ms"]);
    embedded(stage, &mut requests, &mut views)?;
    in_redis(stage, &mut requests)?;
    requests.print("Cost by sessions; MiB are the server's at rest, or those of Redis");
    views.print(&format!("Dashboard on SQLite, {ADMINS} connections"));
    Ok(())
}

/// With the embedded store the server is stopped while the crowd comes in.
fn embedded(stage: &Stage, requests: &mut Table, views: &mut Table) -> Done<()> {
    let server = Doorward::start(stage.cores, None, &[])?;
    let mut members = register(stage, &server)?;
    let mut data = server.stop();
    for (at, size) in SIZES.into_iter().enumerate() {
        let file = data.path().join("doorward.db");
        let before = at.checked_sub(1).and_then(|at| SIZES.get(at)).copied().unwrap_or(0);
        stage.runtime.block_on(async {
            add_people(&file, before, size).await?;
            let store = Embedded::open(&file, Role::Server, Arc::new(System)).await?;
            let store = Arc::new(store) as Arc<dyn SessionStore>;
            add_sessions(&store, before, size).await?;
            // Its lock goes with it.
            store.close().await;
            Done::Ok(())
        })?;
        let server = Doorward::start_on(data, stage.cores, None, &[])?;
        std::thread::sleep(Duration::from_millis(500));
        let at_rest = server.process.resident_mib();
        log_in(stage, &server, &mut members)?;
        tell(requests, "embedded", size, &me(stage, &server, &members)?, at_rest, &server);
        for (name, path) in VIEWS {
            let admin = members.first().ok_or("nobody administers")?;
            let looking = (0..ADMINS).map(|_| Visitor::asks(path, admin.cookies())).collect();
            let round = stage.round(&server.process, looking)?;
            views.row([
                name.to_owned(),
                whole(f64::from(size)),
                whole(round.outcome.rate),
                millis(round.outcome.p50),
                millis(round.outcome.p99),
            ]);
        }
        data = server.stop();
    }
    Ok(())
}

fn in_redis(stage: &Stage, requests: &mut Table) -> Done<()> {
    let redis = crate::process::redis()?;
    let server = Doorward::start(stage.cores, Some(redis.port), &[])?;
    let mut members = register(stage, &server)?;
    let url = SecretString::new(format!("redis://127.0.0.1:{}", redis.port));
    let mut before = 0;
    for size in SIZES {
        stage.runtime.block_on(async {
            let store = Arc::new(RedisStore::new(RedisPool::new(&url)?, "dw"));
            add_sessions(&(store as Arc<dyn SessionStore>), before, size).await
        })?;
        before = size;
        log_in(stage, &server, &mut members)?;
        let rounds: Done<Vec<Round>> = (0..=stage.plan.rounds)
            .map(|_| {
                let asking = members.iter().map(Member::asks_me).collect();
                stage.round_beside(&server.process, &redis, asking)
            })
            .collect();
        let round = middle(rounds?.get(1..).unwrap_or_default());
        tell(requests, "Redis", size, &round, redis.resident_mib(), &server);
    }
    Ok(())
}

fn tell(table: &mut Table, name: &str, size: u32, round: &Round, mib: f64, server: &Doorward) {
    table.row([
        format!("Doorward, {name}"),
        whole(f64::from(size)),
        whole(round.outcome.rate),
        millis(round.outcome.p50),
        millis(round.outcome.p99),
        tenths(round.micros),
        tenths(round.redis_micros),
        whole(mib),
        whole(server.process.start.as_secs_f64() * 1e3),
    ]);
}

fn me(stage: &Stage, server: &Doorward, members: &[Member]) -> Done<Round> {
    let mut rounds = Vec::new();
    for warmed_up in 0..=stage.plan.rounds {
        let asking = members.iter().map(Member::asks_me).collect();
        let round = stage.round(&server.process, asking)?;
        if warmed_up > 0 {
            rounds.push(round);
        }
    }
    Ok(middle(&rounds))
}

fn register(stage: &Stage, server: &Doorward) -> Done<Vec<Member>> {
    stage.runtime.block_on(async {
        let mut members = Vec::new();
        for number in 0..MEMBERS {
            members.push(Member::register(server.process.port, number).await?);
        }
        Ok(members)
    })
}

fn log_in(stage: &Stage, server: &Doorward, members: &mut [Member]) -> Done<()> {
    stage.runtime.block_on(async {
        for member in members {
            member.log_in(server.process.port).await?;
        }
        Ok(())
    })
}

/// The identifier of the person of a number, in SQL and here.
const ID: &str = "substr(CAST(10000000000 + i AS TEXT) || 'AAAAAAAAAAA', 1, 22)";

fn id(number: u32) -> AccountId {
    let text = format!("{}AAAAAAAAAAA", 10_000_000_000 + u64::from(number));
    AccountId::parse(&text).expect("22 characters")
}

/// Adds people to the database, and makes the first member an administrator.
async fn add_people(file: &Path, from: u32, to: u32) -> Done<()> {
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(&format!("sqlite://{}", file.display())).await?;
    let numbers = format!(
        "WITH RECURSIVE n(i) AS (SELECT {from} + 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to})"
    );
    for statement in [
        format!(
            "{numbers} INSERT INTO account (id, email, email_key, display_name, search_key, created_at) \
             SELECT {ID}, 'user' || i || '@example.org', 'user' || i || '@example.org', \
             'Name ' || i, 'name ' || i, 1700000000000 + i FROM n"
        ),
        format!("{numbers} INSERT INTO account_role (account_id, role) SELECT {ID}, 'user' FROM n"),
        "INSERT INTO account_role (account_id, role) SELECT id, 'admin' FROM account \
         WHERE email_key = 'member-0@example.com' ON CONFLICT DO NOTHING"
            .to_owned(),
        "ANALYZE".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut database).await?;
    }
    Ok(database.close().await?)
}

/// Opens a session for each of these people.
async fn add_sessions(store: &Arc<dyn SessionStore>, from: u32, to: u32) -> Done<()> {
    let now = System.now();
    let open = |lane: u32| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in (from..to).skip(lane as usize).step_by(OPENING as usize) {
                let account = account(number, now);
                let session = session(&account, now);
                let (access, refresh) = (AccessJti::random(&Os), RefreshJti::random(&Os));
                let pair = Pair { access: access.digest(), refresh: refresh.digest() };
                store.open(&session, &pair, &account, Opening::New, now).await?;
            }
            Ok::<_, doorward::error::Error>(())
        })
    };
    for lane in (0..OPENING).map(open).collect::<Vec<_>>() {
        lane.await??;
    }
    Ok(())
}

fn account(number: u32, now: Timestamp) -> Account {
    Account {
        id: id(number),
        email: Email::parse(&format!("user{number}@example.org")).expect("an address"),
        display_name: format!("Name {number}"),
        status: Status::Active,
        roles: [doorward::role::RoleName::user()].into(),
        permissions: [].into(),
        created_at: now,
        last_login_at: Some(now),
        version: 1,
        session_epoch: 1,
        must_change_password: false,
        notices: Vec::new(),
    }
}

fn session(account: &Account, now: Timestamp) -> Session {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    Session {
        id: SessionId::random(&Os),
        account: account.id.clone(),
        created_at: now,
        reauthenticated_at: None,
        last_seen_at: now,
        issued_at: now,
        access_expires_at: now + Duration::from_secs(600),
        refresh_expires_at: now + DAY,
        absolute_expires_at: now + 7 * DAY,
        idle_lifetime: DAY,
        epoch: account.session_epoch,
        remember: false,
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0".into(),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST).into(),
    }
}
