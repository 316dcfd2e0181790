//! Entries of lists: the addresses of a network, or the keys that match a glob pattern.

use super::address::Network;
use super::algorithm::InvalidParameter;
use super::policy::KEY_LENGTH_MAX;
use crate::glob;

/// See the head of the file.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<[u8]>,
    kind: PatternKind,
}

#[derive(Clone, Debug)]
enum PatternKind {
    Network(Network),
    Glob(glob::Pattern),
}

impl Pattern {
    /// Reads an address, in brackets or not, a network (`10.0.0.0/8`), or else a glob pattern.
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
            return Ok(Pattern { text, kind: PatternKind::Network(network) });
        }
        // Only a far longer pattern can be too complex.
        let glob = glob::Pattern::new(text).map_err(|glob::PatternTooComplex| wrong_length())?;
        Ok(Pattern { text: text.into(), kind: PatternKind::Glob(glob) })
    }

    /// Its text; networks have one spelling, whatever they were read from.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether it matches a key; `host` is the key's host if the key is an address.
    pub fn matches(&self, key: &[u8], host: Option<Network>) -> bool {
        match &self.kind {
            PatternKind::Network(network) => host.is_some_and(|host| host.overlaps(*network)),
            PatternKind::Glob(glob) => glob.matches(key),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

/// The host of a key that is an address.
pub fn host_of(key: &[u8]) -> Option<Network> {
    Network::parse(key).ok().flatten()
}
