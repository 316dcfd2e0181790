//! Lua's patterns, matched in steps that are counted: a pattern can try more ways than there is time for.
//!
//! This is the matching of Lua 5.1 with its texts of errors.  A pattern ends at its first zero byte, as there.

use mlua::{Lua, Value};

use crate::script::meter::Meter;
use crate::script::raised::located;

/// Captures of a pattern.
const CAPTURES_MAX: usize = 32;

/// Parts of a pattern that are matched within each other: each takes a part of the thread's stack.
const NESTING_MAX: usize = 500;

/// The signs that make a text a pattern.
const SIGNS: &[u8] = b"^$*+?.([%-";

/// What a capture holds.
#[derive(Clone, Copy)]
enum Extent {
    /// Its end is not found yet.
    Open,
    /// Only where it begins.
    Position,
    /// So many bytes.
    Length(usize),
}

/// One attempt after the other to match a pattern somewhere in a subject.
pub(super) struct Matcher<'m> {
    lua: &'m Lua,
    meter: &'m Meter,
    subject: &'m [u8],
    pattern: &'m [u8],
    is_anchored: bool,
    captures: [(usize, Extent); CAPTURES_MAX],
    level: usize,
    nesting: usize,
}

/// Where a match begins and ends.
pub(super) type Found = (usize, usize);

/// Whether a text before its first zero byte has a sign of patterns.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    until_zero(text).iter().any(|byte| SIGNS.contains(byte))
}

fn until_zero(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

impl<'m> Matcher<'m> {
    /// A matcher for which a leading `^` means the start, if `may_anchor`.
    pub(super) fn new(
        (lua, meter): (&'m Lua, &'m Meter),
        subject: &'m [u8],
        pattern: &'m [u8],
        may_anchor: bool,
    ) -> Matcher<'m> {
        let pattern = until_zero(pattern);
        let anchored = pattern.strip_prefix(b"^").filter(|_| may_anchor);
        Matcher {
            lua,
            meter,
            subject,
            pattern: anchored.unwrap_or(pattern),
            is_anchored: anchored.is_some(),
            captures: [(0, Extent::Open); CAPTURES_MAX],
            level: 0,
            nesting: 0,
        }
    }

    /// The first match from `start` on; only one that begins there if the pattern is anchored.
    pub(super) fn find(&mut self, start: usize) -> mlua::Result<Option<Found>> {
        for from in start..=self.subject.len() {
            self.level = 0;
            if let Some(end) = self.nested(from, 0)? {
                return Ok(Some((from, end)));
            }
            if self.is_anchored {
                break;
            }
        }
        Ok(None)
    }

    /// Whether the pattern is anchored.
    pub(super) fn is_anchored(&self) -> bool {
        self.is_anchored
    }

    /// How many captures the last match has.
    pub(super) fn capture_count(&self) -> usize {
        self.level
    }

    /// A capture of the last match; the first one of none is the whole match.
    pub(super) fn capture(&self, index: usize, (start, end): Found) -> mlua::Result<Value> {
        if index >= self.level {
            return match index {
                0 => self.text(start, end),
                _ => Err(self.fault("invalid capture index")),
            };
        }
        match self.captures[index] {
            (_, Extent::Open) => Err(self.fault("unfinished capture")),
            (start, Extent::Position) => Ok(Value::Number((start + 1) as f64)),
            (start, Extent::Length(length)) => self.text(start, start + length),
        }
    }

    /// The bytes of a match.
    pub(super) fn whole(&self, (start, end): Found) -> &[u8] {
        &self.subject[start..end]
    }

    fn text(&self, start: usize, end: usize) -> mlua::Result<Value> {
        self.lua.create_string(&self.subject[start..end]).map(Value::String)
    }

    fn fault(&self, text: &str) -> mlua::Error {
        located(self.lua, text)
    }

    /// Where the match of the pattern from `at` on ends that begins at `from`.
    fn nested(&mut self, from: usize, at: usize) -> mlua::Result<Option<usize>> {
        if self.nesting == NESTING_MAX {
            return Err(self.fault("pattern too complex"));
        }
        self.nesting += 1;
        let end = self.match_here(from, at);
        self.nesting -= 1;
        end
    }

    fn match_here(&mut self, mut from: usize, mut at: usize) -> mlua::Result<Option<usize>> {
        loop {
            self.meter.work(self.lua, 1)?;
            let next = self.pattern.get(at + 1).copied();
            match self.pattern.get(at) {
                None => return Ok(Some(from)),
                Some(b'(') if next == Some(b')') => {
                    return self.begin_capture(from, at + 2, Extent::Position);
                }
                Some(b'(') => return self.begin_capture(from, at + 1, Extent::Open),
                Some(b')') => return self.end_capture(from, at + 1),
                Some(b'$') if next.is_none() => return Ok((from == self.subject.len()).then_some(from)),
                Some(b'%') if next == Some(b'b') => {
                    let Some(end) = self.balanced(from, at + 2)? else { return Ok(None) };
                    (from, at) = (end, at + 4);
                    continue;
                }
                Some(b'%') if next == Some(b'f') => {
                    at += 2;
                    if self.pattern.get(at) != Some(&b'[') {
                        return Err(self.fault("missing '[' after '%f' in pattern"));
                    }
                    let end = self.class_end(at)?;
                    let before = from.checked_sub(1).map_or(0, |before| self.subject[before]);
                    let here = self.subject.get(from).copied().unwrap_or(0);
                    if self.is_in_set(before, at, end - 1) || !self.is_in_set(here, at, end - 1) {
                        return Ok(None);
                    }
                    at = end;
                    continue;
                }
                Some(b'%') if next.is_some_and(|digit| digit.is_ascii_digit()) => {
                    let Some(end) = self.same_as_capture(from, next.unwrap_or(b'0'))? else {
                        return Ok(None);
                    };
                    (from, at) = (end, at + 2);
                    continue;
                }
                Some(_) => (),
            }
            let end = self.class_end(at)?;
            let fits = self.fits(from, at, end);
            match self.pattern.get(end) {
                Some(b'?') => {
                    if fits && let Some(end) = self.nested(from + 1, end + 1)? {
                        return Ok(Some(end));
                    }
                    at = end + 1;
                }
                Some(b'*') => return self.as_many_as_possible(from, at, end),
                Some(b'+') if fits => return self.as_many_as_possible(from + 1, at, end),
                Some(b'-') => return self.as_few_as_possible(from, at, end),
                Some(b'+') => return Ok(None),
                _ if !fits => return Ok(None),
                _ => (from, at) = (from + 1, end),
            }
        }
    }

    fn begin_capture(&mut self, from: usize, at: usize, extent: Extent) -> mlua::Result<Option<usize>> {
        if self.level == CAPTURES_MAX {
            return Err(self.fault("too many captures"));
        }
        self.captures[self.level] = (from, extent);
        self.level += 1;
        let end = self.nested(from, at)?;
        if end.is_none() {
            self.level -= 1;
        }
        Ok(end)
    }

    fn end_capture(&mut self, from: usize, at: usize) -> mlua::Result<Option<usize>> {
        let open = self.captures[..self.level].iter().rposition(|(_, extent)| matches!(extent, Extent::Open));
        let Some(index) = open else { return Err(self.fault("invalid pattern capture")) };
        let (start, _) = self.captures[index];
        self.captures[index].1 = Extent::Length(from - start);
        let end = self.nested(from, at)?;
        if end.is_none() {
            self.captures[index].1 = Extent::Open;
        }
        Ok(end)
    }

    fn same_as_capture(&mut self, from: usize, digit: u8) -> mlua::Result<Option<usize>> {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let capture = self.captures[..self.level].get(index);
        let Some((start, length)) = capture.and_then(|(start, extent)| match extent {
            Extent::Open => None,
            Extent::Position => Some((*start, None)),
            Extent::Length(length) => Some((*start, Some(*length))),
        }) else {
            return Err(self.fault("invalid capture index"));
        };
        // No text is as long as a capture of a position pretends to be.
        let Some(length) = length else { return Ok(None) };
        self.meter.work(self.lua, length)?;
        let is_same = self.subject[from..].starts_with(&self.subject[start..start + length]);
        Ok(is_same.then_some(from + length))
    }

    fn balanced(&mut self, from: usize, at: usize) -> mlua::Result<Option<usize>> {
        let Some(&[opens, closes]) = self.pattern.get(at..at + 2) else {
            return Err(self.fault("unbalanced pattern"));
        };
        if self.subject.get(from) != Some(&opens) {
            return Ok(None);
        }
        let mut depth = 1;
        for (place, &byte) in self.subject.iter().enumerate().skip(from + 1) {
            self.meter.work(self.lua, 1)?;
            if byte == closes {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(place + 1));
                }
            } else if byte == opens {
                depth += 1;
            }
        }
        Ok(None)
    }

    fn as_many_as_possible(&mut self, from: usize, at: usize, end: usize) -> mlua::Result<Option<usize>> {
        let mut count = 0;
        while self.fits(from + count, at, end) {
            self.meter.work(self.lua, 1)?;
            count += 1;
        }
        for count in (0..=count).rev() {
            if let Some(found) = self.nested(from + count, end + 1)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn as_few_as_possible(&mut self, mut from: usize, at: usize, end: usize) -> mlua::Result<Option<usize>> {
        loop {
            if let Some(found) = self.nested(from, end + 1)? {
                return Ok(Some(found));
            }
            if !self.fits(from, at, end) {
                return Ok(None);
            }
            from += 1;
        }
    }

    /// Where the single class ends that begins at `at`.
    fn class_end(&self, at: usize) -> mlua::Result<usize> {
        let mut end = at + 1;
        match self.pattern[at] {
            b'%' if end == self.pattern.len() => Err(self.fault("malformed pattern (ends with '%')")),
            b'%' => Ok(end + 1),
            b'[' => {
                end += usize::from(self.pattern.get(end) == Some(&b'^'));
                loop {
                    let Some(&byte) = self.pattern.get(end) else {
                        return Err(self.fault("malformed pattern (missing ']')"));
                    };
                    end += 1;
                    end += usize::from(byte == b'%' && end < self.pattern.len());
                    if self.pattern.get(end) == Some(&b']') {
                        return Ok(end + 1);
                    }
                }
            }
            _ => Ok(end),
        }
    }

    /// Whether the byte at `from` is of the class from `at` to `end`.
    fn fits(&self, from: usize, at: usize, end: usize) -> bool {
        let Some(&byte) = self.subject.get(from) else { return false };
        match self.pattern[at] {
            b'.' => true,
            b'%' => is_of_class(byte, self.pattern[at + 1]),
            b'[' => self.is_in_set(byte, at, end - 1),
            other => other == byte,
        }
    }

    /// Whether a byte is in the set whose brackets are at `at` and `end`.
    fn is_in_set(&self, byte: u8, mut at: usize, end: usize) -> bool {
        let is_inverted = self.pattern[at + 1] == b'^';
        at += 1 + usize::from(is_inverted);
        while at < end {
            let (first, second) = (self.pattern[at], self.pattern[at + 1]);
            let is_in = if first == b'%' {
                at += 2;
                is_of_class(byte, second)
            } else if second == b'-' && at + 2 < end {
                at += 3;
                (first..=self.pattern[at - 1]).contains(&byte)
            } else {
                at += 1;
                first == byte
            };
            if is_in {
                return !is_inverted;
            }
        }
        is_inverted
    }
}

/// Whether a byte is of the class with this letter; a capital one is for all others.
fn is_of_class(byte: u8, letter: u8) -> bool {
    let is_of = match letter.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | b'\t'..=b'\r'),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return letter == byte,
    };
    is_of != letter.is_ascii_uppercase()
}
