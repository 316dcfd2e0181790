//! CL.THROTTLE, as in the Redis module redis-cell: each request states the limit, and the counter is the key itself.

use quartet_protocol::resp::number::parse_integer;

use crate::command::{Call, Command, Flags, Handler, KeyAccess, Keys};
use crate::limit::algorithm::{Gcra, InvalidParameter, checked_cost};
use crate::limit::nanos;
use crate::limit::operation::Throttle;
use crate::limit::service::LockedCounter;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "cl.throttle",
    syntax: "key max-burst count period [quantity]",
    summary: "Takes tokens from a bucket that gets `count` of them back per `period` seconds and holds one more than \
              `max-burst`. Returns whether the request is refused (0 or 1), the limit, the remaining tokens, the seconds \
              until a retry succeeds (-1 if it is allowed) and until all tokens are back. A quantity of 0 only asks.",
    flags: Flags::WRITE.union(Flags::FAST),
    keys: Keys::first(KeyAccess::ReadWriteAccessUpdate),
    handler: Handler::Data(throttle),
    ..super::ROW
}];

fn throttle(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let arguments = call.arguments;
    if arguments.len() > 6 {
        return Err(Refusal::wrong_arity(&call.row.name));
    }
    let number = |position: usize| parse_integer(arguments.at(position)).ok_or(Refusal::NOT_AN_INTEGER);
    let bucket = Gcra::throttle(number(2)?, number(3)?, number(4)?)?;
    let cost = if arguments.len() == 6 {
        checked_cost(number(5)?).map_err(|invalid| InvalidParameter { parameter: "quantity", ..invalid })?
    } else {
        1
    };
    let (now, key) = (nanos(call.now()), call.key(1));
    let mut counter = LockedCounter { keyspace: call.keyspace, key };
    let decision =
        Throttle { key: key.bytes, bucket, cost }.decide(&call.services.limits, &mut counter, now)?;
    let output = &mut *call.output;
    output.array(5);
    output.integer(i64::from(!decision.allowed));
    output.integer(decision.limit as i64);
    output.integer(decision.remaining as i64);
    output.integer(decision.retry_after_seconds());
    output.integer(decision.reset_after_seconds() as i64);
    Ok(())
}
