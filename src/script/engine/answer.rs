//! The value that a script returns, as a reply.

use mlua::{Function, LuaString, Table, Value};
use quartet_protocol::resp::{Output, Version};

use crate::script::walk::Walk;

/// Tables within tables that are written; deeper ones become an error in their place, as in Redis, which has room for 7,995.
const NESTING_MAX: usize = 2000;

/// Lua is out of room for a value that is nested too deeply.
const TOO_DEEP: &str = "ERR reached lua stack limit";

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
        Value::Table(_) if depth == NESTING_MAX => output.error(TOO_DEEP),
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
    let text = text.as_bytes();
    output.error(text.strip_prefix(b"-").unwrap_or(&text));
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
        (Ok(format), Ok(text)) if format.len() == 3 => output.verbatim(format, text),
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
