//! What the reference says is what the server does, as judged by schemathesis; and it is an OpenAPI
//! document, as judged by openapi-spec-validator.
//!
//! `tests/proofs contract::` asks a hundred times as often (`DW_TEST_CONTRACT_EXAMPLES`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{LIMITS, PASSWORD};
use crate::support::binary::Server;
use crate::support::process::{Finished, finish_within};
use crate::support::{bound_to_us, http, python};

/// How often each call is made in each manner, unless the environment says otherwise.
const EXAMPLES: &str = "10";

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract");

/// A module of Python as a program.
fn program(module: &str, server: &Server) -> Command {
    let mut command = bound_to_us(python::contract(), "KILL", &[]);
    command.args(["-m", module]).current_dir(server.data_dir());
    command.env("CONTRACT_URL", server.url("")).env("CONTRACT_PASSWORD", PASSWORD);
    command.env("SCHEMATHESIS_HOOKS", Path::new(FOLDER).join("hooks.py"));
    command
}

fn server() -> Server {
    let limits = LIMITS.map(|(name, _)| (name, "off"));
    let mut settings = limits.to_vec();
    // Proxies are asked about too.
    settings.push(("DOORWARD_PROXIES_TRUSTED", "127.0.0.1"));
    let server = Server::start(&settings);
    let arguments = ["user", "create", "--email", "root@example.org", "--role", "admin"];
    let made = server.run(&arguments, PASSWORD);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    server
}

/// The reference with nothing left open: an answer with a field that it does not name is a fault.
fn strict(mut document: Value) -> Value {
    let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
    for schema in schemas.values_mut().filter(|schema| schema["properties"].is_object()) {
        schema["additionalProperties"] = json!(false);
    }
    document
}

#[track_caller]
fn good(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{}\n{}", finished.stdout, finished.stderr);
}

#[test]
fn the_server_keeps_to_its_reference() {
    let server = server();
    let reference = http::get(server.port(), "/api/v1/openapi.json").expect("an answer");
    let file = server.data_dir().join("openapi.json");
    std::fs::write(&file, &reference.body).expect("written");
    let mut validator = program("openapi_spec_validator", &server);
    validator.arg(&file);
    good(&finish_within(validator, "", Duration::from_secs(60)));

    std::fs::write(&file, strict(reference.json()).to_string()).expect("written");
    let examples = std::env::var("DW_TEST_CONTRACT_EXAMPLES");
    let mut judge = program("schemathesis.cli", &server);
    judge.arg("--config-file").arg(Path::new(FOLDER).join("schemathesis.toml"));
    judge.arg("run").arg(&file).args(["--url", &server.url(""), "--checks", "all"]);
    judge.args(["--max-examples", examples.as_deref().unwrap_or(EXAMPLES), "--no-color"]);
    let judged = finish_within(judge, "", Duration::from_secs(60 * 60));
    good(&judged);
    assert!(judged.stdout.contains("No issues found"), "{}", judged.stdout);
}
