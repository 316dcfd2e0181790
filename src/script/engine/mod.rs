//! A thread's Lua: the state, the scripts that it has compiled, and how one runs.
//!
//! | file | has |
//! |---|---|
//! | `prelude.lua` | the world that scripts see, and the replaced functions of Lua that guard it |
//! | `libraries` | libraries of functions: what they register, and what is called |
//! | `sandbox` | what of Lua is there at all, and the functions in Rust behind the prelude |
//! | `redis_library` | the functions of `redis` that run no command |
//! | `chance` | `math.random`, the same numbers in every run |
//! | `stack` | Lua's stack in place, without handles |
//! | `bytecode` | what a script does with its globals |
//! | `inputs` | the tables `KEYS` and `ARGV` |
//! | `calls` | the functions of `redis` that run commands |
//! | `pace` | how often Lua looks whether the run is to be stopped |
//! | `reply` | replies of commands as values of Lua |
//! | `answer` | values of Lua as replies |

mod answer;
mod bytecode;
mod calls;
mod chance;
mod inputs;
mod libraries;
mod pace;
mod redis_library;
mod reply;
mod sandbox;
mod stack;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use mlua::chunk::ChunkMode;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, Lua, LuaString, Table, Value};
use quartet_protocol::resp::{Arguments, Output, Version};

use super::libraries::Library;
use super::library::Resets;
use super::meter::Meter;
use super::program::{Program, SCRIPT_SOURCE};
use super::raised::Raised;
use super::supervision::{Stop, Watch};
use super::texts::{Script, ScriptId, Scripts};
use calls::Calls;
use inputs::{Inputs, Sight};
use libraries::Loaded;
use sandbox::World;
use stack::{Reference, Stack};

pub(crate) use libraries::{LibraryLimits, LibraryRun, Registered};

/// Compiled scripts of a thread beyond which those that the server has forgotten are looked for.
const COMPILED_MAX: usize = 2048;

/// Bytes of Lua's memory that are small: half of them are the world that scripts see.
const SMALL: usize = 1024 * 1024;

/// The collector begins anew when memory has grown to so many percent, while it is small and when it is not.  A short script leaves
/// a few strings behind: the fewer of them lie about, the more of what Lua looks through is in the processor's cache, which is worth
/// more than going through the world less often.
const PAUSE_SMALL: i32 = 150;
const PAUSE: i32 = 200;

/// What bytecode begins with, which is compiled nowhere.
const BYTECODE: u8 = 0x1b;

/// Values on Lua's stack for a run: the handler of errors, the program, its tables and what is put into them.
const PLACES: i32 = 8;

/// See the head of the file.
pub(crate) struct Engine {
    lua: Lua,
    /// What scripts see as their globals.
    world: Table,
    /// The same for plain scripts.
    plain: Table,
    /// What scripts find as their keys and arguments.
    inputs: Inputs,
    /// Notes the error that ends a program.
    handler: Reference,
    calls: Rc<Calls>,
    /// Sets the libraries back between runs.
    resets: Resets,
    compiled: HashMap<ScriptId, Rc<Compiled>>,
    loaded: Loaded,
    /// How long Lua's collector pauses, in percent of the memory; nothing before the first run.
    pause: i32,
    progress: Rc<Progress>,
}

/// A script that a thread has compiled.
pub(crate) struct Compiled {
    /// The script.
    pub(crate) script: Arc<Script>,
    function: Reference,
    sight: Sight,
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
    /// Counts the work that Lua does not.
    meter: Rc<Meter>,
    pace: pace::Pace,
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
    /// It is a command's, which has counted it.
    is_counted: bool,
    /// Where the script was: ` script: …, on @user_script:1.` needs both.
    place: Option<Place>,
}

/// Lua's name for the source of a function that was replaced by the one that it called last.
const REPLACED: &str = "=(tail call)";

/// A source and a line in it.
type Place = (String, i64);

impl Progress {
    /// The protocol's version in which the script wants replies.
    fn version(&self) -> Version {
        if self.is_resp3.get() { Version::Resp3 } else { Version::Resp2 }
    }

    /// When the last look was, in milliseconds.
    fn last_look(&self) -> u64 {
        self.watch.borrow().as_ref().map_or(0, Watch::last_look)
    }

    /// Ends the run if it is to be stopped: called every so many instructions, and steps of other work.
    fn look(&self, lua: &Lua) -> mlua::Result<()> {
        self.looked().map_err(|stop| self.stop(stop, sandbox::place_in_script(lua, 0)))
    }

    /// Looks whether the run is to be stopped.
    fn looked(&self) -> Result<(), Stop> {
        self.watch.borrow().as_ref().map_or(Ok(()), Watch::look)
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

/// How a run has ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It has returned what is at the top of Lua's stack, and asked for this version of the protocol.
    Returned(Version),
    /// An error has ended it: an error reply without its leading `-`.
    Failed(Vec<u8>),
    /// The same of an error that a command of it has counted already.
    Refused(Vec<u8>),
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

impl Engine {
    /// A state of Lua without any script.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn new() -> mlua::Result<Engine> {
        let progress = Rc::<Progress>::default();
        let World { lua, world, globals, plain, handler, calls, loaded, resets } = sandbox::open(&progress)?;
        let inputs = Inputs::new(&lua, globals, &plain)?;
        let handler = Reference::new(&lua, handler)?;
        let compiled = HashMap::new();
        Ok(Engine { lua, world, plain, inputs, handler, calls, resets, compiled, loaded, pause: 0, progress })
    }

    /// The script of this id, if this thread has compiled it and the server that has these scripts has not forgotten it.
    pub(crate) fn compiled(&self, id: &ScriptId, scripts: &Scripts) -> Option<Rc<Compiled>> {
        let compiled = self.compiled.get(id)?;
        (compiled.script.is_known() && scripts.owns(&compiled.script)).then(|| Rc::clone(compiled))
    }

    /// Bytes that this state of Lua takes.
    pub(crate) fn memory(&self) -> usize {
        self.lua.used_memory()
    }

    /// Compiles a script.
    ///
    /// # Errors
    /// The compiler's message.
    pub(crate) fn compile(&mut self, script: &Arc<Script>) -> Result<Rc<Compiled>, String> {
        if self.compiled.len() >= COMPILED_MAX {
            self.keep_scripts(|script| script.is_known());
        }
        if script.body().first() == Some(&BYTECODE) {
            return Err(format!("{}:1: unexpected symbol near 'char(27)'", &SCRIPT_SOURCE[1..]));
        }
        let chunk = self.lua.load(script.body()).set_name(SCRIPT_SOURCE).set_mode(ChunkMode::Text);
        // Nothing is collected while the compiler works: it does not protect all that it holds.
        self.lua.gc_stop();
        let function = chunk.set_environment(self.world.clone()).into_function();
        self.lua.gc_restart();
        match function.and_then(|function| self.seeing(function)) {
            Ok((function, sight)) => {
                let compiled = Rc::new(Compiled { script: Arc::clone(script), function, sight });
                if let Some(old) = self.compiled.insert(script.id, Rc::clone(&compiled)) {
                    self.release(old);
                }
                Ok(compiled)
            }
            Err(mlua::Error::SyntaxError { message, .. }) => Err(message),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A script with the sight of the world that it can be given.
    fn seeing(&self, script: Function) -> mlua::Result<(Reference, Sight)> {
        let is_plain = bytecode::globals(&script.dump(false)).is_some_and(|reads| {
            reads.iter().all(|read| match self.plain.raw_get(LuaString::wrap(read.name)) {
                Ok(Value::Nil) | Err(_) => false,
                Ok(Value::Table(_)) => read.is_passing,
                Ok(_) => true,
            })
        });
        let sight = if is_plain { Sight::Plain } else { Sight::Guarded };
        if sight == Sight::Plain {
            script.set_environment(self.plain.clone())?;
        }
        Ok((Reference::new(&self.lua, script)?, sight))
    }

    /// Runs a script that is compiled, or a function of a library that is loaded.  What it returns has to be taken by
    /// [`answer`](Engine::answer).
    pub(crate) fn run<'a>(
        &mut self,
        program: Program<'_>,
        keys: impl ExactSizeIterator<Item = &'a [u8]>,
        arguments: impl ExactSizeIterator<Item = &'a [u8]>,
        limits: Limits,
        commands: &mut dyn Commands,
    ) -> Ended {
        let memory_limit = limits.memory;
        self.begin(program, limits);
        let ended = self.try_to_run(program, keys, arguments, memory_limit, commands);
        ended.unwrap_or_else(|error| {
            let message = Raised::of(&error).to_string();
            Ended::Failed(format!("ERR {message}").into_bytes())
        })
    }

    /// Writes what a script has returned as its reply; another end comes back if the reply is too large, or if the script is
    /// stopped meanwhile.  `note_error` gets each error in it, and whether that is counted already.
    pub(crate) fn answer(
        &self,
        version: Version,
        output: &mut Output,
        note_error: &mut dyn FnMut(&[u8], bool),
    ) -> Option<Ended> {
        answer::write(&self.lua, version, &self.progress, output, note_error).err()
    }

    /// The run is over, with its reply.
    pub(crate) fn end(&self) {
        self.progress.watch.take();
    }

    /// Frees memory that earlier programs have taken, for this one.  Of the compiled programs only
    /// this one, if it is known, is sure to stay.
    fn make_room(&mut self, memory_limit: usize, program: Option<Program<'_>>) {
        let is_short = |engine: &Engine| engine.lua.used_memory() > memory_limit / 2;
        if !is_short(self) {
            return;
        }
        let (script, library) = match program {
            Some(Program::Script(compiled)) => (Some(&*compiled.script), None),
            Some(Program::Function(library, _)) => (None, Some(library)),
            None => (None, None),
        };
        let is_needed = |other: &Script| script.is_some_and(|script| script.id == other.id);
        let is_needed_library =
            |other: &Arc<Library>| library.is_some_and(|library| Arc::ptr_eq(library, other));
        // What other threads have deleted is still here.
        self.keep_libraries(|other| other.is_known() || is_needed_library(other));
        self.keep_scripts(|other| other.is_known() || is_needed(other));
        let _ = self.lua.gc_collect();
        if is_short(self) {
            // A forgotten program is compiled again when it is called.
            self.keep_libraries(is_needed_library);
            self.keep_scripts(is_needed);
            let _ = self.lua.gc_collect();
        }
    }

    /// Forgets the compiled scripts that are not to stay.
    fn keep_scripts(&mut self, stays: impl Fn(&Script) -> bool) {
        let forgotten = self.compiled.extract_if(|_, compiled| !stays(&compiled.script));
        let forgotten: Vec<_> = forgotten.map(|(_, compiled)| compiled).collect();
        forgotten.into_iter().for_each(|compiled| self.release(compiled));
    }

    /// Lets Lua forget a script, unless it is in use.
    fn release(&self, compiled: Rc<Compiled>) {
        if let Ok(compiled) = Rc::try_unwrap(compiled) {
            compiled.function.release(&self.lua);
        }
    }

    fn begin(&mut self, program: Program<'_>, limits: Limits) {
        self.make_room(limits.memory, Some(program));
        let pause = if self.lua.used_memory() <= SMALL { PAUSE_SMALL } else { PAUSE };
        if self.pause != pause {
            self.pause = pause;
            self.lua.gc_set_mode(GcMode::Incremental(GcIncParams::default().pause(pause)));
        }
        let progress = &self.progress;
        progress.is_resp3.set(false);
        progress.chance.set(chance::FIRST);
        progress.is_aborted.set(false);
        progress.stop.take();
        progress.meter.begin(limits.memory);
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
        commands: &mut dyn Commands,
    ) -> mlua::Result<Ended> {
        pace::begin(&self.lua, &self.progress)?;
        let mut stack = Stack::of(&self.lua, PLACES)?;
        let handler = stack.count() + 1;
        stack.push_reference(&self.handler);
        let ended = self.run_on(&mut stack, program, (keys, arguments), memory_limit, commands);
        if matches!(ended, Ok(Ended::Returned(_))) {
            stack.replace(handler);
        }
        let kept = handler - 1 + i32::from(matches!(ended, Ok(Ended::Returned(_))));
        stack.pop(stack.count() - kept);
        ended
    }

    /// Runs a program with the handler of errors at the top of the stack; a value that it returns is at the top then.
    fn run_on<'a>(
        &self,
        stack: &mut Stack<'_>,
        program: Program<'_>,
        (keys, arguments): (impl ExactSizeIterator<Item = &'a [u8]>, impl ExactSizeIterator<Item = &'a [u8]>),
        memory_limit: usize,
        commands: &mut dyn Commands,
    ) -> mlua::Result<Ended> {
        let handler = stack.count();
        let (count, sight) = match program {
            Program::Script(compiled) => {
                self.inputs.give(stack, compiled.sight, keys, arguments);
                stack.push_reference(&compiled.function);
                (0, Some(compiled.sight))
            }
            Program::Function(library, function) => {
                let function = self.loaded.callback(library, function)?;
                stack.push_handle(&self.lua, &Value::Function(function))?;
                push_texts(stack, keys);
                push_texts(stack, arguments);
                (2, None)
            }
        };
        self.lua.set_memory_limit(memory_limit)?;
        let is_ok = self.calls.lend(commands, || stack.call(count, handler));
        self.lua.set_memory_limit(0)?;
        if let Some(sight) = sight {
            self.inputs.take_back(stack, sight);
        }
        // What ends the run may come once the script itself has ended already, beyond what catches its errors.
        if let Some((stop, place)) = self.progress.stop.take() {
            return Ok(Ended::Stopped(
                stop,
                place.map_or_else(String::new, |place| shown_place(program, &place)),
            ));
        }
        if self.progress.is_aborted.get() {
            return Ok(Ended::Aborted);
        }
        if is_ok {
            return Ok(Ended::Returned(self.progress.version()));
        }
        let error = stack.take_handle(&self.lua);
        let failure = self.progress.failure.take();
        let Some(Failure { mut message, is_counted, place }) = failure else {
            return Ok(Ended::Failed([b"ERR ", text_of(&error).as_slice()].concat()));
        };
        if let Some(place) = place {
            message.extend(shown_place(program, &place).bytes());
        }
        Ok(if is_counted { Ended::Refused(message) } else { Ended::Failed(message) })
    }
}

/// Pushes a table of texts.
fn push_texts<'a>(stack: &mut Stack<'_>, texts: impl ExactSizeIterator<Item = &'a [u8]>) {
    stack.push_table(texts.len(), 0);
    for (index, text) in (1..).zip(texts) {
        stack.push_text(text);
        stack.set_element(index);
    }
}

/// Where a script has ended, as messages about that end.
fn shown_place(program: Program<'_>, (source, line): &Place) -> String {
    let source = if source == REPLACED { program.source() } else { source };
    format!(" script: {}, on {source}:{line}.", String::from_utf8_lossy(program.name()))
}

/// The text of an error value that is no error reply.
fn text_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        other => other.to_string().unwrap_or_default().into_bytes(),
    }
}
