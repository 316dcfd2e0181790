//! `math.random` as Redis has it: the numbers of `drand48`, from the same start in every run, so that a script does the same
//! each time.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Table};

use super::Progress;
use crate::script::arguments::Given;
use crate::script::raised::located;

/// The state of the generator at the start of a run: seed 0.
pub(super) const FIRST: u64 = seeded(0);

/// The numbers of the generator are below this.
const NUMBER_MAX: f64 = i32::MAX as f64;

const fn seeded(seed: u32) -> u64 {
    (seed as u64) << 16 | 0x330e
}

/// The next state, and the number of 31 bits in it.
fn next(state: u64) -> (u64, u32) {
    let state = state.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & 0xffff_ffff_ffff;
    (state, (state >> 17) as u32)
}

/// Puts the functions into `math`.
pub(super) fn open(lua: &Lua, math: &Table, progress: &Rc<Progress>) -> mlua::Result<()> {
    let ours = Rc::clone(progress);
    let random = move |lua: &Lua, values: MultiValue| {
        let (state, number) = next(ours.chance.get());
        ours.chance.set(state);
        let part = f64::from(number) % NUMBER_MAX / NUMBER_MAX;
        let given = Given::new(lua, values);
        match given.len() {
            0 => Ok(part),
            1 => {
                let upper = given.integer(1)? as i32;
                if upper < 1 {
                    return Err(given.bad(1, "interval is empty"));
                }
                Ok((part * f64::from(upper)).floor() + 1.0)
            }
            2 => {
                let (lower, upper) = (given.integer(1)? as i32, given.integer(2)? as i32);
                if lower > upper {
                    return Err(given.bad(2, "interval is empty"));
                }
                Ok((part * (f64::from(upper) - f64::from(lower) + 1.0)).floor() + f64::from(lower))
            }
            _ => Err(located(lua, "wrong number of arguments")),
        }
    };
    math.raw_set("random", lua.create_function(random)?)?;
    let ours = Rc::clone(progress);
    let seed = move |lua: &Lua, values: MultiValue| {
        ours.chance.set(seeded(Given::new(lua, values).integer(1)? as u32));
        Ok(())
    };
    math.raw_set("randomseed", lua.create_function(seed)?)
}
