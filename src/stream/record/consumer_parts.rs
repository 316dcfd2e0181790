//! A consumer in as many records as it takes.

use super::{ITEMS_MAX, Progress, Record};
use crate::stream::consumer::record::Snapshot;

/// A consumer's number, and that of its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Named<'n> {
    /// The stream.
    pub stream: u64,
    /// The consumer.
    pub consumer: u64,
    /// Its name.
    pub name: &'n str,
    /// When it was created, in nanoseconds since 1970.
    pub created: i64,
    /// Its definition as JSON.
    pub definition: &'n [u8],
}

/// The records of a consumer for a snapshot.
pub fn consumer_parts<'s>(named: Named<'s>, snapshot: &'s Snapshot) -> impl Iterator<Item = Record<'s>> {
    let Named { stream, consumer, name, created, definition } = named;
    let progress = Progress::of(snapshot);
    let first = Record::ConsumerState { stream, consumer, created, name, progress, definition };
    let outstanding = snapshot.outstanding.chunks(ITEMS_MAX);
    let outstanding =
        outstanding.map(move |part| Record::Outstanding { stream, consumer, messages: part.into() });
    let leaving = snapshot.leaving.chunks(ITEMS_MAX);
    let leaving = leaving.map(move |part| Record::Leaving { stream, consumer, messages: part.into() });
    let exhausted = snapshot.exhausted.chunks(ITEMS_MAX);
    let exhausted = exhausted.map(move |part| Record::Exhausted { stream, consumer, sequences: part.into() });
    std::iter::once(first).chain(outstanding).chain(leaving).chain(exhausted)
}
