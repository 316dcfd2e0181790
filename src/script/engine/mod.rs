//! A thread's Lua: the state, the scripts that it has compiled, and how one runs.
//!
//! | file | has |
//! |---|---|
//! | `prelude.lua` | the world that scripts see, and the replaced functions of Lua that guard it |
//! | `libraries` | libraries of functions: what they register, and what is called |
//! | `sandbox` | what of Lua is there at all, and the functions in Rust behind the prelude |
//! | `redis_library` | the functions of `redis` that run no command |
//! | `chance` | `math.random`, the same numbers in every run |
//! | `reply` | replies of commands as values of Lua |
//! | `answer` | values of Lua as replies |

mod answer;
mod chance;
mod libraries;
mod redis_library;
mod reply;
mod sandbox;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};
use quartet_protocol::resp::{Arguments, Output, Span, Version};

use super::libraries::Library;
use super::library::Resets;
use super::number_text::general_text;
use super::program::Program;
use super::raised::Raised;
use super::supervision::{Stop, Watch};
use super::texts::{Script, ScriptId, Scripts};
use libraries::Loaded;
use sandbox::World;

pub(crate) use libraries::{LibraryLimits, LibraryRun, Registered};

/// Compiled scripts of a thread beyond which those that the server has forgotten are looked for.
const COMPILED_MAX: usize = 2048;

/// Bytes of a command's arguments, and of its reply, for which room is kept between commands.
const ROOM_KEPT: usize = 64 * 1024;

/// Significant digits of a number among the arguments of a command.
const ARGUMENT_DIGITS: usize = 17;

/// A whole number up to here has one text, whatever writes it.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// See the head of the file.
pub(crate) struct Engine {
    lua: Lua,
    /// What scripts see as their globals.
    world: Table,
    /// Runs a compiled script.
    run: Function,
    /// Runs a function of a library.
    run_function: Function,
    /// Sets the libraries back between runs.
    resets: Resets,
    /// Lua's own `next`.
    next: Function,
    compiled: HashMap<ScriptId, Compiled>,
    loaded: Loaded,
    progress: Rc<Progress>,
    room: RefCell<Room>,
}

struct Compiled {
    script: Arc<Script>,
    function: Function,
}

/// How far a run is, for the functions that a script calls.
#[derive(Default)]
struct Progress {
    /// The protocol's version in which the script wants replies, and in which its own is meant.
    is_resp3: Cell<bool>,
    /// The state of `math.random`.
    chance: Cell<u64>,
    /// The run is to end, whatever the script would catch.
    is_aborted: Cell<bool>,
    /// Watches over the run.
    watch: RefCell<Option<Watch>>,
    /// Why the run is stopped, and where it was.
    stop: RefCell<Option<(Stop, Option<Place>)>>,
    /// The error that has ended the script.
    failure: RefCell<Option<Failure>>,
}

/// The error that has ended a script.
struct Failure {
    /// An error reply without its leading `-`.
    message: Vec<u8>,
    /// Where the script was: ` script: …, on @user_script:1.` needs both.
    place: Option<Place>,
}

/// A source and a line in it.
type Place = (String, i64);

impl Progress {
    /// Ends the run if it is to be stopped: called every so many instructions.
    fn look(&self, lua: &Lua) -> mlua::Result<()> {
        let looked = self.watch.borrow().as_ref().map_or(Ok(()), Watch::look);
        looked.map_err(|stop| self.stop(stop, sandbox::place_in_script(lua, 0)))
    }

    /// Notes that the run is stopped, and returns the error that ends it.
    fn stop(&self, stop: Stop, place: Option<Place>) -> mlua::Error {
        self.stop.borrow_mut().get_or_insert((stop, place));
        Raised::Aborted.into()
    }
}

/// What a run may take.
pub(crate) struct Limits {
    /// Bytes of memory.
    pub(crate) memory: usize,
    /// Watches over the rest.
    pub(super) watch: Watch,
}

/// Memory for the arguments and the reply of a command.
#[derive(Default)]
struct Room {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    output: Output,
    flat: Vec<u8>,
}

/// How a run has ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It has returned this, and asked for this version of the protocol.
    Returned(Value, Version),
    /// An error has ended it: an error reply without its leading `-`.
    Failed(Vec<u8>),
    /// A command has ended it.
    Aborted,
    /// It was stopped here, which is the end of a message about it.
    Stopped(Stop, String),
}

/// What became of a command that a script has called.
pub(crate) enum Called {
    /// Its reply is written, which may be an error.
    Replied {
        /// The script has written something by now.
        has_written: bool,
    },
    /// The run ends here.
    Abort,
}

/// The commands that a script can call.
pub(crate) trait Commands {
    /// Runs a command, and writes its reply in the version of the output.
    fn call(&mut self, arguments: Arguments<'_>, output: &mut Output) -> Called;

    /// Whether the script's caller may run a command; none if there is no such command.
    fn may_call(&self, arguments: Arguments<'_>) -> Option<bool>;
}

/// The command is not run: an error reply of the script's caller, in Redis' words.
const NO_ARGUMENTS: &str = "ERR Please specify at least one argument for this redis lib call";
const ODD_CHECK: &str = "ERR Invalid command passed to redis.acl_check_cmd()";
const ODD_ARGUMENTS: &str = "ERR Lua redis lib command arguments must be strings or integers";

impl Engine {
    /// A state of Lua without any script.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn new() -> mlua::Result<Engine> {
        let progress = Rc::<Progress>::default();
        let World { lua, world, run, run_function, loaded, resets, next } = sandbox::open(&progress)?;
        let (compiled, room) = (HashMap::new(), RefCell::default());
        Ok(Engine { lua, world, run, run_function, resets, next, compiled, loaded, progress, room })
    }

    /// The script of this id, if this thread has compiled it and the server that has these scripts has not forgotten it.
    pub(crate) fn compiled(&self, id: &ScriptId, scripts: &Scripts) -> Option<Arc<Script>> {
        let script = &self.compiled.get(id)?.script;
        (script.is_known() && scripts.owns(script)).then(|| Arc::clone(script))
    }

    /// Compiles a script.
    ///
    /// # Errors
    /// The compiler's message.
    pub(crate) fn compile(&mut self, script: &Arc<Script>) -> Result<(), String> {
        if self.compiled.len() >= COMPILED_MAX {
            self.compiled.retain(|_, compiled| compiled.script.is_known());
        }
        let chunk = self.lua.load(script.body()).set_name("@user_script").set_mode(ChunkMode::Text);
        // Nothing is collected while the compiler works: it does not protect all that it holds.
        self.lua.gc_stop();
        let function = chunk.set_environment(self.world.clone()).into_function();
        self.lua.gc_restart();
        match function {
            Ok(function) => {
                self.compiled.insert(script.id, Compiled { script: Arc::clone(script), function });
                Ok(())
            }
            Err(mlua::Error::SyntaxError { message, .. }) => Err(message),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Runs a script that is compiled, or a function of a library that is loaded.
    pub(crate) fn run<'a>(
        &mut self,
        program: Program<'_>,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
        limits: Limits,
        commands: &mut impl Commands,
    ) -> Ended {
        let memory_limit = limits.memory;
        self.begin(program, limits);
        let ended = self.try_to_run(program, keys, arguments, memory_limit, commands);
        let _ = self.lua.set_memory_limit(0);
        self.progress.watch.take();
        ended.unwrap_or_else(|error| {
            let message = Raised::of(&error).to_string();
            Ended::Failed(format!("ERR {message}").into_bytes())
        })
    }

    /// Writes what a script has returned as its reply.
    pub(crate) fn answer(&self, value: &Value, version: Version, output: &mut Output) {
        let before = output.mark();
        if let Err(error) = answer::write(value, version, &self.next, output) {
            output.truncate(before);
            output.error(format!("ERR {}", Raised::of(&error)));
        }
    }

    /// Sees to it that what earlier scripts have left behind does not keep the next one from its memory.  Of the libraries
    /// only this one is sure to stay.
    fn make_room(&mut self, memory_limit: usize, needed: Option<&Arc<Library>>) {
        if self.lua.used_memory() <= memory_limit / 2 {
            return;
        }
        // Those that other threads have deleted are still here.
        self.forget_deleted();
        let _ = self.lua.gc_collect();
        if self.lua.used_memory() > memory_limit / 2 && self.forget_all_but(needed) {
            let _ = self.lua.gc_collect();
        }
    }

    fn begin(&mut self, program: Program<'_>, limits: Limits) {
        let needed = match program {
            Program::Function(library, _) => Some(library),
            Program::Script(_) => None,
        };
        self.make_room(limits.memory, needed);
        let progress = &self.progress;
        progress.is_resp3.set(false);
        progress.chance.set(chance::FIRST);
        progress.is_aborted.set(false);
        progress.stop.take();
        *progress.watch.borrow_mut() = Some(limits.watch);
        progress.failure.take();
        self.resets.follow();
    }

    fn try_to_run<'a>(
        &self,
        program: Program<'_>,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
        memory_limit: usize,
        commands: &mut impl Commands,
    ) -> mlua::Result<Ended> {
        let (run, function) = match program {
            Program::Script(script) => match self.compiled.get(&script.id) {
                Some(compiled) => (&self.run, compiled.function.clone()),
                None => return Err(Raised::text("the script is not compiled")),
            },
            Program::Function(library, function) => {
                (&self.run_function, self.loaded.callback(library, function)?)
            }
        };
        let strings = |texts: &mut dyn Iterator<Item = &'a [u8]>| {
            self.lua.create_sequence_from(texts.map(LuaString::wrap))
        };
        let (mut keys, mut arguments) = (keys, arguments);
        let (keys, arguments) = (strings(&mut keys)?, strings(&mut arguments)?);
        let commands = RefCell::new(commands);
        let (ok, result): (bool, Value) = self.lua.scope(|scope| {
            let command = |is_protected| {
                let commands = &commands;
                scope.create_function(move |lua, values| {
                    let _ = lua.set_memory_limit(0);
                    let value = self.call(lua, &values, is_protected, *commands.borrow_mut());
                    let _ = lua.set_memory_limit(memory_limit);
                    value
                })
            };
            let (plain, protected) = (command(false)?, command(true)?);
            self.lua.set_memory_limit(memory_limit)?;
            run.call((function, keys, arguments, plain, protected))
        })?;
        self.lua.set_memory_limit(0)?;
        if let Some((stop, place)) = self.progress.stop.take() {
            return Ok(Ended::Stopped(
                stop,
                place.map_or_else(String::new, |place| shown_place(program, &place)),
            ));
        }
        if self.progress.is_aborted.get() {
            return Ok(Ended::Aborted);
        }
        if ok {
            let version = if self.progress.is_resp3.get() { Version::Resp3 } else { Version::Resp2 };
            return Ok(Ended::Returned(result, version));
        }
        let failure = self.progress.failure.take();
        Ok(Ended::Failed(failure.map_or_else(
            || [b"ERR ", text_of(&result).as_slice()].concat(),
            |Failure { mut message, place }| {
                if let Some(place) = place {
                    message.extend(shown_place(program, &place).bytes());
                }
                message
            },
        )))
    }

    /// Runs a command that a script calls.
    fn call(
        &self,
        lua: &Lua,
        values: &MultiValue,
        is_protected: bool,
        commands: &mut impl Commands,
    ) -> mlua::Result<Value> {
        let mut room = self.room.borrow_mut();
        let Room { bytes, spans, output, flat } = &mut *room;
        let fail = |text: &[u8]| {
            if is_protected {
                reply::error_table(lua, text).map(Value::Table)
            } else {
                Err(Raised::reply(text))
            }
        };
        let is_check =
            matches!(values.front(), Some(Value::LightUserData(_))) && values[0] == sandbox::check_mark();
        let skipped = usize::from(is_check);
        if values.len() == skipped {
            return fail(NO_ARGUMENTS.as_bytes());
        }
        if !gather(values.iter().skip(skipped), bytes, spans) {
            return fail(ODD_ARGUMENTS.as_bytes());
        }
        if is_check {
            return match commands.may_call(Arguments::new(bytes, spans)) {
                Some(may) => Ok(Value::Boolean(may)),
                None => fail(ODD_CHECK.as_bytes()),
            };
        }
        let version = if self.progress.is_resp3.get() { Version::Resp3 } else { Version::Resp2 };
        output.clear();
        output.set_version(version);
        let watch = self.progress.watch.borrow();
        if let Some(Err(stop)) = watch.as_ref().map(Watch::look_for_kill) {
            return Err(self.progress.stop(stop, sandbox::place_in_script(lua, 1)));
        }
        match commands.call(Arguments::new(bytes, spans), output) {
            Called::Replied { has_written: true } => watch.iter().for_each(Watch::note_written),
            Called::Replied { has_written: false } => (),
            Called::Abort => {
                self.progress.is_aborted.set(true);
                return Err(Raised::Aborted.into());
            }
        }
        flat.clear();
        let reply = match output.plain_since(Output::new().mark()) {
            Some(plain) => plain,
            None => {
                output.parts().for_each(|part| flat.extend_from_slice(part));
                &flat[..]
            }
        };
        let result = match reply.split_first() {
            Some((b'-', _)) => fail(reply::line(&reply[1..])),
            _ => reply::read(lua, reply),
        };
        if bytes.capacity() > ROOM_KEPT || flat.capacity() > ROOM_KEPT {
            (*bytes, *flat) = (Vec::new(), Vec::new());
        }
        result
    }
}

/// Where a script has ended, as messages about that end.
fn shown_place(program: Program<'_>, (source, line): &Place) -> String {
    format!(" script: {}, on {source}:{line}.", String::from_utf8_lossy(program.name()))
}

/// Gathers the arguments of a command; false if one is neither a string nor a number.
fn gather<'v>(values: impl Iterator<Item = &'v Value>, bytes: &mut Vec<u8>, spans: &mut Vec<Span>) -> bool {
    bytes.clear();
    spans.clear();
    for value in values {
        let start = bytes.len();
        match value {
            Value::String(string) => bytes.extend_from_slice(&string.as_bytes()),
            Value::Integer(number) => {
                bytes.extend_from_slice(&quartet_protocol::resp::number::integer_text(*number));
            }
            Value::Number(number) if number.trunc() == *number && number.abs() < WHOLE_MAX => {
                bytes.extend_from_slice(&quartet_protocol::resp::number::integer_text(*number as i64));
            }
            Value::Number(number) => {
                bytes.extend_from_slice(general_text(*number, ARGUMENT_DIGITS).as_bytes())
            }
            _ => return false,
        }
        let (Ok(start), Ok(length)) = (u32::try_from(start), u32::try_from(bytes.len() - start)) else {
            return false;
        };
        spans.push(Span { start, length });
    }
    true
}

/// The text of an error value that is no error reply.
fn text_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        other => other.to_string().unwrap_or_default().into_bytes(),
    }
}
