//! The measurements: which there are, in which order, and what is said of them.

use std::error::Error;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::Plan;
use crate::client::{Outcome, load};
use crate::doorward::{self, Doorward};
use crate::foreign::Foreign;
use crate::hash;
use crate::peer;
use crate::postgres::Postgres;
use crate::process::{self, Cores, Running};
use crate::report::{Table, hundredths, median, tenths, whole};
use crate::scale;
use crate::storm;
use crate::visitor::{Member, Visitor};

/// How a measurement ends.
pub type Done<T> = Result<T, Box<dyn Error>>;

/// How many connections ask at a time.
const CONNECTIONS: usize = 32;
/// How many sign in at a time, without pause.
pub const SIGNING_IN: usize = 8;

/// What is measured: its name, where sessions and accounts are, and a setting that is not the default.
const SUBJECTS: [(&str, Stores, (&str, &str)); 5] = [
    ("embedded", Stores::Embedded, ("DOORWARD_LOG_ACCESS", "true")),
    ("Redis", Stores::Redis, ("DOORWARD_LOG_ACCESS", "true")),
    ("Redis, PostgreSQL", Stores::RedisPostgres, ("DOORWARD_LOG_ACCESS", "true")),
    ("Redis, no access log", Stores::Redis, ("DOORWARD_LOG_ACCESS", "false")),
    ("Redis, near cache", Stores::Redis, ("DOORWARD_STORE_NEAR_CACHE", "2s")),
];

/// Where a Doorward keeps sessions and accounts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stores {
    /// Both in its SQLite file.
    Embedded,
    /// Sessions in Redis, accounts in its SQLite file.
    Redis,
    /// As in production.
    RedisPostgres,
}

/// Everything that runs meanwhile.
pub struct Stage {
    /// How long it takes.
    pub plan: Plan,
    /// Who runs on which core.
    pub cores: Cores,
    /// Where the load runs.
    pub runtime: Runtime,
    redis: Running,
    /// Held as long as its row is measured.
    _postgres: Option<Postgres>,
    peer: Running,
    /// Servers of other frameworks.
    pub foreign: Vec<Foreign>,
    /// The Doorwards.
    pub subjects: Vec<Subject>,
}

/// A Doorward under test.
pub struct Subject {
    /// Its name in the tables.
    pub name: &'static str,
    /// Its process.
    pub server: Doorward,
    /// Those who use it, each with a session.
    pub members: Vec<Member>,
    /// Those who sign in to it.
    pub callers: Vec<Member>,
    /// What it was seen to hold.
    pub memory: Memory,
}

/// How much memory a server holds, in MiB.
#[derive(Default)]
pub struct Memory {
    /// After its start.
    pub at_rest: f64,
    /// After the last refresh.
    pub after_load: f64,
    /// After the last storm.
    pub after_storm: f64,
}

/// One round of one load.
#[derive(Clone, Default)]
pub struct Round {
    /// What the load came to.
    pub outcome: Outcome,
    /// The server's processor time for an answer, in microseconds.
    pub micros: f64,
    /// The same of Redis.
    pub redis_micros: f64,
}

/// Measures everything and prints it.
pub fn run(plan: &Plan) -> Done<()> {
    let began = Instant::now();
    let mut stage = set_up(plan.clone())?;
    let wanted = |name| plan.only.as_deref().is_none_or(|only| only == name);
    if wanted("me") {
        ask_me(&stage)?;
    }
    if wanted("refresh") {
        refresh(&mut stage)?;
    }
    if wanted("login") {
        hash::sign_in(&mut stage)?;
        hash::register(&mut stage)?;
    }
    if wanted("storm") {
        storm::storm(&mut stage)?;
    }
    storm::tell_memory(&stage);
    if plan.all || plan.only.as_deref() == Some("scale") {
        scale::scale(&stage)?;
    }
    println!(
        "\n{} rounds of {} s, {CONNECTIONS} connections, cores {:?}, program {:.1} MiB; took {:.0} s",
        plan.rounds,
        plan.round.as_secs(),
        stage.cores,
        doorward::program_mib(),
        began.elapsed().as_secs_f64(),
    );
    Ok(())
}

fn set_up(plan: Plan) -> Done<Stage> {
    let cores = Cores::share_out();
    // One thread: the load must not take from the server's core, and one is enough for it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let redis = process::redis()?;
    let port = process::free_port()?;
    let program = std::env::current_exe()?;
    let mut command = cores.server(&program.display().to_string());
    command.args([peer::ARGUMENT, peer::ROCKET, &port.to_string(), &redis.port.to_string()]);
    let peer =
        Running::start(command, port, |port| doorward::answers(port, "/bare").unwrap_or(false))?;
    let mut subjects = Vec::new();
    let postgres = Postgres::start()?;
    let url = postgres.as_ref().map(Postgres::url);
    for (number, &(name, stores, setting)) in SUBJECTS.iter().enumerate() {
        let prefix = format!("dw{number}");
        let mut settings = vec![("DOORWARD_STORE_PREFIX", &*prefix), setting];
        if stores == Stores::RedisPostgres {
            let Some(url) = &url else { continue };
            settings.push(("DOORWARD_DATABASE_URL", url));
        }
        let redis = (stores != Stores::Embedded).then_some(redis.port);
        let server = Doorward::start(cores, redis, &settings)?;
        subjects.push(populate(&runtime, name, server)?);
    }
    let foreign = Foreign::start_all(cores, redis.port, &runtime);
    Ok(Stage { plan, cores, runtime, redis, _postgres: postgres, peer, foreign, subjects })
}

/// Notes the memory at rest, then registers everybody.
fn populate(runtime: &Runtime, name: &'static str, server: Doorward) -> Done<Subject> {
    std::thread::sleep(Duration::from_millis(500));
    let at_rest = server.process.resident_mib();
    let port = server.process.port;
    let register = |from: usize, count: usize| {
        runtime.block_on(async {
            let mut members = Vec::new();
            for number in from..from + count {
                members.push(Member::register(port, number).await?);
            }
            Ok::<_, std::io::Error>(members)
        })
    };
    let members = register(0, CONNECTIONS)?;
    let callers = register(CONNECTIONS, SIGNING_IN)?;
    let memory = Memory { at_rest, ..Memory::default() };
    Ok(Subject { name, server, members, callers, memory })
}

impl Stage {
    /// One round of `visitors` at a server.
    pub fn round(&self, server: &Running, visitors: Vec<Visitor>) -> Done<Round> {
        self.round_beside(server, &self.redis, visitors)
    }

    /// The same, with a Redis of the server's own.
    pub fn round_beside(
        &self,
        server: &Running,
        redis: &Running,
        visitors: Vec<Visitor>,
    ) -> Done<Round> {
        let (before, redis_before) = (server.processor_time(), redis.processor_time());
        let (outcome, _) = self.runtime.block_on(load(server.port, visitors, self.plan.round))?;
        let answers = outcome.answers.max(1) as f64;
        let share =
            |now: Duration, then: Duration| now.saturating_sub(then).as_secs_f64() * 1e6 / answers;
        let micros = share(server.processor_time(), before);
        let redis_micros = share(redis.processor_time(), redis_before);
        Ok(Round { outcome, micros, redis_micros })
    }
}

/// The middle of the rounds, figure by figure.
pub fn middle(rounds: &[Round]) -> Round {
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let time = |figure: fn(&Round) -> f64| Duration::from_secs_f64(of(figure));
    Round {
        outcome: Outcome {
            rate: of(|round| round.outcome.rate),
            answers: rounds.iter().map(|round| round.outcome.answers).sum(),
            p50: time(|round| round.outcome.p50.as_secs_f64()),
            p99: time(|round| round.outcome.p99.as_secs_f64()),
        },
        micros: of(|round| round.micros),
        redis_micros: of(|round| round.redis_micros),
    }
}

/// Milliseconds, with two decimals.
pub fn millis(duration: Duration) -> String {
    hundredths(duration.as_secs_f64() * 1e3)
}

/// `GET /api/v1/me` beside the bare and the lean route.
fn ask_me(stage: &Stage) -> Done<()> {
    let lean = peer::lean_cookie()?;
    let servers = stage.subjects.len() + stage.foreign.len() + 3;
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); servers];
    for warmed_up in 0..=stage.plan.rounds {
        let bare = (0..CONNECTIONS).map(|_| Visitor::asks("/bare", "")).collect();
        let least = (0..CONNECTIONS).map(|_| Visitor::asks("/lean", &lean)).collect();
        let mut made = vec![stage.round(&stage.peer, bare)?, stage.round(&stage.peer, least)?];
        let heavy = stage.subjects.first().and_then(|subject| subject.members.first());
        let heavy = format!("{lean}; {}", heavy.map_or("", Member::cookies));
        let heavy = (0..CONNECTIONS).map(|_| Visitor::asks("/lean", &heavy)).collect();
        made.push(stage.round(&stage.peer, heavy)?);
        for subject in &stage.subjects {
            let visitors = subject.members.iter().map(Member::asks_me).collect();
            made.push(stage.round(&subject.server.process, visitors)?);
        }
        for other in &stage.foreign {
            let visitors = (0..CONNECTIONS).map(|_| other.asks_me()).collect();
            made.push(stage.round(&other.process, visitors)?);
        }
        if warmed_up > 0 {
            rounds.iter_mut().zip(made).for_each(|(all, one)| all.push(one));
        }
    }
    let middles: Vec<Round> = rounds.iter().map(|rounds| middle(rounds)).collect();
    let mut names = ["bare Rocket route", "lean Rocket route", "lean, with Doorward's cookies"]
        .map(str::to_owned)
        .to_vec();
    names.extend(stage.subjects.iter().map(|subject| format!("Doorward, {}", subject.name)));
    names.extend(stage.foreign.iter().map(|other| other.name.to_owned()));
    let mut table = Table::new(&[
        "GET /api/v1/me",
        "requests/s",
        "of bare",
        "of lean",
        "p50 ms",
        "p99 ms",
        "server us",
        "of bare",
        "of lean",
        "Redis us",
    ]);
    for (name, round) in names.into_iter().zip(&middles) {
        let of = |figure: fn(&Round) -> f64, at: usize| share(&middles, at, round, figure);
        let rate: fn(&Round) -> f64 = |round| round.outcome.rate;
        let thrift: fn(&Round) -> f64 = |round| 1.0 / round.micros;
        table.row([
            name,
            whole(round.outcome.rate),
            of(rate, 0),
            of(rate, 1),
            millis(round.outcome.p50),
            millis(round.outcome.p99),
            tenths(round.micros),
            of(thrift, 0),
            of(thrift, 1),
            tenths(round.redis_micros),
        ]);
    }
    table.print("Signed-in requests");
    Ok(())
}

/// `POST /api/v1/auth/refresh`, each session with its latest token, in turns with the lean route.
fn refresh(stage: &mut Stage) -> Done<()> {
    let lean = peer::lean_cookie()?;
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); stage.subjects.len() + 1];
    for _ in 0..stage.plan.rounds {
        let least = (0..SIGNING_IN).map(|_| Visitor::asks("/lean", &lean)).collect();
        let mut made = vec![stage.round(&stage.peer, least)?];
        for subject in &stage.subjects {
            // The callers refresh: the members' sessions stay as they are.
            let mut members = subject.callers.clone();
            let port = subject.server.process.port;
            stage.runtime.block_on(async {
                for member in &mut members {
                    member.log_in(port).await?;
                }
                Ok::<_, std::io::Error>(())
            })?;
            let visitors = members.iter().map(Member::refreshes).collect();
            made.push(stage.round(&subject.server.process, visitors)?);
        }
        rounds.iter_mut().zip(made).for_each(|(all, one)| all.push(one));
    }
    let middles: Vec<Round> = rounds.iter().map(|rounds| middle(rounds)).collect();
    let mut names = vec!["lean Rocket route".to_owned()];
    for subject in &mut stage.subjects {
        names.push(format!("Doorward, {}", subject.name));
        subject.memory.after_load = subject.server.process.resident_mib();
    }
    let mut table = Table::new(&[
        "POST /api/v1/auth/refresh",
        "requests/s",
        "of lean",
        "p50 ms",
        "p99 ms",
        "server us",
        "of lean",
        "Redis us",
    ]);
    for (name, round) in names.into_iter().zip(&middles) {
        table.row([
            name,
            whole(round.outcome.rate),
            share(&middles, 0, round, |round| round.outcome.rate),
            millis(round.outcome.p50),
            millis(round.outcome.p99),
            tenths(round.micros),
            share(&middles, 0, round, |round| 1.0 / round.micros),
            tenths(round.redis_micros),
        ]);
    }
    table.print(&format!("Refreshing, {SIGNING_IN} connections"));
    Ok(())
}

/// A figure of `round` as a share of that of the round at a place.
fn share(rounds: &[Round], at: usize, round: &Round, figure: fn(&Round) -> f64) -> String {
    hundredths(figure(round) / rounds.get(at).map_or(f64::NAN, figure))
}
