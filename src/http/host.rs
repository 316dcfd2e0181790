//! The host and port that a request is made to, read strictly: a lenient reader would accept a foreign name that begins
//! with a friendly one.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The longest name that DNS knows, in bytes.
const NAME_LENGTH_MAX: usize = 253;

/// The longest part of a name between two dots, in bytes.
const LABEL_LENGTH_MAX: usize = 63;

/// The host that a request is made to, without the port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Host {
    /// An address; one of IPv4 that is spelled as one of IPv6 is the former.
    Address(IpAddr),
    /// A name in lower case, without the dot that may end it; empty if the request names nothing.
    Name(String),
}

impl Host {
    /// The host of `text`, which is a host with or without a colon and a port; none if it is anything else, for example an
    /// address in brackets with text behind it, or a user before an `@`.
    pub(super) fn parse(text: &str) -> Option<Host> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let address = IpAddr::V6(address.parse::<Ipv6Addr>().ok()?);
                (Host::Address(address.to_canonical()), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (Host::named(&text[..end])?, &text[end..])
            }
        };
        let is_port = match port.strip_prefix(':') {
            Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && is_port(digits),
            None => port.is_empty(),
        };
        is_port.then_some(host)
    }

    /// A host without a port.
    fn named(text: &str) -> Option<Host> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Host::Address(address.to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=LABEL_LENGTH_MAX).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let is_name = text.is_empty() || name.len() <= NAME_LENGTH_MAX && name.split('.').all(is_label);
        is_name.then(|| Host::Name(name.to_ascii_lowercase()))
    }

    /// Whether it can only be this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Host::Address(address) => address.is_loopback(),
            Host::Name(name) => name.rsplit('.').next() == Some("localhost"),
        }
    }
}

/// Whether digits are a port, or nothing, which stands for the port of the scheme.
fn is_port(digits: &str) -> bool {
    digits.is_empty() || digits.parse::<u16>().is_ok()
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(formatter),
            Host::Name(name) if name.is_empty() => formatter.write_str("no name at all"),
            Host::Name(name) => name.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Host;

    #[test]
    fn names_of_this_machine() {
        for text in [
            "localhost",
            "LocalHost.",
            "api.localhost:80",
            "127.0.0.1",
            "127.9.9.9:8080",
            "[::1]",
            "[::1]:65535",
            "[0:0::1]:",
            "[::ffff:127.0.0.1]:1",
            "localhost:",
        ] {
            assert!(Host::parse(text).is_some_and(|host| host.is_loopback()), "{text}");
        }
        for text in [
            "",
            "example.com",
            "localhost.example.com",
            "192.168.1.2",
            "10.0.0.127",
            "[::2]",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "notlocalhost",
            "127.0.0.1.evil.com",
            "_.example.com.:1",
        ] {
            assert!(Host::parse(text).is_some_and(|host| !host.is_loopback()), "{text}");
        }
    }

    #[test]
    fn anything_but_a_host_and_a_port_is_refused() {
        for text in [
            "[::1]evil.com",
            "[::1].evil.com",
            "[::1]:80evil.com",
            "[::1]:80:80",
            "[::1",
            "::1",
            "[]",
            "[localhost]",
            "[127.0.0.1]",
            "[::1%25lo]",
            "[[::1]]",
            "localhost:80x",
            "localhost:+80",
            "localhost:-1",
            "localhost:65536",
            "localhost:80:80",
            "evil.com@localhost",
            "localhost@evil.com",
            "localhost:80@evil.com",
            "localhost/evil.com",
            "localhost evil.com",
            " localhost",
            "localhost,evil.com",
            "localhost..",
            ".localhost",
            ".",
            "a..localhost",
            "localhost%00.evil.com",
            "localhost\u{e9}",
            "localhost#",
            "localhost?",
            "localhost\\",
        ] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }
}
