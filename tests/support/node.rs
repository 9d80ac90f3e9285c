//! Node.js with axe-core and html-validate: judges of our pages that nobody here wrote.
//!
//! html-validate stays at 9, the last one that runs on the Node.js 18 of Debian 12.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process::finish;
use super::{Shared, bound_to_us, find_program, kit, shared};

/// The files that say what is installed.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/look");
const FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
const LOCK: &str = include_str!("../look/package-lock.json");

/// The script of axe-core, which a browser runs in a page.
///
/// # Panics
/// With what to install, when it cannot be had.
pub fn axe() -> String {
    let script = modules().join("axe-core/axe.min.js");
    std::fs::read_to_string(script).expect("axe-core is installed")
}

/// What html-validate says of these files: for each that has a fault, its path and its messages.
///
/// # Panics
/// When it does not run.
#[track_caller]
pub fn html_validate(files: &[PathBuf]) -> Value {
    let node = find_program(&["node", "nodejs"], "nodejs").unwrap_or_else(|why| panic!("{why}"));
    let mut command = bound_to_us(&node, "KILL", &[]);
    command.arg(modules().join("html-validate/bin/html-validate.mjs"));
    command.args(["--formatter", "json", "--config"]);
    command.arg(Path::new(FOLDER).join("htmlvalidate.json")).args(files);
    let finished = finish(command, "");
    serde_json::from_str(&finished.stdout).unwrap_or_else(|e| panic!("{e}: {}", finished.stderr))
}

/// Where the packages are.
fn modules() -> &'static Path {
    static MODULES: Shared<PathBuf> = Shared::new();
    let modules: &PathBuf = shared(&MODULES, || {
        let mut digest = DefaultHasher::new();
        LOCK.hash(&mut digest);
        let name = format!("look-{:016x}", digest.finish());
        Ok(kit::folder(&name, make)?.join("node_modules"))
    });
    modules
}

fn make(folder: &Path) -> Result<(), String> {
    let npm = find_program(&["npm"], "npm")?;
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(told)?;
    for file in FILES {
        std::fs::copy(Path::new(FOLDER).join(file), folder.join(file)).map_err(told)?;
    }
    let mut install = Command::new(npm);
    install.current_dir(folder).arg("ci");
    kit::succeed(install, "its package registry must be reachable the first time")
}
