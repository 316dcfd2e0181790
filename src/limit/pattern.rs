//! What an entry of a list stands for: the addresses of a network, or the keys that match a glob pattern.

use super::address::Network;
use super::algorithm::InvalidParameter;
use super::policy::KEY_LENGTH_MAX;
use crate::glob;

/// See the head of the file.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<[u8]>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Network(Network),
    Glob(glob::Pattern),
}

impl Pattern {
    /// What `text` stands for: an address, in brackets or not, or a network such as `10.0.0.0/8`, or else a glob
    /// pattern.
    ///
    /// # Errors
    /// If it is empty, too long, or an address with a wrong number of bits.
    pub fn parse(text: &[u8]) -> Result<Pattern, InvalidParameter> {
        let wrong_length = || {
            let (value, allowed) = (text.len().to_string(), format!("1 to {KEY_LENGTH_MAX}"));
            InvalidParameter { parameter: "the length of a pattern", value, allowed }
        };
        if !(1..=KEY_LENGTH_MAX).contains(&text.len()) {
            return Err(wrong_length());
        }
        if let Some(network) = Network::parse(text)? {
            let text = network.to_string().into_bytes().into();
            return Ok(Pattern { text, kind: Kind::Network(network) });
        }
        // Only one that is far longer can be too complex.
        let glob = glob::Pattern::new(text).map_err(|glob::PatternTooComplex| wrong_length())?;
        Ok(Pattern { text: text.into(), kind: Kind::Glob(glob) })
    }

    /// Its text; of a network in one spelling, whatever it was made from.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it holds a key, which is the address of `host` if it is one.
    pub fn matches(&self, key: &[u8], host: Option<Network>) -> bool {
        match &self.kind {
            Kind::Network(network) => host.is_some_and(|host| host.overlaps(*network)),
            Kind::Glob(glob) => glob.matches(key),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

/// The host that a key is the address of.
pub fn host_of(key: &[u8]) -> Option<Network> {
    Network::parse(key).ok().flatten()
}
