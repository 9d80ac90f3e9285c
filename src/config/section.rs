//! The sections of the configuration, as plain data.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;
use zeroize::Zeroizing;

use crate::guard::host::HostName;
use crate::id::SecretString;
use crate::limit::Quota;
use crate::role::Declared;
use crate::token::key::strong_bytes;

/// Where and how the server listens: what Rocket is given.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address it listens on.
    pub address: IpAddr,
    /// The TCP port it listens on.
    pub port: u16,
    /// Threads that serve requests.
    pub workers: usize,
    /// The most threads for blocking work.
    pub max_blocking: usize,
    /// Whether Rocket ends TLS itself.
    pub tls: bool,
}

/// The hosts that the server answers for (SR-11).
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Those besides the host of `public_url`.
    pub extra: Vec<HostName>,
}

/// Accounts, roles and audit.
#[derive(Clone, Debug)]
pub struct Database {
    /// `sqlite:…` or `postgres://…`. With PostgreSQL on another machine it carries its `sslmode`, which is
    /// `verify-full` unless the operator wrote `disable` (SR-77).
    pub url: SecretString,
    /// The most connections that are open at a time.
    pub pool_size: u32,
}

/// Sessions, denylist and limits.
#[derive(Clone, Debug)]
pub struct Store {
    /// `embedded`, or the URL of Redis: one server, a cluster, or behind Sentinel.
    pub url: SecretString,
    /// What the names of all entries begin with: letters, digits, `-` and `_`.
    pub prefix: String,
    /// How long an answer of Redis may be used again, as long as Redis does not take it back.
    pub near_cache: Option<Duration>,
}

impl Store {
    /// Whether the store lives in this process, and so serves no second replica.
    pub fn is_embedded(&self) -> bool {
        self.url.expose() == "embedded"
    }
}

/// Lives of tokens and sessions (SR-33).
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The life of an access token; 15 minutes at most.
    pub access_ttl: Duration,
    /// A session ends after this long without a refresh.
    pub refresh_idle: Duration,
    /// A session ends this long after sign-in.
    pub refresh_absolute: Duration,
    /// As `refresh_idle`, with "remember me".
    pub remember_idle: Duration,
    /// As `refresh_absolute`, with "remember me".
    pub remember_absolute: Duration,
    /// As `refresh_idle`, for administrators.
    pub admin_idle: Duration,
    /// As `refresh_absolute`, for administrators.
    pub admin_absolute: Duration,
    /// How long ago somebody may have given their password for what is dangerous (SR-52); 15 minutes at most.
    pub reauth_after: Duration,
    /// How long the previous refresh token still yields the same successor (SR-36); 10 seconds at most.
    pub reuse_grace: Duration,
    /// The `aud` of access tokens.
    pub audience: String,
    /// The `iss` of all tokens: `public_url` without a slash at its end.
    pub issuer: String,
}

/// The audit trail.
#[derive(Clone, Debug)]
pub struct Trail {
    /// How long events are kept; `None` for ever.
    pub retention: Option<Duration>,
}

/// Keys and secrets; those that are not given are generated and kept in `data_dir` (SR-39).
#[derive(Clone, Debug)]
pub struct Keys {
    /// The first private key that signs tokens, Ed25519 or P-256: PKCS#8 in PEM (RFC 5958, RFC 7468 §10).
    pub signing: Option<SecretString>,
    /// The secret that form tokens and others are derived from, in base64; see [`Keys::secret_bytes`].
    pub secret: Option<SecretString>,
    /// How long a key signs until the next one takes over by itself; `None` for never.
    pub rotate_every: Option<Duration>,
    /// How long a new key is published before it signs.
    pub lead: Duration,
}

impl Keys {
    /// The bytes of `secret`, 32 or more, wiped when dropped.
    pub fn secret_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        strong_bytes(self.secret.as_ref()?).ok()
    }
}

/// The password policy (SR-1) and the cost of a hash (SR-4).
#[derive(Clone, Debug)]
pub struct Passwords {
    /// The fewest Unicode code points of a new password.
    pub min_length: usize,
    /// Argon2id memory for one hash, in KiB.
    pub memory_kib: u32,
    /// Argon2id passes.
    pub iterations: u32,
    /// Argon2id lanes.
    pub parallelism: u32,
    /// Threads that hash; 0 for one per core, see [`Passwords::hash_threads`].
    pub threads: usize,
    /// How many may wait for a hash.
    pub queue: usize,
    /// A secret mixed into every hash, in base64; see [`Passwords::pepper_bytes`].
    pub pepper: Option<SecretString>,
    /// Names the pepper in each hash.
    pub pepper_id: String,
    /// A sorted file of hashes of breached passwords.
    pub breached_file: Option<PathBuf>,
}

impl Passwords {
    /// The number of threads that hash, 1 or more.
    pub fn hash_threads(&self) -> usize {
        if self.threads == 0 { cores() } else { self.threads }
    }

    /// The bytes of `pepper`, 32 or more, wiped when dropped.
    pub fn pepper_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        strong_bytes(self.pepper.as_ref()?).ok()
    }
}

/// How many threads can run at a time on this machine.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Permissions of the operator's own application.
#[derive(Clone, Debug)]
pub struct Permissions {
    /// Those that are declared at every start.
    pub declared: Vec<Declared>,
}

/// Self-registration.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Whether visitors can register by themselves.
    pub open: bool,
}

/// The proxies in front (SR-24).
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Networks whose `X-Forwarded-For` and `Forwarded` are believed.
    pub trusted: Vec<IpNet>,
}

/// How far the session cookies reach (SR-40).
#[derive(Clone, Debug)]
pub struct Cookies {
    /// The domain whose hosts all are sent them; none, and it is the host of `public_url` alone.
    pub domain: Option<String>,
}

/// Who may try what, how often (SR-22, SR-23); `None` is `off`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sign-ins from one address.
    pub login_per_address: Option<Quota>,
    /// Registrations from one address.
    pub register_per_address: Option<Quota>,
    /// Refreshes of one session.
    pub refresh_per_session: Option<Quota>,
    /// Refreshes from one address.
    pub refresh_per_address: Option<Quota>,
    /// Requests of any kind from one address.
    pub other_per_address: Option<Quota>,
    /// Confirmations with the password in one session.
    pub confirm_per_session: Option<Quota>,
    /// Wrong passwords in a row before the first delay.
    pub account_failures: Option<u32>,
}

/// Scripts of other sites (SR-45).
#[derive(Clone, Debug)]
pub struct Cors {
    /// Their origins, exactly as a browser sends them; none, and CORS is off.
    pub allowed_origins: Vec<String>,
}

/// The JSON interface.
#[derive(Clone, Debug)]
pub struct Api {
    /// Whether its reference is served.
    pub docs: bool,
}

/// Pages of one's own.
#[derive(Clone, Debug)]
pub struct Templates {
    /// A folder whose templates replace the built-in ones of the same name.
    pub dir: Option<PathBuf>,
}

/// The log.
#[derive(Clone, Debug)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The least severe lines that are written.
    pub level: tracing::Level,
    /// Whether each request writes a line.
    pub access: bool,
}

/// For those who find a weakness.
#[derive(Clone, Debug)]
pub struct Security {
    /// Where they write to; no `security.txt` is served without it.
    pub contact: Option<String>,
}

/// Counts for whoever watches the server.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Where Prometheus finds them; nowhere if there is none.
    pub address: Option<SocketAddr>,
}

/// Traces for whoever watches the server.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Where a collector takes them, without the path of the signal; nowhere if there is none.
    pub otlp_endpoint: Option<Url>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    Json,
    /// Text, for people.
    Text,
}
