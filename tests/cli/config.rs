//! `doorward check-config`, and what no command works with.

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};

use super::json;
use crate::support::binary::{Server, background, run};
use crate::support::{free_port, scratch_dir};

#[test]
fn check_config_shows_what_holds_and_no_secret() {
    let secret = MasterSecret::generate_base64(&Os);
    let pem = SigningKey::generate_pem().expect("a key");
    let settings = [
        ("DOORWARD_KEYS_SECRET", secret.expose()),
        ("DOORWARD_KEYS_SIGNING", pem.expose()),
        ("DOORWARD_DATABASE_URL", "postgres://dw:hunter2hunter2@localhost/dw"),
        ("REDIS_URL", "redis://:sesame-open@localhost:6379/3"),
        ("DOORWARD_TOKENS_ACCESS_TTL", "5m"),
    ];
    let text = run(&["check-config"], "", &settings).done();
    let row = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} ")));
        let line = line.unwrap_or_else(|| panic!("no {key} in {text}"));
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("tokens.access_ttl"), "5m environment DOORWARD_TOKENS_ACCESS_TTL");
    assert_eq!(row("tokens.reuse_grace"), "10s default");
    assert_eq!(row("keys.secret"), "(set) environment DOORWARD_KEYS_SECRET");
    assert!(row("store.url").ends_with("environment REDIS_URL"));
    let value = run(&["check-config", "--json"], "", &settings).done();
    assert!(json(&value).as_array().is_some_and(|settings| settings.len() > 40));
    for secret in [secret.expose(), "hunter2", "sesame-open", "PRIVATE", &pem.expose()[40..60]] {
        assert!(!text.contains(secret) && !value.contains(secret), "{secret}");
    }
    let folder = scratch_dir("check");
    let folder = folder.path().join("data").display().to_string();
    run(&["check-config"], "", &[("DOORWARD_DATA_DIR", &folder)]).done();
    assert!(!std::path::Path::new(&folder).exists(), "checking changes nothing");
}

#[test]
fn a_server_for_which_nobody_set_a_public_url_says_so_and_serves() {
    let port = free_port().to_string();
    let release = [("ROCKET_PROFILE", "release"), ("ROCKET_PORT", &*port)];
    let expected =
        format!("public_url is not set and taken to be http://localhost:{port}: only browsers");
    let checked = run(&["check-config"], "", &release).done();
    assert!(checked.contains(&format!("warning: {expected}")), "{checked}");
    let public = [&release[..], &[("DOORWARD_PUBLIC_URL", "https://login.example.com")]].concat();
    let checked = run(&["check-config"], "", &public).done();
    assert!(!checked.contains("warning"), "{checked}");

    let (_directory, _server, lines) = background(&["serve"], &release);
    lines.wait_for("\"message\":\"serving\"");
    let told: Vec<_> = lines.all().into_iter().filter(|line| line.contains(&expected)).collect();
    assert!(matches!(&told[..], [line] if line.contains("\"WARN\"")), "{told:?}");
}

#[test]
fn sr_76_a_wrong_configuration_is_refused_with_a_line_that_names_it() {
    let redis = ("DOORWARD_STORE_URL", "redis://127.0.0.1:1");
    for (settings, expected) in [
        (vec![("DOORWARD_TOKENS_ACCES_TTL", "5m")], "DOORWARD_TOKENS_ACCESS_TTL"),
        (vec![("DOORWARD_TOKENS_ACCESS_TTL", "1h")], "tokens.access_ttl"),
        (vec![("DOORWARD_TOKENS_ACCESS_TTL", "soon")], "tokens.access_ttl"),
        (vec![("DOORWARD_PASSWORDS_MIN_LENGTH", "4")], "passwords.min_length"),
        (vec![("DOORWARD_PUBLIC_URL", "http://login.example.com")], "plain http"),
        (vec![("DOORWARD_KEYS_SECRET", "c2hvcnQ=")], "keys.secret"),
        (vec![("DOORWARD_KEYS_SIGNING", "hunter2")], "keys.signing"),
        (vec![("DOORWARD_KEYS_SECRET_FILE", "/nonexistent/secret")], "/nonexistent/secret"),
        (vec![("DOORWARD_DATABASE_URL", "mysql://dw:hunter2@db/dw")], "database.url"),
        (vec![("ROCKET_SECRET_KEY", "hunter2")], "secret_key"),
        (vec![("ROCKET_PORTS", "80")], "ROCKET_PORTS is not a setting"),
        (vec![("DOORWARD_PROXIES_TRUSTED", "everybody")], "proxies.trusted"),
        (
            vec![("DOORWARD_TELEMETRY_OTLP_ENDPOINT", "http://dw:hunter2@127.0.0.1:4318")],
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (vec![("ROCKET_ADDRESS", "0.0.0.0")], "profile debug does not listen on 0.0.0.0"),
        (vec![redis], "keys.signing"),
    ] {
        for command in [&["check-config"][..], &["serve"], &[], &["user", "list"]] {
            let refused = run(command, "", &settings);
            assert_eq!(refused.code, Some(1), "{settings:?} {command:?}: {refused:?}");
            assert!(refused.stderr.starts_with("the configuration is refused:\n  "), "{refused:?}");
            assert!(refused.stderr.contains(expected), "{expected}: {refused:?}");
            assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
            // A head, the problems, and where the guide is.
            let lines = if settings[0] == redis { 4 } else { 3 };
            assert_eq!(refused.stderr.lines().count(), lines, "{refused:?}");
        }
    }
    let wrong = [("DOORWARD_PASSWORDS_MIN_LENGTH", "4"), ("DOORWARD_FLY", "true")];
    let refused = run(&["check-config", "--json"], "", &wrong);
    let value = json(&refused.stdout);
    assert_eq!(value["error"], "configuration");
    assert_eq!(value["problems"].as_array().map(Vec::len), Some(2));
}

#[test]
#[cfg(not(feature = "otel"))]
fn a_build_that_sends_no_traces_does_not_start_as_if_it_did() {
    let traces = [("DOORWARD_TELEMETRY_OTLP_ENDPOINT", "http://127.0.0.1:4318")];
    let refused = run(&["serve"], "", &traces);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("build it with the feature `otel`"), "{refused:?}");
}

#[test]
fn sr_39_a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(&[]);
    server.stop();
    let key = server.data_dir().join("signing.pem");
    let mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode));
    assert_eq!(std::fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    mode(0o644).expect("permitted");
    let refused = server.run(&["user", "list"], "").failed();
    assert!(refused.contains("signing.pem") && refused.contains("chmod 600"), "{refused}");
    let refused = server.run(&["serve"], "");
    assert_eq!(refused.code, Some(1));
    assert!((refused.stdout + &refused.stderr).contains("chmod 600"));
    mode(0o600).expect("permitted");
    server.restart();
}
