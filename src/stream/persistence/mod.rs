//! How streams outlive the server.
//!
//! The journal has every change of every stream, in the order in which they were decided.  A snapshot moves the messages that
//! are still stored out of the journal's files into the stream's own ([`mover`]) and then records of each stream its definition, which
//! files it has, and what is known of the messages in them.  A start restores that ([`restoring`]), and then applies the
//! changes behind the snapshot, as they were applied before ([`replay`]).
//!
//! A stream's part of a snapshot is about the messages before the snapshot's place.  Messages behind it are left to the
//! journal, even if they were applied when the part was written.  Other later changes that the part includes do no harm when they are replayed:
//! a message is removed only once, and the limits remove the same messages again.

mod folder;
mod mover;
mod open_files;
mod replay;
mod restoring;
mod service;
mod writing;

pub use folder::FOLDER as FILES_FOLDER;
pub(super) use folder::StreamFolder;
pub use open_files::OPEN_FILES_MAX;
