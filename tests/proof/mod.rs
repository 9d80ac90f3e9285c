//! Proofs over three server processes that share a Redis, of whichever kind, and a PostgreSQL: what races,
//! what gets lost and what is revoked comes out as it has to, on real sockets and in real time.
//!
//! `tests/proofs` runs the long form: it says how long by `DW_TEST_PROOF_…`. `DW_TEST_PROOF_SEED` sets
//! what chance decides.

mod dashboard;
mod failover;
mod load;
mod refresh;
mod revocation;
mod rolling;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use serde_json::{Value, json};

use crate::app::{ACCESS, LIMITS, ORIGIN, PASSWORD, REFRESH};
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::fleet::{Fleet, Kind};
use crate::support::http::{self, Response};
use crate::support::process::Finished;
use crate::support::{START_LIMIT, free_port, postgres, wait_until};

/// Who is there in every proof with a load.
const ADA: &str = "ada@example.org";

/// How many processes serve.
const PROCESSES: usize = 3;

/// How often a request is repeated whose answer is that a store is away.
const PATIENCE: usize = 20;

/// The cookies of a browser, by name.
type Jar = BTreeMap<String, String>;

/// Three processes of one application.
struct Replicas {
    servers: Vec<Server>,
    metrics: Vec<u16>,
    database: String,
    postponed: AtomicU64,
    // After the servers: they are to find it as long as they run.
    redis: Fleet,
}

impl Replicas {
    /// Starts three processes on fresh stores, with settings of one's own (`DOORWARD_…`). Limits
    /// are off: each proof asks more than a person ever would.
    fn start(kind: Kind, settings: &[(&str, &str)]) -> Self {
        let redis = Fleet::start(kind);
        let store = redis.url();
        let database = block_on(postgres::create_database());
        let pem = SigningKey::generate_pem().expect("a key");
        let secret = MasterSecret::generate_base64(&Os);
        let mut shared = vec![
            ("DOORWARD_PUBLIC_URL", ORIGIN),
            ("DOORWARD_DATABASE_URL", &*database),
            ("DOORWARD_STORE_URL", store),
            ("DOORWARD_KEYS_SIGNING", pem.expose()),
            ("DOORWARD_KEYS_SECRET", secret.expose()),
            ("DOORWARD_LOG_ACCESS", "false"),
        ];
        shared.extend(LIMITS.map(|(name, _)| (name, "off")));
        shared.extend(settings);
        let metrics: Vec<u16> = (0..PROCESSES).map(|_| free_port()).collect();
        let start = |port: &u16| {
            let address = format!("127.0.0.1:{port}");
            Server::start(&[&*shared, &[("DOORWARD_METRICS_ADDRESS", &*address)]].concat())
        };
        let servers = metrics.iter().map(start).collect();
        Self { servers, metrics, database, postponed: AtomicU64::new(0), redis }
    }

    /// The port of a process; numbers beyond the last one begin anew.
    fn port(&self, process: usize) -> u16 {
        self.servers[process % PROCESSES].port()
    }

    /// The browser with this jar, in front of a process.
    fn browser(&self, process: usize, jar: &Jar) -> Person {
        let mut person = Person::at(self.port(process));
        person.jar = jar.clone();
        person
    }

    /// Registers an account; gives what its browser holds.
    #[track_caller]
    fn register(&self, process: usize, email: &str) -> Jar {
        let body = json!({ "email": email, "password": PASSWORD });
        let mut jar = Jar::default();
        let answer = self.call(process, &mut jar, ("POST", "/api/v1/auth/register"), body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        jar
    }

    /// Signs in on a new browser.
    #[track_caller]
    fn log_in(&self, process: usize, email: &str, password: &str) -> Jar {
        let body = json!({ "email": email, "password": password });
        let mut jar = Jar::default();
        let answer = self.call(process, &mut jar, ("POST", "/api/v1/auth/login"), body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        jar
    }

    /// Calls a process as the browser with this jar, which keeps what the answer sets.
    fn call(&self, process: usize, jar: &mut Jar, ask: (&str, &str), body: Value) -> Response {
        let mut browser = self.browser(process, jar);
        let call = || browser.call(ask.0, ask.1, body.clone()).expect("the server answers");
        let answer = self.patiently(call);
        *jar = browser.jar;
        answer
    }

    /// Presents the refresh cookie, and nothing else; gives the answer and the pair it brought.
    fn refresh(&self, process: usize, jar: &Jar) -> (Response, Jar) {
        let mut pair = only_refresh(jar);
        let answer = self.call(process, &mut pair, ("POST", "/api/v1/auth/refresh"), Value::Null);
        (answer, pair)
    }

    /// Asks who one is with the access token alone, so that nothing is refreshed on the way.
    fn me(&self, process: usize, jar: &Jar) -> u16 {
        let bearer = format!("Bearer {}", jar[ACCESS]);
        let headers = [("Authorization", &*bearer)];
        let ask = || http::request(self.port(process), "GET", "/api/v1/me", &headers, b"");
        self.patiently(|| ask().expect("the server answers")).status
    }

    /// Asks again, after the time the answer names, where a store did not answer in time, as a
    /// client does: on a machine with too much to do that happens, and signs nobody out.
    fn patiently(&self, mut ask: impl FnMut() -> Response) -> Response {
        for _ in 0..PATIENCE {
            let answer = ask();
            if answer.status != 503 {
                return answer;
            }
            self.postponed.fetch_add(1, Ordering::Relaxed);
            let seconds = answer.header("retry-after").and_then(|wait| wait.parse().ok());
            std::thread::sleep(Duration::from_secs(seconds.expect("it says when to ask again")));
        }
        ask()
    }

    /// Fails unless every process takes the access token.
    #[track_caller]
    fn assert_alive(&self, jar: &Jar, what: &str) {
        for process in 0..PROCESSES {
            assert_eq!(self.me(process, jar), 200, "{what}: dead on process {process}");
        }
    }

    /// Fails unless no process takes either token.
    #[track_caller]
    fn assert_dead(&self, jar: &Jar, what: &str) {
        for process in 0..PROCESSES {
            assert_eq!(self.me(process, jar), 401, "{what}: access on process {process}");
        }
        for process in 0..PROCESSES {
            let (answer, _) = self.refresh(process, jar);
            assert_eq!(answer.status, 401, "{what}: refresh on process {process}");
        }
    }

    /// How many refreshes came out like this on a process, by its `/metrics`.
    #[track_caller]
    fn refreshes_on(&self, process: usize, outcome: &str) -> u64 {
        let page = http::get(self.metrics[process], "/metrics").expect("the metrics are served");
        let name = format!("doorward_refreshes_total{{outcome=\"{outcome}\"}} ");
        let text = page.text();
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse().expect("a number"))
    }

    /// How many refreshes came out like this on all processes.
    fn refreshes(&self, outcome: &str) -> u64 {
        (0..PROCESSES).map(|process| self.refreshes_on(process, outcome)).sum()
    }

    /// How many rows of the audit trail are of this kind.
    fn events(&self, kind: &str) -> i64 {
        use sqlx::Connection as _;
        block_on(async {
            let mut db = sqlx::PgConnection::connect(&self.database).await.expect("connect");
            let count = "SELECT count(*) FROM audit_event WHERE kind = $1";
            sqlx::query_scalar(count).bind(kind).fetch_one(&mut db).await.expect("the table")
        })
    }

    /// Has a new key sign two seconds from now. The shortest lead that can be configured is a minute,
    /// so the database makes it shorter.
    fn rotate_keys(&self) {
        use sqlx::{Connection as _, Executor as _};
        let sooner = "CREATE FUNCTION sooner() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN NEW.signs_from := NEW.created_at + 2000; RETURN NEW; END'; \
             CREATE TRIGGER sooner BEFORE INSERT ON signing_key \
             FOR EACH ROW EXECUTE FUNCTION sooner()";
        block_on(async {
            let mut db = sqlx::PgConnection::connect(&self.database).await.expect("connect");
            db.execute(sqlx::raw_sql(sooner)).await.expect("the trigger");
        });
        self.command(&["keys", "rotate"]);
    }

    /// Fails unless every process soon signs with another key than the one that signed for `before`, and
    /// takes what either has signed.
    #[track_caller]
    fn assert_keys_rotated(&self, before: &Jar) {
        self.assert_alive(before, "signed before the keys rotated");
        let key = |jar: &Jar| jar[ACCESS].split('.').next().map(str::to_owned);
        for process in 0..PROCESSES {
            let mut after = Jar::new();
            let rotated = wait_until(START_LIMIT, || {
                after = self.log_in(process, ADA, PASSWORD);
                key(&after) != key(before)
            });
            assert!(rotated, "process {process} signs as before");
            self.assert_alive(&after, "signed after the keys rotated");
        }
    }

    /// Prints what a proof measured, for `tests/proofs`.
    fn report(&self, proof: &str, started: Instant, figures: &str) {
        let (took, postponed) = (started.elapsed(), self.postponed.load(Ordering::Relaxed));
        println!(
            "proof: {proof}: {figures}, {postponed} postponed (503), {:.1} s",
            took.as_secs_f64()
        );
        if postponed > 0 {
            self.show_lines();
        }
    }

    /// Prints the last that each process has written.
    fn show_lines(&self) {
        for (process, server) in self.servers.iter().enumerate() {
            let lines = server.lines().all();
            let last = lines.len().saturating_sub(10);
            lines[last..].iter().for_each(|line| println!("process {process}: {line}"));
        }
    }

    /// Runs a command of the operator beside the first process.
    #[track_caller]
    fn command(&self, arguments: &[&str]) -> Finished {
        let finished = self.servers[0].run(arguments, "");
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished
    }
}

impl Drop for Replicas {
    /// A proof that failed shows what the servers had to say.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_lines();
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// A number from the environment, for the long form.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// What chance decides, and the same again for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Self(number("DW_TEST_PROOF_SEED", 36))
    }

    /// The dice of one of several who roll.
    fn of(whose: u64) -> Self {
        Self(number("DW_TEST_PROOF_SEED", 36).wrapping_add(whose << 32))
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// One of the processes.
    fn process(&mut self) -> usize {
        usize::try_from(self.roll(PROCESSES as u64)).expect("small")
    }

    /// A moment up to `longest`.
    fn moment(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.roll(u64::try_from(longest.as_micros()).expect("short") + 1))
    }
}

/// What is left of a jar for the refresh alone.
fn only_refresh(jar: &Jar) -> Jar {
    jar.iter().filter(|(name, _)| *name == REFRESH).map(|(n, v)| (n.clone(), v.clone())).collect()
}
