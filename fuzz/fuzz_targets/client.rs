//! Who the client is, only a trusted proxy has a say in (SR-24).
#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use doorward::guard::client::TrustedProxies;
use ipnet::IpNet;
use libfuzzer_sys::fuzz_target;

static NETWORKS: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    let networks = ["127.0.0.0/8", "10.0.0.0/8", "::1/128", "2001:db8::/32"];
    networks.iter().map(|network| network.parse().unwrap()).collect()
});
static PROXIES: LazyLock<TrustedProxies> = LazyLock::new(|| TrustedProxies::new(NETWORKS.clone()));

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    peer: Peer,
    x_forwarded_for: Vec<&'a str>,
    forwarded: Vec<&'a str>,
    made_up: &'a str,
}

/// Half of them proxies: at random, hardly any would be.
#[derive(Arbitrary, Debug)]
enum Peer {
    Loopback,
    Proxy([u8; 3]),
    Mapped([u8; 3]),
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Peer {
    fn address(&self) -> IpAddr {
        match *self {
            Self::Loopback => IpAddr::from([127, 0, 0, 1]),
            Self::Proxy([b, c, d]) => IpAddr::from([10, b, c, d]),
            Self::Mapped([b, c, d]) => {
                IpAddr::from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, b, c, d])
            }
            Self::V4(bytes) => IpAddr::from(bytes),
            Self::V6(bytes) => IpAddr::from(bytes),
        }
    }
}

fn is_trusted(address: IpAddr) -> bool {
    NETWORKS.iter().any(|network| network.contains(&address))
}

/// Whether a header names this address, as an address or as one with a port. Backslashes are those of
/// quoted strings.
fn names(header: &str, address: IpAddr) -> bool {
    let header = header.replace('\\', "");
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    header.split(|c| !is_part(c)).any(|text| {
        let alone = text.parse::<IpAddr>().ok();
        let found = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
        found.is_some_and(|found| found.to_canonical() == address)
    })
}

fuzz_target!(|input: Input<'_>| {
    let Input { peer, x_forwarded_for, forwarded, made_up } = input;
    let address = peer.address();
    let peer = address.to_canonical();
    let client = doorward::fuzz::client(&PROXIES, address, &x_forwarded_for, &forwarded);
    let heard = if x_forwarded_for.is_empty() { &forwarded } else { &x_forwarded_for };

    if !is_trusted(peer) || heard.is_empty() {
        assert_eq!(client, Some(peer), "a stranger says who it is");
        return;
    }
    if let Some(client) = client {
        assert_eq!(client, client.to_canonical(), "one host, two spellings");
        assert!(heard.iter().any(|header| names(header, client)), "{client} was made up");
    }

    // What stands left of the client's own address is the client's word, and changes nothing.
    if client.is_none_or(|client| !is_trusted(client)) {
        let longer: Vec<&str> = [made_up].iter().chain(heard).copied().collect();
        let again = match x_forwarded_for.is_empty() {
            true => doorward::fuzz::client(&PROXIES, address, &[], &longer),
            false => doorward::fuzz::client(&PROXIES, address, &longer, &forwarded),
        };
        assert_eq!(again, client, "the client chose its address");
    }
});
