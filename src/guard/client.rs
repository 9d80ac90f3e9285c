//! Where a request comes from (SR-24).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use rocket::request::{FromRequest, Outcome, Request};

use super::limit;
use super::visit::Visit;
use crate::reloadable::Reloadable;
use crate::session;

/// The proxies whose word about the client is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind `peer`, by the values of the two headers in which proxies name it: those of
    /// `Forwarded` count where there is no `X-Forwarded-For`.
    pub(crate) fn judge(
        &self,
        peer: IpAddr,
        x_forwarded_for: &[&str],
        forwarded: &[&str],
    ) -> IpAddr {
        let peer = canonical(peer);
        if !self.trust(peer) {
            return peer;
        }
        if !x_forwarded_for.is_empty() {
            return self.client(peer, x_forwarded_for.iter().copied());
        }
        let elements = forwarded.iter().flat_map(|value| value.split(','));
        let hops: Vec<&str> = elements.map(forwarded_for).collect();
        self.client(peer, hops.into_iter())
    }

    /// The client behind `peer`, whose proxies appended to the `X-Forwarded-For` values `forwarded`.
    ///
    /// The rightmost hop that is no trusted proxy is the client: what stands left of it, the client
    /// may have made up. A hop that is no address counts as made up too: then it is the last
    /// address that was trusted to be real.
    fn client<'h>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'h str>,
    ) -> IpAddr {
        let mut client = peer;
        let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        for hop in hops.into_iter().rev() {
            if !self.trust(client) {
                break;
            }
            match parse_hop(hop.trim()) {
                Some(address) => client = address,
                None => return peer,
            }
        }
        client
    }
}

/// A hop: an address, or one with a port (`192.0.2.1:443`, `[2001:db8::1]:443`). Nothing may follow.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bracketed = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bracketed {
        Some(address) => IpAddr::V6(address.parse().ok()?),
        None => hop.parse().or_else(|_| hop.parse().map(|socket: SocketAddr| socket.ip())).ok()?,
    };
    Some(canonical(address))
}

/// The hop of an element of `Forwarded` (RFC 7239 §4); empty, which is no address, if it names none.
fn forwarded_for(element: &str) -> &str {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let hop = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, hop)| hop).next();
    hop.unwrap_or_default().trim_matches('"')
}

/// An IPv4 address that travels in IPv6 clothes is the IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The proxies that are trusted at this moment.
fn trusted(request: &Request<'_>) -> Option<Arc<TrustedProxies>> {
    request.rocket().state::<Reloadable<TrustedProxies>>().map(Reloadable::get)
}

/// Whether a proxy that the operator trusts has made the request.
pub fn is_trusted_proxy(request: &Request<'_>) -> bool {
    let peer = request.remote().map(|remote| canonical(remote.ip()));
    let proxies = trusted(request);
    proxies.zip(peer).is_some_and(|(proxies, peer)| proxies.trust(peer))
}

/// The longest name of a request that is taken over, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// What a trusted proxy calls the request, so that its log and ours can be laid side by side. A name
/// that is none, or one of several, is not taken: it stands in logs and tables.
pub fn request_id(request: &Request<'_>) -> Option<String> {
    let proxies = trusted(request)?;
    if proxies.0.is_empty() || !is_trusted_proxy(request) {
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
pub fn address(request: &Request<'_>) -> IpAddr {
    *Visit::of(request).address.get_or_init(|| {
        let peer = request.remote().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |r| r.ip());
        let values = |name| request.headers().get(name).collect::<Vec<&str>>();
        // Nobody else's headers are looked at.
        let proxies = trusted(request).filter(|proxies| proxies.trust(canonical(peer)));
        proxies.map_or(canonical(peer), |proxies| {
            proxies.judge(peer, &values("X-Forwarded-For"), &values("Forwarded"))
        })
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

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies(
            trusted.split_whitespace().map(|network| network.parse().unwrap()).collect(),
        );
        proxies.client(peer.parse().unwrap(), forwarded.iter().copied()).to_string()
    }

    #[test]
    fn sr_24_only_trusted_proxies_are_believed() {
        let trusted = "127.0.0.1/32 10.0.0.0/8 2001:db8::/32";
        for (peer, forwarded, expected) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1:5000"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db9::5]:443"], "2001:db9::5"),
            ("127.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["[2001:db9::5]"], "2001:db9::5"),
            ("127.0.0.1", &["[2001:db9::5]x"], "127.0.0.1"),
            ("127.0.0.1", &["[198.51.100.1]"], "127.0.0.1"),
            ("127.0.0.1", &["not an address"], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            assert_eq!(client(trusted, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn sr_24_an_element_of_forwarded_names_its_hop() {
        for (element, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            (" proto=https; For=\"[2001:db9:cafe::17]:4711\"", "[2001:db9:cafe::17]:4711"),
            ("for=unknown", "unknown"),
            ("by=203.0.113.43", ""),
            ("", ""),
        ] {
            assert_eq!(forwarded_for(element), expected);
        }
        assert_eq!(client("127.0.0.1/32", "127.0.0.1", &["192.0.2.1", ""]), "127.0.0.1");
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
    }
}
