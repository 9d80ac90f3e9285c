//! What whoever watches the server sees of sign-ins and refreshes (docs/metrics.md).

use metrics_exporter_prometheus::PrometheusBuilder;

use crate::app::*;

const WRONG: &str = "not the password at all";

/// The counters with a value, as `logins good 2`, in order.
fn counted(page: &str) -> Vec<String> {
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("doorward_")?.split_once("_total{outcome=\"")?;
        let (outcome, count) = rest.split_once("\"} ")?;
        Some(format!("{name} {outcome} {count}"))
    };
    let mut lines: Vec<String> = page.lines().filter_map(line).collect();
    lines.sort();
    lines
}

#[rocket::async_test]
async fn every_outcome_of_a_sign_in_and_of_a_refresh_is_counted_as_what_it_was() {
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &[LIMITS[2], LIMITS[5]]).await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);

    app.create("ada@example.org", &[]).await;
    app.stranger().register("bob@example.org").await;
    for _ in 0..5 {
        app.log_in_with("ada@example.org", WRONG).await.expect(401);
    }
    app.log_in_with("ada@example.org", PASSWORD).await.expect(429);
    app.later(seconds(1));
    app.log_in("ada@example.org").await;
    let before = app.copy();
    app.refresh().await.expect(200);
    before.copy().refresh().await.expect(200);
    app.later(seconds(10));
    before.copy().refresh().await.expect(200);
    app.later(std::time::Duration::from_millis(1));
    before.copy().refresh().await.expect(200);
    app.me().await.expect(200);
    before.refresh().await.expect(401);
    app.refresh().await.expect(401);
    let stranger = app.stranger();
    stranger.put_cookie(REFRESH, "no token");
    stranger.refresh().await.expect(401);
    app.log_in("ada@example.org").await;
    while app.refresh().await.status.code == 200 {}

    assert_eq!(
        counted(&recorder.handle().render()),
        [
            "logins good 3",
            "logins refused 5",
            "logins throttled 1",
            "refreshes ended 1",
            "refreshes invalid 1",
            "refreshes repeated_in_grace 2",
            "refreshes repeated_unused 1",
            "refreshes reused 1",
            "refreshes rotated 61",
            "refreshes throttled 1",
        ]
    );
}
