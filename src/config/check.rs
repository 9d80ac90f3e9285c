//! What no setting can tell alone: rules between settings (SR-76), and what deserves a warning.

mod access;

use std::path::Path;

use url::Url;

use super::key::{KEYS, Kind};
use super::read::Reader;
use super::source::Sources;
use super::{Config, value};
use crate::access::Rule;
use crate::guard::host::HostName;
use crate::id::SecretString;
use crate::store::redis;
use crate::store::sql::SqlAddress;
use crate::store::sql::address::{PostgresAddress, Tls};

const STORE_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel"];

/// Holds the settings to the rules between them; the answer is the warnings.
pub(super) fn across(config: &mut Config, reader: &mut Reader, sources: &Sources) -> Vec<String> {
    let mut warnings = Vec::new();
    public_url(config, reader, &mut warnings);
    hosts(config, &mut warnings);
    database(config, reader, &mut warnings);
    store(config, reader, &mut warnings);
    lives(config, reader);
    limits(config, &mut warnings);
    cors(config, reader);
    files(config, reader);
    without_effect(config, reader, &mut warnings);
    access::check(config, reader, &mut warnings);
    inline_secrets(reader, sources, &mut warnings);
    warnings
}

/// Plain http only to this machine, where nobody can listen (SR-40, SR-76).
fn public_url(config: &Config, reader: &mut Reader, warnings: &mut Vec<String>) {
    let here = value::is_this_machine(&config.public_url);
    match (config.is_https(), here, config.insecure_cookies) {
        (false, false, false) => reader.problem(
            "public_url",
            format!(
                "{} is plain http: anybody on the way could take over sessions; use https, or set insecure_cookies = true",
                config.tokens.issuer
            ),
        ),
        (false, false, true) => warnings.push(
            "insecure_cookies is on: sessions travel over plain http, where anybody on the way can take them over"
                .to_owned(),
        ),
        (true, _, true) => {
            reader.problem("insecure_cookies", "has no use with an https public_url; remove it");
        }
        (false, true, true) => warnings.push(
            "insecure_cookies is on although public_url is this machine: of the browsers there, Safari alone needs it"
                .to_owned(),
        ),
        _ => {}
    }
    if config.profile != "debug" && here {
        let (issuer, given) = (&config.tokens.issuer, reader.is_given("public_url"));
        warnings.push(if given {
            format!("public_url is {issuer}: only browsers on this machine can sign in")
        } else {
            format!(
                "public_url is not set and taken to be {issuer}: only browsers on this machine can sign in; set \
                 `public_url`, or DOORWARD_PUBLIC_URL, to the origin at which browsers reach this server"
            )
        });
    }
}

/// Names that do nothing, or less than they seem to.
fn hosts(config: &Config, warnings: &mut Vec<String>) {
    let own = config.public_url.host_str().and_then(HostName::parse);
    for host in &config.hosts.extra {
        if Some(host) == own.as_ref() {
            warnings.push(format!("hosts.extra names {host}, the host of public_url; remove it"));
        }
        let app = |rule: &&Rule| HostName::parse(rule.host.name()).as_ref() == Some(host);
        if let Some(rule) = config.access.rules().iter().find(app) {
            warnings.push(format!(
                "hosts.extra names {host}, the host of an app (\"{rule}\"): sign-in pages belong to the host of public_url"
            ));
        }
    }
}

fn database(config: &mut Config, reader: &mut Reader, warnings: &mut Vec<String>) {
    let url = config.database.url.expose().to_owned();
    // Empty where its file could not be read, or `data_dir` is no path, which was told already.
    if url.is_empty() {
        return;
    }
    match SqlAddress::parse(&url) {
        Ok(SqlAddress::Sqlite(_)) => {
            if !config.store.is_embedded() {
                warnings.push(
                    "the database is SQLite, a file of one machine: replicas elsewhere would not share accounts"
                        .to_owned(),
                );
            }
        }
        Ok(SqlAddress::Postgres(address)) => {
            for name in &address.unused {
                warnings.push(format!("database.url: its parameter `{name}` has no effect here"));
            }
            verify_postgres(config, &url, &address, (reader, warnings));
            if config.store.is_embedded() {
                warnings.push(
                    "the store is embedded: run one process only; several need Redis (`store.url`)"
                        .to_owned(),
                );
            }
        }
        Err(what) => reader.problem("database.url", what),
    }
}

/// TLS that does not verify the server's name protects from nobody who can stand in between (SR-77).
fn verify_postgres(
    config: &mut Config,
    url: &str,
    address: &PostgresAddress,
    (reader, warnings): (&mut Reader, &mut Vec<String>),
) {
    match (&address.tls, address.is_local()) {
        (Tls::Unsaid | Tls::Off, true) | (Tls::Verified, _) => {}
        (Tls::Unsaid, false) => {
            let mark = if url.contains('?') { '&' } else { '?' };
            config.database.url = SecretString::new(format!("{url}{mark}sslmode=verify-full"));
        }
        (Tls::Off, false) => warnings.push(
            "database.url says sslmode=disable: passwords and accounts travel to PostgreSQL unencrypted"
                .to_owned(),
        ),
        (Tls::Unverified, _) => reader.problem(
            "database.url",
            "its sslmode does not verify the server; use sslmode=verify-full, or disable on a network of your own",
        ),
    }
}

fn store(config: &Config, reader: &mut Reader, warnings: &mut Vec<String>) {
    let url = config.store.url.expose();
    let scheme = value::scheme(url);
    if config.store.near_cache.is_some()
        && (config.store.is_embedded() || scheme.ends_with("+cluster"))
    {
        reader.problem(
            "store.near_cache",
            "works with one Redis, or with redis+sentinel://; remove it",
        );
    }
    if url.is_empty() || config.store.is_embedded() {
        return;
    }
    let host = url.split_once("://").map(|(_, rest)| rest).filter(|rest| !rest.is_empty());
    if !STORE_SCHEMES.contains(&scheme.as_str()) || host.is_none() {
        let known = STORE_SCHEMES.map(|scheme| format!("{scheme}://"));
        reader.problem("store.url", format!("must be embedded or begin with {}", known.join(", ")));
        return;
    }
    if url.to_ascii_lowercase().ends_with("#insecure") {
        reader.problem("store.url", "#insecure turns off verification of the server; remove it");
    } else if let Err(what) = redis::check(url) {
        reader.problem("store.url", what);
    }
    if !scheme.starts_with("rediss") && !value::connects_locally(url) {
        warnings.push(
            "store.url is not rediss: sessions travel to Redis unencrypted; keep that network to yourself"
                .to_owned(),
        );
    }
    for (name, given) in [
        ("keys.signing", config.keys.signing.is_some()),
        ("keys.secret", config.keys.secret.is_some()),
    ] {
        if !given && !reader.is_given(name) {
            reader.problem(
                name,
                format!(
                    "is missing: replicas that share a store must share it; `doorward keys generate` makes \
                     it, `{name}_file` names it"
                ),
            );
        }
    }
}

/// A session cannot be idle for longer than it may live, and must outlive its access token (SR-33).
fn lives(config: &Config, reader: &mut Reader) {
    let tokens = &config.tokens;
    for (longer, long, shorter, short) in [
        ("tokens.refresh_absolute", tokens.refresh_absolute, "refresh_idle", tokens.refresh_idle),
        (
            "tokens.remember_absolute",
            tokens.remember_absolute,
            "remember_idle",
            tokens.remember_idle,
        ),
        ("tokens.admin_absolute", tokens.admin_absolute, "admin_idle", tokens.admin_idle),
        ("tokens.refresh_idle", tokens.refresh_idle, "access_ttl", tokens.access_ttl),
        ("tokens.remember_idle", tokens.remember_idle, "access_ttl", tokens.access_ttl),
        ("tokens.admin_idle", tokens.admin_idle, "access_ttl", tokens.access_ttl),
    ] {
        if long < short {
            let (long, short) = (value::show_duration(long), value::show_duration(short));
            reader.problem(longer, format!("{long} is shorter than `tokens.{shorter}`, {short}"));
        }
    }
}

/// Without its limit, something can be tried as often as a machine can.
fn limits(config: &Config, warnings: &mut Vec<String>) {
    let limits = &config.limits;
    for (name, on, what) in [
        ("login_per_address", limits.login_per_address.is_some(), "sign-ins"),
        ("register_per_address", limits.register_per_address.is_some(), "registrations"),
        ("refresh_per_session", limits.refresh_per_session.is_some(), "refreshes of a session"),
        ("refresh_per_address", limits.refresh_per_address.is_some(), "refreshes"),
        ("other_per_address", limits.other_per_address.is_some(), "requests"),
        ("confirm_per_session", limits.confirm_per_session.is_some(), "confirmations"),
        ("account_failures", limits.account_failures.is_some(), "wrong passwords for an account"),
    ] {
        if !on {
            warnings.push(format!("limits.{name} is off: {what} are not limited"));
        }
    }
}

/// An http origin is whoever stands between it and its user; it may not act with their cookies (SR-45).
fn cors(config: &Config, reader: &mut Reader) {
    for origin in &config.cors.allowed_origins {
        let here = Url::parse(origin).is_ok_and(|url| value::is_this_machine(&url));
        if origin.starts_with("http:") && !here && !config.insecure_cookies {
            reader.problem("cors.allowed_origins", format!("{origin} must be https"));
        }
    }
}

fn files(config: &Config, reader: &mut Reader) {
    let missing = |path: &Path| format!("{} is not there, or cannot be read", path.display());
    if let Some(path) = config.passwords.breached_file.as_deref().filter(|path| !path.is_file()) {
        reader.problem("passwords.breached_file", missing(path));
    }
    if let Some(path) = config.templates.dir.as_deref().filter(|path| !path.is_dir()) {
        reader.problem("templates.dir", missing(path));
    }
}

/// What is set and does nothing beside other settings.
fn without_effect(config: &Config, reader: &Reader, warnings: &mut Vec<String>) {
    if config.hsts_preload && !config.is_https() {
        warnings.push("hsts_preload has no effect: public_url is plain http".to_owned());
    }
    if config.store.is_embedded() && reader.is_given("store.prefix") {
        warnings.push("store.prefix has no effect on the embedded store".to_owned());
    }
    if config.passwords.pepper.is_none() && reader.is_given("passwords.pepper_id") {
        warnings.push("passwords.pepper_id has no effect without passwords.pepper".to_owned());
    }
}

/// `Rocket.toml` is committed and copied about; a secret in it soon is none.
fn inline_secrets(reader: &Reader, sources: &Sources, warnings: &mut Vec<String>) {
    for key in KEYS.iter().filter(|key| matches!(key.kind, Kind::Secret)) {
        let source = reader.source(key.name);
        if source.starts_with(&format!("{} [", sources.toml_name)) {
            warnings.push(format!(
                "`{0}` stands in {source}; keep it in a file of its own and set `{0}_file`",
                key.name
            ));
        }
    }
}
