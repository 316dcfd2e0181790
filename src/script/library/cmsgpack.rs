//! `cmsgpack`: MessagePack to and from values of Lua, as lua-cmsgpack 0.4 has it.

use std::rc::Rc;

use mlua::{IntoLua, Lua, LuaString, MultiValue, Table, Value};

use crate::script::arguments::Given;
use crate::script::meter::Meter;
use crate::script::raised::located;

/// Tables within tables that are packed; deeper ones become nil, as in lua-cmsgpack.
const PACKED_NESTING_MAX: usize = 16;

/// Arrays and maps within each other that are unpacked.
const UNPACKED_NESTING_MAX: usize = 1000;

/// Values that one call may unpack, as many as Lua's stack has room for.
const UNPACKED_MAX: usize = 7000;

/// Bytes of texts that are copied in a step.
const BYTES_PER_STEP: usize = 64;

/// Integers up to here are packed as such.
const INTEGER_MAX: f64 = 9_223_372_036_854_775_808.0;

/// The library.
pub(super) fn open(lua: &Lua, meter: &Rc<Meter>) -> mlua::Result<Table> {
    let cmsgpack = lua.create_table()?;
    let own = Rc::clone(meter);
    cmsgpack.raw_set("pack", lua.create_function(move |lua, values| pack(lua, values, &own))?)?;
    let own = Rc::clone(meter);
    cmsgpack.raw_set("unpack", lua.create_function(move |lua, values| unpack(lua, values, &own))?)?;
    let own = Rc::clone(meter);
    cmsgpack.raw_set("unpack_one", lua.create_function(move |lua, values| unpack_one(lua, values, &own))?)?;
    let own = Rc::clone(meter);
    let unpack_limit = lua.create_function(move |lua, values| unpack_limit(lua, values, &own))?;
    cmsgpack.raw_set("unpack_limit", unpack_limit)?;
    cmsgpack.raw_set("_NAME", "cmsgpack")?;
    cmsgpack.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    cmsgpack.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(cmsgpack)
}

fn pack(lua: &Lua, values: MultiValue, meter: &Meter) -> mlua::Result<LuaString> {
    let given = Given::new(lua, values);
    if given.len() == 0 {
        return Err(given.bad(0, "MessagePack pack needs input."));
    }
    let mut packer = Packer { lua, meter, packed: Vec::new() };
    for position in 1..=given.len() {
        if let Some(value) = given.get(position) {
            packer.pack(value, PACKED_NESTING_MAX)?;
        }
    }
    lua.create_string(packer.packed)
}

/// Values that are being packed.
struct Packer<'p> {
    lua: &'p Lua,
    meter: &'p Meter,
    packed: Vec<u8>,
}

impl Packer<'_> {
    fn pack(&mut self, value: &Value, depth: usize) -> mlua::Result<()> {
        self.meter.hold(self.lua, self.packed.len())?;
        let packed = &mut self.packed;
        match value {
            Value::Boolean(truth) => packed.push(if *truth { 0xc3 } else { 0xc2 }),
            Value::Integer(number) => pack_integer(*number, packed),
            Value::Number(number) => pack_number(*number, packed),
            Value::String(text) => {
                let text = text.as_bytes();
                let forms = [(0xa0, 32), (0xd9, 1 << 8), (0xda, 1 << 16), (0xdb, usize::MAX)];
                pack_length(text.len(), &forms, packed);
                self.meter.hold(self.lua, packed.len() + text.len())?;
                self.meter.work(self.lua, text.len() / BYTES_PER_STEP)?;
                packed.extend_from_slice(&text);
            }
            Value::Table(table) if depth > 0 => self.pack_table(table, depth - 1)?,
            _ => packed.push(0xc0),
        }
        Ok(())
    }

    fn pack_table(&mut self, table: &Table, depth: usize) -> mlua::Result<()> {
        let (mut count, mut longest, mut is_array) = (0_i64, 0, true);
        for pair in table.pairs::<Value, Value>() {
            self.meter.work(self.lua, 1)?;
            match pair?.0 {
                Value::Integer(index) if index > 0 => longest = longest.max(index),
                _ => is_array = false,
            }
            count += 1;
        }
        if is_array && longest == count {
            let forms = [(0x90, 16), (0xdc, 1 << 16), (0xdd, usize::MAX)];
            pack_length(count as usize, &forms, &mut self.packed);
            for index in 1..=count {
                self.pack(&table.raw_get::<Value>(index)?, depth)?;
            }
            return Ok(());
        }
        let forms = [(0x80, 16), (0xde, 1 << 16), (0xdf, usize::MAX)];
        pack_length(count as usize, &forms, &mut self.packed);
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            self.pack(&key, depth)?;
            self.pack(&value, depth)?;
        }
        Ok(())
    }
}

/// Packs a length in the shortest form: each form has its first byte and is for lengths below a bound.  The first form has
/// the length in that byte, the others have it behind in as few bytes as the bound needs.
fn pack_length(length: usize, forms: &[(u8, usize)], packed: &mut Vec<u8>) {
    let Some((place, (kind, bound))) = forms.iter().enumerate().find(|(_, (_, bound))| length < *bound)
    else {
        return;
    };
    if place == 0 {
        return packed.push(kind | length as u8);
    }
    packed.push(*kind);
    match *bound {
        0x100 => packed.push(length as u8),
        0x1_0000 => packed.extend_from_slice(&(length as u16).to_be_bytes()),
        _ => packed.extend_from_slice(&(length as u32).to_be_bytes()),
    }
}

fn pack_integer(number: i64, packed: &mut Vec<u8>) {
    match number {
        0..=0x7f => packed.push(number as u8),
        0x80..=0xff => packed.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            packed.push(0xcd);
            packed.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            packed.push(0xce);
            packed.extend_from_slice(&(number as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            packed.push(0xcf);
            packed.extend_from_slice(&number.to_be_bytes());
        }
        -32..=-1 => packed.push(number as u8),
        -128..=-33 => packed.extend_from_slice(&[0xd0, number as u8]),
        -0x8000..=-129 => {
            packed.push(0xd1);
            packed.extend_from_slice(&(number as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            packed.push(0xd2);
            packed.extend_from_slice(&(number as i32).to_be_bytes());
        }
        _ => {
            packed.push(0xd3);
            packed.extend_from_slice(&number.to_be_bytes());
        }
    }
}

fn pack_number(number: f64, packed: &mut Vec<u8>) {
    if number.trunc() == number && (-INTEGER_MAX..INTEGER_MAX).contains(&number) {
        return pack_integer(number as i64, packed);
    }
    let short = number as f32;
    if f64::from(short) == number {
        packed.push(0xca);
        packed.extend_from_slice(&short.to_be_bytes());
    } else {
        packed.push(0xcb);
        packed.extend_from_slice(&number.to_be_bytes());
    }
}

fn unpack(lua: &Lua, values: MultiValue, meter: &Meter) -> mlua::Result<MultiValue> {
    let given = Given::new(lua, values);
    let text = given.string(1)?;
    unpack_some((lua, meter), &text.as_bytes(), None, 0)
}

fn unpack_one(lua: &Lua, values: MultiValue, meter: &Meter) -> mlua::Result<MultiValue> {
    let given = Given::new(lua, values);
    let offset = given.integer_or(2, 0)?;
    let text = given.string(1)?;
    unpack_some((lua, meter), &text.as_bytes(), Some(1), offset)
}

fn unpack_limit(lua: &Lua, values: MultiValue, meter: &Meter) -> mlua::Result<MultiValue> {
    let given = Given::new(lua, values);
    let (limit, offset) = (given.integer(2)?, given.integer_or(3, 0)?);
    let text = given.string(1)?;
    // Limit zero means all, as in lua-cmsgpack.
    unpack_some((lua, meter), &text.as_bytes(), Some(limit), offset)
}

/// Unpacks up to `limit` values from `offset` on.  With a limit, where the next one begins comes first: -1 at the end.
fn unpack_some(
    (lua, meter): (&Lua, &Meter),
    text: &[u8],
    limit: Option<i64>,
    offset: i64,
) -> mlua::Result<MultiValue> {
    let count = limit.unwrap_or(0);
    if offset < 0 || count < 0 {
        // lua-cmsgpack names the length of the text in the place of the limit.
        let length = text.len();
        let text = format!("Invalid request to unpack with offset of {offset} and limit of {length}.");
        return Err(located(lua, text));
    }
    if offset > text.len() as i64 {
        let text = format!("Start offset {offset} greater than input length {}.", text.len());
        return Err(located(lua, text));
    }
    let decodes_all = count == 0 && offset == 0 || limit.is_none();
    let mut unpacker = Unpacker { lua, meter, text, at: offset as usize };
    let mut values = Vec::new();
    while unpacker.at < text.len() && (decodes_all || (values.len() as i64) < count) {
        if values.len() == UNPACKED_MAX {
            return Err(located(lua, "too many values to unpack at once"));
        }
        values.push(unpacker.value()?);
    }
    if !decodes_all {
        let next = if unpacker.at < text.len() { unpacker.at as i64 } else { -1 };
        values.insert(0, next.into_lua(lua)?);
    }
    Ok(MultiValue::from_vec(values))
}

struct Unpacker<'u> {
    lua: &'u Lua,
    meter: &'u Meter,
    text: &'u [u8],
    at: usize,
}

impl Unpacker<'_> {
    fn missing(&self) -> mlua::Error {
        located(self.lua, "Missing bytes in input.")
    }

    fn take<const LENGTH: usize>(&mut self) -> mlua::Result<[u8; LENGTH]> {
        let bytes = self.text[self.at..].first_chunk().ok_or_else(|| self.missing())?;
        self.at += LENGTH;
        Ok(*bytes)
    }

    /// A value with all that is in it.
    fn value(&mut self) -> mlua::Result<Value> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let mut value = match self.item()? {
                Item::Whole(value) => value,
                Item::Array(0) | Item::Map(0) => Value::Table(self.lua.create_table()?),
                Item::Array(length) => {
                    // Each element has a byte at least, whatever the length says.
                    let room = length.min(self.text.len() - self.at);
                    let table = self.lua.create_table_with_capacity(room, 0)?;
                    self.open(&mut open, Open { table, left: length, place: Place::Index(1) })?;
                    continue;
                }
                Item::Map(pairs) => {
                    let table = self.lua.create_table()?;
                    self.open(&mut open, Open { table, left: pairs, place: Place::Key })?;
                    continue;
                }
            };
            // The value is whole, and with it perhaps what it is the last part of.
            loop {
                let Some(Open { table, left, place }) = open.last_mut() else { return Ok(value) };
                match std::mem::replace(place, Place::Key) {
                    Place::Index(index) => {
                        if !value.is_nil() {
                            table.raw_seti(index, value)?;
                        }
                        *place = Place::Index(index + 1);
                        *left -= 1;
                    }
                    Place::Key => match value {
                        Value::Nil => return Err(located(self.lua, "table index is nil")),
                        Value::Number(key) if key.is_nan() => {
                            return Err(located(self.lua, "table index is NaN"));
                        }
                        key => *place = Place::Value(key),
                    },
                    Place::Value(key) => {
                        table.raw_set(key, value)?;
                        *left -= 1;
                    }
                }
                if *left > 0 {
                    break;
                }
                value = Value::Table(table.clone());
                open.pop();
            }
        }
    }

    fn open(&self, open: &mut Vec<Open>, next: Open) -> mlua::Result<()> {
        if open.len() == UNPACKED_NESTING_MAX {
            // lua-cmsgpack asks for room on Lua's stack, for an array at its start and for a map at its first key.
            return Err(located(
                self.lua,
                match next.place {
                    Place::Index(_) => "stack overflow (in function mp_decode_to_lua_array)",
                    Place::Key | Place::Value(_) => {
                        "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)"
                    }
                },
            ));
        }
        open.push(next);
        Ok(())
    }

    /// A value, or the start of an array or a map.
    fn item(&mut self) -> mlua::Result<Item> {
        self.meter.work(self.lua, 1)?;
        let [kind] = self.take()?;
        Ok(Item::Whole(match kind {
            0x00..=0x7f => Value::Number(f64::from(kind)),
            0xe0..=0xff => Value::Number(f64::from(kind as i8)),
            0x80..=0x8f => return Ok(Item::Map(usize::from(kind & 15))),
            0x90..=0x9f => return Ok(Item::Array(usize::from(kind & 15))),
            0xa0..=0xbf => self.string(usize::from(kind & 31))?,
            0xc0 => Value::Nil,
            0xc2 => Value::Boolean(false),
            0xc3 => Value::Boolean(true),
            0xca => Value::Number(f64::from(f32::from_be_bytes(self.take()?))),
            0xcb => Value::Number(f64::from_be_bytes(self.take()?)),
            0xcc => Value::Number(f64::from(u8::from_be_bytes(self.take()?))),
            0xcd => Value::Number(f64::from(u16::from_be_bytes(self.take()?))),
            0xce => Value::Number(f64::from(u32::from_be_bytes(self.take()?))),
            // lua-cmsgpack hands it to Lua as a number with a sign.
            0xcf => Value::Number(i64::from_be_bytes(self.take()?) as f64),
            0xd0 => Value::Number(f64::from(i8::from_be_bytes(self.take()?))),
            0xd1 => Value::Number(f64::from(i16::from_be_bytes(self.take()?))),
            0xd2 => Value::Number(f64::from(i32::from_be_bytes(self.take()?))),
            0xd3 => Value::Number(i64::from_be_bytes(self.take()?) as f64),
            0xd9 => {
                let length = u8::from_be_bytes(self.take()?);
                self.string(usize::from(length))?
            }
            0xda => {
                let length = u16::from_be_bytes(self.take()?);
                self.string(usize::from(length))?
            }
            0xdb => {
                let length = u32::from_be_bytes(self.take()?);
                self.string(length as usize)?
            }
            0xdc => return Ok(Item::Array(usize::from(u16::from_be_bytes(self.take()?)))),
            0xdd => return Ok(Item::Array(u32::from_be_bytes(self.take()?) as usize)),
            0xde => return Ok(Item::Map(usize::from(u16::from_be_bytes(self.take()?)))),
            0xdf => return Ok(Item::Map(u32::from_be_bytes(self.take()?) as usize)),
            _ => return Err(located(self.lua, "Bad data format in input.")),
        }))
    }

    fn string(&mut self, length: usize) -> mlua::Result<Value> {
        let text = self.text[self.at..].get(..length).ok_or_else(|| self.missing())?;
        self.at += length;
        Ok(Value::String(self.lua.create_string(text)?))
    }
}

/// A value, or what one begins with.
enum Item {
    Whole(Value),
    Array(usize),
    Map(usize),
}

/// An array or a map that is being read: how many elements or pairs are left, and what comes next.
struct Open {
    table: Table,
    left: usize,
    place: Place,
}

enum Place {
    Index(usize),
    Key,
    Value(Value),
}
