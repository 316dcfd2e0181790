//! Values of Lua as JSON.

use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::{Invalid, NESTING_MAX, Options};
use crate::script::arguments::{Given, type_name};
use crate::script::number_text::general_text;
use crate::script::raised::located;
use crate::script::walk::Walk;

/// `cjson.encode`.
pub(super) fn encode(lua: &Lua, values: MultiValue, options: &Options) -> mlua::Result<LuaString> {
    let given = Given::new(lua, values);
    let Some(value) = given.get(1).filter(|_| given.len() == 1) else {
        return Err(given.bad(1, "expected 1 argument"));
    };
    let mut writer = Writer { lua, options, text: Vec::new(), open: Vec::new() };
    writer.write(value)?;
    lua.create_string(writer.text)
}

/// A table that is being written.
enum Open {
    Array { table: Table, written: i64, length: i64 },
    Object { pairs: Walk, is_first: bool },
}

struct Writer<'e> {
    lua: &'e Lua,
    options: &'e Options,
    text: Vec<u8>,
    /// The tables around what is written next, the outermost one first.
    open: Vec<Open>,
}

impl Writer<'_> {
    /// Writes a value with all that is in it.
    fn write(&mut self, value: &Value) -> mlua::Result<()> {
        self.begin(value)?;
        while let Some(open) = self.open.last_mut() {
            let next = match open {
                Open::Array { written, length, .. } if written == length => None,
                Open::Array { table, written, .. } => {
                    *written += 1;
                    if *written > 1 {
                        self.text.push(b',');
                    }
                    Some(table.raw_get::<Value>(*written)?)
                }
                Open::Object { pairs, is_first } => match pairs.step(&self.options.next)? {
                    Some((key, value)) => {
                        if !std::mem::take(is_first) {
                            self.text.push(b',');
                        }
                        self.write_key(&key)?;
                        Some(value)
                    }
                    None => None,
                },
            };
            match next {
                Some(value) => self.begin(&value)?,
                None => self.text.push(match self.open.pop() {
                    Some(Open::Array { .. }) => b']',
                    _ => b'}',
                }),
            }
        }
        Ok(())
    }

    /// Writes a value, or the start of a table.
    fn begin(&mut self, value: &Value) -> mlua::Result<()> {
        self.options.meter.hold(self.lua, self.text.len())?;
        match value {
            Value::Nil => self.text.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.text.extend_from_slice(b"null"),
            Value::Boolean(truth) => self.text.extend_from_slice(if *truth { b"true" } else { b"false" }),
            Value::Integer(number) => self.write_number(*number as f64)?,
            Value::Number(number) => self.write_number(*number)?,
            Value::String(text) => self.write_string(&text.as_bytes())?,
            Value::Table(table) => self.open(table)?,
            other => return Err(self.refuse(other, "type not supported")),
        }
        Ok(())
    }

    fn refuse(&self, value: &Value, reason: &str) -> mlua::Error {
        located(self.lua, format!("Cannot serialise {}: {reason}", type_name(value)))
    }

    fn write_number(&mut self, number: f64) -> mlua::Result<()> {
        if !number.is_finite() {
            match self.options.encode_invalid.get() {
                Invalid::Refused => return Err(self.refuse(&Value::Number(number), "must not be NaN or Inf")),
                Invalid::Null => {
                    self.text.extend_from_slice(b"null");
                    return Ok(());
                }
                // Whatever its sign.
                Invalid::Written if number.is_nan() => {
                    self.text.extend_from_slice(b"nan");
                    return Ok(());
                }
                Invalid::Written => (),
            }
        }
        let digits = self.options.digits.get() as usize;
        self.text.extend_from_slice(general_text(number, digits).as_bytes());
        Ok(())
    }

    fn write_string(&mut self, text: &[u8]) -> mlua::Result<()> {
        self.options.meter.hold(self.lua, self.text.len() + text.len())?;
        self.options.meter.work(self.lua, text.len())?;
        self.text.push(b'"');
        for &byte in text {
            match byte {
                b'"' | b'\\' | b'/' => self.text.extend_from_slice(&[b'\\', byte]),
                b'\x08' => self.text.extend_from_slice(b"\\b"),
                b'\x0c' => self.text.extend_from_slice(b"\\f"),
                b'\n' => self.text.extend_from_slice(b"\\n"),
                b'\r' => self.text.extend_from_slice(b"\\r"),
                b'\t' => self.text.extend_from_slice(b"\\t"),
                0..0x20 | 0x7f => self.text.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                _ => self.text.push(byte),
            }
        }
        self.text.push(b'"');
        Ok(())
    }

    fn open(&mut self, table: &Table) -> mlua::Result<()> {
        let depth = self.open.len() as i64 + 1;
        if depth > self.options.encode_depth.get().min(NESTING_MAX) {
            return Err(located(self.lua, format!("Cannot serialise, excessive nesting ({depth})")));
        }
        let (first, open) = match self.array_length(table)? {
            Some(length) if length > 0 => (b'[', Open::Array { table: table.clone(), written: 0, length }),
            _ => (b'{', Open::Object { pairs: Walk::new(table), is_first: true }),
        };
        self.text.push(first);
        self.open.push(open);
        Ok(())
    }

    /// The length of the table as an array; none if it is written as an object.
    fn array_length(&self, table: &Table) -> mlua::Result<Option<i64>> {
        let (mut longest, mut items, mut is_array) = (0, 0_i64, true);
        for pair in table.pairs::<Value, Value>() {
            self.options.meter.work(self.lua, 1)?;
            match pair?.0 {
                Value::Integer(index) if index >= 1 => {
                    longest = longest.max(index);
                    items += 1;
                }
                Value::Number(index) if index >= 1.0 && index.trunc() == index => {
                    longest = longest.max(index as i64);
                    items += 1;
                }
                _ => {
                    is_array = false;
                    break;
                }
            }
        }
        if !is_array {
            return Ok(None);
        }
        let (ratio, safe) = (self.options.sparse_ratio.get(), self.options.sparse_safe.get());
        if ratio > 0 && longest > items.saturating_mul(ratio) && longest > safe {
            if !self.options.sparse_as_objects.get() {
                return Err(self.refuse(&Value::Table(table.clone()), "excessively sparse array"));
            }
            return Ok(None);
        }
        Ok(Some(longest))
    }

    fn write_key(&mut self, key: &Value) -> mlua::Result<()> {
        match key {
            Value::String(text) => self.write_string(&text.as_bytes())?,
            Value::Integer(_) | Value::Number(_) => {
                self.text.push(b'"');
                self.begin(key)?;
                self.text.push(b'"');
            }
            other => return Err(self.refuse(other, "table key must be a number or string")),
        }
        self.text.push(b':');
        Ok(())
    }
}
