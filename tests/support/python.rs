//! Python with PyJWT: a verifier of tokens that has nothing in common with the one under test.
//!
//! It stands in a virtual environment below the build directory, which the first test that needs it
//! makes and later runs find.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process::finish;
use super::{Shared, bound_to_us, find_program, shared};

/// What is installed. The folder bears its name, so that another version is another folder.
const PACKAGE: &str = "pyjwt[crypto]>=2.10,<3";
const FOLDER: &str = "pyjwt-2";

/// Runs a script with `input` as JSON on its standard input; returns the JSON that it writes.
///
/// # Panics
/// With what it wrote, when it fails; with what to install, when Python is not there.
#[track_caller]
pub fn run(script: &Path, input: &Value) -> Value {
    let mut command = bound_to_us(interpreter(), "KILL", &[]);
    command.arg(script);
    let finished = finish(command, &input.to_string());
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|e| panic!("{e}: {}", finished.stdout))
}

/// The interpreter, which finds PyJWT.
///
/// # Panics
/// With what to install, when Python is not there.
pub fn interpreter() -> &'static Path {
    static PYTHON: Shared<PathBuf> = Shared::new();
    let python: &PathBuf = shared(&PYTHON, environment);
    python
}

/// The interpreter of the environment, which is made if it is not there.
fn environment() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ready = root.join(FOLDER);
    if !ready.join("bin/python").exists() {
        // Made aside and put in place whole: a run that was interrupted leaves nothing half done.
        let draft = root.join(format!("{FOLDER}-{}", std::process::id()));
        make(&draft)?;
        // Another run may have been faster; then its environment serves as well.
        let _ = std::fs::rename(&draft, &ready);
        let _ = std::fs::remove_dir_all(&draft);
    }
    Ok(ready.join("bin/python"))
}

fn make(folder: &Path) -> Result<(), String> {
    let python = find_program(&["python3"], "python3-venv")?;
    let mut venv = Command::new(python);
    venv.args(["-m", "venv"]).arg(folder);
    succeed(venv, "run `tests/run`, or install the Debian package `python3-venv`")?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]);
    succeed(pip, "its package index must be reachable the first time")
}

fn succeed(mut command: Command, advice: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    Err(format!("{command:?} failed; {advice}:\n{}", String::from_utf8_lossy(&told)))
}
