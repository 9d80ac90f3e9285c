//! Device cookies: which browsers an account's owner has signed in with before (OWASP, "Slow Down
//! Online Guessing Attacks with Device Cookies").
//!
//! A browser that shows one guesses on its own account, as it were: its failures are counted apart
//! from those of the rest of the world, so that whatever the rest of the world does, its owner gets
//! in. It grants nothing else; without the password it opens nothing.

use std::time::Duration;

use aws_lc_rs::hmac;

use crate::clock::Timestamp;
use crate::id::{
    AccountId, Random, SecretString, base64url, constant_time_eq, from_base64url, random_bytes,
};
use crate::token::key::MasterSecret;

/// How long a device is known after its last good sign-in.
pub const DEVICE_LIFETIME: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// For how many accounts one browser is a known device; the oldest gives way.
const MAX_ENTRIES: usize = 4;
/// Longest cookie that is read, in bytes: [`MAX_ENTRIES`] entries, each with a separator.
const MAX_LENGTH: usize = MAX_ENTRIES * (ENTRY_TEXT + 1);
/// An entry in bytes: account tag (16), device (16), issued at (8), stamp (8), HMAC-SHA-256 (32).
const ENTRY: usize = SIGNED + 32;
const SIGNED: usize = 48;
/// The same in base64url.
const ENTRY_TEXT: usize = (ENTRY * 4).div_ceil(3);

/// What a browser keeps to be known by, for one account.
#[derive(Clone, Debug)]
pub struct DeviceToken(SecretString);

impl DeviceToken {
    /// The value of the cookie: this token before those for other accounts in `existing`, the
    /// cookie as it was. What of that is not ours is dropped when it is read.
    pub fn beside(&self, existing: Option<&str>) -> SecretString {
        let this = self.0.expose();
        let tag = |entry: &str| from_base64url(entry)?.first_chunk::<16>().copied();
        let mine = tag(this);
        let others = entries(existing.unwrap_or_default()).filter(|entry| tag(entry) != mine);
        let all: Vec<&str> = std::iter::once(this).chain(others).take(MAX_ENTRIES).collect();
        SecretString::new(all.join("."))
    }
}

/// A device that its cookie proves to be known to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDevice {
    tag: [u8; 16],
    id: [u8; 16],
    stamp: [u8; 8],
}

impl KnownDevice {
    /// Stands for the account's sign-in name.
    pub fn tag(&self) -> &[u8; 16] {
        &self.tag
    }

    /// Names the device.
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }
}

/// Issues and reads device cookies.
pub struct Devices(hmac::Key);

impl Devices {
    /// Device cookies under this server's secret.
    pub fn new(secret: &MasterSecret) -> Self {
        Self(secret.derive(b"doorward/device/v1"))
    }

    /// A token for a device on which the owner of `account`, who signs in as `identifier`, has just
    /// proved to be who they are. A device that was `known` stays the same one.
    ///
    /// It is void once the account's `epoch` is another: after a change of the password, and after
    /// all sessions were ended.
    pub fn issue(
        &self,
        identifier: &str,
        (account, epoch): (&AccountId, i64),
        known: Option<&KnownDevice>,
        now: Timestamp,
        random: &dyn Random,
    ) -> DeviceToken {
        let mut entry = Vec::with_capacity(ENTRY);
        entry.extend_from_slice(&self.tag(identifier));
        entry
            .extend_from_slice(&known.map_or_else(|| random_bytes::<16>(random), |known| known.id));
        entry.extend_from_slice(&now.as_millis().to_be_bytes());
        entry.extend_from_slice(&self.stamp(account, epoch));
        let mac = hmac::sign(&self.0, &message(&entry));
        entry.extend_from_slice(mac.as_ref());
        DeviceToken(SecretString::new(base64url(entry)))
    }

    /// The device, if `cookie` proves that it is known to whoever signs in as `identifier`.
    /// [`Devices::is_current`] says whether the account still is as it was.
    pub fn known(&self, cookie: &str, identifier: &str, now: Timestamp) -> Option<KnownDevice> {
        let tag = self.tag(identifier);
        self.all(cookie, now).find(|device| constant_time_eq(&device.tag, &tag))
    }

    /// The device, whosever it is.
    pub fn any(&self, cookie: &str, now: Timestamp) -> Option<KnownDevice> {
        self.all(cookie, now).next()
    }

    /// Whether the cookie was issued for this account in its present epoch.
    pub fn is_current(&self, device: &KnownDevice, account: &AccountId, epoch: i64) -> bool {
        constant_time_eq(&device.stamp, &self.stamp(account, epoch))
    }

    fn all(&self, cookie: &str, now: Timestamp) -> impl Iterator<Item = KnownDevice> {
        entries(cookie).filter_map(move |entry| self.read(entry, now))
    }

    fn read(&self, entry: &str, now: Timestamp) -> Option<KnownDevice> {
        let bytes = from_base64url(entry)?;
        let (signed, mac) = bytes.split_at_checked(SIGNED)?;
        hmac::verify(&self.0, &message(signed), mac).ok()?;
        let (tag, rest) = signed.split_first_chunk::<16>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (issued_at, rest) = rest.split_first_chunk::<8>()?;
        let issued_at = Timestamp::from_millis(i64::from_be_bytes(*issued_at));
        let stamp = rest.first_chunk::<8>()?;
        let alive = now < issued_at + DEVICE_LIFETIME;
        alive.then_some(KnownDevice { tag: *tag, id: *id, stamp: *stamp })
    }

    /// Stands for a sign-in name, in a cookie that shows no address.
    fn tag(&self, identifier: &str) -> [u8; 16] {
        self.hash(&[b"identifier", identifier.as_bytes()])
    }

    fn stamp(&self, account: &AccountId, epoch: i64) -> [u8; 8] {
        self.hash(&[b"account", account.as_str().as_bytes(), &epoch.to_be_bytes()])
    }

    fn hash<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().first_chunk().copied().unwrap_or([0; N])
    }
}

/// What is signed: nothing else that this key hashes begins like it.
fn message(signed: &[u8]) -> Vec<u8> {
    [b"entry", signed].concat()
}

fn entries(cookie: &str) -> impl Iterator<Item = &str> {
    let readable = if cookie.len() <= MAX_LENGTH { cookie } else { "" };
    readable.split('.').filter(|entry| entry.len() == ENTRY_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Os;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_device_is_known_to_its_account_in_its_epoch_for_its_time() {
        let devices = Devices::new(&MasterSecret::generate(&Os));
        let (ada, bob) = (AccountId::random(&Os), AccountId::random(&Os));
        let token = devices.issue("ada@x.org", (&ada, 3), None, NOW, &Os);
        let cookie = token.beside(None);
        let known = devices.known(cookie.expose(), "ada@x.org", NOW).expect("known");
        assert!(devices.is_current(&known, &ada, 3));
        assert!(!devices.is_current(&known, &ada, 4) && !devices.is_current(&known, &bob, 3));
        assert_eq!(devices.known(cookie.expose(), "bob@x.org", NOW), None);
        let end = NOW + DEVICE_LIFETIME;
        assert_eq!(devices.known(cookie.expose(), "ada@x.org", end), None);
        let elsewhere = Devices::new(&MasterSecret::generate(&Os));
        assert_eq!(elsewhere.known(cookie.expose(), "ada@x.org", NOW), None);
        let again = devices.issue("ada@x.org", (&ada, 4), Some(&known), NOW, &Os).beside(None);
        let again = devices.known(again.expose(), "ada@x.org", NOW).expect("known");
        assert_eq!(again.id(), known.id());
    }

    #[test]
    fn no_changed_byte_gets_through() {
        let devices = Devices::new(&MasterSecret::generate(&Os));
        let token = devices.issue("ada@x.org", (&AccountId::random(&Os), 1), None, NOW, &Os);
        let bytes = from_base64url(token.beside(None).expose()).unwrap();
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            assert_eq!(devices.any(&base64url(changed), NOW), None, "{position}");
        }
    }

    #[test]
    fn one_browser_is_known_to_four_accounts_and_the_oldest_gives_way() {
        let devices = Devices::new(&MasterSecret::generate(&Os));
        let issue = |name: &str| devices.issue(name, (&AccountId::random(&Os), 1), None, NOW, &Os);
        let mut cookie = SecretString::default();
        for name in ["a", "b", "c", "a", "d", "e"] {
            cookie = issue(name).beside(Some(cookie.expose()));
        }
        assert!(cookie.expose().len() <= MAX_LENGTH);
        let known = |name| devices.known(cookie.expose(), name, NOW).is_some();
        assert_eq!(["a", "b", "c", "d", "e"].map(known), [true, false, true, true, true]);
        let garbage = "x".repeat(5_000);
        for hostile in ["", ".", "..", &garbage, &"a".repeat(ENTRY_TEXT)] {
            assert_eq!(devices.any(hostile, NOW), None);
            let cookie = issue("a").beside(Some(hostile));
            assert!(devices.known(cookie.expose(), "a", NOW).is_some());
        }
    }
}
