//! JSON as values of Lua.

use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::{NESTING_MAX, Options, null};
use crate::script::arguments::Given;
use crate::script::library::c_number::leading_double;
use crate::script::raised::located;

/// `cjson.decode`.
pub(super) fn decode(lua: &Lua, values: MultiValue, options: &Options) -> mlua::Result<Value> {
    let given = Given::new(lua, values);
    if given.len() != 1 {
        return Err(given.bad(1, "expected 1 argument"));
    }
    let text = given.string(1)?;
    let text = text.as_bytes();
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(located(lua, "JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut reader = Reader { lua, options, text: &text, at: 0 };
    let first = reader.next();
    let value = reader.value(first)?;
    let end = reader.next();
    match end.kind {
        Kind::End => Ok(value),
        _ => Err(reader.unexpected("the end", &end)),
    }
}

enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Kind {
    /// The name of the token in messages.
    fn name(&self) -> &'static str {
        match self {
            Kind::ObjectBegin => "T_OBJ_BEGIN",
            Kind::ObjectEnd => "T_OBJ_END",
            Kind::ArrayBegin => "T_ARR_BEGIN",
            Kind::ArrayEnd => "T_ARR_END",
            Kind::String(_) => "T_STRING",
            Kind::Number(_) => "T_NUMBER",
            Kind::Boolean(_) => "T_BOOLEAN",
            Kind::Null => "T_NULL",
            Kind::Colon => "T_COLON",
            Kind::Comma => "T_COMMA",
            Kind::End => "T_END",
            Kind::Error(text) => text,
        }
    }
}

/// A token and where it begins, or where it went wrong.
struct Token {
    kind: Kind,
    at: usize,
}

struct Reader<'d> {
    lua: &'d Lua,
    options: &'d Options,
    text: &'d [u8],
    at: usize,
}

impl Reader<'_> {
    /// The byte so far ahead; 0 at the end, as in C.
    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Token {
        while matches!(self.byte(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let at = self.at;
        let single = match self.byte(0) {
            b'{' => Some(Kind::ObjectBegin),
            b'}' => Some(Kind::ObjectEnd),
            b'[' => Some(Kind::ArrayBegin),
            b']' => Some(Kind::ArrayEnd),
            b':' => Some(Kind::Colon),
            b',' => Some(Kind::Comma),
            0 => return Token { kind: Kind::End, at },
            _ => None,
        };
        if let Some(kind) = single {
            self.at += 1;
            return Token { kind, at };
        }
        let kind = match self.byte(0) {
            b'"' => return self.string(at),
            b'-' | b'0'..=b'9' if !self.options.decodes_invalid.get() && self.is_invalid_number() => {
                Kind::Error("invalid number")
            }
            b'-' | b'0'..=b'9' => self.number(),
            _ if self.takes(b"true") => Kind::Boolean(true),
            _ if self.takes(b"false") => Kind::Boolean(false),
            _ if self.takes(b"null") => Kind::Null,
            b'+' | b'i' | b'I' | b'n' | b'N'
                if self.options.decodes_invalid.get() && self.is_invalid_number() =>
            {
                self.number()
            }
            _ => Kind::Error("invalid token"),
        };
        Token { kind, at }
    }

    fn takes(&mut self, word: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn number(&mut self) -> Kind {
        match leading_double(&self.text[self.at..]) {
            Some((number, length)) => {
                self.at += length;
                Kind::Number(number)
            }
            None => Kind::Error("invalid number"),
        }
    }

    /// Whether a number begins here that C reads and JSON does not have.
    fn is_invalid_number(&self) -> bool {
        let rest = &self.text[self.at..];
        let unsigned = match rest.first() {
            Some(b'+') => return true,
            Some(b'-') => &rest[1..],
            _ => rest,
        };
        let starts = |word: &[u8]| unsigned.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(word));
        matches!(unsigned, [b'0', b'x' | b'X' | b'0'..=b'9', ..]) || starts(b"inf") || starts(b"nan")
    }

    /// A string, whose quotation mark is ahead.
    fn string(&mut self, start: usize) -> Token {
        let mut string = Vec::new();
        self.at += 1;
        let kind = loop {
            match self.byte(0) {
                b'"' => {
                    self.at += 1;
                    return Token { kind: Kind::String(string), at: start };
                }
                0 => break Kind::Error("unexpected end of string"),
                b'\\' => {
                    let character = match self.byte(1) {
                        b'b' => b'\x08',
                        b'f' => b'\x0c',
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        character @ (b'"' | b'\\' | b'/') => character,
                        b'u' => match self.unicode_escape() {
                            Some((character, length)) => {
                                let mut bytes = [0; 4];
                                string.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
                                self.at += length;
                                continue;
                            }
                            None => break Kind::Error("invalid unicode escape code"),
                        },
                        _ => break Kind::Error("invalid escape code"),
                    };
                    string.push(character);
                    self.at += 2;
                }
                byte => {
                    string.push(byte);
                    self.at += 1;
                }
            }
        };
        Token { kind, at: self.at }
    }

    /// The character of `\u…`, a pair of them if it takes two, and how many bytes that is.
    fn unicode_escape(&self) -> Option<(char, usize)> {
        let first = self.four_digits(2)?;
        if first & 0xf800 != 0xd800 {
            return Some((char::from_u32(first)?, 6));
        }
        if first & 0x400 != 0 || self.byte(6) != b'\\' || self.byte(7) != b'u' {
            return None;
        }
        let second = self.four_digits(8)?;
        if second & 0xfc00 != 0xdc00 {
            return None;
        }
        let number = ((first & 0x3ff) << 10 | second & 0x3ff) + 0x10000;
        Some((char::from_u32(number)?, 12))
    }

    fn four_digits(&self, ahead: usize) -> Option<u32> {
        (0..4).try_fold(0, |number, digit| {
            Some(number * 16 + char::from(self.byte(ahead + digit)).to_digit(16)?)
        })
    }

    fn unexpected(&self, wanted: &str, found: &Token) -> mlua::Error {
        let name = found.kind.name();
        located(self.lua, format!("Expected {wanted} but found {name} at character {}", found.at + 1))
    }

    fn descend(&self, open: usize) -> mlua::Result<()> {
        let depth = open as i64 + 1;
        if depth > self.options.decode_depth.get().min(NESTING_MAX) {
            let text = format!("Found too many nested data structures ({depth}) at character {}", self.at);
            return Err(located(self.lua, text));
        }
        Ok(())
    }

    /// The value that begins with a token.
    fn value(&mut self, mut token: Token) -> mlua::Result<Value> {
        let (mut open, mut counted) = (Vec::<Open>::new(), 0);
        loop {
            self.options.meter.work(self.lua, self.at - counted)?;
            counted = self.at;
            let mut value = match token.kind {
                Kind::String(text) => Value::String(self.lua.create_string(text)?),
                Kind::Number(number) => Value::Number(number),
                Kind::Boolean(truth) => Value::Boolean(truth),
                Kind::Null => null(),
                Kind::ObjectBegin => {
                    self.descend(open.len())?;
                    let table = self.lua.create_table()?;
                    let next = self.next();
                    if !matches!(next.kind, Kind::ObjectEnd) {
                        open.push(Open { table, place: Place::Key(self.key(next)?) });
                        token = self.next();
                        continue;
                    }
                    Value::Table(table)
                }
                Kind::ArrayBegin => {
                    self.descend(open.len())?;
                    let table = self.lua.create_table()?;
                    let next = self.next();
                    if !matches!(next.kind, Kind::ArrayEnd) {
                        open.push(Open { table, place: Place::Index(1) });
                        token = next;
                        continue;
                    }
                    Value::Table(table)
                }
                _ => return Err(self.unexpected("value", &token)),
            };
            // The value is whole, and with it perhaps what it is the last part of.
            loop {
                let Some(Open { table, place }) = open.last_mut() else { return Ok(value) };
                let separator = self.next();
                match place {
                    Place::Key(key) => table.raw_set(key.clone(), value)?,
                    Place::Index(index) => table.raw_seti(*index, value)?,
                }
                match (&separator.kind, place) {
                    (Kind::ObjectEnd, Place::Key(_)) | (Kind::ArrayEnd, Place::Index(_)) => {
                        value = Value::Table(table.clone());
                        open.pop();
                    }
                    (Kind::Comma, Place::Key(key)) => {
                        let next = self.next();
                        *key = self.key(next)?;
                        token = self.next();
                        break;
                    }
                    (Kind::Comma, Place::Index(index)) => {
                        *index += 1;
                        token = self.next();
                        break;
                    }
                    (_, Place::Key(_)) => return Err(self.unexpected("comma or object end", &separator)),
                    (_, Place::Index(_)) => return Err(self.unexpected("comma or array end", &separator)),
                }
            }
        }
    }

    /// The key of an object that a token is, with the colon behind it.
    fn key(&mut self, token: Token) -> mlua::Result<LuaString> {
        let Kind::String(key) = token.kind else {
            return Err(self.unexpected("object key string", &token));
        };
        let colon = self.next();
        if !matches!(colon.kind, Kind::Colon) {
            return Err(self.unexpected("colon", &colon));
        }
        self.lua.create_string(key)
    }
}

/// A table that is being read, and where its next value goes.
struct Open {
    table: Table,
    place: Place,
}

enum Place {
    Key(LuaString),
    Index(usize),
}
