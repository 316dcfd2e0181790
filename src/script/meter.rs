//! Counting the work in Rust that a script causes, which Lua's own counters do not see.
//!
//! Everything whose length a script chooses counts its steps here, so that it can be stopped as instructions of Lua
//! can, and shows how much memory it holds beside Lua's.

use std::cell::{Cell, RefCell};

use mlua::Lua;

use super::raised::Raised;

/// Steps between two looks at whether the script is to be stopped: well under a millisecond.
const STEPS: usize = 20_000;

/// The script may not hold what it is about to make, in Lua's words.
pub(super) const NO_MEMORY: &str = "not enough memory";

/// What looks whether the script is to be stopped.
type Look = Box<dyn Fn(&Lua) -> mlua::Result<()>>;

/// See the head of the file.
pub(crate) struct Meter {
    /// Steps until the next look.
    left: Cell<usize>,
    /// Bytes that may be held beside Lua's memory.
    bytes_max: Cell<usize>,
    look: RefCell<Option<Look>>,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter { left: Cell::new(STEPS), bytes_max: Cell::new(usize::MAX), look: RefCell::default() }
    }
}

impl Meter {
    /// Has `look` called every so many steps.
    pub(super) fn open(&self, look: impl Fn(&Lua) -> mlua::Result<()> + 'static) {
        *self.look.borrow_mut() = Some(Box::new(look));
    }

    /// A run begins that may hold so many bytes.
    pub(super) fn begin(&self, bytes_max: usize) {
        self.left.set(STEPS);
        self.bytes_max.set(bytes_max);
    }

    /// The bytes that the run may hold beside Lua's memory.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max.get()
    }

    /// Counts steps of work.
    ///
    /// # Errors
    /// If the script is to be stopped.
    #[inline]
    pub(crate) fn work(&self, lua: &Lua, steps: usize) -> mlua::Result<()> {
        if self.is_over(steps) { self.look(lua) } else { Ok(()) }
    }

    /// Counts steps of work; true if the caller has to look whether the script is to be stopped.
    #[inline]
    pub(super) fn is_over(&self, steps: usize) -> bool {
        let left = self.left.get().checked_sub(steps);
        self.left.set(left.unwrap_or(STEPS));
        left.is_none()
    }

    /// Ends the run if it is to be stopped.
    ///
    /// # Errors
    /// If it is.
    #[cold]
    pub(super) fn look(&self, lua: &Lua) -> mlua::Result<()> {
        self.left.set(STEPS);
        self.look.borrow().as_ref().map_or(Ok(()), |look| look(lua))
    }

    /// Counts a step of work that holds so many bytes by now.
    ///
    /// # Errors
    /// If the script may not hold them, or is to be stopped.
    pub(crate) fn hold(&self, lua: &Lua, bytes: usize) -> mlua::Result<()> {
        if bytes > self.bytes_max.get() {
            return Err(Raised::text(NO_MEMORY));
        }
        self.work(lua, 1)
    }
}
