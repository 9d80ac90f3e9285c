//! Where a request comes from (SR-24).

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use rocket::request::{FromRequest, Outcome, Request};

use super::visit::Visit;
use super::{hop, limit};
use crate::address::ClientAddress;
use crate::clock::{Clock, Timestamp};
use crate::reloadable::Reloadable;
use crate::session;

/// How often a client whose address is unknown is logged.
const LOGGED_EVERY: Duration = Duration::from_secs(60);
/// How much of what a proxy said is logged, in characters.
const MAX_LOGGED: usize = 64;

/// The proxies whose word about the client is taken.
#[derive(Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// When an unknown client was last logged, and how many there were since.
    unknown: Mutex<(Option<Timestamp>, u64)>,
}

/// A client whose proxies named no address that can be read: what they named in its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable<'h>(&'h str);

impl TrustedProxies {
    /// Proxies in these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, ..Self::default() }
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client behind `peer`, by the lines of the two headers in which proxies name it: those of
    /// `Forwarded` count where there is no `X-Forwarded-For`.
    ///
    /// # Errors
    /// [`Unreadable`]: a trusted proxy named no address. Never is it the proxy that counts instead, which
    /// all its other clients would share.
    pub(crate) fn judge<'h>(
        &self,
        peer: IpAddr,
        x_forwarded_for: &[&'h str],
        forwarded: &[&'h str],
    ) -> Result<IpAddr, Unreadable<'h>> {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return Ok(peer);
        }
        if !x_forwarded_for.is_empty() {
            let hops = hop::from_the_right(x_forwarded_for).map(|node| (node, Some(node)));
            return self.client(peer, hops);
        }
        if !forwarded.is_empty() {
            let hops = hop::from_the_right(forwarded);
            return self.client(peer, hops.map(|element| (element, hop::forwarded_for(element))));
        }
        Ok(peer)
    }

    /// The first hop from the right that is no trusted proxy: what stands left of it, the client may have
    /// made up. A hop is what stands there, and the node in it.
    fn client<'h>(
        &self,
        peer: IpAddr,
        hops: impl Iterator<Item = (&'h str, Option<&'h str>)>,
    ) -> Result<IpAddr, Unreadable<'h>> {
        let mut client = None;
        for (text, node) in hops {
            if !self.trust(client.unwrap_or(peer)) {
                break;
            }
            let address = node.and_then(hop::parse).ok_or(Unreadable(text))?;
            client = Some(address.to_canonical());
        }
        // A header without a hop names nobody.
        client.ok_or(Unreadable(""))
    }

    /// Logs a client whose address is unknown, once a minute.
    fn log(&self, peer: IpAddr, unreadable: &Unreadable<'_>, now: Timestamp) {
        let others = {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            // Not so much as a second ahead: a clock that was set back does not silence it.
            if unknown.0.is_some_and(|at| at <= now && now.since(at) < LOGGED_EVERY) {
                unknown.1 += 1;
                return;
            }
            std::mem::replace(&mut *unknown, (Some(now), 0)).1
        };
        let hop: String = unreadable.0.chars().take(MAX_LOGGED).collect();
        tracing::warn!(
            %peer,
            ?hop,
            others,
            "failed to read the client's address from what a trusted proxy sent; counting it as unknown"
        );
    }
}

/// The proxies that are trusted at this moment.
fn trusted(request: &Request<'_>) -> Option<Arc<TrustedProxies>> {
    request.rocket().state::<Reloadable<TrustedProxies>>().map(Reloadable::get)
}

/// Whether a proxy that the operator trusts has made the request.
pub fn is_trusted_proxy(request: &Request<'_>) -> bool {
    let peer = request.remote().map(|remote| remote.ip().to_canonical());
    let proxies = trusted(request);
    proxies.zip(peer).is_some_and(|(proxies, peer)| proxies.trust(peer))
}

/// The longest name of a request that is taken over, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// What a trusted proxy calls the request, so that its log and ours can be laid side by side. A name
/// that is none, or one of several, is not taken: it stands in logs and tables.
pub fn request_id(request: &Request<'_>) -> Option<String> {
    let proxies = trusted(request)?;
    if proxies.networks.is_empty() || !is_trusted_proxy(request) {
        return None;
    }
    let mut names = request.headers().get("X-Request-Id");
    let name = names.next().filter(|name| is_request_id(name))?;
    names.next().is_none().then(|| name.to_owned())
}

/// Letters, digits and what stands in identifiers between them, beginning with one of the former: no
/// formula to a table program, no markup, nothing that ends a line or a field.
fn is_request_id(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    name.len() <= MAX_REQUEST_ID
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}

/// The client's address, judged once for a request.
pub fn address(request: &Request<'_>) -> ClientAddress {
    *Visit::of(request).address.get_or_init(|| {
        let Some(peer) = request.remote().map(|remote| remote.ip().to_canonical()) else {
            return ClientAddress::UNKNOWN;
        };
        // Headers of anyone else are not looked at.
        let Some(proxies) = trusted(request).filter(|proxies| proxies.trust(peer)) else {
            return peer.into();
        };
        let lines = |name| request.headers().get(name).collect::<Vec<&str>>();
        match proxies.judge(peer, &lines("X-Forwarded-For"), &lines("Forwarded")) {
            Ok(address) => address.into(),
            Err(unreadable) => {
                if let Some(clock) = request.rocket().state::<Arc<dyn Clock>>() {
                    proxies.log(peer, &unreadable, clock.now());
                }
                ClientAddress::UNKNOWN
            }
        }
    })
}

/// Who makes the request, and where what it is counted under is noted.
pub fn of(request: &Request<'_>) -> session::Client {
    let user_agent = request.headers().get_one("User-Agent").unwrap_or_default();
    let user_agent = user_agent.chars().filter(|c| !c.is_control()).take(512).collect();
    session::Client { ip: address(request), user_agent, gauge: limit::gauge(request).clone() }
}

/// Who asks, for the session that may begin with this request.
pub struct Client(pub session::Client);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Client {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(of(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(trusted: &str, peer: &str, for_: &[&str], forwarded: &[&str]) -> String {
        let networks = trusted.split_whitespace().map(|network| network.parse().unwrap());
        let proxies = TrustedProxies::new(networks.collect());
        let client = proxies.judge(peer.parse().unwrap(), for_, forwarded);
        client.map_or(ClientAddress::UNKNOWN, ClientAddress::from).to_string()
    }

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        judged(trusted, peer, lines, &[])
    }

    #[test]
    #[rustfmt::skip]
    fn sr_24_only_trusted_proxies_are_believed() {
        let trusted = "127.0.0.1/32 10.0.0.0/8 2001:db8::/32";
        for (peer, lines, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("203.0.113.9", &["unknown"], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6", "198.51.100.1, 10.0.0.1", "2001:db8::5"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1:5000"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db9::5]:443"], "2001:db9::5"),
            ("127.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, ::ffff:10.0.0.1"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db9::5]"], "2001:db9::5"),
            ("127.0.0.1", &["10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            // Empty elements do not count, wherever they stand.
            ("127.0.0.1", &["198.51.100.1,"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1 ,\t, ,"], "198.51.100.1"),
            ("127.0.0.1", &[",,6.6.6.6,,198.51.100.1,,"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1", ""], "198.51.100.1"),
            // Quoted, with a zone, and with what a client wrote in front.
            ("127.0.0.1", &["\"198.51.100.1\""], "198.51.100.1"),
            ("127.0.0.1", &["\"[2001:db9::5]:443\", \"10.0.0.1:80\""], "2001:db9::5"),
            ("127.0.0.1", &["fe80::1%eth0"], "fe80::1"),
            ("127.0.0.1", &["\"6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["unknown, 198.51.100.1"], "198.51.100.1"),
            // What cannot be read is unknown, and nothing left of it counts.
            ("127.0.0.1", &["unknown"], "unknown"),
            ("127.0.0.1", &["_hidden"], "unknown"),
            ("127.0.0.1", &["198.51.100.1, unknown"], "unknown"),
            ("127.0.0.1", &["198.51.100.1, unknown, 10.0.0.1"], "unknown"),
            ("127.0.0.1", &["198.51.100.1, \"6.6.6.6, 10.0.0.1\""], "unknown"),
            ("127.0.0.1", &["not an address"], "unknown"),
            ("127.0.0.1", &["[198.51.100.1]"], "unknown"),
            ("127.0.0.1", &["0.0.0.0"], "unknown"),
            ("127.0.0.1", &[""], "unknown"),
            ("127.0.0.1", &[" , "], "unknown"),
        ] {
            assert_eq!(client(trusted, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn sr_24_forwarded_names_the_client_where_x_forwarded_for_is_not_there() {
        for (lines, expected) in [
            (&["for=198.51.100.1"][..], "198.51.100.1"),
            (&["for=6.6.6.6, for=198.51.100.1;proto=https;by=203.0.113.43"], "198.51.100.1"),
            (&["for=6.6.6.6", "For=\"[2001:db9::17]:4711\""], "2001:db9::17"),
            (&["for=198.51.100.1;host=\"a,b;for=6.6.6.6\""], "198.51.100.1"),
            (&["for=\"6.6.6.6, for=198.51.100.1"], "198.51.100.1"),
            (&["for=198.51.100.1,"], "198.51.100.1"),
            (&["for=198.51.100.1, for=127.0.0.1;proto=http"], "198.51.100.1"),
            (&["for=_hidden"], "unknown"),
            (&["for=\"_hidden:_port\""], "unknown"),
            (&["for=198.51.100.1, for=unknown"], "unknown"),
            (&["for=198.51.100.1, proto=https"], "unknown"),
            (&["for=6.6.6.6;for=198.51.100.1"], "unknown"),
            (&["198.51.100.1"], "unknown"),
            (&[""], "unknown"),
        ] {
            assert_eq!(judged("127.0.0.1/32", "127.0.0.1", &[], lines), expected, "{lines:?}");
        }
        let both = judged("127.0.0.1/32", "127.0.0.1", &["198.51.100.1"], &["for=6.6.6.6"]);
        assert_eq!(both, "198.51.100.1");
        let both = judged("127.0.0.1/32", "127.0.0.1", &["unknown"], &["for=6.6.6.6"]);
        assert_eq!(both, "unknown");
    }

    #[test]
    fn sr_80_the_name_of_a_request_is_short_and_plain() {
        for name in
            ["OrKFPC91lp_rCNkx", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "Root=1-67-ab", "7"]
        {
            assert!(is_request_id(name), "{name}");
        }
        let long = "a".repeat(129);
        for name in ["", "=1+1", "-x", "a b", "a\nb", "a\"b", "<a>", "a,b", "é", "a\u{0}", &long] {
            assert!(!is_request_id(name), "{name:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_an_untrusted_peer_anybody_else(header in "\\PC{0,60}") {
            proptest::prop_assert_eq!(client("10.0.0.0/8", "203.0.113.9", &[&header]), "203.0.113.9");
        }

        #[test]
        fn nothing_that_a_client_writes_changes_what_its_proxy_says(
            header in "[\\PC]{0,40}",
            hop in "198\\.51\\.100\\.1|\"198.51.100.1:80\"|198.51.100.1:8|unknown|_x|fe80::1%eth0",
        ) {
            let alone = client("10.0.0.0/8", "10.0.0.1", &[&hop]);
            let appended = format!("{header},{hop}");
            proptest::prop_assert_eq!(&client("10.0.0.0/8", "10.0.0.1", &[&appended]), &alone);
            proptest::prop_assert_eq!(&client("10.0.0.0/8", "10.0.0.1", &[&header, &hop]), &alone);
            proptest::prop_assert_ne!(alone, "10.0.0.1");
        }
    }
}
