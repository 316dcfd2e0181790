//! How streams outlive the server.
//!
//! The journal has every change of every stream, in the order in which they were decided.  A snapshot moves the messages that
//! are still stored out of the journal's files into the stream's own ([`mover`]) and then says of each stream what it is, which
//! files it has, and what is known of the messages in them.  A start takes that back ([`restoring`]), and then applies the
//! changes behind the snapshot, as they were applied before ([`replay`]).
//!
//! A stream's part of a snapshot is about the messages before the snapshot's place.  Messages behind it are left to the
//! journal, also if they were applied when the part was written.  Whatever else the part has seen of later changes, a replay
//! brings about again: a message leaves once, and limits that let messages leave let them leave again.

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
