//! The libraries that scripts have besides those of Lua.

mod bit;
mod c_number;
mod cjson;
mod cmsgpack;
mod joining;
mod pattern;
mod strings;
mod structs;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{Lua, Table};

use super::meter::Meter;

/// What sets the libraries back at the start of a run, so that no script finds what another one has set.
#[derive(Clone, Default)]
pub(super) struct Resets(Rc<Asked>);

#[derive(Default)]
struct Asked {
    is_asked: Cell<bool>,
    all: RefCell<Vec<Box<dyn Fn()>>>,
}

impl Resets {
    /// Adds something to do.
    fn add(&self, reset: impl Fn() + 'static) {
        self.0.all.borrow_mut().push(Box::new(reset));
    }

    /// Says that something was set.
    fn ask(&self) {
        self.0.is_asked.set(true);
    }

    /// Sets everything back, if anything was set.
    pub(super) fn follow(&self) {
        if self.0.is_asked.take() {
            self.0.all.borrow().iter().for_each(|reset| reset());
        }
    }
}

/// Puts the libraries among the globals, and functions for the prelude into `host`.  Their work is counted by `meter`.
pub(super) fn open(lua: &Lua, globals: &Table, host: &Table, meter: &Rc<Meter>) -> mlua::Result<Resets> {
    let resets = Resets::default();
    joining::open(lua, globals, meter)?;
    strings::open(lua, &globals.raw_get("string")?, host, meter)?;
    globals.raw_set("bit", bit::open(lua)?)?;
    globals.raw_set("cjson", cjson::open(lua, &resets, meter)?)?;
    globals.raw_set("cmsgpack", cmsgpack::open(lua, meter)?)?;
    globals.raw_set("struct", structs::open(lua, meter)?)?;
    Ok(resets)
}
