//! Commands that wait for keys: for which of them, and for how long.

use std::ops::Range;

use super::long_double::{LongDouble, Spelled};
use crate::command::{Call, Encoder, KeyAction, KeyWait};
use crate::refusal::Refusal;
use crate::store::ValueType;

const MILLISECONDS: f64 = 1000.0;

/// Does an action with the first of the keys that is there, or waits until the deadline for one that holds a value of the type.
///
/// # Errors
/// If one of the keys before holds a value of another type.
pub(super) fn act_or_wait<A: KeyAction>(
    call: &mut Call<'_, '_>,
    keys: Range<usize>,
    (value_type, deadline): (ValueType, Option<u64>),
    mut action: A,
    mut encoder: impl Encoder<A::Answer>,
) -> Result<(), Refusal> {
    for position in keys.clone() {
        let key = call.key(position);
        if let Some(entry) = call.keyspace.find(&key) {
            if entry.parts()?.value_type() != value_type {
                return Err(Refusal::WRONG_TYPE);
            }
            let answer = action.act(&key, call.keyspace);
            encoder.write(answer, call.output, call.continuation);
            return Ok(());
        }
    }
    if !call.may_wait() {
        encoder.write_timeout(call.output);
        return Ok(());
    }
    let keys = keys.map(|position| call.arguments.at(position).into()).collect();
    call.block_on_keys(KeyWait { keys, value_type, deadline }, action, encoder);
    Ok(())
}

/// When the time is over that the argument at `position` gives in seconds, in milliseconds of the server's clock; none
/// for zero, which is for ever.
///
/// # Errors
/// If it is no time.
pub(super) fn deadline(call: &Call<'_, '_>, position: usize) -> Result<Option<u64>, Refusal> {
    let milliseconds = milliseconds(call.arguments.at(position))?;
    let now = call.now().millis();
    let out_of_range = || Refusal::new("ERR timeout is out of range");
    match milliseconds {
        0 => Ok(None),
        _ => now
            .checked_add(milliseconds)
            .filter(|&at| at <= i64::MAX as u64)
            .map(Some)
            .ok_or_else(out_of_range),
    }
}

fn milliseconds(text: &[u8]) -> Result<u64, Refusal> {
    let refusal = |why: &str| Refusal::new(format!("ERR timeout is {why}"));
    let seconds = match LongDouble::parse(text) {
        Some(Spelled::Finite(seconds)) => seconds.to_double(),
        Some(Spelled::Infinite) if text.starts_with(b"-") => f64::NEG_INFINITY,
        Some(Spelled::Infinite) => f64::INFINITY,
        None => return Err(refusal("not a float or out of range")),
    };
    let milliseconds = (seconds * MILLISECONDS).ceil();
    if milliseconds > i64::MAX as f64 {
        return Err(refusal("out of range"));
    }
    if milliseconds < 0.0 {
        return Err(refusal("negative"));
    }
    Ok(milliseconds as u64)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn times_are_seconds_with_a_fraction() {
        let read = |text: &str| milliseconds(text.as_bytes()).map_err(|refusal| refusal.text().to_vec());
        let valid = [
            ("0", 0),
            ("1", 1000),
            ("0.001", 1),
            ("0.0001", 1),
            ("1.5", 1500),
            ("1e2", 100_000),
            ("-0", 0),
            ("-0.0001", 0),
        ];
        for (text, expected) in valid {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        let refused = [
            ("x", "not a float or out of range"),
            ("", "not a float or out of range"),
            (" 1", "not a float or out of range"),
            ("nan", "not a float or out of range"),
            ("-1", "negative"),
            ("-inf", "negative"),
            ("inf", "out of range"),
            ("1e300", "out of range"),
        ];
        for (text, expected) in refused {
            assert_eq!(read(text), Err(format!("ERR timeout is {expected}").into_bytes()), "{text}");
        }
    }
}
