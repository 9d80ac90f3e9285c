//! Where browsers report what the Content-Security-Policy stopped (SR-43).

use rocket::data::{Data, ToByteUnit as _};
use rocket::http::Status;
use rocket::post;
use rocket::response::status::NoContent;
use serde_json::Value;

use crate::openapi::{Calls, call};
use crate::problem::Problem;

/// Longest report that is read, in bytes.
const MAX_REPORT: u64 = 8 * 1024;

pub(super) fn calls() -> Calls {
    let csp = call!(csp, "reportCsp", "Report a violation").more(
        "Browsers send what the Content-Security-Policy stopped; it is written to \
         the log.",
    );
    Calls { tag: "Server", about: "", calls: vec![csp] }
}

/// Writes a report to the log: which rule was broken, where, by what. Queries are left out, for the
/// set-up page's holds a token (SR-80).
#[post("/csp-report", data = "<report>")]
async fn csp(report: Data<'_>) -> Result<NoContent, Problem> {
    match report.open(MAX_REPORT.bytes()).into_bytes().await {
        Ok(bytes) if bytes.is_complete() => {
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let said = |field: &str| body["csp-report"][field].as_str().map(without_query);
            tracing::warn!(
                target: "csp",
                directive = said("violated-directive"),
                page = said("document-uri"),
                blocked = said("blocked-uri"),
                "a page tried what its policy forbids"
            );
            Ok(NoContent)
        }
        _ => Err(Problem::of_status(Status::PayloadTooLarge)),
    }
}

/// What a report says, without the query of an address, and escaped: anybody can send one.
fn without_query(text: &str) -> String {
    text.split(['?', '#'])
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string()
}
