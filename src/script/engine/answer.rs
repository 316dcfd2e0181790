//! The value that a script returns, as a reply.

use mlua::Lua;
use quartet_protocol::resp::{Output, Version};

use super::stack::{Slot, Stack};
use super::{Ended, Progress, reply};

/// Tables within tables that are written; deeper ones become an error in their place, as in Redis, which has room for 7,995.
const NESTING_MAX: usize = 2000;

/// Lua is out of room for a value that is nested too deeply.
const TOO_DEEP: &str = "ERR reached lua stack limit";

/// The reply would take more memory than the script may: a table that contains itself twice describes one without end.
const TOO_LARGE: &str = "ERR the reply is larger than script-memory-limit";

/// Values on Lua's stack for one table besides those within it.
const PLACES: i32 = 8;

/// Elements of a table that are looked at before its names are: most tables are short rows, which have none.
const SHORT_ROW: i32 = 64;

/// A table that is being written, at its place on the stack.
enum Open {
    /// An array, and how many of its elements are written.
    Array { place: i32, written: i32, length: i32 },
    /// A map; the key that came last is above it, and above that its value, if that is not written yet.
    Map { place: i32, has_value: bool },
    /// A set, whose members are the keys of the table; the one that came last is above it.
    Set { place: i32 },
}

/// Writes the value at the top of the stack as a reply, and takes it away.  `version` is what the script has asked for; that of
/// the client decides how values are spelled.
///
/// # Errors
/// If the reply has more bytes than the script may hold, or the script is stopped meanwhile: nothing is written then.
pub(super) fn write(
    lua: &Lua,
    version: Version,
    progress: &Progress,
    output: &mut Output,
    note_error: &mut dyn FnMut(&[u8], bool),
) -> Result<(), Ended> {
    let mut stack =
        Stack::with_last(lua).map_err(|error| Ended::Failed(format!("ERR {error}").into_bytes()))?;
    let (bottom, mark) = (stack.count(), output.mark());
    let length_max = output.len().saturating_add(progress.meter.bytes_max());
    let collector = Collector { lua, is_stopped: false };
    let mut writer = Writer {
        stack: &mut stack,
        version,
        output,
        note_error,
        length_max,
        progress,
        open: Vec::new(),
        collector,
    };
    let written = writer.write_all();
    drop(writer);
    if written.is_err() {
        stack.pop(stack.count() - (bottom - 1));
        output.truncate(mark);
    }
    written
}

/// Writes the value at the top if it is no table.
fn write_plain(stack: &Stack<'_>, version: Version, output: &mut Output) {
    match stack.at(stack.count()) {
        Slot::Text(text) => output.bulk(text),
        Slot::Boolean(truth) if version == Version::Resp3 => output.boolean(truth),
        Slot::Boolean(true) => output.integer(1),
        Slot::Number(number) => output.integer(whole(number)),
        _ => output.null(),
    }
}

struct Writer<'w, 'l> {
    stack: &'w mut Stack<'l>,
    version: Version,
    output: &'w mut Output,
    /// Gets each error that is written, and whether it is counted already.
    note_error: &'w mut dyn FnMut(&[u8], bool),
    /// How long the output may become.
    length_max: usize,
    progress: &'w Progress,
    open: Vec<Open>,
    collector: Collector<'l>,
}

/// Lua's collector of garbage, which works again once this is dropped.
struct Collector<'l> {
    lua: &'l Lua,
    is_stopped: bool,
}

impl Collector<'_> {
    /// Stops it: a table with weak keys or values keeps what it has.
    fn stop(&mut self) {
        if !self.is_stopped {
            self.is_stopped = true;
            self.lua.gc_stop();
        }
    }
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        if self.is_stopped {
            self.lua.gc_restart();
        }
    }
}

impl Writer<'_, '_> {
    fn write_all(&mut self) -> Result<(), Ended> {
        self.begin()?;
        while let Some(last) = self.open.last_mut() {
            let stack = &mut *self.stack;
            let is_there = match last {
                Open::Array { written, length, .. } if written == length => false,
                Open::Array { place, written, .. } => {
                    *written += 1;
                    stack.push_element(*place, *written);
                    true
                }
                Open::Map { has_value, .. } if *has_value => {
                    *has_value = false;
                    true
                }
                Open::Map { place, has_value } => {
                    *has_value = stack.step(*place);
                    if *has_value {
                        stack.push_copy(stack.count() - 1);
                    }
                    *has_value
                }
                Open::Set { place } => {
                    let is_there = stack.step(*place);
                    if is_there {
                        stack.pop(1);
                        stack.push_copy(stack.count());
                    }
                    is_there
                }
            };
            if is_there {
                self.begin()?;
            } else {
                self.stack.pop(1);
                self.open.pop();
            }
        }
        Ok(())
    }

    /// Counts so many steps of work.
    fn work(&self, steps: usize) -> Result<(), Ended> {
        if !self.progress.meter.is_over(steps) {
            return Ok(());
        }
        self.progress.looked().map_err(|stop| Ended::Stopped(stop, String::new()))
    }

    /// Writes the value at the top and takes it away, or begins with it if it is a table whose parts follow.
    fn begin(&mut self) -> Result<(), Ended> {
        self.work(1)?;
        let is_table = self.stack.at(self.stack.count()) == Slot::Table;
        if is_table && self.open.len() < NESTING_MAX && self.stack.make_room(PLACES) {
            self.begin_table()?;
        } else {
            if is_table {
                self.output.error(TOO_DEEP);
            } else {
                write_plain(self.stack, self.version, self.output);
            }
            self.stack.pop(1);
        }
        if self.output.len() > self.length_max {
            return Err(Ended::Failed(TOO_LARGE.into()));
        }
        Ok(())
    }

    fn begin_table(&mut self) -> Result<(), Ended> {
        let place = self.stack.count();
        let length = match short_row(self.stack, place) {
            Some(length) => length,
            None if self.begin_named(place)? => return Ok(()),
            None => array_length(self.stack, place),
        };
        self.work(length as usize)?;
        self.output.array(length as usize);
        self.open.push(Open::Array { place, written: 0, length });
        Ok(())
    }

    /// Writes a table that stands for something else than an array, or begins with it; false if it does not.
    fn begin_named(&mut self, place: i32) -> Result<bool, Ended> {
        if self.write_named(place) {
            self.stack.pop(self.stack.count() - place + 1);
            return Ok(true);
        }
        for (field, is_map) in [(&b"map"[..], true), (&b"set"[..], false)] {
            if self.field(place, field) == Slot::Table {
                self.stack.replace(place);
                self.collector.stop();
                let pairs = pair_count(self.stack, place);
                self.work(pairs)?;
                self.stack.push_nil();
                if is_map {
                    self.output.map(pairs);
                    self.open.push(Open::Map { place, has_value: false });
                } else {
                    self.output.set(pairs);
                    self.open.push(Open::Set { place });
                }
                return Ok(true);
            }
            self.stack.pop(1);
        }
        let is_written = self.write_named_text(place);
        self.stack.pop(self.stack.count() - place + i32::from(is_written));
        Ok(is_written)
    }

    /// Pushes what a table has in a field.
    fn field(&mut self, place: i32, field: &[u8]) -> Slot<'_> {
        self.stack.push_text(field);
        self.stack.look_up(place);
        self.stack.at(self.stack.count())
    }

    /// Writes a table that stands for an error, a status or a number; false if it does not.
    fn write_named(&mut self, place: i32) -> bool {
        if matches!(self.field(place, b"err"), Slot::Text(_)) {
            let is_counted = !matches!(self.field(place, reply::IS_COUNTED), Slot::Nil);
            if let Slot::Text(text) = self.stack.at(self.stack.count() - 1) {
                self.output.error(text);
                (self.note_error)(text, is_counted);
            }
            return true;
        }
        if matches!(self.field(place, b"ok"), Slot::Text(_)) {
            write_status(self.stack, self.output);
            return true;
        }
        if let Slot::Number(number) = self.field(place, b"double") {
            self.output.double(number);
            return true;
        }
        self.stack.pop(3);
        false
    }

    /// Writes a table that stands for a big number or a text with a format; false if it does not.
    fn write_named_text(&mut self, place: i32) -> bool {
        if let Slot::Text(digits) = self.field(place, b"big_number") {
            let digits = String::from_utf8_lossy(digits).replace(['\r', '\n'], " ");
            self.output.big_number(&digits);
            return true;
        }
        if self.field(place, b"verbatim_string") == Slot::Table {
            let verbatim = self.stack.count();
            for name in [b"format", b"string"] {
                self.stack.push_text(name);
                self.stack.look_up(verbatim);
            }
            if let (Slot::Text(format), Slot::Text(text)) =
                (self.stack.at(verbatim + 1), self.stack.at(verbatim + 2))
            {
                write_verbatim(format, text, self.output);
                return true;
            }
        }
        false
    }
}

/// A number without its fraction, as a conversion in C on this hardware has it.
fn whole(number: f64) -> i64 {
    if number.is_nan() || number >= 9_223_372_036_854_775_808.0 { i64::MIN } else { number as i64 }
}

/// Writes the text at the top of the stack as a status.
fn write_status(stack: &Stack<'_>, output: &mut Output) {
    let Slot::Text(text) = stack.at(stack.count()) else { return };
    let line: Vec<u8> =
        text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect();
    output.extend(b"+");
    output.extend(&line);
    output.extend(b"\r\n");
}

fn write_verbatim(format: &[u8], text: &[u8], output: &mut Output) {
    // A format has three letters, whatever the script says.
    let mut letters = [b' '; 3];
    letters.iter_mut().zip(format).for_each(|(letter, given)| *letter = *given);
    match (std::str::from_utf8(&letters), std::str::from_utf8(text)) {
        (Ok(format), Ok(text)) => output.verbatim(format, text),
        _ => output.bulk(text),
    }
}

/// The number of elements of the table at a place, if it is short and has nothing but these in their order.
fn short_row(stack: &mut Stack<'_>, place: i32) -> Option<i32> {
    let mut length = 0;
    stack.push_nil();
    while stack.step(place) {
        stack.pop(1);
        if length == SHORT_ROW || stack.at(stack.count()) != Slot::Number(f64::from(length + 1)) {
            stack.pop(1);
            return None;
        }
        length += 1;
    }
    Some(length)
}

/// How many keys the table at a place has.
fn pair_count(stack: &mut Stack<'_>, place: i32) -> usize {
    let mut count = 0;
    stack.push_nil();
    while stack.step(place) {
        stack.pop(1);
        count += 1;
    }
    count
}

/// The number of elements of the table at a place before the first nil.
fn array_length(stack: &mut Stack<'_>, place: i32) -> i32 {
    let mut length = 0;
    loop {
        stack.push_element(place, length + 1);
        let is_end = stack.at(stack.count()) == Slot::Nil;
        stack.pop(1);
        if is_end {
            return length;
        }
        length += 1;
    }
}
