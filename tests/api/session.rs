//! `/api/v1/auth`: registering, signing in, refreshing, signing out.

use serde_json::json;

use crate::app::*;
use crate::on_every_backend;

on_every_backend! {
    async fn a_spent_refresh_token_closes_the_session(app: TestApp) {
        app.register("ada@example.org").await;
        let thief = app.copy();
        app.later(minutes(1));
        app.refresh().await.expect(200);
        app.get("/api/v1/me").await.expect(200);
        app.later(minutes(1));

        thief.refresh().await.expect_problem(401, "refresh_reused");
        app.get("/api/v1/me").await.expect_problem(401, "session_ended");
    }

    async fn signing_out_counts_from_the_next_request(app: TestApp) {
        app.register("ada@example.org").await;
        let elsewhere = app.copy();
        app.call(rocket::http::Method::Post, "/api/v1/auth/logout", json!(null)).await.expect(204);
        elsewhere.get("/api/v1/me").await.expect_problem(401, "session_ended");
        assert_eq!(app.cookie(ACCESS), None);
    }
}
