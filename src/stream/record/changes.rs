//! The changes of a consumer: a byte that says which, then its numbers.
//!
//! | change | after the byte |
//! |---|---|
//! | 1 delivered | sequence, consumer sequence, count, when |
//! | 2 passed | sequence, consumer sequence |
//! | 3 redelivered | sequence, consumer sequence, deliveries, when |
//! | 4 acknowledged, 5 acknowledged through | sequence |
//! | 6 rejected | sequence, deliveries, due |
//! | 7 exhausted | sequence |
//! | 8 leaving | sequence, deliveries, cause |
//! | 9 left | sequence |

use super::fields::{Fields, Writer};
use crate::stream::consumer::effect::Cause;
use crate::stream::consumer::record::{Leaving, Record as Change};

/// Bytes of the shortest change.
pub(super) const LENGTH_MIN: usize = 2;

const DELIVERED: u8 = 1;
const PASSED: u8 = 2;
const REDELIVERED: u8 = 3;
const ACKNOWLEDGED: u8 = 4;
const ACKNOWLEDGED_THROUGH: u8 = 5;
const REJECTED: u8 = 6;
const EXHAUSTED: u8 = 7;
const LEAVING: u8 = 8;
const LEFT: u8 = 9;

const MAX_DELIVERIES: u8 = 1;
const TERMINATED: u8 = 2;
const DAMAGED: u8 = 3;

pub(super) fn put(change: &Change, writer: &mut Writer<'_>) {
    match *change {
        Change::Delivered { sequence, consumer_sequence, count, at } => {
            writer.byte(DELIVERED).number(sequence).number(consumer_sequence).number(count.into()).signed(at)
        }
        Change::Passed { sequence, consumer_sequence } => {
            writer.byte(PASSED).number(sequence).number(consumer_sequence)
        }
        Change::Redelivered { sequence, consumer_sequence, deliveries, at } => writer
            .byte(REDELIVERED)
            .number(sequence)
            .number(consumer_sequence)
            .number(deliveries.into())
            .signed(at),
        Change::Acknowledged { sequence } => writer.byte(ACKNOWLEDGED).number(sequence),
        Change::AcknowledgedThrough { sequence } => writer.byte(ACKNOWLEDGED_THROUGH).number(sequence),
        Change::Rejected { sequence, deliveries, due } => {
            writer.byte(REJECTED).number(sequence).number(deliveries.into()).signed(due)
        }
        Change::Exhausted { sequence } => writer.byte(EXHAUSTED).number(sequence),
        Change::Leaving(leaving) => {
            put_leaving(&leaving, writer.byte(LEAVING));
            writer
        }
        Change::Left { sequence } => writer.byte(LEFT).number(sequence),
    };
}

pub(super) fn take(fields: &mut Fields<'_>) -> Option<Change> {
    let kind = fields.byte()?;
    if kind == LEAVING {
        return take_leaving(fields).map(Change::Leaving);
    }
    let sequence = fields.number()?;
    Some(match kind {
        DELIVERED => Change::Delivered {
            sequence,
            consumer_sequence: fields.number()?,
            count: fields.short()?,
            at: fields.signed()?,
        },
        PASSED => Change::Passed { sequence, consumer_sequence: fields.number()? },
        REDELIVERED => Change::Redelivered {
            sequence,
            consumer_sequence: fields.number()?,
            deliveries: fields.short()?,
            at: fields.signed()?,
        },
        ACKNOWLEDGED => Change::Acknowledged { sequence },
        ACKNOWLEDGED_THROUGH => Change::AcknowledgedThrough { sequence },
        REJECTED => Change::Rejected { sequence, deliveries: fields.short()?, due: fields.signed()? },
        EXHAUSTED => Change::Exhausted { sequence },
        LEFT => Change::Left { sequence },
        _ => return None,
    })
}

pub(super) fn put_leaving(leaving: &Leaving, writer: &mut Writer<'_>) {
    let cause = match leaving.cause {
        Cause::MaxDeliveries => MAX_DELIVERIES,
        Cause::Terminated => TERMINATED,
        Cause::Damaged => DAMAGED,
    };
    writer.number(leaving.sequence).number(leaving.deliveries.into()).byte(cause);
}

pub(super) fn take_leaving(fields: &mut Fields<'_>) -> Option<Leaving> {
    let (sequence, deliveries) = (fields.number()?, fields.short()?);
    let cause = match fields.byte()? {
        MAX_DELIVERIES => Cause::MaxDeliveries,
        TERMINATED => Cause::Terminated,
        DAMAGED => Cause::Damaged,
        _ => return None,
    };
    Some(Leaving { sequence, deliveries, cause })
}
