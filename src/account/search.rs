//! Looking for people: what of an account is looked through, and for which words.

use super::email::Email;
use super::store::AccountFilter;
use super::{Accounts, Status};
use crate::cursor;
use crate::error::{Error, Result, keep_error};
use crate::role::{RoleName, RoleStore};
use crate::text::fold::{bare, folded};

/// Most characters of a search.
const MAX_LENGTH: usize = 200;
/// Most words of a search.
const MAX_WORDS: usize = 10;

/// Words that must all be found, in any order, anywhere in a name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    words: Vec<String>,
}

impl Search {
    /// Reads what somebody typed; `None` if there is no word in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `q`, if it is too much.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let too_long = |message: &str| Error::field("q", "too_long", message);
        if text.chars().count() > MAX_LENGTH {
            return Err(too_long("Use at most 200 characters."));
        }
        let words: Vec<String> = folded(text).split_whitespace().map(str::to_owned).collect();
        match words.len() {
            0 => Ok(None),
            1..=MAX_WORDS => Ok(Some(Self { words })),
            _ => Err(too_long("Use at most 10 words.")),
        }
    }

    /// The words, each as it stands in [`searchable`] texts that it is found in. One without accents
    /// is found in texts with and without.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// Which accounts somebody asks for, in their own words; nothing is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskedAccounts<'a> {
    /// Parts of names and addresses.
    pub q: Option<&'a str>,
    /// The name of a role.
    pub role: Option<&'a str>,
    /// The word for a status.
    pub status: Option<&'a str>,
    /// How many on a page.
    pub limit: Option<&'a str>,
}

impl Accounts {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong: what is not understood narrows nothing, and
    /// would be taken for everybody.
    pub async fn filter(
        &self,
        roles: &dyn RoleStore,
        asked: AskedAccounts<'_>,
    ) -> Result<AccountFilter> {
        let mut wrong = Vec::new();
        let q = keep_error(asked.q.map(Search::parse).transpose(), &mut wrong)?;
        let role = match asked.role {
            Some(name) => keep_error(existing(roles, name).await, &mut wrong)?,
            None => None,
        };
        let status = keep_error(asked.status.map(status).transpose(), &mut wrong)?.flatten();
        let limit = keep_error(cursor::limit(asked.limit), &mut wrong)?.unwrap_or_default();
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let q = q.flatten().flatten();
        Ok(AccountFilter { q, role, status, limit, ..AccountFilter::default() })
    }
}

async fn existing(roles: &dyn RoleStore, name: &str) -> Result<RoleName> {
    let all = roles.roles().await?;
    let found = all.into_iter().map(|role| role.name).find(|role| role.as_str() == name);
    found.ok_or_else(|| Error::field("role", "unknown_role", "There is no role of this name."))
}

/// Reads the word for a status.
///
/// # Errors
/// [`Error::Invalid`] for `status`.
pub fn status(word: &str) -> Result<Status> {
    Status::parse(word)
        .ok_or_else(|| Error::field("status", "unknown_status", "This must be active or disabled."))
}

/// What is looked through for an account: its name and its address, whose host also as people read it,
/// folded; and all that without accents, if it has any.
pub fn searchable(display_name: &str, email: &Email) -> String {
    let whole = folded(&format!("{display_name}\n{}\n{}", email.key(), email.readable()));
    let plain = bare(&whole);
    if plain == whole { whole } else { format!("{whole}\n{plain}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an account with this name and address is found, as a store finds it.
    fn finds(q: &str, display_name: &str, email: &str) -> bool {
        let text = searchable(display_name, &Email::parse(email).unwrap());
        let search = Search::parse(q).unwrap().expect("words");
        search.words().iter().all(|word| text.contains(word))
    }

    #[test]
    fn people_are_found_as_others_write_them() {
        let mail = "ada@example.org";
        for (q, name, email) in [
            ("REN\u{c9}E", "Ren\u{e9}e", mail),
            ("ren\u{e9}e", "Rene\u{301}e", mail),
            ("rene\u{301}e", "Ren\u{e9}e", mail),
            ("renee", "Ren\u{e9}e", mail),
            (
                "full width",
                "\u{ff26}\u{ff55}\u{ff4c}\u{ff4c} \u{ff37}\u{ff49}\u{ff44}\u{ff54}\u{ff48}",
                mail,
            ),
            ("lovelace ada", "Ada Lovelace", mail),
            ("  ada \u{a0}\n lovelace ", "Ada  Lovelace", mail),
            ("ada\u{3000}lovelace", "Ada Lovelace", mail),
            ("king example.org", "Ada King", mail),
            ("ada@b\u{fc}cher.example", "", "ada@b\u{fc}cher.example"),
            ("ADA@B\u{dc}CHER.example", "", "ada@b\u{fc}cher.example"),
            ("ada@xn--bcher-kva.example", "", "ada@b\u{fc}cher.example"),
            ("bucher", "", "ada@b\u{fc}cher.example"),
            ("B\u{fc}cher", "", "ada@b\u{fc}cher.example"),
            ("strasse", "Stra\u{df}e", mail),
            ("lodz", "\u{141}\u{f3}d\u{17a}", mail),
            ("o'brien", "O\u{2019}Brien", mail),
            ("\u{1f469}\u{200d}\u{1f52c}", "\u{1f469}\u{200d}\u{1f52c} Ada", mail),
        ] {
            assert!(finds(q, name, email), "{q:?} in {name:?} {email}");
        }
        for (q, name) in
            [("ren\u{e9}e", "Renee"), ("ada bob", "Ada"), ("adalovelace", "Ada Lovelace")]
        {
            assert!(!finds(q, name, mail), "{q:?} in {name:?}");
        }
    }

    #[test]
    fn a_search_has_bounds_and_blanks_are_none() {
        for blank in ["", "  ", "\n\t", "\u{a0}", "\u{200b}"] {
            assert_eq!(Search::parse(blank).unwrap(), None, "{blank:?}");
        }
        assert!(Search::parse(&"a ".repeat(11)).is_err());
        assert!(Search::parse(&"a ".repeat(10)).is_ok());
        assert!(Search::parse(&"a".repeat(201)).is_err());
    }
}
