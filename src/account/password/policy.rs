//! Which passwords may be set (SR-1 to SR-3).

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{BadSetting, BreachedFile, Password, blocklist, guess};
use crate::error::{Error, FieldError, Result};

/// The shortest word of ASCII that a password may not contain because of whose it is or where.
///
/// Shorter ones are part of too many innocent words: an Ian could not use "brilliant".
const MIN_CONTEXT_WORD: usize = 4;

/// Says which passwords may be set. It is not asked when a password is only verified.
#[derive(Clone, Debug)]
pub struct Policy {
    min_length: usize,
    breached: Option<Arc<BreachedFile>>,
}

/// What a password must not be made from: the words that an attacker knows already (ASVS 6.2.11).
///
/// An empty string stands for what is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The part of the account's e-mail address before the `@`.
    pub email_local_part: &'a str,
    /// The name that the account shows.
    pub display_name: &'a str,
    /// The name of the product that the account is for.
    pub product: &'a str,
    /// The host name under which the public reaches it.
    pub public_host: &'a str,
}

impl Default for Policy {
    fn default() -> Self {
        Self { min_length: Self::DEFAULT_MIN_LENGTH, breached: None }
    }
}

impl Policy {
    /// The minimum length where nothing else is configured, in code points (SR-1).
    pub const DEFAULT_MIN_LENGTH: usize = 12;

    /// The lowest minimum length that can be configured, in code points (SR-1).
    pub const FLOOR_MIN_LENGTH: usize = 8;

    /// The highest minimum length that can be configured, in code points: more would be no password
    /// that a person types.
    pub const CEILING_MIN_LENGTH: usize = 64;

    /// A policy with a minimum length of `min_length` code points.
    ///
    /// # Errors
    ///
    /// [`BadSetting::MinLength`] if it is outside the floor and the ceiling.
    pub fn new(min_length: usize) -> Result<Self, BadSetting> {
        let allowed = Self::FLOOR_MIN_LENGTH..=Self::CEILING_MIN_LENGTH;
        if !allowed.contains(&min_length) {
            return Err(BadSetting::MinLength);
        }
        Ok(Self { min_length, breached: None })
    }

    /// The same policy, which also refuses the passwords that `file` lists.
    pub fn with_breached(self, file: BreachedFile) -> Self {
        Self { breached: Some(Arc::new(file)), ..self }
    }

    /// The minimum length in code points.
    pub fn min_length(&self) -> usize {
        self.min_length
    }

    /// Says whether `password` may be set, by everything that this policy knows.
    ///
    /// # Errors
    ///
    /// - [`Error::Invalid`] with the one field error of [`Policy::check`], or `breached_password`.
    /// - [`Error::Unavailable`]: the file of breached passwords cannot be read. No password is let
    ///   through unseen.
    pub async fn require(&self, password: &Password, context: &Context<'_>) -> Result<()> {
        self.check(password, context).map_err(|error| Error::Invalid(vec![error]))?;
        let Some(breached) = self.breached.clone() else { return Ok(()) };
        let password = password.clone();
        let listed = tokio::task::spawn_blocking(move || breached.contains(&password))
            .await
            .map_err(Error::internal)?
            .map_err(Error::unavailable)?;
        if listed {
            return Err(Error::Invalid(vec![refuse(
                "breached_password",
                "This password has been in a data breach, so attackers know it. Choose one that \
                 you use nowhere else.",
            )]));
        }
        Ok(())
    }

    /// Says whether `password` may be set, by what is known without reading the disk.
    ///
    /// # Errors
    ///
    /// A field error of `password` with one of the codes `too_short`, `common_password`,
    /// `contains_email`, `contains_name` and `contains_site`, and a sentence that tells the person
    /// the reason. (`too_long` comes from [`Password::new`].)
    pub fn check(&self, password: &Password, context: &Context<'_>) -> Result<(), FieldError> {
        self.check_length(password)?;
        let lowercase = lowercase(password.expose());
        if blocklist::contains(lowercase.as_bytes()) {
            return Err(refuse(
                "common_password",
                "This is one of the most used passwords, so attackers try it first. Choose \
                 another, for example four or five unrelated words.",
            ));
        }
        context.check(&lowercase)?;
        if guess::is_predictable(&lowercase) {
            return Err(refuse(
                "common_password",
                "This password is a common word or a pattern with little added, so attackers try \
                 it early. Choose another, for example four or five unrelated words.",
            ));
        }
        Ok(())
    }

    fn check_length(&self, password: &Password) -> Result<(), FieldError> {
        let length = password.code_points();
        if length >= self.min_length {
            return Ok(());
        }
        let min_length = self.min_length;
        Err(refuse(
            "too_short",
            format!("Use at least {min_length} characters; this password has {length}."),
        ))
    }
}

impl Context<'_> {
    /// Refuses a password, in lower case, that contains a word that is known of its owner or the site.
    fn check(&self, password: &str) -> Result<(), FieldError> {
        if contains_a_word(password, self.email_local_part) {
            return Err(refuse(
                "contains_email",
                "This password contains part of your e-mail address, which others know. Choose \
                 one without it.",
            ));
        }
        if contains_a_word(password, self.display_name) {
            return Err(refuse(
                "contains_name",
                "This password contains part of your name, which others know. Choose one without \
                 it.",
            ));
        }
        // The last label (`com`, `org`) belongs to everybody.
        let own_labels = self.public_host.rsplit_once('.').map_or(self.public_host, |(own, _)| own);
        if contains_a_word(password, self.product) || contains_a_word(password, own_labels) {
            return Err(refuse(
                "contains_site",
                "This password contains the name of this site, which attackers try first. Choose \
                 one without it.",
            ));
        }
        Ok(())
    }
}

/// Whether `password`, in lower case, contains `text` as a whole or one of its words.
fn contains_a_word(password: &str, text: &str) -> bool {
    let text = lowercase(&text.nfkc().collect::<String>());
    let whole = text.trim();
    std::iter::once(whole)
        .chain(whole.split(|c: char| !c.is_alphanumeric()))
        .any(|word| is_telling(word) && password.contains(word))
}

/// Whether a word is long enough to be looked for. Scripts beyond ASCII say more with fewer letters.
fn is_telling(word: &str) -> bool {
    let length = word.chars().count();
    length >= MIN_CONTEXT_WORD || (length >= 2 && !word.is_ascii())
}

/// The text in lower case, in memory that is wiped.
fn lowercase(text: &str) -> Zeroizing<String> {
    // No letter takes more than twice its bytes in lower case, so the string never moves.
    let mut lowercase = Zeroizing::new(String::with_capacity(text.len() * 2));
    lowercase.extend(text.chars().flat_map(char::to_lowercase));
    lowercase
}

fn refuse(code: &'static str, message: impl Into<String>) -> FieldError {
    FieldError::new("password", code, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOBODY: Context<'static> =
        Context { email_local_part: "", display_name: "", product: "", public_host: "" };

    fn code(policy: &Policy, password: &str, context: &Context<'_>) -> Option<&'static str> {
        let password = Password::new(password.to_owned()).unwrap();
        policy.check(&password, context).err().map(|error| error.code)
    }

    /// `length` code points that no rule but that of length has anything against.
    fn harmless(length: usize) -> String {
        "kv7#xw2!zq9$mt4&jd6*".chars().cycle().take(length).collect()
    }

    #[test]
    fn sr_1_lengths_are_counted_in_code_points() {
        let policy = Policy::default();
        assert_eq!(code(&policy, &harmless(11), &NOBODY), Some("too_short"));
        for length in [12, 64, 256] {
            assert_eq!(code(&policy, &harmless(length), &NOBODY), None, "{length}");
        }
        assert!(Password::new(harmless(257)).is_err());
        assert_eq!(code(&policy, "ηλιοβασίλεμ", &NOBODY), Some("too_short"));
        assert_eq!(code(&policy, "ηλιοβασίλεμα", &NOBODY), None);
    }

    #[test]
    fn sr_1_the_minimum_cannot_be_set_below_8() {
        assert!(Policy::new(7).is_err());
        assert!(Policy::new(65).is_err());
        let policy = Policy::new(8).unwrap();
        assert_eq!(code(&policy, &harmless(8), &NOBODY), None);
        assert_eq!(code(&policy, "trustno1", &NOBODY), Some("common_password"));
    }

    #[test]
    fn sr_2_no_kind_of_character_is_asked_for_or_refused() {
        let policy = Policy::default();
        for password in
            ["purple lantern quiet harbour", "            \0 velvet moss", "ключ от старого дома"]
        {
            assert_eq!(code(&policy, password, &NOBODY), None, "{password}");
        }
    }

    #[test]
    fn sr_3_common_passwords_are_refused_in_any_case_and_width() {
        let policy = Policy::default();
        for password in [
            "qwerty123456",
            "QWERTY123456",
            "1qaz2wsx3edc4rfv",
            "Password2024!",
            "ｑｗｅｒｔｙ123456",
        ] {
            assert_eq!(code(&policy, password, &NOBODY), Some("common_password"), "{password}");
        }
    }

    #[test]
    fn sr_3_words_of_the_owner_and_the_site_are_refused_by_name() {
        let policy = Policy::default();
        let context = Context {
            email_local_part: "ada.lovelace+web",
            display_name: "Zoë Ångström",
            product: "Doorward",
            public_host: "login.analytical.example",
        };
        for (password, expected) in [
            ("my LOVELACE rv8#", Some("contains_email")),
            ("rv8#ada.lovelace+web", Some("contains_email")),
            ("kv7#ÅNGSTRÖMxw2", Some("contains_name")),
            ("kv7#A\u{30a}ngstro\u{308}mxw2", Some("contains_name")),
            ("kv7#zoë#xw2!zq", Some("contains_name")),
            ("kv7#DoorWard#xw2", Some("contains_site")),
            ("kv7#analytical#xw2", Some("contains_site")),
            ("kv7#example#xw2", None),
            ("kv7#ada#xw2!zq9", None),
        ] {
            assert_eq!(code(&policy, password, &context), expected, "{password}");
        }
    }

    #[test]
    fn sr_3_every_reason_is_a_sentence() {
        let password = Password::new("qwerty123456".to_owned()).unwrap();
        let error = Policy::default().check(&password, &NOBODY).unwrap_err();
        assert_eq!(error.field, "password");
        assert!(error.message.ends_with('.') && !error.message.contains("  "));
        assert!(!error.message.contains("qwerty"));
    }

    #[test]
    fn sr_3_breached_passwords_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, harmless(20).as_bytes());
        let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(file.path(), format!("{hex}:7\n")).unwrap();
        let policy = Policy::default().with_breached(BreachedFile::open(file.path()).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let require = |text: String| {
            let password = Password::new(text).unwrap();
            runtime.block_on(policy.require(&password, &NOBODY))
        };
        let Err(Error::Invalid(fields)) = require(harmless(20)) else { panic!("let through") };
        assert_eq!(fields[0].code, "breached_password");
        assert!(require(harmless(21)).is_ok());
        std::fs::remove_file(file.path()).unwrap();
        assert!(matches!(require(harmless(21)), Err(Error::Unavailable(_))));
    }

    proptest! {
        #[test]
        fn no_password_or_name_makes_the_policy_panic(
            typed in any::<String>(), name in any::<String>(), host in any::<String>()
        ) {
            let context = Context {
                email_local_part: &name, display_name: &name, product: &host, public_host: &host,
            };
            if let Ok(password) = Password::new(typed) {
                let _ = Policy::new(8).unwrap().check(&password, &context);
            }
        }

        #[test]
        fn random_passwords_are_never_refused(typed in "[a-z0-9]{20}") {
            prop_assert_eq!(code(&Policy::default(), &typed, &NOBODY), None);
        }
    }
}
