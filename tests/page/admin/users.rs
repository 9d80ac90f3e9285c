//! `/admin/users`: the list, and one more person.

use super::{NEW, PEOPLE, ROOT, about};
use crate::app::*;
use crate::on_every_backend;

/// The e-mail addresses in the list, in its order.
fn listed(page: &Answer) -> Vec<String> {
    let rows = page.between("<th scope=\"row\">", "</th>");
    let word = |row: &str| {
        let text = row.replace(['<', '>'], " ");
        text.split_whitespace().find(|word| word.contains('@')).unwrap_or_default().to_owned()
    };
    // The script's pattern of a row has none.
    rows.iter().map(|row| word(row)).filter(|address| !address.is_empty()).collect()
}

on_every_backend! {
    async fn people_are_found_by_word_role_and_status(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin", "user"]).await;
        app.later(seconds(1));
        let ada = app.create("ada@example.org", &[]).await;
        app.later(seconds(1));
        app.create("percent%_x@example.org", &[]).await;
        root.submit(NEW, &about(&ada, "/disable"), &[]).await.expect(303);
        let all = ["percent%_x@example.org", "ada@example.org", ROOT];
        for (query, expected) in [
            ("", &all[..]),
            ("?q=ADA", &all[1..2]),
            ("?q=%25_", &all[..1]),
            ("?q=_", &all[..1]),
            ("?q=nobody", &[]),
            ("?role=admin", &all[2..]),
            ("?role=user&status=active", &[all[0], all[2]]),
            ("?status=disabled", &all[1..2]),
            ("?q=&role=&status=", &all[..]),
            ("?q=%20ada%20&role=user&status=disabled", &all[1..2]),
        ] {
            let page = root.get(&format!("{PEOPLE}{query}")).await.expect(200);
            assert_eq!(listed(&page), expected, "{query}");
        }
        let page = root.get("/admin/users?q=ada&role=user&status=disabled").await.expect(200);
        assert_eq!(page.field("q"), "ada");
        page.says("value=\"user\" selected").says("value=\"disabled\" selected");
        root.get("/admin/users?q=nobody").await.expect(200).says("Nobody matches");
    }

    async fn a_long_list_has_pages_that_keep_the_filter(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        for number in 0..51 {
            app.create(&format!("p{number:02}@example.org"), &[]).await;
        }
        let first = root.get("/admin/users?q=example&role=user").await.expect(200);
        first.says("50 people on this page").never_says("First page");
        let next = first.between("href=\"", "\" rel=\"next\"");
        let next = next[0].rsplit("href=\"").next().expect("the last link").to_owned();
        assert!(next.starts_with("/admin/users?q=example&role=user&cursor="), "{next}");
        let second = root.get(&next).await.expect(200);
        second.says("1 person on this page").says("href=\"/admin/users?q=example&role=user\"");
        let mut everybody = [listed(&first), listed(&second)].concat();
        everybody.sort();
        everybody.dedup();
        assert_eq!(everybody.len(), 51);
        let third = root.get("/admin/users?limit=3").await.expect(200);
        third.says("3 people on this page").says("/admin/users?limit=3&cursor=");
    }

    async fn a_filter_that_is_not_understood_shows_nobody(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.create("ada@example.org", &[]).await;
        let many = "a+".repeat(11);
        for (query, fields) in [
            ("role=nope", &["role"][..]),
            ("role=Non%20sense", &["role"]),
            ("status=nonsense", &["status"]),
            ("status=nonsense&role=nope", &["role", "status"]),
            (&*format!("q={many}"), &["q"]),
            ("role=user&role=admin", &["role"]),
            ("limit=abc", &[]),
            ("limit=0", &[]),
            ("limit=", &[]),
            ("cursor=made-up", &[]),
            ("cursor=", &[]),
            ("statsu=disabled", &[]),
            ("limit=3&limit=4", &[]),
        ] {
            let page = root.get(&format!("{PEOPLE}?{query}")).await.expect(422);
            assert_eq!(listed(&page), [""; 0], "{query}");
            page.says("Correct the filter").says("role=\"alert\"");
            for field in ["q", "role", "status"] {
                let is_wrong = fields.contains(&field);
                assert_eq!(page.fault(field).is_some(), is_wrong, "{query}: {field}");
                let marked = format!("name=\"{field}\"");
                let tag = page.reading();
                let tag = tag.split('<').find(|tag| tag.contains(&marked)).expect("a field").to_owned();
                assert_eq!(tag.contains("aria-invalid=\"true\""), is_wrong, "{query}: {tag}");
            }
        }
        // What was asked for is there still.
        let page = root.get(&format!("{PEOPLE}?role=nope&q=ada")).await.expect(422);
        assert_eq!(page.field("q"), "ada");
        page.says("<option value=\"nope\" selected>nope</option>");
        root.get(&format!("{PEOPLE}?done=removed&n=3")).await.expect(200);
    }

    async fn an_administrator_makes_an_account(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let fields = [
            ("email", "Ada@Example.org"),
            ("display_name", "Ada"),
            ("password", PASSWORD),
            ("roles", "user"),
            ("roles", "admin"),
        ];
        let made = root.submit(NEW, PEOPLE, &fields).await.expect(303);
        let place = made.header("Location").expect("a place").to_owned();
        let page = root.get(&place).await.expect(200);
        page.says("The account is created.").says("Ada@example.org").never_says(PASSWORD);
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        ada.get("/admin").await.expect_redirect("/profile/new-password?next=%2Fadmin");

        // Without a password nobody can sign in yet, whatever they try.
        let fields = [("email", "bob@example.org"), ("display_name", ""), ("password", "")];
        root.submit(NEW, PEOPLE, &fields).await.expect(303);
        app.log_in_with("bob@example.org", "").await.expect(401);
    }

    async fn an_account_that_cannot_be_made_is_told_and_kept(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let name = "n".repeat(101);
        let fields = [
            ("email", "no address"),
            ("display_name", &*name),
            ("password", "short"),
            ("roles", "admin"),
        ];
        let refused = root.submit(NEW, PEOPLE, &fields).await.expect(422);
        for field in ["email", "display_name", "password"] {
            assert!(refused.fault(field).is_some(), "nothing beside {field}");
        }
        assert_eq!(refused.field("email"), "no address");
        assert_eq!(refused.field("display_name"), name);
        assert_eq!(refused.field("password"), "");
        refused.says("value=\"admin\" checked").never_says("value=\"user\" checked");

        let taken = [("email", ROOT), ("roles", "user")];
        let refused = root.submit(NEW, PEOPLE, &taken).await.expect(409);
        refused.says("Another account has this e-mail address.");
        let unknown = [("email", "x@example.org"), ("roles", "emperor")];
        let refused = root.submit(NEW, PEOPLE, &unknown).await.expect(422);
        assert!(refused.fault("roles").is_some());
        assert_eq!(app.accounts().count().await.expect("the store answers"), 1);
    }
}
