//! What a stream and a consumer are to be: their members, what is filled in, what is refused, and what may change.
//!
//! A definition is read from what a client sends, checked, which fills in what was not said, and from then on sent back whole in
//! each reply, since clients compare.  The names of members, the defaults, the order of the checks and the texts are those of
//! nats-server; what it has and this server has not is refused ([`Unbuilt`]), never ignored.

mod consumer;
mod consumer_check;
mod consumer_update;
mod dead_letter;
mod kept;
mod republish;
mod stream;
mod stream_check;
mod stream_update;
mod subjects;
mod unbuilt;

pub use consumer::{AcknowledgementPolicy, ConsumerDefinition, DeliverPolicy, PriorityPolicy, ReplayPolicy};
pub use consumer_check::{CONSUMERS_MAX, INACTIVE_THRESHOLD, is_group_name};
pub use consumer_update::DeliverInterest;
pub use dead_letter::DEAD_LETTER_SUBJECT;
pub use republish::{Republish, Transform};
pub use stream::{Compression, ConsumerLimits, Discard, PersistMode, Retention, Storage, StreamDefinition};
pub use subjects::collides;
pub use unbuilt::{Unbuilt, UnbuiltObject};

/// Longest name of a stream or consumer, in bytes: files may be called so.
pub const NAME_MAX: usize = 255;

/// Longest description, in bytes.
pub const DESCRIPTION_MAX: usize = 4 * 1024;

/// Names and values of all metadata together, in bytes.
pub const METADATA_MAX: usize = 128 * 1024;

/// How the names begin that servers add to metadata; clients send them back, and they do not count when definitions are
/// compared.
const SERVER_METADATA: &str = "_nats.";

type Metadata = std::collections::BTreeMap<String, String>;

/// Whether a stream or consumer may be called so.
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && !name.bytes().any(|byte| {
            matches!(byte, b'.' | b'*' | b'>' | b'/' | b'\\' | b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | 0x7f)
                || byte < b' '
        })
}

fn metadata_length(metadata: &Metadata) -> usize {
    metadata.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// Whether both say the same, but for what servers add.
fn is_same_metadata(one: &Metadata, other: &Metadata) -> bool {
    let own = |metadata: &'_ Metadata| -> Vec<(String, String)> {
        let entries = metadata.iter().filter(|(name, _)| !name.starts_with(SERVER_METADATA));
        entries.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    own(one) == own(other)
}

#[cfg(test)]
mod consumer_tests;
#[cfg(test)]
mod stream_tests;
