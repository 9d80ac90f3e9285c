//! What several pages print: moments, numbers, devices, permissions, and what is wrong with a form.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::SessionId;
use crate::problem::sentence;
use crate::session::Session;
use crate::session::device::{Device, DeviceKind};

/// A moment, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// RFC 3339 in UTC with milliseconds, for `<time datetime>`.
    pub iso: String,
    /// `24 November 2025, 16:00 UTC`.
    pub text: String,
}

impl Moment {
    /// The day alone: `24 November 2025`.
    pub fn day(&self) -> String {
        self.text.split(',').next().unwrap_or(&self.text).to_owned()
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        let moment = jiff::Timestamp::from_millisecond(at.as_millis())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let text = moment.strftime("%-d %B %Y, %H:%M UTC").to_string();
        Self { iso: at.to_string(), text }
    }
}

/// A number with its thousands apart: `12,840`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One or two capital letters that stand for a person: of the name, or else of the e-mail address.
pub fn initials(display_name: &str, email: &str) -> String {
    let mut words = display_name.split_whitespace().filter_map(|word| word.chars().next());
    let first = words.next().or_else(|| email.chars().next());
    let last = words.next_back();
    first.into_iter().chain(last).flat_map(char::to_uppercase).collect()
}

/// A number and what it counts: `1 person`, `12,840 people`.
pub fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// What is wrong with a form that came back: flattened into the page that shows the form again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// A sentence for each field that needs attention, by the field's name.
    errors: BTreeMap<String, String>,
    /// The same sentences in the order in which they were found, for the top of the form.
    summary: Vec<Fault>,
    /// A sentence about the form as a whole.
    problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Fault {
    field: String,
    message: String,
}

impl Faults {
    /// Something is wrong with the form as a whole.
    pub fn problem(message: &str) -> Self {
        Self { problem: Some(sentence(message)), ..Self::default() }
    }

    /// Something is wrong with one field. Only the first complaint about a field is shown.
    #[must_use]
    pub fn and_field(mut self, field: &str, message: &str) -> Self {
        if !self.errors.contains_key(field) {
            let message = sentence(message);
            self.errors.insert(field.to_owned(), message.clone());
            self.summary.push(Fault { field: field.to_owned(), message });
        }
        self
    }
}

impl Faults {
    /// The same faults, where the page calls a field by another name than the domain.
    #[must_use]
    pub fn renamed(mut self, from: &str, to: &str) -> Self {
        if let Some(message) = self.errors.remove(from) {
            self.errors.insert(to.to_owned(), message);
        }
        for fault in self.summary.iter_mut().filter(|fault| fault.field == from) {
            fault.field = to.to_owned();
        }
        self
    }
}

impl Faults {
    /// What is wrong with the filter of a list that has these `fields`. Anything else of its address is
    /// told of as a whole.
    pub fn of_filter(error: &Error, fields: &[&str]) -> Self {
        let Error::Invalid(all) = error else { return Self::from(error) };
        all.iter().fold(Self::default(), |faults, fault| {
            if fields.contains(&fault.field.as_str()) {
                return faults.and_field(&fault.field, &fault.message);
            }
            let message = match fault.code {
                "unknown_field" => "This address has a filter that the list does not know.",
                _ => &fault.message,
            };
            Self { problem: faults.problem.or_else(|| Some(sentence(message))), ..faults }
        })
    }
}

impl From<&Error> for Faults {
    fn from(error: &Error) -> Self {
        match error {
            Error::Invalid(fields) => fields.iter().fold(Self::default(), |faults, fault| {
                faults.and_field(&fault.field, &fault.message)
            }),
            other => Self::problem(&other.to_string()),
        }
    }
}

/// A role or a permission with its meaning in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its stable name: `admin`, `users:write`.
    pub name: String,
    /// What it means; may be empty.
    pub description: String,
}

/// One of the things that a list can be filtered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
}

impl Choice {
    /// A choice that is shown as it is sent.
    pub fn plain(value: impl ToString) -> Self {
        Self { value: value.to_string(), label: value.to_string() }
    }
}

/// A role as a box to tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleChoice {
    /// The role's name: the value that is sent.
    pub name: String,
    /// What it means; may be empty.
    pub description: String,
    /// Whether it is granted now.
    pub checked: bool,
    /// Whether this administrator may not change it, for it grants what they do not hold (SR-51).
    pub locked: bool,
}

/// One session in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// Names the session; no secret.
    pub id: String,
    /// Whether it is the session that asks.
    pub current: bool,
    /// Browser and system in words: `Firefox on Linux`.
    pub device: String,
    /// Which picture to draw: `desktop`, `phone`, `tablet`, `program`.
    pub kind: &'static str,
    /// The client's address (SR-24).
    pub ip: String,
    /// Whether "keep me signed in" was ticked.
    pub remember: bool,
    /// When the session began.
    pub created_at: Moment,
    /// When a request last came from it.
    pub last_seen_at: Moment,
}

impl SessionRow {
    /// The rows of `sessions`: the one that asks first, the others in their order.
    pub fn all(sessions: &[Session], asking: &SessionId) -> Vec<Self> {
        let mut rows: Vec<Self> = sessions.iter().map(|one| Self::new(one, asking)).collect();
        rows.sort_by_key(|row| !row.current);
        rows
    }

    /// A session, marked if it is the one that asks.
    pub fn new(session: &Session, asking: &SessionId) -> Self {
        let device = Device::from_user_agent(&session.user_agent);
        let kind = match device.kind {
            DeviceKind::Desktop => "desktop",
            DeviceKind::Phone => "phone",
            DeviceKind::Tablet => "tablet",
            DeviceKind::Program => "program",
        };
        Self {
            id: session.id.to_string(),
            current: session.id == *asking,
            device: device.name,
            kind,
            ip: session
                .ip
                .known()
                .map_or_else(|| "unknown address".to_owned(), |ip| ip.to_string()),
            remember: session.remember,
            created_at: session.created_at.into(),
            last_seen_at: session.last_seen_at.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FieldError;

    #[test]
    fn moments_numbers_and_initials_read_well() {
        let moment = Moment::from(Timestamp::from_millis(1_764_000_000_123));
        assert_eq!(moment.iso, "2025-11-24T16:00:00.123Z");
        assert_eq!(moment.text, "24 November 2025, 16:00 UTC");
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"].map(String::from)
        );
        assert_eq!(count(1, "person", "people"), "1 person");
        assert_eq!(count(2_000, "person", "people"), "2,000 people");
        assert_eq!(initials("Ada King Lovelace", "x@example.org"), "AL");
        assert_eq!(initials("", "zoë@example.org"), "Z");
        assert_eq!(initials(" ", ""), "");
    }

    #[test]
    fn an_error_is_told_beside_its_field_or_for_the_whole_form() {
        let faults = Faults::from(&Error::Invalid(vec![
            FieldError::new("email", "invalid", "this is no e-mail address"),
            FieldError::new("email", "too_long", "too long"),
            FieldError::new("display_name", "too_long", "too long"),
        ]));
        let order: Vec<_> = faults.summary.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(order, ["email", "display_name"]);
        assert_eq!(faults.errors["email"], "This is no e-mail address.");
        assert_eq!(faults.problem, None);

        let faults = Faults::from(&Error::InvalidCredentials);
        assert!(faults.errors.is_empty());
        assert_eq!(
            faults.problem.as_deref(),
            Some("The e-mail address or the password is not right.")
        );
    }
}
