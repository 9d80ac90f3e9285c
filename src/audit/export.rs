//! Events as a file: a page at a time, so that the whole is never in memory.

use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::try_unfold;

use super::store::EventFilter;
use super::{Audit, Entry, Event, Kind};
use crate::error::{Error, Result};

/// How many events are read at once.
const PAGE: u32 = 500;

/// The columns, in the order of [`cells`].
const HEADINGS: &str = "id,at,kind,actor,subject,ip,result,request_id,detail\r\n";

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(inline)]
pub enum Format {
    /// A table (RFC 4180), in which no cell begins like a formula.
    #[schemars(rename = "csv")]
    Csv,
    /// A JSON object on each line, as the JSON interface shows an event.
    #[schemars(rename = "jsonl")]
    JsonLines,
}

impl Format {
    /// Reads a format's name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `format`.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::JsonLines),
            _ => Err(Error::field("format", "unknown_format", "This must be csv or jsonl.")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    fn write(self, events: &[Event], text: &mut String) -> Result<()> {
        for event in events {
            match self {
                Self::Csv => text.push_str(&line(event)),
                Self::JsonLines => {
                    text.push_str(&serde_json::to_string(event).map_err(Error::internal)?);
                    text.push('\n');
                }
            }
        }
        Ok(())
    }
}

/// What is left to be written.
struct Rest {
    audit: Arc<Audit>,
    filter: EventFilter,
    format: Format,
    begun: bool,
    cursor: Option<String>,
}

impl Audit {
    /// Every event that `filter` lets through up to this moment, the latest first, as the parts of a
    /// file. That somebody takes them along is an event too.
    pub async fn export(
        self: &Arc<Self>,
        filter: EventFilter,
        format: Format,
    ) -> impl Stream<Item = Result<Vec<u8>>> + Send + use<> {
        let event = Entry::of(Kind::SensitiveRead);
        self.record(event.detail(format!("the audit log as {}", format.name()))).await;
        // What is recorded meanwhile would be met by chance.
        let end = self.clock.now() + Duration::from_millis(1);
        let to = Some(filter.to.map_or(end, |to| to.min(end)));
        let filter = EventFilter { to, limit: PAGE, after: None, ..filter };
        let rest = Rest { audit: Arc::clone(self), filter, format, begun: false, cursor: None };
        try_unfold(Some(rest), |rest| async {
            let Some(mut rest) = rest else { return Ok(None) };
            let page = rest.audit.list(rest.filter.clone(), rest.cursor.as_deref()).await?;
            let mut text = String::new();
            if !rest.begun && rest.format == Format::Csv {
                text.push_str(HEADINGS);
            }
            rest.format.write(&page.items, &mut text)?;
            rest.begun = true;
            rest.cursor = page.next_cursor;
            let more = rest.cursor.is_some();
            Ok(Some((text.into_bytes(), more.then_some(rest))))
        })
    }
}

fn line(event: &Event) -> String {
    let cells = cells(event).map(|text| cell(&text)).join(",");
    format!("{cells}\r\n")
}

fn cells(event: &Event) -> [String; 9] {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        event.id.to_string(),
        event.at.to_string(),
        event.kind.clone(),
        optional(&event.actor),
        optional(&event.subject),
        optional(&event.ip),
        event.result.clone(),
        optional(&event.request_id),
        optional(&event.detail),
    ]
}

/// A cell of a table. A spreadsheet runs what begins like a formula: an apostrophe in front makes it
/// text (OWASP, CSV Injection).
fn cell(text: &str) -> String {
    let formula = text.starts_with([
        '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ]);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_whatever_stands_in_it() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("a,b", "\"a,b\""),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
