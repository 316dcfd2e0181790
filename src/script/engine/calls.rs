//! `redis.call` and `redis.pcall`: commands that scripts run.
//!
//! The functions last as long as the state; what they run commands with is lent to them for the time of a run.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

use mlua::{Lua, Table, Value};
use quartet_protocol::buffer::Mark;
use quartet_protocol::resp::number::integer_text;
use quartet_protocol::resp::{Arguments, Output, Span};

use super::stack::{self, Lent, Reference, Slot, Stack};
use super::{Called, Commands, Progress, reply, sandbox};
use crate::script::meter::NO_MEMORY;
use crate::script::number_text::general_text;
use crate::script::raised::Raised;
use crate::script::supervision::{Stop, Watch};

/// Bytes of a command's arguments, and of its reply, for which room is kept between runs.
const ROOM_KEPT: usize = 64 * 1024;

/// Significant digits of a number among the arguments of a command.
const ARGUMENT_DIGITS: usize = 17;

/// A whole number below this has one text, whatever writes it.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Steps of work that a command counts for besides its reply: the clock is looked at every few commands.
const COMMAND_STEPS: usize = 1250;

/// Bytes of a reply that are read in a step.
const BYTES_PER_STEP: usize = 8;

/// The command is not run: an error reply of the script's caller, in Redis' words.
const NO_ARGUMENTS: &str = "ERR Please specify at least one argument for this redis lib call";
const ODD_CHECK: &str = "ERR Invalid command passed to redis.acl_check_cmd()";
const ODD_ARGUMENTS: &str = "ERR Lua redis lib command arguments must be strings or integers";
const LONG_ARGUMENTS: &str = "ERR the arguments of the command are longer than script-memory-limit allows";
const NO_RUN: &str = "ERR redis.call/pcall can only be called inside a script invocation";

/// See the head of the file.
pub(super) struct Calls {
    progress: Rc<Progress>,
    commands: Lent<dyn Commands>,
    room: RefCell<Room>,
    /// The error that is to be raised.
    error: Rc<Cell<Option<Pending>>>,
    /// A panic of a command, which goes on when Lua is left.
    panic: Cell<Option<Box<dyn Any + Send>>>,
    /// A function that makes the error as Lua sees it.
    make_error: Reference,
}

/// Memory for the arguments and the reply of a command.
#[derive(Default)]
struct Room {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    output: Output,
    flat: Vec<u8>,
}

/// An error that is about to be raised.
enum Pending {
    Raised(Raised),
    Stop(Stop),
}

/// What a function does with a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// It runs the command, and raises an error reply.
    Call,
    /// It runs the command, and returns an error reply.
    ProtectedCall,
    /// It says whether the caller may run the command.
    Check,
}

/// What a call leads to.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// This reply, which stays where it is until the next call.
    Reply(NonNull<[u8]>),
    /// An error reply as a value.
    Complaint(&'static str),
    /// A truth value.
    Truth(bool),
    /// The error that was left here.
    Raise,
}

/// Puts the functions into a library.  What comes back must live as long as the state.
pub(super) fn open(lua: &Lua, redis: &Table, progress: &Rc<Progress>) -> mlua::Result<Rc<Calls>> {
    let error = Rc::<Cell<Option<Pending>>>::default();
    let (pending, watched) = (Rc::clone(&error), Rc::clone(progress));
    let make_error = lua.create_function(move |lua, ()| {
        Ok(Value::Error(Box::new(match pending.take() {
            Some(Pending::Raised(raised)) => raised.into(),
            Some(Pending::Stop(stop)) => watched.stop(stop, sandbox::place_in_script(lua, 1)),
            None => Raised::Aborted.into(),
        })))
    })?;
    let calls = Rc::new(Calls {
        progress: Rc::clone(progress),
        commands: Lent::default(),
        room: RefCell::default(),
        error,
        panic: Cell::default(),
        make_error: Reference::new(lua, make_error)?,
    });
    redis.raw_set("call", stack::function(lua, &calls, Purpose::Call)?)?;
    redis.raw_set("pcall", stack::function(lua, &calls, Purpose::ProtectedCall)?)?;
    redis.raw_set("acl_check_cmd", stack::function(lua, &calls, Purpose::Check)?)?;
    Ok(calls)
}

impl Calls {
    /// Lends the functions the commands of a run while `work` is done.
    pub(super) fn lend<R>(&self, commands: &mut dyn Commands, work: impl FnOnce() -> R) -> R {
        let result = self.commands.lend(commands, work);
        if let Some(panic) = self.panic.take() {
            std::panic::resume_unwind(panic);
        }
        let mut room = self.room.borrow_mut();
        room.output.clear();
        if room.bytes.capacity() + room.flat.capacity() + size_of::<Span>() * room.spans.capacity()
            > ROOM_KEPT
        {
            *room = Room::default();
        }
        result
    }

    /// The function that returns the error which [`Next::Raise`] stands for.
    pub(super) fn make_error(&self) -> &Reference {
        &self.make_error
    }

    /// Leaves an error reply to be raised.
    pub(super) fn complain(&self, complaint: &str) {
        self.error.set(Some(Pending::Raised(Raised::Reply(complaint.into()))));
    }

    /// Ends the run for a panic.
    pub(super) fn keep_panic(&self, panic: Box<dyn Any + Send>) -> Next {
        self.panic.set(Some(panic));
        self.end(Pending::Raised(Raised::Aborted))
    }

    fn end(&self, error: Pending) -> Next {
        self.error.set(Some(error));
        Next::Raise
    }

    /// Does this with the command that the values on the stack are.
    pub(super) fn run(&self, stack: &Stack<'_>, purpose: Purpose) -> Next {
        let is_protected = purpose == Purpose::ProtectedCall;
        let refused = |complaint: &'static str| {
            if is_protected {
                return Next::Complaint(complaint);
            }
            self.complain(complaint);
            Next::Raise
        };
        let room = &mut *self.room.borrow_mut();
        if stack.count() == 0 {
            return refused(NO_ARGUMENTS);
        }
        if let Err(complaint) = room.gather(stack, self.progress.meter.bytes_max()) {
            return refused(complaint);
        }
        let next = self.commands.with(|commands| {
            if purpose == Purpose::Check {
                let may = commands.may_call(Arguments::new(&room.bytes, &room.spans));
                return may.map_or_else(|| refused(ODD_CHECK), Next::Truth);
            }
            self.call(room, commands, is_protected)
        });
        next.unwrap_or_else(|| refused(NO_RUN))
    }

    fn call(&self, room: &mut Room, commands: &mut dyn Commands, is_protected: bool) -> Next {
        let progress = &*self.progress;
        let Room { bytes, spans, output, .. } = &mut *room;
        output.clear();
        output.set_version(progress.version());
        let watch = progress.watch.borrow();
        if let Some(Err(stop)) = watch.as_ref().map(Watch::look_for_kill) {
            return self.end(Pending::Stop(stop));
        }
        match commands.call(Arguments::new(bytes, spans), output) {
            Called::Replied { has_written: true } => watch.iter().for_each(Watch::note_written),
            Called::Replied { has_written: false } => (),
            Called::Abort => {
                progress.is_aborted.set(true);
                return self.end(Pending::Raised(Raised::Aborted));
            }
        }
        let length = output.len();
        if length > progress.meter.bytes_max() {
            return self.end(Pending::Raised(Raised::Text(NO_MEMORY.into())));
        }
        if progress.meter.is_over(COMMAND_STEPS + length / BYTES_PER_STEP)
            && let Some(Err(stop)) = watch.as_ref().map(Watch::look)
        {
            return self.end(Pending::Stop(stop));
        }
        let reply = room.reply();
        match reply.split_first() {
            Some((b'-', text)) if !is_protected => {
                self.end(Pending::Raised(Raised::Refused(reply::line(text).to_vec())))
            }
            _ => Next::Reply(NonNull::from(reply)),
        }
    }
}

impl Room {
    /// Gathers the values on the stack, of so many bytes at most.
    ///
    /// # Errors
    /// If one is neither a string nor a number, or they are longer.
    fn gather(&mut self, stack: &Stack<'_>, bytes_max: usize) -> Result<(), &'static str> {
        let Room { bytes, spans, .. } = self;
        bytes.clear();
        spans.clear();
        for place in 1..=stack.count() {
            let start = bytes.len();
            match stack.at(place) {
                Slot::Text(text) if text.len() > bytes_max.saturating_sub(start) => {
                    return Err(LONG_ARGUMENTS);
                }
                Slot::Text(text) => bytes.extend_from_slice(text),
                Slot::Number(number) if is_integer(number) => {
                    bytes.extend_from_slice(&integer_text(number as i64));
                }
                Slot::Number(number) => {
                    bytes.extend_from_slice(general_text(number, ARGUMENT_DIGITS).as_bytes());
                }
                _ => return Err(ODD_ARGUMENTS),
            }
            let (Ok(start), Ok(length)) = (u32::try_from(start), u32::try_from(bytes.len() - start)) else {
                return Err(LONG_ARGUMENTS);
            };
            spans.push(Span { start, length });
        }
        Ok(())
    }

    /// The reply that was written.
    fn reply(&mut self) -> &[u8] {
        let Room { output, flat, .. } = self;
        match output.plain_since(Mark::default()) {
            Some(plain) => plain,
            None => {
                flat.clear();
                output.parts().for_each(|part| flat.extend_from_slice(part));
                flat
            }
        }
    }
}

/// Whether a number's text is that of an integer: the zero with a sign has a text of its own.
fn is_integer(number: f64) -> bool {
    number.trunc() == number && number.abs() < WHOLE_MAX && (number != 0.0 || number.is_sign_positive())
}
