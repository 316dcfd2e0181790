//! Clients by address: one host is one client, however its address is spelled.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::algorithm::InvalidParameter;

/// Bits of an IPv6 address that tell hosts apart by default.  A host commonly has all 2⁶⁴ addresses that begin with them.
pub const IPV6_PREFIX_DEFAULT: u8 = 64;

/// Bits in front of an IPv4 address that is written as an IPv6 address.
const MAPPED_PREFIX: u8 = 96;

/// An address, or all addresses that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// The bits after the prefix are zero.
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads an address, with or without brackets, and perhaps a slash and a number of bits.  None if `text` is
    /// something else.
    ///
    /// # Errors
    /// If an address is followed by a wrong number of bits, or brackets by anything but a slash: a pattern would take the
    /// brackets for a class of characters.
    pub fn parse(text: &[u8]) -> Result<Option<Network>, InvalidParameter> {
        // Most keys are no addresses, and these bytes tell.
        if !text.contains(&b'.') && !text.contains(&b':') {
            return Ok(None);
        }
        let Ok(text) = std::str::from_utf8(text) else { return Ok(None) };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Some(address) = parse_address(address) else {
            return if has_address_in_brackets(text) {
                let allowed = "an address, or one with a slash and a number of bits behind it".to_owned();
                Err(InvalidParameter {
                    parameter: "the network",
                    value: text.escape_debug().to_string(),
                    allowed,
                })
            } else {
                Ok(None)
            };
        };
        let bits = bits_of(address);
        let Some(prefix) = prefix else { return Ok(Some(Network::of(address, bits))) };
        let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|prefix| is_number && *prefix <= bits);
        let Some(prefix) = prefix else {
            let allowed = format!("0 to {bits} bits behind the slash");
            let value = text.escape_debug().to_string();
            return Err(InvalidParameter { parameter: "the network", value, allowed });
        };
        Ok(Some(Network::of(address, prefix)))
    }

    /// The network of these bits of an address.  An IPv4 address that is written as an IPv6 address is the former.
    fn of(address: IpAddr, prefix: u8) -> Network {
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix >= MAPPED_PREFIX => {
                Network::masked(IpAddr::V4(mapped), prefix - MAPPED_PREFIX)
            }
            _ => Network::masked(address, prefix),
        }
    }

    fn masked(address: IpAddr, prefix: u8) -> Network {
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Network { address, prefix }
    }

    /// The host that an address belongs to.  A host has all IPv6 addresses that begin with the same `ipv6_prefix` bits.
    #[must_use]
    pub fn host(self, ipv6_prefix: u8) -> Network {
        match self.address {
            IpAddr::V6(_) if self.prefix > ipv6_prefix => Network::masked(self.address, ipv6_prefix),
            _ => self,
        }
    }

    /// Whether the two share an address, so that one contains the other.
    pub fn overlaps(self, other: Network) -> bool {
        let prefix = self.prefix.min(other.prefix);
        self.address.is_ipv4() == other.address.is_ipv4()
            && Network::masked(self.address, prefix) == Network::masked(other.address, prefix)
    }
}

impl fmt::Display for Network {
    /// The address as RFC 5952 writes it, and the number of bits unless all count.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(formatter)?;
        if self.prefix < bits_of(self.address) { write!(formatter, "/{}", self.prefix) } else { Ok(()) }
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Reads an address with or without brackets.  The zone after a `%` says how a machine reaches it and is left out.
fn parse_address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_bracketed = inner.is_some();
    let text = inner.unwrap_or(text);
    let text = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() && address.contains(':') => address,
        Some(_) => return None,
        None => text,
    };
    let address: IpAddr = text.parse().ok()?;
    (address.is_ipv6() || !is_bracketed).then_some(address)
}

/// Whether the text begins with an address in brackets, perhaps with a number of bits inside them.
fn has_address_in_brackets(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    let address = inner.and_then(|inner| inner.split('/').next()).and_then(parse_address);
    address.is_some_and(|address| address.is_ipv6())
}

/// The client whose address a proxy has written, in any of the usual ways: with or without brackets, a port and a zone.
/// None if it is no address.
pub fn client(text: &[u8], ipv6_prefix: u8) -> Option<Network> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let address = parse_address(text).or_else(|| {
        let (address, port) = text.rsplit_once(':')?;
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let is_split = address.ends_with(']') || !address.contains(':');
        if is_split && is_port && port.parse::<u16>().is_ok() { parse_address(address) } else { None }
    })?;
    Some(Network::of(address, bits_of(address)).host(ipv6_prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn network(text: &str) -> Network {
        Network::parse(text.as_bytes()).expect("it is well-formed").unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn one_host_is_one_client_however_it_is_spelled() {
        for (host, spellings) in [
            (
                "9.9.9.9",
                &[
                    "9.9.9.9",
                    " 9.9.9.9 ",
                    "9.9.9.9:1",
                    "9.9.9.9:65535",
                    "::ffff:9.9.9.9",
                    "[::FFFF:909:909]:2",
                ][..],
            ),
            (
                "2001:db8::/64",
                &[
                    "2001:db8::1",
                    "2001:DB8:0:0:0:0:0:1",
                    "2001:0db8::0001",
                    "[2001:db8::1]",
                    "[2001:db8::1]:443",
                    "2001:db8:0:0:1:2:3:4",
                    "2001:db8::1%eth0",
                    "[2001:db8::1%25eth0]:80",
                ],
            ),
            ("fe80::/64", &["fe80::1%1", "[fe80::2%lo]:1"]),
        ] {
            for text in spellings {
                let client = client(text.as_bytes(), IPV6_PREFIX_DEFAULT).unwrap_or_else(|| panic!("{text}"));
                assert_eq!(client.to_string(), host, "{text}");
            }
        }
        let with = |prefix| client(b"2001:db8:1:2:3::4", prefix).map(|client| client.to_string());
        assert_eq!(with(128).as_deref(), Some("2001:db8:1:2:3::4"));
        assert_eq!(with(48).as_deref(), Some("2001:db8:1::/48"));
    }

    #[test]
    fn text_that_is_no_address_is_no_client() {
        for text in [
            "",
            "unknown",
            "_hidden",
            "unix:",
            "1.2.3",
            "1.2.3.4:",
            "1.2.3.4:x",
            "1.2.3.4:65536",
            "01.2.3.4",
            "[1.2.3.4]",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]:",
            "[::1]:x",
            "1.2.3.4/32",
            "1.2.3.4, 5.6.7.8",
            "1.2.3.4%eth0",
            "::1%",
            ":",
            "1.2.3.4:80:80",
            "localhost",
        ] {
            assert_eq!(client(text.as_bytes(), 64), None, "{text}");
        }
        assert_eq!(client(b"1.2.3.4\xff", 64), None);
    }

    #[test]
    fn networks_hold_addresses_and_each_other() {
        for (one, other, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.9.9.9/8", "10.0.0.0/16", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("::/0", "1.2.3.4", false),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("2001:db8::/32", "[2001:db8:5::1]", true),
            ("2001:db8::1", "2001:db8::/64", true),
            ("2001:db8::1", "2001:db8::2", false),
            ("::1", "0:0:0:0:0:0:0:1", true),
        ] {
            let (one, other) = (network(one), network(other));
            assert_eq!((one.overlaps(other), other.overlaps(one)), (expected, expected), "{one} {other}");
        }
        assert_eq!(network("10.9.9.9/8").to_string(), "10.0.0.0/8");
        let wrong_bits = ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "::/129", "[::1]/x"];
        let more_than_an_address =
            ["[::1]:80", "[::1]*", "[2001:db8::/32]", "[fe80::1%eth0]:80", "[::1]x/64"];
        for wrong in wrong_bits.into_iter().chain(more_than_an_address) {
            assert!(Network::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for other in ["1", "abc", "user:1", "10.0.0.*", "[abc]", "[0-9]:*", "[a:]", "a/8", "1.2.3.4:80", ""] {
            assert_eq!(Network::parse(other.as_bytes()), Ok(None), "{other}");
        }
    }
}
