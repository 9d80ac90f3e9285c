//! What values are held to, one by one and against each other.

use std::time::Duration;

use super::{PUBLIC, SECRET, SIGNING, accepted, read, refused};
use crate::config::LogFormat;
use crate::config::key::{KEYS, Key};
use crate::config::value::{self, duration, show_duration};

const REDIS: (&str, &str) = ("REDIS_URL", "rediss://redis.example.com");
const KEY: (&str, &str) = ("DOORWARD_KEYS_SIGNING", SIGNING);
const FORM: (&str, &str) = ("DOORWARD_KEYS_SECRET", SECRET);
const POSTGRES: (&str, &str) = ("DATABASE_URL", "postgres://d:p@db.example.com/d");

/// The setting of this name, through the environment, in profile debug.
fn refused_value(name: &str, value: &str, words: &[&str]) {
    let variable = Key::named(name).variable();
    refused("", "debug", &[(&variable, value)], words);
}

#[test]
fn durations_are_a_number_and_a_unit() {
    for (text, millis) in [
        ("250ms", 250),
        ("10s", 10_000),
        ("10m", 600_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        assert_eq!(show_duration(Duration::from_millis(millis)), text);
    }
    for text in
        ["", "m", "-1m", "1.5h", "10x", "ten", "99999999999999999999d", "18446744073709551615d"]
    {
        assert!(duration(text).is_err(), "{text}");
    }
    refused(
        "[default.tokens]\naccess_ttl = 600",
        "debug",
        &[],
        &["tokens.access_ttl", "no unit", "600s"],
    );
    refused("[default.tokens]\naccess_ttl = ['10m']", "debug", &[], &["single value"]);
}

#[test]
fn every_default_is_within_its_own_bounds_and_every_variable_is_unique() {
    accepted("", "debug", &[]);
    let mut variables: Vec<String> =
        KEYS.iter().filter(|key| !key.is_rockets()).map(Key::variable).collect();
    let count = variables.len();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), count);
}

#[test]
fn sr_33_lives_keep_their_ceilings_and_floors() {
    for (name, value) in [
        ("tokens.access_ttl", "16m"),
        ("tokens.access_ttl", "29s"),
        ("tokens.refresh_idle", "25h"),
        ("tokens.refresh_absolute", "8d"),
        ("tokens.remember_idle", "15d"),
        ("tokens.remember_absolute", "31d"),
        ("tokens.admin_idle", "31m"),
        ("tokens.admin_absolute", "13h"),
        ("tokens.reuse_grace", "11s"),
    ] {
        refused_value(name, value, &[name, value, "out of bounds"]);
    }
    let longest = accepted("", "debug", &[("DOORWARD_TOKENS_ACCESS_TTL", "15m")]);
    assert_eq!(longest.tokens.access_ttl, Duration::from_secs(900));
}

#[test]
fn sr_33_a_session_does_not_idle_longer_than_it_lives() {
    refused_value("tokens.refresh_absolute", "12h", &["12h is shorter than `tokens.refresh_idle`"]);
    refused_value("tokens.remember_absolute", "13d", &["`tokens.remember_idle`, 14d"]);
    refused_value("tokens.admin_absolute", "20m", &["`tokens.admin_idle`, 30m"]);
    refused_value("tokens.refresh_idle", "5m", &["`tokens.access_ttl`, 10m"]);
}

#[test]
fn sr_1_and_sr_4_passwords_keep_their_floors() {
    for (name, value) in [
        ("passwords.min_length", "7"),
        ("passwords.memory_kib", "19455"),
        ("passwords.iterations", "1"),
        ("passwords.parallelism", "0"),
        ("passwords.queue", "0"),
        ("database.pool_size", "0"),
    ] {
        refused_value(name, value, &[name, "out of bounds"]);
    }
    refused_value("passwords.min_length", "twelve", &["not a whole number"]);
    assert!(accepted("", "debug", &[]).passwords.hash_threads() >= 1);
}

#[test]
fn sr_76_plain_http_is_for_this_machine() {
    for here in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8000"] {
        for profile in ["debug", "release"] {
            accepted("", profile, &[("DOORWARD_PUBLIC_URL", here)]);
        }
    }
    let elsewhere = ("DOORWARD_PUBLIC_URL", "http://login.example.com");
    for profile in ["debug", "release", "staging"] {
        refused("", profile, &[elsewhere], &["public_url", "plain http", "insecure_cookies"]);
        let config = accepted("", profile, &[elsewhere, ("DOORWARD_INSECURE_COOKIES", "true")]);
        assert!(config.insecure_cookies && config.warnings()[0].contains("insecure_cookies"));
    }
    refused("", "release", &[PUBLIC, ("DOORWARD_INSECURE_COOKIES", "true")], &["no use with"]);
}

#[test]
fn a_public_url_that_was_forgotten_is_told() {
    let told = |profile, env: &[(&str, &str)]| accepted("", profile, env).warnings().join("\n");
    for profile in ["release", "staging"] {
        let forgotten = told(profile, &[]);
        assert!(forgotten.contains("DOORWARD_PUBLIC_URL"), "{forgotten}");
        let meant = told(profile, &[("DOORWARD_PUBLIC_URL", "http://localhost:8000")]);
        assert!(meant.contains("only browsers on this machine"), "{meant}");
        assert!(!meant.contains("DOORWARD_PUBLIC_URL"), "{meant}");
        assert_eq!(told(profile, &[PUBLIC]), "");
    }
    assert_eq!(told("debug", &[]), "");
}

#[test]
fn public_url_is_an_origin() {
    for url in [
        "login.example.com",
        "https://example.com/login",
        "https://example.com/?a",
        "https://example.com/#a",
        "https://me:secret@example.com",
        "ftp://example.com",
    ] {
        refused_value("public_url", url, &["public_url", "write the origin alone"]);
    }
    let config =
        accepted("", "release", &[("DOORWARD_PUBLIC_URL", "https://Login.example.com:443/")]);
    assert_eq!(config.tokens.issuer, "https://login.example.com");
}

#[test]
fn sr_76_the_debug_profile_does_not_listen_in_public() {
    refused("", "debug", &[("ROCKET_ADDRESS", "0.0.0.0")], &["address", "profile debug"]);
    refused("[debug]\naddress = '::'", "debug", &[], &["Rocket.toml [debug]", "profile debug"]);
    let hosted = accepted("", "debug", &[("PORT", "3000")]);
    assert!(hosted.server.address.is_loopback());
    assert_eq!(hosted.tokens.issuer, "http://localhost:3000");
    let hosted = accepted("", "release", &[PUBLIC, ("PORT", "3000")]);
    assert_eq!(hosted.server.address.to_string(), "0.0.0.0");
    assert!(accepted("", "release", &[PUBLIC]).server.address.is_loopback());
}

#[test]
fn sr_76_replicas_share_their_keys() {
    let told = read("", "release", &[PUBLIC, POSTGRES, REDIS]).expect_err("both keys are missing");
    assert_eq!(told.problems().len(), 2, "{told}");
    refused(
        "",
        "release",
        &[PUBLIC, POSTGRES, REDIS, FORM],
        &["keys.signing", "keys.signing_file"],
    );
    let config = accepted("", "release", &[PUBLIC, POSTGRES, REDIS, KEY, FORM]);
    assert_eq!(config.warnings(), [""; 0]);
    let config = accepted("", "release", &[PUBLIC, POSTGRES]);
    assert!(config.warnings()[0].contains("the store is embedded"), "{:?}", config.warnings());
    let config = accepted("", "release", &[PUBLIC, REDIS, KEY, FORM]);
    assert!(config.warnings()[0].contains("SQLite"), "{:?}", config.warnings());
}

#[test]
fn sr_76_a_weak_or_wrong_key_is_refused() {
    refused_value("keys.secret", "c2hvcnQ=", &["holds 5 bytes", "doorward keys generate"]);
    refused_value("keys.secret", "change me!", &["not base64"]);
    let same = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    refused_value("keys.secret", same, &["placeholder"]);
    refused_value("passwords.pepper", same, &["passwords.pepper", "placeholder"]);
    refused_value("keys.signing", SECRET, &["not a private key in PEM"]);
    let damaged = SIGNING.replace("MC4C", "MC4D");
    refused_value(
        "keys.signing",
        &damaged,
        &["not an Ed25519 or P-256 key", "doorward keys generate"],
    );
    let bare = SECRET.trim_end_matches('=');
    assert!(accepted("", "debug", &[("DOORWARD_KEYS_SECRET", bare)]).keys.secret_bytes().is_some());
}

#[test]
fn sr_77_tls_to_postgres_and_redis_verifies() {
    let url = |query: &str| format!("postgres://d:p@db.example.com/d{query}");
    let config = accepted("", "release", &[PUBLIC, ("DATABASE_URL", &url(""))]);
    assert_eq!(config.database.url.expose(), url("?sslmode=verify-full"));
    let config = accepted("", "release", &[PUBLIC, ("DATABASE_URL", &url("?a=b"))]);
    assert_eq!(config.database.url.expose(), url("?a=b&sslmode=verify-full"));
    for mode in ["allow", "prefer", "require", "verify-ca"] {
        let url = url(&format!("?sslmode={mode}"));
        refused("", "release", &[PUBLIC, ("DATABASE_URL", &url)], &["does not verify"]);
    }
    let open = url("?sslmode=disable");
    let config = accepted("", "release", &[PUBLIC, ("DATABASE_URL", &open)]);
    assert!(config.warnings().iter().any(|warning| warning.contains("unencrypted")));
    let local = "postgres://d:p@localhost:5432/d";
    let config = accepted("", "release", &[PUBLIC, ("DATABASE_URL", local)]);
    assert_eq!(config.database.url.expose(), local);
    let insecure = ("REDIS_URL", "rediss://redis.example.com/#insecure");
    refused("", "release", &[PUBLIC, POSTGRES, KEY, FORM, insecure], &["#insecure"]);
    let plain = ("REDIS_URL", "redis://redis.example.com");
    let config = accepted("", "release", &[PUBLIC, POSTGRES, KEY, FORM, plain]);
    assert!(config.warnings()[0].contains("rediss"), "{:?}", config.warnings());
}

#[test]
fn urls_that_stay_on_this_machine_are_recognised() {
    for url in [
        "redis://localhost",
        "redis://:p@127.0.0.1:6379/0",
        "redis+cluster://[::1]:6379,localhost:6380",
        "postgres:///d?host=/run/postgresql",
        "postgres://d@%2Frun%2Fpostgresql/d",
    ] {
        assert!(value::connects_locally(url), "{url}");
    }
    for url in [
        "redis://localhost,other",
        "postgres:///d?host=db",
        "redis://127.0.0.1@evil",
        "redis://localhost.evil",
    ] {
        assert!(!value::connects_locally(url), "{url}");
    }
}

#[test]
fn sr_77_passwords_of_urls_are_hidden_however_they_are_written() {
    for (url, shown) in [
        ("postgres://d:hunter2@db/d", "postgres://d:***@db/d"),
        ("postgres://d:hun@ter2/@db/d", "postgres://d:***@db/d"),
        ("postgres:///d?user=d&p%61ssword=hunter2", "postgres:///d?user=d&p%61ssword=***"),
        ("redis://hunter2@redis", "redis://***@redis"),
        ("redis:hunter2@redis", "(set)"),
        ("postgres://d@db/d", "postgres://d@db/d"),
        ("sqlite://data/doorward.db", "sqlite://data/doorward.db"),
    ] {
        assert_eq!(value::without_password(url), shown);
    }
}

#[test]
fn unknown_schemes_are_refused() {
    refused_value("database.url", "mysql://localhost/d", &["database.url", "sqlite: or postgres:"]);
    refused_value("store.url", "memcached://localhost", &["store.url", "redis+cluster://"]);
    refused_value("store.url", "Embedded", &["must be embedded or begin with"]);
    refused_value("store.url", "redis://", &["store.url"]);
}

#[test]
fn a_near_cache_is_refused_where_nothing_can_be_taken_back() {
    refused_value("store.near_cache", "2s", &["store.near_cache", "redis+sentinel://"]);
    let near = ("DOORWARD_STORE_NEAR_CACHE", "2s");
    let cluster = ("REDIS_URL", "redis+cluster://localhost:7000");
    refused("", "release", &[PUBLIC, POSTGRES, KEY, FORM, cluster, near], &["store.near_cache"]);
    let one = ("REDIS_URL", "redis://localhost");
    let config = accepted("", "release", &[PUBLIC, POSTGRES, KEY, FORM, one, near]);
    assert_eq!(config.store.near_cache, Some(Duration::from_secs(2)));
}

#[test]
fn sr_24_proxies_are_networks_and_never_everybody() {
    refused_value("proxies.trusted", "10.0.0.0/33", &["proxies.trusted", "10.0.0.0/33"]);
    refused_value("proxies.trusted", "10.0.0.1,0.0.0.0/0", &["the whole internet"]);
    refused_value("proxies.trusted", "::/0", &["the whole internet"]);
}

#[test]
fn sr_45_cors_origins_are_exact() {
    for origin in [
        "*",
        "null",
        "https://*.example.com",
        "https://example.com/",
        "https://Example.com",
        "example.com",
    ] {
        refused_value("cors.allowed_origins", origin, &["cors.allowed_origins"]);
    }
    refused_value("cors.allowed_origins", "http://app.example.com", &["must be https"]);
    let toml =
        "[default.cors]\nallowed_origins = ['https://app.example.com', 'http://localhost:5173']";
    assert_eq!(accepted(toml, "debug", &[]).cors.allowed_origins.len(), 2);
}

#[test]
fn words_flags_and_names_are_what_they_may_be() {
    refused_value("log.level", "loud", &["\"loud\"", "error, warn, info"]);
    refused_value("log.format", "xml", &["neither json nor text"]);
    refused_value("registration.open", "yes", &["neither true nor false"]);
    refused_value("store.prefix", "{dw}", &["letters, digits"]);
    refused_value("passwords.pepper_id", "a$b", &["letters, digits"]);
    refused_value("tokens.audience", " ", &["must not be empty"]);
    refused_value("templates.dir", "/nowhere", &["is not there"]);
    refused_value("passwords.breached_file", "/nowhere", &["is not there"]);
    assert_eq!(accepted("", "debug", &[]).log.format, LogFormat::Text);
    assert_eq!(accepted("", "release", &[]).log.format, LogFormat::Json);
}

#[test]
fn sr_24_sr_42_and_sr_60_rocket_is_set_up_safely() {
    let config = accepted("", "release", &[PUBLIC]);
    let rocket = rocket::Config::try_from(config.rocket()).expect("Rocket reads its settings");
    assert_eq!(rocket.ip_header, None);
    assert_eq!(rocket.ident, rocket::config::Ident::none());
    assert_eq!(rocket.limits.get("form"), Some(rocket::data::ByteUnit::Kibibyte(16)));
    assert_eq!(rocket.limits.get("json"), Some(rocket::data::ByteUnit::Kibibyte(64)));
    assert_eq!(rocket.log_level, rocket::config::LogLevel::Off);
    assert_eq!((rocket.keep_alive, rocket.workers), (75, config.server.workers));
    let stop = u64::from(rocket.shutdown.grace + rocket.shutdown.mercy);
    assert!(config.drain.as_secs() + stop < 10, "platforms kill after ten seconds");
    assert_eq!(rocket.profile.to_string(), "release");
}

#[test]
fn rockets_own_settings_can_be_set_except_the_unsafe_ones() {
    let toml = "[default]\nworkers = 3\nkeep_alive = 90\n[default.shutdown]\ngrace = 4";
    let env = [PUBLIC, ("ROCKET_SHUTDOWN", "{mercy=1}"), ("ROCKET_ADDRESS", "0.0.0.0")];
    let config = accepted(toml, "release", &env);
    let rocket = rocket::Config::try_from(config.rocket()).expect("Rocket reads its settings");
    assert_eq!((rocket.workers, rocket.keep_alive), (3, 90));
    assert_eq!((rocket.shutdown.grace, rocket.shutdown.mercy), (4, 1));
    assert_eq!(config.server.address, rocket.address);
    refused(
        "[default]\nip_header = 'X-Real-IP'",
        "debug",
        &[],
        &["cannot be set", "proxies.trusted"],
    );
    refused("[default.limits]\nform = '1 MiB'", "debug", &[], &["`limits.form`", "cannot be set"]);
    refused("", "debug", &[("ROCKET_SECRET_KEY", "x")], &["secret_key", "cannot be set"]);
    refused("", "debug", &[("ROCKET_IDENT", "Doorward")], &["ident", "must be false"]);
    refused("", "debug", &[("PORT", "http")], &["port", "environment PORT"]);
    refused("[default]\nworkers = 'many'", "debug", &[], &["workers", "Rocket.toml [default]"]);
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_settings_need_a_build_that_can() {
    refused("[default.tls]\ncerts = 'a'\nkey = 'b'", "debug", &[], &["tls", "feature `tls`"]);
}

#[test]
fn sr_23_a_limit_is_a_number_in_a_time_or_off() {
    let config = accepted("", "debug", &[]);
    let login = config.limits.login_per_address.expect("limited by default");
    assert_eq!((login.to_string().as_str(), login.burst()), ("20/1m", 10));
    assert_eq!(config.limits.account_failures, Some(5));
    let every: Vec<(String, &str)> = KEYS
        .iter()
        .filter(|key| key.name.starts_with("limits."))
        .map(|key| (key.variable(), "off"))
        .collect();
    let off: Vec<(&str, &str)> = every.iter().map(|(name, off)| (name.as_str(), *off)).collect();
    let open = accepted("", "debug", &off);
    assert_eq!(open.warnings().len(), config.warnings().len() + off.len(), "{:?}", open.warnings());
    assert!(open.limits.other_per_address.is_none() && open.limits.account_failures.is_none());
    for wrong in ["20", "20/m", "0/1m", "-1/1m", "20/0s", "20/25h", "2000000/1m", "none"] {
        refused_value("limits.register_per_address", wrong, &["limits.register_per_address"]);
    }
    for wrong in ["0", "101", "5/1m", "-5"] {
        refused_value("limits.account_failures", wrong, &["1 to 100"]);
    }
}

#[test]
fn a_setting_that_would_do_nothing_is_refused_or_told() {
    for (toml, word) in [
        ("[default]\ntemp_dir = '/var/tmp'", "temp_dir"),
        ("[default.shutdown]\nforce = false", "shutdown.force"),
        ("[default.shutdown]\nctrlc = true", "shutdown.ctrlc"),
        ("[default.shutdown]\nsignals = ['term']", "shutdown.signals"),
    ] {
        refused(toml, "debug", &[], &[word, "cannot be set"]);
    }
    refused("", "debug", &[("ROCKET_SHUTDOWN", "{force=false}")], &["shutdown.force"]);
    for (name, value) in [
        ("DOORWARD_HSTS_PRELOAD", "true"),
        ("DOORWARD_STORE_PREFIX", "other"),
        ("DOORWARD_PASSWORDS_PEPPER_ID", "2"),
    ] {
        let config = accepted("", "debug", &[(name, value)]);
        let told = config.warnings().iter().filter(|text| text.contains("no effect")).count();
        assert_eq!(told, 1, "{name}: {:?}", config.warnings());
    }
}
