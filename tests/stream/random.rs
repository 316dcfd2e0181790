//! Random searches in a stream's files, against a list of its messages.

use std::ops::Bound;

use quartet::random::Random;
use quartet::stream::filter::Filter;
use quartet::stream::segment::{Batch, BatchLimits, Reader, search};
use roaring::RoaringTreemap;

use super::{Message, filled};

const FILTERS: &[&[&str]] =
    &[&[], &["orders.1.*"], &["orders.0.3", "orders.2.>"], &["orders.1.4"], &["other"]];

#[test]
fn searches_find_what_a_list_finds() {
    for seed in 0..20 {
        let (_disk, segments, twin) = filled(seed, 150);
        let mut random = Random::with_seed(seed);
        let last = twin.keys().next_back().copied().unwrap_or_default();
        let deleted: RoaringTreemap =
            (0..random.below(200)).map(|_| random.below(last as usize) as u64).collect();
        for round in 0..50 {
            let filter = Filter::of(FILTERS[round % FILTERS.len()].iter().map(|pattern| pattern.as_bytes()));
            let is_wanted = |subject: &[u8]| filter.matches(subject);
            let from = random.below(last as usize + 3) as u64;
            let stored = twin.iter().filter(|(sequence, _)| !deleted.contains(**sequence));
            let stored =
                stored.filter(|(_, message)| is_wanted(&message.subject)).map(|(sequence, _)| *sequence);
            let (before, behind): (Vec<u64>, Vec<u64>) = stored.partition(|sequence| *sequence < from);
            let files = segments.from(from);
            let counted = search::count(&files, from, &deleted, is_wanted).expect("the disk works");
            assert_eq!(counted, behind.len() as u64);
            let next = search::next(&files, from, &deleted, is_wanted).expect("the disk works");
            assert_eq!(next, behind.first().copied());
            let until = from.saturating_sub(1);
            let last =
                search::last(&segments.until(until), until, &deleted, is_wanted).expect("the disk works");
            assert_eq!(last, before.last().copied());
        }
    }
}

#[test]
fn batches_take_what_is_wanted_and_no_more() {
    for seed in 0..20 {
        let (_disk, segments, twin) = filled(seed, 150);
        let mut random = Random::with_seed(seed);
        let mut batch = Batch::default();
        for round in 0..30 {
            let filter = Filter::of(FILTERS[round % FILTERS.len()].iter().map(|pattern| pattern.as_bytes()));
            let from = random.below(200) as u64;
            let Some(segment) = segments.at_or_behind(from) else { continue };
            let last = segment.summary().last;
            let limits = BatchLimits { messages: 1 + random.below(20), bytes: 1 + random.below(3000) as u64 };
            batch.clear();
            let mut reader = Reader::new(segment, from);
            let wanted = |subject: &[u8]| filter.matches(subject);
            let reached = reader.read_batch(&mut batch, &limits, |message| wanted(message.subject));
            reached.expect("the disk works");
            let range = (Bound::Included(from), Bound::Included(last.max(from)));
            let expected = twin.range(range).filter(|(_, message)| wanted(&message.subject));
            let mut size = 0;
            let expected = expected.take(limits.messages).take_while(|(_, message)| {
                let is_taken = size < limits.bytes;
                let headers = if message.headers.is_empty() { 0 } else { 4 + message.headers.len() };
                size += (30 + message.subject.len() + headers + message.payload.len()) as u64;
                is_taken
            });
            let expected: Vec<(u64, Message)> =
                expected.map(|(at, message)| (*at, message.clone())).collect();
            let found: Vec<_> = batch.messages().map(|message| Message::of(&message)).collect();
            assert_eq!(found, expected, "seed {seed}, round {round}");
        }
    }
}
