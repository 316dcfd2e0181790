//! The tables `KEYS` and `ARGV` of a run.
//!
//! A script that may keep its tables or change them gets new ones.  One that only takes elements out of them finds the same two in each
//! run, filled anew: making tables and collecting them was a fifth of the work of a short script.

use std::cell::Cell;

use mlua::{Lua, Table};

use super::push_texts;
use super::stack::{Reference, Stack};

/// Elements of a table that lasts; longer ones are made for their run.
const LASTING_MAX: usize = 16;

/// Bytes that a table keeps between runs.
const BYTES_KEPT: usize = 1024;

/// How a script sees the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// Through tables that it cannot write to.
    Guarded,
    /// As it is, since the script only takes elements out of tables that are not its own.
    Plain,
}

/// See the head of the file.
pub(super) struct Inputs {
    /// What guarded scripts find behind their world.
    globals: Reference,
    /// The globals of plain scripts.
    plain: Reference,
    keys: Input,
    arguments: Input,
}

struct Input {
    name: Reference,
    /// What plain scripts find.
    lasting: Reference,
    /// Elements in there.
    length: Cell<i32>,
    /// Bytes in there.
    bytes: Cell<usize>,
    /// Plain scripts find another one for this run.
    is_replaced: Cell<bool>,
}

impl Inputs {
    /// The tables of a state of Lua, of which plain scripts have theirs from here on.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub(super) fn new(lua: &Lua, globals: Table, plain: &Table) -> mlua::Result<Inputs> {
        let keys = Input::new(lua, plain, "KEYS")?;
        let arguments = Input::new(lua, plain, "ARGV")?;
        let (globals, plain) = (Reference::new(lua, globals)?, Reference::new(lua, plain)?);
        Ok(Inputs { globals, plain, keys, arguments })
    }

    /// Gives a run what it is called with.
    pub(super) fn give<'a>(
        &self,
        stack: &mut Stack<'_>,
        sight: Sight,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        match sight {
            Sight::Guarded => {
                self.keys.make(stack, &self.globals, keys);
                self.arguments.make(stack, &self.globals, arguments);
            }
            Sight::Plain => {
                self.keys.fill(stack, &self.plain, keys);
                self.arguments.fill(stack, &self.plain, arguments);
            }
        }
    }

    /// Takes it back at the end of the run.
    pub(super) fn take_back(&self, stack: &mut Stack<'_>, sight: Sight) {
        for input in [&self.keys, &self.arguments] {
            match sight {
                Sight::Guarded => input.set(stack, &self.globals, |stack| stack.push_nil()),
                Sight::Plain => input.settle(stack, &self.plain),
            }
        }
    }
}

impl Input {
    fn new(lua: &Lua, plain: &Table, name: &str) -> mlua::Result<Input> {
        let lasting = lua.create_table()?;
        plain.raw_set(name, &lasting)?;
        Ok(Input {
            name: Reference::new(lua, name)?,
            lasting: Reference::new(lua, lasting)?,
            length: Cell::default(),
            bytes: Cell::default(),
            is_replaced: Cell::default(),
        })
    }

    /// Sets it among these globals to what is pushed.
    fn set(&self, stack: &mut Stack<'_>, globals: &Reference, push: impl FnOnce(&mut Stack<'_>)) {
        stack.push_reference(globals);
        let place = stack.count();
        stack.push_reference(&self.name);
        push(stack);
        stack.set_pair(place);
        stack.pop(1);
    }

    /// Sets it among these globals to a new table.
    fn make<'a>(
        &self,
        stack: &mut Stack<'_>,
        globals: &Reference,
        texts: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        self.set(stack, globals, |stack| push_texts(stack, texts));
    }

    /// Fills the table that lasts, unless it would be long.
    fn fill<'a>(
        &self,
        stack: &mut Stack<'_>,
        plain: &Reference,
        texts: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        self.put_back(stack, plain);
        if texts.len() > LASTING_MAX {
            self.is_replaced.set(true);
            return self.make(stack, plain, texts);
        }
        stack.push_reference(&self.lasting);
        let (mut length, mut bytes) = (0, 0);
        for text in texts {
            length += 1;
            bytes += text.len();
            stack.push_text(text);
            stack.set_element(length);
        }
        for gone in length..self.length.get() {
            stack.push_nil();
            stack.set_element(gone + 1);
        }
        stack.pop(1);
        self.length.set(length);
        self.bytes.set(bytes);
    }

    /// Puts the table that lasts back, and takes out of it what would take much memory until the next run.
    fn settle(&self, stack: &mut Stack<'_>, plain: &Reference) {
        self.put_back(stack, plain);
        if self.bytes.get() > BYTES_KEPT {
            self.fill(stack, plain, std::iter::empty());
        }
    }

    /// Puts the table that lasts back, if there is another one; a run that panics leaves it there.
    fn put_back(&self, stack: &mut Stack<'_>, plain: &Reference) {
        if self.is_replaced.take() {
            self.set(stack, plain, |stack| stack.push_reference(&self.lasting));
        }
    }
}
