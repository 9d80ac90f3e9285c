//! One connection to Redis for the whole process, shared by everybody and renewed when it is lost.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation, Value};

use super::address::{Source, describe};
use super::fault::{failure, is_unknown_script};
use super::gather::Gatherer;
use super::handle::RedisConnection;
use super::near::Near;
use super::outage;
use super::watch::watch;
use crate::error::Error;
use crate::id::SecretString;
use crate::store::health::{self, Health};

/// How long connecting, or one answer, may take (SR-70).
pub(super) const STEP_LIMIT: Duration = Duration::from_millis(250);

/// How long an operation may take with all its steps, so that a request is refused within 1 s.
pub(super) const OPERATION_LIMIT: Duration = Duration::from_millis(900);

/// How long connecting may take where several servers have to be asked.
const DISCOVERY_LIMIT: Duration = Duration::from_millis(600);

/// How long the same may take where nobody waits for it.
const RENEWAL_LIMIT: Duration = Duration::from_secs(3);

/// How often a cluster is looked at anew at most, while one of its nodes is silent.
const RENEWAL_EVERY: Duration = Duration::from_millis(500);

/// How long a refused connection is taken as the answer for everybody.
const REFUSAL_HOLDS: Duration = Duration::from_millis(100);

/// What the names of our keys begin with where nobody said otherwise.
const DEFAULT_PREFIX: &str = "dw";

/// A connection to Redis that everybody shares: commands of many requests travel on it together.
///
/// It is made when it is first needed, and again after it was lost, so that a Redis that comes
/// back is used again by itself. Clones share it.
///
/// It is also a pool in the sense of `rocket_db_pools`, configured by `url`:
///
/// ```
/// use rocket_db_pools::Database;
///
/// #[derive(Database)]
/// #[database("sessions")]
/// struct Sessions(doorward::store::redis::RedisPool);
/// ```
#[derive(Clone)]
pub struct RedisPool(Arc<Inner>);

pub(super) struct Inner {
    source: Source,
    /// What it is and where, for the operator.
    store: Arc<str>,
    health: Health,
    /// What the names of our keys begin with, once somebody knows.
    prefix: OnceLock<String>,
    /// What may be used again without asking, if anything may.
    near: Option<Arc<Near>>,
    slot: Mutex<Slot>,
    /// Held while a connection is made, so that one is made for all who wait.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Slot {
    current: Option<Link>,
    /// Counts connections, so that a late failure of an old one does not cost the new one.
    generation: u64,
    refusal: Option<(Instant, RedisError)>,
    renewed_at: Option<Instant>,
}

/// What is to be done in one round trip.
#[derive(Clone, Copy)]
enum Work<'a> {
    /// A script, with its arguments.
    Script(&'a ScriptInvocation<'a>),
    /// A script, and the command that calls it.
    Call(&'a Script, &'a Cmd),
}

#[derive(Clone)]
pub(super) enum Link {
    Server(Gatherer),
    Cluster(ClusterConnection),
}

impl RedisPool {
    /// A pool for the Redis at `url`: `redis://` or `rediss://` (TLS) for one server,
    /// `redis+cluster://host,host` for a cluster, `redis+sentinel://host,host/service` for the
    /// primary that sentinels name; each of the last two also with `rediss+`. TLS verifies
    /// certificates and names against the system's roots (SR-77). Does not connect yet.
    ///
    /// # Errors
    /// If the address is not readable; the error does not show it.
    pub fn new(url: &SecretString) -> RedisResult<Self> {
        Self::open(url, None, "store.url")
    }

    /// As [`RedisPool::new`], and what Redis said of a session under `prefix` may be used again for
    /// `life`, as long as Redis does not take it back. Not for a cluster.
    ///
    /// # Errors
    /// As [`RedisPool::new`].
    pub fn with_near_cache(url: &SecretString, prefix: &str, life: Duration) -> RedisResult<Self> {
        Self::open(url, Some((prefix, life)), "store.url")
    }

    /// The same, where `setting` says in messages what the URL was taken from, and `near` under which
    /// prefix and for how long answers may be used again.
    ///
    /// # Errors
    /// As [`RedisPool::new`].
    pub fn open(
        url: &SecretString,
        near: Option<(&str, Duration)>,
        setting: &str,
    ) -> RedisResult<Self> {
        let source = Source::parse(url.expose(), near.is_some())?;
        let near = near.map(|(prefix, life)| Arc::new(Near::new(prefix, life)));
        let (slot, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        let store = format!("{} ({setting})", describe(url.expose())?).into();
        let (health, prefix) = (Health::silent(health::SESSION_STORE), OnceLock::new());
        Ok(Self(Arc::new(Inner { source, store, health, prefix, near, slot, connecting })))
    }

    /// From now on the log says when Redis is away and when it is back.
    pub fn speak(&self) {
        self.0.health.speak();
    }

    pub(super) fn health(&self) -> &Health {
        &self.0.health
    }

    /// What it is and where, for the operator.
    pub(super) fn store(&self) -> &Arc<str> {
        &self.0.store
    }

    /// Says what the names of our keys begin with.
    pub(super) fn write_below(&self, prefix: &str) {
        // Stores that share a pool share the prefix.
        let _ = self.0.prefix.set(prefix.to_owned());
    }

    /// What may be used again without asking, if anything may.
    pub(super) fn near(&self) -> Option<&Near> {
        self.0.near.as_deref()
    }

    /// Whether keys live on several servers, so that a script can touch only those of one slot.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.0.source, Source::Cluster(_))
    }

    /// Runs a script. `repeatable` says that running it twice does no harm, so that it is tried
    /// once more also where it is not known whether it ran; where the connection was lost, it
    /// always is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] within a second; [`Error::Internal`] if Redis holds something else
    /// than we put there.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        repeatable: bool,
    ) -> Result<T, Error> {
        self.persist(Work::Script(script), repeatable, None, OPERATION_LIMIT).await
    }

    /// Runs a script that does no harm if it is run twice, and has Redis take its text first whether
    /// it knows it or not.
    ///
    /// # Errors
    /// As [`RedisPool::run`].
    pub(super) async fn run_loaded<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        let load = async {
            let mut connection = self.connection().await?;
            script.load_async(&mut connection).await
        };
        let loaded = tokio::time::timeout(OPERATION_LIMIT, load).await;
        let loaded = loaded.map_err(Error::unavailable).and_then(|done| done.map_err(failure));
        self.noted(loaded)?;
        self.run(script, true).await
    }

    /// Notes how an operation came out, and says of a failure which Redis it is.
    pub(super) fn noted<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        self.0.health.note(done.map_err(|error| outage::of(&self.0.store, error)))
    }

    /// Runs a script that changes nothing by the `EVALSHA` that calls it: [`RedisPool::run`] for
    /// what every request does.
    ///
    /// # Errors
    /// As [`RedisPool::run`].
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        evalsha: impl Fn() -> Cmd,
    ) -> Result<T, Error> {
        // Nearly always there is a connection and it answers, which it has to within its own limit:
        // so there is no need for a second clock, nor to keep the command.
        let (failed, limit) = match self.0.known() {
            Some(Ok(known)) => {
                let answer = self.handle(known).send(evalsha()).await;
                match answer.and_then(Value::extract_error) {
                    Ok(value) => {
                        let read = T::from_redis_value(value).map_err(|e| failure(e.into()));
                        return self.noted(read);
                    }
                    Err(error) => (Some(error), OPERATION_LIMIT - STEP_LIMIT),
                }
            }
            _ => (None, OPERATION_LIMIT),
        };
        Box::pin(self.persist(Work::Call(script, &evalsha()), true, failed, limit)).await
    }

    /// Does some work; once more if the connection was lost, or is silent and that does no harm.
    /// `failed` says how the first attempt ended, if it was made already.
    async fn persist<T: FromRedisValue>(
        &self,
        work: Work<'_>,
        repeatable: bool,
        failed: Option<RedisError>,
        limit: Duration,
    ) -> Result<T, Error> {
        let attempts = async {
            let failed = match failed {
                Some(error) => error,
                None => match self.attempt(work).await {
                    Err(error) => error,
                    done => return done,
                },
            };
            let again = failed.is_connection_dropped()
                || is_unknown_script(&failed)
                || (repeatable && failed.is_timeout());
            if again { self.attempt(work).await } else { Err(failed) }
        };
        self.noted(match tokio::time::timeout(limit, attempts).await {
            Ok(result) => result.map_err(failure),
            Err(elapsed) => Err(Error::unavailable(elapsed)),
        })
    }

    async fn attempt<T: FromRedisValue>(&self, work: Work<'_>) -> RedisResult<T> {
        let mut connection = self.connection().await?;
        let (script, evalsha) = match work {
            Work::Script(script) => return script.invoke_async(&mut connection).await,
            Work::Call(script, evalsha) => (script, evalsha),
        };
        match evalsha.query_async(&mut connection).await {
            Err(error) if is_unknown_script(&error) => {
                script.prepare_invoke().load_async(&mut connection).await?;
                evalsha.query_async(&mut connection).await
            }
            other => other,
        }
    }

    /// The shared connection.
    ///
    /// # Errors
    /// If there is none and none can be made.
    pub async fn connection(&self) -> RedisResult<RedisConnection> {
        if let Some(answer) = self.0.known() {
            return answer.map(|known| self.handle(known));
        }
        let _one_at_a_time = self.0.connecting.lock().await;
        if let Some(answer) = self.0.known() {
            return answer.map(|known| self.handle(known));
        }
        let (near, prefix) = (self.0.near.as_ref(), self.0.prefix());
        let made = self.0.source.connect(near, prefix, DISCOVERY_LIMIT).await;
        let mut slot = self.0.slot();
        match made {
            Ok(link) => {
                slot.generation += 1;
                slot.refusal = None;
                slot.current = Some(link.clone());
                if !matches!(self.0.source, Source::Server(_)) {
                    tokio::spawn(watch(Arc::downgrade(&self.0), slot.generation));
                }
                Ok(self.handle((slot.generation, link)))
            }
            Err(error) => {
                slot.refusal = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Lets go of the connection.
    pub(super) fn let_go(&self) {
        self.0.slot().current = None;
    }

    fn handle(&self, (generation, link): (u64, Link)) -> RedisConnection {
        RedisConnection::new(Arc::clone(&self.0), generation, link)
    }
}

impl Inner {
    /// What the names of our keys begin with.
    pub(super) fn prefix(&self) -> &str {
        self.prefix.get().map_or(DEFAULT_PREFIX, String::as_str)
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known without asking: a connection, or that there is none to be had just now.
    fn known(&self) -> Option<RedisResult<(u64, Link)>> {
        let slot = self.slot();
        match (&slot.current, &slot.refusal) {
            (Some(link), _) => Some(Ok((slot.generation, link.clone()))),
            (None, Some((at, error))) if at.elapsed() < REFUSAL_HOLDS => Some(Err(error.clone())),
            _ => None,
        }
    }

    /// The connection of this number, while it is the shared one.
    pub(super) fn link(&self, generation: u64) -> Option<Link> {
        let slot = self.slot();
        slot.current.clone().filter(|_| slot.generation == generation)
    }

    pub(super) fn discard(&self, generation: u64) {
        let mut slot = self.slot();
        if slot.generation == generation {
            slot.current = None;
            // Nobody listens any more to what it has to say.
            self.near.iter().for_each(|near| near.forget_all());
        }
    }

    /// Looks at a cluster anew, of which a node is silent: it may have been replaced, and nobody else
    /// would tell. Meanwhile the present connection serves those whose nodes answer.
    pub(super) fn renew(self: &Arc<Self>, generation: u64) {
        let mut slot = self.slot();
        let lately = slot.renewed_at.is_some_and(|at| at.elapsed() < RENEWAL_EVERY);
        if slot.generation != generation || lately {
            return;
        }
        slot.renewed_at = Some(Instant::now());
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let (near, prefix) = (inner.near.as_ref(), inner.prefix());
            let Ok(link) = inner.source.connect(near, prefix, RENEWAL_LIMIT).await else {
                return;
            };
            let mut slot = inner.slot();
            if slot.generation == generation {
                slot.generation += 1;
                slot.current = Some(link);
                tokio::spawn(watch(Arc::downgrade(&inner), slot.generation));
            }
        });
    }
}
