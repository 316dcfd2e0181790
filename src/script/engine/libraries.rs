//! Libraries of functions in a thread's Lua: a library is run once, when it says which functions it has, and then its functions are
//! called.
//!
//! While a library runs, the world has nothing but a `redis` with `register_function` and what writes to the log.  Since it
//! finds nothing that could differ, it registers the same functions in every thread; what its functions keep in local variables is
//! each thread's own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use mlua::chunk::ChunkMode;
use mlua::{Function as LuaFunction, Lua, LuaString, MultiValue, Table, Value};

use super::{Engine, Failure, redis_library};
use crate::clock::Clock;
use crate::script::libraries::{
    DESCRIPTION_MAX, FUNCTIONS_MAX, Function, Header, INVALID_NAME, Library, NAME_MAX, TEXTS_MAX, is_name,
};
use crate::script::program::FUNCTION_SOURCE;
use crate::script::raised::Raised;
use crate::script::shebang::ShebangFlags;

/// The refusal of a library that runs for too long, in Redis' words.
const TIMEOUT: &str = "Error registering functions: ERR FUNCTION LOAD timeout";

/// The most flags that one function may name: there are six, and the same one may be named again.
const FLAGS_MAX: usize = 64;

/// The libraries of a thread.
pub(super) struct Loaded {
    /// Runs the chunk of a library.
    load: LuaFunction,
    /// Gives the world back that scripts see, if loading was ended before it did.
    leave: LuaFunction,
    /// By the name of the library: the functions that it has registered, by their names.
    callbacks: Table,
    libraries: HashMap<Box<[u8]>, Arc<Library>>,
    registrar: Rc<Registrar>,
}

/// What `redis.register_function` is told.
#[derive(Default)]
pub(super) struct Registrar {
    /// The library that runs, if one does.
    library: RefCell<Option<Registered>>,
    /// It runs for the first time, so what it logs is new.
    is_first: Cell<bool>,
    /// The time at which it is ended, and by which clock.
    end: RefCell<Option<(Arc<Clock>, u64)>>,
    is_too_long: Cell<bool>,
}

impl Registrar {
    /// Ends the library that runs if its time is over: called every so many instructions, and by functions that may take long.
    pub(super) fn look_at_clock(&self) -> mlua::Result<()> {
        let is_over = self.end.borrow().as_ref().is_some_and(|(clock, end)| clock.now().millis() >= *end);
        if is_over {
            self.is_too_long.set(true);
            return Err(Raised::Aborted.into());
        }
        Ok(())
    }
}

/// What a library may take while it runs.
pub(crate) struct LibraryLimits {
    /// Bytes of memory.
    pub(crate) memory: usize,
    /// The time at which it is ended, in milliseconds of the clock; none if it may take as long as it likes.
    pub(crate) end: Option<(Arc<Clock>, u64)>,
}

/// A library that has run.
pub(crate) struct Registered {
    /// Its functions, until they are part of a library.
    functions: Vec<Function>,
    /// Bytes of their names and descriptions, which Lua's own limit of memory does not count.
    texts: usize,
    callbacks: Table,
}

/// Whether a library runs for the first time, or in a further thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LibraryRun {
    /// It is new.
    First,
    /// It has run in another thread.
    Again,
}

impl Loaded {
    pub(super) fn new(
        lua: &Lua,
        (load, leave): (LuaFunction, LuaFunction),
        registrar: Rc<Registrar>,
    ) -> mlua::Result<Loaded> {
        Ok(Loaded { load, leave, callbacks: lua.create_table()?, libraries: HashMap::new(), registrar })
    }

    /// A function of a library.
    pub(super) fn callback(&self, library: &Library, function: &Function) -> mlua::Result<LuaFunction> {
        let callbacks: Table = self.callbacks.raw_get(LuaString::wrap(&*library.name))?;
        callbacks.raw_get(LuaString::wrap(&*function.name))
    }
}

impl Engine {
    /// Whether this thread has a library as it is now.
    pub(crate) fn has_library(&self, library: &Arc<Library>) -> bool {
        self.loaded.libraries.get(&library.name).is_some_and(|loaded| Arc::ptr_eq(loaded, library))
    }

    /// Runs the text of a library, which registers its functions.
    ///
    /// # Errors
    /// The refusal of the library, in Redis' words.
    pub(crate) fn register(
        &mut self,
        body: &[u8],
        run: LibraryRun,
        limits: LibraryLimits,
    ) -> Result<Registered, String> {
        let LibraryLimits { memory, end } = limits;
        self.make_room(memory, None);
        self.progress.failure.take();
        self.progress.meter.begin(memory);
        let registrar = &self.loaded.registrar;
        registrar.is_first.set(run == LibraryRun::First);
        registrar.is_too_long.set(false);
        *registrar.end.borrow_mut() = end;
        let registered = self.try_to_register(body, memory);
        let _ = self.lua.set_memory_limit(0);
        registrar.end.take();
        registrar.library.take();
        registered.unwrap_or_else(|error| {
            // It was ended outside of the library, before the prelude gave the world back.  Nothing can end this call.
            let left = self.loaded.leave.call::<()>(());
            debug_assert!(left.is_ok(), "it changes two fields that are there");
            Err(if registrar.is_too_long.get() { TIMEOUT.to_owned() } else { Raised::of(&error).to_string() })
        })
    }

    /// Keeps a library that is in the table, so that its functions can be called.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn keep(&mut self, library: &Arc<Library>, registered: Registered) -> Result<(), String> {
        self.forget_deleted();
        let kept = self.loaded.callbacks.raw_set(LuaString::wrap(&*library.name), registered.callbacks);
        kept.map_err(|error| Raised::of(&error).to_string())?;
        self.loaded.libraries.insert(library.name.clone(), Arc::clone(library));
        Ok(())
    }

    /// Forgets the libraries that are no longer in the table.
    pub(crate) fn forget_deleted(&mut self) {
        self.keep_libraries(|library| library.is_known());
    }

    /// Forgets the libraries that are not to stay; each is loaded again when it is called.
    pub(super) fn keep_libraries(&mut self, stays: impl Fn(&Arc<Library>) -> bool) {
        let Loaded { callbacks, libraries, .. } = &mut self.loaded;
        libraries.retain(|name, library| {
            // What cannot be forgotten is kept, and overwritten by the next library of its name.
            stays(library) || callbacks.raw_remove(LuaString::wrap(&**name)).is_err()
        });
    }

    fn try_to_register(&self, body: &[u8], memory_limit: usize) -> mlua::Result<Result<Registered, String>> {
        let chunk = self.lua.load(body).set_name(FUNCTION_SOURCE).set_mode(ChunkMode::Text);
        // Nothing is collected while the compiler works: it does not protect all that it holds.
        self.lua.gc_stop();
        let chunk = chunk.set_environment(self.world.clone()).into_function();
        self.lua.gc_restart();
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(mlua::Error::SyntaxError { message, .. }) => {
                return Ok(Err(format!("Error compiling function: {message}")));
            }
            Err(error) => return Err(error),
        };
        let registrar = &self.loaded.registrar;
        let empty = Registered { functions: Vec::new(), texts: 0, callbacks: self.lua.create_table()? };
        *registrar.library.borrow_mut() = Some(empty);
        self.lua.set_memory_limit(memory_limit)?;
        let (ok, result): (bool, Value) = self.loaded.load.call(chunk)?;
        self.lua.set_memory_limit(0)?;
        if registrar.is_too_long.get() {
            return Ok(Err(TIMEOUT.to_owned()));
        }
        if !ok {
            let message = self.progress.failure.take().map(|Failure { message, .. }| message);
            // Lua runs out of memory without asking the handler.
            let message = message.unwrap_or_else(|| [b"ERR ", super::text_of(&result).as_slice()].concat());
            let message = String::from_utf8_lossy(&message);
            return Ok(Err(format!("Error registering functions: {message}")));
        }
        let registered = registrar.library.take();
        let registered = registered.filter(|registered| !registered.functions.is_empty());
        Ok(registered.ok_or_else(|| "No functions registered".to_owned()))
    }
}

/// Makes the `redis` that libraries see while they run.
pub(super) fn open(lua: &Lua, registrar: &Rc<Registrar>) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    let ours = Rc::clone(registrar);
    let log = move |lua: &Lua, values: MultiValue| {
        ours.look_at_clock()?;
        if ours.is_first.get() { redis_library::log(lua, values) } else { Ok(()) }
    };
    redis.raw_set("log", lua.create_function(log)?)?;
    redis_library::add_log_levels(&redis)?;
    redis_library::add_version(&redis)?;
    let ours = Rc::clone(registrar);
    let register = move |lua: &Lua, values: MultiValue| {
        ours.look_at_clock()?;
        let mut library = ours.library.borrow_mut();
        let Some(library) = &mut *library else {
            return Err(refused("redis.register_function can only be called on FUNCTION LOAD command"));
        };
        library.add(lua, &values)
    };
    redis.raw_set("register_function", lua.create_function(register)?)?;
    Ok(redis)
}

/// The arguments of `redis.register_function`.
#[derive(Default)]
struct Given {
    name: Option<Vec<u8>>,
    callback: Option<LuaFunction>,
    description: Option<Vec<u8>>,
    flags: ShebangFlags,
}

impl Registered {
    /// The library with this first line, and what this thread's Lua has of it.
    pub(crate) fn into_library(mut self, header: &Header, code: &[u8]) -> (Arc<Library>, Registered) {
        let functions = std::mem::take(&mut self.functions);
        (Arc::new(Library::new(&header.name, code, header.body, functions)), self)
    }

    fn add(&mut self, lua: &Lua, values: &MultiValue) -> mlua::Result<()> {
        let given = match values.len() {
            1 => Given::named(lua, &values[0])?,
            2 => Given::in_order(lua, &values[0], &values[1])?,
            _ => return Err(refused("wrong number of arguments to redis.register_function")),
        };
        let name =
            given.name.ok_or_else(|| refused("redis.register_function must get a function name argument"))?;
        let callback =
            given.callback.ok_or_else(|| refused("redis.register_function must get a callback argument"))?;
        if !is_name(&name) {
            return Err(refused(INVALID_NAME));
        }
        let key = lua.create_string(&name)?;
        if !self.callbacks.raw_get::<Value>(&key)?.is_nil() {
            return Err(refused("Function already exists in the library"));
        }
        if self.functions.len() == FUNCTIONS_MAX {
            return Err(refused("the library has too many functions"));
        }
        let texts = self.texts + name.len() + given.description.as_ref().map_or(0, Vec::len);
        if texts > TEXTS_MAX {
            return Err(refused(&format!(
                "the names and descriptions of a library may have at most {TEXTS_MAX} bytes"
            )));
        }
        self.texts = texts;
        self.callbacks.raw_set(key, callback)?;
        self.functions.push(Function::new(&name, given.description.as_deref(), given.flags));
        Ok(())
    }
}

impl Given {
    fn in_order(lua: &Lua, name: &Value, callback: &Value) -> mlua::Result<Given> {
        let name = text(lua, name)?
            .ok_or_else(|| refused("first argument to redis.register_function must be a string"))?;
        let name = short(&name, "function_name", NAME_MAX)?;
        let callback = callback.as_function().cloned();
        if callback.is_none() {
            return Err(refused("second argument to redis.register_function must be a function"));
        }
        Ok(Given { name: Some(name), callback, ..Given::default() })
    }

    fn named(lua: &Lua, arguments: &Value) -> mlua::Result<Given> {
        let Value::Table(arguments) = arguments else {
            return Err(refused(
                "calling redis.register_function with a single argument is only applicable to Lua table (representing named \
                 arguments).",
            ));
        };
        let mut given = Given::default();
        arguments.for_each(|key: Value, value: Value| {
            let key = text(lua, &key)?.ok_or_else(|| {
                refused("named argument key given to redis.register_function is not a string")
            })?;
            // Lua's text may be long; what is longer than a name is none that is known.
            let key = key.as_bytes();
            match key[..key.len().min(NAME_MAX)].to_ascii_lowercase().as_slice() {
                b"function_name" => given.name = Some(named_text(lua, &value, "function_name", NAME_MAX)?),
                b"description" => {
                    given.description = Some(named_text(lua, &value, "description", DESCRIPTION_MAX)?)
                }
                b"callback" => match value {
                    Value::Function(callback) => given.callback = Some(callback),
                    _ => {
                        return Err(refused(
                            "callback argument given to redis.register_function must be a function",
                        ));
                    }
                },
                b"flags" => given.flags = flags(lua, &value)?,
                _ => return Err(refused("unknown argument given to redis.register_function")),
            }
            Ok(())
        })?;
        Ok(given)
    }
}

fn flags(lua: &Lua, value: &Value) -> mlua::Result<ShebangFlags> {
    let Value::Table(names) = value else {
        return Err(refused(
            "flags argument to redis.register_function must be a table representing function flags",
        ));
    };
    if names.raw_len() > FLAGS_MAX {
        return Err(refused("flags argument to redis.register_function has too many flags"));
    }
    let mut flags = ShebangFlags::default();
    for position in 1..=names.raw_len() {
        let name = text(lua, &names.raw_get(position)?)?;
        flags |= name
            .and_then(|name| ShebangFlags::named(&name.as_bytes()))
            .ok_or_else(|| refused("unknown flag given"))?;
    }
    Ok(flags)
}

fn named_text(lua: &Lua, value: &Value, name: &str, length_max: usize) -> mlua::Result<Vec<u8>> {
    let wrong = || refused(&format!("{name} argument given to redis.register_function must be a string"));
    short(&text(lua, value)?.ok_or_else(wrong)?, name, length_max)
}

/// A text that is taken out of Lua, which is refused there if it is long.
fn short(text: &LuaString, name: &str, length_max: usize) -> mlua::Result<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.len() > length_max {
        let reason =
            format!("{name} argument given to redis.register_function may have at most {length_max} bytes");
        return Err(refused(&reason));
    }
    Ok(bytes.to_vec())
}

/// The text of a string or a number; none of anything else.
fn text(lua: &Lua, value: &Value) -> mlua::Result<Option<LuaString>> {
    match value {
        Value::String(_) | Value::Integer(_) | Value::Number(_) => lua.coerce_string(value.clone()),
        _ => Ok(None),
    }
}

fn refused(reason: &str) -> mlua::Error {
    Raised::reply(format!("ERR {reason}"))
}
