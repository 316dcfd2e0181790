//! The same conversions through the handles of `mlua`: slow, and safe.

use mlua::{Function, Lua, LuaString, Table, Value};
use quartet_protocol::resp::number::parse_integer;
use quartet_protocol::resp::{Output, Version};

use super::super::reply;
use crate::script::raised::Raised;
use crate::script::walk::Walk;

/// Replies within replies that a script can be given.
const NESTING_MAX: usize = 64;

/// Tables within tables that are written.
const TABLES_MAX: usize = 2000;

/// The value of the one reply that `bytes` are.
pub(super) fn read(lua: &Lua, mut bytes: &[u8]) -> mlua::Result<Value> {
    read_next(lua, &mut bytes, NESTING_MAX)
}

fn read_next(lua: &Lua, bytes: &mut &[u8], depth: usize) -> mlua::Result<Value> {
    let head = reply::line(bytes);
    *bytes = bytes.get(head.len() + 2..).unwrap_or_default();
    let Some((kind, text)) = head.split_first() else { return Err(broken()) };
    Ok(match kind {
        b'+' => named(lua, "ok", string(lua, text)?)?,
        b'-' => Value::Table(reply::error_table(lua, text, true)?),
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

/// A table that is being written.
enum Open {
    /// An array, and how many of its elements are written.
    Array { table: Table, written: usize, length: usize },
    /// A map, and the value of the key that is written.
    Map { pairs: Walk, value: Option<Value> },
    /// A set, whose members are the keys of the table.
    Set(Walk),
}

/// Writes the reply.  `next` is Lua's own function.  `version` is what the script has asked for; that of the client decides how values are spelled.
pub(super) fn write(
    value: &Value,
    version: Version,
    next: &Function,
    output: &mut Output,
) -> mlua::Result<()> {
    let mut open = Vec::new();
    open.extend(begin(value, version, output, 0)?);
    while let Some(last) = open.last_mut() {
        let part = match last {
            Open::Array { written, length, .. } if written == length => None,
            Open::Array { table, written, .. } => {
                *written += 1;
                Some(table.raw_get::<Value>(*written)?)
            }
            Open::Map { value: value @ Some(_), .. } => value.take(),
            Open::Map { pairs, value } => pairs.step(next)?.map(|(key, its)| {
                *value = Some(its);
                key
            }),
            Open::Set(members) => members.step(next)?.map(|(member, _)| member),
        };
        match part {
            Some(value) => {
                let inner = begin(&value, version, output, open.len())?;
                open.extend(inner);
            }
            None => drop(open.pop()),
        }
    }
    Ok(())
}

/// Writes a value, or the start of a table within so many others, whose parts follow.
fn begin(value: &Value, version: Version, output: &mut Output, depth: usize) -> mlua::Result<Option<Open>> {
    match value {
        Value::String(text) => output.bulk(&text.as_bytes()),
        Value::Boolean(truth) if version == Version::Resp3 => output.boolean(*truth),
        Value::Boolean(true) => output.integer(1),
        Value::Integer(number) => output.integer(*number),
        Value::Number(number) => output.integer(whole(*number)),
        Value::Table(_) if depth == TABLES_MAX => output.error("ERR reached lua stack limit"),
        Value::Table(table) => return begin_table(table, output),
        _ => output.null(),
    }
    Ok(None)
}

/// A number without its fraction, as a conversion in C on this hardware has it.
fn whole(number: f64) -> i64 {
    if number.is_nan() || number >= 9_223_372_036_854_775_808.0 { i64::MIN } else { number as i64 }
}

fn begin_table(table: &Table, output: &mut Output) -> mlua::Result<Option<Open>> {
    if let Value::String(text) = table.raw_get("err")? {
        write_error(&text, output);
        return Ok(None);
    }
    if let Value::String(text) = table.raw_get("ok")? {
        write_status(&text, output);
        return Ok(None);
    }
    if let number @ (Value::Number(_) | Value::Integer(_)) = table.raw_get("double")? {
        output.double(number.as_f64().unwrap_or_default());
        return Ok(None);
    }
    if let Value::Table(map) = table.raw_get("map")? {
        output.map(pair_count(&map)?);
        return Ok(Some(Open::Map { pairs: Walk::new(&map), value: None }));
    }
    if let Value::Table(set) = table.raw_get("set")? {
        output.set(pair_count(&set)?);
        return Ok(Some(Open::Set(Walk::new(&set))));
    }
    if let Value::String(digits) = table.raw_get("big_number")? {
        let digits = String::from_utf8_lossy(&digits.as_bytes()).replace(['\r', '\n'], " ");
        output.big_number(&digits);
        return Ok(None);
    }
    if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
        && let (Value::String(format), Value::String(text)) =
            (verbatim.raw_get("format")?, verbatim.raw_get("string")?)
    {
        write_verbatim(&format, &text, output);
        return Ok(None);
    }
    let length = array_length(table)?;
    output.array(length);
    Ok(Some(Open::Array { table: table.clone(), written: 0, length }))
}

fn write_error(text: &LuaString, output: &mut Output) {
    output.error(text.as_bytes());
}

fn write_status(text: &LuaString, output: &mut Output) {
    let text = text.as_bytes();
    let line: Vec<u8> =
        text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect();
    output.extend(b"+");
    output.extend(&line);
    output.extend(b"\r\n");
}

fn write_verbatim(format: &LuaString, text: &LuaString, output: &mut Output) {
    let (format, text) = (format.as_bytes(), text.as_bytes());
    match (std::str::from_utf8(&format), std::str::from_utf8(&text)) {
        (Ok(format), Ok(text)) => output.verbatim(&format!("{format:3.3}"), text),
        _ => output.bulk(&text),
    }
}

fn pair_count(table: &Table) -> mlua::Result<usize> {
    let mut count = 0;
    table.for_each(|_: Value, _: Value| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// The number of elements before the first nil.
fn array_length(table: &Table) -> mlua::Result<usize> {
    let mut length = 0;
    while !table.raw_get::<Value>(length + 1)?.is_nil() {
        length += 1;
    }
    Ok(length)
}
