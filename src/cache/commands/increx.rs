//! INCREX: counts within bounds and sets the expiry at once, which makes a rate limiter of fixed windows.

use std::cmp::Ordering;

use quartet_protocol::resp::number::{integer_text, parse_integer};

use super::counters::{COUNTER, finite};
use super::long_double::{LongDouble, Spelled};
use super::string_options::{Expires, ExpiryOption};
use super::strings::resolve;
use crate::command::{Call, Command, Handler};
use crate::refusal::Refusal;
use crate::store::{Key, Lifetime};

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "increx",
    syntax: "key [BYFLOAT increment | BYINT increment] [LBOUND lowerbound] [UBOUND upperbound] [SATURATE] \
             [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]",
    summary: "Increments the numeric value of a key by a number and sets its expiration time. Uses 0 as initial value \
              if the key doesn't exist.",
    since: "8.8.0",
    handler: Handler::Data(increx),
    ..COUNTER
}];

fn increx(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = Options::parse(call)?;
    let expires = match (options.only_if_eternal, options.expiry) {
        (true, ExpiryOption::Set(_)) | (false, _) => resolve(call, options.expiry)?,
        (true, _) => return Err(Refusal::new("ERR ENX flag requires an expiration")),
    };
    let key = call.key(1);
    let was_volatile = call.keyspace.find(&key).is_some_and(|entry| entry.deadline().is_some());
    let applies = match options.increment {
        Increment::Integer(increment) => increase_integer(call, &key, &options, increment)?,
        Increment::Float(increment) => increase_float(call, &key, &options, increment)?,
    };
    if !applies || options.only_if_eternal && was_volatile {
        return Ok(());
    }
    match (expires, options.expiry) {
        (Some(Expires::Already), _) => call.keyspace.remove(&key),
        (Some(Expires::At(deadline)), _) => call.keyspace.set_deadline(&key, Some(deadline)),
        (None, ExpiryOption::Persist) if was_volatile => call.keyspace.set_deadline(&key, None),
        (None, _) => false,
    };
    Ok(())
}

/// Adds and replies; false if a bound forbids it and nothing was changed.
fn increase_integer(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    options: &Options<'_>,
    increment: i64,
) -> Result<bool, Refusal> {
    let bound = |name: &str, text: Option<&[u8]>, limit: i64| match text {
        Some(text) => parse_integer(text)
            .ok_or_else(|| Refusal::new(format!("ERR {name} is not an integer or out of range"))),
        None => Ok(limit),
    };
    let lowest = bound("LBOUND", options.lower, i64::MIN)?;
    let highest = bound("UBOUND", options.upper, i64::MAX)?;
    if lowest > highest {
        return Err(bounds_crossed());
    }
    let old = match call.keyspace.peek(key) {
        Some(entry) => parse_integer(entry.string()?.bytes()).ok_or(Refusal::NOT_AN_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(increment).unwrap_or(if increment < 0 { i64::MIN } else { i64::MAX });
    let overflows = old.checked_add(increment).is_none();
    let fits = !overflows && (lowest..=highest).contains(&sum);
    let applies = fits || options.saturates;
    let new = if applies { sum.clamp(lowest, highest) } else { old };
    let applied = new.checked_sub(old).ok_or(Refusal::OVERFLOW)?;
    if applies {
        write(call, key, &integer_text(new));
    }
    call.output.array(2);
    call.output.integer(new);
    call.output.integer(applied);
    Ok(applies)
}

/// As [`increase_integer`], in [`LongDouble`] numbers.  The reply is a double, so it shows no more digits than one has.
fn increase_float(
    call: &mut Call<'_, '_>,
    key: &Key<'_>,
    options: &Options<'_>,
    increment: LongDouble,
) -> Result<bool, Refusal> {
    let bound = |name: &str, text: Option<&[u8]>, negative: bool| match text.map(LongDouble::parse) {
        Some(Some(Spelled::Finite(number))) => Ok(number),
        Some(_) => Err(Refusal::new(format!("ERR {name} is not a valid float"))),
        None => Ok(LongDouble::largest(negative)),
    };
    let lowest = bound("LBOUND", options.lower, true)?;
    let highest = bound("UBOUND", options.upper, false)?;
    if lowest.compare(highest).is_gt() {
        return Err(bounds_crossed());
    }
    let old = match call.keyspace.peek(key) {
        Some(entry) => finite(entry.string()?.bytes())?,
        None => LongDouble::ZERO,
    };
    let sum = old.add(increment);
    let (new, applies) = match sum {
        Some(sum) if sum.compare(lowest) == Ordering::Less => (lowest, options.saturates),
        Some(sum) if sum.compare(highest) == Ordering::Greater => (highest, options.saturates),
        Some(sum) => (sum, true),
        None if increment.compare(LongDouble::ZERO).is_lt() => (lowest, options.saturates),
        None => (highest, options.saturates),
    };
    let new = if applies { new } else { old };
    let applied = new.add(old.negated()).ok_or(Refusal::NOT_FINITE)?;
    if applies {
        write(call, key, new.text().as_bytes());
    }
    call.output.array(2);
    call.output.double(new.to_double());
    call.output.double(applied.to_double());
    Ok(applies)
}

fn write(call: &mut Call<'_, '_>, key: &Key<'_>, value: &[u8]) {
    let access = call.keyspace.untraced_access();
    call.keyspace.shard(key).set(key, value, Lifetime::Keep, &access);
}

fn bounds_crossed() -> Refusal {
    Refusal::new("ERR LBOUND can't be greater than UBOUND")
}

#[derive(Clone, Copy)]
enum Increment {
    Integer(i64),
    Float(LongDouble),
}

/// The options.  Unlike those of SET, none may be given twice.
struct Options<'a> {
    increment: Increment,
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    saturates: bool,
    expiry: ExpiryOption<'a>,
    only_if_eternal: bool,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a, '_>) -> Result<Options<'a>, Refusal> {
        let (mut integer, mut float, mut lower, mut upper) = (None, None, None, None);
        let (mut saturates, mut only_if_eternal) = (false, false);
        let mut expiry = ExpiryOption::Unsaid;
        let mut words = call.arguments.from(2).iter();
        while let Some(word) = words.next() {
            let named = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if named("BYINT") {
                say(&mut integer, words.next())?;
            } else if named("BYFLOAT") {
                say(&mut float, words.next())?;
            } else if named("LBOUND") {
                say(&mut lower, words.next())?;
            } else if named("UBOUND") {
                say(&mut upper, words.next())?;
            } else if named("SATURATE") && !saturates {
                saturates = true;
            } else if named("ENX") && !only_if_eternal {
                only_if_eternal = true;
            } else if expiry != ExpiryOption::Unsaid
                || !expiry.accept(word, &mut words)?
                || expiry == ExpiryOption::Keep
            {
                return Err(Refusal::SYNTAX);
            }
        }
        if only_if_eternal && expiry == ExpiryOption::Persist {
            return Err(Refusal::SYNTAX);
        }
        let increment = match (integer, float) {
            (Some(_), Some(_)) => return Err(Refusal::SYNTAX),
            (None, None) => Increment::Integer(1),
            (Some(text), None) => Increment::Integer(
                parse_integer(text)
                    .ok_or_else(|| Refusal::new("ERR Increment is not an integer or out of range"))?,
            ),
            (None, Some(text)) => match LongDouble::parse(text) {
                Some(Spelled::Finite(number)) => Increment::Float(number),
                Some(Spelled::Infinite) => return Err(Refusal::NOT_FINITE),
                None => return Err(Refusal::new("ERR Increment is not a valid float")),
            },
        };
        Ok(Options { increment, lower, upper, saturates, expiry, only_if_eternal })
    }
}

/// Fills an option that may be given once.
fn say<'a>(option: &mut Option<&'a [u8]>, value: Option<&'a [u8]>) -> Result<(), Refusal> {
    match (&option, value) {
        (None, Some(_)) => *option = value,
        _ => return Err(Refusal::SYNTAX),
    }
    Ok(())
}
