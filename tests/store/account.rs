//! What accounts may rely on, whichever database keeps them: the promises of `account/store.rs`.

use std::collections::BTreeSet;

use doorward::account::store::{AccountStore, Change, Creation, NewAccount};
use doorward::account::{Account, Status};
use doorward::id::{AccountId, Os, SessionId, sha256};
use doorward::role::{Permission, RoleName, RoleStore};
use futures::future::join_all;

use super::database::{
    Database, MINUTE, NOW, assert_raised, done, email, hash, new_account, on_both_databases,
    unversioned, with_status,
};

fn nobody() -> AccountId {
    AccountId::random(&Os)
}

/// Makes a role that nobody has.
async fn add_role(database: &Database, name: &str, permissions: &[&str]) {
    database
        .execute(&format!(
            "INSERT INTO role (name, description, created_at) VALUES ('{name}', 'A test', 0)"
        ))
        .await;
    for permission in permissions {
        database
            .execute(&format!("INSERT INTO role_permission VALUES ('{name}', '{permission}')"))
            .await;
    }
}

fn role(name: &str) -> RoleName {
    RoleName::parse(name).expect("a role name")
}

on_both_databases! {
    async fn an_account_comes_back_as_it_was_made(database: Database) {
        let new = NewAccount {
            display_name: "Ada L\u{f6}velace \u{1f9ee}".to_owned(),
            roles: vec![RoleName::admin(), RoleName::user(), RoleName::user()],
            ..new_account("Ada@Example.org")
        };
        let made = database.created(new.clone()).await;
        assert_eq!(made.id, new.id);
        assert_eq!(made.email.as_str(), "Ada@example.org");
        assert_eq!(made.display_name, new.display_name);
        assert_eq!(made.status, Status::Active);
        assert_eq!(made.roles, BTreeSet::from([RoleName::admin(), RoleName::user()]));
        let catalogue = Permission::CATALOGUE.iter().map(|(name, _)| Permission::stored(name));
        assert_eq!(made.permissions, catalogue.collect());
        assert_eq!((made.created_at, made.last_login_at), (NOW, None));
        assert_eq!(database.get(&made.id).await, made);
        assert_eq!(database.store.get(&nobody()).await.unwrap(), None);
        assert_eq!(database.store.count().await.unwrap(), 1);
        database.store.ping().await.unwrap();
    }

    async fn sr_5_credentials_are_found_by_the_address_in_any_case(database: Database) {
        let ada = database.account("Ada@example.org").await;
        let found = database.store.credentials(&email("aDA@EXAMPLE.org")).await.unwrap().unwrap();
        assert_eq!(found.account, ada);
        assert_eq!(found.password_hash.unwrap().expose(), hash("first").expose());
        let found = database.credentials_of(&ada.id).await.unwrap();
        assert_eq!(found.account, ada);
        assert!(database.store.credentials(&email("bob@example.org")).await.unwrap().is_none());
        assert!(database.credentials_of(&nobody()).await.is_none());

        let without = NewAccount { password_hash: None, ..new_account("bob@example.org") };
        let bob = database.created(without).await;
        let found = database.credentials_of(&bob.id).await.unwrap();
        assert!(found.password_hash.is_none());
    }

    async fn sr_38_a_session_that_was_ended_on_purpose_gets_neither_account_nor_password(database: Database) {
        let ada = database.account("ada@example.org").await;
        let (ended, other) = (SessionId::random(&Os), SessionId::random(&Os));
        let store = &database.store;
        store.end_sessions(std::slice::from_ref(&ended), NOW + MINUTE, NOW).await.unwrap();
        assert!(store.get_in_session(&ada.id, &ended).await.unwrap().is_none());
        assert!(store.credentials_in_session(&ada.id, &ended).await.unwrap().is_none());
        assert_eq!(store.get_in_session(&ada.id, &other).await.unwrap().as_ref(), Some(&ada));
        let found = store.credentials_in_session(&ada.id, &other).await.unwrap().unwrap();
        assert_eq!(found.account, ada);
    }

    async fn sr_8_of_fifty_creations_of_one_address_one_succeeds(database: Database) {
        let spelling = |n| if n % 2 == 0 { "Ada@example.org" } else { "ada@example.org" };
        let attempts = (0..50).map(|n| {
            let store = database.store.clone();
            rocket::tokio::spawn(async move { store.create(&new_account(spelling(n))).await })
        });
        let mut created = 0;
        for attempt in join_all(attempts).await {
            match attempt.unwrap().expect("no failure") {
                Creation::Created(_) => created += 1,
                Creation::EmailTaken => (),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(created, 1);
        assert_eq!(database.store.count().await.unwrap(), 1);
    }

    async fn sr_8_of_many_accounts_that_ask_for_one_address_one_gets_it(database: Database) {
        let mut accounts = Vec::new();
        for n in 0..20 {
            accounts.push(database.account(&format!("p{n}@example.org")).await);
        }
        let attempts = accounts.iter().enumerate().map(|(n, account)| {
            let (store, id) = (database.store.clone(), account.id.clone());
            let wanted = email(if n % 2 == 0 { "Ada@example.org" } else { "ada@example.org" });
            rocket::tokio::spawn(async move { store.set_email(&id, &wanted).await })
        });
        let mut changed = 0;
        for attempt in join_all(attempts).await {
            match attempt.unwrap().expect("no failure") {
                Change::Done(account) => {
                    changed += 1;
                    assert_raised(accounts.iter().find(|a| a.id == account.id).unwrap(), &account, 0);
                }
                Change::EmailTaken => (),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(changed, 1);
    }

    async fn a_password_that_must_be_changed_need_not_be_once_it_was(database: Database) {
        let new = NewAccount { must_change_password: true, ..new_account("ada@example.org") };
        let ada = database.created(new).await;
        assert!(ada.must_change_password && database.get(&ada.id).await.must_change_password);
        let changed = done(database.store.set_password(&ada.id, &hash("second"), false).await);
        assert!(!changed.must_change_password);
        assert_eq!(database.get(&ada.id).await, changed);
    }

    async fn an_unknown_role_makes_no_account(database: Database) {
        let roles = vec![RoleName::user(), role("nothing")];
        let new = NewAccount { roles, ..new_account("ada@example.org") };
        assert!(matches!(database.store.create(&new).await, Ok(Creation::UnknownRole)));
        assert_eq!(database.store.count().await.unwrap(), 0);
    }

    async fn sr_6_a_setup_token_makes_one_admin_whoever_races_for_it(database: Database) {
        let digest = sha256("token");
        database.store.add_setup_token(&digest, NOW + MINUTE, NOW).await.unwrap();
        assert!(!database.store.admin_can_sign_in().await.unwrap());
        let attempts = (0..20).map(|n| {
            let (store, digest) = (database.store.clone(), digest.clone());
            let roles = vec![RoleName::admin(), RoleName::user()];
            let new = NewAccount { roles, ..new_account(&format!("admin{n}@example.org")) };
            rocket::tokio::spawn(async move { store.create_first_admin(&new, &digest).await })
        });
        let mut created = Vec::new();
        for attempt in join_all(attempts).await {
            match attempt.unwrap().expect("no failure") {
                Creation::Created(account) => created.push(account),
                Creation::SetupRefused => (),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(created.len(), 1);
        assert!(created[0].is_admin());
        assert_eq!(database.store.count().await.unwrap(), 1);
        assert!(database.store.admin_can_sign_in().await.unwrap());
    }

    async fn sr_6_no_token_makes_a_second_admin(database: Database) {
        database.admin("first@example.org").await;
        let digest = sha256("token");
        database.store.add_setup_token(&digest, NOW + MINUTE, NOW).await.unwrap();
        let new = new_account("second@example.org");
        let refused = database.store.create_first_admin(&new, &digest).await;
        assert!(matches!(refused, Ok(Creation::SetupRefused)));
        assert_eq!(database.store.count().await.unwrap(), 1);
    }

    async fn sr_6_an_expired_or_unknown_setup_token_is_refused(database: Database) {
        let digest = sha256("token");
        database.store.add_setup_token(&digest, NOW + MINUTE, NOW).await.unwrap();
        let late = NewAccount { created_at: NOW + MINUTE, ..new_account("ada@example.org") };
        for (new, digest) in [(&late, &digest), (&new_account("ada@example.org"), &sha256("x"))] {
            let refused = database.store.create_first_admin(new, digest).await;
            assert!(matches!(refused, Ok(Creation::SetupRefused)));
        }
        assert_eq!(database.store.count().await.unwrap(), 0);

        let other = sha256("another token");
        database.store.add_setup_token(&other, NOW + 3 * MINUTE, NOW + 2 * MINUTE).await.unwrap();
        assert_eq!(database.number("SELECT COUNT(*) FROM setup_token").await, 1);
    }

    async fn a_set_up_that_is_refused_does_not_spend_its_token(database: Database) {
        database.account("ada@example.org").await;
        let digest = sha256("token");
        database.store.add_setup_token(&digest, NOW + MINUTE, NOW).await.unwrap();
        let taken = new_account("ada@example.org");
        let refused = database.store.create_first_admin(&taken, &digest).await;
        assert!(matches!(refused, Ok(Creation::EmailTaken)));
        let roles = vec![RoleName::admin()];
        let new = NewAccount { roles, ..new_account("bob@example.org") };
        let made = database.store.create_first_admin(&new, &digest).await;
        assert!(matches!(made, Ok(Creation::Created(_))));
    }

    async fn a_login_is_noted_and_keeps_the_better_hash(database: Database) {
        let store = &database.store;
        let before = database.account("ada@example.org").await;
        let first = store.record_login(&before, &hash("first"), None, NOW + MINUTE).await;
        let after = first.unwrap().unwrap();
        assert_eq!(after.last_login_at, Some(NOW + MINUTE));
        assert_raised(&before, &after, 0);
        assert_eq!(database.get(&before.id).await, after);

        let (verified, better) = (hash("first"), hash("better"));
        let later = NOW + 2 * MINUTE;
        let second = store.record_login(&after, &verified, Some(&better), later);
        assert_eq!(second.await.unwrap().unwrap().last_login_at, Some(later));
        let stored = database.credentials_of(&before.id).await.unwrap().password_hash;
        assert_eq!(stored.unwrap().expose(), better.expose());
    }

    async fn whoever_signs_in_is_known_to_have_been_seen_on_a_device(database: Database) {
        let (store, device) = (&database.store, "Firefox on Linux");
        let (ada, bob) = (email("ada@example.org"), email("bob@example.org"));
        for one in [&ada, &bob] {
            database.account(one.as_str()).await;
        }
        let seen = async |who| store.candidate(who, device).await.unwrap().unwrap();
        let (first, other) = (seen(&ada).await, seen(&bob).await);
        assert!(!first.device_known && !other.device_known);
        assert_eq!(first.credentials.account.email, ada);
        assert_eq!(first.credentials.password_hash.unwrap().expose(), hash("first").expose());

        let (ada_id, bob_id) = (first.credentials.account.id, other.credentials.account.id);
        store.note_device(&bob_id, device, NOW).await.unwrap();
        store.note_device(&ada_id, "Safari on iPhone", NOW).await.unwrap();
        assert!(!seen(&ada).await.device_known);
        assert!(seen(&bob).await.device_known);
        assert!(store.candidate(&email("eve@example.org"), device).await.unwrap().is_none());
    }

    async fn a_login_with_a_password_of_the_past_is_refused(database: Database) {
        let store = &database.store;
        let ada = database.account("ada@example.org").await;
        done(store.set_password(&ada.id, &hash("second"), false).await);
        let late = store.record_login(&ada, &hash("first"), Some(&hash("better")), NOW).await;
        assert_eq!(late.unwrap(), None);
        let now = database.credentials_of(&ada.id).await.unwrap();
        assert_eq!(now.password_hash.unwrap().expose(), hash("second").expose());
        assert_eq!(now.account.last_login_at, None);

        done(store.set_status(&ada.id, Status::Disabled).await);
        for gone in [now.account, Account { id: nobody(), ..ada }] {
            assert_eq!(store.record_login(&gone, &hash("second"), None, NOW).await.unwrap(), None);
        }
    }

    async fn a_login_shows_what_was_changed_while_the_password_was_hashed(database: Database) {
        let store = &database.store;
        let read = database.account("ada@example.org").await;
        done(store.set_display_name(&read.id, "Countess").await);
        done(store.set_roles(&read.id, &[RoleName::admin()]).await);
        let login = store.record_login(&read, &hash("first"), None, NOW).await.unwrap().unwrap();
        assert_eq!(login.display_name, "Countess");
        assert!(login.roles.contains(&RoleName::admin()));
        assert_eq!(database.get(&read.id).await, login);
    }

    async fn sr_38_the_version_rises_with_every_change_and_the_epoch_where_sessions_end(
        database: Database
    ) {
        let store = &database.store;
        let ada = database.account("ada@example.org").await;

        let renamed = done(store.set_display_name(&ada.id, "Ada").await);
        assert_raised(&ada, &renamed, 0);
        let expected = Account { display_name: "Ada".to_owned(), ..ada.clone() };
        assert_eq!(unversioned(&renamed), unversioned(&expected));

        let protected = done(store.set_password(&ada.id, &hash("second"), false).await);
        assert!(!protected.must_change_password);
        assert_raised(&renamed, &protected, 1);
        assert_eq!(unversioned(&protected), unversioned(&renamed));

        let disabled = done(store.set_status(&ada.id, Status::Disabled).await);
        assert_raised(&protected, &disabled, 1);
        let expected = with_status(&protected, Status::Disabled);
        assert_eq!(unversioned(&disabled), unversioned(&expected));
        assert_raised(&disabled, &done(store.set_status(&ada.id, Status::Disabled).await), 1);

        let disabled = database.get(&ada.id).await;
        let enabled = done(store.set_status(&ada.id, Status::Active).await);
        assert_raised(&disabled, &enabled, 0);
        assert_eq!(unversioned(&enabled), unversioned(&protected));

        let ended = done(store.raise_session_epoch(&ada.id).await);
        assert_raised(&enabled, &ended, 1);
        assert_eq!(unversioned(&ended), unversioned(&enabled));

        let demoted = done(store.set_roles(&ada.id, &[]).await);
        assert_raised(&ended, &demoted, 0);
        assert!(demoted.roles.is_empty());
        assert_eq!(database.get(&ada.id).await, demoted);
    }

    async fn nobody_can_be_changed_who_is_not_there(database: Database) {
        let (store, id) = (&database.store, nobody());
        let changes = [
            store.set_display_name(&id, "Ada").await,
            store.set_email(&id, &email("ada@example.org")).await,
            store.set_password(&id, &hash("second"), false).await,
            store.set_status(&id, Status::Disabled).await,
            store.set_status(&id, Status::Active).await,
            store.set_roles(&id, &[RoleName::user()]).await,
            store.raise_session_epoch(&id).await,
            store.delete(&id).await,
        ];
        for change in changes {
            assert!(matches!(change, Ok(Change::NotFound)), "{change:?}");
        }
    }

    async fn roles_are_replaced_and_grant_together(database: Database) {
        add_role(&database, "support", &["users:read", "sessions:read"]).await;
        add_role(&database, "auditor", &["users:read", "roles:read"]).await;
        let ada = database.account("ada@example.org").await;
        assert!(ada.permissions.is_empty());
        let roles = [role("support"), role("auditor"), role("support")];
        let ada = done(database.store.set_roles(&ada.id, &roles).await);
        assert_eq!(ada.roles, BTreeSet::from([role("auditor"), role("support")]));
        let granted: Vec<_> = ada.permissions.iter().map(Permission::as_str).collect();
        assert_eq!(granted, ["roles:read", "sessions:read", "users:read"]);

        let unknown = database.store.set_roles(&ada.id, &[role("nothing")]).await;
        assert!(matches!(unknown, Ok(Change::UnknownRole)));
        assert_eq!(database.get(&ada.id).await, ada);
    }

    async fn the_built_in_roles_are_there_and_admin_grants_the_catalogue(database: Database) {
        add_role(&database, "auditor", &["users:read"]).await;
        let roles = database.store.roles().await.unwrap();
        let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["admin", "auditor", "user"]);
        let catalogue = Permission::CATALOGUE.iter().map(|(name, _)| Permission::stored(name));
        assert_eq!(roles[0].permissions, catalogue.collect());
        assert!(roles[2].permissions.is_empty());
        assert!(roles.iter().all(|role| !role.description.is_empty()));
    }

    async fn deleting_takes_everything_and_leaves_a_dead_copy(database: Database) {
        database.admin("admin@example.org").await;
        let ada = database.account("ada@example.org").await;
        let gone = done(database.store.delete(&ada.id).await);
        assert_eq!(unversioned(&gone), unversioned(&with_status(&ada, Status::Disabled)));
        assert_eq!(gone.version, ada.version + 1);
        assert_eq!(gone.session_epoch, ada.session_epoch + 1);
        assert_eq!(database.store.get(&ada.id).await.unwrap(), None);
        assert_eq!(database.store.count().await.unwrap(), 1);
        let orphans = "SELECT COUNT(*) FROM account_role \
                       WHERE account_id NOT IN (SELECT id FROM account)";
        assert_eq!(database.number(orphans).await, 0);
        // The address is free again.
        database.account("ada@example.org").await;
    }
}
