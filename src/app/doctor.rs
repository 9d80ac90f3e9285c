//! What holds of a server and of what it needs, for its operator and for reports of faults. Looks and
//! changes nothing: no table, key or file is made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::service::{open_database, redis_pool, sqlite_path};
use super::{StartError, World, cause, key_file, process};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Setting};
use crate::error::chain;
use crate::guard::inspection::Inspections;
use crate::id::SecretString;
use crate::store::probe::Probe;
use crate::store::sql::{SqlPool, SqlStore};
use crate::token::key::{KeyRecord, KeyStore as _};

/// How far a store's clock may be from ours before it is worth a word.
const CLOCK_LIMIT: i64 = 1_000;
/// How little room on a disk is worth a word, in bytes.
const DISK_LIMIT: u64 = 1 << 30;
/// How few open files are worth a word: each connection of a client is one.
const FILES_LIMIT: u64 = 1_024;

/// One page about a server. It holds no secret.
#[derive(Debug, Serialize)]
pub struct Examination {
    /// The release of this program.
    pub version: &'static str,
    /// The features that it was built with, and whether for debugging.
    pub build: Vec<&'static str>,
    /// The system that it runs on.
    pub system: String,
    /// Settings that have another value than by default.
    pub settings: Vec<Setting>,
    /// Accounts, roles and audit.
    pub database: Store,
    /// How far the tables are up to date.
    pub migrations: Option<Tables>,
    /// Sessions, denylist and limits.
    pub session_store: Store,
    /// The keys that sign tokens, oldest first.
    pub keys: Vec<Key>,
    /// Where files of the server are kept.
    pub disks: Vec<Disk>,
    /// How many files this process may have open.
    pub open_files: Option<u64>,
    /// What keeps the server from working.
    pub problems: Vec<String>,
    /// What will, or may be meant otherwise.
    pub warnings: Vec<String>,
}

/// A store, as it answered.
#[derive(Debug, Default, Serialize)]
pub struct Store {
    /// What it is.
    pub kind: &'static str,
    /// Where it is, without a password.
    pub at: String,
    /// Whether it answered; `None` if it was not asked.
    pub answers: Option<bool>,
    /// The release of its software.
    pub version: Option<String>,
    /// How long one question and its answer took, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// By how much its clock is ahead of this machine's, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
}

/// How far the tables are up to date.
#[derive(Debug, Serialize)]
pub struct Tables {
    /// How many migrations this release knows.
    pub known: usize,
    /// Those of them that have not been made.
    pub missing: Vec<i64>,
    /// Those that only a newer release knows.
    pub newer: Vec<i64>,
}

/// A key that signs tokens.
#[derive(Debug, Serialize)]
pub struct Key {
    /// Its `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: &'static str,
    /// `next`, `current`, `past`, `withdrawn` or `erased`.
    pub state: &'static str,
    /// From when on it signs.
    pub signs_from: String,
    /// How many days ago that was.
    pub age_days: u64,
}

/// Room on a disk.
#[derive(Debug, Serialize)]
pub struct Disk {
    /// A folder on it.
    pub folder: PathBuf,
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
}

impl Examination {
    /// Looks at everything.
    pub async fn make(config: &Config, world: &World) -> Self {
        let (database_at, store_at) = (shown(config, "database.url"), shown(config, "store.url"));
        let mut page = Self {
            version: env!("CARGO_PKG_VERSION"),
            build: build(),
            system: system(),
            settings: differing(config),
            database: Store { kind: database_kind(config), at: database_at, ..Store::default() },
            migrations: None,
            session_store: Store { kind: "Redis", at: store_at, ..Store::default() },
            keys: Vec::new(),
            disks: disks(config),
            open_files: process::fd_limit(),
            problems: Vec::new(),
            warnings: config.warnings().to_vec(),
        };
        page.look_at_database(config, world).await;
        page.look_at_sessions(config, world).await;
        page.look_at_system();
        page
    }

    async fn look_at_database(&mut self, config: &Config, world: &World) {
        if let Some(path) = sqlite_path(config).filter(|path| !path.exists()) {
            let path = path.display();
            self.warnings.push(format!("{path} is not there yet; the first start makes it"));
            return;
        }
        let asked = async {
            let sql = open_database(config).await?;
            let probe = sql.probe(&*world.clock).await.map_err(cause)?;
            Ok::<_, StartError>((sql, probe))
        };
        match asked.await {
            Ok((sql, probe)) => {
                self.warnings.extend(self.database.answered(probe, "database"));
                if let Err(error) = self.look_at_tables(&sql, config, &*world.clock).await {
                    self.problems.push(format!("database: {}", chain(&*error)));
                }
                sql.finish().await;
            }
            Err(error) => {
                self.database.answers = Some(false);
                self.problems.push(format!("database: {}", chain(&*error)));
            }
        }
    }

    async fn look_at_tables(
        &mut self,
        sql: &SqlPool,
        config: &Config,
        clock: &dyn Clock,
    ) -> Result<(), StartError> {
        let made = sql.migrations().await.map_err(cause)?;
        let is_complete = made.missing.is_empty();
        let (known, missing) = (made.known, made.missing.len());
        self.migrations = Some(Tables { known, missing: made.missing, newer: made.newer });
        if !is_complete {
            self.problems.push(format!(
                "{missing} of {known} migrations have not been made; start the server, or run doorward migrate"
            ));
            return Ok(());
        }
        let records = SqlStore::new(sql.clone()).list().await.map_err(cause)?;
        self.keys = keys(&records, clock.now());
        let limit = config.keys.rotate_every.map(|every| every + config.keys.lead);
        let current = self.keys.iter().find(|key| key.state == "current");
        if let (Some(limit), Some(key)) = (limit, current)
            && key.age_days > limit.as_secs() / (24 * 60 * 60)
        {
            self.warnings.push(format!(
                "the key {} has signed for {} days, which is longer than keys.rotate_every; a running server makes the next one",
                key.id, key.age_days
            ));
        }
        Ok(())
    }

    async fn look_at_sessions(&mut self, config: &Config, world: &World) {
        if config.store.is_embedded() {
            let in_data_dir = || config.data_dir.join("doorward.db");
            let path = sqlite_path(config).unwrap_or_else(in_data_dir);
            self.session_store.kind = "embedded";
            self.session_store.at = path.display().to_string();
            if !path.exists() {
                return;
            }
            let url = crate::store::sql::address::sqlite_url(&path);
            let probe = match url {
                Some(url) => probe_file(&SecretString::new(url), &*world.clock).await,
                None => return,
            };
            self.note_sessions(probe);
            return;
        }
        let probe = async {
            let pool = redis_pool(config, None)?;
            let probe = pool.probe(&*world.clock).await.map_err(cause)?;
            // Also whether its user may do all that the server does.
            let store = crate::store::redis::RedisStore::new(pool, &config.store.prefix);
            crate::account::store::Standings::ping(&store).await.map_err(cause)?;
            Ok(probe)
        };
        let probe = probe.await;
        self.note_sessions(probe);
    }

    fn note_sessions(&mut self, probe: Result<Probe, StartError>) {
        match probe {
            Ok(probe) => {
                self.warnings.extend(self.session_store.answered(probe, "session store"));
            }
            Err(error) => {
                self.session_store.answers = Some(false);
                self.problems.push(format!("session store: {}", chain(&*error)));
            }
        }
    }

    fn look_at_system(&mut self) {
        for disk in self.disks.iter().filter(|disk| disk.free_bytes < DISK_LIMIT) {
            let (folder, free) = (disk.folder.display(), disk.free_bytes >> 20);
            self.warnings.push(format!("{free} MiB are free for {folder}"));
        }
        if let Some(limit) = self.open_files.filter(|limit| *limit < FILES_LIMIT) {
            self.warnings.push(format!(
                "{limit} files may be open, and each connection is one; raise LimitNOFILE of the service"
            ));
        }
    }
}

impl Store {
    /// Notes what it answered; says if its clock is off.
    fn answered(&mut self, probe: Probe, name: &str) -> Option<String> {
        self.answers = Some(true);
        self.version = probe.version;
        self.round_trip_ms = Some((probe.round_trip.as_secs_f64() * 1e6).round() / 1e3);
        self.clock_ahead_ms = probe.clock_ahead;
        let ahead = probe.clock_ahead.filter(|ahead| ahead.abs() > CLOCK_LIMIT)?;
        let way = if ahead > 0 { "ahead of" } else { "behind" };
        let secs = ahead.unsigned_abs() as f64 / 1000.0;
        Some(format!(
            "the clock of the {name} is {secs:.1} s {way} this machine's; have both follow a time server"
        ))
    }
}

/// A one-time path at which the running server tells what it sees of a request.
///
/// # Errors
/// The server has no keys yet.
pub fn inspection_path(config: &Config, world: &World) -> Result<String, StartError> {
    let kept = config.data_dir.join("secret");
    if config.keys.secret.is_none() && !kept.exists() {
        return Err(format!(
            "there is no {}: start the server first, which makes it, or set keys.secret",
            kept.display()
        )
        .into());
    }
    let (_, secret) = key_file::keys(config, world)?;
    let token = Inspections::new(&secret).issue(world.clock.now(), &*world.random);
    Ok(format!("{}/inspections/{}", crate::api::BASE, token.expose()))
}

async fn probe_file(url: &SecretString, clock: &dyn Clock) -> Result<Probe, StartError> {
    let sql = SqlPool::open_as(url, 1, "store.url").await.map_err(cause)?;
    let probe = sql.probe(clock).await.map_err(cause);
    sql.finish().await;
    probe
}

fn keys(records: &[KeyRecord], now: Timestamp) -> Vec<Key> {
    let signs = |key: &&KeyRecord| {
        key.withdrawn_at.is_none() && key.sealed.is_some() && key.signs_from <= now
    };
    let current = records.iter().filter(signs).map(|key| key.number).max();
    let key = |record: &KeyRecord| Key {
        id: record.id.clone(),
        algorithm: record.algorithm.as_str(),
        state: match record {
            _ if record.sealed.is_none() => "erased",
            _ if record.withdrawn_at.is_some() => "withdrawn",
            _ if record.signs_from > now => "next",
            _ if Some(record.number) == current => "current",
            _ => "past",
        },
        signs_from: record.signs_from.to_string(),
        age_days: now.since(record.signs_from).as_secs() / (24 * 60 * 60),
    };
    records.iter().map(key).collect()
}

fn build() -> Vec<&'static str> {
    let parts = [
        ("debug", cfg!(debug_assertions)),
        ("otel", cfg!(feature = "otel")),
        ("tls", cfg!(feature = "tls")),
    ];
    parts.into_iter().filter_map(|(name, holds)| holds.then_some(name)).collect()
}

fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {} {}", std::env::consts::OS, release.trim(), std::env::consts::ARCH)
}

fn database_kind(config: &Config) -> &'static str {
    if sqlite_path(config).is_some() { "SQLite" } else { "PostgreSQL" }
}

/// The value of a setting, without secrets.
fn shown(config: &Config, key: &str) -> String {
    let row = config.report().settings().iter().find(|setting| setting.key == key);
    row.map(|setting| setting.value.clone()).unwrap_or_default()
}

/// The settings that somebody gave another value than they have by default.
fn differing(config: &Config) -> Vec<Setting> {
    let defaults = Config::from_sources("", &shown(config, "profile"), [("", ""); 0]).ok();
    let is_default = |setting: &&Setting| {
        let default = defaults.as_ref().map(|config| shown(config, setting.key));
        setting.source == "default" || default.as_ref() == Some(&setting.value)
    };
    let settings = config.report().settings().iter();
    settings.filter(|setting| !is_default(setting)).cloned().collect()
}

/// The disks of the folders that the server writes to, each once.
fn disks(config: &Config) -> Vec<Disk> {
    let database = sqlite_path(config).and_then(|path| path.parent().map(Path::to_owned));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in [Some(config.data_dir.clone()), database].into_iter().flatten() {
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.into_iter().filter_map(room).collect()
}

#[cfg(unix)]
fn room(folder: PathBuf) -> Option<Disk> {
    // A folder that the first start makes will lie where the one above it lies.
    let there = folder.ancestors().find(|path| path.exists())?;
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let disk = rustix::fs::statvfs(there).ok()?;
    let (free_bytes, total_bytes) =
        (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
    Some(Disk { folder, free_bytes, total_bytes })
}

#[cfg(not(unix))]
fn room(_: PathBuf) -> Option<Disk> {
    None
}

/// How long `doctor` may take for all it looks at.
pub const PATIENCE: Duration = Duration::from_secs(15);
