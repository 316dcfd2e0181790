//! How often Lua looks whether the run is to be stopped.
//!
//! One instruction may join two strings of a hundred megabytes, so a number of instructions says little about time.  While
//! instructions are found to take long, looks come closer.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{HookTriggers, Lua, VmState};

use super::Progress;

/// Instructions between looks, which take some microseconds as a rule.
const INSTRUCTIONS: u32 = 2000;

/// Instructions between looks while these take long.
const SLOW_INSTRUCTIONS: u32 = 100;

/// Milliseconds between looks that are long.
const LONG: u64 = 10;

/// So many looks one after the other that do not take long, and instructions are taken for quick again.
const QUICK_LOOKS: u32 = 100;

/// The pace of a run.
#[derive(Default)]
pub(super) struct Pace {
    /// Looks that are still to be quick until looks come as seldom as usual.
    slow: Cell<u32>,
}

/// Has the meter look every so many instructions.
pub(super) fn open(lua: &Lua, progress: &Rc<Progress>) -> mlua::Result<()> {
    set(lua, progress, INSTRUCTIONS)
}

/// A run begins.
pub(super) fn begin(lua: &Lua, progress: &Rc<Progress>) -> mlua::Result<()> {
    if progress.pace.slow.take() > 0 { set(lua, progress, INSTRUCTIONS) } else { Ok(()) }
}

fn set(lua: &Lua, progress: &Rc<Progress>, instructions: u32) -> mlua::Result<()> {
    let progress = Rc::clone(progress);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(instructions), move |lua, _| {
        let before = progress.last_look();
        progress.meter.look(lua)?;
        let taken = progress.last_look().saturating_sub(before);
        follow(lua, &progress, taken)?;
        Ok(VmState::Continue)
    })
}

/// Sets the pace after a look that came so many milliseconds after the last one.
fn follow(lua: &Lua, progress: &Rc<Progress>, taken: u64) -> mlua::Result<()> {
    let slow = &progress.pace.slow;
    match slow.get() {
        0 if taken < LONG => Ok(()),
        0 => {
            slow.set(QUICK_LOOKS);
            set(lua, progress, SLOW_INSTRUCTIONS)
        }
        _ if taken >= LONG => {
            slow.set(QUICK_LOOKS);
            Ok(())
        }
        1 => {
            slow.set(0);
            set(lua, progress, INSTRUCTIONS)
        }
        left => {
            slow.set(left - 1);
            Ok(())
        }
    }
}
