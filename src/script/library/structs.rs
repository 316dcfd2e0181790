//! `struct`: values as the bytes of structures of C, and back.

use std::rc::Rc;

use mlua::{IntoLua, Lua, LuaString, MultiValue, Table, Value};

use crate::script::arguments::Given;
use crate::script::meter::Meter;
use crate::script::raised::located;

/// Bytes of an integer at most.
const INTEGER_SIZE_MAX: usize = 32;

/// The alignment that `!` asks for by itself.
const ALIGNMENT: usize = 8;

/// Values that one call may unpack, as many as Lua's stack has room for.
const UNPACKED_MAX: usize = 7000;

/// The library.
pub(super) fn open(lua: &Lua, meter: &Rc<Meter>) -> mlua::Result<Table> {
    let structs = lua.create_table()?;
    let own = Rc::clone(meter);
    structs.raw_set("pack", lua.create_function(move |lua, values| pack(lua, values, &own))?)?;
    structs.raw_set("unpack", lua.create_function(unpack)?)?;
    structs.raw_set("size", lua.create_function(size)?)?;
    Ok(structs)
}

/// A format while it is read.
struct Format<'f, 'l> {
    given: &'f Given<'l>,
    lua: &'l Lua,
    text: &'f [u8],
    is_little: bool,
    alignment: usize,
}

/// One item of a format.
struct Item {
    kind: u8,
    size: usize,
}

impl Format<'_, '_> {
    /// The next item, with the bytes of padding before it at `length`.
    fn next(&mut self, length: usize) -> mlua::Result<Option<(Item, usize)>> {
        let Some((&kind, rest)) = self.text.split_first() else { return Ok(None) };
        self.text = rest;
        let size = match kind {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INTEGER_SIZE_MAX {
                    let text = format!("integral size {size} is larger than limit of {INTEGER_SIZE_MAX}");
                    return Err(located(self.lua, text));
                }
                size
            }
            _ => 0,
        };
        let padding = match size.min(self.alignment) {
            0 => 0,
            _ if kind == b'c' => 0,
            unit => (unit - (length & (unit - 1))) & (unit - 1),
        };
        Ok(Some((Item { kind, size }, padding)))
    }

    /// The number that follows a letter.
    fn number(&mut self, default: usize) -> mlua::Result<usize> {
        if !self.text.first().is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut number = 0_i32;
        while let Some(digit) = self.text.first().filter(|byte| byte.is_ascii_digit()) {
            let next = number.checked_mul(10).and_then(|number| number.checked_add(i32::from(digit - b'0')));
            number = next.ok_or_else(|| located(self.lua, "integral size overflow"))?;
            self.text = &self.text[1..];
        }
        Ok(number as usize)
    }

    /// Follows a letter that stands for no value.
    fn control(&mut self, kind: u8) -> mlua::Result<()> {
        match kind {
            b' ' => (),
            b'>' => self.is_little = false,
            b'<' => self.is_little = true,
            b'!' => {
                let alignment = self.number(ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    let text = format!("alignment {alignment} is not a power of 2");
                    return Err(located(self.lua, text));
                }
                self.alignment = alignment;
            }
            other => {
                let complaint = [b"invalid format option '", &[other][..], b"'"].concat();
                return Err(self.given.bad(1, complaint));
            }
        }
        Ok(())
    }
}

fn format<'f, 'l>(lua: &'l Lua, given: &'f Given<'l>, text: &'f [u8]) -> Format<'f, 'l> {
    Format { given, lua, text, is_little: true, alignment: 1 }
}

fn pack(lua: &Lua, mut values: MultiValue, meter: &Meter) -> mlua::Result<LuaString> {
    if !values.is_empty() {
        // The library has a nil behind the arguments, and its messages say so.
        values.push_back(Value::Nil);
    }
    let given = Given::new(lua, values);
    let text = given.string(1)?;
    let text = text.as_bytes();
    let mut format = format(lua, &given, &text);
    let (mut packed, mut position) = (Vec::new(), 2);
    while let Some((Item { kind, size }, padding)) = format.next(packed.len())? {
        packed.resize(packed.len() + padding, 0);
        let start = packed.len();
        match kind {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                pack_integer(given.number(position)?, size, &mut packed);
            }
            b'x' => packed.push(0),
            b'f' => packed.extend_from_slice(&(given.number(position)? as f32).to_le_bytes()),
            b'd' => packed.extend_from_slice(&given.number(position)?.to_le_bytes()),
            b'c' | b's' => {
                let string = given.string(position)?;
                let string = string.as_bytes();
                let size = if size == 0 { string.len() } else { size };
                let part = string.get(..size).ok_or_else(|| given.bad(position + 1, "string too short"))?;
                meter.hold(lua, packed.len() + part.len())?;
                packed.extend_from_slice(part);
                if kind == b's' {
                    packed.push(0);
                }
            }
            other => {
                format.control(other)?;
                continue;
            }
        }
        if !format.is_little && !matches!(kind, b'c' | b's') {
            packed[start..].reverse();
        }
        position += usize::from(kind != b'x');
    }
    lua.create_string(packed)
}

/// Packs an integer, the lowest byte first.
fn pack_integer(number: f64, size: usize, packed: &mut Vec<u8>) {
    let bits = if number < 0.0 { number as i64 as u64 } else { number as u64 };
    // Beyond eight bytes nothing is left of it, as C shifts it.
    packed.extend((0..size).map(|byte| if byte < 8 { (bits >> (8 * byte)) as u8 } else { 0 }));
}

fn unpack(lua: &Lua, values: MultiValue) -> mlua::Result<MultiValue> {
    let given = Given::new(lua, values);
    let (text, data) = (given.string(1)?, given.string(2)?);
    let (text, data) = (text.as_bytes(), data.as_bytes());
    let start = given.integer_or(3, 1)?;
    if start == 0 {
        return Err(given.bad(3, "offset must be 1 or greater"));
    }
    // A place before the text is one far behind it, as the library has it in C.
    let mut at = start.wrapping_sub(1) as usize;
    let mut format = format(lua, &given, &text);
    let mut values: Vec<Value> = Vec::new();
    let too_short = || given.bad(2, "data string too short");
    while let Some((Item { kind, size }, padding)) = format.next(at)? {
        at = at.checked_add(padding).filter(|at| *at <= data.len()).ok_or_else(too_short)?;
        let bytes = data[at..].get(..size).ok_or_else(too_short)?;
        if values.len() >= UNPACKED_MAX {
            return Err(located(lua, "stack overflow (too many results)"));
        }
        let mut taken = size;
        match kind {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let is_signed = kind.is_ascii_lowercase();
                values.push(Value::Number(unpack_integer(bytes, format.is_little, is_signed)));
            }
            b'x' => (),
            b'f' => {
                let mut ordered = [0; 4];
                copy_ordered(bytes, format.is_little, &mut ordered);
                values.push(Value::Number(f64::from(f32::from_le_bytes(ordered))));
            }
            b'd' => {
                let mut ordered = [0; 8];
                copy_ordered(bytes, format.is_little, &mut ordered);
                values.push(Value::Number(f64::from_le_bytes(ordered)));
            }
            b'c' => {
                if size == 0 {
                    let previous = match values.last() {
                        Some(Value::Number(size)) => *size,
                        _ => return Err(located(lua, "format 'c0' needs a previous size")),
                    };
                    values.pop();
                    taken = if previous >= 0.0 { previous as usize } else { usize::MAX };
                }
                let string = data[at..].get(..taken).ok_or_else(too_short)?;
                values.push(Value::String(lua.create_string(string)?));
            }
            b's' => {
                let Some(length) = memchr::memchr(0, &data[at..]) else {
                    return Err(located(lua, "unfinished string in data"));
                };
                values.push(Value::String(lua.create_string(&data[at..at + length])?));
                taken = length + 1;
            }
            other => {
                format.control(other)?;
                continue;
            }
        }
        at += taken;
    }
    values.push((at as i64).wrapping_add(1).into_lua(lua)?);
    Ok(MultiValue::from_vec(values))
}

fn copy_ordered(bytes: &[u8], is_little: bool, ordered: &mut [u8]) {
    ordered.copy_from_slice(bytes);
    if !is_little {
        ordered.reverse();
    }
}

/// The integer of some bytes; those beyond eight are lost.
fn unpack_integer(bytes: &[u8], is_little: bool, is_signed: bool) -> f64 {
    let byte = |place: usize| if is_little { bytes[place] } else { bytes[bytes.len() - 1 - place] };
    let count = bytes.len().min(8);
    let bits = (0..count).fold(0_u64, |bits, place| bits | u64::from(byte(place)) << (8 * place));
    if !is_signed {
        return bits as f64;
    }
    if count == 0 || count == 8 {
        return bits as i64 as f64;
    }
    let unused = 64 - 8 * count;
    ((bits << unused) as i64 >> unused) as f64
}

fn size(lua: &Lua, values: MultiValue) -> mlua::Result<usize> {
    let given = Given::new(lua, values);
    let text = given.string(1)?;
    let text = text.as_bytes();
    let mut format = format(lua, &given, &text);
    let mut total = 0_usize;
    while let Some((Item { kind, size }, padding)) = format.next(total)? {
        match kind {
            b's' => return Err(given.bad(1, "option 's' has no fixed size")),
            b'c' if size == 0 => return Err(given.bad(1, "option 'c0' has no fixed size")),
            _ if b"bBhHlLTiIxfdc".contains(&kind) => (),
            other => format.control(other)?,
        }
        total = total
            .checked_add(padding + size)
            .filter(|total| i32::try_from(*total).is_ok())
            .ok_or_else(|| located(lua, "struct size overflow"))?;
    }
    Ok(total)
}
