//! `/admin/sessions`: everybody's live sessions.

use super::ROOT;
use crate::app::*;
use crate::on_every_backend;

const LIST: &str = "/admin/sessions";
const REVOKE: &str = "/admin/sessions/revoke";
const ADA: &str = "ada@example.org";

/// Four browsers: the administrator's, two of Ada, and one of Bob, each at an address of its own.
async fn crowd(app: &TestApp) -> [Visitor; 4] {
    let root = app.signed_in(ROOT, &["admin"]).await;
    app.create(ADA, &[]).await;
    app.create("bob@example.org", &[]).await;
    let mut browsers = Vec::new();
    for (email, ip) in
        [(ADA, "203.0.113.8"), (ADA, "198.51.100.1"), ("bob@example.org", "203.0.113.9")]
    {
        app.later(seconds(1));
        let browser = app.stranger().at(ip);
        browser.log_in(email).await;
        browsers.push(browser);
    }
    let [near, far, bob] = browsers.try_into().ok().expect("three");
    [root, near, far, bob]
}

/// The names of the boxes that can be ticked.
fn boxes(page: &Answer) -> Vec<String> {
    page.between("<input type=\"checkbox\" name=\"session\" value=\"", "\"")
}

on_every_backend! {
    async fn the_list_shows_whose_each_session_is_and_marks_ones_own(app: TestApp) {
        let [root, ..] = crowd(&app).await;
        let page = root.get(LIST).await.expect(200);
        page.says(ADA).says("bob@example.org").says("198.51.100.1").says("This session");
        page.says("4 sessions on this page").says("data-end-all hidden");
        assert_eq!(boxes(&page).len(), 3, "one's own cannot be ticked");
        let page = root.get("/admin/sessions?user=ada@example.org").await.expect(200);
        page.says("2 sessions on this page").never_says("bob@example.org").never_says("data-end-all hidden");
        assert_eq!(page.field("user"), ADA);
        let page = root.get("/admin/sessions?ip=203.0.113.0/24&user=").await.expect(200);
        page.says("3 sessions on this page").never_says("198.51.100.1");
        root.get("/admin/sessions?user=nobody").await.expect(200).says("No session matches");
        // As no filter it would show everybody, and end everybody.
        let wrong = root.get("/admin/sessions?ip=203.0.113").await.expect(422);
        assert!(wrong.fault("ip").is_some());
        wrong.never_says(ADA);
        root.get("/admin/sessions?cursor=made-up").await.expect(422);
    }

    async fn ticked_sessions_end_after_a_question(app: TestApp) {
        let [root, near, far, bob] = crowd(&app).await;
        let names = boxes(&root.get("/admin/sessions?user=ada@example.org").await.expect(200));
        assert_eq!(names.len(), 2);
        // The latest first: the one that is far.
        let ask = format!("{REVOKE}?session={}", names[0]);
        let question = root.get(&ask).await.expect(200);
        question.says("End 1 session?").says("198.51.100.1").never_says("203.0.113.8");
        assert_eq!(question.hidden("session"), names[0]);
        far.me().await.expect(200);
        let done = root.submit(&ask, REVOKE, &[("session", &names[0])]).await.expect(303);
        let place = done.header("Location").expect("a place").to_owned();
        root.get(&place).await.expect(200).says("1 session has ended.");
        far.me().await.expect(401);
        far.refresh().await.expect(401);
        near.me().await.expect(200);
        bob.me().await.expect(200);
        // It has ended already: nothing is left to ask about.
        root.get(&ask).await.expect(200).says("Nothing to end");
    }

    async fn all_that_match_end_after_a_question_but_for_ones_own(app: TestApp) {
        let [root, near, far, bob] = crowd(&app).await;
        let ask = format!("{REVOKE}?ip=203.0.113.0/24");
        let question = root.get(&ask).await.expect(200);
        question.says("End 2 sessions?").says("203.0.113.0/24").never_says("This session");
        let done = root.submit(&ask, REVOKE, &[("ip", "203.0.113.0/24")]).await.expect(303);
        let place = done.header("Location").expect("a place").to_owned();
        root.get(&place).await.expect(200).says("2 sessions have ended.");
        near.me().await.expect(401);
        bob.me().await.expect(401);
        far.me().await.expect(200);
        root.me().await.expect(200);
    }
}

#[rocket::async_test]
async fn a_form_that_names_nobody_ends_nothing() {
    let app = TestApp::light().await;
    let [root, near, ..] = crowd(&app).await;
    root.get(REVOKE).await.expect(200).says("Nothing to end");
    let token = super::form_token(&root, LIST).await;
    let post =
        async |fields: &[(&str, &str)]| super::post(&root, REVOKE, Some(&token), fields).await;
    for fields in
        [&[][..], &[("user", "")], &[("user", " "), ("ip", "")], &[("user", "nobody@example.org")]]
    {
        post(fields).await.expect(303);
    }
    post(&[("ip", "everywhere")]).await.expect(422);
    post(&[("session", "made-up")]).await.expect(404);
    post(&[("everybody", "yes")]).await.expect(422);
    let own = root.get("/api/v1/me/sessions").await.json()["items"][0]["id"].clone();
    let me = root.me().await.json()["user"]["id"].clone();
    let own = format!("{}.{}", me.as_str().unwrap(), own.as_str().unwrap());
    post(&[("session", &own)]).await.expect(303);
    near.me().await.expect(200);
    root.me().await.expect(200);
}

#[rocket::async_test]
async fn who_may_only_look_gets_no_boxes() {
    let app = TestApp::light().await;
    app.add_role("watcher", &["sessions:read"]).await;
    let eve = app.signed_in("eve@example.org", &["watcher"]).await;
    app.signed_in(ADA, &[]).await;
    let page = eve.get(LIST).await.expect(200);
    page.says(ADA).never_says("End ticked").never_says("checkbox");
    eve.get("/admin/sessions?user=ada@example.org").await.expect(200).never_says("End all");
    eve.get(REVOKE).await.expect(403);
}
