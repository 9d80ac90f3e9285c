//! Who may try what, how often (SR-22, SR-23), and why that cannot be turned against an account's
//! owner. What it adds up to for an attacker is worked out in `docs/throttling.md`.

mod bounded;
pub mod device;
mod gauge;
mod ledger;
mod network;
mod quota;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use futures::FutureExt as _;

use crate::address::ClientAddress;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::id::SessionId;
use crate::metric::{Registry, Throttles};
use crate::reloadable::Reloadable;
use crate::token::key::MasterSecret;
use device::{Devices, KnownDevice};
use ledger::{Entry, Ledger, LineKey, Whom};
use store::{LimitKey, LimitStore};

pub use bounded::{Bounded, Fades};
pub use gauge::{Gauge, Standing};
pub use network::Network;
pub use quota::{Backoff, Quota};

/// The rules, by the names that clients and stores know them by.
mod rule {
    pub const LOGIN: &str = "login";
    pub const REGISTER: &str = "register";
    pub const REFRESH: &str = "refresh";
    pub const REQUESTS: &str = "requests";
    pub const ACCOUNT: &str = "account";
    pub const DEVICE: &str = "device";
    pub const CONFIRM: &str = "confirm";
    /// Nothing that anybody comes up against: see `Limits::use_once`.
    pub const ONCE: &str = "once";

    /// All of them.
    pub const ALL: [&str; 7] = [LOGIN, REGISTER, REFRESH, REQUESTS, ACCOUNT, DEVICE, CONFIRM];
}

/// What the operator decides; `None` switches a limit off.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitPolicy {
    /// Sign-ins from one address; for a known device, those to one account instead.
    pub login_per_address: Option<Quota>,
    /// Registrations from one address.
    pub register_per_address: Option<Quota>,
    /// Refreshes of one session.
    pub refresh_per_session: Option<Quota>,
    /// Refreshes from one address.
    pub refresh_per_address: Option<Quota>,
    /// Requests from one address, whatever they ask for.
    pub other_per_address: Option<Quota>,
    /// Confirmations with the password in one session, good or bad.
    pub confirm_per_session: Option<Quota>,
    /// Delays after wrong passwords.
    pub account_failures: Option<Backoff>,
}

/// Whether the next sign-in to an account has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountDelay {
    /// It has not.
    None {
        /// How many have failed since the last good one.
        failures: u32,
    },
    /// For this long.
    For(Duration),
}

/// The service behind all limits.
pub struct Limits {
    store: Arc<dyn LimitStore>,
    policy: Reloadable<LimitPolicy>,
    secret: hmac::Key,
    devices: Devices,
    ledger: Ledger,
    throttles: Throttles,
    clock: Arc<dyn Clock>,
}

/// An attempt at a password that was let through, and is a failure until it is said to be none.
#[must_use = "it counts as a failure until it has succeeded"]
pub struct Attempt<'a> {
    limits: &'a Limits,
    counted: Option<(LimitKey, u32)>,
    on_known_device: bool,
}

impl Attempt<'_> {
    /// Whether it comes from a device that the account knows.
    pub fn is_on_known_device(&self) -> bool {
        self.on_known_device
    }

    /// How many attempts before this one have failed since the last good one, where it was counted.
    pub fn failures_before(&self) -> u32 {
        self.counted.as_ref().map_or(0, |(_, number)| number.saturating_sub(1))
    }

    /// The password was right: what was counted where this attempt was is forgotten. Nothing that
    /// was counted by address is (SR-23).
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn succeeded(self) -> Result<()> {
        match &self.counted {
            Some((key, _)) => self.limits.store.clear(key).await,
            None => Ok(()),
        }
    }

    /// The password was not looked at, because something did not work: that is nobody's failure.
    pub async fn not_made(self) {
        if let Some((key, failures)) = &self.counted
            && let Err(error) = self.limits.store.give_back(key, *failures).await
        {
            tracing::debug!(%error, "an attempt that was not made stays counted");
        }
    }
}

impl Limits {
    /// Puts the service together.
    pub fn new(
        store: Arc<dyn LimitStore>,
        policy: LimitPolicy,
        secret: &MasterSecret,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let devices = Devices::new(secret);
        let secret = secret.derive(b"doorward/limit/v1");
        let (ledger, throttles) = (Ledger::new(), Throttles::default());
        let policy = Reloadable::new(policy);
        Self { store, policy, secret, devices, ledger, throttles, clock }
    }

    /// Counts from now on what is refused.
    #[must_use]
    pub fn watched(self, registry: &Registry) -> Self {
        Self { throttles: Throttles::of(registry, &rule::ALL), ..self }
    }

    /// Replaces the policy. What was counted stays counted.
    pub fn set_policy(&self, policy: LimitPolicy) {
        self.policy.replace(policy);
    }

    fn policy(&self) -> LimitPolicy {
        *self.policy.get()
    }

    /// The device cookies.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// Lets somebody try a password for the account that is signed in to as `identifier`, in its
    /// normal form, whether it exists or not.
    ///
    /// Who comes on a device that the account knows is counted by themselves: neither the address
    /// nor the account's failures elsewhere stand in their way.
    ///
    /// # Errors
    /// [`Error::Throttled`]; [`Error::Unavailable`], because what cannot be counted is not let
    /// through (SR-70).
    pub async fn login(
        &self,
        identifier: &str,
        device: Option<&KnownDevice>,
        ip: ClientAddress,
        gauge: &Gauge,
    ) -> Result<Attempt<'_>> {
        let network = Network::of(ip);
        let from = device.map_or(network.as_bytes(), |device| device.tag());
        self.take(rule::LOGIN, self.policy().login_per_address, from, gauge).await?;
        let Some(device) = device else {
            return self.attempt(rule::ACCOUNT, identifier.as_bytes()).await;
        };
        let whom = [device.tag().as_slice(), device.id()].concat();
        let attempt = self.attempt(rule::DEVICE, &whom).await?;
        Ok(Attempt { on_known_device: true, ..attempt })
    }

    /// Lets somebody who is signed in confirm with their password. Counted by session: whoever took
    /// over one does not keep the owner from confirming in another.
    ///
    /// # Errors
    /// As [`Limits::login`].
    pub async fn confirm(&self, session: &SessionId, gauge: &Gauge) -> Result<Attempt<'_>> {
        let session = session.as_str().as_bytes();
        self.take(rule::CONFIRM, self.policy().confirm_per_session, session, gauge).await?;
        // Under a key of its own: in Redis a bucket and a count of failures are of different types.
        self.attempt(rule::CONFIRM, &[b"failures/", session].concat()).await
    }

    /// Whether sign-ins are counted, for which the store is asked before anything else is done.
    pub fn count_sign_ins(&self) -> bool {
        let policy = self.policy();
        policy.login_per_address.is_some() || policy.account_failures.is_some()
    }

    /// Whether registrations are counted.
    pub fn count_registrations(&self) -> bool {
        self.policy().register_per_address.is_some()
    }

    /// Lets somebody make an account.
    ///
    /// # Errors
    /// As [`Limits::login`].
    pub async fn register(&self, ip: ClientAddress, gauge: &Gauge) -> Result<()> {
        let network = Network::of(ip);
        self.take(rule::REGISTER, self.policy().register_per_address, network.as_bytes(), gauge)
            .await
    }

    /// Lets somebody refresh a session whose refresh token they have shown.
    ///
    /// # Errors
    /// As [`Limits::login`].
    pub async fn refresh(
        self: &Arc<Self>,
        session: &SessionId,
        ip: ClientAddress,
        gauge: &Gauge,
    ) -> Result<()> {
        let key = (rule::REFRESH, Whom::Network(Network::of(ip)));
        self.count(key, self.policy().refresh_per_address, gauge)
            .map_err(|wait| self.refuse(rule::REFRESH, wait))?;
        let session = session.as_str().as_bytes();
        self.take(rule::REFRESH, self.policy().refresh_per_session, session, gauge).await
    }

    /// Lets a request of any kind through. Costs it no round trip: what was let through is told to
    /// the store afterwards, one percent of the quota at a time, and a store that does not answer
    /// keeps nobody out (SR-70).
    ///
    /// Where others have used up an address, the owner of a device that is known to some account
    /// is counted with that account instead; only then is the device's cookie asked for.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub fn request<'c>(
        self: &Arc<Self>,
        ip: ClientAddress,
        device_cookie: impl FnOnce() -> Option<&'c str>,
        gauge: &Gauge,
    ) -> Result<()> {
        let quota = self.policy().other_per_address;
        let key = (rule::REQUESTS, Whom::Network(Network::of(ip)));
        let Err(wait) = self.count(key, quota, gauge) else { return Ok(()) };
        let known = device_cookie().and_then(|cookie| self.devices.any(cookie, self.clock.now()));
        let counted = match known {
            Some(known) => self.count((rule::REQUESTS, Whom::Owner(*known.tag())), quota, gauge),
            None => Err(wait),
        };
        counted.map_err(|wait| self.refuse(rule::REQUESTS, wait))
    }

    /// How sign-ins to the account of `identifier` stand on devices that it does not know. Nothing stays
    /// counted.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn account_delay(&self, identifier: &str) -> Result<AccountDelay> {
        match self.attempt(rule::ACCOUNT, identifier.as_bytes()).await {
            Ok(attempt) => {
                let failures = attempt.failures_before();
                attempt.not_made().await;
                Ok(AccountDelay::None { failures })
            }
            Err(Error::Throttled(wait)) => Ok(AccountDelay::For(wait)),
            Err(error) => Err(error),
        }
    }

    /// Whether `name` is used for the first time within `life`, on any replica.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn use_once(&self, name: &[u8], life: Duration) -> Result<bool> {
        let Some(quota) = Quota::new(1, life) else { return Ok(false) };
        let key = LimitKey::new(&self.secret, rule::ONCE, name);
        Ok(self.store.take(&key, &quota, self.clock.now()).await?.allowed)
    }

    /// The error for what comes too often under this rule.
    fn refuse(&self, rule: &str, wait: Duration) -> Error {
        self.throttles.count(rule);
        Error::Throttled(wait)
    }

    /// Takes a token, if the rule is on.
    async fn take(
        &self,
        rule: &'static str,
        quota: Option<Quota>,
        whom: &[u8],
        gauge: &Gauge,
    ) -> Result<()> {
        let Some(quota) = quota else { return Ok(()) };
        let key = LimitKey::new(&self.secret, rule, whom);
        let taken = self.store.take(&key, &quota, self.clock.now()).await?;
        let (remaining, retry_after) = (taken.remaining, taken.retry_after);
        gauge.note(Standing { policy: rule, quota, remaining, retry_after });
        if taken.allowed { Ok(()) } else { Err(self.refuse(rule, retry_after)) }
    }

    async fn attempt(&self, rule: &'static str, whom: &[u8]) -> Result<Attempt<'_>> {
        let Some(backoff) = self.policy().account_failures else {
            return Ok(Attempt { limits: self, counted: None, on_known_device: false });
        };
        let key = LimitKey::new(&self.secret, rule, whom);
        match self.store.attempt(&key, &backoff, self.clock.now()).await? {
            store::Attempt::Counted { failures } => {
                let counted = Some((key, failures));
                Ok(Attempt { limits: self, counted, on_known_device: false })
            }
            store::Attempt::Delayed(wait) => Err(self.refuse(rule, wait)),
        }
    }

    /// Counts a request here, and in the store in batches; or says how long it has to wait.
    fn count(
        self: &Arc<Self>,
        key: LineKey,
        quota: Option<Quota>,
        gauge: &Gauge,
    ) -> Result<(), Duration> {
        let Some(quota) = quota else { return Ok(()) };
        let batch = (quota.burst() / 100).max(1);
        match self.ledger.note(&key, batch, self.clock.now()) {
            Entry::Pass => Ok(()),
            Entry::Settle(tokens) => {
                let this = Arc::clone(self);
                let mut settling = Box::pin(async move { this.settle(key, quota, tokens).await });
                // A store in this process has answered at once; any other is not waited for.
                if (&mut settling).now_or_never().is_none() {
                    tokio::spawn(settling);
                }
                Ok(())
            }
            Entry::Refuse(retry_after) => {
                gauge.note(Standing { policy: key.0, quota, remaining: 0, retry_after });
                Err(retry_after)
            }
        }
    }

    async fn settle(&self, line: LineKey, quota: Quota, tokens: u32) {
        let key = match &line.1 {
            Whom::Network(network) => LimitKey::new(&self.secret, line.0, network.as_bytes()),
            Whom::Owner(tag) => LimitKey::new(&self.secret, line.0, tag),
        };
        let charged = self.store.charge(&key, &quota, tokens, self.clock.now()).await;
        let refused = match charged {
            Ok(taken) => Some(taken.retry_after),
            Err(error) => {
                tracing::debug!(%error, "requests could not be counted");
                None
            }
        };
        self.ledger.settled(&line, tokens, refused, self.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::{Manual, Timestamp};
    use crate::id::Os;
    use store::Taken;

    /// A store that allows everything and counts what it is told.
    #[derive(Default)]
    struct Counting {
        calls: AtomicU32,
        tokens: AtomicU32,
    }

    #[async_trait::async_trait]
    impl LimitStore for Counting {
        async fn take(&self, _: &LimitKey, _: &Quota, _: Timestamp) -> Result<Taken> {
            Ok(Taken { allowed: true, remaining: 1, retry_after: Duration::ZERO })
        }

        async fn charge(
            &self,
            key: &LimitKey,
            quota: &Quota,
            tokens: u32,
            now: Timestamp,
        ) -> Result<Taken> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.tokens.fetch_add(tokens, Ordering::SeqCst);
            self.take(key, quota, now).await
        }

        async fn attempt(&self, _: &LimitKey, _: &Backoff, _: Timestamp) -> Result<store::Attempt> {
            Ok(store::Attempt::Counted { failures: 1 })
        }

        async fn clear(&self, _: &LimitKey) -> Result<()> {
            Ok(())
        }

        async fn give_back(&self, _: &LimitKey, _: u32) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_limit_on_every_request_tells_its_store_of_a_hundredth_of_the_burst_at_a_time() {
        let counting = Arc::new(Counting::default());
        let store = Arc::clone(&counting) as Arc<dyn LimitStore>;
        let policy = LimitPolicy {
            other_per_address: Quota::new(600, Duration::from_secs(60)),
            ..LimitPolicy::default()
        };
        let clock = Arc::new(Manual::at(Timestamp::from_millis(1_800_000_000_000)));
        let limits = Arc::new(Limits::new(store, policy, &MasterSecret::generate(&Os), clock));
        for _ in 0..600 {
            let ip = IpAddr::V4(Ipv4Addr::LOCALHOST).into();
            limits.request(ip, || None, &Gauge::default()).expect("it is let through");
        }
        let told = (&counting.calls, &counting.tokens);
        assert_eq!((told.0.load(Ordering::SeqCst), told.1.load(Ordering::SeqCst)), (100, 600));
    }
}
