//! The keys of a server that was given none: made at its first start, and kept where only it reads.

use std::io;
use std::path::Path;

use super::{StartError, World, cause};
use crate::config::Config;
use crate::id::SecretString;
use crate::private_file;
use crate::token::key::{KeyError, MasterSecret, SigningKey};

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
            let path = config.data_dir.join("secret");
            let make = || Ok(MasterSecret::generate_base64(&*world.random));
            let about = |error: KeyError| format!("the file {}: {error}", path.display());
            MasterSecret::from_base64(&kept(&path, make)?).map_err(about)?
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
    if let Some(secret) = private_file::read(path, true)? {
        return Ok(secret);
    }
    let cannot = |error: io::Error| format!("{} cannot be written: {error}", path.display());
    if let Some(folder) = path.parent() {
        private_file::make_folder(folder).map_err(cannot)?;
    }
    let secret = make()?;
    match private_file::write_new(path, &secret) {
        Ok(()) => Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let first = private_file::read(path, true)?;
            first.ok_or_else(|| format!("{} was removed as it was read", path.display()).into())
        }
        Err(error) => Err(cannot(error).into()),
    }
}
