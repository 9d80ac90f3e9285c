//! The address of a client, as far as it is known.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an unknown address is called, in pages, logs and filters.
const UNKNOWN: &str = "unknown";

/// The address that a request came from, or that it is unknown: a trusted proxy named none that can be
/// read (SR-24).
///
/// IPv4-mapped IPv6 (`::ffff:a.b.c.d`) is IPv4. In stored records an unknown address is `0.0.0.0`, which
/// no client has and every release can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddress(Option<IpAddr>);

impl ClientAddress {
    /// No address.
    pub const UNKNOWN: Self = Self(None);

    /// The address, if it is known.
    pub fn known(self) -> Option<IpAddr> {
        self.0
    }

    /// As an address in any case, for records and orders. Read it back with `from`.
    pub fn stored(self) -> IpAddr {
        self.0.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self((!address.is_unspecified()).then_some(address))
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str(UNKNOWN),
        }
    }
}

impl FromStr for ClientAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == UNKNOWN { Ok(Self::UNKNOWN) } else { text.parse().map(IpAddr::into) }
    }
}

impl Serialize for ClientAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.stored().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClientAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IpAddr::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_address_is_one_that_every_release_reads() {
        for (text, stored) in [
            ("unknown", "\"0.0.0.0\""),
            ("203.0.113.7", "\"203.0.113.7\""),
            ("2001:db8::7", "\"2001:db8::7\""),
        ] {
            let address: ClientAddress = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&address).unwrap(), stored);
            assert_eq!(serde_json::from_str::<ClientAddress>(stored).unwrap(), address);
            assert_eq!(address.to_string(), text);
            serde_json::from_str::<IpAddr>(stored).unwrap();
        }
    }

    #[test]
    fn what_no_client_has_is_unknown_and_mapped_addresses_are_ipv4() {
        let read = |text: &str| text.parse::<ClientAddress>().unwrap().known();
        for text in ["0.0.0.0", "::", "::ffff:0.0.0.0", "unknown"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("::ffff:192.0.2.1"), Some(IpAddr::from([192, 0, 2, 1])));
        assert!(ClientAddress::UNKNOWN < IpAddr::from([0, 0, 0, 1]).into());
    }
}
