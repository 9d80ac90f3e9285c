//! Whom an address stands for.

use std::net::IpAddr;

use crate::address::ClientAddress;

/// What addresses are counted by (SR-23): an IPv4 address as it is, an IPv6 address by its first 64 bits,
/// since one client has them all, and all unknown addresses together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network([u8; 9]);

impl Network {
    /// The network of an address.
    pub fn of(address: ClientAddress) -> Self {
        let mut bytes = [0; 9];
        match address.known() {
            None => {}
            Some(IpAddr::V4(v4)) => {
                bytes[0] = 4;
                bytes[1..5].copy_from_slice(&v4.octets());
            }
            Some(IpAddr::V6(v6)) => {
                bytes[0] = 6;
                bytes[1..].copy_from_slice(&v6.octets()[..8]);
            }
        }
        Self(bytes)
    }

    /// The network as bytes, to be hashed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_23_ipv4_counts_by_address_and_ipv6_by_64_bits() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
    }

    #[test]
    fn sr_24_unknown_addresses_count_together_and_with_no_other() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("unknown"), network("0.0.0.0"));
        for other in ["127.0.0.1", "::1", "0.0.0.1", "::ffff:0:1"] {
            assert_ne!(network("unknown"), network(other), "{other}");
        }
    }
}
