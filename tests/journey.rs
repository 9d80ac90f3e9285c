//! The whole way through the real binary with a real browser, with scripts and without.

use std::time::{Duration, Instant};

use crate::app::PASSWORD;
use crate::support::binary::Server;
use crate::support::browser::{Browser, Options};

const ROOT: &str = "root@example.org";
const ADA: &str = "ada@example.org";
const NEW: &str = "seven quiet lanterns";

#[rocket::async_test]
async fn the_way_from_the_first_link_to_the_last_goodbye_with_scripts() {
    Journey::begin(true).await.walk().await;
}

#[rocket::async_test]
async fn the_way_from_the_first_link_to_the_last_goodbye_without_scripts() {
    Journey::begin(false).await.walk().await;
}

/// Three browsers before one server: an administrator's, and two of another person.
struct Journey {
    javascript: bool,
    server: Server,
    admin: Browser,
    second: Browser,
    third: Browser,
}

impl Journey {
    async fn begin(javascript: bool) -> Self {
        let server = Server::start(&[]);
        let options = Options { javascript, ..Options::default() };
        let (admin, second, third) =
            tokio::join!(Browser::open(options), Browser::open(options), Browser::open(options));
        Self { javascript, server, admin, second, third }
    }

    async fn walk(self) {
        self.the_first_administrator().await;
        self.somebody_registers().await;
        self.the_administrator_finds_them().await;
        self.they_sign_in_again().await;
        self.they_look_after_their_account().await;
        self.they_sign_another_device_out().await;
        self.they_leave().await;
        self.the_administrator_signs_out().await;
        self.nothing_went_wrong().await;
    }

    async fn the_first_administrator(&self) {
        let line = self.server.lines().wait_for("/setup?token=");
        let link = line.rsplit(' ').next().expect("a link");
        let admin = &self.admin;
        admin.goto(link).await;
        admin.fill("email", ROOT).await;
        admin.fill("display_name", "Grace Hopper").await;
        admin.fill("password", PASSWORD).await;
        admin.press("Create administrator").await;
        sees(admin, "h1", "Overview").await;
        assert_eq!(admin.path().await, "/admin");
        admin.press("Roles").await;
        sees(admin, "h1", "Roles").await;
    }

    async fn somebody_registers(&self) {
        let second = &self.second;
        second.goto(&self.server.url("/")).await;
        assert_eq!(second.path().await, "/login");
        second.press("Create one").await;
        sees(second, "h1", "Create your account").await;
        second.fill("email", ADA).await;
        second.fill("display_name", "Ada").await;
        second.fill("password", "passwordpassword").await;
        second.press("Create account").await;
        second.find("#e-password").await;
        let kept = second.find("[name=email]").await.prop("value").await.expect("asked");
        assert_eq!(kept.as_deref(), Some(ADA));
        second.fill("password", PASSWORD).await;
        second.press("Create account").await;
        sees(second, "h1", "Ada").await;
        assert_eq!(second.path().await, "/profile");
    }

    async fn the_administrator_finds_them(&self) {
        let admin = &self.admin;
        admin.press("People").await;
        sees(admin, "h1", "People").await;
        let table = admin.text("table").await;
        assert!(table.contains(ROOT) && table.contains(ADA), "{table}");
        admin.fill("q", "nobody").await;
        admin.click("form.filters button").await;
        sees(admin, ".empty", "Nobody matches").await;
        let status = admin.find("select[name=status]").await;
        admin.fill("q", "").await;
        status.select_by_value("active").await.expect("chosen");
        // A filter applies as it is chosen; without scripts it waits for the button.
        if !self.javascript {
            admin.click("form.filters button").await;
        }
        sees(admin, "table", ADA).await;
        admin.fill("q", "ada").await;
        admin.click("form.filters button").await;
        sees(admin, ".pager", "1 person on this page").await;
        let table = admin.text("table").await;
        assert!(!table.contains(ROOT) && table.contains(ADA), "{table}");

        admin.press("Ada").await;
        sees(admin, "h1", "Ada").await;
        admin.click("input[name=roles][value=admin]").await;
        admin.press("Save roles").await;
        sees(admin, ".notice", "The roles are saved.").await;
        // The person has the role in the session they had before.
        self.second.goto(&self.server.url("/admin")).await;
        sees(&self.second, "h1", "Overview").await;

        admin.click("details.confirm summary").await;
        admin.press("End 1 session").await;
        sees(admin, ".notice", "have ended").await;

        admin.goto(&self.server.url("/admin/users/new")).await;
        admin.fill("email", "eve@example.org").await;
        admin.press("Create person").await;
        sees(admin, "h1", "eve@example.org").await;
        admin.click("a[href$='/delete']").await;
        sees(admin, "h1", "Delete this account?").await;
        admin.press("Delete account").await;
        sees(admin, ".notice", "The account is deleted.").await;
        assert!(!admin.text("table").await.contains("eve@example.org"));
    }

    async fn they_sign_in_again(&self) {
        let second = &self.second;
        second.goto(&self.server.url("/profile/sessions")).await;
        assert_eq!(second.path().await, "/login");
        second.fill("email", ADA).await;
        second.fill("password", "not the password").await;
        second.press("Keep me signed in on this device").await;
        second.press("Sign in").await;
        second.find(".notice.danger").await;
        assert!(second.has("[name=remember]:checked").await);
        second.fill("password", PASSWORD).await;
        second.press("Sign in").await;
        sees(second, "h1", "Your devices").await;
        assert_eq!(second.path().await, "/profile/sessions");
        let cookie = second.cookie(crate::app::REFRESH).await.expect("a cookie");
        assert!(cookie.expires_datetime().is_some(), "it outlives the window");
        let seen = second.execute("return document.cookie").await;
        assert_eq!(seen, "", "no script sees a cookie");
    }

    async fn they_look_after_their_account(&self) {
        let second = &self.second;
        second.press("Profile").await;
        second.fill("display_name", "Ada King, Countess of Lovelace").await;
        second.press("Save").await;
        sees(second, ".notice", "Your changes are saved.").await;
        sees(second, "h1", "Ada King, Countess of Lovelace").await;
        second.fill("current_password", "not the password").await;
        second.fill("new_password", NEW).await;
        if self.javascript {
            second.click(".reveal button").await;
            assert!(second.has("[name=current_password][type=text]").await);
        }
        second.press("Change password").await;
        second.find("#e-current_password").await;
        second.fill("current_password", PASSWORD).await;
        second.fill("new_password", NEW).await;
        second.press("Change password").await;
        sees(second, ".notice", "Your password is changed.").await;
    }

    async fn they_sign_another_device_out(&self) {
        let (second, third) = (&self.second, &self.third);
        third.goto(&self.server.url("/login")).await;
        third.fill("email", ADA).await;
        third.fill("password", NEW).await;
        third.press("Sign in").await;
        sees(third, "h1", "Ada King, Countess of Lovelace").await;
        assert_eq!(third.path().await, "/profile");
        second.press("Devices").await;
        sees(second, "h1", "Your devices").await;
        sees(second, "li:has(.device)", "This device").await;
        second.click("form[action$='/revoke'] button").await;
        sees(second, ".notice", "That device is signed out.").await;
        third.press("Devices").await;
        third.find("[name=password]").await;
        assert_eq!(third.path().await, "/login");
    }

    async fn they_leave(&self) {
        let second = &self.second;
        second.goto(&self.server.url("/nothing")).await;
        sees(second, "h1", "Not found").await;
        second.press("Back to your profile").await;
        second.press("Delete account…").await;
        sees(second, "h1", "Delete your account").await;
        second.fill("password", NEW).await;
        second.press("Delete my account").await;
        sees(second, ".notice", "Your account is deleted.").await;
        assert_eq!(second.path().await, "/login");
        assert_eq!(second.cookie(crate::app::REFRESH).await, None);
        self.admin.goto(&self.server.url("/admin/users")).await;
        assert!(!self.admin.text("table").await.contains(ADA));
    }

    async fn the_administrator_signs_out(&self) {
        let admin = &self.admin;
        admin.press("Sign out").await;
        sees(admin, ".notice", "You are signed out.").await;
        // The back button shows nothing private (SR-44).
        admin.client().back().await.expect("back");
        admin.find("[name=next][value='/admin/users']").await;
        assert_eq!(admin.path().await, "/login");
    }

    async fn nothing_went_wrong(&self) {
        for browser in [&self.admin, &self.second, &self.third] {
            let mut errors = browser.console_errors().await;
            // The browser also writes down that we refused what was to be refused.
            errors.retain(|error| !error.contains("the server responded with a status of 4"));
            assert_eq!(errors, Vec::<String>::new());
        }
        let log = self.server.lines().all();
        let report = "a page tried what its policy forbids";
        let reports: Vec<_> = log.iter().filter(|line| line.contains(report)).collect();
        assert!(reports.is_empty(), "{reports:#?}");
        let bad: Vec<_> = log.iter().filter(|line| line.contains("ERROR")).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}

/// Waits until the first element that matches a CSS selector says `text`.
///
/// A click comes back before the page that it opens is there. The script finds the element and reads
/// it in one step, so that no page can go in between.
pub async fn sees(browser: &Browser, css: &str, text: &str) {
    let script =
        format!("return document.querySelector({})?.innerText ?? ''", serde_json::Value::from(css));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = browser.execute(&script).await;
        if seen.as_str().is_some_and(|seen| seen.contains(text)) {
            return;
        }
        let url = browser.url().await;
        assert!(Instant::now() < deadline, "{css} at {url} says {seen}, not {text:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
