//! Where browsers report what the Content-Security-Policy stopped (SR-43).

use rocket::data::{Data, ToByteUnit as _};
use rocket::http::Status;
use rocket::{Route, post, routes};

/// Longest report that is read, in bytes.
const MAX_REPORT: u64 = 8 * 1024;

pub(super) fn routes() -> Vec<Route> {
    routes![csp]
}

/// Writes a report to the log, escaped: anybody can send one.
#[post("/csp-report", data = "<report>")]
async fn csp(report: Data<'_>) -> Status {
    match report.open(MAX_REPORT.bytes()).into_bytes().await {
        Ok(bytes) if bytes.is_complete() => {
            let text = String::from_utf8_lossy(&bytes).escape_debug().to_string();
            tracing::warn!(target: "csp", report = text, "a page tried what its policy forbids");
            Status::NoContent
        }
        _ => Status::PayloadTooLarge,
    }
}
