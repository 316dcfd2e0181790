//! How often Lua looks whether the run is to be stopped.
//!
//! One instruction may join two strings of a hundred megabytes, so a number of instructions says little about time.  Once
//! they are found to take long, looks come closer for the rest of the run.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{HookTriggers, Lua, VmState};

use super::Progress;

/// Instructions between looks, which take some microseconds as a rule.
const INSTRUCTIONS: u32 = 1000;

/// Instructions between looks once these take long.
const SLOW_INSTRUCTIONS: u32 = 100;

/// Milliseconds between looks that are long.
const LONG: u64 = 10;

/// The pace of a run.
#[derive(Default)]
pub(super) struct Pace {
    is_slow: Cell<bool>,
    /// When the last look was, in milliseconds.
    looked: Cell<u64>,
}

/// Has the meter look every so many instructions.
pub(super) fn open(lua: &Lua, progress: &Rc<Progress>) -> mlua::Result<()> {
    set(lua, progress, INSTRUCTIONS)
}

/// A run begins.
pub(super) fn begin(lua: &Lua, progress: &Rc<Progress>) -> mlua::Result<()> {
    let now = progress.now();
    progress.pace.looked.set(now.unwrap_or_default());
    if progress.pace.is_slow.take() { set(lua, progress, INSTRUCTIONS) } else { Ok(()) }
}

fn set(lua: &Lua, progress: &Rc<Progress>, instructions: u32) -> mlua::Result<()> {
    let progress = Rc::clone(progress);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(instructions), move |lua, _| {
        let Some(now) = progress.now() else {
            return progress.meter.look(lua).map(|()| VmState::Continue);
        };
        let Pace { is_slow, looked } = &progress.pace;
        let taken = now.saturating_sub(looked.replace(now));
        if taken >= LONG && !is_slow.replace(true) {
            set(lua, &progress, SLOW_INSTRUCTIONS)?;
        }
        progress.meter.look(lua).map(|()| VmState::Continue)
    })
}
