//! `doorward keys generate`: the keys that replicas share, as files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::keys::Algorithm;
use super::report::Report;
use crate::app::StartError;
use crate::config::Config;
use crate::id::{Os, SecretString};
use crate::private_file;
use crate::token::key::{self, MasterSecret, SigningKey};

#[derive(Args)]
pub(super) struct Generate {
    /// The folder for the files, which is made if it is not there (`data_dir`, if not given)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How the signing key signs
    #[arg(long, value_enum, default_value = "eddsa")]
    algorithm: Algorithm,
    /// Make a pepper for the hashes of passwords as well
    #[arg(long)]
    pepper: bool,
}

/// A file to write, and the setting that names it.
struct NewFile {
    path: PathBuf,
    variable: &'static str,
    secret: SecretString,
}

/// Writes all files or none. Works without a configuration: one that lacks these keys may be refused.
pub(super) fn run(asked: &Generate) -> Result<Report, StartError> {
    let dir = asked.dir.clone().unwrap_or_else(Config::data_dir_alone);
    let dir = std::path::absolute(dir)?;
    let pem = key::Algorithm::from(asked.algorithm).generate_pem()?;
    let signing = SigningKey::from_pem(&pem)?;
    let secret = || {
        let text = MasterSecret::generate_base64(&Os);
        SecretString::new(format!("{}\n", text.expose()))
    };
    let mut files = vec![
        NewFile {
            path: dir.join("signing.pem"),
            variable: "DOORWARD_KEYS_SIGNING_FILE",
            secret: pem,
        },
        NewFile {
            path: dir.join("secret"),
            variable: "DOORWARD_KEYS_SECRET_FILE",
            secret: secret(),
        },
    ];
    if asked.pepper {
        files.push(NewFile {
            path: dir.join("pepper"),
            variable: "DOORWARD_PASSWORDS_PEPPER_FILE",
            secret: secret(),
        });
    }
    write_all(&dir, &files)?;
    Ok(told(&dir, &files, &signing))
}

fn write_all(dir: &Path, files: &[NewFile]) -> Result<(), StartError> {
    let there = |path: &Path| {
        format!(
            "{} is there already; nothing was written. --dir takes another folder",
            path.display()
        )
    };
    // A link that leads nowhere is there, too.
    if let Some(file) = files.iter().find(|file| fs::symlink_metadata(&file.path).is_ok()) {
        return Err(there(&file.path).into());
    }
    let cannot = |what: &Path, error: io::Error| {
        format!("failed to write {}; nothing was written: {error}", what.display())
    };
    private_file::make_folder(dir).map_err(|error| cannot(dir, error))?;
    for (written, file) in files.iter().enumerate() {
        if let Err(error) = private_file::write_new(&file.path, &file.secret) {
            // Half of them would look like all of them.
            for before in files.iter().take(written) {
                fs::remove_file(&before.path)?;
            }
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => there(&file.path),
                _ => cannot(&file.path, error),
            }
            .into());
        }
    }
    Ok(())
}

fn told(dir: &Path, files: &[NewFile], signing: &SigningKey) -> Report {
    let shown = |file: &NewFile| file.path.display().to_string();
    let names: Vec<String> = files.iter().map(shown).collect();
    let settings: Map<String, Value> =
        files.iter().map(|file| (file.variable.to_owned(), json!(shown(file)))).collect();
    let value = json!({
        "directory": dir.display().to_string(),
        "algorithm": signing.algorithm().as_str(),
        "kid": signing.id(),
        "settings": settings,
    });
    let line = format!("Wrote {}, which only their owner can read.", names.join(", "));
    let mut report = Report::done(line, value);
    report.lines.push("Set, for every replica:".to_owned());
    report.lines.extend(files.iter().map(|file| format!("  {}={}", file.variable, shown(file))));
    report.lines.push(
        "Keep a copy of the secret, apart from those of the database: without it the signing keys in \
         there cannot be opened."
            .to_owned(),
    );
    report
}
