//! Running a script or a function for a client: its keys are locked, and it is undone and run again alone if it needs more.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::{Arguments, Output, Version};

use super::engine::{Called, Commands, Compiled, Ended, Engine, Limits};
use super::memory;
use super::program::Program;
use super::shebang::ShebangFlags;
use super::shown::ShownCall;
use super::supervision::{Stop, Watch};
use super::texts::{Script, ScriptId, id_of};
use crate::command::executor::{Executed, Inside};
use crate::command::{Call, Caller, Restart};
use crate::refusal::Refusal;

thread_local! {
    /// The thread's Lua, once it has run a script; none while one runs.
    static ENGINE: RefCell<Option<Box<Engine>>> = const { RefCell::new(None) };
}

/// Lends the thread's engine.  Nothing that runs in it may ask for it again.
pub(super) fn with_engine<R>(work: impl FnOnce(&mut Engine) -> Result<R, Refusal>) -> Result<R, Refusal> {
    let mut engine = match ENGINE.take() {
        Some(engine) => engine,
        None => {
            Box::new(Engine::new().map_err(|error| Refusal::new(format!("ERR Lua did not start: {error}")))?)
        }
    };
    let result = work(&mut engine);
    memory::note(engine.memory());
    ENGINE.set(Some(engine));
    result
}

/// The script that a client has named by its id.
///
/// # Errors
/// If there is none.
pub(super) fn find(engine: &mut Engine, call: &Call<'_, '_>, id: &ScriptId) -> Result<Rc<Compiled>, Refusal> {
    let scripts = &call.services.scripts;
    match engine.compiled(id, scripts) {
        Some(compiled) => Ok(compiled),
        None => compile(engine, &scripts.find(id).ok_or(Refusal::NO_SCRIPT)?),
    }
}

/// The script of a text, which is added to those that the server knows.  `is_loaded` says that it stays.
///
/// # Errors
/// If it cannot be compiled.
pub(super) fn add(
    engine: &mut Engine,
    call: &Call<'_, '_>,
    text: &[u8],
    is_loaded: bool,
) -> Result<Rc<Compiled>, Refusal> {
    let scripts = &call.services.scripts;
    if let Some(compiled) = engine.compiled(&id_of(text), scripts).filter(|_| !is_loaded) {
        return Ok(compiled);
    }
    let script = Arc::new(scripts.read(text).map_err(Refusal::new)?);
    let compiled = compile(engine, &script)?;
    let there = scripts.add(Arc::clone(&script), is_loaded, call.now().millis());
    if Arc::ptr_eq(&there, &script) {
        return Ok(compiled);
    }
    drop(compiled);
    compile(engine, &there)
}

fn compile(engine: &mut Engine, script: &Arc<Script>) -> Result<Rc<Compiled>, Refusal> {
    engine
        .compile(script)
        .map_err(|message| Refusal::new(format!("ERR Error compiling script (new function): {message}")))
}

/// Shows the call to the clients that run MONITOR, before the commands of its program.  False if the call starts again
/// alone: while somebody watches it runs alone from its start, so that none of its commands is shown twice.
pub(super) fn show(call: &mut Call<'_, '_>) -> bool {
    if !call.services.monitors.is_empty() && !call.keyspace.is_exclusive() {
        call.continuation.restart = Some(Restart { random: call.random.clone() });
        return false;
    }
    call.show_beforehand();
    true
}

/// Runs a program that this thread has compiled, and writes its reply.
///
/// # Errors
/// If it may not run, or fails.
pub(super) fn run(
    engine: &mut Engine,
    call: &mut Call<'_, '_>,
    program: Program<'_>,
    keys: Arguments<'_>,
    arguments: Arguments<'_>,
    is_readonly: bool,
) -> Result<(), Refusal> {
    let is_alone = call.keyspace.is_exclusive();
    if !is_alone && program.runs_alone().load(Relaxed) {
        call.continuation.restart = Some(Restart { random: call.random.clone() });
        return Ok(());
    }
    let inside = permissions(call, program, is_readonly)?;
    let random = call.random.clone();
    // What the script selects ends with it.
    let caller = Caller {
        may_block: false,
        is_script: true,
        version: Version::Resp2,
        request: None,
        ..call.caller.clone()
    };
    let limits = limits(call, program);
    program.touch(call.now().millis());
    call.keyspace.begin_undo();
    let mut run = Run { call: &mut *call, caller, inside };
    let mut ended = engine.run(program, keys.iter(), arguments.iter(), limits, &mut run);
    let Run { caller, inside, .. } = run;
    call.caller.has_own_message |= caller.has_own_message;
    let errors = &call.services.metrics.thread(call.slot).errors;
    let mut has_failed = false;
    let mut note_error = |text: &[u8], is_counted: bool| {
        has_failed = true;
        if !is_counted {
            errors.count(code_of(text));
        }
    };
    if let Ended::Returned(version) = ended
        && let Some(other) = engine.answer(version, call.output, &mut note_error)
    {
        ended = other;
    }
    engine.end();
    match ended {
        Ended::Returned(_) => {
            call.keyspace.end_undo();
            call.continuation.has_answered_error |= has_failed;
            Ok(())
        }
        Ended::Failed(text) => {
            call.keyspace.end_undo();
            Err(Refusal::new(text))
        }
        Ended::Refused(text) => {
            call.keyspace.end_undo();
            call.output.error(text);
            call.continuation.has_answered_error = true;
            Ok(())
        }
        Ended::Stopped(stop, place) => {
            call.keyspace.undo();
            Err(stopped(call, stop, &place, !inside.is_lasting))
        }
        Ended::Aborted => {
            program.runs_alone().store(true, Relaxed);
            call.keyspace.undo();
            call.continuation.restart = Some(Restart { random });
            Ok(())
        }
    }
}

/// The code by which an error is counted that a script has made up: one word alone is none.
fn code_of(text: &[u8]) -> &str {
    let end = memchr::memchr(b' ', text);
    end.and_then(|end| std::str::from_utf8(&text[..end]).ok()).unwrap_or("ERR")
}

/// What a client is told of a script that was stopped.
fn stopped(call: &Call<'_, '_>, stop: Stop, place: &str, is_undone: bool) -> Refusal {
    match stop {
        // Redis says so of functions too.
        Stop::Killed => Refusal::new(format!("ERR Script killed by user with SCRIPT KILL...{place}")),
        Stop::TooLong if is_undone => Refusal::SCRIPT_TOO_LONG,
        Stop::TooLong => Refusal::SCRIPT_CUT_SHORT,
        Stop::Busy => call.services.busy(),
        Stop::NotRelieved => Refusal::SCRIPT_NOT_RELIEVED,
        Stop::ServerEnds => Refusal::SCRIPT_AT_END,
    }
}

/// What a script may take.
fn limits(call: &Call<'_, '_>, program: Program<'_>) -> Limits {
    // Zero stands for no limit.
    let milliseconds = |number: u64| if number == 0 { u64::MAX } else { number };
    let threshold = milliseconds(call.settings.busy_reply_threshold);
    let limit = milliseconds(call.settings.script_time_limit.as_millis() as u64);
    let holder = (call.slot, call.keyspace.hold());
    let shown = match program {
        Program::Function(_, function) => {
            let request = call.caller.request.as_ref().map(|request| &request.buffer);
            Some(ShownCall::new(&function.name, call.arguments, request))
        }
        Program::Script(_) => None,
    };
    // A run with the store alone has waited for that since.
    let began = call.continuation.began.filter(|_| !call.keyspace.is_exclusive());
    let began = began.unwrap_or_else(|| call.services.clock.now());
    let limits = (threshold, limit);
    let watch = Watch::new(&call.services.supervisor, program.kind(), holder, began, limits, shown);
    Limits { memory: call.settings.script_memory_limit, watch }
}

/// The commands of a script that runs.
struct Run<'r, 'c, 's: 'c> {
    call: &'r mut Call<'c, 's>,
    /// The script's caller, with the database that the script has selected.
    caller: Caller,
    inside: Inside,
}

impl Commands for Run<'_, '_, '_> {
    fn call(&mut self, arguments: Arguments<'_>, output: &mut Output) -> Called {
        match self.call.execute(&mut self.caller, arguments, output, &mut self.inside) {
            Executed::Done | Executed::Refused => {
                Called::Replied { has_written: self.call.has_written(&self.inside) }
            }
            Executed::NeedsStore => Called::Abort,
        }
    }

    fn may_call(&self, arguments: Arguments<'_>) -> Option<bool> {
        // Whoever may run a script may run every command.
        self.call.services.commands.resolve(arguments.at(0), arguments.get(1)).map(|_| true)
    }
}

/// What a script's commands may do.
fn permissions(call: &Call<'_, '_>, program: Program<'_>, is_readonly: bool) -> Result<Inside, Refusal> {
    let Some(flags) = program.flags() else {
        return Ok(Inside { is_readonly, ..Inside::default() });
    };
    let never_writes = flags.contains(ShebangFlags::NO_WRITES);
    if is_readonly && !never_writes {
        return Err(Refusal::WRITING_SCRIPT);
    }
    let limit = call.settings.maxmemory;
    let allows_oom = never_writes || flags.contains(ShebangFlags::ALLOW_OOM);
    if limit != 0 && !allows_oom && call.services.store.evictable_memory() > limit {
        return Err(Refusal::OUT_OF_MEMORY);
    }
    Ok(Inside { is_readonly: never_writes, allows_oom, ..Inside::default() })
}
