//! RL.RESERVE, RL.COMMIT and RL.CANCEL: a cost that is taken by estimate, and corrected once it is known.

use super::check::demands;
use super::words::Words;
use super::{answer, keys, run, run_patiently};
use crate::command::{Call, Command, Flags, Handler};
use crate::limit::algorithm::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, checked_cost};
use crate::limit::operation::{Reserve, Settle};
use crate::limit::reservations::{ReservationId, checked_reservation_span};
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.reserve",
        syntax: "numchecks policy key cost [policy key cost ...] [TTL milliseconds]",
        summary: "Takes what RL.MCHECK would take, and remembers it as a reservation until RL.COMMIT says how much was \
                  used, RL.CANCEL gives it back, or its time (a minute by default) is over and the policies decide. \
                  Returns the id of the reservation (null if it is refused), for how many milliseconds it is open, and \
                  the reply of RL.CHECK.",
        complexity: "O(N) where N is the number of limits.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
        find_keys: Some(keys::of_checks),
        handler: Handler::Data(reserve),
        ..super::ROW
    },
    Command {
        name: "rl.commit",
        syntax: "id actual",
        summary: "Ends a reservation: charges or gives back the difference between the reserved and the used amount. \
                  Returns 1, or 0 if it had ended already.",
        complexity: "O(N) where N is the number of limits.",
        flags: Flags::WRITE.union(Flags::SELF_LOCKING),
        find_keys: Some(keys::of_reservation),
        handler: Handler::Data(commit),
        ..super::ROW
    },
    Command {
        name: "rl.cancel",
        syntax: "id",
        summary: "Ends a reservation and gives everything back. Returns 1, or 0 if it had ended already.",
        complexity: "O(N) where N is the number of limits.",
        flags: Flags::WRITE.union(Flags::SELF_LOCKING),
        find_keys: Some(keys::of_reservation),
        handler: Handler::Data(cancel),
        ..super::ROW
    },
];

/// How long a reservation is open by default.
const SPAN_DEFAULT: Nanos = 60 * NANOS_PER_SECOND;

fn reserve(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mut words = Words::new(call.arguments.from(1));
    let demands = demands(&mut words)?;
    let span = if words.accept(b"TTL") { checked_reservation_span(words.integer()?)? } else { SPAN_DEFAULT };
    words.end()?;
    let id = call.random.draw();
    let table = call.services.limits.policies.load();
    let admission = run(call, &table, Reserve { id, demands: &demands, span })?;
    let reserved = admission.is_allowed().then_some((id, span / NANOS_PER_MILLI));
    answer::write_reservation(call.output, reserved, &admission.summary());
    Ok(())
}

fn commit(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let used = checked_cost(Words::new(call.arguments.from(2)).integer()?)?;
    settle(call, used)
}

fn cancel(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    settle(call, 0)
}

fn settle(call: &mut Call<'_, '_>, used: u64) -> Result<(), Refusal> {
    let was_open = match id_of(call.arguments.at(1)) {
        // It would be open between two attempts, and could end by itself.
        Some(id) => run_patiently(call, &call.services.limits.policies.load(), Settle { id, used })?,
        None => false,
    };
    call.output.integer(i64::from(was_open));
    Ok(())
}

/// The id that a client wrote; none if it can be no reservation's.
pub(super) fn id_of(text: &[u8]) -> Option<ReservationId> {
    std::str::from_utf8(text).ok().and_then(|text| ReservationId::from_str_radix(text, 16).ok())
}
