//! An event of the log as a line for people: requests short, all else as `tracing` writes it.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats an event as a line of text.
#[derive(Default)]
pub(super) struct TextLine(Format);

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != "access" {
            return self.0.format_event(context, writer, event);
        }
        let mut request = Request::default();
        event.record(&mut request);
        SystemTime.format_time(&mut writer)?;
        request.write(&mut writer)
    }
}

/// What is shown of a request.
#[derive(Debug, Default)]
struct Request {
    method: String,
    path: String,
    status: u64,
    micros: u64,
    ip: String,
    account: Option<String>,
    request_id: String,
}

impl Request {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Self { method, path, status, micros, ip, account, request_id } = self;
        // Green for what went well, blue for elsewhere, yellow for their mistakes and red for ours.
        let colour = match status {
            0..300 => 32,
            300..400 => 34,
            400..500 => 33,
            _ => 31,
        };
        let (on, off) = match writer.has_ansi_escapes() {
            true => (format!("\u{1b}[{colour}m"), "\u{1b}[0m"),
            false => (String::new(), ""),
        };
        let (millis, part) = (micros / 1000, micros % 1000 / 100);
        let account = account.as_deref().unwrap_or("-");
        writeln!(
            writer,
            " {on}{method} {path} {status}{off} {millis}.{part} ms, {ip}, {account}, {request_id}"
        )
    }
}

impl Visit for Request {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "method" => self.method = value.to_owned(),
            "path" => self.path = value.to_owned(),
            "account" => self.account = Some(value.to_owned()),
            "request_id" => self.request_id = value.to_owned(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "status" => self.status = value,
            "micros" => self.micros = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "ip" {
            self.ip = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_short_line() {
        let mut line = String::new();
        let request = Request {
            method: "GET".into(),
            path: "/login".into(),
            status: 200,
            micros: 12_345,
            ip: "127.0.0.1".into(),
            account: None,
            request_id: "OrKFPC91lp_rCNkx".into(),
        };
        request.write(&mut Writer::new(&mut line)).unwrap();
        assert_eq!(line, " GET /login 200 12.3 ms, 127.0.0.1, -, OrKFPC91lp_rCNkx\n");
    }
}
