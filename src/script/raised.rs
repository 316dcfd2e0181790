//! Errors that functions written in Rust raise in scripts, and how a script and its caller see them.
//!
//! Such an error travels through Lua inside an object of `mlua`, so nothing of a script sees it as it is: the functions that
//! catch errors (`pcall`, `xpcall`, coroutines) show it as Redis would.

use std::fmt;

use mlua::{Lua, Value};

/// An error as a script raises it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Raised {
    /// A message, as the functions of Lua raise it.
    Text(Vec<u8>),
    /// An error reply, without its leading `-`, of a library that speaks of Redis.
    Reply(Vec<u8>),
    /// The error reply of a command, as `redis.call` raises it: it is counted already.
    Refused(Vec<u8>),
    /// The run ends here, whatever the script would catch.
    Aborted,
}

impl fmt::Display for Raised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raised::Text(text) | Raised::Reply(text) | Raised::Refused(text) => {
                formatter.write_str(&String::from_utf8_lossy(text))
            }
            Raised::Aborted => formatter.write_str("the script was stopped"),
        }
    }
}

impl std::error::Error for Raised {}

impl From<Raised> for mlua::Error {
    fn from(raised: Raised) -> mlua::Error {
        mlua::Error::external(raised)
    }
}

impl Raised {
    /// A message without a place.
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> mlua::Error {
        Raised::Text(text.into()).into()
    }

    /// An error reply of a library that speaks of Redis.
    pub(crate) fn reply(text: impl Into<Vec<u8>>) -> mlua::Error {
        Raised::Reply(text.into()).into()
    }

    /// What an error of `mlua` stands for.
    pub(crate) fn of(error: &mlua::Error) -> Raised {
        match error {
            mlua::Error::CallbackError { cause, .. } | mlua::Error::BadArgument { cause, .. } => {
                Raised::of(cause)
            }
            mlua::Error::WithContext { cause, .. } => Raised::of(cause),
            mlua::Error::RuntimeError(text)
            | mlua::Error::SyntaxError { message: text, .. }
            | mlua::Error::MemoryError(text) => Raised::Text(text.clone().into_bytes()),
            other => match other.downcast_ref::<Raised>() {
                Some(raised) => raised.clone(),
                None => Raised::Text(other.to_string().into_bytes()),
            },
        }
    }

    /// The error that a script has raised or caught; none if it is a value of its own.
    pub(crate) fn of_value(value: &Value) -> Option<Raised> {
        match value {
            Value::Error(error) => Some(Raised::of(error)),
            _ => None,
        }
    }
}

/// The name of the prelude on Lua's stack: nothing that a script writes looks like it.
pub(crate) const PRELUDE_SOURCE: &str = "=\u{1}prelude";

/// What Lua puts before the messages of its own functions if the prelude has called them, up to the number of the line.
const PRELUDE_PLACE: &[u8] = b"\x01prelude:";

/// What stands in a message behind a place in the prelude; none if no such place is named.
pub(crate) fn behind_prelude_place(text: &[u8]) -> Option<&[u8]> {
    let line = text.strip_prefix(PRELUDE_PLACE)?;
    let end = line.iter().position(|byte| !byte.is_ascii_digit())?;
    line[end..].strip_prefix(b": ")
}

/// The place from which a function was called, as Lua puts it before messages: `user_script:1: `.  Level 1 is the caller of
/// the function that runs; functions of the prelude are passed over.
pub(crate) fn place(lua: &Lua, level: usize) -> String {
    let (is_of_prelude, place) = lua
        .inspect_stack(level, |frame| {
            let source = frame.source();
            let is_of_prelude = source.source.as_deref() == Some(PRELUDE_SOURCE);
            let line = frame.current_line().zip(source.short_src);
            (is_of_prelude, line.map(|(line, source)| format!("{source}:{line}: ")))
        })
        .unwrap_or_default();
    if is_of_prelude { self::place(lua, level + 1) } else { place.unwrap_or_default() }
}

/// A message about what the caller of a function has done.
pub(crate) fn located(lua: &Lua, text: impl AsRef<[u8]>) -> mlua::Error {
    Raised::text([place(lua, 1).as_bytes(), text.as_ref()].concat())
}
