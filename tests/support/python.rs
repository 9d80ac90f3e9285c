//! Python, for judges that have nothing in common with what they judge: PyJWT, schemathesis.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process::finish;
use super::{Shared, bound_to_us, find_program, kit, shared};

/// What is installed, and where: the verifier of tokens …
const PYJWT: (&str, &[&str]) = ("pyjwt-2", &["pyjwt[crypto]>=2.10,<3"]);
/// … and the judges of the API's reference.
const CONTRACT: (&str, &[&str]) =
    ("schemathesis-4.32.5", &["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"]);

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
    let python: &PathBuf = shared(&PYTHON, || environment(PYJWT));
    python
}

/// The interpreter, which finds schemathesis and openapi-spec-validator.
///
/// # Panics
/// With what to install, when Python is not there.
pub fn contract() -> &'static Path {
    static PYTHON: Shared<PathBuf> = Shared::new();
    let python: &PathBuf = shared(&PYTHON, || environment(CONTRACT));
    python
}

/// The interpreter of an environment. (Its other programs would name the place where it was made.)
fn environment((name, packages): (&str, &[&str])) -> Result<PathBuf, String> {
    Ok(kit::folder(name, |folder| make(folder, packages))?.join("bin/python"))
}

fn make(folder: &Path, packages: &[&str]) -> Result<(), String> {
    let python = find_program(&["python3"], "python3-venv")?;
    let mut venv = Command::new(python);
    venv.args(["-m", "venv"]).arg(folder);
    kit::succeed(venv, "run `tests/run`, or install the Debian package `python3-venv`")?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(packages);
    kit::succeed(pip, "its package index must be reachable the first time")
}
