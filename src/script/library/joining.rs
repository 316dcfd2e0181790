//! `string.rep` and `table.concat`, in place of those of Lua: their work is counted (see `meter`).

use std::rc::Rc;

use mlua::{Lua, LuaString, Table, Value};

use crate::script::arguments::{Given, type_name};
use crate::script::meter::Meter;
use crate::script::raised::located;

/// Bytes that are copied in a step.
const BYTES_PER_STEP: usize = 64;

/// Puts the functions into the libraries of strings and of tables.
pub(super) fn open(lua: &Lua, globals: &Table, meter: &Rc<Meter>) -> mlua::Result<()> {
    let own = Rc::clone(meter);
    let rep = lua.create_function(move |lua, values| rep(&Given::new(lua, values), &own))?;
    globals.raw_get::<Table>("string")?.raw_set("rep", rep)?;
    let own = Rc::clone(meter);
    let concat = lua.create_function(move |lua, values| concat(&Given::new(lua, values), &own))?;
    globals.raw_get::<Table>("table")?.raw_set("concat", concat)
}

fn rep(given: &Given<'_>, meter: &Meter) -> mlua::Result<LuaString> {
    let text = given.string(1)?;
    let text = text.as_bytes();
    let count = usize::try_from(given.integer(2)?).unwrap_or(0);
    let length = text.len().saturating_mul(count);
    meter.hold(given.lua(), length)?;
    meter.work(given.lua(), length / BYTES_PER_STEP)?;
    // A text without bytes is the same however often it is repeated, which may be a great many times.
    let repeated = if length == 0 { Vec::new() } else { text.repeat(count) };
    given.lua().create_string(repeated)
}

fn concat(given: &Given<'_>, meter: &Meter) -> mlua::Result<LuaString> {
    let lua = given.lua();
    let table = given.table(1)?;
    let separator = if given.is_none_or_nil(2) { lua.create_string("")? } else { given.string(2)? };
    let separator = separator.as_bytes();
    let first = given.integer_or(3, 1)?;
    let last = if given.is_none_or_nil(4) { table.raw_len() as i64 } else { given.integer(4)? };
    let mut joined = Vec::new();
    for index in first..=last {
        let value = table.raw_get::<Value>(index)?;
        let piece = match &value {
            Value::String(text) => text.clone(),
            Value::Integer(_) | Value::Number(_) => match lua.coerce_string(value)? {
                Some(text) => text,
                None => break,
            },
            other => {
                let kind = type_name(other);
                let text = format!("invalid value ({kind}) at index {index} in table for 'concat'");
                return Err(located(lua, text));
            }
        };
        let piece = piece.as_bytes();
        meter.hold(lua, joined.len() + piece.len() + separator.len())?;
        meter.work(lua, piece.len() / BYTES_PER_STEP)?;
        joined.extend_from_slice(&piece);
        if index < last {
            joined.extend_from_slice(&separator);
        }
    }
    lua.create_string(joined)
}
