//! A token is good only as it was signed (SR-30…32).
#![no_main]

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arbitrary::Arbitrary;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorward::clock::{Manual, Timestamp};
use doorward::error::Result;
use doorward::id::{AccountId, Random, SecretString, SessionId};
use doorward::token::access::AccessJti;
use doorward::token::key::{KeyPolicy, KeyRecord, KeyStore, Keys, MasterSecret};
use doorward::token::refresh::RefreshJti;
use doorward::token::{Grant, Issuer, Tokens};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const ISSUER: &str = "https://site.example";
const AUDIENCE: &str = "site";
/// The private key of this target. It signs nothing else.
const SEED: [u8; 32] = [7; 32];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// Any text.
    Text(&'a str),
    /// A good token, changed in some places.
    Changed { refresh: bool, edits: Vec<Edit> },
    /// Parts of both good tokens, put together anew.
    Spliced([bool; 3]),
    /// Header and payload of somebody else's making, under a signature of ours.
    Forged { header: &'a str, payload: &'a [u8] },
    /// Claims that we never make, signed with our key: what reads them must hold out.
    Signed { refresh: bool, payload: &'a [u8] },
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Replace(u16, u8),
    Insert(u16, u8),
    Remove(u16),
    Cut(u16),
}

/// What the target needs, the same in every run, so that a finding can be repeated.
struct Fixture {
    tokens: Tokens,
    access: String,
    refresh: String,
}

/// No randomness.
struct Fixed;

impl Random for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.iter_mut().zip(1..).for_each(|(byte, number)| *byte = number);
    }
}

#[derive(Default)]
struct Memory(Mutex<Vec<KeyRecord>>);

#[async_trait::async_trait]
impl KeyStore for Memory {
    async fn list(&self) -> Result<Vec<KeyRecord>> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn add(&self, key: &KeyRecord, _: Option<Timestamp>) -> Result<bool> {
        self.0.lock().unwrap().push(key.clone());
        Ok(true)
    }

    async fn erase(&self, _: i64) -> Result<()> {
        Ok(())
    }
}

/// Nothing here waits for anything.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    // RFC 8410 §7: PKCS#8 around the seed.
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(SEED);
    let label = "PRIVATE KEY";
    let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let policy = KeyPolicy {
        lead: Duration::from_secs(600),
        rotate_every: None,
        access_lifetime: DAY,
        refresh_lifetime: 30 * DAY,
    };
    let (store, clock) = (Arc::new(Memory::default()), Arc::new(Manual::at(NOW)));
    let master = MasterSecret::generate(&Fixed);
    let keys = at_once(Keys::open(store, &master, &SecretString::new(pem), policy, clock));
    let issuer = Issuer { issuer: ISSUER.into(), audience: AUDIENCE.into() };
    let tokens = Tokens::new(Arc::new(keys.unwrap()), issuer);

    let (account, session) = (AccountId::random(&Fixed), SessionId::random(&Fixed));
    let (account, session) = (&account, &session);
    let grant = Grant { account, session, issued_at: NOW, epoch: 1, follows: None };
    let (access_jti, refresh_jti) = (AccessJti::random(&Fixed), RefreshJti::random(&Fixed));
    let access = tokens.sign_access(&grant, &access_jti, NOW + DAY, &BTreeSet::new()).unwrap();
    let refresh = tokens.sign_refresh(&grant, &refresh_jti, NOW + DAY).unwrap();
    let (access, refresh) = (access.expose().to_owned(), refresh.expose().to_owned());
    let fixture = Fixture { tokens, access, refresh };
    assert_eq!(fixture.read(&fixture.access), (true, false));
    assert_eq!(fixture.read(&fixture.refresh), (false, true));
    fixture
});

impl Fixture {
    /// Whether a text passes as access token, and as refresh token.
    fn read(&self, text: &str) -> (bool, bool) {
        let text = SecretString::new(text);
        let access = at_once(self.tokens.read_access(&text, NOW)).is_ok();
        let refresh = at_once(self.tokens.read_refresh(&text, NOW)).is_ok();
        let named = at_once(self.tokens.name_of(&text)).is_ok_and(|name| name.is_some());
        assert!(named || !(access || refresh), "it opens a session but does not end it");
        (access, refresh)
    }

    fn good(&self, refresh: bool) -> &str {
        if refresh { &self.refresh } else { &self.access }
    }

    /// Fails if anything but our two tokens passes, or one of them as the other.
    fn judge(&self, text: &str) {
        let expected = (text == self.access, text == self.refresh);
        assert_eq!(self.read(text), expected, "{text}");
    }
}

fn changed(token: &str, edits: &[Edit]) -> String {
    let mut bytes = token.as_bytes().to_vec();
    for edit in edits {
        let at = |place: u16| usize::from(place) % (bytes.len() + 1);
        match *edit {
            Edit::Replace(place, byte) => {
                let at = at(place);
                bytes.get_mut(at).into_iter().for_each(|old| *old = byte);
            }
            Edit::Insert(place, byte) => {
                let at = at(place);
                bytes.insert(at, byte);
            }
            Edit::Remove(place) if at(place) < bytes.len() => {
                let at = at(place);
                bytes.remove(at);
            }
            Edit::Remove(_) => {}
            Edit::Cut(place) => {
                let at = at(place);
                bytes.truncate(at);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Signs any payload under the header of a good token.
fn signed(good: &str, payload: &[u8]) -> String {
    let header = good.split('.').next().unwrap();
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fuzz_target!(|input: Input<'_>| {
    let fixture = &*FIXTURE;
    match input {
        Input::Text(text) => fixture.judge(text),
        Input::Changed { refresh, edits } => {
            fixture.judge(&changed(fixture.good(refresh), &edits));
        }
        Input::Spliced(choice) => {
            let part = |at: usize| fixture.good(choice[at]).split('.').nth(at).unwrap();
            fixture.judge(&[part(0), part(1), part(2)].join("."));
        }
        Input::Forged { header, payload } => {
            let signature = fixture.access.rsplit('.').next().unwrap();
            let header = URL_SAFE_NO_PAD.encode(header);
            let payload = URL_SAFE_NO_PAD.encode(payload);
            fixture.judge(&format!("{header}.{payload}.{signature}"));
        }
        Input::Signed { refresh, payload } => {
            let (access, refreshes) = fixture.read(&signed(fixture.good(refresh), payload));
            assert!(!(access && refresh) && !(refreshes && !refresh), "the wrong type passes");
            if access || refreshes {
                let claims: serde_json::Value = serde_json::from_slice(payload).unwrap();
                assert_eq!((&claims["iss"], &claims["aud"]), (&ISSUER.into(), &AUDIENCE.into()));
            }
        }
    }
});
