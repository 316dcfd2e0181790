//! Reservations: a cost that is taken by estimate, and corrected once it is known.
//!
//! A reservation takes its cost from its limits at once, all or nothing, like a check.  A commit charges or gives back the
//! difference to the used amount; a cancellation gives everything back.  A reservation that is not ended in time counts as
//! used, or is given back, as its policy says.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::algorithm::{
    InvalidParameter, Limit, NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos, Numbers, REFILL, StateBytes,
    checked_span,
};
use super::counters::{Counters, NotACounter};
use super::definition::OnExpiry;
use super::persistence::{Persistence, Record, take};
use super::plan::{Outcome, Plan};
use super::policy::CounterName;
use crate::lock_order::{Mutex, rank};

/// The most reservations that can be open at a time.
pub const RESERVATIONS_MAX: usize = 100_000;

/// The longest time a reservation can be open, a day.
pub const RESERVATION_SPAN_MAX: Nanos = 86_400 * NANOS_PER_SECOND;

/// How many reservations are written before the lock is released for others.
const RECORDS_PER_LOCK: usize = 256;

/// Names a reservation.  It is drawn at random, so that no client ends another's by mistake.
pub type ReservationId = u64;

/// A cost that was taken by estimate.
#[derive(PartialEq, Eq, Debug)]
pub struct Reservation {
    /// The database of its counters.
    pub database: usize,
    /// When it was taken.
    pub taken_at: Nanos,
    /// When it ends by itself.
    pub ends_at: Nanos,
    items: Vec<Reserved>,
}

/// The part of a reservation in one limit.
#[derive(PartialEq, Eq, Debug)]
struct Reserved {
    counter: CounterName,
    limit: Limit,
    cost: u64,
    on_expiry: OnExpiry,
}

impl Reservation {
    /// A reservation of the costs that an outcome of a plan took, until `ends_at`.
    pub fn new(
        plan: &Plan<'_>,
        outcome: &Outcome,
        database: usize,
        now: Nanos,
        ends_at: Nanos,
    ) -> Reservation {
        let took = |claim| {
            let mut answers = outcome.answers.iter().filter(|answer| answer.claim == claim);
            answers.all(|answer| answer.decision.allowed)
        };
        let answered = plan.items().iter().zip(&outcome.answers);
        let taken = answered.filter(|(item, _)| item.cost > 0 && took(item.claim));
        let reserved = taken.filter_map(|(item, answer)| Some((item, item.counted_at(answer)?)));
        let reserved = reserved.map(|(item, counter)| Reserved {
            counter: counter.clone(),
            limit: item.limit,
            cost: item.cost,
            on_expiry: plan.claims()[item.claim].policy.map_or(OnExpiry::Keep, |policy| policy.on_expiry()),
        });
        Reservation { database, taken_at: now, ends_at, items: reserved.collect() }
    }

    /// Writes it over `bytes`, to be stored:
    ///
    /// ```text
    /// u32 database, u64 taken at, u64 ends at, then for each limit that was taken from:
    /// u8 algorithm, u8 on change, u64 count, u64 span, with refill u64 back (see Numbers), u64 cost, u8 on expiry (0 keep, 1 refund),
    /// u32 length, counter
    /// ```
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend_from_slice(&(self.database as u32).to_le_bytes());
        bytes.extend_from_slice(&self.taken_at.to_le_bytes());
        bytes.extend_from_slice(&self.ends_at.to_le_bytes());
        for item in &self.items {
            let Numbers { algorithm, on_change, count, span, back } = item.limit.numbers();
            bytes.extend_from_slice(&[algorithm, on_change]);
            let back = (algorithm == REFILL).then_some(back);
            for number in [count, span].into_iter().chain(back).chain([item.cost]) {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.push(match item.on_expiry {
                OnExpiry::Keep => 0,
                OnExpiry::Refund => 1,
            });
            bytes.extend_from_slice(&(item.counter.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&item.counter);
        }
    }

    /// Reads it back; none if the bytes are no reservation.
    pub fn decode(mut bytes: &[u8]) -> Option<Reservation> {
        let rest = &mut bytes;
        let database = u32::from_le_bytes(take(rest)?) as usize;
        let (taken_at, ends_at) = (u64::from_le_bytes(take(rest)?), u64::from_le_bytes(take(rest)?));
        let mut items = Vec::new();
        while !rest.is_empty() {
            let [algorithm, on_change] = take(rest)?;
            let (count, span) = (u64::from_le_bytes(take(rest)?), u64::from_le_bytes(take(rest)?));
            let back = if algorithm == REFILL { u64::from_le_bytes(take(rest)?) } else { 0 };
            let cost = u64::from_le_bytes(take(rest)?);
            let on_expiry = match take(rest)? {
                [0] => OnExpiry::Keep,
                [1] => OnExpiry::Refund,
                _ => return None,
            };
            let length = u32::from_le_bytes(take(rest)?) as usize;
            let (counter, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            let limit = Limit::of_numbers(Numbers { algorithm, on_change, count, span, back })?;
            items.push(Reserved { counter: CounterName::from_slice(counter), limit, cost, on_expiry });
        }
        Some(Reservation { database, taken_at, ends_at, items })
    }

    /// Its counters, which have to be locked to end it.
    pub fn counters(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().map(|item| &*item.counter)
    }

    /// Corrects the cost: `actual` was used of each limit.
    ///
    /// # Errors
    /// If the key of a counter holds a value of another kind; nothing is corrected then.
    pub fn commit(&self, counters: &mut impl Counters, actual: u64, now: Nanos) -> Result<(), NotACounter> {
        counters.check_kinds(self.counters())?;
        self.items.iter().try_for_each(|item| self.settle(item, counters, actual, now))
    }

    /// Gives everything back.
    ///
    /// # Errors
    /// If the key of a counter holds a value of another kind; nothing is given back then.
    pub fn cancel(&self, counters: &mut impl Counters, now: Nanos) -> Result<(), NotACounter> {
        self.commit(counters, 0, now)
    }

    /// Ends it as its policies say, since its time is over.
    ///
    /// # Errors
    /// If the key of a counter holds a value of another kind.
    pub fn expire(&self, counters: &mut impl Counters, now: Nanos) -> Result<(), NotACounter> {
        let refunded = self.items.iter().filter(|item| item.on_expiry == OnExpiry::Refund);
        refunded.into_iter().try_for_each(|item| self.settle(item, counters, 0, now))
    }

    fn settle(
        &self,
        item: &Reserved,
        counters: &mut impl Counters,
        actual: u64,
        now: Nanos,
    ) -> Result<(), NotACounter> {
        let state = counters.state(&item.counter)?;
        if !state.is_empty() && !item.limit.wrote(state) {
            // The policy has another algorithm now, which does not know costs of the former one.
            return Ok(());
        }
        let mut changed = StateBytes::new();
        let kept_for = match actual.checked_sub(item.cost) {
            Some(0) => return Ok(()),
            Some(more) => item.limit.charge(state, more, now, &mut changed),
            // A counter that has expired has nothing to give back.
            None if state.is_empty() => return Ok(()),
            None => item.limit.refund(state, item.cost - actual, self.taken_at, now, &mut changed),
        };
        counters.keep(&item.counter, &changed, kept_for);
        if actual < item.cost {
            counters.note_decrease(&item.counter);
        }
        Ok(())
    }
}

/// The open reservations.
pub struct Reservations {
    open: Mutex<Open, { rank::LIMIT_RESERVATIONS }>,
    persistence: Arc<Persistence>,
}

#[derive(Default)]
struct Open {
    by_id: HashMap<ReservationId, Reservation>,
    by_end: BTreeSet<(Nanos, ReservationId)>,
    /// The ids whose state is not written: opened and not written yet, or ended and still written as open.
    changed: HashSet<ReservationId>,
}

impl Reservations {
    /// No reservations; `persistence` keeps those to come.
    pub(super) fn new(persistence: Arc<Persistence>) -> Reservations {
        Reservations { open: Mutex::default(), persistence }
    }

    /// Checks that there is room for one more, before anything is taken.
    ///
    /// # Errors
    /// If too many are open.
    pub fn check_room(&self) -> Result<(), InvalidParameter> {
        let open = self.open.lock().by_id.len();
        if open < RESERVATIONS_MAX {
            return Ok(());
        }
        let (value, allowed) = (open.to_string(), format!("less than {RESERVATIONS_MAX}"));
        Err(InvalidParameter { parameter: "the number of open reservations", value, allowed })
    }

    /// Opens a reservation under its id.
    pub fn open(&self, id: ReservationId, reservation: Reservation) {
        let mut open = self.open.lock();
        if self.persistence.is_on() {
            open.changed.insert(id);
        }
        open.put(id, reservation);
    }

    /// Opens the reservations of an earlier server.
    pub fn restore(&self, reservations: impl Iterator<Item = (ReservationId, Reservation)>) {
        let mut open = self.open.lock();
        reservations.for_each(|(id, reservation)| open.put(id, reservation));
    }

    /// The counters of a reservation; none if it has ended, or never was.
    pub fn counters_of(&self, id: ReservationId) -> Vec<CounterName> {
        let open = self.open.lock();
        let reserved = open.by_id.get(&id).map_or(&[][..], |reservation| &reservation.items);
        reserved.iter().map(|reserved| reserved.counter.clone()).collect()
    }

    /// Follows a swap of two databases, with the counters that reservations were taken from.
    pub fn swap_databases(&self, first: usize, second: usize) {
        for reservation in self.open.lock().by_id.values_mut() {
            if reservation.database == first {
                reservation.database = second;
            } else if reservation.database == second {
                reservation.database = first;
            }
        }
    }

    /// Takes a reservation out, to end it; none if it has ended, or never was.
    pub fn close(&self, id: ReservationId) -> Option<Reservation> {
        let mut open = self.open.lock();
        let reservation = open.by_id.remove(&id)?;
        open.by_end.remove(&(reservation.ends_at, id));
        open.note_end(id, &self.persistence);
        Some(reservation)
    }

    /// Takes out a reservation whose time is over.
    pub fn close_due(&self, now: Nanos) -> Option<(ReservationId, Reservation)> {
        let mut open = self.open.lock();
        let (_, id) = open.by_end.first().copied().filter(|(ends_at, _)| *ends_at <= now)?;
        open.by_end.pop_first();
        open.note_end(id, &self.persistence);
        Some((id, open.by_id.remove(&id)?))
    }

    /// When the next one ends by itself.
    pub fn next_end(&self) -> Option<Nanos> {
        self.open.lock().by_end.first().map(|(ends_at, _)| *ends_at)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.lock().by_id.len()
    }

    /// Whether the state of a reservation is not written.
    pub fn has_changed(&self) -> bool {
        !self.open.lock().changed.is_empty()
    }

    /// Takes the ids of reservations whose state is not written, to be written now.
    pub fn take_changed(&self) -> Vec<ReservationId> {
        std::mem::take(&mut self.open.lock().changed).into_iter().collect()
    }

    /// Takes the ids of reservations that are written as open but have ended, to be written now.
    pub fn take_ended(&self) -> Vec<ReservationId> {
        let Open { by_id, changed, .. } = &mut *self.open.lock();
        changed.extract_if(|id| !by_id.contains_key(id)).collect()
    }

    /// The ids of the reservations that are open and written.  One that was opened since the last write is left out: if a
    /// snapshot had it, its end would never be written.
    pub fn written(&self) -> Vec<ReservationId> {
        let Open { by_id, changed, .. } = &*self.open.lock();
        by_id.keys().filter(|id| !changed.contains(id)).copied().collect()
    }

    /// The `ids` that have ended.
    pub fn ended(&self, ids: &[ReservationId]) -> Vec<ReservationId> {
        let open = self.open.lock();
        ids.iter().filter(|id| !open.by_id.contains_key(id)).copied().collect()
    }

    /// Gives `write` the state of these reservations, as records.
    pub fn each_record(&self, ids: &[ReservationId], mut write: impl FnMut(Record<'_>)) {
        let mut bytes = Vec::new();
        for ids in ids.chunks(RECORDS_PER_LOCK) {
            let open = self.open.lock();
            for &id in ids {
                match open.by_id.get(&id) {
                    Some(reservation) => {
                        reservation.encode(&mut bytes);
                        write(Record::Reserved { id, reservation: &bytes });
                    }
                    None => write(Record::Ended { id }),
                }
            }
        }
    }
}

impl Open {
    fn put(&mut self, id: ReservationId, reservation: Reservation) {
        self.by_end.insert((reservation.ends_at, id));
        if let Some(other) = self.by_id.insert(id, reservation) {
            self.by_end.remove(&(other.ends_at, id));
        }
    }

    /// Notes that a reservation has ended.  If it was never written, nothing has to be written.
    fn note_end(&mut self, id: ReservationId, persistence: &Persistence) {
        if persistence.is_on() && !self.changed.remove(&id) {
            self.changed.insert(id);
        }
    }
}

/// A time that a reservation may be open.
///
/// # Errors
/// If it is not allowed.
pub fn checked_reservation_span(millis: i64) -> Result<Nanos, InvalidParameter> {
    let span = checked_span("ttl", millis).ok();
    span.filter(|span| *span <= RESERVATION_SPAN_MAX).ok_or_else(|| {
        let longest = RESERVATION_SPAN_MAX / NANOS_PER_MILLI;
        let allowed = format!("1 to {longest} milliseconds (a day)");
        InvalidParameter { parameter: "ttl", value: millis.to_string(), allowed }
    })
}
