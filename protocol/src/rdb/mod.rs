//! The payloads of DUMP and RESTORE: one value in the format of Redis' snapshots, without its key.
//!
//! A payload is a byte for the type, the value, two bytes with the version of the format, and eight with the checksum
//! of all before it.  Every version of Redis has added forms and keeps reading the old ones; so does this module
//! (`types` has the table), and it writes the oldest form of each type, which all of them read.
//!
//! The checksum defends against accidents, not against people.  So every length is compared with the bytes that are
//! left before anything is done with it, nothing is allocated by what a payload merely claims, and the encodings within
//! encodings (`nested`) are read to their last byte.  A value is handed out part by part, so it is never held twice.
//! What only the whole value can show, that no field comes twice, is left to the one who puts the parts together.

mod checksum;
mod footer;
mod input;
mod libraries;
mod lzf;
mod nested;
mod read;
mod score;
mod types;
mod write;

pub use footer::VERSION;
pub use libraries::{LibraryFault, LibraryLimits, read_libraries, write_libraries};
pub use read::{Part, Payload};
pub use types::Kind;
pub use write::Writer;

/// Why a payload is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The version is unknown, or the checksum is that of other bytes.
    Footer,
    /// The bytes are no value.
    Format,
    /// It is a value of a type that is not read, and which.
    Foreign(&'static str),
    /// A string in it has more bytes than one may have.
    TooLong,
}
