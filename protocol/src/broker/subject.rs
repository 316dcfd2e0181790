//! Subjects and the patterns that match them.
//!
//! A subject is a row of tokens between full stops: `orders.eu.new`.  In a pattern the token `*` stands for any one token,
//! and the token `>`, which must be the last, for one or more.  Both are wildcards only as whole tokens: `foo*` is literal.
//! NATS does not look at a published subject: `*` and `>` in it are tokens like any others, so they are valid subjects too.
//!
//! The functions are the plain definition of what matches; an index of many patterns is tested against them.

/// The token that stands for any one token.
pub const ANY_TOKEN: &[u8] = b"*";

/// The token that stands for all tokens from its place on, of which there must be one.
pub const ALL_TOKENS: &[u8] = b">";

/// The first token of the subjects on which clients receive the answers to their requests.
pub const INBOX: &[u8] = b"_INBOX";

/// The tokens of a subject or pattern, in order; a text without full stops is one token.
#[inline]
pub fn tokens(subject: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
    subject.split(|&byte| byte == b'.')
}

/// The token up to the first full stop.
#[inline]
pub fn first_token(subject: &[u8]) -> &[u8] {
    &subject[..memchr::memchr(b'.', subject).unwrap_or(subject.len())]
}

/// Whether a message may be published on `subject`: no token is empty, and no byte is white space or a control byte.
pub fn is_valid_subject(subject: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in subject {
        if byte <= b' ' || byte == DELETE || (byte == b'.' && before == b'.') {
            return false;
        }
        before = byte;
    }
    before != b'.'
}

/// Whether `pattern` may be subscribed to: a valid subject in which the token `>` is at most the last.
pub fn is_valid_pattern(pattern: &[u8]) -> bool {
    is_valid_subject(pattern) && tokens(pattern).rev().skip(1).all(|token| token != ALL_TOKENS)
}

/// Whether a token of `pattern` is a wildcard.
pub fn has_wildcard(pattern: &[u8]) -> bool {
    memchr::memchr2(b'*', b'>', pattern).is_some() && tokens(pattern).any(is_wildcard)
}

/// Whether `subject` is valid and has no wildcards, so that as a pattern it matches itself alone.
pub fn is_literal(subject: &[u8]) -> bool {
    is_valid_subject(subject) && !has_wildcard(subject)
}

/// Whether `pattern` matches `subject`, both valid.  The wildcards of `subject` are tokens like any others.
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut tokens = tokens(subject);
    for wanted in self::tokens(pattern) {
        match tokens.next() {
            None => return false,
            Some(_) if wanted == ALL_TOKENS => return true,
            Some(token) if wanted == ANY_TOKEN || wanted == token => {}
            Some(_) => return false,
        }
    }
    tokens.next().is_none()
}

/// Whether each subject that the pattern `narrow` matches is matched by the pattern `wide`, both valid.
pub fn covers(wide: &[u8], narrow: &[u8]) -> bool {
    let mut tokens = tokens(narrow);
    for wide in self::tokens(wide) {
        match tokens.next() {
            None => return false,
            Some(_) if wide == ALL_TOKENS => return true,
            Some(narrow) if narrow == ALL_TOKENS => return false,
            Some(narrow) if wide == ANY_TOKEN || wide == narrow => {}
            Some(_) => return false,
        }
    }
    tokens.next().is_none()
}

/// Whether some subject is matched by both patterns, which are valid.
pub fn overlaps(one: &[u8], other: &[u8]) -> bool {
    let mut others = tokens(other);
    for one in tokens(one) {
        match others.next() {
            None => return false,
            Some(other) if one == ALL_TOKENS || other == ALL_TOKENS => return true,
            Some(other) if is_wildcard(one) || is_wildcard(other) || one == other => {}
            Some(_) => return false,
        }
    }
    others.next().is_none()
}

/// Whether the server itself publishes on `subject`, where clients come and go.  Only patterns that name the first token match
/// it, so that a subscription to everything brings no events of the server, as in NATS, where they are in an account of
/// their own.
#[inline]
pub fn is_system(subject: &[u8]) -> bool {
    subject.starts_with(b"$SYS.")
}

/// Whether `subject` belongs to the talk between clients and the server: its first token begins with `$`, or is
/// [`INBOX`].  Listeners other than that of frames neither publish there nor match it by a wildcard.
#[inline]
pub fn is_hidden(subject: &[u8]) -> bool {
    match subject {
        [b'$', ..] => true,
        [b'_', ..] => first_token(subject) == INBOX,
        _ => false,
    }
}

#[inline]
fn is_wildcard(token: &[u8]) -> bool {
    token == ANY_TOKEN || token == ALL_TOKENS
}

/// The one control byte that is not below the space.
const DELETE: u8 = 0x7f;
