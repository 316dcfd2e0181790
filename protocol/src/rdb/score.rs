//! The scores of sorted sets.

use super::Fault;
use super::input::Input;

/// First bytes of a score in the old form that stand for themselves; any other is the length of a text.
const NAN: u8 = 253;
const INFINITY: u8 = 254;
const NEGATIVE_INFINITY: u8 = 255;

/// A score as eight bytes.
pub(super) fn binary(input: &mut Input<'_>) -> Result<f64, Fault> {
    ordered(f64::from_le_bytes(input.array()?))
}

/// A score as a length and a text.
pub(super) fn old(input: &mut Input<'_>) -> Result<f64, Fault> {
    match input.byte()? {
        NAN => Err(Fault::Format),
        INFINITY => Ok(f64::INFINITY),
        NEGATIVE_INFINITY => Ok(f64::NEG_INFINITY),
        length => text(input.slice(u64::from(length))?),
    }
}

/// The score that a text is.
pub(super) fn text(text: &[u8]) -> Result<f64, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::Format)?;
    ordered(text.parse().map_err(|_| Fault::Format)?)
}

/// A score that is not a number has no place in an order.
fn ordered(score: f64) -> Result<f64, Fault> {
    if score.is_nan() { Err(Fault::Format) } else { Ok(score) }
}
