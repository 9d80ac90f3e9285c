//! The settings: one table, from which reading, checking, the report and the guide all follow.

use std::time::Duration;

use super::value;

/// What a setting holds, and between which bounds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A path of a file or folder, relative to the working directory.
    Path,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts; with commas between them in the environment.
    List,
    /// A length of time between these bounds, in milliseconds.
    Duration { min: u64, max: u64 },
    /// As `Duration`, or `off`.
    DurationOrOff { min: u64, max: u64 },
    /// A whole number between these bounds.
    Number { min: u64, max: u64 },
    /// A URL that may hold a password; may also be given as a file.
    SecretUrl,
    /// A key or secret; may also be given as a file that nobody else can read (SR-39).
    Secret,
    /// How many in how long, `20/1m`, or `off`.
    Quota,
    /// A list of tables, each an access rule; in the environment the same as JSON.
    Rules,
    /// A setting of Rocket's own, in Rocket's own notation.
    Rocket,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name in `Rocket.toml`, with its section: `tokens.access_ttl`.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// What holds if it is not given, as a person would write it; empty for none.
    pub(super) default: &'static str,
    /// What it is for.
    pub(super) doc: &'static str,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default, doc }
}

const fn time(min: u64, max: u64) -> Kind {
    Kind::Duration { min, max }
}

const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

/// Every setting. A default that begins with `=` is computed, and says how.
#[rustfmt::skip]
pub(super) static KEYS: &[Key] = &[
    key("public_url", Kind::Text, "=http://localhost:8000, with the port that is served",
        "The origin at which browsers reach the server. Cookies, links and the issuer of tokens follow it. https, except on this machine."),
    key("hosts.extra", Kind::List, "",
        "Names and addresses, besides the host of `public_url`, under which the server answers; without a port. Requests for any other are refused: see security.md."),
    key("data_dir", Kind::Path, "data", "Where generated keys, the SQLite file and the sessions of the embedded store are kept."),
    key("database.url", Kind::SecretUrl, "=sqlite://data/doorward.db, in `data_dir`",
        "Accounts, roles and audit. `sqlite:` or `postgres:`. A PostgreSQL server on another machine is reached with `sslmode=verify-full` unless the URL says `sslmode=disable`."),
    key("database.pool_size", number(1, 200), "10", "The most connections to the database that are open at a time; on SQLite there are two more, which are kept for sign-ins and refreshes."),
    key("store.url", Kind::SecretUrl, "embedded",
        "Sessions, denylist and limits. `embedded` serves one process; `redis:`, `rediss:`, `redis+cluster:`, `rediss+cluster:`, `redis+sentinel:` or `rediss+sentinel:` is shared by all replicas, which then need `keys.signing` and `keys.secret`."),
    key("store.prefix", Kind::Text, "dw", "What the names of all entries in the store begin with."),
    key("store.near_cache", Kind::DurationOrOff { min: 100, max: 5 * SECOND }, "off",
        "How long what Redis said of a session may be used again without asking, as long as Redis does not take it back. With one Redis or Sentinel; see sessions.md."),
    key("keys.signing", Kind::Secret, "=generated in `data_dir` with the embedded store",
        "The first key that signs tokens: Ed25519 or P-256, PKCS#8, PEM. Rotation makes the next ones; see keys.md."),
    key("keys.secret", Kind::Secret, "=generated in `data_dir` with the embedded store",
        "The secret that form tokens are derived from, and under which signing keys are sealed in the database: at least 32 random bytes, in base64."),
    key("keys.rotate_every", Kind::DurationOrOff { min: DAY, max: 730 * DAY }, "90d",
        "How long a key signs until the next one takes over by itself."),
    key("keys.lead", time(MINUTE, 12 * HOUR), "10m",
        "How long a new key is published before it signs. Others may keep the public keys for half of it."),
    key("tokens.access_ttl", time(30 * SECOND, 15 * MINUTE), "10m", "The life of an access token."),
    key("tokens.refresh_idle", time(MINUTE, DAY), "24h", "A session ends after this long without a refresh."),
    key("tokens.refresh_absolute", time(MINUTE, 7 * DAY), "7d", "A session ends this long after sign-in, whatever happens."),
    key("tokens.remember_idle", time(MINUTE, 14 * DAY), "14d", "As `refresh_idle`, for sessions with \"remember me\"."),
    key("tokens.remember_absolute", time(MINUTE, 30 * DAY), "30d", "As `refresh_absolute`, for sessions with \"remember me\"."),
    key("tokens.admin_idle", time(MINUTE, 30 * MINUTE), "30m", "As `refresh_idle`, for sessions of administrators."),
    key("tokens.admin_absolute", time(MINUTE, 12 * HOUR), "12h", "As `refresh_absolute`, for sessions of administrators."),
    key("tokens.reauth_after", time(MINUTE, 15 * MINUTE), "15m",
        "How long ago somebody may have given their password for what changes accounts, roles or sessions of others; then they are asked for it again."),
    key("tokens.reuse_grace", time(0, 10 * SECOND), "10s",
        "How long after a rotation the previous refresh token still yields the same successor, for tabs that refresh together."),
    key("tokens.audience", Kind::Text, "=`public_url`", "The `aud` of access tokens."),
    key("passwords.min_length", number(8, 64), "12",
        "The fewest characters (Unicode code points) of a new password. 15 is advised where the password is the only factor."),
    key("passwords.memory_kib", number(19_456, 1_048_576), "19456", "Argon2id memory for one hash, in KiB."),
    key("passwords.iterations", number(2, 16), "2", "Argon2id passes."),
    key("passwords.parallelism", number(1, 16), "1", "Argon2id lanes."),
    key("passwords.threads", number(0, 256), "0", "Threads that hash passwords; 0 for one per core."),
    key("passwords.queue", number(1, 4_096), "64", "Sign-ins that may wait for a hash, and as many again of owners who are known; beyond them, whoever has most in the line is answered 503."),
    key("passwords.pepper", Kind::Secret, "",
        "A secret mixed into every hash: at least 32 random bytes, in base64. Without it the hashes cannot be verified: keep a copy."),
    key("passwords.pepper_id", Kind::Text, "1", "Names the pepper in each hash. With another pepper the passwords of before do not verify."),
    key("passwords.breached_file", Kind::Path, "", "A sorted file of SHA-1 or SHA-256 hashes of passwords that are refused."),
    key("permissions.declared", Kind::List, "",
        "Permissions of your own application, each `resource:action` or `resource:action = What it allows`; see roles.md."),
    key("registration.open", Kind::Flag, "true", "Whether visitors can register by themselves."),
    key("proxies.trusted", Kind::List, "",
        "Networks (CIDR) or addresses of the proxies whose `X-Forwarded-For` and `Forwarded` are believed."),
    key("cookies.domain", Kind::Text, "",
        "A domain above `public_url`, such as `example.org`, whose hosts all are sent the session cookies: for apps on other hosts behind forward-auth. Without it the cookies are for the host of `public_url` alone. See `docs/forward-auth.md`."),
    key("access.rules", Kind::Rules, "",
        "Who may reach which app behind a proxy that asks here: tables with `host`, `path`, `methods`, `allow` and `audience`, the first that fits decides. In the environment a JSON array of objects. See `docs/forward-auth.md`."),
    key("limits.login_per_address", Kind::Quota, "20/1m",
        "Sign-ins from one address (IPv4) or network (IPv6, /64), of which half may come at once. On a known device those to the account count instead."),
    key("limits.register_per_address", Kind::Quota, "10/1h", "Registrations from one address."),
    key("limits.refresh_per_session", Kind::Quota, "60/1m", "Refreshes of one session."),
    key("limits.refresh_per_address", Kind::Quota, "600/1m", "Refreshes from one address."),
    key("limits.other_per_address", Kind::Quota, "600/1m",
        "Requests of any kind from one address; `/livez`, `/readyz`, `/static`, `/.well-known` and what proxies ask at `/api/authz` are not counted."),
    key("limits.confirm_per_session", Kind::Quota, "20/1m",
        "Confirmations with the password in one session, good or bad, of which half may come at once."),
    key("limits.account_failures", Kind::Text, "5",
        "After this many wrong passwords in a row (1 to 100) each further try has to wait: 1, 2, 4 … seconds, 15 minutes at most. `off` for no delays. See `docs/throttling.md`."),
    key("cors.allowed_origins", Kind::List, "", "Origins of other sites whose scripts may call the API with credentials."),
    key("api.docs", Kind::Flag, "true",
        "Whether the interface's reference is served: the page `/api/docs` and the document `/api/v1/openapi.json`. `doorward openapi` prints it in any case."),
    key("audit.retention", Kind::DurationOrOff { min: 7 * DAY, max: 3_650 * DAY }, "off",
        "How long audit events are kept; older ones are removed, and what is left still verifies. `off` keeps all. See audit.md."),
    key("drain", time(0, MINUTE), "=`0s` in profile debug, else `2s`",
        "How long after SIGTERM the server goes on serving while `/readyz` says 503, so that load balancers turn away before the port closes. With `shutdown.grace` and `shutdown.mercy` it must fit into what your platform waits before it kills: often 10 s."),
    key("templates.dir", Kind::Path, "", "A folder of templates that replace the built-in ones of the same name."),
    key("log.format", Kind::Choice(&["json", "text"]), "=`text` in profile debug, else `json`", "How log lines look."),
    key("log.level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), "info", "The least severe lines that are written."),
    key("log.access", Kind::Flag, "true", "Whether each request writes a line."),
    key("metrics.address", Kind::Text, "off",
        "Where Prometheus finds `/metrics`: an address and port that the public cannot reach, such as `127.0.0.1:9464`; or `off`."),
    key("telemetry.otlp_endpoint", Kind::Text, "off",
        "Where an OpenTelemetry collector takes traces over OTLP/HTTP, such as `http://127.0.0.1:4318`; or `off`. Needs the feature `otel`: see traces.md."),
    key("security.contact", Kind::Text, "",
        "Whom `/.well-known/security.txt` tells people to write to about a weakness: a `mailto:` or `https:` address."),
    key("insecure_cookies", Kind::Flag, "false",
        "For a closed network without https: permits an http `public_url` on another host than this machine, and cookies that browsers keep there (`dw-at` and so on, not `Secure`). Anybody on the way can then take over sessions."),
    key("hsts_preload", Kind::Flag, "false", "Adds `preload` to `Strict-Transport-Security`. Hard to undo."),
    key("address", Kind::Rocket, "=127.0.0.1; 0.0.0.0 if `PORT` is set, except in profile debug", "The IP address to listen on."),
    key("port", Kind::Rocket, "8000", "The TCP port to listen on."),
    key("workers", Kind::Rocket, "=one per core", "Threads that serve requests."),
    key("max_blocking", Kind::Rocket, "512", "The most threads for blocking work."),
    key("keep_alive", Kind::Rocket, "75", "Seconds that an idle connection stays open; more than your proxy's own. 0 closes at once."),
    key("ident", Kind::Rocket, "false", "The `Server` header. Always `false`: a server that names its software helps attackers choose."),
    key("log_level", Kind::Rocket, "off", "Rocket's own log: `critical`, `normal`, `debug` or `off`. It costs speed, and its lines are not ours; `log.access` is the better one."),
    key("cli_colors", Kind::Rocket, "=`true` in profile debug, else `false`", "Colours in Rocket's own log."),
    key("shutdown.grace", Kind::Rocket, "6", "Seconds that running requests may take to finish after `drain`."),
    key("shutdown.mercy", Kind::Rocket, "1", "Seconds after `grace` until connections are cut."),
    key("tls.certs", Kind::Rocket, "", "The certificate chain, PEM: a server that ends TLS itself (built with the feature `tls`)."),
    key("tls.key", Kind::Rocket, "", "The path of the private key of the certificate, PEM."),
    key("tls.ciphers", Kind::Rocket, "=Rocket's", "The cipher suites."),
    key("tls.prefer_server_cipher_order", Kind::Rocket, "false", "Whether the server's order of cipher suites decides."),
];

/// Settings of Rocket that Doorward decides itself, and why.
pub(super) static DECIDED: &[(&str, &str)] = &[
    ("limits", "the sizes of requests are fixed (form 16 KiB, JSON 64 KiB)"),
    (
        "ip_header",
        "a client could forge its address with that header; name your proxies in `proxies.trusted`",
    ),
    ("secret_key", "private cookies are not used; see `keys.secret`"),
    ("temp_dir", "no file is ever put there"),
    ("shutdown.force", "it does nothing: the process ends after `shutdown.mercy` in any case"),
    (
        "shutdown.ctrlc",
        "signals are Doorward's own affair: Ctrl-C ends the server at once, SIGTERM after `drain`",
    ),
    (
        "shutdown.signals",
        "signals are Doorward's own affair: Ctrl-C ends the server at once, SIGTERM after `drain`",
    ),
];

/// Why the setting of this name, or the section that it is in, cannot be set.
pub(super) fn decided(name: &str) -> Option<&'static str> {
    let section = value::before(name, '.');
    let found = DECIDED.iter().find(|(key, _)| *key == name || *key == section);
    found.map(|(_, why)| *why)
}

impl Key {
    /// The setting of this name; only for names that are written in this crate.
    pub(super) fn named(name: &str) -> &'static Key {
        Self::find(name).expect("every setting that is read stands in the table")
    }

    /// The setting of this name, if there is one.
    pub(super) fn find(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Whether it is one of Rocket's own.
    pub(super) fn is_rockets(&self) -> bool {
        matches!(self.kind, Kind::Rocket)
    }

    /// Whether it may be given as a file, under its name with `_file` behind.
    pub(super) fn has_file(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::SecretUrl)
    }

    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        let prefix = if self.is_rockets() { "ROCKET" } else { "DOORWARD" };
        // Rocket reads a table as a whole, from one variable.
        let name =
            if self.is_rockets() { value::before(self.name, '.') } else { self.name.to_owned() };
        format!("{prefix}_{}", name.replace('.', "_").to_uppercase())
    }

    /// The default as a text to parse; `None` where there is none or it is computed.
    pub(super) fn fixed_default(&self) -> Option<&'static str> {
        (!self.default.is_empty() && !self.default.starts_with('=')).then_some(self.default)
    }

    /// The bounds in words; empty where there are none.
    pub(super) fn bounds(&self) -> String {
        match self.kind {
            Kind::Duration { min, max } => span(min, max),
            Kind::DurationOrOff { min, max } => format!("{}, or off", span(min, max)),
            Kind::Number { min, max } => format!("{min} to {max}"),
            Kind::Choice(words) => words.join(", "),
            Kind::Quota => "`1/24h` to `1000000/1s`, `off`".to_owned(),
            _ => String::new(),
        }
    }
}

/// Two lengths of time in milliseconds, in words.
fn span(min: u64, max: u64) -> String {
    let show = |millis| value::show_duration(Duration::from_millis(millis));
    format!("{} to {}", show(min), show(max))
}

/// All names that `Rocket.toml` may hold, `_file` variants included.
fn names() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|key| {
        let file = key.has_file().then(|| format!("{}_file", key.name));
        std::iter::once(key.name.to_owned()).chain(file)
    })
}

/// The known name nearest to `unknown`, if one is near.
pub(super) fn nearest(unknown: &str) -> Option<String> {
    let last = unknown.rsplit('.').next().unwrap_or(unknown);
    let near = names()
        .map(|name| (distance(unknown, &name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 1 + unknown.len() / 5)
        .map(|(_, name)| name);
    // The right name in the wrong section.
    near.or_else(|| names().find(|name| name.rsplit('.').next() == Some(last)))
}

/// The Levenshtein distance: how many letters to add, remove or replace.
pub(super) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = row[j] + usize::from(l != *r);
            next.push(replaced.min(row[j + 1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// All settings as a table in Markdown: the reference of `docs/configuration.md`.
pub fn reference() -> String {
    let head = "| Key | Environment variable | Default | From, to | What it is for |";
    let rows = KEYS.iter().map(|key| {
        let default = match (key.default, key.default.strip_prefix('=')) {
            ("", _) => "none".to_owned(),
            (_, Some(computed)) => computed.to_owned(),
            (fixed, None) => format!("`{fixed}`"),
        };
        let (file, file_variable) =
            if key.has_file() { (", or `…_file`", ", or `…_FILE`") } else { ("", "") };
        let variable = match key.name.split_once('.') {
            Some((_, inner)) if key.is_rockets() => format!("{}={{{inner}=…}}", key.variable()),
            _ => key.variable(),
        };
        format!(
            "| `{}`{file} | `{variable}`{file_variable} | {default} | {} | {} |\n",
            key.name,
            key.bounds(),
            key.doc,
        )
    });
    format!("{head}\n|---|---|---|---|---|\n{}", rows.collect::<String>())
}
