//! The records of libraries, which the next start reads back.
//!
//! ```text
//! 1  code, functions    a library is there, in place of the one that had its name
//! 2  name               a library is there no more
//! 3                     no library is there any more
//! ```
//!
//! The code and each function are fields with their length before them, a `u32` in little endian.  A function is
//! `u8 flags, u8 has description, u32 length, name, description`.  The flags are those of `shebang`.

use std::sync::Arc;

use super::{Function, Header, Library};
use crate::script::shebang::ShebangFlags;

/// The first bytes of records.
const LIBRARY: u8 = 1;
const DELETED: u8 = 2;
const FLUSHED: u8 = 3;

/// One record; its numbers are stored, so they never get another meaning.
#[derive(Clone, Debug)]
pub(super) enum Record {
    /// A library is there.
    Library(Arc<Library>),
    /// The library of this name is not there any more.
    Deleted(Box<[u8]>),
    /// None is there.
    Flushed,
}

impl Record {
    pub(super) fn encoded(&self) -> Vec<u8> {
        match self {
            Record::Library(library) => {
                let mut bytes = vec![LIBRARY];
                push_field(&mut bytes, &library.code);
                for function in &library.functions {
                    let mut field = vec![function.flags.bits(), u8::from(function.description.is_some())];
                    push_field(&mut field, &function.name);
                    field.extend_from_slice(function.description.as_deref().unwrap_or_default());
                    push_field(&mut bytes, &field);
                }
                bytes
            }
            Record::Deleted(name) => [&[DELETED], &name[..]].concat(),
            Record::Flushed => vec![FLUSHED],
        }
    }

    /// Reads a record; none if it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Record> {
        let (&kind, mut rest) = bytes.split_first()?;
        match kind {
            LIBRARY => {
                let code = take_field(&mut rest)?;
                let Header { name, body } = Header::read(code).ok()?;
                let mut functions = Vec::new();
                while !rest.is_empty() {
                    functions.push(function(take_field(&mut rest)?)?);
                }
                Some(Record::Library(Arc::new(Library::new(&name, code, body, functions))))
            }
            DELETED => Some(Record::Deleted(rest.into())),
            FLUSHED => Some(Record::Flushed),
            _ => None,
        }
    }
}

fn function(bytes: &[u8]) -> Option<Function> {
    let (&[flags, has_description], mut rest) = bytes.split_first_chunk()?;
    let name = take_field(&mut rest)?;
    let description = (has_description != 0).then_some(rest);
    Some(Function::new(name, description, ShebangFlags::from_bits(flags)?))
}

fn push_field(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(&(field.len() as u32).to_le_bytes());
    bytes.extend_from_slice(field);
}

fn take_field<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, behind) = rest.split_first_chunk()?;
    let (field, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = behind;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let functions = vec![
            Function::new(b"f", None, ShebangFlags::empty()),
            Function::new(
                b"g",
                Some(b"what \xff it does"),
                ShebangFlags::NO_WRITES | ShebangFlags::ALLOW_OOM,
            ),
            Function::new(b"h", Some(b""), ShebangFlags::all()),
        ];
        let library = Arc::new(Library::new(b"one", b"#!lua name=one\nreturn \x00\xff", 14, functions));
        for record in [Record::Library(library), Record::Deleted(b"one".as_slice().into()), Record::Flushed] {
            let decoded = Record::decode(&record.encoded()).expect("it was just written");
            assert_eq!(format!("{decoded:?}"), format!("{record:?}"));
        }
    }

    #[test]
    fn numbers_keep_their_meaning() {
        let functions = vec![Function::new(b"f", Some(b"d"), ShebangFlags::ALLOW_STALE)];
        let library = Arc::new(Library::new(b"a", b"#!lua name=a\n", 12, functions));
        assert_eq!(
            Record::Library(library).encoded(),
            b"\x01\x0d\0\0\0#!lua name=a\n\x08\0\0\0\x04\x01\x01\0\0\0fd"
        );
        assert_eq!(Record::Deleted(b"a".as_slice().into()).encoded(), b"\x02a");
        assert_eq!(Record::Flushed.encoded(), b"\x03");
        let flags = [
            ShebangFlags::NO_WRITES,
            ShebangFlags::ALLOW_OOM,
            ShebangFlags::ALLOW_STALE,
            ShebangFlags::NO_CLUSTER,
            ShebangFlags::ALLOW_CROSS_SLOT_KEYS,
            ShebangFlags::ALLOW_KEY_LOCKING,
        ];
        assert_eq!(flags.map(|flags| flags.bits()), [1, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn other_bytes_are_no_record() {
        for bytes in [&b""[..], b"\x00", b"\x04", b"\x01", b"\x01\xff\xff\xff\xffx", b"\x01\x01\0\0\0x"] {
            assert!(Record::decode(bytes).is_none(), "{bytes:?}");
        }
    }
}
