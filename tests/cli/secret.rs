//! Secrets as people make them, and `doorward keys generate`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{ADA, json};
use crate::app::PASSWORD;
use crate::person::Person;
use crate::support::binary::{Server, run};
use crate::support::{redis, scratch_dir};

/// The bytes 0 to 95: in base64 two lines of `openssl rand -base64 96`.
const LONG: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\n\
                    MDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5f\n";

fn folder() -> (TempDir, PathBuf) {
    let folder = scratch_dir("secret");
    let path = folder.path().to_owned();
    (folder, path)
}

/// A file with these bytes that its owner alone can read.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permitted");
    path.display().to_string()
}

fn utf_16(text: &str, mark: bool) -> Vec<u8> {
    let mark = mark.then_some('\u{feff}');
    mark.into_iter()
        .chain(text.chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// What `doorward check-config` says is wrong, if anything.
fn wrong(settings: &[(&str, &str)]) -> Option<String> {
    let checked = run(&["check-config"], "", settings);
    (checked.code != Some(0)).then(|| {
        // What is refused, one line for the one thing that is wrong, and where more is written.
        assert_eq!(checked.stderr.lines().count(), 3, "{checked:?}");
        checked.stderr
    })
}

#[test]
fn a_secret_is_taken_as_editors_and_shells_write_it() {
    let (_folder, path) = folder();
    let bare = LONG.replace('\n', "");
    for (number, bytes) in [
        LONG.as_bytes().to_vec(),
        LONG.replace('\n', "\r\n").into_bytes(),
        format!("\u{feff}{LONG}").into_bytes(),
        format!("{bare} \t \r\n\r\n").into_bytes(),
        bare.replace('+', "-").replace('/', "_").into_bytes(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = file(&path, &number.to_string(), &bytes);
        for variable in ["DOORWARD_KEYS_SECRET_FILE", "DOORWARD_PASSWORDS_PEPPER_FILE"] {
            assert_eq!(wrong(&[(variable, &name)]), None, "{number}");
        }
        let text = String::from_utf8(bytes).expect("text");
        for variable in ["DOORWARD_KEYS_SECRET", "DOORWARD_PASSWORDS_PEPPER"] {
            assert_eq!(wrong(&[(variable, &text)]), None, "{number}");
        }
    }
    for (name, text) in [
        ("DATABASE_URL", "\u{feff}sqlite://data/doorward.db\r\n"),
        ("DOORWARD_DATABASE_URL", " sqlite://data/doorward.db \n"),
        ("DOORWARD_STORE_URL", "\u{feff}embedded\n"),
    ] {
        assert_eq!(wrong(&[(name, text)]), None, "{name}");
    }
    let url = file(&path, "url", "\u{feff}sqlite://data/doorward.db\r\n".as_bytes());
    assert_eq!(wrong(&[("DOORWARD_DATABASE_URL_FILE", &url)]), None);
    let toml =
        file(&path, "Rocket.toml", "\u{feff}[default.tokens]\r\naccess_ttl = '5m'\r\n".as_bytes());
    let shown = run(&["check-config"], "", &[("ROCKET_CONFIG", &toml)]).done();
    assert!(shown.lines().any(|line| line.starts_with("tokens.access_ttl") && line.contains("5m")));
}

#[test]
fn what_is_wrong_with_a_secret_is_named_and_the_secret_is_not() {
    let (_folder, path) = folder();
    let text = |name: &str, text: &str| file(&path, name, text.as_bytes());
    let secret = "DOORWARD_KEYS_SECRET_FILE";
    let signing = "DOORWARD_KEYS_SIGNING_FILE";
    let url = "DOORWARD_DATABASE_URL_FILE";
    let public = "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----\n";
    for (variable, name, expected) in [
        (secret, file(&path, "utf-16", &utf_16(LONG, true)), "is UTF-16"),
        (secret, file(&path, "utf-16-bare", &utf_16(LONG, false)), "is UTF-16"),
        (signing, file(&path, "utf-16-key", &utf_16(public, true)), "is UTF-16"),
        (url, file(&path, "utf-16-url", &utf_16("sqlite://hunter2.db", true)), "is UTF-16"),
        (secret, file(&path, "raw", &[0x9f; 32]), "no text"),
        (secret, text("empty", ""), "is empty"),
        (secret, text("blank", " \r\n\n"), "is empty"),
        (secret, file(&path, "mark", b"\xef\xbb\xbf\n"), "is empty"),
        (secret, text("quoted", &format!("\"{}\"", LONG.replace('\n', ""))), "quotes"),
        (secret, text("hex", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"), "hexadecimal and holds 16 bytes"),
        (secret, text("words", "hunter2 hunter2 hunter2 hunter2!"), "not base64"),
        (secret, text("pem", public), "keys.signing"),
        (signing, text("public", public), "public key"),
        (signing, text("a-secret", LONG), "not a private key in PEM"),
        (url, text("quoted-url", "'postgres://dw:hunter2@localhost/dw'\n"), "quotes"),
        (url, text("two-urls", "postgres://dw:hunter2@localhost/dw\npostgres://b\n"), "one line"),
        (secret, path.display().to_string(), "is a folder"),
        (secret, path.join("nowhere").display().to_string(), "no such file"),
        ("ROCKET_CONFIG", file(&path, "toml", &utf_16("[default]\n", true)), "is UTF-16"),
    ] {
        let told = wrong(&[(variable, &name)]).unwrap_or_else(|| panic!("{name} is taken"));
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(!told.contains("hunter2") && !told.contains("0f1e2d"), "{told}");
    }
    let key = "a secret or a key says how to make one";
    let told = wrong(&[("DOORWARD_KEYS_SECRET", "c2hvcnQ=")]).expect(key);
    assert!(told.contains("doorward keys generate"), "{told}");
}

#[test]
fn the_keys_in_data_dir_are_read_as_editors_write_them() {
    let server = Server::start(&[]);
    server.run(&["user", "create", "--email", ADA], PASSWORD).done();
    let ada = Person::signed_in(server.port(), ADA);
    server.stop();
    for name in ["secret", "signing.pem"] {
        let path = server.data_dir().join(name);
        let text = fs::read_to_string(&path).expect("it is there");
        file(
            &server.data_dir(),
            name,
            format!("\u{feff}{}\r\n", text.replace('\n', "\r\n")).as_bytes(),
        );
    }
    server.restart();
    assert!(ada.is_signed_in());
    server.stop();
    file(&server.data_dir(), "secret", b"hunter2!");
    let refused = server.run(&["user", "list"], "").failed();
    assert!(
        refused.contains("secret: it is not base64") && !refused.contains("hunter2"),
        "{refused}"
    );
}

#[test]
fn a_password_from_standard_input_is_what_a_person_can_type() {
    let server = Server::start(&[]);
    let create =
        |email: &str, input: &str| server.run(&["user", "create", "--email", email], input);
    let refused = create(ADA, &format!("\u{feff}{PASSWORD}\r\n")).failed();
    assert!(refused.contains("byte order mark") && !refused.contains(PASSWORD), "{refused}");
    for mark in ["", "\\xff\\xfe"] {
        // What PowerShell hands on.
        let bytes: String =
            utf_16(PASSWORD, false).iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let pipe = format!("printf '{mark}{bytes}\\n\\x00' | doorward user create --email {ADA}");
        let refused = server.shell(&pipe).failed();
        assert!(refused.contains("UTF-16"), "{refused}");
    }
    assert_eq!(server.run(&["user", "list"], "").done(), "");
    create(ADA, &format!("{PASSWORD}\r\n")).done();
    assert_eq!(Person::at(server.port()).log_in(ADA, PASSWORD), 200);
    // White space counts.
    create("bob@example.org", &format!("  {PASSWORD} \n")).done();
    assert_eq!(Person::at(server.port()).log_in("bob@example.org", PASSWORD), 401);
    assert_eq!(Person::at(server.port()).log_in("bob@example.org", &format!("  {PASSWORD} ")), 200);
}

#[test]
fn keys_are_generated_once_for_their_owner_alone_and_a_server_runs_with_them() {
    let (_folder, path) = folder();
    let keys = path.join("made").join("keys").display().to_string();
    // A configuration that lacks them is refused, and says where they come from.
    let redis = ("REDIS_URL", &*redis::server().database());
    let refused = run(&["check-config"], "", &[redis]);
    assert_eq!(
        refused.stderr.matches("`doorward keys generate` makes it").count(),
        2,
        "{refused:?}"
    );
    let made = run(&["keys", "generate", "--dir", &keys, "--json"], "", &[redis]).done();
    let made = json(&made);
    let settings = made["settings"].as_object().expect("settings");
    assert_eq!(settings.len(), 2, "{made}");
    for (name, expected) in [("signing.pem", 0o600), ("secret", 0o600), ("", 0o700)] {
        let mode = fs::metadata(Path::new(&keys).join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, expected, "{name}");
    }
    assert_eq!(fs::read_dir(&keys).expect("the folder").count(), 2);
    let text = made.to_string();
    for name in ["signing.pem", "secret"] {
        let written = fs::read_to_string(Path::new(&keys).join(name)).expect(name);
        let line = written.lines().find(|line| !line.starts_with("---")).expect("a line");
        assert!(!text.contains(line), "what is secret is in the file alone");
    }
    let mut with: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, file)| (name.as_str(), file.as_str().expect("a path")))
        .collect();
    with.push(("DOORWARD_STORE_URL", redis.1));
    let server = Server::start(&with);
    let listed = server.run(&["keys", "list"], "").done();
    assert!(listed.contains(made["kid"].as_str().expect("a kid")), "{listed}");
    assert_eq!(made["algorithm"], "EdDSA");

    let before = fs::read_to_string(Path::new(&keys).join("secret")).expect("a secret");
    fs::remove_file(Path::new(&keys).join("signing.pem")).expect("removed");
    let refused = run(&["keys", "generate", "--dir", &keys], "", &[]).failed();
    assert!(refused.contains("secret is there already; nothing was written"), "{refused}");
    assert_eq!(fs::read_dir(&keys).expect("the folder").count(), 1, "all or nothing");
    assert_eq!(fs::read_to_string(Path::new(&keys).join("secret")).expect("a secret"), before);
    // A link counts as well, wherever it leads.
    let linked = path.join("linked");
    fs::create_dir(&linked).expect("a folder");
    std::os::unix::fs::symlink(path.join("elsewhere"), linked.join("secret")).expect("a link");
    run(&["keys", "generate", "--dir", &linked.display().to_string()], "", &[]).failed();
    assert!(!path.join("elsewhere").exists() && !linked.join("signing.pem").exists());
}

#[test]
fn without_a_folder_keys_are_generated_where_the_server_looks_for_them() {
    let (_folder, path) = folder();
    let data = path.join("data").display().to_string();
    let settings = [("DOORWARD_DATA_DIR", &*data), ("DOORWARD_TOKENS_ACCESS_TTL", "forever")];
    let made = run(&["keys", "generate", "--algorithm", "es256", "--pepper"], "", &settings).done();
    for name in ["signing.pem", "secret", "pepper"] {
        assert!(made.contains(&format!("_FILE={data}/{name}\n")), "{made}");
    }
    let listed = run(&["keys", "list"], "", &settings[..1]).done();
    assert!(listed.contains("ES256"), "{listed}");
    let refused = run(&["keys", "generate"], "", &settings).failed();
    assert!(refused.contains("signing.pem is there already"), "{refused}");
    let nowhere = run(&["keys", "generate", "--dir", "/proc/nowhere"], "", &[]).failed();
    assert!(
        nowhere.contains("/proc/nowhere") && nowhere.contains("nothing was written"),
        "{nowhere}"
    );
}
