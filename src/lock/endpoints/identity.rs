//! The id by which an HTTP client names its lock: fence, owner and resources in one word.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::http::endpoint::{Problem, problems};

/// The parts of a lock's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LockId {
    pub(super) fence: u64,
    pub(super) owner: Vec<u8>,
    pub(super) resources: Vec<Vec<u8>>,
}

impl LockId {
    /// `fence.` and then, in base64url, the owner and the resources, each after its length in two bytes.
    pub(super) fn encode(&self) -> String {
        let mut bytes = Vec::new();
        for part in std::iter::once(&self.owner).chain(&self.resources) {
            let length = u16::try_from(part.len()).expect("the limits of names are far below 64 KiB");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        format!("{}.{}", self.fence, URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The names of the resources.
    pub(super) fn names(&self) -> Vec<&[u8]> {
        self.resources.iter().map(Vec::as_slice).collect()
    }

    /// # Errors
    /// If no server has made such an id.
    pub(super) fn decode(id: &str) -> Result<LockId, Problem> {
        LockId::parse(id).ok_or_else(|| {
            Problem::new(problems::INVALID_VALUE)
                .with("field", "lock_id")
                .with("allowed", "the lock_id of a response to POST /lock")
        })
    }

    fn parse(id: &str) -> Option<LockId> {
        let (fence, names) = id.split_once('.')?;
        let bytes = URL_SAFE_NO_PAD.decode(names).ok()?;
        let mut rest = &bytes[..];
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk()?;
            let (part, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            parts.push(part.to_vec());
            rest = after;
        }
        if parts.len() < 2 {
            return None;
        }
        let owner = parts.remove(0);
        Some(LockId { fence: fence.parse().ok()?, owner, resources: parts })
    }
}

#[cfg(test)]
mod tests {
    use super::LockId;

    #[test]
    fn an_id_stands_for_what_it_was_made_of() {
        let id = LockId { fence: 42, owner: b"me \xff".into(), resources: vec![b"a".into(), b"".into()] };
        assert_eq!(LockId::decode(&id.encode()).ok(), Some(id));
    }

    #[test]
    fn other_words_are_refused() {
        for word in ["", ".", "1.", "1.AA", "x.AAEAAAFh", "1.AAFhAAE", "1.AAFh", "1.A=", "-1.AAFhAAFi"] {
            assert!(LockId::decode(word).is_err(), "{word}");
        }
        assert!(LockId::decode("1.AAFhAAFi").is_ok());
    }
}
