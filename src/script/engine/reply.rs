//! Replies of commands, as the values of Lua that a script gets.

use mlua::{Lua, LuaString, Table, Value};
use quartet_protocol::resp::number::parse_integer;

use crate::script::raised::Raised;

/// Replies within replies that a script can be given: more than any command has.
const NESTING_MAX: usize = 64;

/// The text of a line up to its end.
pub(super) fn line(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(b'\r', bytes).unwrap_or(bytes.len())]
}

/// The table that stands for an error reply.
pub(super) fn error_table(lua: &Lua, text: &[u8]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", LuaString::wrap(text))?;
    table.raw_set("ignore_error_stats_update", true)?;
    Ok(table)
}

/// The value of the one reply that `bytes` are.
pub(super) fn read(lua: &Lua, mut bytes: &[u8]) -> mlua::Result<Value> {
    read_next(lua, &mut bytes, NESTING_MAX)
}

fn read_next(lua: &Lua, bytes: &mut &[u8], depth: usize) -> mlua::Result<Value> {
    let head = line(bytes);
    *bytes = bytes.get(head.len() + 2..).unwrap_or_default();
    let Some((kind, text)) = head.split_first() else { return Err(broken()) };
    Ok(match kind {
        b'+' => named(lua, "ok", string(lua, text)?)?,
        b'-' => Value::Table(error_table(lua, text)?),
        b':' => Value::Number(number(text)? as f64),
        b'$' | b'*' if text.starts_with(b"-") => Value::Boolean(false),
        b'$' => string(lua, take(bytes, text)?)?,
        b'*' | b'>' => Value::Table(array(lua, bytes, length(text)?, depth)?),
        b'_' => Value::Nil,
        b'#' => Value::Boolean(text == b"t"),
        b',' => named(lua, "double", Value::Number(double(text)?))?,
        b'(' => named(lua, "big_number", string(lua, text)?)?,
        b'=' => {
            let (format, text) = take(bytes, text)?.split_at_checked(4).ok_or_else(broken)?;
            let verbatim = lua.create_table_with_capacity(0, 2)?;
            verbatim.raw_set("format", LuaString::wrap(&format[..3]))?;
            verbatim.raw_set("string", LuaString::wrap(text))?;
            named(lua, "verbatim_string", Value::Table(verbatim))?
        }
        b'%' => {
            let map = lua.create_table()?;
            for _ in 0..length(text)? {
                let key = read_next(lua, bytes, deeper(depth)?)?;
                let value = read_next(lua, bytes, deeper(depth)?)?;
                map.raw_set(key, value)?;
            }
            named(lua, "map", Value::Table(map))?
        }
        b'~' => {
            let set = lua.create_table()?;
            for _ in 0..length(text)? {
                set.raw_set(read_next(lua, bytes, deeper(depth)?)?, true)?;
            }
            named(lua, "set", Value::Table(set))?
        }
        _ => return Err(broken()),
    })
}

fn array(lua: &Lua, bytes: &mut &[u8], length: usize, depth: usize) -> mlua::Result<Table> {
    let depth = deeper(depth)?;
    // Each element takes some bytes, whatever the length says.
    let table = lua.create_table_with_capacity(length.min(bytes.len()), 0)?;
    for index in 1..=length {
        let value = read_next(lua, bytes, depth)?;
        if !value.is_nil() {
            table.raw_seti(index, value)?;
        }
    }
    Ok(table)
}

fn string(lua: &Lua, text: &[u8]) -> mlua::Result<Value> {
    lua.create_string(text).map(Value::String)
}

fn named(lua: &Lua, name: &str, value: Value) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}

fn take<'b>(bytes: &mut &'b [u8], length_text: &[u8]) -> mlua::Result<&'b [u8]> {
    let (text, rest) = bytes.split_at_checked(length(length_text)?).ok_or_else(broken)?;
    *bytes = rest.get(2..).unwrap_or_default();
    Ok(text)
}

fn number(text: &[u8]) -> mlua::Result<i64> {
    parse_integer(text).ok_or_else(broken)
}

fn length(text: &[u8]) -> mlua::Result<usize> {
    usize::try_from(number(text)?).map_err(|_| broken())
}

fn double(text: &[u8]) -> mlua::Result<f64> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(broken)
}

fn deeper(depth: usize) -> mlua::Result<usize> {
    depth.checked_sub(1).ok_or_else(|| Raised::reply("ERR the reply is nested too deeply for a script"))
}

fn broken() -> mlua::Error {
    Raised::reply("ERR a reply could not be read")
}
