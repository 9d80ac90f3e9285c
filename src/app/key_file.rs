//! The keys of a server that was given none: made at its first start, and kept where only it reads.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::{StartError, World, cause};
use crate::config::Config;
use crate::id::SecretString;
use crate::token::key::{MasterSecret, SigningKey};

/// The first key that signs (PKCS#8, PEM) and the secret behind the rest: as configured, or made at
/// the first start for a server that stands alone (SR-39).
pub(super) fn keys(
    config: &Config,
    world: &World,
) -> Result<(SecretString, MasterSecret), StartError> {
    let signing = match &config.keys.signing {
        Some(pem) => pem.clone(),
        None => {
            let make = || SigningKey::generate_pem().map_err(cause);
            kept(&config.data_dir.join("signing.pem"), make)?
        }
    };
    let secret = match &config.keys.secret {
        Some(text) => MasterSecret::from_base64(text)?,
        None => {
            let make = || Ok(MasterSecret::generate_base64(&*world.random));
            MasterSecret::from_base64(&kept(&config.data_dir.join("secret"), make)?)?
        }
    };
    Ok((signing, secret))
}

/// The secret in the file at `path`, which is made first if there is none: readable by its owner
/// alone. Of two processes that start at once, both use what the first one wrote.
fn kept(
    path: &Path,
    make: impl FnOnce() -> Result<SecretString, StartError>,
) -> Result<SecretString, StartError> {
    let read = || fs::read_to_string(path).map(SecretString::new);
    match read() {
        Ok(secret) => {
            only_its_owners(path)?;
            return Ok(secret);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display()).into()),
    }
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let secret = make()?;
    // Written whole under another name first: a crash in between leaves no half a key.
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = for_owner().create(true).truncate(true).open(&draft)?;
    file.write_all(secret.expose().as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(read()?),
        Err(error) => Err(format!("{} cannot be written: {error}", path.display()).into()),
    }
}

/// How a file is written that only its owner reads.
fn for_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes an empty file that only its owner reads, unless the file is there.
pub(super) fn private_file(path: &Path) -> io::Result<()> {
    match for_owner().create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(unix)]
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn only_its_owners(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "{} can be read by others than its owner; run: chmod 600 {}",
            path.display(),
            path.display()
        )
        .into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn only_its_owners(_: &Path) -> Result<(), StartError> {
    Ok(())
}
