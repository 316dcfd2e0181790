//! A walk over a table that may be left and gone on with.
//!
//! Each value that Rust holds has a place on a stack of Lua's that has room for some thousands, so the pairs of a large table
//! cannot all be held at once.

use mlua::{Function, Table, Value};

/// See the head of the file.
pub(crate) struct Walk {
    table: Table,
    /// The key that came last.
    key: Value,
}

impl Walk {
    /// A walk that has not begun.
    pub(crate) fn new(table: &Table) -> Walk {
        Walk { table: table.clone(), key: Value::Nil }
    }

    /// The next pair; none at the end.  `next` is Lua's own function.
    pub(crate) fn step(&mut self, next: &Function) -> mlua::Result<Option<(Value, Value)>> {
        let (key, value): (Value, Value) = next.call((&self.table, &self.key))?;
        self.key = key.clone();
        Ok(if key.is_nil() { None } else { Some((key, value)) })
    }
}
