//! Tokens across the life of the keys that sign them, on a store in memory.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::key::{
    Algorithm, KeyError, KeyPolicy, KeyRecord, KeyState, KeyStore, MasterSecret, SigningKey, Start,
};
use super::*;
use crate::clock::{Clock as _, Manual};
use crate::id::{Os, base64url};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const POLICY: KeyPolicy = KeyPolicy {
    lead: Duration::from_secs(600),
    rotate_every: Some(Duration::from_secs(90 * 24 * 60 * 60)),
    access_lifetime: Duration::from_secs(600),
    refresh_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
};

#[derive(Default)]
struct Memory {
    records: Mutex<Vec<KeyRecord>>,
    asked: AtomicUsize,
    away: AtomicBool,
}

#[async_trait]
impl KeyStore for Memory {
    async fn list(&self) -> Result<Vec<KeyRecord>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::unavailable("away"));
        }
        Ok(self.records.lock().unwrap().clone())
    }

    async fn add(&self, key: &KeyRecord, withdraw_earlier: Option<Timestamp>) -> Result<bool> {
        let mut records = self.records.lock().unwrap();
        if records.iter().any(|have| have.number == key.number || have.id == key.id) {
            return Ok(false);
        }
        if let Some(at) = withdraw_earlier {
            records.iter_mut().for_each(|have| have.withdrawn_at = have.withdrawn_at.or(Some(at)));
        }
        records.push(key.clone());
        Ok(true)
    }

    async fn erase(&self, number: i64) -> Result<()> {
        let mut records = self.records.lock().unwrap();
        let found = records.iter_mut().find(|record| record.number == number);
        found.into_iter().for_each(|record| record.sealed = None);
        Ok(())
    }
}

/// What replicas share.
struct Cluster {
    store: Arc<Memory>,
    master: MasterSecret,
    pem: SecretString,
    clock: Manual,
}

struct Replica {
    keys: Arc<Keys>,
    tokens: Tokens,
    clock: Manual,
}

impl Cluster {
    fn new() -> Self {
        Self {
            store: Arc::default(),
            master: MasterSecret::generate(&Os),
            pem: SigningKey::generate_pem().unwrap(),
            clock: Manual::at(Timestamp::from_secs(1_800_000_000)),
        }
    }

    async fn open(&self, master: &MasterSecret, pem: &SecretString) -> Result<Keys, KeyError> {
        let store = Arc::clone(&self.store) as Arc<dyn KeyStore>;
        Keys::open(store, master, pem, POLICY, Arc::new(self.clock.clone())).await
    }

    async fn replica(&self) -> Replica {
        let keys = Arc::new(self.open(&self.master, &self.pem).await.unwrap());
        let issuer = Issuer { issuer: "https://a.example".into(), audience: "a".into() };
        let tokens = Tokens::new(Arc::clone(&keys), issuer);
        Replica { keys, tokens, clock: self.clock.clone() }
    }
}

impl Replica {
    /// An access token that is good for a year, whose end only its key can bring.
    fn access(&self) -> SecretString {
        let (account, session) = (AccountId::random(&Os), SessionId::random(&Os));
        let now = self.clock.now();
        let (account, session) = (&account, &session);
        let grant = Grant { account, session, issued_at: now, epoch: 1, follows: None };
        let jti = AccessJti::random(&Os);
        let token = self.tokens.sign_access(&grant, &jti, now + 365 * DAY, &BTreeSet::new());
        SecretString::new(token.unwrap().expose())
    }

    fn refresh(&self) -> SecretString {
        let (account, session) = (AccountId::random(&Os), SessionId::random(&Os));
        let now = self.clock.now();
        let (account, session) = (&account, &session);
        let grant = Grant { account, session, issued_at: now, epoch: 1, follows: None };
        let token = self.tokens.sign_refresh(&grant, &RefreshJti::random(&Os), now + 365 * DAY);
        SecretString::new(token.unwrap().expose())
    }

    async fn takes_access(&self, token: &SecretString) -> bool {
        self.tokens.read_access(token, self.clock.now()).await.is_ok()
    }

    async fn takes_refresh(&self, token: &SecretString) -> bool {
        self.tokens.read_refresh(token, self.clock.now()).await.is_ok()
    }

    /// The state of every key, oldest first.
    fn states(&self) -> Vec<KeyState> {
        self.keys.list().iter().map(|view| view.state).collect()
    }

    fn published(&self) -> Vec<String> {
        let set = self.keys.jwks();
        let ids = set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    }
}

/// The `kid` in a token's header.
fn kid(token: &SecretString) -> String {
    let header = token.expose().split('.').next().unwrap();
    let header = crate::id::from_base64url(header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sr_39_a_key_is_published_then_signs_then_verifies_then_is_gone() {
    let cluster = Cluster::new();
    let replica = cluster.replica().await;
    let old = replica.access();
    let next = replica.keys.rotate(None, Start::AfterLead).await.unwrap();
    assert_eq!(replica.states(), [KeyState::Current, KeyState::Next]);
    assert_eq!(replica.published(), [kid(&old), next.id.clone()]);
    assert_eq!(kid(&replica.access()), kid(&old));

    cluster.clock.advance(10 * MINUTE);
    assert_eq!(replica.states(), [KeyState::Retiring, KeyState::Current]);
    assert_eq!(replica.published(), [next.id.clone(), kid(&old)], "the one that signs comes first");
    assert_eq!(kid(&replica.access()), next.id);
    assert!(replica.takes_access(&old).await);

    cluster.clock.advance(10 * MINUTE + LEEWAY - Duration::from_millis(1));
    assert!(replica.takes_access(&old).await);
    cluster.clock.advance(Duration::from_millis(1));
    assert_eq!(replica.states(), [KeyState::Retired, KeyState::Current]);
    assert_eq!(replica.published(), [next.id]);
    assert!(!replica.takes_access(&old).await, "though it was verified before");
    assert!(!cluster.replica().await.takes_access(&old).await);
}

#[tokio::test]
async fn sr_39_a_rotation_signs_nobody_out_and_the_last_refresh_token_takes_the_key_with_it() {
    let cluster = Cluster::new();
    let replica = cluster.replica().await;
    let old = replica.refresh();
    replica.keys.rotate(None, Start::AfterLead).await.unwrap();
    cluster.clock.advance(10 * MINUTE + 30 * DAY);
    replica.keys.tend().await.unwrap();
    assert!(replica.takes_refresh(&old).await);

    cluster.clock.advance(LEEWAY);
    assert!(!replica.takes_refresh(&old).await);
    replica.keys.tend().await.unwrap();
    assert_eq!(replica.states(), [KeyState::Erased, KeyState::Current]);
    assert!(cluster.store.records.lock().unwrap()[0].sealed.is_none());
    // The configured key had its day: a restart does not bring it back.
    assert_eq!(cluster.replica().await.states(), [KeyState::Erased, KeyState::Current]);
}

#[tokio::test]
async fn sr_39_a_withdrawn_key_is_good_for_no_access_token_but_still_signs_nobody_out() {
    let cluster = Cluster::new();
    let replica = cluster.replica().await;
    let (old, refresh) = (replica.access(), replica.refresh());
    assert!(replica.takes_access(&old).await);
    let waiting = replica.keys.rotate(None, Start::AfterLead).await.unwrap();
    let new = replica.keys.rotate(None, Start::Now).await.unwrap();
    let withdrawn = KeyState::Withdrawn;
    assert_eq!(replica.states(), [withdrawn, withdrawn, KeyState::Current]);
    assert_eq!(replica.published(), [new.id.as_str()]);
    assert!(!replica.takes_access(&old).await);
    assert!(replica.takes_refresh(&refresh).await);
    cluster.clock.advance(DAY);
    assert_eq!(kid(&replica.access()), new.id);
    assert_ne!(waiting.id, new.id);
}

#[tokio::test]
async fn sr_39_a_withdrawal_does_not_change_when_earlier_keys_stopped() {
    let cluster = Cluster::new();
    let replica = cluster.replica().await;
    let second = replica.keys.rotate(None, Start::AfterLead).await.unwrap();
    cluster.clock.advance(POLICY.lead + MINUTE);
    replica.keys.rotate(None, Start::AfterLead).await.unwrap();
    cluster.clock.advance(MINUTE);
    let now = cluster.clock.now();
    replica.keys.rotate(None, Start::Now).await.unwrap();
    let stops: Vec<_> = replica.keys.list().iter().map(|key| key.stops_at).collect();
    assert_eq!(stops, [Some(second.signs_from), Some(now), Some(now), None]);
}

#[tokio::test]
async fn a_key_under_another_name_or_algorithm_is_not_taken() {
    let cluster = Cluster::new();
    cluster.replica().await;
    cluster.store.records.lock().unwrap()[0].algorithm = Algorithm::Es256;
    let refused = cluster.open(&cluster.master, &cluster.pem).await.err();
    assert!(matches!(refused, Some(KeyError::Unknown(_))), "{refused:?}");
}

#[tokio::test]
async fn sr_39_a_replica_that_is_behind_looks_again_but_not_for_every_stranger() {
    let cluster = Cluster::new();
    let (ahead, behind) = (cluster.replica().await, cluster.replica().await);
    ahead.keys.rotate(None, Start::AfterLead).await.unwrap();
    cluster.clock.advance(10 * MINUTE);
    let (token, refresh) = (ahead.access(), ahead.refresh());
    assert!(behind.takes_access(&token).await);
    assert!(behind.takes_refresh(&refresh).await);

    let asked = cluster.store.asked.load(Ordering::SeqCst);
    for _ in 0..50 {
        let made_up = Cluster::new().replica().await.access();
        assert!(!behind.takes_access(&made_up).await);
    }
    let more = cluster.store.asked.load(Ordering::SeqCst) - asked;
    assert!(more <= 3, "{more} questions in a moment");
}

#[tokio::test]
async fn sr_70_keys_stay_as_they_are_while_their_store_is_away() {
    let cluster = Cluster::new();
    let replica = cluster.replica().await;
    let known = replica.access();
    cluster.store.away.store(true, Ordering::SeqCst);
    assert!(matches!(replica.keys.tend().await, Err(Error::Unavailable(_))));
    assert!(replica.takes_access(&known).await);
    assert!(replica.takes_access(&replica.access()).await);

    cluster.store.away.store(false, Ordering::SeqCst);
    let unknown = Cluster::new().replica().await.access();
    cluster.store.away.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let judged = replica.tokens.read_access(&unknown, replica.clock.now()).await;
        assert!(matches!(judged, Err(Error::Unavailable(_))), "nobody knows: {judged:?}");
    }
}

#[tokio::test]
async fn sr_39_keys_rotate_by_themselves_and_only_once() {
    let cluster = Cluster::new();
    let (one, other) = (cluster.replica().await, cluster.replica().await);
    let first = kid(&one.access());
    cluster.clock.advance(90 * DAY - 10 * MINUTE - Duration::from_millis(1));
    one.keys.tend().await.unwrap();
    assert_eq!(one.states().len(), 1);
    cluster.clock.advance(Duration::from_millis(1));
    let (left, right) = tokio::join!(one.keys.tend(), other.keys.tend());
    left.and(right).unwrap();
    one.keys.tend().await.unwrap();
    assert_eq!(one.states(), [KeyState::Current, KeyState::Next]);
    cluster.clock.advance(10 * MINUTE);
    assert_ne!(kid(&one.access()), first, "ninety days to the day");
    assert_eq!(kid(&other.access()), kid(&one.access()));
}

#[tokio::test]
async fn one_rotation_at_a_time() {
    let cluster = Cluster::new();
    let replica = cluster.replica().await;
    replica.keys.rotate(Some(Algorithm::Es256), Start::AfterLead).await.unwrap();
    let again = replica.keys.rotate(None, Start::AfterLead).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    cluster.clock.advance(10 * MINUTE);
    let third = replica.keys.rotate(None, Start::AfterLead).await.unwrap();
    assert_eq!(third.algorithm, Algorithm::Es256, "as the last one");
}

#[tokio::test]
async fn another_configured_key_takes_over_as_any_next_key_does() {
    let cluster = Cluster::new();
    let first = kid(&cluster.replica().await.access());
    let pem = Algorithm::Es256.generate_pem().unwrap();
    cluster.open(&cluster.master, &pem).await.unwrap();
    let replica = cluster.replica().await;
    assert_eq!(replica.states(), [KeyState::Current, KeyState::Next]);
    assert_eq!(kid(&replica.access()), first);
    cluster.clock.advance(10 * MINUTE);
    let id = SigningKey::from_pem(&pem).unwrap().id().to_owned();
    assert_eq!(kid(&replica.access()), id);
}

#[tokio::test]
async fn sr_39_the_keys_of_another_master_secret_are_refused_and_not_added_to() {
    let cluster = Cluster::new();
    cluster.replica().await;
    let other = MasterSecret::generate(&Os);
    for pem in [&cluster.pem, &SigningKey::generate_pem().unwrap()] {
        let refused = cluster.open(&other, pem).await.err().unwrap();
        assert!(matches!(&refused, KeyError::Sealed(_)), "{refused:?}");
        assert!(refused.to_string().contains("`keys.secret`"), "{refused}");
    }
    assert_eq!(cluster.store.records.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn sr_31_a_header_says_alg_typ_and_kid_and_nothing_else() {
    let cluster = Cluster::new();
    let replica = cluster.replica().await;
    let token = replica.access();
    let payload = token.expose().split('.').nth(1).unwrap();
    let ring = replica.keys.ring();
    let id = kid(&token);
    let key = ring.find(&id).unwrap().key();
    let forge = |header: String| {
        let message = format!("{}.{payload}", base64url(header));
        SecretString::new(format!("{message}.{}", key.sign(message.as_bytes()).unwrap()))
    };
    let with = |alg: &str, typ: &str, kid: &str, more: &str| {
        forge(format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"{more}}}"#))
    };
    assert!(replica.takes_access(&with("EdDSA", "at+jwt", &id, "")).await);
    for alg in ["none", "None", "HS256", "RS256", "ES256", "eddsa", ""] {
        assert!(!replica.takes_access(&with(alg, "at+jwt", &id, "")).await, "sr_30: {alg}");
    }
    for typ in ["rt+jwt", "JWT", "AT+JWT", "application/at+jwt", ""] {
        assert!(!replica.takes_access(&with("EdDSA", typ, &id, "")).await, "sr_32: {typ}");
    }
    for name in ["jku", "jwk", "x5u", "x5c", "crit", "zip", "b64", "cty", "x"] {
        for value in ["\"x\"", "null", "[]", "true"] {
            let more = format!(r#","{name}":{value}"#);
            assert!(!replica.takes_access(&with("EdDSA", "at+jwt", &id, &more)).await, "{more}");
        }
    }
    let long = "A".repeat(65);
    let asked = cluster.store.asked.load(Ordering::SeqCst);
    for kid in ["", "../../etc/passwd", "' OR 1=1 --", "https://a.example/key", "%00", &long] {
        assert!(!replica.takes_access(&with("EdDSA", "at+jwt", kid, "")).await, "{kid}");
    }
    assert_eq!(cluster.store.asked.load(Ordering::SeqCst), asked, "no kid of ours looks like that");
}
