//! RL.RESERVE, RL.COMMIT and RL.CANCEL: a cost taken ahead by estimate, and put right once it is known.

use super::check::{decide, demands};
use super::words::Words;
use super::{answer, keys};
use crate::command::{Call, Command, Flags};
use crate::limit::algorithm::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, checked_cost};
use crate::limit::check::{Check, Mode};
use crate::limit::nanos;
use crate::limit::reservations::{Reservation, ReservationId, checked_reservation_span};
use crate::limit::stored::StoredCounters;
use crate::refusal::Refusal;

/// The family's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "rl.reserve",
        syntax: "numchecks policy key cost [policy key cost ...] [TTL milliseconds]",
        summary: "Takes ahead what RL.MCHECK would take, until RL.COMMIT says what was used, RL.CANCEL gives it back, or its \
                  time (a minute unless told otherwise) is over and the policies decide. Returns the id of the \
                  reservation, or null if it was refused, and then what RL.CHECK does.",
        complexity: "O(N) where N is the number of limits.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
        find_keys: Some(keys::of_checks),
        handler: reserve,
        ..super::ROW
    },
    Command {
        name: "rl.commit",
        syntax: "id actual",
        summary: "Ends a reservation: charges or gives back the difference to what was used. Returns 1, or 0 if it had \
                  ended already.",
        complexity: "O(N) where N is the number of limits.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
        find_keys: Some(keys::of_reservation),
        handler: commit,
        ..super::ROW
    },
    Command {
        name: "rl.cancel",
        syntax: "id",
        summary: "Ends a reservation and gives back what was taken. Returns 1, or 0 if it had ended already.",
        complexity: "O(N) where N is the number of limits.",
        flags: Flags::WRITE.union(Flags::FAST).union(Flags::SELF_LOCKING),
        find_keys: Some(keys::of_reservation),
        handler: cancel,
        ..super::ROW
    },
];

/// How long a reservation is open unless its request says otherwise.
const SPAN_DEFAULT: Nanos = 60 * NANOS_PER_SECOND;

fn reserve(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let (services, now) = (call.services, nanos(call.now()));
    let table = services.limits.policies.load();
    let mut words = Words::new(call.arguments.from(1));
    let demands = demands(&mut words, &table)?;
    let span = if words.accept(b"TTL") { checked_reservation_span(words.integer()?)? } else { SPAN_DEFAULT };
    words.end()?;
    services.limits.reservations.check_room()?;
    let check = Check::new(demands, &services.limits, now)?;
    let outcome = decide(call, &check, Mode::Take)?;
    check.count(&outcome, call.slot, &services.limits);
    let summary = check.summary(&outcome);
    if !summary.allowed {
        answer::write_reservation(call.output, None, &summary);
        return Ok(());
    }
    let id = call.random.draw();
    // Other threads may have taken from the counters after this command's time was read and before they were locked: what
    // was taken now is not older than that.
    let now = nanos(services.clock.now());
    let reservation = Reservation::new(&check, &outcome, call.keyspace.database, now, now + span);
    services.reserve(id, reservation);
    answer::write_reservation(call.output, Some((id, span / NANOS_PER_MILLI)), &summary);
    Ok(())
}

fn commit(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let actual = checked_cost(Words::new(call.arguments.from(2)).integer()?)?;
    end(call, actual)
}

fn cancel(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    end(call, 0)
}

fn end(call: &mut Call<'_, '_>, actual: u64) -> Result<(), Refusal> {
    let (services, now) = (call.services, nanos(call.now()));
    let closed = id_of(call.arguments.at(1))
        .and_then(|id| services.limits.reservations.close(id).map(|reservation| (id, reservation)));
    let Some((id, reservation)) = closed else {
        call.output.integer(0);
        return Ok(());
    };
    // The counters may lie in another database than the client has selected by now.
    let selected = std::mem::replace(&mut call.keyspace.database, reservation.database);
    let mut counters = StoredCounters::lock(call.keyspace, reservation.counters());
    let settled = reservation.commit(&mut counters, actual, now);
    call.keyspace.database = selected;
    if let Err(not_a_counter) = settled {
        // It stays, to be ended once the key is out of the way.
        services.reserve(id, reservation);
        return Err(not_a_counter.into());
    }
    services.wake_waiting(reservation.database, reservation.counters());
    call.output.integer(1);
    Ok(())
}

/// The reservation of a name that a client wrote; none if no reservation can have it.
pub(super) fn id_of(text: &[u8]) -> Option<ReservationId> {
    std::str::from_utf8(text).ok().and_then(|text| ReservationId::from_str_radix(text, 16).ok())
}
