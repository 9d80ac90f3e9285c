//! `/profile/sessions`: one's devices.

use rocket::http::Method;

use super::{expect_only_own_forms, expect_strict_forms, form_token};
use crate::app::*;
use crate::on_every_backend;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
     (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

async fn on_device(app: &TestApp, user_agent: &str, ip: &str) -> Visitor {
    let visitor = app.stranger().at(ip);
    let body = serde_json::json!({ "email": "ada@example.org", "password": PASSWORD });
    let ask = visitor.ask(Method::Post, "/api/v1/auth/login").header("User-Agent", user_agent);
    ask.json(&body).send().await.expect(200);
    visitor
}

async fn revocable(visitor: &Visitor) -> Vec<String> {
    let page = visitor.get("/profile/sessions").await.expect(200);
    page.between("action=\"/profile/sessions/", "/revoke\"")
}

on_every_backend! {
    async fn one_sees_ones_devices_this_one_first(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let laptop = on_device(&app, FIREFOX, "192.0.2.1").await;
        app.later(minutes(5));
        on_device(&app, IPHONE, "192.0.2.2").await;
        app.later(minutes(3));
        let page = laptop.get("/profile/sessions").await.expect(200);
        // Behind what tells of the new device.
        let text = page.reading();
        let text = &text[text.rfind("Your devices").expect("the heading")..];
        let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {text}"));
        assert!(place("Firefox on Linux") < place("This device"));
        assert!(place("This device") < place("192.0.2.1"));
        assert!(place("192.0.2.1") < place("Safari on iPhone"));
        assert!(place("Safari on iPhone") < place("192.0.2.2"));
        page.says("datetime=\"2027-01-15T08:00:00.000Z\"").says("Ends 1 other session and");
        assert_eq!(page.text().matches("This device").count(), 1);
        assert_eq!(revocable(&laptop).await.len(), 1);
    }

    async fn one_signs_a_single_device_out(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let laptop = on_device(&app, FIREFOX, "192.0.2.1").await;
        let phone = on_device(&app, IPHONE, "192.0.2.2").await;
        let id = revocable(&laptop).await.remove(0);
        let path = format!("/profile/sessions/{id}/revoke");
        let done = laptop.submit("/profile/sessions", &path, &[]).await;
        done.expect_redirect("/profile/sessions?done=device");
        phone.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
        let page = laptop.get("/profile/sessions?done=device").await.expect(200);
        page.says("That device is signed out.").says("the only place");
        laptop.submit("/profile/sessions", &path, &[]).await.expect(404);
    }

    async fn one_signs_all_others_out(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let laptop = on_device(&app, FIREFOX, "192.0.2.1").await;
        let others = [
            on_device(&app, IPHONE, "192.0.2.2").await,
            on_device(&app, FIREFOX, "192.0.2.3").await,
        ];
        let path = "/profile/sessions/revoke-others";
        let done = laptop.submit("/profile/sessions", path, &[]).await;
        done.expect_redirect("/profile/sessions?done=others");
        for other in others {
            other.get("/profile").await.expect(303);
        }
        laptop.get("/profile/sessions").await.expect(200).says("the only place");
        laptop.submit("/profile/sessions", path, &[]).await.expect(303);
    }

    async fn nobody_ends_the_session_of_somebody_else(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let laptop = on_device(&app, FIREFOX, "192.0.2.1").await;
        on_device(&app, IPHONE, "192.0.2.2").await;
        let id = revocable(&laptop).await.remove(0);
        let mallory = app.signed_in("mallory@example.org", &[]).await;
        for id in [&*id, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x", "%2e%2e"] {
            let path = format!("/profile/sessions/{id}/revoke");
            mallory.submit("/profile/sessions", &path, &[]).await.expect(404);
        }
        assert_eq!(revocable(&laptop).await, [id]);
        mallory.get("/profile/sessions").await.expect(200).never_says("192.0.2.1");
    }
}

#[rocket::async_test]
async fn sr_41_only_ones_own_form_signs_devices_out() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    app.create("ada@example.org", &[]).await;
    let laptop = on_device(&app, FIREFOX, "192.0.2.1").await;
    let phone = on_device(&app, IPHONE, "192.0.2.2").await;
    let (at, others) = ("/profile/sessions", "/profile/sessions/revoke-others");
    let foreign = form_token(&phone, at).await;
    let one = format!("{at}/{}/revoke", revocable(&laptop).await.remove(0));
    for to in [one.as_str(), others] {
        expect_only_own_forms(&laptop, at, to, &[], &foreign).await;
        expect_strict_forms(&laptop, at, to, &[]).await;
    }
    phone.get("/profile").await.expect(200);
    let stranger = app.stranger();
    stranger.get(at).await.expect_redirect("/login?next=%2Fprofile%2Fsessions");
    stranger.ask(Method::Post, others).form(&[]).send().await.expect_redirect("/login");
}
