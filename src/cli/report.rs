//! What a command says: lines for people, or JSON for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::Args;
use serde_json::{Value, json};

use crate::app::StartError;
use crate::app::output::Stream;
use crate::error::Result;

/// The result of a command.
pub(super) struct Report {
    pub lines: Vec<String>,
    pub value: Value,
    /// Whether what it says is bad news: then the exit code is 1.
    pub failed: bool,
    /// Whether all of it was printed on the way, page by page.
    printed: bool,
    /// What has been changed, where the command changes anything: it is said even if the report cannot be.
    done: Option<String>,
}

impl Report {
    /// Of a command that looked at something.
    pub fn new(line: impl Into<String>, value: Value) -> Self {
        Self::of(vec![line.into()], value)
    }

    /// Of a command that looked at something, in several lines.
    pub fn of(lines: Vec<String>, value: Value) -> Self {
        Self { lines, value, failed: false, printed: false, done: None }
    }

    /// Of a command that changed something.
    pub fn done(line: impl Into<String>, value: Value) -> Self {
        let line = line.into();
        Self { done: Some(line.clone()), ..Self::new(line, value) }
    }

    /// Of a list that was printed on the way.
    fn printed() -> Self {
        Self { printed: true, ..Self::of(Vec::new(), Value::Null) }
    }

    /// The same, with other words for what was changed.
    pub fn having_done(self, what: &str) -> Self {
        Self { done: Some(what.to_owned()), ..self }
    }

    /// A whole list.
    pub fn list(lines: Vec<String>, items: Vec<Value>) -> Self {
        let lines = lines.iter().map(|line| printable(line)).collect();
        Self::of(lines, json!({ "items": items, "next_cursor": null }))
    }
}

/// Standard output did not take what a command had to say.
#[derive(Debug, thiserror::Error)]
#[error("failed to write to standard output: {error}{}", also(.done.as_deref()))]
pub(super) struct Unwritten {
    #[source]
    error: io::Error,
    done: Option<String>,
}

fn also(done: Option<&str>) -> String {
    done.map(|done| format!("; the command did its work all the same: {done}")).unwrap_or_default()
}

impl Unwritten {
    /// Whether the reader has gone, who had read enough: that is no failure.
    pub fn is_nobody_reading(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self { error, done: None }
    }
}

/// Writes what a command says to standard output.
pub(super) struct Printer {
    json: bool,
    out: Stream,
    /// Whether the output holds part of a list.
    begun: bool,
}

impl Printer {
    pub fn new(json: bool) -> Self {
        Self { json, out: Stream::stdout(), begun: false }
    }

    pub fn report(&mut self, report: &Report) -> Result<(), Unwritten> {
        let mut text = String::new();
        if report.printed {
            return Ok(());
        } else if self.json {
            text = format!("{}\n", report.value);
        } else {
            report.lines.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
        }
        let written = self.out.write_all(text.as_bytes());
        written.map_err(|error| Unwritten { error, done: report.done.clone() })
    }

    /// Tells programs why a command failed, unless that would stand in the middle of a list.
    pub fn failure(&mut self, value: &Value) {
        if self.json && !self.begun {
            let _ = self.out.write_all(format!("{value}\n").as_bytes());
        }
    }

    /// Writes a page of a list: for each item its line and its value.
    pub fn page(&mut self, items: &[(String, Value)]) -> Result<(), Unwritten> {
        let mut text = String::new();
        for (line, value) in items {
            if self.json {
                text.push_str(if self.begun { "," } else { "{\"items\":[" });
                let _ = write!(text, "{value}");
            } else {
                text.extend([printable(line).as_str(), "\n"]);
            }
            self.begun = true;
        }
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Ends a list, which goes on at `next_cursor`.
    pub fn end(&mut self, next_cursor: Option<&str>) -> Result<Report, Unwritten> {
        let text = match next_cursor {
            _ if self.json => {
                let start = if self.begun { "" } else { "{\"items\":[" };
                format!("{start}],\"next_cursor\":{}}}\n", json!(next_cursor))
            }
            Some(cursor) => format!("(there are more: --cursor {cursor})\n"),
            None => String::new(),
        };
        self.out.write_all(text.as_bytes())?;
        Ok(Report::printed())
    }
}

/// How much of a long list is wanted.
#[derive(Args)]
pub(super) struct Extent {
    /// At most this many (all, if not given)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Go on where a list with --limit ended: its next_cursor
    #[arg(long, allow_hyphen_values = true)]
    cursor: Option<String>,
}

/// How many items are asked for at a time.
const PAGE: u32 = 200;

impl Extent {
    /// Prints a list page by page as it is read, so that its length takes no memory. `read` gets the size of
    /// a page and where it begins, and gives its items and where the next one begins.
    pub async fn print<T, R>(
        self,
        printer: &mut Printer,
        mut read: impl FnMut(u32, Option<String>) -> R,
        describe: impl Fn(&T) -> (String, Value),
    ) -> Result<Report, StartError>
    where
        R: Future<Output = Result<(Vec<T>, Option<String>)>>,
    {
        let (mut left, mut cursor) = (self.limit, self.cursor);
        loop {
            let size = left.map_or(PAGE, |left| left.min(PAGE));
            let (items, next) = read(size, cursor).await?;
            printer.page(&items.iter().map(&describe).collect::<Vec<_>>())?;
            left = left.map(|left| left.saturating_sub(u32::try_from(items.len()).unwrap_or(left)));
            if next.is_none() || left == Some(0) {
                return Ok(printer.end(next.as_deref())?);
            }
            cursor = next;
        }
    }
}

/// The line with its control characters shown and not obeyed: others than we may have written it.
fn printable(line: &str) -> String {
    line.trim_end().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
