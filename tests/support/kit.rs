//! Programs of other languages, which the first test that needs them installs below the build
//! directory and later runs find.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of this name below the build directory, which `make` fills if it is not there.
///
/// A folder bears the name of what is in it, so that another version is another folder.
///
/// # Errors
/// Those of `make`.
pub fn folder(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ready = root.join(name);
    if !ready.exists() {
        // Made aside and put in place whole: a run that was interrupted leaves nothing half done.
        let draft = root.join(format!("{name}-{}", std::process::id()));
        make(&draft)?;
        // Another run may have been faster; then its folder serves as well.
        let _ = std::fs::rename(&draft, &ready);
        let _ = std::fs::remove_dir_all(&draft);
    }
    Ok(ready)
}

/// Runs a step of an installation to its end.
///
/// # Errors
/// With what it wrote, and with `advice`, when it fails.
pub fn succeed(mut command: Command, advice: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    Err(format!("{command:?} failed; {advice}:\n{}", String::from_utf8_lossy(&told)))
}
