//! The payloads of FUNCTION DUMP and RESTORE: libraries of functions, each a byte for the type and the text.

use std::borrow::Cow;

use super::input::Input;
use super::write::Writer;
use super::{Fault, footer};

/// The type of a library.
const LIBRARY: u8 = 245;

/// The type of a library in release candidates of Redis 7.0.
const EARLY_LIBRARY: u8 = 246;

/// Why a payload of libraries is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LibraryFault {
    /// The version is unknown, or the checksum is that of other bytes.
    Footer,
    /// A library is written as in release candidates of Redis 7.0.
    Early,
    /// There is something else than a library.
    Foreign,
    /// A text is not what it must be, or longer than it may be.
    Text,
}

/// A payload of libraries with these texts.
pub fn write_libraries<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut writer = Writer::empty();
    texts.for_each(|text| writer.typed_text(LIBRARY, text));
    writer.finish()
}

/// The texts of the libraries of a payload, none of which has more than `length_max` bytes.
///
/// # Errors
/// If it is no such payload.
pub fn read_libraries(payload: &[u8], length_max: usize) -> Result<Vec<Cow<'_, [u8]>>, LibraryFault> {
    let (libraries, _) = footer::open(payload).map_err(|_| LibraryFault::Footer)?;
    let mut input = Input::new(libraries, length_max);
    let mut texts = Vec::new();
    while !input.is_empty() {
        match input.byte() {
            Ok(LIBRARY) => texts.push(input.string().map_err(|_: Fault| LibraryFault::Text)?),
            Ok(EARLY_LIBRARY) => return Err(LibraryFault::Early),
            _ => return Err(LibraryFault::Foreign),
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What redis-server 7.0 says of one library and of none.
    const ONE: &[u8] =
        b"\xf5\xc3@f@p\x1f#!lua name=l1\n\nredis.register_fu\x06nction{\xc0\x08\x00_`)\x0c'f',callback=\
        \xc0\x1a\x0b(KEYS, ARGV) G\x16turn type(getfenv)\nend}\n\x00Gl\x93\xa8%\x18m\x12";
    const NONE: &[u8] = b"\n\x00]\x9b\\@\x0f\x7f\xa2\xda";

    #[test]
    fn payloads_of_redis_are_read() {
        let text = "#!lua name=l1\n\nredis.register_function{function_name='f',callback=function(KEYS, ARGV)\n\
                    return type(getfenv)\nend}";
        let texts = read_libraries(ONE, 1000).expect("it is such a payload");
        assert_eq!(texts, [text.as_bytes()]);
        assert_eq!(read_libraries(NONE, 1000), Ok(vec![]));
        assert_eq!(write_libraries(std::iter::empty()), NONE);
    }

    #[test]
    fn others_are_refused() {
        let payload = |bytes: &[u8]| {
            let mut payload = bytes.to_vec();
            footer::close(&mut payload, footer::VERSION);
            payload
        };
        assert_eq!(read_libraries(b"short", 10), Err(LibraryFault::Footer));
        assert_eq!(read_libraries(&[ONE, b"x"].concat(), 1000), Err(LibraryFault::Footer));
        assert_eq!(read_libraries(&payload(&[246, 0]), 10), Err(LibraryFault::Early));
        assert_eq!(read_libraries(&payload(&[0, 1, b'v']), 10), Err(LibraryFault::Foreign));
        assert_eq!(read_libraries(&payload(&[245, 5, b'v']), 10), Err(LibraryFault::Text));
        assert_eq!(read_libraries(ONE, 50), Err(LibraryFault::Text));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..5)) {
            let payload = write_libraries(texts.iter().map(Vec::as_slice));
            let read = read_libraries(&payload, 100).expect("it was just written");
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(prop_oneof![Just(245_u8), 0_u8..4, any::<u8>()], 0..40)) {
            let mut payload = bytes;
            footer::close(&mut payload, footer::VERSION);
            for text in read_libraries(&payload, 30).into_iter().flatten() {
                prop_assert!(text.len() <= 30);
            }
        }
    }
}
