//! `/api/v1/admin/audit/export`: the audit trail as a file.

use doorward::audit::{Entry, Kind};
use serde_json::Value;

use crate::app::*;
use crate::on_every_backend;

const EXPORT: &str = "/api/v1/admin/audit/export";
const EVENT: &str = "id at kind actor subject ip result request_id detail";

on_every_backend! {
    async fn every_event_that_a_filter_lets_through_is_in_the_file(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let ada = app.create("ada@example.org", &[]).await;
        let audit = app.audit().await;
        for n in 0..1100 {
            audit.record(Entry::of(Kind::UserUpdated).detail(format!("number {n}"))).await;
        }
        app.audit().await;
        let lines = root.get(&format!("{EXPORT}?format=jsonl&kind=user_updated")).await.expect(200);
        assert_eq!(lines.header("Content-Type"), Some("application/x-ndjson"));
        let name = "attachment; filename=\"doorward-audit.jsonl\"";
        assert_eq!(lines.header("Content-Disposition"), Some(name));
        assert_eq!(lines.header("Cache-Control"), Some("no-store"));
        let text = lines.text();
        let events: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        assert_eq!(events.len(), 1100);
        assert_fields(&events[0], EVENT);
        assert_eq!((&events[0]["detail"], &events[1099]["detail"]), (&"number 1099".into(), &"number 0".into()));

        let table = root.get(&format!("{EXPORT}?format=csv&kind=user_updated")).await.expect(200);
        assert_eq!(table.header("Content-Type"), Some("text/csv; charset=utf-8"));
        let text = table.text();
        assert!(text.starts_with("id,at,kind,actor,subject,ip,result,request_id,detail\r\n"));
        assert_eq!(text.matches("\r\n").count(), 1101);
        assert!(text.ends_with(",,,success,,number 0\r\n"), "{}", &text[text.len() - 80..]);

        let about = root.get(&format!("{EXPORT}?format=jsonl&subject=ada@example.org")).await;
        let about = about.expect(200).text();
        assert!(about.lines().count() >= 1 && about.lines().all(|line| line.contains(&*ada)), "{about}");

        // Whoever takes it along leaves a trace.
        app.audit().await;
        let traces = root.get("/api/v1/admin/audit?kind=sensitive_read").await.expect(200).json();
        let details: Vec<_> =
            traces["items"].as_array().unwrap().iter().map(|event| &event["detail"]).collect();
        assert_eq!(details, ["the audit log as jsonl", "the audit log as csv", "the audit log as jsonl"]);
        let me = &root.me().await.json()["user"]["id"];
        assert_eq!(&traces["items"][0]["actor"], me);
    }
}

#[rocket::async_test]
async fn a_cell_that_a_spreadsheet_would_run_is_text() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let audit = app.audit().await;
    audit.record(Entry::of(Kind::UserUpdated).detail("=HYPERLINK(\"//evil\",\"x\")")).await;
    audit.record(Entry::of(Kind::UserUpdated).by("@SUM(1)").detail("a, \"b\"")).await;
    app.audit().await;
    let table =
        root.get(&format!("{EXPORT}?format=csv&kind=user_updated")).await.expect(200).text();
    assert!(table.contains(",\"'=HYPERLINK(\"\"//evil\"\",\"\"x\"\")\"\r\n"), "{table}");
    assert!(table.contains(",'@SUM(1),") && table.contains(",\"a, \"\"b\"\"\"\r\n"), "{table}");
}

#[rocket::async_test]
async fn a_file_has_a_format_and_a_filter_that_mean_something() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    for (query, fault) in [
        ("format=xls", "format: unknown_format"),
        ("format=csv&kind=nonsense", "kind: unknown_kind"),
        ("format=csv&from=yesterday", "from: invalid_time"),
    ] {
        let refused = root.get(&format!("{EXPORT}?{query}")).await;
        assert_eq!(refused.expect_problem(422, "validation_failed").faults(), [fault]);
    }
    let nothing =
        root.get(&format!("{EXPORT}?format=csv&kind=authn_token_reuse")).await.expect(200);
    assert_eq!(nothing.text().lines().count(), 1);
    let nothing =
        root.get(&format!("{EXPORT}?format=jsonl&kind=authn_token_reuse")).await.expect(200);
    assert_eq!(nothing.text(), "");
}

/// Who may not see accounts does not learn whose an address is.
#[rocket::async_test]
async fn an_address_is_looked_up_for_those_alone_who_may_see_accounts() {
    let app = TestApp::light().await;
    app.add_role("auditor", &["audit:read"]).await;
    let auditor = app.signed_in("eve@example.org", &["auditor"]).await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    app.audit().await;
    let about = "/api/v1/admin/audit?subject=eve@example.org";
    assert_eq!(auditor.get(about).await.expect(200).json()["items"], serde_json::json!([]));
    assert!(!root.get(about).await.expect(200).json()["items"].as_array().unwrap().is_empty());
    let file = auditor.get(&format!("{EXPORT}?format=jsonl&subject=eve@example.org")).await;
    assert_eq!(file.expect(200).text(), "");
}
