//! What a store of signing keys promises.

use doorward::clock::Timestamp;
use doorward::token::key::{Algorithm, KeyRecord, KeyStore};
use futures::future::join_all;

use super::database::{Database, NOW, on_both_databases};

fn key(number: i64, id: &str) -> KeyRecord {
    KeyRecord {
        number,
        id: id.to_owned(),
        algorithm: Algorithm::EdDsa,
        sealed: Some(format!("sealed {id}")),
        created_at: NOW,
        signs_from: NOW + std::time::Duration::from_millis(7),
        withdrawn_at: None,
    }
}

async fn numbers(store: &impl KeyStore) -> Vec<i64> {
    store.list().await.unwrap().iter().map(|key| key.number).collect()
}

on_both_databases! {
    async fn sr_39_a_key_reads_back_as_it_was_added(database: Database) {
        let later = KeyRecord { algorithm: Algorithm::Es256, ..key(10, "ten") };
        let keys: &dyn KeyStore = &database.store;
        assert!(keys.add(&later, None).await.unwrap());
        assert!(keys.add(&key(2, "two"), None).await.unwrap());
        assert!(keys.list().await.unwrap() == [key(2, "two"), later], "in order of numbers");
    }

    async fn sr_39_a_number_or_kid_that_is_taken_changes_nothing(database: Database) {
        let keys: &dyn KeyStore = &database.store;
        assert!(keys.add(&key(1, "one"), None).await.unwrap());
        assert!(!keys.add(&key(1, "other"), Some(NOW)).await.unwrap());
        assert!(!keys.add(&key(2, "one"), Some(NOW)).await.unwrap());
        assert!(keys.list().await.unwrap() == [key(1, "one")]);
    }

    async fn sr_39_of_many_rotations_at_once_one_wins(database: Database) {
        let keys: &dyn KeyStore = &database.store;
        keys.add(&key(1, "one"), None).await.unwrap();
        let attempts = (0..8).map(|n| {
            let store = database.store.clone();
            rocket::tokio::spawn(async move { store.add(&key(2, &format!("{n}")), None).await })
        });
        let outcomes = join_all(attempts).await;
        let won = outcomes.into_iter().filter(|won| *won.as_ref().unwrap().as_ref().unwrap());
        assert_eq!(won.count(), 1);
        assert_eq!(numbers(&database.store).await, [1, 2]);
    }

    async fn sr_39_a_withdrawal_comes_with_the_new_key_and_is_told_once(database: Database) {
        let keys: &dyn KeyStore = &database.store;
        keys.add(&key(1, "one"), None).await.unwrap();
        keys.add(&key(2, "two"), Some(NOW)).await.unwrap();
        let later = Timestamp::from_millis(NOW.as_millis() + 1);
        keys.add(&key(3, "three"), Some(later)).await.unwrap();
        let withdrawn: Vec<_> =
            keys.list().await.unwrap().iter().map(|key| key.withdrawn_at).collect();
        assert_eq!(withdrawn, [Some(NOW), Some(later), None]);
    }

    async fn sr_39_an_erased_key_leaves_its_name_and_nothing_else(database: Database) {
        let keys: &dyn KeyStore = &database.store;
        keys.add(&key(1, "one"), None).await.unwrap();
        keys.erase(1).await.unwrap();
        keys.erase(9).await.unwrap();
        assert!(keys.list().await.unwrap() == [KeyRecord { sealed: None, ..key(1, "one") }]);
        assert!(!keys.add(&key(2, "one"), None).await.unwrap());
    }
}
