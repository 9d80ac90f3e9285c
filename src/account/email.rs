//! E-mail addresses: one spelling for each (SR-5).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// An e-mail address as it is shown and written to: trimmed, its domain in lower-case A-labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(
    inline,
    description = "An e-mail address.",
    extend("format" = "idn-email", "maxLength" = Email::MAX_LENGTH, "examples" = ["ada@example.org"])
)]
pub struct Email(String);

impl Email {
    /// Longest address in bytes (RFC 5321 §4.5.3.1.3, less the angle brackets).
    const MAX_LENGTH: usize = 254;
    /// Longest local part in bytes (RFC 5321 §4.5.3.1.1).
    const MAX_LOCAL: usize = 64;

    /// Reads an address as a person types it.
    ///
    /// Refused are control characters, anything that compatibility normalisation would change
    /// (fullwidth signs and the like, the root of CVE-2019-19844), a local part that is not
    /// printable ASCII, and a domain that is no host name with a dot.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the field `email`.
    pub fn parse(input: &str) -> Result<Self> {
        let trimmed = input.trim_matches(' ');
        let refuse = |message: &str| Error::field("email", "invalid_email", message);
        if trimmed.is_empty() {
            return Err(Error::field("email", "required", "Enter an e-mail address."));
        }
        if trimmed.len() > Self::MAX_LENGTH {
            return Err(refuse("This address is too long."));
        }
        if trimmed.chars().any(|c| c.is_control()) || !trimmed.nfkc().eq(trimmed.chars()) {
            return Err(refuse("This address contains characters that cannot be used."));
        }
        let incomplete = || refuse("Enter an address like name@example.org.");
        let (local, domain) = trimmed.rsplit_once('@').ok_or_else(incomplete)?;
        let local_is_good = !local.is_empty()
            && local.len() <= Self::MAX_LOCAL
            && local.bytes().all(|b| (0x21..=0x7e).contains(&b))
            && !local.contains(['@', '"', '(', ')', ',', ':', ';', '<', '>', '[', ']', '\\']);
        if !local_is_good {
            return Err(incomplete());
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| incomplete())?;
        if !domain.contains('.')
            || domain.ends_with('.')
            || domain.parse::<std::net::IpAddr>().is_ok()
        {
            return Err(incomplete());
        }
        let address = format!("{local}@{domain}");
        if address.len() > Self::MAX_LENGTH {
            return Err(refuse("This address is too long."));
        }
        Ok(Self(address))
    }

    /// An address as a store remembers it.
    pub fn stored(address: String) -> Self {
        Self(address)
    }

    /// The address as it is shown and written to.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address with its host as people read it: `ada@bücher.example`.
    pub fn readable(&self) -> String {
        let Some((local, host)) = self.0.rsplit_once('@') else { return self.0.clone() };
        let (host, _) = idna::domain_to_unicode(host);
        format!("{local}@{host}")
    }

    /// The form in which addresses are compared: no two accounts share it.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_5_an_address_has_one_key() {
        let shown = Email::parse("  Ada.Lovelace@EXAMPLE.org ").unwrap();
        assert_eq!(shown.as_str(), "Ada.Lovelace@example.org");
        assert_eq!(shown.key(), Email::parse("ada.lovelace@example.ORG").unwrap().key());
        assert_eq!(
            Email::parse("ada@bücher.example").unwrap().as_str(),
            "ada@xn--bcher-kva.example"
        );
    }

    #[test]
    fn sr_5_look_alikes_and_line_breaks_are_refused() {
        for bad in [
            "",
            "@",
            "ada",
            "ada@",
            "@x.org",
            "ada@localhost",
            "ada@x.org.",
            "a b@x.org",
            "ada\u{ff20}x.org",
            "ada@x\u{ff0e}org",
            "ad\u{131}@x.org",
            "ada@x.org\r\nBcc: b@x.org",
            "ada\0@x.org",
            "a@b@x.org",
            "ada@127.0.0.1",
            "ada@[127.0.0.1]",
            "\u{fb01}x@x.org",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Email::parse(&format!("{}@x.org", "a".repeat(65))).is_err());
        assert!(Email::parse(&format!("a@{}.org", "b.".repeat(130))).is_err());
    }

    proptest::proptest! {
        #[test]
        fn reading_an_address_again_changes_nothing(text in "\\PC{0,40}@\\PC{0,40}") {
            if let Ok(email) = Email::parse(&text) {
                proptest::prop_assert_eq!(Email::parse(email.as_str()).unwrap(), email);
            }
        }
    }
}
