//! The functions of `redis` that run no command, and its constants.

use std::rc::Rc;

use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::Progress;
use crate::script::meter::Meter;
use crate::script::raised::Raised;
use crate::script::texts::id_of;

/// The version of Redis that scripts are told.
const REDIS_VERSION: &str = "7.2.4";
const REDIS_VERSION_NUMBER: i64 = 0x0007_0204;

/// How much a line of the log matters.
const LOG_LEVELS: &[(&str, i64)] =
    &[("LOG_DEBUG", 0), ("LOG_VERBOSE", 1), ("LOG_NOTICE", 2), ("LOG_WARNING", 3)];

/// The most bytes of a line of the log; a longer one is cut.
const LOG_LINE_MAX: usize = 64 * 1024;

/// Bytes that are hashed in a step of work.
const HASHED_PER_STEP: usize = 16;

/// The constants of `set_repl`.
const REPLICATION: &[(&str, i64)] =
    &[("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)];

/// Makes the library, without the functions that run commands.
pub(super) fn open(lua: &Lua, progress: &Rc<Progress>) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    add_log_levels(&redis)?;
    add_version(&redis)?;
    for (name, number) in REPLICATION {
        redis.raw_set(*name, *number)?;
    }
    redis.raw_set("error_reply", lua.create_function(error_reply)?)?;
    redis.raw_set("status_reply", lua.create_function(status_reply)?)?;
    let meter = Rc::clone(&progress.meter);
    let sha1hex = lua.create_function(move |lua, values| sha1hex(lua, values, &meter))?;
    redis.raw_set("sha1hex", sha1hex)?;
    redis.raw_set("log", lua.create_function(log)?)?;
    redis.raw_set("replicate_commands", lua.create_function(|_, _: MultiValue| Ok(true))?)?;
    redis.raw_set("set_repl", lua.create_function(set_repl)?)?;
    redis.raw_set("breakpoint", lua.create_function(|_, _: MultiValue| Ok(false))?)?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    let progress = Rc::clone(progress);
    let setresp = move |lua: &Lua, values: MultiValue| {
        if values.len() != 1 {
            return Err(Raised::reply("ERR redis.setresp() requires one argument."));
        }
        match whole(lua, &values[0])? {
            Some(2) => progress.is_resp3.set(false),
            Some(3) => progress.is_resp3.set(true),
            _ => return Err(Raised::reply("ERR RESP version must be 2 or 3.")),
        }
        Ok(())
    };
    redis.raw_set("setresp", lua.create_function(setresp)?)?;
    Ok(redis)
}

/// Adds the constants for `redis.log`.
pub(super) fn add_log_levels(redis: &Table) -> mlua::Result<()> {
    LOG_LEVELS.iter().try_for_each(|(name, level)| redis.raw_set(*name, *level))
}

/// Adds the version of Redis.
pub(super) fn add_version(redis: &Table) -> mlua::Result<()> {
    redis.raw_set("REDIS_VERSION", REDIS_VERSION)?;
    redis.raw_set("REDIS_VERSION_NUM", REDIS_VERSION_NUMBER)
}

/// A number, or a string that spells one, without its fraction.
fn whole(lua: &Lua, value: &Value) -> mlua::Result<Option<i64>> {
    let number = lua.coerce_number(value.clone())?;
    Ok(number.map(|number| if number.is_nan() { i64::MIN } else { number as i64 }))
}

/// The text of a string or a number.
fn text(lua: &Lua, value: &Value) -> mlua::Result<Vec<u8>> {
    let text = lua.coerce_string(value.clone())?;
    Ok(text.map(|text| text.as_bytes().to_vec()).unwrap_or_default())
}

/// The complaint about arguments that is returned rather than raised.
fn wrong_arguments(lua: &Lua) -> mlua::Result<Table> {
    reply(lua, "err", b"ERR wrong number or type of arguments")
}

fn reply(lua: &Lua, name: &str, text: &[u8]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, LuaString::wrap(text))?;
    Ok(table)
}

fn error_reply(lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
    match values.iter().collect::<Vec<_>>()[..] {
        [Value::String(text)] => {
            let text = text.as_bytes();
            let text = text.strip_prefix(b"-").unwrap_or(&text);
            // One word is no code, but what the script has to say.
            if text.contains(&b' ') {
                reply(lua, "err", text)
            } else {
                reply(lua, "err", &[b"ERR ", text].concat())
            }
        }
        _ => wrong_arguments(lua),
    }
}

fn status_reply(lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
    match values.iter().collect::<Vec<_>>()[..] {
        [Value::String(text)] => reply(lua, "ok", &text.as_bytes()),
        _ => wrong_arguments(lua),
    }
}

fn sha1hex(lua: &Lua, values: MultiValue, meter: &Meter) -> mlua::Result<LuaString> {
    if values.len() != 1 {
        return Err(Raised::reply("ERR wrong number of arguments"));
    }
    let text = text(lua, &values[0])?;
    meter.work(lua, text.len() / HASHED_PER_STEP)?;
    lua.create_string(id_of(&text))
}

pub(super) fn log(lua: &Lua, values: MultiValue) -> mlua::Result<()> {
    if values.len() < 2 {
        return Err(Raised::reply("ERR redis.log() requires two arguments or more."));
    }
    let Some(level) = whole(lua, &values[0])? else {
        return Err(Raised::reply("ERR First argument must be a number (log level)."));
    };
    if !(0..LOG_LEVELS.len() as i64).contains(&level) {
        return Err(Raised::reply("ERR Invalid debug level."));
    }
    let mut line = Vec::new();
    for (index, value) in values.iter().skip(1).enumerate() {
        line.extend_from_slice(if index == 0 { b"" } else { b" " });
        let word = lua.coerce_string(value.clone())?;
        let word = word.as_ref().map(|word| word.as_bytes());
        let room = LOG_LINE_MAX.saturating_sub(line.len());
        line.extend(word.iter().flat_map(|word| word.iter().take(room)));
    }
    let line = String::from_utf8_lossy(&line);
    match level {
        0 => tracing::trace!("a script says: {line}"),
        1 => tracing::debug!("a script says: {line}"),
        2 => tracing::info!("a script says: {line}"),
        _ => tracing::warn!("a script says: {line}"),
    }
    Ok(())
}

fn set_repl(lua: &Lua, values: MultiValue) -> mlua::Result<()> {
    if values.len() != 1 {
        return Err(Raised::reply("ERR redis.set_repl() requires two arguments."));
    }
    // A value that is no number sets no flag.
    match whole(lua, &values[0])?.unwrap_or(0) {
        0..4 => Ok(()),
        _ => Err(Raised::reply(
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        )),
    }
}
