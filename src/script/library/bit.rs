//! `bit`: operations on the bits of 32-bit integers, with the results of Lua BitOp.

use mlua::{Lua, LuaString, MultiValue, Table};

use crate::script::arguments::Given;

/// Digits that `tohex` writes at most.
const HEX_DIGITS: i64 = 8;

/// Added to a double, it moves the bits of the double's integer into the lowest places.
const TO_BITS: f64 = 6_755_399_441_055_744.0;

/// Operations with their names.
type Operations<F, const COUNT: usize> = [(&'static str, F); COUNT];

/// The library.
pub(super) fn open(lua: &Lua) -> mlua::Result<Table> {
    let bit = lua.create_table()?;
    let unary: Operations<fn(u32) -> u32, 3> =
        [("tobit", |bits| bits), ("bnot", |bits| !bits), ("bswap", u32::swap_bytes)];
    for (name, operation) in unary {
        let function =
            lua.create_function(move |lua, values| signed(operation(bits(&Given::new(lua, values), 1)?)))?;
        bit.raw_set(name, function)?;
    }
    let folds: Operations<fn(u32, u32) -> u32, 3> = [
        ("band", |one, other| one & other),
        ("bor", |one, other| one | other),
        ("bxor", |one, other| one ^ other),
    ];
    for (name, operation) in folds {
        let function = lua.create_function(move |lua, values| {
            let given = Given::new(lua, values);
            let mut result = bits(&given, 1)?;
            for position in 2..=given.len() {
                result = operation(result, bits(&given, position)?);
            }
            signed(result)
        })?;
        bit.raw_set(name, function)?;
    }
    let shifts: Operations<fn(u32, u32) -> u32, 5> = [
        ("lshift", |bits, by| bits << by),
        ("rshift", |bits, by| bits >> by),
        ("arshift", |bits, by| (bits as i32 >> by) as u32),
        ("rol", u32::rotate_left),
        ("ror", u32::rotate_right),
    ];
    for (name, operation) in shifts {
        let function = lua.create_function(move |lua, values| {
            let given = Given::new(lua, values);
            signed(operation(bits(&given, 1)?, bits(&given, 2)? & 31))
        })?;
        bit.raw_set(name, function)?;
    }
    bit.raw_set("tohex", lua.create_function(tohex)?)?;
    Ok(bit)
}

fn bits(given: &Given<'_>, position: usize) -> mlua::Result<u32> {
    Ok((given.number(position)? + TO_BITS).to_bits() as u32)
}

fn signed(bits: u32) -> mlua::Result<f64> {
    Ok(f64::from(bits as i32))
}

fn tohex(lua: &Lua, values: MultiValue) -> mlua::Result<LuaString> {
    let given = Given::new(lua, values);
    let number = bits(&given, 1)?;
    let digits = if given.len() < 2 { HEX_DIGITS } else { i64::from(bits(&given, 2)? as i32) };
    let text = if digits < 0 { format!("{number:08X}") } else { format!("{number:08x}") };
    let shown = digits.abs().min(HEX_DIGITS) as usize;
    lua.create_string(&text[HEX_DIGITS as usize - shown..])
}
