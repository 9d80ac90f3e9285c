//! `doorward role …` and `doorward permission …`, beside a running server.

use serde_json::{Value, json};

use super::{ADA, create, json as parse};
use crate::person::Person;
use crate::support::binary::Server;

/// What somebody who is signed in holds at this moment.
fn held(person: &mut Person) -> Value {
    person.get("/api/v1/me").json()["user"]["permissions"].take()
}

on_both_stores! {
    fn roles_and_permissions_count_from_the_next_request_on(server: Server) {
        let declared = server.run(&["permission", "create", "invoices:read"], "").done();
        assert_eq!(declared, "Declared invoices:read; the role admin grants it.\n");
        let made = ["role", "create", "clerk", "invoices:read", "--description", "Writes bills"];
        assert_eq!(server.run(&made, "").done(), "Created clerk  [invoices:read]\n");
        create(&server, ADA, &["clerk"]).done();
        let mut ada = Person::signed_in(server.port(), ADA);
        assert_eq!(held(&mut ada), json!(["invoices:read"]));
        let list = server.run(&["role", "list"], "").done();
        assert!(list.contains("clerk  [invoices:read]  1 person\n"), "{list}");
        let list = parse(&server.run(&["--json", "permission", "list"], "").done());
        let last = list["items"].as_array().expect("a list").last().expect("an item");
        let expected = json!({ "name": "invoices:read", "description": "", "source": "declared" });
        assert_eq!(*last, expected);

        let failed = server.run(&["permission", "delete", "invoices:read"], "").failed();
        assert!(failed.ends_with("take it from them first: clerk"), "{failed}");
        let set = server.run(&["role", "set", "clerk", "users:read"], "").done();
        assert_eq!(set, "Changed clerk  [users:read]\n");
        assert_eq!(held(&mut ada), json!(["users:read"]));
        let failed = server.run(&["role", "set", "clerk", "no:such"], "").failed();
        assert!(failed.contains("permissions: One of these permissions does not exist."), "{failed}");
        server.run(&["permission", "delete", "invoices:read"], "").done();
        let deleted = server.run(&["role", "delete", "clerk"], "").done();
        assert_eq!(deleted, "Deleted clerk, and took it from 1 person.\n");
        assert_eq!(held(&mut ada), json!([]));
        server.run(&["role", "delete", "admin"], "").failed();
    }
}
