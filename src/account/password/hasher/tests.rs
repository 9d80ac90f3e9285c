use proptest::prelude::*;

use super::*;
use crate::id::Os;

const TINY: Params = Params::insecure_for_tests(8, 1, 1);

fn settings() -> Settings {
    Settings { params: TINY, threads: 1, ..Settings::default() }
}

fn hasher(settings: Settings) -> Hasher {
    Hasher::start(settings, Arc::new(Os), &Registry::default()).unwrap()
}

fn password(typed: &str) -> Password {
    Password::new(typed.to_owned()).unwrap()
}

fn pepper(key_id: &str, byte: u8) -> Pepper {
    Pepper::new(key_id, vec![byte; 32]).unwrap()
}

fn wait_for<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn hash(hasher: &Hasher, typed: &str) -> PasswordHash {
    wait_for(hasher.hash(&password(typed), Requester::operator())).unwrap()
}

fn verify(hasher: &Hasher, typed: &str, hash: &PasswordHash) -> Result<Verdict> {
    wait_for(hasher.verify(&password(typed), hash, Requester::operator()))
}

fn verdict(hasher: &Hasher, typed: &str, hash: &PasswordHash) -> Verdict {
    verify(hasher, typed, hash).unwrap()
}

const MATCH: Verdict = Verdict::Match { rehash: false };
const DUE: Verdict = Verdict::Match { rehash: true };

#[test]
fn sr_4_a_hash_is_a_phc_string_of_argon2id_19_with_a_salt_of_its_own() {
    let hasher = hasher(Settings { params: Params::floor(), threads: 1, ..Settings::default() });
    let (one, two) = (hash(&hasher, "one password"), hash(&hasher, "one password"));
    assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.expose());
    assert_ne!(one, two);
    let salt = one.expose().split('$').nth(4).unwrap();
    assert_eq!(salt.len(), 22, "16 bytes in base64 without padding");
    assert_eq!(verdict(&hasher, "one password", &one), MATCH);
    assert_eq!(verdict(&hasher, "another password", &one), Verdict::Mismatch);
}

#[test]
fn sr_1_all_of_a_password_counts() {
    let hasher = hasher(settings());
    let start = "x".repeat(72);
    let stored = hash(&hasher, &format!("{start}one"));
    assert_eq!(verdict(&hasher, &format!("{start}one"), &stored), MATCH);
    assert_eq!(verdict(&hasher, &format!("{start}two"), &stored), Verdict::Mismatch);

    let stored = hash(&hasher, "before\0after");
    assert_eq!(verdict(&hasher, "before\0after", &stored), MATCH);
    assert_eq!(verdict(&hasher, "before\0other", &stored), Verdict::Mismatch);
    assert_eq!(verdict(&hasher, "before", &stored), Verdict::Mismatch);
}

#[test]
fn sr_2_normal_form_is_all_that_is_evened_out() {
    let hasher = hasher(settings());
    let stored = hash(&hasher, " Cafe\u{301} au lait ");
    assert_eq!(verdict(&hasher, " Caf\u{e9} au lait ", &stored), MATCH);
    for other in ["Caf\u{e9} au lait", " caf\u{e9} au lait ", " Cafe au lait "] {
        assert_eq!(verdict(&hasher, other, &stored), Verdict::Mismatch, "{other}");
    }
}

#[test]
fn sr_4_a_rehash_is_due_when_the_parameters_differ() {
    let old = hasher(settings());
    let new = hasher(Settings { params: Params::insecure_for_tests(16, 2, 1), ..settings() });
    let stored = hash(&old, "some password");
    assert_eq!(verdict(&new, "some password", &stored), DUE);
    assert_eq!(verdict(&new, "wrong password", &stored), Verdict::Mismatch);
    let stored = hash(&new, "some password");
    assert_eq!(verdict(&new, "some password", &stored), MATCH);
    assert_eq!(verdict(&old, "some password", &stored), DUE);
}

#[test]
fn sr_4_a_pepper_is_part_of_the_hash_and_can_be_replaced() {
    let none = hasher(settings());
    let first = hasher(Settings { pepper: Some(pepper("k1", 1)), ..settings() });
    let second = hasher(Settings {
        pepper: Some(pepper("k2", 2)),
        retired_peppers: vec![pepper("k1", 1)],
        ..settings()
    });
    let impostor = hasher(Settings { pepper: Some(pepper("k1", 9)), ..settings() });

    let stored = hash(&first, "some password");
    assert!(stored.expose().contains(",keyid="), "{}", stored.expose());
    assert_eq!(verdict(&first, "some password", &stored), MATCH);
    assert_eq!(verdict(&second, "some password", &stored), DUE);
    assert_eq!(verdict(&impostor, "some password", &stored), Verdict::Mismatch);
    assert!(matches!(verify(&none, "some password", &stored), Err(Error::Internal(_))));

    let unpeppered = hash(&none, "some password");
    assert_eq!(verdict(&first, "some password", &unpeppered), DUE);
}

#[test]
fn sr_21_an_unknown_account_costs_one_job_of_the_same_queue() {
    let hasher = hasher(Settings { pepper: Some(pepper("k1", 1)), ..settings() });
    let job = hasher.current(&password("some password"), hasher.nobodys_salt);
    assert_eq!((job.params, job.output_bytes), (TINY, OUTPUT_BYTES));
    assert!(job.pepper.is_some());
    assert!(
        wait_for(hasher.verify_nobody(&password("some password"), Requester::operator())).is_ok()
    );
}

#[test]
fn hashes_of_other_programs_verify() {
    // From the reference implementation's tests: `argon2 somesalt -id -t 2 -m 8 -p 2`.
    let hasher = hasher(settings());
    let reference = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ\
                     $bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
    let stored = PasswordHash::from_stored(reference);
    assert_eq!(verdict(&hasher, "password", &stored), DUE);
    assert_eq!(verdict(&hasher, "Password", &stored), Verdict::Mismatch);
}

#[test]
fn sr_4_what_is_no_sound_hash_is_an_error_and_costs_nothing() {
    let hasher = hasher(settings());
    let tail = "c29tZXNhbHRzb21lc2FsdA$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
    for text in [
        String::new(),
        "hunter2".to_owned(),
        format!("$argon2i$v=19$m=256,t=2,p=2${tail}"),
        format!("$argon2d$v=19$m=256,t=2,p=2${tail}"),
        format!("$argon2id$v=16$m=256,t=2,p=2${tail}"),
        format!("$argon2id$m=256,t=2,p=2${tail}"),
        format!("$argon2id$v=19$m=4294967295,t=2,p=2${tail}"),
        format!("$argon2id$v=19$m=256,t=4294967295,p=2${tail}"),
        format!("$argon2id$v=19$m=4,t=2,p=2${tail}"),
        format!("$argon2id$v=19$m=256,t=2,p=2,data=AAAA${tail}"),
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$AAAAAAAAAAAAAA".to_owned(),
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ".to_owned(),
    ] {
        let stored = PasswordHash::from_stored(text.clone());
        assert!(matches!(verify(&hasher, "password", &stored), Err(Error::Internal(_))), "{text}");
    }
}

#[test]
fn sr_4_of_a_flood_some_are_turned_away_and_all_others_get_their_answer() {
    let registry = Registry::on();
    let settings = Settings { params: Params::floor(), queue: 8, ..settings() };
    let hasher = Hasher::start(settings, Arc::new(Os), &registry).unwrap();
    let stored = PasswordHash::from_stored(hash(&hasher, "some password").expose());
    let right = password("some password");
    let stranger = Requester::stranger("ada@example.org", b"192.0.2.1");
    let flood = (0..200).map(|_| hasher.verify(&right, &stored, stranger));
    let answers = wait_for(futures::future::join_all(flood));
    let matches = answers.iter().filter(|answer| matches!(answer, Ok(MATCH))).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::Overloaded))).count();
    assert!((8..=200).contains(&matches), "{matches}");
    assert_eq!(matches + refused, 200);
    assert!(refused >= 150, "{refused}");
    let page = registry.render();
    for line in [
        format!("doorward_hash_refused_total{{line=\"stranger\"}} {refused}"),
        "doorward_hash_refused_total{line=\"known\"} 0".to_owned(),
        "doorward_hash_queue_length{line=\"stranger\"} 0".to_owned(),
        format!("doorward_hash_wait_seconds_count {}", matches + 1),
        format!("doorward_hash_duration_seconds_count {}", matches + 1),
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line} in {page}");
    }
}

#[test]
fn settings_that_contradict_themselves_do_not_start() {
    for bad in [
        Settings { threads: 0, ..settings() },
        Settings { queue: 0, ..settings() },
        Settings {
            pepper: Some(pepper("a", 1)),
            retired_peppers: vec![pepper("a", 2)],
            ..settings()
        },
    ] {
        let error = Hasher::start(bad, Arc::new(Os), &Registry::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn nothing_secret_is_in_the_debug_output() {
    let hasher = hasher(Settings { pepper: Some(pepper("k1", 77)), ..settings() });
    let shown = format!("{hasher:?}");
    assert!(shown.contains("k1") && !shown.contains("77"), "{shown}");
}

proptest! {
    #[test]
    fn reading_a_stored_hash_never_panics(text in "\\PC{0,120}", middle in "[$a-z0-9=,+/]{0,80}") {
        let _ = Stored::read(&text);
        let _ = Stored::read(&format!("$argon2id$v=19{middle}"));
    }
}
