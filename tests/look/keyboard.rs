//! Everything can be done without a mouse (WCAG 2.2, 2.1.1).

use fantoccini::key::Key;

use super::stage::{ADA, GRACE, Stage};
use super::{enter, until};
use crate::app::PASSWORD;
use crate::support::browser::Browser;

/// A browser of which only the keyboard is used.
struct Keyboard(Browser);

impl Keyboard {
    /// Types into whatever has the focus.
    async fn types(&self, text: &str) {
        let focused = self.0.client().active_element().await.expect("something has the focus");
        focused.send_keys(text).await.expect("it takes keys");
    }

    async fn press(&self, key: Key) {
        self.types(&char::from(key).to_string()).await;
    }

    /// Goes on from stop to stop until one that fits this CSS selector has the focus.
    async fn tab_to(&self, css: &str) {
        for _ in 0..80 {
            self.press(Key::Tab).await;
            if self.has_focus(css).await {
                return;
            }
        }
        panic!("the keyboard does not come to {css} at {}", self.0.url().await);
    }

    async fn has_focus(&self, css: &str) -> bool {
        let script = format!("return document.activeElement.matches({css:?})");
        self.0.execute(&script).await == true
    }

    /// Waits for the page with this heading or notice.
    async fn sees(&self, text: &str) {
        let truth = format!(
            "[...document.querySelectorAll('h1, .notice')].some((one) => one.innerText.includes({text:?}))"
        );
        until(&self.0, &truth).await;
    }

    async fn signs_in(&self, stage: &Stage, email: &str) {
        self.0.goto(&stage.url("/login")).await;
        self.types(email).await;
        self.press(Key::Tab).await;
        self.types(PASSWORD).await;
        self.press(Key::Enter).await;
        until(&self.0, "location.pathname === '/profile'").await;
    }
}

#[rocket::async_test]
async fn the_keyboard_is_enough() {
    let stage = Stage::open(&[]).await;
    stage.invite(GRACE, "Grace Hopper", &["admin"]).await;
    stage.invite(ADA, "Ada Lovelace", &[]).await;
    stage.listen().await;
    let keyboard = Keyboard(enter(&stage).await);
    ones_own_account(&keyboard, &stage).await;
    somebody_elses(&keyboard, &stage).await;
}

async fn ones_own_account(keyboard: &Keyboard, stage: &Stage) {
    keyboard.signs_in(stage, ADA).await;
    keyboard.tab_to(".skip").await;
    keyboard.press(Key::Enter).await;
    keyboard.press(Key::Tab).await;
    assert!(keyboard.has_focus("main [name=display_name]").await, "past the navigation");
    keyboard.types("Ada King").await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("Your changes are saved.").await;

    // What is wrong has the focus, and leads to the field.
    keyboard.tab_to("[name=current_password]").await;
    keyboard.types("not the password").await;
    keyboard.tab_to("[name=new_password]").await;
    keyboard.types("seven quiet lanterns").await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("Please check").await;
    assert!(keyboard.has_focus("[role=alert]").await);
    keyboard.press(Key::Tab).await;
    keyboard.press(Key::Enter).await;
    assert!(keyboard.has_focus("[name=current_password][aria-invalid=true]").await);
    keyboard.tab_to(".me button").await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("You are signed out.").await;
}

async fn somebody_elses(keyboard: &Keyboard, stage: &Stage) {
    keyboard.signs_in(stage, GRACE).await;
    keyboard.tab_to("nav a[href='/admin']").await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("Overview").await;
    keyboard.tab_to(".tabs a[href='/admin/users']").await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("People").await;
    let ada = stage.person(ADA).await;
    keyboard.tab_to(&format!("main a[href='{ada}']")).await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("Ada").await;
    keyboard.tab_to("[name=roles][value=admin]").await;
    keyboard.types(" ").await;
    keyboard.tab_to("form[action$='/roles'] button").await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("The roles are saved.").await;
    keyboard.tab_to("details:has([action$='/disable']) summary").await;
    keyboard.press(Key::Enter).await;
    keyboard.tab_to("form[action$='/disable'] button").await;
    keyboard.press(Key::Enter).await;
    keyboard.sees("The account is disabled").await;
}
