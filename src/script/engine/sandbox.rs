//! What of Lua scripts have, and the functions in Rust behind the prelude.

use std::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value};

use super::calls::{self, Calls};
use super::libraries::{self, Loaded, Registrar};
use super::stack::{self, Quick};
use super::{BYTECODE, Failure, Progress, chance, pace, redis_library, reply};
use crate::script::arguments::Given;
use crate::script::library::{self, Resets};
use crate::script::meter::Meter;
use crate::script::raised::{PRELUDE_SOURCE, Raised, behind_prelude_place};

/// The world that scripts see is made here.
const PRELUDE: &str = include_str!("prelude.lua");

/// Globals of Lua that scripts do not have.
const REMOVED: &[&str] =
    &["dofile", "getfenv", "loadfile", "module", "newproxy", "print", "require", "setfenv"];

/// Functions of Lua that numbers go through.
const QUICK: &[(&str, Quick)] = &[("tonumber", Quick::ToNumber), ("tostring", Quick::ToText)];

/// The one function of `os` that scripts have.
const OS_KEPT: &str = "clock";

/// Bytes of a chunk that a script compiles: Lua's compiler counts some things with 32 bits.
const CHUNK_MAX: usize = 512 * 1024 * 1024;

/// Bytes of memory that are looked through for garbage in a step of work.
const COLLECTED_PER_STEP: usize = 64;

/// What a thread needs to run scripts.
pub(super) struct World {
    pub(super) lua: Lua,
    /// What scripts see as their globals.
    pub(super) world: Table,
    /// What is behind them.
    pub(super) globals: Table,
    /// What scripts see that only take elements out of tables which are not their own.
    pub(super) plain: Table,
    /// Notes the error that ends a program.
    pub(super) handler: Function,
    /// The functions that run commands.
    pub(super) calls: Rc<Calls>,
    /// The libraries, of which there is none yet.
    pub(super) loaded: Loaded,
    /// Sets the libraries back between runs.
    pub(super) resets: Resets,
}

/// Makes a state of Lua.
pub(super) fn open(progress: &Rc<Progress>) -> mlua::Result<World> {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
    let lua = Lua::new_with(libraries, LuaOptions::new())?;
    let registrar = Rc::<Registrar>::default();
    let (looking, loading) = (Rc::downgrade(progress), Rc::clone(&registrar));
    let meter = Rc::clone(&progress.meter);
    meter.open(move |lua| {
        loading.look_at_clock()?;
        looking.upgrade().map_or(Ok(()), |progress| progress.look(lua))
    });
    pace::open(&lua, progress)?;
    let globals = lua.globals();
    for name in REMOVED {
        globals.raw_remove(*name)?;
    }
    let os = lua.create_table()?;
    os.raw_set(OS_KEPT, globals.raw_get::<Table>("os")?.raw_get::<Value>(OS_KEPT)?)?;
    globals.raw_set("os", os)?;
    chance::open(&lua, &globals.raw_get("math")?, progress)?;
    let redis = redis_library::open(&lua, progress)?;
    let calls = calls::open(&lua, &redis, progress)?;
    globals.raw_set("redis", redis)?;
    let host = host(&lua, progress)?;
    let handler = host.raw_get("handler")?;
    let resets = library::open(&lua, &globals, &host, &progress.meter)?;
    let own = Rc::clone(&meter);
    let collect = lua.create_function(move |lua, values| collectgarbage(&Given::new(lua, values), &own))?;
    globals.raw_set("collectgarbage", collect)?;
    globals.raw_set("gcinfo", lua.create_function(|lua, _: MultiValue| Ok(lua.used_memory() / 1024))?)?;
    for (name, quick) in QUICK {
        globals.raw_set(*name, stack::quickened(&lua, globals.raw_get(*name)?, *quick)?)?;
    }
    let prelude = lua.load(PRELUDE).set_name(PRELUDE_SOURCE);
    host.raw_set("redis_of_libraries", libraries::open(&lua, &registrar)?)?;
    let (world, plain, load_library, leave_library): (Table, Table, Function, Function) =
        prelude.call((globals.clone(), host))?;
    let loaded = Loaded::new(&lua, (load_library, leave_library), registrar)?;
    // These need the world, in which they compile.
    let globals_of_chunks = world.clone();
    let own = Rc::clone(&meter);
    let loadstring = move |lua: &Lua, values: MultiValue| {
        let given = Given::new(lua, values);
        let text = given.string(1)?;
        own.work(lua, text.as_bytes().len())?;
        let name = if given.is_none_or_nil(2) { text.clone() } else { given.string(2)? };
        load(lua, &globals_of_chunks, &text.as_bytes(), &name)
    };
    globals.raw_set("loadstring", lua.create_function(loadstring)?)?;
    let globals_of_chunks = world.clone();
    let load_pieces = move |lua: &Lua, values: MultiValue| {
        let given = Given::new(lua, values);
        let Some(Value::Function(reader)) = given.get(1) else {
            return Err(given.wrong_type(1, "function"));
        };
        let mut text = Vec::new();
        while let Value::String(piece) = reader.call::<Value>(())? {
            if piece.as_bytes().is_empty() || text.len() > CHUNK_MAX {
                break;
            }
            text.extend_from_slice(&piece.as_bytes());
            meter.hold(lua, text.len())?;
        }
        meter.work(lua, text.len())?;
        let name = if given.is_none_or_nil(2) { lua.create_string("=(load)")? } else { given.string(2)? };
        load(lua, &globals_of_chunks, &text, &name)
    };
    globals.raw_set("load", lua.create_function(load_pieces)?)?;
    Ok(World { lua, world, globals, plain, handler, calls, loaded, resets })
}

/// Compiles a chunk, but no bytecode; returns nothing and the reason if it cannot.
fn load(
    lua: &Lua,
    world: &Table,
    text: &[u8],
    name: &LuaString,
) -> mlua::Result<(Option<Function>, Option<Value>)> {
    let refused = |reason: &str| Ok((None, Some(Value::String(lua.create_string(reason)?))));
    if text.first() == Some(&BYTECODE) {
        return refused("attempt to load chunk with wrong mode");
    }
    if text.len() > CHUNK_MAX {
        return refused("chunk has too many bytes");
    }
    // Nothing is collected while the compiler works: it does not protect all that it holds.
    lua.gc_stop();
    let name = name.to_string_lossy().replace('\0', "");
    let chunk = lua.load(text).set_name(name).set_mode(ChunkMode::Text).set_environment(world.clone());
    let function = chunk.into_function();
    lua.gc_restart();
    match function {
        Ok(function) => Ok((Some(function), None)),
        Err(mlua::Error::SyntaxError { message, .. }) => refused(&message),
        Err(error) => Err(error),
    }
}

/// Collecting is the server's own business; a script may ask for it and learn how much is used.
fn collectgarbage(given: &Given<'_>, meter: &Meter) -> mlua::Result<Value> {
    let lua = given.lua();
    let option = if given.is_none_or_nil(1) { lua.create_string("collect")? } else { given.string(1)? };
    match &*option.as_bytes() {
        b"count" => Ok(Value::Number(lua.used_memory() as f64 / 1024.0)),
        b"collect" => {
            meter.work(lua, lua.used_memory() / COLLECTED_PER_STEP)?;
            lua.gc_collect()?;
            Ok(Value::Integer(0))
        }
        b"step" => Ok(Value::Boolean(lua.gc_step()?)),
        b"stop" | b"restart" | b"setpause" | b"setstepmul" => Ok(Value::Integer(0)),
        other => {
            let option = String::from_utf8_lossy(other);
            Err(given.bad(1, format!("invalid option '{option}'")))
        }
    }
}

/// The functions behind the prelude.
fn host(lua: &Lua, progress: &Rc<Progress>) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    host.raw_set("settled", lua.create_function(settled)?)?;
    host.raw_set("plain", lua.create_function(plain)?)?;
    host.raw_set("passed", lua.create_function(|_, value| passed(value))?)?;
    host.raw_set(
        "is_abort",
        lua.create_function(|_, value: Value| Ok(Raised::of_value(&value) == Some(Raised::Aborted)))?,
    )?;
    let meter = Rc::clone(&progress.meter);
    host.raw_set("work", lua.create_function(move |lua, steps: f64| meter.work(lua, steps as usize))?)?;
    let progress = Rc::clone(progress);
    let handler = lua.create_function(move |lua, value: Value| {
        note_failure(lua, &value, &progress);
        Ok(())
    })?;
    host.raw_set("handler", handler)?;
    Ok(host)
}

/// A caught error as `pcall` returns it: the text of an error reply rather than its table.
fn settled(lua: &Lua, value: Value) -> mlua::Result<Value> {
    match Raised::of_value(&value) {
        Some(Raised::Aborted) => Err(Raised::Aborted.into()),
        Some(Raised::Text(text) | Raised::Reply(text) | Raised::Refused(text)) => {
            lua.create_string(text).map(Value::String)
        }
        None => match &value {
            Value::Table(table) => match table.get::<Value>("err")? {
                text @ (Value::String(_) | Value::Integer(_) | Value::Number(_)) => Ok(text),
                _ => Ok(value),
            },
            // Where it was is no longer known.
            _ => unplaced(lua, value, ""),
        },
    }
}

/// A caught error as handlers see it: an error reply is a table.  `is_raised_here` says that Lua's stack is still that of the error.
fn plain(lua: &Lua, (value, is_raised_here): (Value, Option<bool>)) -> mlua::Result<Value> {
    match Raised::of_value(&value) {
        Some(Raised::Aborted) => Err(Raised::Aborted.into()),
        Some(Raised::Text(text)) => lua.create_string(text).map(Value::String),
        Some(Raised::Reply(text)) => reply::error_table(lua, &text, false).map(Value::Table),
        Some(Raised::Refused(text)) => reply::error_table(lua, &text, true).map(Value::Table),
        None if is_raised_here == Some(true) => unplaced(lua, value, &shown_place_in_script(lua)),
        None => unplaced(lua, value, ""),
    }
}

/// A message with another place in it than that of the prelude, which scripts know nothing of.
fn unplaced(lua: &Lua, value: Value, place: &str) -> mlua::Result<Value> {
    if let Value::String(text) = &value
        && let Some(rest) = behind_prelude_place(&text.as_bytes())
    {
        return lua.create_string([place.as_bytes(), rest].concat()).map(Value::String);
    }
    Ok(value)
}

/// A caught value, unless the run ends.
fn passed(value: Value) -> mlua::Result<Value> {
    match Raised::of_value(&value) {
        Some(Raised::Aborted) => Err(Raised::Aborted.into()),
        _ => Ok(value),
    }
}

/// Notes the error that ends a script, and where: called on the script's stack.
fn note_failure(lua: &Lua, value: &Value, progress: &Progress) {
    let mut is_counted = false;
    let message = match (Raised::of_value(value), value) {
        (Some(Raised::Reply(text)), _) => text,
        (Some(Raised::Refused(text)), _) => {
            is_counted = true;
            text
        }
        (Some(Raised::Text(text)), _) => [b"ERR ", text.as_slice()].concat(),
        (Some(Raised::Aborted), _) => return,
        (None, Value::Table(table)) => {
            let counted = table.get::<Value>(LuaString::wrap(reply::IS_COUNTED));
            is_counted = counted.is_ok_and(|counted| !counted.is_nil());
            let text = table.get::<Value>("err").and_then(|text| lua.coerce_string(text));
            match text {
                Ok(Some(text)) => text.as_bytes().to_vec(),
                _ => b"ERR unknown error".to_vec(),
            }
        }
        (None, other) => {
            let text = super::text_of(other);
            match behind_prelude_place(&text) {
                Some(rest) => [b"ERR ", shown_place_in_script(lua).as_bytes(), rest].concat(),
                None => [b"ERR ", text.as_slice()].concat(),
            }
        }
    };
    let place = place_in_script(lua, 1);
    *progress.failure.borrow_mut() = Some(Failure { message, is_counted, place });
}

/// The place in the script as Lua puts it before messages, for the caller of this function's caller; empty if it is not known.
fn shown_place_in_script(lua: &Lua) -> String {
    match place_in_script(lua, 1) {
        Some((source, line)) if line > 0 => format!("{}:{line}: ", source.trim_start_matches(['@', '='])),
        _ => String::new(),
    }
}

/// The script's source and line: those of the function at this level of the stack, or of its caller if it was not written in Lua.
pub(super) fn place_in_script(lua: &Lua, mut level: usize) -> Option<(String, i64)> {
    let mut has_skipped = false;
    loop {
        let (is_of_lua, is_of_prelude, source, line) = lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let text = source.source.map(|text| text.into_owned()).unwrap_or_default();
            let line = frame.current_line().map_or(-1, |line| line as i64);
            (source.what != "C", text == PRELUDE_SOURCE, text, line)
        })?;
        if !is_of_prelude && (is_of_lua || has_skipped) {
            return Some((source, line));
        }
        has_skipped |= !is_of_lua;
        level += 1;
    }
}
