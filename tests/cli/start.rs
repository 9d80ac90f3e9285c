//! The twelve wrong starts of `docs/start-errors.md`: each is made, and what the server says is compared with
//! what the guide shows.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::support::binary::{Server, run};
use crate::support::{free_port, scratch_dir};

/// Where the guide has the files of these tests.
const FOLDER: &str = "/etc/doorward";

/// What the guide shows below the heading of this number.
fn shown(number: usize) -> String {
    let guide = std::fs::read_to_string("docs/start-errors.md").expect("the guide");
    let (_, section) = guide.split_once(&format!("\n## {number}. ")).expect("the heading");
    let (_, block) = section.split_once("```text\n").expect("a block");
    block.split("```").next().unwrap_or_default().to_owned()
}

/// Starts a server with these settings and fails unless it ends as the guide says; `names` are written
/// otherwise in the guide.
#[track_caller]
fn refuses(number: usize, settings: &[(&str, &str)], names: &[(&str, &str)]) {
    // The log goes to standard output.
    let port = free_port().to_string();
    let settings = [&[("ROCKET_PORT", &*port)], settings].concat();
    let ended = run(&[], "", &settings);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let mut said = ended.stderr.clone();
    for (here, there) in names {
        said = said.replace(here, there);
    }
    assert_eq!(said, shown(number), "{ended:?}");
}

/// A folder for files, with one of this name, content and mode.
fn file(name: &str, content: &str, mode: u32) -> TempDir {
    let folder = scratch_dir("start");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn text(folder: &Path) -> String {
    folder.display().to_string()
}

#[test]
fn start_01_a_setting_that_does_not_exist_is_named() {
    refuses(1, &[("DOORWARD_REGISTRATION_OPNE", "false")], &[]);
}

#[test]
fn start_02_a_public_address_without_tls_is_refused() {
    refuses(2, &[("DOORWARD_PUBLIC_URL", "http://login.example.com")], &[]);
}

#[test]
fn start_03_a_value_out_of_bounds_is_refused_with_its_bounds() {
    refuses(3, &[("DOORWARD_TOKENS_ACCESS_TTL", "2h")], &[]);
}

#[test]
fn start_04_redis_without_shared_keys_is_refused_with_the_command_that_makes_them() {
    refuses(4, &[("DOORWARD_STORE_URL", "redis://127.0.0.1:6379")], &[]);
}

#[test]
fn start_05_a_secret_that_is_too_short_is_refused() {
    let folder = file("secret", "AAECAwQFBgcICQ==", 0o600);
    let secret = path(&folder, "secret");
    refuses(5, &[("DOORWARD_KEYS_SECRET_FILE", &secret)], &[(&text(folder.path()), FOLDER)]);
}

#[test]
fn start_06_a_secret_that_others_can_read_is_refused() {
    let folder = file("secret", &"A".repeat(43), 0o644);
    let secret = path(&folder, "secret");
    refuses(6, &[("DOORWARD_KEYS_SECRET_FILE", &secret)], &[(&text(folder.path()), FOLDER)]);
}

#[test]
fn start_07_a_secret_that_is_not_there_is_named() {
    let folder = scratch_dir("start");
    let secret = path(&folder, "secret");
    refuses(7, &[("DOORWARD_KEYS_SECRET_FILE", &secret)], &[(&text(folder.path()), FOLDER)]);
}

#[test]
fn start_08_a_rule_that_nobody_can_read_is_refused() {
    let rules = r#"[{"host": "wiki.example.org", "allow": "maybe"}]"#;
    refuses(8, &[("DOORWARD_ACCESS_RULES", rules)], &[]);
}

#[test]
fn start_09_a_template_with_a_mistake_is_named_with_its_line() {
    let folder = file("login.html.tera", "{% if %}\n", 0o644);
    let named = text(folder.path());
    let templates = format!("{FOLDER}/templates");
    refuses(9, &[("DOORWARD_TEMPLATES_DIR", &named)], &[(&named, &templates)]);
}

#[test]
fn start_10_a_database_that_cannot_be_reached_is_named_without_its_password() {
    refuses(10, &[("DOORWARD_DATABASE_URL", "postgres://dw:secret@127.0.0.1:1/dw")], &[]);
}

#[test]
fn start_11_a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    refuses(11, &[("ROCKET_PORT", &port)], &[(&port, "8000")]);
}

#[test]
fn start_12_a_second_server_on_one_file_is_refused() {
    let first = Server::start(&[]);
    let data = text(&first.data_dir());
    refuses(12, &[("DOORWARD_DATA_DIR", &data)], &[]);
}
