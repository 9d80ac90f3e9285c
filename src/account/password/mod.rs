//! Passwords: what one is, which are refused, and how they are kept (SR-1 to SR-4).
//!
//! A [`Password`] is what somebody typed, in the one form that is ever hashed or compared. A
//! [`Policy`] says whether it may become the password of an account; it has no say when a password
//! is only checked, so a stricter policy never locks anybody out. The [`Hasher`] turns it into a
//! [`PasswordHash`], the only thing that is stored, and back into a yes or no.

mod blocklist;
mod breached;
mod guess;
mod hasher;
mod line;
mod params;
mod policy;
mod pool;

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub use breached::BreachedFile;
pub use hasher::{Hasher, Settings, Verdict};
pub use line::Requester;
pub use params::{BadSetting, Params, Pepper};
pub use policy::{Context, Policy};

use crate::error::{Error, FieldError};
use crate::id::SecretString;

/// The most code points that a password may have (SR-1).
pub const MAX_CODE_POINTS: usize = 256;

/// The most bytes of UTF-8 that a password may have, as it was sent and in normal form (SR-1).
pub const MAX_BYTES: usize = 1024;

/// A password in the clear, in Unicode's normal form NFKC (SP 800-63B-4 §3.1.1.2, SR-2).
///
/// Nothing but the normal form is changed: spaces, case and NUL count, and nothing is cut off. It
/// has no `Display`, its `Debug` hides it, it is not `Serialize`, and it is wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes what somebody typed; the text handed in is wiped.
    ///
    /// # Errors
    ///
    /// [`TooLong`], found out before any costly work is done. Where a password is being set, `?` makes
    /// it the field error `too_long`. Where somebody signs in, no account has such a password: answer
    /// as to a wrong one, without hashing.
    pub fn new(typed: String) -> Result<Self, TooLong> {
        Self::normalise(&Zeroizing::new(typed))
    }

    /// Takes what somebody typed, from a field that keeps it secret.
    ///
    /// # Errors
    ///
    /// [`TooLong`], as for [`Password::new`].
    pub fn from_secret(typed: &SecretString) -> Result<Self, TooLong> {
        Self::normalise(typed.expose())
    }

    fn normalise(typed: &str) -> Result<Self, TooLong> {
        if typed.len() > MAX_BYTES {
            return Err(TooLong);
        }
        // All the room is taken at once: a string that grows leaves unwiped copies behind.
        let mut normal = Zeroizing::new(String::with_capacity(MAX_BYTES));
        for (index, c) in typed.nfkc().enumerate() {
            if index >= MAX_CODE_POINTS || normal.len() + c.len_utf8() > MAX_BYTES {
                return Err(TooLong);
            }
            normal.push(c);
        }
        Ok(Self(normal))
    }

    /// How many Unicode code points the password has: its length (SR-1).
    pub fn code_points(&self) -> usize {
        self.0.chars().count()
    }

    /// The password itself, for the code that hashes or judges it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password]")
    }
}

/// A text is too long to be a password: over [`MAX_CODE_POINTS`] or [`MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has at most {MAX_CODE_POINTS} characters")]
pub struct TooLong;

impl From<TooLong> for FieldError {
    fn from(_: TooLong) -> Self {
        let message = format!("Use at most {MAX_CODE_POINTS} characters.");
        FieldError::new("password", "too_long", message)
    }
}

impl From<TooLong> for Error {
    fn from(too_long: TooLong) -> Self {
        Error::Invalid(vec![too_long.into()])
    }
}

/// What is stored of a password: an Argon2id hash as a PHC string, with its salt and parameters.
///
/// It lets whoever has it try passwords, so it has no `Display` and its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Zeroizing<String>);

impl PasswordHash {
    /// A hash as a store kept it. Whether it is one shows when it is verified against.
    pub fn from_stored(phc: impl Into<String>) -> Self {
        Self(Zeroizing::new(phc.into()))
    }

    /// The PHC string, for the store.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password hash]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn password(typed: &str) -> Password {
        Password::new(typed.to_owned()).unwrap()
    }

    #[test]
    fn sr_1_a_password_has_at_most_256_code_points_and_1024_bytes() {
        assert_eq!(password(&"x".repeat(256)).code_points(), 256);
        assert_eq!(password(&"😀".repeat(256)).code_points(), 256);
        for too_long in ["x".repeat(257), "😀".repeat(257), "x".repeat(10_000_000)] {
            assert_eq!(Password::new(too_long).unwrap_err(), TooLong);
        }
    }

    #[test]
    fn sr_1_the_limit_holds_after_normalising_too() {
        // U+FDFA is one code point that NFKC makes into eighteen.
        assert_eq!(Password::new("\u{fdfa}".repeat(15)).unwrap_err(), TooLong);
        assert_eq!(password(&"e\u{301}".repeat(256)).code_points(), 256);
    }

    #[test]
    fn sr_1_too_long_is_a_field_error_where_a_password_is_set() {
        let Error::Invalid(fields) = Error::from(TooLong) else { panic!("not a field error") };
        assert_eq!(fields[0].code, "too_long");
        assert!(fields[0].message.contains("256"));
    }

    #[test]
    fn sr_1_a_nul_neither_cuts_nor_vanishes() {
        assert_eq!(password("before\0after").expose(), "before\0after");
    }

    #[test]
    fn sr_2_decomposed_and_composed_letters_are_one_password() {
        assert_eq!(password("cafe\u{301}").expose(), password("caf\u{e9}").expose());
        assert_eq!(password("\u{ff41}\u{ff42}").expose(), "ab");
    }

    #[test]
    fn sr_2_spaces_and_case_count() {
        assert_eq!(password(" Two  Spaces ").expose(), " Two  Spaces ");
    }

    #[test]
    fn neither_a_password_nor_its_hash_prints() {
        assert_eq!(format!("{:?}", password("hunter2")), "[password]");
        assert_eq!(format!("{:?}", PasswordHash::from_stored("$argon2id$")), "[password hash]");
    }

    proptest! {
        #[test]
        fn sr_2_normalising_twice_changes_nothing(typed in "\\PC{0,80}") {
            if let Ok(once) = Password::new(typed) {
                let twice = Password::new(once.expose().to_owned()).unwrap();
                prop_assert_eq!(once.expose(), twice.expose());
            }
        }

        #[test]
        fn sr_1_no_text_makes_normalising_panic_or_pass_the_limits(typed in any::<String>()) {
            if let Ok(password) = Password::new(typed) {
                prop_assert!(password.code_points() <= MAX_CODE_POINTS);
                prop_assert!(password.expose().len() <= MAX_BYTES);
            }
        }
    }
}
