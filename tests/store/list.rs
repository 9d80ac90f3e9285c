//! Pages of accounts: complete, in order, and searched for exactly what was asked.

use std::collections::BTreeSet;

use doorward::account::search::Search;
use doorward::account::store::{AccountFilter, AccountStore, NewAccount};
use doorward::account::{Account, Status};
use doorward::clock::Timestamp;
use doorward::role::RoleName;

use super::database::{Database, NOW, done, email, new_account, on_both_databases};

/// What somebody types.
fn words(q: &str) -> Option<Search> {
    Search::parse(q).expect("it is short")
}

/// A filter for up to a hundred accounts.
fn everybody() -> AccountFilter {
    AccountFilter { limit: 100, ..AccountFilter::default() }
}

fn search(q: &str) -> AccountFilter {
    AccountFilter { q: words(q), ..everybody() }
}

/// The addresses of the accounts that `filter` lets through.
async fn found(database: &Database, filter: &AccountFilter) -> Vec<String> {
    let accounts = database.store.list(filter).await.expect("list");
    accounts.iter().map(|account| account.email.to_string()).collect()
}

on_both_databases! {
    async fn sr_54_pages_are_complete_even_where_accounts_are_of_one_age(database: Database) {
        for n in 0..23_i64 {
            let created_at = Timestamp::from_millis(NOW.as_millis() + n / 6);
            let new = new_account(&format!("user{n}@example.org"));
            database.created(NewAccount { created_at, ..new }).await;
        }
        let mut seen: Vec<Account> = Vec::new();
        let mut filter = AccountFilter { limit: 5, ..AccountFilter::default() };
        loop {
            let page = database.store.list(&filter).await.unwrap();
            assert!(page.len() <= 5);
            let Some(last) = page.last() else { break };
            filter.after = Some((last.created_at, last.id.clone()));
            seen.extend(page);
        }
        assert_eq!(seen.len(), 23);
        let distinct: BTreeSet<_> = seen.iter().map(|account| account.id.clone()).collect();
        assert_eq!(distinct.len(), 23);
        assert!(seen.is_sorted_by(|newer, older| newer.created_at >= older.created_at));
        assert_eq!(database.store.list(&everybody()).await.unwrap(), seen);
    }

    async fn sr_63_search_takes_every_character_for_itself(database: Database) {
        let names = [
            ("percent@x.org", "100% Ada"),
            ("under_score@x.org", "Bob_Bobson"),
            ("backslash@x.org", r"C:\Cleo"),
            ("quote@x.org", "O'Hara"),
            ("umlaut@x.org", "\u{c4}rger"),
        ];
        for (address, name) in names {
            let display_name = name.to_owned();
            database.created(NewAccount { display_name, ..new_account(address) }).await;
        }
        for (q, expected) in [
            ("%", "percent@x.org"),
            ("0% a", "percent@x.org"),
            ("_", "under_score@x.org"),
            ("R_SCORE@", "under_score@x.org"),
            (r"\", "backslash@x.org"),
            (r":\c", "backslash@x.org"),
            ("'", "quote@x.org"),
            ("\u{e4}RGER", "umlaut@x.org"),
            ("\u{c4}", "umlaut@x.org"),
        ] {
            assert_eq!(found(&database, &search(q)).await, [expected], "{q}");
        }
        for q in ["a%a", "b_c", r"\\", "' OR '1' = '1", "\0", "ada\0"] {
            assert!(found(&database, &search(q)).await.is_empty(), "{q:?}");
        }
        for q in ["", "x.ORG", "@"] {
            assert_eq!(found(&database, &search(q)).await.len(), 5, "{q}");
        }
        // A name that changed is found by the new one.
        let ada = database.store.credentials(&email("percent@x.org")).await.unwrap().unwrap();
        done(database.store.set_display_name(&ada.account.id, "Grace HOPPER").await);
        assert_eq!(found(&database, &search("hopper")).await, ["percent@x.org"]);
        assert!(found(&database, &search("100%")).await.is_empty());
    }

    async fn names_are_found_however_they_are_written(database: Database) {
        let names = [
            ("renee@x.org", "Ren\u{e9}e Lefe\u{300}vre"),
            ("wide@x.org", "\u{ff26}\u{ff55}\u{ff4c}\u{ff4c} \u{ff37}\u{ff49}\u{ff44}\u{ff54}\u{ff48}"),
            ("lodz@b\u{fc}cher.example", "\u{141}\u{f3}d\u{17a}"),
        ];
        for (address, name) in names {
            let display_name = name.to_owned();
            database.created(NewAccount { display_name, ..new_account(address) }).await;
        }
        let mut stale = false;
        for (q, expected) in [
            ("REN\u{c9}E", "renee@x.org"),
            ("rene\u{301}e", "renee@x.org"),
            ("lefevre  renee", "renee@x.org"),
            ("\u{a0}Lef\u{e8}vre\n", "renee@x.org"),
            ("full width", "wide@x.org"),
            ("lodz@b\u{fc}cher.example", "lodz@xn--bcher-kva.example"),
            ("B\u{dc}CHER", "lodz@xn--bcher-kva.example"),
            ("lodz \u{142}", "lodz@xn--bcher-kva.example"),
        ] {
            assert_eq!(found(&database, &search(q)).await, [expected], "{q}");
            // A release that knows nothing of this has written the row anew: it is found by what that
            // wrote, and then as any other.
            stale = !stale;
            let change = if stale { "search_of = NULL" } else { "search_of = 'x', search_text = 'x'" };
            database.execute(&format!("UPDATE account SET {change}")).await;
            assert_eq!(found(&database, &search("@x.org")).await.len(), 2);
            assert_eq!(database.store.index_names(2).await.unwrap(), 2);
            assert_eq!(database.store.index_names(2).await.unwrap(), 1);
            assert_eq!(database.store.index_names(2).await.unwrap(), 0);
        }
        // An accent that is asked for must be there.
        database.created(NewAccount { display_name: "Renee".into(), ..new_account("plain@x.org") }).await;
        assert_eq!(found(&database, &search("ren\u{e9}e")).await, ["renee@x.org"]);
        assert_eq!(found(&database, &search("renee")).await.len(), 2);
    }

    async fn a_search_looks_no_further_than_it_is_told(database: Database) {
        let mut made = Vec::new();
        for n in 0..6_i64 {
            let created_at = Timestamp::from_millis(NOW.as_millis() + n / 2);
            let new = new_account(&format!("user{n}@example.org"));
            made.push(database.created(NewAccount { created_at, ..new }).await);
        }
        made.sort_by_key(|account| std::cmp::Reverse((account.created_at, account.id.clone())));
        for (position, account) in made.iter().enumerate() {
            let until = Some((account.created_at, account.id.clone()));
            let filter = AccountFilter { until, ..search("user") };
            let found = database.store.list(&filter).await.unwrap();
            assert_eq!(found, made[..=position]);
        }
        // Six are no reason to stop anywhere.
        assert_eq!(database.store.reach(&search("user")).await.unwrap(), None);
    }

    async fn filters_narrow_the_list_together(database: Database) {
        database.admin("ada@example.org").await;
        let bob = database.admin("bob@example.org").await;
        database.account("cleo@example.org").await;
        let dora = database.account("dora@example.com").await;
        for id in [&bob.id, &dora.id] {
            done(database.store.set_status(id, Status::Disabled).await);
        }
        let admins = AccountFilter { role: Some(RoleName::admin()), ..everybody() };
        let disabled = AccountFilter { status: Some(Status::Disabled), ..everybody() };
        let active = AccountFilter { status: Some(Status::Active), ..everybody() };
        let both = AccountFilter { status: Some(Status::Disabled), ..admins.clone() };
        let all = AccountFilter { q: words("bob"), ..both.clone() };
        let none = AccountFilter { q: words("ada"), ..both.clone() };
        let page = AccountFilter { limit: 1, ..admins.clone() };
        for (filter, expected) in [
            (&admins, vec!["ada@example.org", "bob@example.org"]),
            (&disabled, vec!["bob@example.org", "dora@example.com"]),
            (&active, vec!["ada@example.org", "cleo@example.org"]),
            (&both, vec!["bob@example.org"]),
            (&all, vec!["bob@example.org"]),
            (&none, vec![]),
        ] {
            let mut found = found(&database, filter).await;
            found.sort();
            assert_eq!(found, expected, "{filter:?}");
        }
        let first = database.store.list(&page).await.unwrap();
        let after = Some((first[0].created_at, first[0].id.clone()));
        let second = database.store.list(&AccountFilter { after, ..page }).await.unwrap();
        assert_eq!((first.len(), second.len()), (1, 1));
        assert_ne!(first[0].id, second[0].id);
        assert!(second[0].is_admin());
    }
}
