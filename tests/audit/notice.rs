//! What owners are told at their next page (SR-81).

use rocket::http::Method;
use serde_json::json;

use crate::app::*;
use crate::on_every_backend;

const NEW_DEVICE: &str = "a device that is new to us";
const CHANGED: &str = "Your password was changed.";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 \
    (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";

async fn log_in_on(visitor: &Visitor, user_agent: &str) {
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    let ask = visitor.ask(Method::Post, "/api/v1/auth/login").header("User-Agent", user_agent);
    ask.header("Sec-Fetch-Site", "same-origin").json(&body).send().await.expect(200);
}

async fn page(visitor: &Visitor) -> String {
    visitor.get("/profile").await.expect(200).text()
}

async fn dismiss(visitor: &Visitor) {
    let until = visitor.get("/profile").await.expect(200).hidden("until");
    let fields = [("until", until.as_str())];
    visitor
        .submit("/profile", "/profile/notices/dismiss", &fields)
        .await
        .expect_redirect("/profile");
}

on_every_backend! {
    async fn sr_81_a_new_device_is_told_of_until_it_is_put_away(app: TestApp) {
        app.create("ada@example.org", &["user"]).await;
        log_in_on(&app, FIREFOX).await;
        assert!(!page(&app).await.contains(NEW_DEVICE), "the first is nothing new");
        let again = app.stranger();
        log_in_on(&again, FIREFOX).await;
        assert!(!page(&app).await.contains(NEW_DEVICE), "the same is nothing new");

        let phone = app.stranger().at("198.51.100.66");
        log_in_on(&phone, SAFARI).await;
        assert!(!page(&phone).await.contains(NEW_DEVICE), "this is the sign-in that it tells of");
        let later = app.stranger();
        log_in_on(&later, SAFARI).await;
        for visitor in [&*app, &again, &later] {
            let html = page(visitor).await;
            assert!(html.contains(NEW_DEVICE) && html.contains("Safari on iPhone"));
            assert!(html.contains("198.51.100.66"));
        }
        dismiss(&app).await;
        assert!(!page(&app).await.contains(NEW_DEVICE));
        assert!(!page(&again).await.contains(NEW_DEVICE));
        log_in_on(&app.stranger(), SAFARI).await;
        assert!(!page(&app).await.contains(NEW_DEVICE), "it is known now");
    }

    async fn sr_81_a_changed_password_is_told_of(app: TestApp) {
        app.create("ada@example.org", &["user"]).await;
        app.log_in("ada@example.org").await;
        let body = json!({ "current_password": PASSWORD, "new_password": "a castle of nougat" });
        app.call(Method::Put, "/api/v1/me/password", body).await.expect(204);
        assert!(!page(&app).await.contains(CHANGED), "whoever changed it there knows");
        let next = app.stranger();
        next.log_in_with("ada@example.org", "a castle of nougat").await.expect(200);
        assert!(page(&next).await.contains(CHANGED));

        // The JSON interface shows the fields of its contract and no others.
        let user = next.get("/api/v1/me").await.expect(200).json()["user"].clone();
        assert!(user.get("notices").is_none());
        // Nobody else is shown it, and nobody puts it away from elsewhere.
        assert!(!app.stranger().get("/login").await.expect(200).text().contains(CHANGED));
        let foreign = next.ask(Method::Post, "/profile/notices/dismiss");
        let foreign = foreign.header("Sec-Fetch-Site", "cross-site").form(&[("until", "9")]);
        foreign.send().await.expect(403);
        dismiss(&next).await;
        assert!(!page(&next).await.contains(CHANGED));
    }
}
