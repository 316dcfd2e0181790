//! The first line of a library, `#!lua name=orders`, which names its engine and the library.

use quartet_protocol::resp::words_of;

use crate::refusal::Refusal;

/// The name of the one engine there is.
pub(crate) const ENGINE: &str = "LUA";

/// What a library's name, or a function's, may not be.
pub(crate) const INVALID_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                                       character long";

/// What the first line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The library's name.
    pub(crate) name: Box<[u8]>,
    /// Where the rest begins, with the line end, so that lines keep their numbers.
    pub(crate) body: usize,
}

impl Header {
    /// Reads the first line of a library.
    ///
    /// # Errors
    /// The refusal of the library, in Redis' words.
    pub(crate) fn read(code: &[u8]) -> Result<Header, Refusal> {
        if !code.starts_with(b"#!") {
            return Err(Refusal::new("ERR Missing library metadata"));
        }
        let invalid = || Refusal::new("ERR Invalid library metadata");
        let body = memchr::memchr(b'\n', code).ok_or_else(invalid)?;
        let mut words = words_of(&code[..body]).ok_or_else(invalid)?.into_iter();
        let engine = words.next().unwrap_or_default().split_off(b"#!".len());
        let mut name = None;
        for word in words {
            match word.split_at_checked(b"name=".len()) {
                Some((key, _)) if key.eq_ignore_ascii_case(b"name=") && name.is_some() => {
                    return Err(Refusal::new(
                        "ERR Invalid metadata value, name argument was given multiple times",
                    ));
                }
                Some((key, value)) if key.eq_ignore_ascii_case(b"name=") => name = Some(value.into()),
                _ => return Err(about("ERR Invalid metadata value given: ", &word, "")),
            }
        }
        let name: Box<[u8]> = name.ok_or_else(|| Refusal::new("ERR Library name was not given"))?;
        if !is_name(&name) {
            return Err(Refusal::new(format!("ERR {INVALID_NAME}")));
        }
        if !engine.eq_ignore_ascii_case(ENGINE.as_bytes()) {
            return Err(about("ERR Engine '", &engine, "' not found"));
        }
        Ok(Header { name, body })
    }
}

/// A refusal that repeats what the client has sent.
pub(super) fn about(before: &str, word: &[u8], after: &str) -> Refusal {
    Refusal::new([before.as_bytes(), word, after.as_bytes()].concat())
}

/// Whether a library or a function may have this name.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_read() {
        for (code, name, body) in [
            ("#!lua name=one\nreturn", "one", 14),
            ("#!LUA  NAME=T_2 \n", "T_2", 16),
            ("#!lua \"name=quoted\"\n", "quoted", 19),
        ] {
            assert_eq!(Header::read(code.as_bytes()), Ok(Header { name: name.as_bytes().into(), body }));
        }
    }

    #[test]
    fn others_are_refused() {
        for (code, reason) in [
            ("return 1", "Missing library metadata"),
            ("#!lua name=a", "Invalid library metadata"),
            ("#!lua name=\"a\n", "Invalid library metadata"),
            ("#!lua\n", "Library name was not given"),
            ("#!\n", "Library name was not given"),
            ("#!lua name=a name=b\n", "Invalid metadata value, name argument was given multiple times"),
            ("#!lua foo=b\n", "Invalid metadata value given: foo=b"),
            ("#!lua \u{e9}\u{e9}\u{e9}\n", "Invalid metadata value given: \u{e9}\u{e9}\u{e9}"),
            ("#!js name=a\n", "Engine 'js' not found"),
            ("#! name=a\n", "Engine '' not found"),
            ("#!lua name=a-b\n", INVALID_NAME),
            ("#!js name=\n", INVALID_NAME),
        ] {
            assert_eq!(Header::read(code.as_bytes()), Err(Refusal::new(format!("ERR {reason}"))), "{code:?}");
        }
    }
}
