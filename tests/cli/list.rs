//! The lists of the command line: all there is, however much that is.

use std::time::Duration;

use serde_json::Value;

use super::{ADA, json};
use crate::app::PASSWORD;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::wait_until;

/// More than a page of whatever the list is read from.
const MANY: usize = 230;

/// A server with this many accounts, whose passwords nobody needs.
async fn crowded(accounts: usize) -> Server {
    use sqlx::{Connection as _, Executor as _};
    let server = Server::start(&[("DOORWARD_LIMITS_LOGIN_PER_ADDRESS", "off")]);
    server.run(&["user", "create", "--email", ADA], PASSWORD).done();
    let url = format!("sqlite://{}", server.data_dir().join("doorward.db").display());
    let mut db = sqlx::SqliteConnection::connect(&url).await.expect("the database");
    let columns: Vec<(String,)> = sqlx::query_as("SELECT name FROM pragma_table_info('account')")
        .fetch_all(&mut db)
        .await
        .expect("columns");
    let columns: Vec<&str> = columns.iter().map(|(name,)| name.as_str()).collect();
    let copied: Vec<String> = columns
        .iter()
        .map(|name| match *name {
            "id" => "printf('%022d', n)".to_owned(),
            "email" | "email_key" => "printf('person-%d@example.org', n)".to_owned(),
            // Of the one that is copied.
            "search_text" | "search_of" => "NULL".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    let fill = format!(
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {}) \
         INSERT INTO account ({}) SELECT {} FROM account, number WHERE email = '{ADA}'",
        accounts - 1,
        columns.join(", "),
        copied.join(", "),
    );
    db.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(fill))).await.expect("accounts");
    db.close().await.expect("closed");
    server
}

fn emails(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["email"].as_str().expect("an address").to_owned()).collect()
}

#[rocket::async_test]
async fn a_list_leaves_nobody_out() {
    let server = crowded(MANY).await;
    assert_eq!(server.run(&["user", "list"], "").done().lines().count(), MANY);
    let whole = json(&server.run(&["--json", "user", "list"], "").done());
    assert_eq!((emails(&whole).len(), &whole["next_cursor"]), (MANY, &Value::Null));
    let found = json(&server.run(&["--json", "user", "list", "--search", "person-17"], "").done());
    assert_eq!(emails(&found).len(), 11, "17 and 170 to 179: {found}");

    let mut gathered = Vec::new();
    let mut more: Vec<String> = Vec::new();
    loop {
        let mut arguments = vec!["--json", "user", "list", "--limit", "100"];
        arguments.extend(more.iter().map(String::as_str));
        let page = json(&server.run(&arguments, "").done());
        assert!(emails(&page).len() <= 100);
        gathered.extend(emails(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        more = vec!["--cursor".to_owned(), cursor.to_owned()];
    }
    assert_eq!(gathered, emails(&whole));
    let text = server.run(&["user", "list", "--limit", "1"], "").done();
    let cursor = text.lines().last().and_then(|line| line.split("--cursor ").nth(1));
    let cursor = cursor.and_then(|rest| rest.strip_suffix(')')).expect("where it goes on");
    let rest = server.run(&["user", "list", "--cursor", cursor], "").done();
    assert_eq!(rest.lines().count(), MANY - 1);
    let refused = server.run(&["user", "list", "--cursor", "nowhere"], "").failed();
    assert!(refused.contains("cursor"), "{refused}");
}

#[test]
fn every_list_is_an_object_of_items_that_says_whether_there_are_more() {
    let server = Server::start(&[("DOORWARD_LIMITS_ACCOUNT_FAILURES", "off")]);
    for list in ["user", "role", "permission", "token", "keys", "audit"] {
        let list = json(&server.run(&["--json", list, "list"], "").done());
        let mut fields: Vec<&String> = list.as_object().expect("an object").keys().collect();
        fields.sort();
        assert_eq!(fields, ["items", "next_cursor"]);
        assert!(list["items"].is_array() && list["next_cursor"].is_null(), "{list}");
    }
    server.run(&["user", "create", "--email", ADA], PASSWORD).done();
    for _ in 0..12 {
        Person::at(server.port()).log_in(ADA, PASSWORD);
    }
    let events = |arguments: &[&str]| {
        let list = [&["--json", "audit", "list"][..], arguments].concat();
        json(&server.run(&list, "").done())
    };
    let many = |list: &Value| list["items"].as_array().is_some_and(|items| items.len() > 20);
    assert!(wait_until(Duration::from_secs(30), || many(&events(&[]))), "{}", events(&[]));
    let first = events(&["--limit", "5"]);
    let cursor = first["next_cursor"].as_str().expect("there are more");
    let rest = events(&["--cursor", cursor]);
    // Events of the attempts above may still be on their way, so the whole list
    // is read last and may begin with newer ones.
    let all = events(&[]);
    let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
    let all = items(&all);
    assert!(all.ends_with(&[items(&first), items(&rest)].concat()), "{all:?}");
}
