//! Where values come from, what the report says of it, and that no secret shows anywhere.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use super::{PUBLIC, SECRET, SIGNING, accepted, read, refused, reported};
use crate::config::reference;

#[test]
fn without_any_source_the_defaults_hold() {
    let config = accepted("", "debug", &[]);
    assert_eq!(config.public_url.as_str(), "http://localhost:8000/");
    assert_eq!(config.tokens.issuer, "http://localhost:8000");
    assert_eq!(config.tokens.audience, config.tokens.issuer);
    assert_eq!(config.database.url.expose(), "sqlite://data/doorward.db");
    assert!(config.store.is_embedded());
    assert_eq!((config.passwords.min_length, config.passwords.memory_kib), (12, 19_456));
    assert_eq!(config.tokens.admin_absolute.as_secs(), 12 * 60 * 60);
    assert_eq!(config.warnings(), [""; 0]);
    assert!(config.registration.open && config.log.access && !config.insecure_cookies);
}

#[test]
fn the_later_source_beats_the_earlier_and_the_report_names_it() {
    let toml = "[default]\nport = 1\n[default.tokens]\naccess_ttl = '1m'\nrefresh_idle = '1h'\nremember_idle = '2h'\n\
        [debug.tokens]\nrefresh_idle = '3h'\n[release.tokens]\nremember_idle = '5h'\n[default.database]\nurl = 'sqlite://a'";
    let env = [
        PUBLIC,
        ("DATABASE_URL", "sqlite://b"),
        ("PORT", "9000"),
        ("DOORWARD_TOKENS_ACCESS_TTL", "2m"),
    ];
    let config = accepted(toml, "release", &env);
    for (key, value, source) in [
        ("profile", "release", "given"),
        ("tokens.access_ttl", "2m", "environment DOORWARD_TOKENS_ACCESS_TTL"),
        ("tokens.refresh_idle", "1h", "Rocket.toml [default]"),
        ("tokens.remember_idle", "5h", "Rocket.toml [release]"),
        ("tokens.reuse_grace", "10s", "default"),
        ("database.url", "sqlite://b", "environment DATABASE_URL"),
        ("tokens.audience", "https://login.example.com", "default"),
        ("passwords.breached_file", "(none)", "default"),
        ("port", "9000", "environment PORT"),
        ("keep_alive", "75", "default"),
    ] {
        assert_eq!(reported(&config, key), (value.to_owned(), source.to_owned()), "{key}");
    }
    let stronger = [&env[..], &[("DOORWARD_DATABASE_URL", "sqlite://c"), ("ROCKET_PORT", "9001")]];
    let config = accepted(toml, "release", &stronger.concat());
    assert_eq!(config.database.url.expose(), "sqlite://c");
    assert_eq!(config.server.port, 9001);
}

#[test]
fn the_report_prints_aligned_and_serializes_as_a_list() {
    let config = accepted("", "debug", &[]);
    let table = config.report().to_string();
    let column = |line: &str| line.rfind("  ").expect("columns are apart");
    let columns: Vec<usize> = table.lines().map(column).collect();
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    let json = serde_json::to_value(config.report()).expect("a report serializes");
    assert_eq!(json[1]["key"], "public_url");
}

#[test]
fn the_environment_gives_lists_with_commas_and_may_empty_them() {
    let toml = "[default.proxies]\ntrusted = ['10.0.0.0/8']";
    let config = accepted(toml, "debug", &[("DOORWARD_PROXIES_TRUSTED", "192.168.0.1, fd00::/8")]);
    let shown: Vec<String> = config.proxies.trusted.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["192.168.0.1/32", "fd00::/8"]);
    assert!(
        accepted(toml, "debug", &[("DOORWARD_PROXIES_TRUSTED", "")]).proxies.trusted.is_empty()
    );
    refused("", "debug", &[("DOORWARD_DATA_DIR", "")], &["DOORWARD_DATA_DIR", "empty"]);
}

#[test]
fn sr_76_an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    refused(
        "[release.tokens]\nacess_ttl = '5m'",
        "debug",
        &[],
        &["`tokens.acess_ttl`", "Rocket.toml [release]", "did you mean `tokens.access_ttl`?"],
    );
    refused("[default]\nmin_length = 15", "debug", &[], &["did you mean `passwords.min_length`?"]);
    refused("[default.zebra]\nstripes = 3", "debug", &[], &["`zebra.stripes`", "not a setting"]);
    refused(
        "",
        "debug",
        &[("DOORWARD_KEYS_SIGNIN_FILE", "x")],
        &["DOORWARD_KEYS_SIGNIN_FILE", "did you mean DOORWARD_KEYS_SIGNING_FILE?"],
    );
    refused("", "debug", &[("ROCKET_ADRESS", "::1")], &["did you mean ROCKET_ADDRESS?"]);
}

#[test]
fn sr_76_a_section_outside_a_profile_is_refused_rather_than_ignored() {
    refused("[tokens]\naccess_ttl = '5m'", "debug", &[], &["write [default.tokens]"]);
    refused("[relase.tokens]\naccess_ttl = '5m'", "debug", &[], &["did you mean [release]?"]);
    refused("data_dir = 'x'", "debug", &[], &["`data_dir`", "under [default]"]);
    let own = "[staging]\npublic_url = 'https://staging.example.com'";
    assert!(accepted(own, "debug", &[]).warnings().is_empty());
    assert!(accepted(own, "staging", &[]).is_https());
}

#[test]
fn variables_that_kubernetes_makes_are_passed_over() {
    let env = [
        ("DOORWARD_SERVICE_HOST", "10.0.0.1"),
        ("DOORWARD_SERVICE_PORT", "80"),
        ("DOORWARD_SERVICE_PORT_HTTP", "80"),
        ("DOORWARD_PORT", "tcp://10.0.0.1:80"),
        ("DOORWARD_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("DOORWARD_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("DOORWARD_REDIS_PORT_6379_TCP_PROTO", "tcp"),
    ];
    accepted("", "debug", &env);
    refused("", "debug", &[("DOORWARD_PORT", "80")], &["DOORWARD_PORT", "not a setting"]);
}

#[test]
fn all_problems_are_told_together_one_line_each() {
    let toml = "[default.tokens]\naccess_ttl = '1h'\n[default.passwords]\nmin_length = 6\n[default]\ncolour = 1";
    let refused = read(toml, "debug", &[]).expect_err("three things are wrong");
    assert_eq!(refused.problems().len(), 3, "{refused}");
    assert_eq!(refused.to_string().lines().count(), 4);
}

fn file(mode: u32, text: &str) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("the file is written");
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(file.path(), permissions).expect("the mode is set");
    file.into_temp_path()
}

#[test]
fn sr_39_a_secret_file_that_others_can_read_is_refused() {
    let open = file(0o644, SECRET);
    let path = open.to_str().expect("a plain path");
    refused("", "debug", &[("DOORWARD_KEYS_SECRET_FILE", path)], &["keys.secret", "0644", "chmod"]);
    refused("", "debug", &[("DOORWARD_KEYS_SIGNING_FILE", path)], &["keys.signing", "0644"]);
    refused("", "debug", &[("DOORWARD_PASSWORDS_PEPPER_FILE", path)], &["passwords.pepper"]);
}

#[test]
fn a_secret_comes_from_a_file_without_its_last_newline() {
    let secret = file(0o600, &format!("{SECRET}\n"));
    let signing = file(0o400, SIGNING);
    let url = file(0o644, "sqlite://from-a-file\n");
    let [secret, signing, url] =
        [&secret, &signing, &url].map(|path| path.to_str().expect("a plain path"));
    let toml = format!("[default.keys]\nsecret_file = '{secret}'\n[default.database]\nurl = 'x'");
    let env = [("DOORWARD_KEYS_SIGNING_FILE", signing), ("DOORWARD_DATABASE_URL_FILE", url)];
    let config = accepted(&toml, "debug", &env);
    assert_eq!(config.keys.secret.as_ref().map(|secret| secret.expose()), Some(SECRET));
    assert_eq!(config.keys.secret_bytes().map(|bytes| bytes.len()), Some(32));
    assert_eq!(config.database.url.expose(), "sqlite://from-a-file");
    assert_eq!(reported(&config, "keys.secret"), ("(set)".to_owned(), format!("file {secret}")));
    assert_eq!(reported(&config, "database.url").0, "(set)");
}

#[test]
fn a_secret_file_that_is_missing_empty_or_given_twice_is_a_clear_error() {
    let missing = ("DOORWARD_KEYS_SECRET_FILE", "/nowhere/secret");
    refused("", "debug", &[missing], &["`keys.secret`", "/nowhere/secret", "cannot be read"]);
    let folder = ("DOORWARD_KEYS_SECRET_FILE", "/");
    refused("", "debug", &[folder], &["is a folder, not a file"]);
    let empty = file(0o600, "\n");
    let empty = ("DOORWARD_KEYS_SECRET_FILE", empty.to_str().expect("a plain path"));
    refused("", "debug", &[empty], &["is empty"]);
    let good = file(0o600, SECRET);
    let path = good.to_str().expect("a plain path");
    let both = [("DOORWARD_KEYS_SECRET", SECRET), ("DOORWARD_KEYS_SECRET_FILE", path)];
    refused("", "debug", &both, &["DOORWARD_KEYS_SECRET_FILE", "keep one"]);
    let both = format!("[default.keys]\nsecret = '{SECRET}'\nsecret_file = '{path}'");
    let told = read(&both, "debug", &[]).expect_err("both are given");
    assert!(told.to_string().contains("both `keys.secret` and `keys.secret_file`"), "{told}");
}

#[test]
fn sr_77_no_secret_shows_in_debug_report_or_warnings() {
    let env = [
        PUBLIC,
        (
            "DATABASE_URL",
            "postgres://door:hunter2/x@db.example.com/d?sslmode=disable&password=hunter2",
        ),
        ("REDIS_URL", "redis+sentinel://:hunter2@one:26379,two:26379/main"),
        ("DOORWARD_KEYS_SECRET", SECRET),
        ("DOORWARD_KEYS_SIGNING", SIGNING),
        ("DOORWARD_PASSWORDS_PEPPER", SECRET),
    ];
    // An unencoded slash in a password makes the URL unusable, and must not make it visible either.
    let mut env = env.to_vec();
    let refused = read("", "release", &env).expect_err("the password is not encoded");
    assert!(!format!("{refused}{refused:?}").contains("hunter2"), "{refused}");
    env[1].1 = "postgres://door:hunter2@db.example.com/d?sslmode=disable&password=hunter2";
    let config = accepted("", "release", &env);
    let json = serde_json::to_string(config.report()).expect("a report serializes");
    let all = format!(
        "{config:?}{:#?}{:?}{:?}{}{json}{:?}",
        config.database,
        config.keys,
        config.passwords,
        config.report(),
        config.warnings()
    );
    for secret in ["hunter2", SECRET, "MC4CAQAwBQYDK2Vw"] {
        assert!(!all.contains(secret), "{all}");
    }
    assert_eq!(
        reported(&config, "database.url").0,
        "postgres://door:***@db.example.com/d?sslmode=disable&password=***"
    );
    assert_eq!(reported(&config, "store.url").0, "redis+sentinel://:***@one:26379,two:26379/main");
}

#[test]
fn sr_77_no_secret_shows_in_errors() {
    for (toml, env) in [
        ("[default.database]\nurl = 'mysql://a:hunter2@b/c'", None),
        ("[default.database]\nurl = \"postgres://a:hunter2@b/c", None),
        ("[default.database]\nurll = 'postgres://a:hunter2@b/c'", None),
        ("database = 'postgres://a:hunter2@b/c'", None),
        ("[default.keys]\nsecret = 'hunter2'\nsigning = 'hunter2'", None),
        ("[default.keys]\nsecret = hunter2", None),
        ("", Some(("REDIS_URL", "http://:hunter2@b"))),
        ("", Some(("DOORWARD_PASSWORDS_PEPPER", "hunter2"))),
        ("", Some(("DOORWARD_PASSWORD_PEPPER", "hunter2"))),
        ("", Some(("DATABASE_URL", "postgres://a:hunter2@[b/c"))),
    ] {
        let refused = read(toml, "debug", env.as_slice()).expect_err(toml);
        assert!(!format!("{refused}{refused:?}").contains("hunter2"), "{refused}");
    }
    refused(
        "[default]\nport = 1\nurl = \"x",
        "debug",
        &[],
        &["Rocket.toml is not TOML: see line 3"],
    );
}

#[test]
fn a_secret_in_the_file_is_warned_about() {
    let config = accepted(&format!("[default.keys]\nsecret = '{SECRET}'"), "debug", &[]);
    assert!(config.warnings()[0].contains("keys.secret_file"), "{:?}", config.warnings());
}

#[test]
fn the_rocket_toml_that_is_shipped_starts_in_both_profiles() {
    let toml = include_str!("../../../Rocket.toml");
    assert_eq!(accepted(toml, "debug", &[]).warnings(), [""; 0]);
    assert_eq!(accepted(toml, "release", &[PUBLIC]).warnings(), [""; 0]);
}

#[test]
fn the_guide_lists_exactly_the_settings_there_are() {
    const BEGIN: &str = "<!-- settings: begin -->\n";
    const END: &str = "<!-- settings: end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let guide = std::fs::read_to_string(path).expect("the guide is there");
    let (before, rest) = guide.split_once(BEGIN).expect("the guide marks where the table begins");
    let (table, after) = rest.split_once(END).expect("the guide marks where the table ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let updated = format!("{before}{BEGIN}{}{END}{after}", reference());
        std::fs::write(path, updated).expect("the guide is written");
        return;
    }
    assert_eq!(
        table,
        reference(),
        "docs/configuration.md is behind; run: UPDATE_DOCS=1 cargo test --lib the_guide_lists"
    );
}
