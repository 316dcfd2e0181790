//! The arguments of a function that a script calls, read as Lua's own functions read theirs, with their messages.

use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::raised::located;

/// See the head of the file.  Positions count from 1.
pub(crate) struct Given<'l> {
    lua: &'l Lua,
    values: MultiValue,
}

impl<'l> Given<'l> {
    /// The arguments of a call.
    pub(crate) fn new(lua: &'l Lua, values: MultiValue) -> Given<'l> {
        Given { lua, values }
    }

    /// The state of Lua that they belong to.
    pub(crate) fn lua(&self) -> &'l Lua {
        self.lua
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The argument at a position; none if there is none.
    pub(crate) fn get(&self, position: usize) -> Option<&Value> {
        self.values.get(position - 1)
    }

    /// Whether it is absent or nil.
    pub(crate) fn is_none_or_nil(&self, position: usize) -> bool {
        self.get(position).is_none_or(Value::is_nil)
    }

    /// The complaint about an argument.
    pub(crate) fn bad(&self, position: usize, complaint: impl AsRef<[u8]>) -> mlua::Error {
        let name = self.lua.inspect_stack(0, |frame| frame.names().name.map(|name| name.into_owned()));
        let name = name.flatten().unwrap_or_else(|| "?".to_owned());
        let start = format!("bad argument #{position} to '{name}' (");
        located(self.lua, [start.as_bytes(), complaint.as_ref(), b")"].concat())
    }

    /// The complaint about an argument of another type than is wanted.
    pub(crate) fn wrong_type(&self, position: usize, wanted: &str) -> mlua::Error {
        let found = self.get(position).map_or("no value", type_name);
        self.bad(position, format!("{wanted} expected, got {found}"))
    }

    /// A table.
    pub(crate) fn table(&self, position: usize) -> mlua::Result<&Table> {
        match self.get(position) {
            Some(Value::Table(table)) => Ok(table),
            _ => Err(self.wrong_type(position, "table")),
        }
    }

    /// A number, or a string that spells one.
    pub(crate) fn number(&self, position: usize) -> mlua::Result<f64> {
        let number = match self.get(position) {
            Some(Value::Integer(number)) => Some(*number as f64),
            Some(Value::Number(number)) => Some(*number),
            Some(text @ Value::String(_)) => self.lua.coerce_number(text.clone())?,
            _ => None,
        };
        number.ok_or_else(|| self.wrong_type(position, "number"))
    }

    /// A number, cut to an integer as a conversion in C does.
    pub(crate) fn integer(&self, position: usize) -> mlua::Result<i64> {
        Ok(self.number(position)? as i64)
    }

    /// The same, or a default if there is none.
    pub(crate) fn integer_or(&self, position: usize, default: i64) -> mlua::Result<i64> {
        if self.is_none_or_nil(position) { Ok(default) } else { self.integer(position) }
    }

    /// A string, or the text of a number.
    pub(crate) fn string(&self, position: usize) -> mlua::Result<LuaString> {
        let string = match self.get(position) {
            Some(Value::String(string)) => Some(string.clone()),
            Some(number @ (Value::Integer(_) | Value::Number(_))) => {
                self.lua.coerce_string(number.clone())?
            }
            _ => None,
        };
        string.ok_or_else(|| self.wrong_type(position, "string"))
    }
}

/// The name of a value's type, as Lua's functions give it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}
