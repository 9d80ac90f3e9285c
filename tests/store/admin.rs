//! One administrator who can sign in remains, whichever database keeps the accounts (SR-51, SR-6).

use doorward::account::Status;
use doorward::account::store::{AccountStore, Change, Creation, NewAccount};
use doorward::id::{AccountId, sha256};
use doorward::role::RoleName;

use super::database::{Database, MINUTE, NOW, done, hash, new_account, on_both_databases};

on_both_databases! {
    async fn sr_51_the_last_enabled_admin_stays(database: Database) {
        let store = &database.store;
        let last = database.admin("last@example.org").await;
        let disabled = database.admin("disabled@example.org").await;
        done(store.set_status(&disabled.id, Status::Disabled).await);
        for refused in [
            store.set_status(&last.id, Status::Disabled).await,
            store.set_roles(&last.id, &[RoleName::user()]).await,
            store.delete(&last.id).await,
        ] {
            assert!(matches!(refused, Ok(Change::LastAdmin)), "{refused:?}");
        }
        assert_eq!(database.get(&last.id).await, last);

        // Everything that leaves one is possible.
        done(store.set_roles(&last.id, &[RoleName::admin()]).await);
        done(store.set_status(&last.id, Status::Active).await);
        done(store.delete(&disabled.id).await);
        let other = database.admin("other@example.org").await;
        done(store.delete(&last.id).await);
        assert!(matches!(store.delete(&other.id).await, Ok(Change::LastAdmin)));
    }

    async fn sr_51_an_admin_without_a_password_does_not_count(database: Database) {
        let store = &database.store;
        let last = database.admin("last@example.org").await;
        let roles = vec![RoleName::admin()];
        let bare = NewAccount { roles, password_hash: None, ..new_account("bare@example.org") };
        let bare = database.created(bare).await;
        for refused in [
            store.set_status(&last.id, Status::Disabled).await,
            store.set_roles(&last.id, &[RoleName::user()]).await,
            store.delete(&last.id).await,
        ] {
            assert!(matches!(refused, Ok(Change::LastAdmin)), "{refused:?}");
        }
        // Whoever cannot sign in can go, and counts once they can.
        done(store.set_status(&bare.id, Status::Disabled).await);
        done(store.set_status(&bare.id, Status::Active).await);
        done(store.set_password(&bare.id, &hash("second"), false).await);
        done(store.delete(&last.id).await);
        assert!(matches!(store.delete(&bare.id).await, Ok(Change::LastAdmin)));
    }

    async fn sr_6_a_setup_token_works_while_no_admin_can_sign_in(database: Database) {
        let (store, digest) = (&database.store, sha256("token"));
        let roles = vec![RoleName::admin()];
        let bare = NewAccount { roles, password_hash: None, ..new_account("bare@example.org") };
        let bare = database.created(bare).await;
        let disabled = database.admin("disabled@example.org").await;
        store.set_password(&bare.id, &hash("for now"), false).await.unwrap();
        done(store.set_status(&disabled.id, Status::Disabled).await);
        store.add_setup_token(&digest, NOW + MINUTE, NOW).await.unwrap();
        assert!(store.admin_can_sign_in().await.unwrap());
        assert!(!store.setup_token_works(&digest, NOW).await.unwrap());
        // As a release before left it.
        database.execute("UPDATE account SET password_hash = NULL").await;
        assert!(!store.admin_can_sign_in().await.unwrap());
        assert!(store.setup_token_works(&digest, NOW).await.unwrap());
        let roles = vec![RoleName::admin()];
        let new = NewAccount { roles, ..new_account("root@example.org") };
        let made = store.create_first_admin(&new, &digest).await;
        assert!(matches!(made, Ok(Creation::Created(_))));
        assert!(store.admin_can_sign_in().await.unwrap());
    }

    async fn sr_51_without_an_admin_ordinary_accounts_can_be_changed(database: Database) {
        let ada = database.account("ada@example.org").await;
        done(database.store.set_status(&ada.id, Status::Disabled).await);
        done(database.store.set_roles(&ada.id, &[]).await);
        done(database.store.delete(&ada.id).await);
    }

    async fn sr_51_two_admins_who_remove_each_other_leave_one(database: Database) {
        let mut a = database.admin("a@example.org").await;
        let mut b = database.admin("b@example.org").await;
        // One who cannot sign in makes neither of them dispensable.
        let roles = vec![RoleName::admin()];
        let bare = NewAccount { roles, password_hash: None, ..new_account("bare@example.org") };
        database.created(bare).await;
        for round in 0..50 {
            let remove = |id: AccountId| {
                let store = database.store.clone();
                rocket::tokio::spawn(async move {
                    match round % 3 {
                        0 => store.set_roles(&id, &[RoleName::user()]).await,
                        1 => store.set_status(&id, Status::Disabled).await,
                        _ => store.delete(&id).await,
                    }
                })
            };
            let (of_a, of_b) = (remove(a.id.clone()), remove(b.id.clone()));
            let answers = [of_a.await.unwrap().unwrap(), of_b.await.unwrap().unwrap()];
            let refused = answers.iter().filter(|answer| matches!(answer, Change::LastAdmin));
            assert_eq!(refused.count(), 1, "{answers:?}");
            assert_eq!(database.admins_who_can_sign_in().await, 1);
            // Whoever lost comes back as a new administrator.
            let left = if matches!(answers[0], Change::LastAdmin) { a } else { b };
            a = left;
            b = database.admin(&format!("round{round}@example.org")).await;
        }
    }
}
