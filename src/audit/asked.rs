//! Which events somebody asks for, in their own words.

use super::Kind;
use super::stats::DAY;
use super::store::EventFilter;
use crate::clock::Timestamp;
use crate::cursor;
use crate::error::{Error, Result, keep_error};

/// What is asked for; nothing is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskedEvents<'a> {
    /// The name of a kind.
    pub kind: Option<&'a str>,
    /// A moment or a day.
    pub from: Option<&'a str>,
    /// A moment or a day.
    pub to: Option<&'a str>,
    /// How many on a page.
    pub limit: Option<&'a str>,
}

impl EventFilter {
    /// Reads what is asked for. Whose events they are is another question.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that is wrong: what is not understood narrows nothing, and
    /// would be taken for all that there is.
    pub fn read(asked: AskedEvents<'_>) -> Result<Self> {
        let mut wrong = Vec::new();
        let kind = keep_error(asked.kind.map(kind).transpose(), &mut wrong)?.flatten();
        let from = keep_error(begin("from", asked.from), &mut wrong)?.flatten();
        let to = keep_error(end("to", asked.to), &mut wrong)?.flatten();
        let limit = keep_error(cursor::limit(asked.limit), &mut wrong)?.unwrap_or_default();
        if wrong.is_empty() {
            Ok(Self { kind, from, to, limit, ..Self::default() })
        } else {
            Err(Error::Invalid(wrong))
        }
    }
}

fn kind(text: &str) -> Result<Kind> {
    Kind::parse(text)
        .ok_or_else(|| Error::field("kind", "unknown_kind", "There is no such kind of event."))
}

/// From when on: a moment in RFC 3339, or a day (UTC), from its beginning.
///
/// # Errors
/// [`Error::Invalid`] for `field`.
pub fn begin(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>> {
    read(field, text, |day| day)
}

/// Until when: a moment in RFC 3339, or a day (UTC), which counts whole.
///
/// # Errors
/// [`Error::Invalid`] for `field`.
pub fn end(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>> {
    read(field, text, |day| day + DAY)
}

fn read(
    field: &'static str,
    text: Option<&str>,
    of_day: fn(Timestamp) -> Timestamp,
) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let day = || Timestamp::parse(&format!("{text}T00:00:00Z")).map(of_day);
    let found = Timestamp::parse(text).or_else(day);
    found.map(Some).ok_or_else(|| {
        // A query reads a plus as a blank.
        let message = match Timestamp::parse(&text.replace(' ', "+")) {
            Some(_) => "Write %2B for the + of this time: in an address a + is a blank.",
            None => "This must be a day such as 2026-01-31, or a time in RFC 3339.",
        };
        Error::field(field, "invalid_time", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_are_read_and_nothing_else() {
        let millis =
            |found: Result<Option<Timestamp>>| found.ok().flatten().map(Timestamp::as_millis);
        let day = 1_769_817_600_000;
        assert_eq!(millis(begin("from", Some("2026-01-31"))), Some(day));
        assert_eq!(millis(end("to", Some("2026-01-31"))), Some(day + 86_400_000));
        for moment in ["2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00"] {
            assert_eq!(millis(begin("from", Some(moment))), Some(day));
            assert_eq!(millis(end("to", Some(moment))), Some(day));
        }
        assert_eq!(millis(begin("from", None)), None);
        for other in ["", " ", "yesterday", "2026-02-30", "2026-1-31", "31.01.2026", "2026-01-31Z"]
        {
            assert!(begin("from", Some(other)).is_err(), "{other}");
        }
        let Err(Error::Invalid(errors)) = begin("from", Some("2026-01-31T01:00:00 01:00")) else {
            panic!("it is no time");
        };
        assert!(errors[0].message.contains("%2B"), "{errors:?}");
    }
}
