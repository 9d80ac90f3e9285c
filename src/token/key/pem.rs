//! A private key as people hand it over: PEM (RFC 7468), and what else is mistaken for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KeyError;
use crate::id::SecretString;

/// The DER inside a PEM block of type `PRIVATE KEY` (RFC 7468 §10).
///
/// Its lines may be broken anywhere, by `\n` in two characters too, as variables on one line have it, and
/// other text may stand around it.
///
/// # Errors
/// [`KeyError::NotASigningKey`], with what it is instead.
pub(super) fn pkcs8_of(pem: &SecretString) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = Zeroizing::new(pem.expose().replace("\\r", "\n").replace("\\n", "\n"));
    let Some((_, rest)) = text.split_once("-----BEGIN PRIVATE KEY-----") else {
        return Err(KeyError::NotASigningKey(other_kind(&text)));
    };
    let damaged = || KeyError::NotASigningKey("its PEM is damaged");
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----").ok_or_else(damaged)?;
    let body: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_whitespace()).collect());
    STANDARD.decode(body.as_bytes()).map(Zeroizing::new).map_err(|_| damaged())
}

/// What a text is that is no private key in PKCS#8. Never repeats it.
fn other_kind(text: &str) -> &'static str {
    let label = text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
    match label.map(|(label, _)| label) {
        Some("PUBLIC KEY") => "it is a public key",
        Some("CERTIFICATE") => "it is a certificate",
        Some("ENCRYPTED PRIVATE KEY") => "it is encrypted with a passphrase",
        Some("OPENSSH PRIVATE KEY") => "it is a key of OpenSSH, not one in PKCS#8",
        Some("RSA PRIVATE KEY") => "it is an RSA key",
        Some("EC PRIVATE KEY" | "EC PARAMETERS") => {
            "it is an EC key in the older form; `openssl pkcs8 -topk8 -nocrypt` makes PKCS#8 of it"
        }
        Some(_) => "it is not a private key in PEM (PKCS#8), but another kind of PEM",
        None if text.trim_start().starts_with('{') => {
            "it is not a private key in PEM (PKCS#8), but JSON"
        }
        None => "it is not a private key in PEM (PKCS#8)",
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::*;

    /// The `kid` of the key, or what is wrong with it.
    fn read(text: &str) -> Result<String, String> {
        let key = SigningKey::from_pem(&SecretString::new(text));
        key.map(|key| key.id().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_the_same_however_its_lines_are_broken() {
        let pem = SigningKey::generate_pem().unwrap();
        let pem = pem.expose();
        let expected = read(pem).unwrap();
        for changed in [
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', " "),
            format!("\u{feff}{pem}"),
            format!("\"{}\"", pem.replace('\n', "\\n")),
            format!("Bag Attributes\n    friendlyName: x\n{pem}\n\n"),
            pem.replacen("MC4C", "MC\n4C", 1),
        ] {
            assert_eq!(read(&changed), Ok(expected.clone()), "{changed:?}");
        }
    }

    #[test]
    fn what_is_taken_for_a_private_key_is_named() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        for (text, expected) in [
            (block("PUBLIC KEY"), "public key"),
            (block("CERTIFICATE"), "certificate"),
            (block("ENCRYPTED PRIVATE KEY"), "passphrase"),
            (block("OPENSSH PRIVATE KEY"), "OpenSSH"),
            (block("RSA PRIVATE KEY"), "RSA"),
            (block("EC PRIVATE KEY"), "pkcs8 -topk8"),
            (block("PRIVATE KEY"), "not an Ed25519 or P-256 key"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA".to_owned(), "damaged"),
            ("-----BEGIN PRIVATE KEY-----\nA*A\n-----END PRIVATE KEY-----".to_owned(), "damaged"),
            ("{\"kty\":\"OKP\"}".to_owned(), "JSON"),
            ("hunter2hunter2".to_owned(), "not a private key in PEM"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(
                error.contains("doorward keys generate") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
