//! The reference of the JSON interface, for people.

use crate::app::*;

#[rocket::async_test]
async fn every_call_and_every_problem_is_on_the_page() {
    let app = TestApp::light().await;
    let page = app.get("/api/docs").await.expect(200);
    assert!(
        page.header("Content-Security-Policy").is_some_and(|csp| csp.contains("style-src 'self'"))
    );
    assert!(page.all("Set-Cookie").is_empty(), "looking at it leaves nothing behind");
    let html = page.text();
    let document = app.get("/api/v1/openapi.json").await.expect(200).json();
    for (path, item) in document["paths"].as_object().expect("paths") {
        assert!(html.contains(&format!("<code>{path}</code>")), "{path}");
        let get = item.get("get").or_else(|| item.get("post"));
        for operation in get.into_iter().filter(|_| !path.contains("ext-authz")) {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(html.contains(&format!("id=\"{name}\"")), "{name}");
        }
    }
    let codes = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    for code in codes.as_array().expect("codes") {
        let code = code.as_str().expect("a code");
        assert!(html.contains(&format!("id=\"code-{code}\"")), "{code}");
    }
    for told in ["harbour-lantern-quilt-47", "users:write", "Recent password", "list of"] {
        assert!(html.contains(told), "{told}");
    }
}

#[rocket::async_test]
async fn who_is_signed_in_keeps_the_way_back() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    assert!(root.get("/api/docs").await.expect(200).text().contains("href=\"/admin\""));
    assert!(!app.get("/api/docs").await.expect(200).text().contains("href=\"/admin\""));
}

#[rocket::async_test]
async fn the_dashboard_leads_to_it_unless_it_is_switched_off() {
    for (shown, status) in [("true", 200), ("false", 404)] {
        let settings = [("DOORWARD_API_DOCS", shown)];
        let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let links = root.get("/admin").await.expect(200).between("href=\"/api/", "\"");
        assert_eq!(links == ["docs"], status == 200, "{links:?}");
        root.get("/api/docs").await.expect(status);
    }
}
