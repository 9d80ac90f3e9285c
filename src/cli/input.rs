//! Secrets from standard input: never an argument, which every process on the machine can see.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use crate::app::{StartError, output};
use crate::id::SecretString;
use crate::private_file::{self, BYTE_ORDER_MARK};

/// The most that is read, in bytes: more than any password or token has.
const MAX_BYTES: u64 = 8192;

/// The first line, without its end. White space counts (SR-2).
pub(super) fn password() -> Result<SecretString, StartError> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        output::ask("Password (shown as you type; end with Enter): ");
    }
    let mut line = Zeroizing::new(Vec::new());
    stdin.lock().take(MAX_BYTES).read_until(b'\n', &mut line)?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.starts_with(BYTE_ORDER_MARK.to_string().as_bytes()) {
        // Nobody can type it at the sign-in page.
        return Err(
            "the password begins with a byte order mark (U+FEFF), which the program that wrote \
                    it to standard input has added; write it without"
                .into(),
        );
    }
    let text = private_file::decode(line)
        .map_err(|what| format!("the password {what}, as standard input gives it"))?;
    if text.is_empty() {
        return Err("no password: write it to standard input".into());
    }
    Ok(SecretString::new(text))
}

/// A token: all there is.
pub(super) fn token() -> Result<SecretString, StartError> {
    let mut bytes = Zeroizing::new(Vec::new());
    io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes)?;
    let token = private_file::text(&bytes)
        .map_err(|what| format!("the token {what}, as standard input gives it"))?;
    if token.expose().is_empty() {
        return Err("no token: write it to standard input, or name its jti with --jti".into());
    }
    Ok(token)
}
