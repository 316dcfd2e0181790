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
    /// There are more libraries, or more bytes of them, than there may be.
    TooMuch,
}

/// What a payload may hold; since texts may be compressed, it can be short and hold a lot.
#[derive(Clone, Copy, Debug)]
pub struct LibraryLimits {
    /// The most bytes of one text.
    pub text: usize,
    /// The most bytes of all texts.
    pub texts: usize,
    /// The most libraries.
    pub count: usize,
}

/// A payload of libraries with these texts.
pub fn write_libraries<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut writer = Writer::empty();
    texts.for_each(|text| writer.typed_text(LIBRARY, text));
    writer.finish()
}

/// The texts of the libraries of a payload, of which nothing is unpacked beyond the limits.
///
/// # Errors
/// If it is no such payload, or holds too much.
pub fn read_libraries(payload: &[u8], limits: LibraryLimits) -> Result<Vec<Cow<'_, [u8]>>, LibraryFault> {
    let (libraries, _) = footer::open(payload).map_err(|_| LibraryFault::Footer)?;
    let mut input = Input::new(libraries, limits.text);
    let mut texts = Vec::new();
    let mut left = limits.texts;
    while !input.is_empty() {
        match input.byte() {
            Ok(LIBRARY) if texts.len() == limits.count => return Err(LibraryFault::TooMuch),
            Ok(LIBRARY) => {
                input.limit(limits.text.min(left));
                let text = input.string().map_err(|fault| match fault {
                    Fault::TooLong if left < limits.text => LibraryFault::TooMuch,
                    _ => LibraryFault::Text,
                })?;
                left -= text.len();
                texts.push(text);
            }
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
    /// Limits of a text alone.
    fn at_most(text: usize) -> LibraryLimits {
        LibraryLimits { text, texts: usize::MAX, count: usize::MAX }
    }

    const NONE: &[u8] = b"\n\x00]\x9b\\@\x0f\x7f\xa2\xda";

    #[test]
    fn payloads_of_redis_are_read() {
        let text = "#!lua name=l1\n\nredis.register_function{function_name='f',callback=function(KEYS, ARGV)\n\
                    return type(getfenv)\nend}";
        let texts = read_libraries(ONE, at_most(1000)).expect("it is such a payload");
        assert_eq!(texts, [text.as_bytes()]);
        assert_eq!(read_libraries(NONE, at_most(1000)), Ok(vec![]));
        assert_eq!(write_libraries(std::iter::empty()), NONE);
    }

    #[test]
    fn others_are_refused() {
        let payload = |bytes: &[u8]| {
            let mut payload = bytes.to_vec();
            footer::close(&mut payload, footer::VERSION);
            payload
        };
        assert_eq!(read_libraries(b"short", at_most(10)), Err(LibraryFault::Footer));
        assert_eq!(read_libraries(&[ONE, b"x"].concat(), at_most(1000)), Err(LibraryFault::Footer));
        assert_eq!(read_libraries(&payload(&[246, 0]), at_most(10)), Err(LibraryFault::Early));
        assert_eq!(read_libraries(&payload(&[0, 1, b'v']), at_most(10)), Err(LibraryFault::Foreign));
        assert_eq!(read_libraries(&payload(&[245, 5, b'v']), at_most(10)), Err(LibraryFault::Text));
        assert_eq!(read_libraries(ONE, at_most(50)), Err(LibraryFault::Text));
    }

    #[test]
    fn nothing_is_unpacked_beyond_the_limits() {
        let mut payload = ONE[..ONE.len() - 10].repeat(3);
        footer::close(&mut payload, footer::VERSION);
        let length = read_libraries(ONE, at_most(1000)).expect("it is such a payload")[0].len();
        let read = |texts, count| {
            read_libraries(&payload, LibraryLimits { text: 1000, texts, count }).map(|texts| texts.len())
        };
        assert_eq!(read(3 * length, 3), Ok(3));
        assert_eq!(read(3 * length - 1, 3), Err(LibraryFault::TooMuch));
        assert_eq!(read(3 * length, 2), Err(LibraryFault::TooMuch));
        // The third text would not unpack, and is not looked at.
        let place = payload.len() - 30;
        payload[place] ^= 0xff;
        payload.truncate(payload.len() - 10);
        footer::close(&mut payload, footer::VERSION);
        let limits = LibraryLimits { text: 1000, texts: 2 * length, count: 3 };
        assert_eq!(read_libraries(&payload, limits), Err(LibraryFault::TooMuch));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..5)) {
            let payload = write_libraries(texts.iter().map(Vec::as_slice));
            let read = read_libraries(&payload, at_most(100)).expect("it was just written");
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(prop_oneof![Just(245_u8), 0_u8..4, any::<u8>()], 0..40)) {
            let mut payload = bytes;
            footer::close(&mut payload, footer::VERSION);
            for text in read_libraries(&payload, at_most(30)).into_iter().flatten() {
                prop_assert!(text.len() <= 30);
            }
        }
    }
}
