//! Loading libraries for clients, and finding the functions that they call.

use std::sync::Arc;

use quartet_protocol::rdb::{self, LibraryFault, read_libraries};

use super::engine::{Engine, LibraryLimits, LibraryRun, Registered};
use super::libraries::{ALL_CODE_MAX, CODE_MAX, Change, Header, Joining, LIBRARIES_MAX, Library, Table};
use super::running::with_engine;
use crate::command::Call;
use crate::refusal::Refusal;
use crate::wait::Barrier;

/// Milliseconds that a new library may run, as in Redis.
const LOAD_MILLIS_MAX: u64 = 500;

/// Milliseconds that loading all libraries of a payload may take.
const RESTORE_MILLIS_MAX: u64 = 5000;

/// What a payload of libraries may hold.
const PAYLOAD_LIMITS: rdb::LibraryLimits =
    rdb::LibraryLimits { text: CODE_MAX, texts: ALL_CODE_MAX, count: LIBRARIES_MAX };

/// A library that has run but is not in the table yet.
type New = (Arc<Library>, Registered);

/// Loads a library, and returns its name and what the reply has to wait for.
///
/// # Errors
/// If the library is refused; then nothing is changed.
pub(super) fn load(
    call: &Call<'_, '_>,
    code: &[u8],
    replaces: bool,
) -> Result<(Arc<Library>, Option<Barrier>), Refusal> {
    let libraries = &call.services.scripts.libraries;
    let header = Header::read(code)?;
    if !replaces && libraries.load().library(&header.name).is_some() {
        let name = String::from_utf8_lossy(&header.name);
        return Err(Refusal::new(format!("ERR Library '{name}' already exists")));
    }
    let new = run_new(call, &header, code)?;
    let library = Arc::clone(&new.0);
    let barrier = libraries.change(&Change::Load { library: Arc::clone(&library), replaces })?;
    keep(vec![new])?;
    Ok((library, barrier))
}

/// Loads the libraries of a payload, all of them or none, and returns what the reply has to wait for.
///
/// # Errors
/// If the payload or a library is refused.
pub(super) fn restore(
    call: &Call<'_, '_>,
    payload: &[u8],
    joining: Joining,
) -> Result<Option<Barrier>, Refusal> {
    let clock = &call.services.clock;
    let end = clock.now().millis().saturating_add(RESTORE_MILLIS_MAX);
    let codes = read_libraries(payload, PAYLOAD_LIMITS).map_err(|fault| {
        Refusal::new(match fault {
            LibraryFault::Footer => "ERR DUMP payload version or checksum are wrong",
            LibraryFault::Early => "ERR Pre-GA function format not supported",
            LibraryFault::Foreign => "ERR given type is not a function",
            LibraryFault::Text => "ERR Failed loading library code",
            LibraryFault::TooMuch => "ERR the payload has more libraries than there may be, or longer ones",
        })
    })?;
    // Libraries of one payload have to fit together, whatever becomes of the others.
    let mut alone = Table::default();
    let mut news = Vec::new();
    for code in codes {
        // Compiling, and joining the others, take time in which the library's own is not looked at.
        if clock.now().millis() >= end {
            return Err(Refusal::new("ERR FUNCTION RESTORE timeout"));
        }
        let new = run_new(call, &Header::read(&code)?, &code)?;
        alone.join(&new.0)?;
        news.push(new);
    }
    let restored = news.iter().map(|(library, _)| Arc::clone(library)).collect();
    let change = Change::Restore { libraries: restored, joining };
    let barrier = call.services.scripts.libraries.change(&change)?;
    keep(news)?;
    Ok(barrier)
}

/// Runs a library that is new.
fn run_new(call: &Call<'_, '_>, header: &Header, code: &[u8]) -> Result<New, Refusal> {
    if code.len() > CODE_MAX {
        return Err(Refusal::new(format!("ERR a library may have at most {CODE_MAX} bytes")));
    }
    let registered = with_engine(|engine| {
        register(call, engine, &code[header.body..], LibraryRun::First, LOAD_MILLIS_MAX)
    })?;
    Ok(registered.into_library(header, code))
}

/// Puts libraries that are in the table into this thread's Lua.
fn keep(news: Vec<New>) -> Result<(), Refusal> {
    with_engine(|engine| {
        // What cannot be kept for want of memory is loaded again by the first call.
        news.into_iter().for_each(|(library, registered)| drop(engine.keep(&library, registered)));
        Ok(())
    })
}

/// Sees to it that this thread has a library of the table.
///
/// # Errors
/// If it does not run here as it did elsewhere.
pub(super) fn require(call: &Call<'_, '_>, library: &Arc<Library>) -> Result<(), Refusal> {
    with_engine(|engine| {
        if engine.has_library(library) {
            return Ok(());
        }
        let time = call.settings.script_time_limit.as_millis() as u64;
        let registered = register(call, engine, library.body(), LibraryRun::Again, time)?;
        engine.keep(library, registered).map_err(|reason| Refusal::new(format!("ERR {reason}")))
    })
}

/// Runs the text of a library, for so many milliseconds at most; 0 for no limit.
fn register(
    call: &Call<'_, '_>,
    engine: &mut Engine,
    body: &[u8],
    run: LibraryRun,
    time: u64,
) -> Result<Registered, Refusal> {
    let clock = &call.services.clock;
    let end = (time != 0).then(|| (Arc::clone(clock), clock.now().millis().saturating_add(time)));
    let limits = LibraryLimits { memory: call.settings.script_memory_limit, end };
    engine.register(body, run, limits).map_err(|reason| Refusal::new(format!("ERR {reason}")))
}

/// Forgets in this thread's Lua what is no longer in the table.
pub(super) fn forget_deleted() -> Result<(), Refusal> {
    with_engine(|engine| {
        engine.forget_deleted();
        Ok(())
    })
}
