//! An event of the log as one line of JSON: the time, the level, its fields, the target.
//!
//! Every request is such a line, so it is written straight into the buffer, without the detours that
//! a serializer for all kinds of values takes.

use std::fmt::{self, Debug, Display, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How many bytes a line about a request has.
const USUAL_LENGTH: usize = 384;

/// Formats an event as a line of JSON.
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let about = event.metadata();
        let mut line = String::with_capacity(USUAL_LENGTH);
        line.push_str("{\"timestamp\":\"");
        SystemTime.format_time(&mut Writer::new(&mut line))?;
        add_all(&mut line, &["\",\"level\":\"", about.level().as_str(), "\""]);
        event.record(&mut Fields(&mut line));
        line.push_str(",\"target\":\"");
        Escaped(&mut line).write_str(about.target())?;
        line.push_str("\"}\n");
        // Once: what is written to may be anything, and is asked what it is each time.
        writer.write_str(&line)
    }
}

/// Writes fields, each after a comma.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: impl Display) {
        // The names are ours: none needs an escape.
        add_all(self.0, &[",\"", field.name(), "\":"]);
        // A string takes everything.
        let _ = write!(self.0, "{value}");
    }

    fn add_text(&mut self, field: &Field, text: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
        add_all(self.0, &[",\"", field.name(), "\":\""]);
        let _ = text(&mut Escaped(self.0));
        self.0.push('"');
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, |text| text.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add_text(field, |text| write!(text, "{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        if value.is_finite() { self.add(field, value) } else { self.add(field, "null") }
    }
}

/// Writes what stands inside the quotes of a JSON string (RFC 8259 §7).
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|b| b < b' ' || b == b'"' || b == b'\\') {
            let (plain, from) = rest.split_at(at);
            self.0.push_str(plain);
            let mut chars = from.chars();
            match chars.next() {
                Some(special @ ('"' | '\\')) => self.0.extend(['\\', special]),
                Some('\n') => self.0.push_str("\\n"),
                Some(control) => write!(self.0, "\\u{:04x}", u32::from(control))?,
                None => {}
            }
            rest = chars.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

fn add_all(line: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| line.push_str(part));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn whatever_a_field_holds_the_line_is_json() {
        let hostile = "quote \" backslash \\ newline \n tab \t bell \u{7} delete \u{7f} é 🚪";
        let mut text = String::new();
        Escaped(&mut text).write_str(hostile).unwrap();
        let read: Value = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(read, json!(hostile));
        assert!(!text.contains('\n'));
    }
}
