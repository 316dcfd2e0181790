//! `cjson`: JSON to and from values of Lua, with the settings, texts and limits of lua-cjson 2.1.

mod decode;
mod encode;

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Function, IntoLua, LightUserData, Lua, MultiValue, Table, Value};

use super::Resets;
use crate::script::arguments::Given;
use crate::script::meter::Meter;

/// Tables within tables that are ever written or read, whatever the settings allow.
const NESTING_MAX: i64 = 1000;

/// Significant digits that numbers may have.
const DIGITS_MAX: i64 = 14;

/// What is written for a number that JSON does not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Invalid {
    Refused,
    Written,
    Null,
}

/// The names of [`Invalid`] for scripts.
const INVALID_NAMES: &[(&str, Invalid)] =
    &[("off", Invalid::Refused), ("on", Invalid::Written), ("null", Invalid::Null)];

/// The settings of one instance of the library.
struct Options {
    sparse_as_objects: Cell<bool>,
    sparse_ratio: Cell<i64>,
    sparse_safe: Cell<i64>,
    encode_depth: Cell<i64>,
    decode_depth: Cell<i64>,
    digits: Cell<i64>,
    keeps_buffer: Cell<bool>,
    encode_invalid: Cell<Invalid>,
    decodes_invalid: Cell<bool>,
    /// Lua's own `next`.
    next: Function,
    meter: Rc<Meter>,
}

impl Options {
    fn new(next: Function, meter: Rc<Meter>) -> Rc<Options> {
        let options = Options {
            sparse_as_objects: Cell::new(false),
            sparse_ratio: Cell::new(0),
            sparse_safe: Cell::new(0),
            encode_depth: Cell::new(0),
            decode_depth: Cell::new(0),
            digits: Cell::new(0),
            keeps_buffer: Cell::new(true),
            encode_invalid: Cell::new(Invalid::Refused),
            decodes_invalid: Cell::new(true),
            next,
            meter,
        };
        options.reset();
        Rc::new(options)
    }

    fn reset(&self) {
        self.sparse_as_objects.set(false);
        self.sparse_ratio.set(2);
        self.sparse_safe.set(10);
        self.encode_depth.set(1000);
        self.decode_depth.set(1000);
        self.digits.set(DIGITS_MAX);
        self.keeps_buffer.set(true);
        self.encode_invalid.set(Invalid::Refused);
        self.decodes_invalid.set(true);
    }
}

/// The library.  What a script sets lasts until it ends.
pub(super) fn open(lua: &Lua, resets: &Resets, meter: &Rc<Meter>) -> mlua::Result<Table> {
    let options = Options::new(lua.globals().raw_get("next")?, Rc::clone(meter));
    let own = Rc::clone(&options);
    let ours = resets.clone();
    resets.add(move || own.reset());
    instance(lua, &options, &ours)
}

fn instance(lua: &Lua, options: &Rc<Options>, resets: &Resets) -> mlua::Result<Table> {
    let cjson = lua.create_table()?;
    let own = Rc::clone(options);
    cjson.raw_set("encode", lua.create_function(move |lua, values| encode::encode(lua, values, &own))?)?;
    let own = Rc::clone(options);
    cjson.raw_set("decode", lua.create_function(move |lua, values| decode::decode(lua, values, &own))?)?;
    let (own, ours) = (Rc::clone(options), resets.clone());
    let new = move |lua: &Lua, _: MultiValue| {
        instance(lua, &Options::new(own.next.clone(), Rc::clone(&own.meter)), &ours)
    };
    cjson.raw_set("new", lua.create_function(new)?)?;
    for (name, most, change) in SETTINGS {
        let (own, ours) = (Rc::clone(options), resets.clone());
        let function = lua.create_function(move |lua, values| {
            let given = Given::new(lua, values);
            if given.len() > *most {
                return Err(given.bad(most + 1, "found too many arguments"));
            }
            ours.ask();
            change(lua, &given, &own)
        })?;
        cjson.raw_set(*name, function)?;
    }
    cjson.raw_set("null", null())?;
    cjson.raw_set("_NAME", "cjson")?;
    cjson.raw_set("_VERSION", "2.1.0")?;
    Ok(cjson)
}

/// The value that stands for JSON's null.
fn null() -> Value {
    Value::LightUserData(LightUserData(std::ptr::null_mut()))
}

/// Reads and changes a setting, and returns what it is then.
type Change = fn(&Lua, &Given<'_>, &Options) -> mlua::Result<MultiValue>;

/// The functions for settings, with how many arguments they take at most.
const SETTINGS: &[(&str, usize, Change)] = &[
    ("encode_sparse_array", 3, |lua, given, options| {
        let as_objects = truth(given, 1, &options.sparse_as_objects)?;
        let ratio = integer(given, 2, &options.sparse_ratio, 0, i64::from(i32::MAX))?;
        let safe = integer(given, 3, &options.sparse_safe, 0, i64::from(i32::MAX))?;
        Ok(MultiValue::from_iter([as_objects.into_lua(lua)?, ratio.into_lua(lua)?, safe.into_lua(lua)?]))
    }),
    ("encode_max_depth", 1, |lua, given, options| {
        one(lua, integer(given, 1, &options.encode_depth, 1, i64::from(i32::MAX))?)
    }),
    ("decode_max_depth", 1, |lua, given, options| {
        one(lua, integer(given, 1, &options.decode_depth, 1, i64::from(i32::MAX))?)
    }),
    ("encode_number_precision", 1, |lua, given, options| {
        one(lua, integer(given, 1, &options.digits, 1, DIGITS_MAX)?)
    }),
    ("encode_keep_buffer", 1, |lua, given, options| one(lua, truth(given, 1, &options.keeps_buffer)?)),
    ("decode_invalid_numbers", 1, |lua, given, options| one(lua, truth(given, 1, &options.decodes_invalid)?)),
    ("encode_invalid_numbers", 1, encode_invalid_numbers),
];

fn one(lua: &Lua, value: impl IntoLua) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_iter([value.into_lua(lua)?]))
}

fn truth(given: &Given<'_>, position: usize, setting: &Cell<bool>) -> mlua::Result<bool> {
    match given.get(position) {
        None | Some(Value::Nil) => (),
        Some(Value::Boolean(truth)) => setting.set(*truth),
        Some(_) => match &*given.string(position)?.as_bytes() {
            b"off" => setting.set(false),
            b"on" => setting.set(true),
            other => return Err(given.bad(position, [b"invalid option '", other, b"'"].concat())),
        },
    }
    Ok(setting.get())
}

fn integer(
    given: &Given<'_>,
    position: usize,
    setting: &Cell<i64>,
    least: i64,
    most: i64,
) -> mlua::Result<i64> {
    if !given.is_none_or_nil(position) {
        let number = given.integer(position)?;
        if !(least..=most).contains(&number) {
            return Err(given.bad(1, format!("expected integer between {least} and {most}")));
        }
        setting.set(number);
    }
    Ok(setting.get())
}

fn encode_invalid_numbers(lua: &Lua, given: &Given<'_>, options: &Options) -> mlua::Result<MultiValue> {
    match given.get(1) {
        None | Some(Value::Nil) => (),
        Some(Value::Boolean(true)) => options.encode_invalid.set(Invalid::Written),
        Some(Value::Boolean(false)) => options.encode_invalid.set(Invalid::Refused),
        Some(_) => {
            let word = given.string(1)?;
            let word = word.to_string_lossy();
            let Some((_, invalid)) = INVALID_NAMES.iter().find(|(name, _)| *name == word) else {
                return Err(given.bad(1, format!("invalid option '{word}'")));
            };
            options.encode_invalid.set(*invalid);
        }
    }
    match options.encode_invalid.get() {
        Invalid::Refused => one(lua, false),
        Invalid::Written => one(lua, true),
        Invalid::Null => one(lua, "null"),
    }
}
