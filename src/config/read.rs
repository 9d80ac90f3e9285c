//! From the gathered settings to the typed [`Config`]: each value is parsed and held to its own bounds.

use std::path::PathBuf;
use std::time::Duration;

use ::rocket::figment::Figment;
use ::rocket::figment::value::Value;
use url::Url;
use zeroize::Zeroizing;

use super::key::{Key, Kind};
use super::report::{Report, Setting};
use super::section::{
    Api, Cookies, Cors, Database, Hosts, Keys, Limits, Log, LogFormat, Metrics, Passwords,
    Permissions, Proxies, Registration, Security, Server, Store, Telemetry, Templates, Tokens,
    Trail,
};
use super::source::{FILE, Gathered, Given, Sources, gather};
use super::{Config, Refused, check, rocket, secret, value};
use crate::access::{Access, Rule};
use crate::id::SecretString;
use crate::limit::Quota;
use crate::store::sql::address::sqlite_url;

/// Reads, checks and reports.
pub(super) fn config(sources: &Sources) -> Result<Config, Refused> {
    let mut gathered = gather(sources);
    let profile = sources.profile.clone();
    let (rockets, server) = rocket::settings(&mut gathered, &profile);
    let server = server.unwrap_or(Server {
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        port: 8000,
        workers: 1,
        max_blocking: 1,
        tls: false,
    });
    let mut reader = Reader { given: gathered.ours, problems: gathered.problems };
    let mut config = reader.config((profile, sources.profile_source), server, rockets);
    config.warnings = check::across(&mut config, &mut reader, sources);
    if reader.problems.is_empty() { Ok(config) } else { Err(Refused { problems: reader.problems }) }
}

/// The `data_dir` alone.
pub(super) fn data_dir(sources: &Sources) -> PathBuf {
    let Gathered { ours: given, problems, .. } = gather(sources);
    PathBuf::from(Reader { given, problems }.text("data_dir").unwrap_or_default())
}

/// Reads settings by name and collects what is wrong with them.
///
/// In place of a value that is wrong comes the default, so that reading goes on to the next problem.
pub(super) struct Reader {
    given: Figment,
    problems: Vec<String>,
}

impl Reader {
    /// Notes a problem with the setting `name`. `what` must hold no secret.
    pub(super) fn problem(&mut self, name: &str, what: impl AsRef<str>) {
        let source = self.source(name);
        self.problems.push(format!("`{name}` ({source}): {}", what.as_ref()));
    }

    /// Where the setting comes from.
    pub(super) fn source(&self, name: &str) -> String {
        let metadata = self.given.find_metadata(name);
        metadata.map_or("default", |metadata| metadata.name.as_ref()).to_owned()
    }

    /// Whether the setting was given, rather than a default.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given.contains(name) && self.source(name) != "default"
    }

    fn config(
        &mut self,
        (profile, source): (String, &str),
        server: Server,
        rockets: Figment,
    ) -> Config {
        let scheme = if server.tls { "https" } else { "http" };
        self.fall_back("public_url", format!("{scheme}://localhost:{}", server.port));
        let public_url = self.parse("public_url", value::origin);
        let public_url = public_url
            .unwrap_or_else(|| Url::parse("http://localhost:8000").expect("this is a URL"));
        let issuer = public_url.origin().ascii_serialization();
        self.fall_back("tokens.audience", issuer.clone());
        self.fall_back("log.format", if profile == "debug" { "text" } else { "json" }.to_owned());
        self.fall_back("drain", if profile == "debug" { "0s" } else { "2s" }.to_owned());
        let data_dir = self.path("data_dir").unwrap_or_default();
        // A path that came as text has a URL.
        let file = sqlite_url(&data_dir.join("doorward.db")).unwrap_or_default();
        self.fall_back("database.url", file);
        let named = Setting { key: "profile", value: profile.clone(), source: source.to_owned() };
        Config {
            server,
            hosts: Hosts { extra: self.each("hosts.extra", value::host) },
            data_dir,
            drain: self.duration("drain"),
            database: self.database(),
            audit: Trail { retention: self.duration_or_off("audit.retention") },
            store: self.store(),
            tokens: self.tokens(issuer),
            keys: self.keys(),
            passwords: self.passwords(),
            permissions: Permissions {
                declared: self.each("permissions.declared", value::permission),
            },
            registration: Registration { open: self.flag("registration.open") },
            proxies: Proxies { trusted: self.each("proxies.trusted", value::network) },
            cookies: Cookies { domain: self.parse("cookies.domain", value::domain).flatten() },
            access: Access::new(self.rules(public_url.scheme()), public_url.scheme()),
            limits: self.limits(),
            cors: Cors { allowed_origins: self.each("cors.allowed_origins", value::exact_origin) },
            api: Api { docs: self.flag("api.docs") },
            templates: Templates { dir: self.path("templates.dir") },
            log: self.log(),
            metrics: Metrics { address: self.parse("metrics.address", value::address).flatten() },
            telemetry: self.telemetry(),
            security: Security {
                contact: self.parse("security.contact", value::contact).flatten(),
            },
            insecure_cookies: self.flag("insecure_cookies"),
            hsts_preload: self.flag("hsts_preload"),
            report: Report::new(named, &self.given, &rockets),
            public_url,
            profile,
            rocket: rockets,
            warnings: Vec::new(),
        }
    }

    fn database(&mut self) -> Database {
        Database {
            url: self.secret_url("database.url"),
            pool_size: self.number("database.pool_size"),
        }
    }

    fn store(&mut self) -> Store {
        Store {
            url: self.secret_url("store.url"),
            prefix: self.parse("store.prefix", name_of_32).unwrap_or_default(),
            near_cache: self.duration_or_off("store.near_cache"),
        }
    }

    fn tokens(&mut self, issuer: String) -> Tokens {
        Tokens {
            access_ttl: self.duration("tokens.access_ttl"),
            refresh_idle: self.duration("tokens.refresh_idle"),
            refresh_absolute: self.duration("tokens.refresh_absolute"),
            remember_idle: self.duration("tokens.remember_idle"),
            remember_absolute: self.duration("tokens.remember_absolute"),
            admin_idle: self.duration("tokens.admin_idle"),
            admin_absolute: self.duration("tokens.admin_absolute"),
            reauth_after: self.duration("tokens.reauth_after"),
            reuse_grace: self.duration("tokens.reuse_grace"),
            audience: self.parse("tokens.audience", not_blank).unwrap_or_default(),
            issuer,
        }
    }

    fn keys(&mut self) -> Keys {
        Keys {
            signing: self.strong_secret("keys.signing", secret::check_signing_key),
            secret: self.strong_secret("keys.secret", secret::check_strength),
            rotate_every: self.duration_or_off("keys.rotate_every"),
            lead: self.duration("keys.lead"),
        }
    }

    fn telemetry(&mut self) -> Telemetry {
        let name = "telemetry.otlp_endpoint";
        let otlp_endpoint = self.parse(name, value::collector).flatten();
        if !cfg!(feature = "otel") && otlp_endpoint.is_some() {
            self.problem(name, "this build sends no traces; build it with the feature `otel`");
        }
        Telemetry { otlp_endpoint }
    }

    fn passwords(&mut self) -> Passwords {
        Passwords {
            min_length: self.number("passwords.min_length"),
            memory_kib: self.number("passwords.memory_kib"),
            iterations: self.number("passwords.iterations"),
            parallelism: self.number("passwords.parallelism"),
            threads: self.number("passwords.threads"),
            queue: self.number("passwords.queue"),
            pepper: self.strong_secret("passwords.pepper", secret::check_strength),
            pepper_id: self.parse("passwords.pepper_id", name_of_32).unwrap_or_default(),
            breached_file: self.path("passwords.breached_file"),
        }
    }

    fn limits(&mut self) -> Limits {
        let halved = |quota: Option<Quota>| quota.map(|quota| quota.with_burst(quota.count() / 2));
        Limits {
            login_per_address: halved(self.quota("limits.login_per_address")),
            register_per_address: self.quota("limits.register_per_address"),
            refresh_per_session: self.quota("limits.refresh_per_session"),
            refresh_per_address: self.quota("limits.refresh_per_address"),
            other_per_address: self.quota("limits.other_per_address"),
            confirm_per_session: halved(self.quota("limits.confirm_per_session")),
            account_failures: self.parse("limits.account_failures", value::failures).flatten(),
        }
    }

    fn quota(&mut self, name: &str) -> Option<Quota> {
        self.parse(name, value::quota).flatten()
    }

    fn log(&mut self) -> Log {
        let format = self.parse("log.format", |text| match text {
            "json" => Ok(LogFormat::Json),
            "text" => Ok(LogFormat::Text),
            other => Err(format!("\"{other}\" is neither json nor text")),
        });
        let level = self.parse("log.level", |text| {
            let Kind::Choice(words) = Key::named("log.level").kind else {
                return Err(String::new());
            };
            let level = words.contains(&text).then(|| text.parse().ok()).flatten();
            level.ok_or_else(|| format!("\"{text}\" is none of {}", words.join(", ")))
        });
        Log {
            format: format.unwrap_or(LogFormat::Json),
            level: level.unwrap_or(tracing::Level::INFO),
            access: self.flag("log.access"),
        }
    }

    /// Gives the setting a default that had to be computed.
    fn fall_back(&mut self, name: &str, default: String) {
        let figment = std::mem::take(&mut self.given);
        self.given = figment.join(Given::default(name, default));
    }

    fn value(&self, name: &str) -> Option<Value> {
        self.given.find_value(name).ok()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = value::text(&self.value(name)?);
        if text.is_none() {
            self.problem(name, "must be a single value");
        }
        text
    }

    fn parse<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        parse(&text).map_err(|what| self.problem(name, what)).ok()
    }

    fn each<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let Some(texts) = value::list(&value) else {
            self.problem(name, "must be a list of texts");
            return Vec::new();
        };
        let parsed = texts.iter().map(|text| parse(text));
        parsed.filter_map(|item| item.map_err(|what| self.problem(name, what)).ok()).collect()
    }

    fn rules(&mut self, scheme: &str) -> Vec<Rule> {
        const NAME: &str = "access.rules";
        let Some(value) = self.value(NAME) else { return Vec::new() };
        let specs = match value::rules(&value) {
            Ok(specs) => specs,
            Err(what) => {
                self.problem(NAME, what);
                return Vec::new();
            }
        };
        let mut rules: Vec<Rule> = Vec::new();
        for (number, spec) in (1..).zip(&specs) {
            match Rule::read(spec, scheme) {
                Ok(rule) => {
                    if let Some(other) = rules.iter().position(|earlier| earlier.covers(&rule)) {
                        let (other, text) = (other + 1, &rule);
                        self.problem(NAME, format!("rule {number} ({text}) never counts: rule {other} above it decides first"));
                    }
                    rules.push(rule);
                }
                Err(what) => self.problem(NAME, format!("rule {number}: {what}")),
            }
        }
        rules
    }

    fn flag(&mut self, name: &str) -> bool {
        self.parse(name, value::flag).unwrap_or_default()
    }

    fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.parse(name, value::path)
    }

    fn duration(&mut self, name: &str) -> Duration {
        let key = Key::named(name);
        let (Kind::Duration { min, max } | Kind::DurationOrOff { min, max }) = key.kind else {
            return Duration::ZERO;
        };
        let bounds = Duration::from_millis(min)..=Duration::from_millis(max);
        let within = |text: &str| {
            let duration = value::duration(text)?;
            if bounds.contains(&duration) { Ok(duration) } else { Err(outside(text, key)) }
        };
        self.parse(name, within).unwrap_or_else(|| {
            key.fixed_default().and_then(|text| value::duration(text).ok()).unwrap_or_default()
        })
    }

    fn duration_or_off(&mut self, name: &str) -> Option<Duration> {
        let off = self.value(name).and_then(|value| value::text(&value)).as_deref() == Some("off");
        (!off).then(|| self.duration(name))
    }

    fn number<T: TryFrom<u64> + Default>(&mut self, name: &str) -> T {
        let key = Key::named(name);
        let Kind::Number { min, max } = key.kind else { return T::default() };
        let within = |text: &str| {
            let number: u64 =
                text.parse().map_err(|_| format!("\"{text}\" is not a whole number"))?;
            let number =
                if (min..=max).contains(&number) { T::try_from(number).ok() } else { None };
            number.ok_or_else(|| outside(text, key))
        };
        self.parse(name, within).unwrap_or_default()
    }

    /// A secret, from the setting itself or from the file that it names.
    fn secret(&mut self, name: &str) -> Option<SecretString> {
        let value = self.value(name)?;
        let private = matches!(Key::named(name).kind, Kind::Secret);
        match value.find_ref(FILE).map(|path| value::text(path).unwrap_or_default()) {
            None => self.text(name).map(Zeroizing::new).map(|text| secret::given(&text)),
            Some(path) => {
                secret::read(&path, private).map_err(|what| self.problem(name, what)).ok()
            }
        }
    }

    /// A connection URL; an empty one in place of what is none, which is told here.
    fn secret_url(&mut self, name: &str) -> SecretString {
        let Some(url) = self.secret(name) else { return SecretString::default() };
        match secret::check_url(&url) {
            Ok(()) => url,
            Err(what) => {
                self.problem(name, what);
                SecretString::default()
            }
        }
    }

    fn strong_secret(
        &mut self,
        name: &str,
        check: impl FnOnce(&SecretString) -> Result<(), String>,
    ) -> Option<SecretString> {
        let secret = self.secret(name)?;
        if let Err(what) = check(&secret) {
            self.problem(name, what);
        }
        Some(secret)
    }
}

fn outside(text: &str, key: &Key) -> String {
    format!("{text} is out of bounds; it must be from {}", key.bounds())
}

/// A name without braces, which would move keys between the slots of a Redis cluster, nor other marks.
fn name_of_32(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 32 letters, digits, - or _".to_owned())
    }
}

fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}
