//! Random records.

use super::*;
use crate::stream::consumer::effect::Cause;

/// A record with everything that it borrows.
pub(super) struct Owned {
    kind: usize,
    numbers: [u64; 8],
    texts: [Vec<u8>; 3],
    name: String,
    set: RoaringTreemap,
    changes: Vec<Change>,
    files: Vec<FileEntry>,
    due: Vec<(u64, i64)>,
    ids: Vec<KnownId>,
    marks: Vec<IdMark>,
    outstanding: Vec<OutstandingMessage>,
    leaving: Vec<Leaving>,
    sequences: Vec<u64>,
}

/// A number with a random count of bits.
fn number(random: &mut Random) -> u64 {
    match random.below(65) {
        0 => 0,
        bits => random.draw() >> (64 - bits),
    }
}

fn signed(random: &mut Random) -> i64 {
    let number = number(random) as i64;
    if random.below(2) == 0 { number } else { number.wrapping_neg() }
}

fn some<T>(random: &mut Random, item: impl Fn(&mut Random) -> T) -> Vec<T> {
    (0..random.below(5)).map(|_| item(random)).collect()
}

fn leaving(random: &mut Random) -> Leaving {
    let cause = [Cause::MaxDeliveries, Cause::Terminated, Cause::Damaged][random.below(3)];
    Leaving { sequence: number(random), deliveries: random.draw() as u32, cause }
}

fn change(random: &mut Random) -> Change {
    let (sequence, consumer_sequence, at) = (number(random), number(random), signed(random));
    let deliveries = number(random) as u32;
    match random.below(9) {
        0 => Change::Delivered { sequence, consumer_sequence, count: deliveries, at },
        1 => Change::Passed { sequence, consumer_sequence },
        2 => Change::Redelivered { sequence, consumer_sequence, deliveries, at },
        3 => Change::Acknowledged { sequence },
        4 => Change::AcknowledgedThrough { sequence },
        5 => Change::Rejected { sequence, deliveries, due: at },
        6 => Change::Exhausted { sequence },
        7 => Change::Leaving(leaving(random)),
        _ => Change::Left { sequence },
    }
}

pub(super) fn random_record(random: &mut Random) -> Owned {
    let mut bytes = || (0..random.below(20)).map(|_| random.draw() as u8).collect();
    let texts = [bytes(), bytes(), bytes()];
    Owned {
        kind: random.below(kind::Kind::ALL.len()),
        numbers: std::array::from_fn(|_| number(random)),
        texts,
        name: ["", "C", "größer"][random.below(3)].to_owned(),
        set: (0..random.below(50)).map(|_| number(random)).collect(),
        changes: some(random, change),
        files: some(random, |random| FileEntry {
            number: number(random),
            length: number(random),
            is_sealed: random.below(2) == 0,
            first: number(random),
            last: number(random),
        }),
        due: some(random, |random| (number(random), signed(random))),
        ids: some(random, |random| KnownId {
            hash: (u128::from(random.draw()) << 64 | u128::from(random.draw())) % KnownId::HASH_END,
            sequence: number(random),
        }),
        marks: some(random, |random| IdMark { time: signed(random), sequence: number(random) }),
        outstanding: some(random, |random| OutstandingMessage {
            sequence: number(random),
            consumer_sequence: number(random),
            deliveries: number(random) as u32,
            due: signed(random),
            is_delayed: random.below(2) == 0,
        }),
        leaving: some(random, leaving),
        sequences: some(random, number),
    }
}

impl Owned {
    pub(super) fn as_record(&self) -> Record<'_> {
        let [stream, consumer, one, two, three, four, five, flags] = self.numbers;
        let (time, created, seed) = (one as i64, two as i64, [three, four]);
        let [definition, text, payload] = &self.texts;
        let (name, sequences) = (self.name.as_str(), Cow::Borrowed(&self.set));
        let is_set = flags % 2 == 1;
        match kind::Kind::ALL[self.kind] {
            kind::Kind::Defined => Record::Defined { stream, created, seed, definition },
            kind::Kind::Deleted => Record::Deleted { stream },
            kind::Kind::Stored => {
                let message =
                    StoredMessage { sequence: five, time, subject: definition, headers: text, payload };
                let left = is_set.then_some(LeftRecord { stream: two, consumer: three, sequence: four });
                Record::Stored { stream, message, left }
            }
            kind::Kind::Removed => {
                let removal = if is_set { Removal::Requested } else { Removal::Ended };
                Record::Removed { stream, sequences, removal }
            }
            kind::Kind::Cleared => Record::Cleared { stream, next: one },
            kind::Kind::Skipped => Record::Skipped { stream, last: one },
            kind::Kind::LastTime => Record::LastTime { stream, time },
            kind::Kind::ConsumerDefined => {
                Record::ConsumerDefined { stream, consumer, created, name, definition }
            }
            kind::Kind::ConsumerDeleted => Record::ConsumerDeleted { stream, consumer },
            kind::Kind::Consumer => {
                Record::Consumer { stream, consumer, changes: Cow::Borrowed(&self.changes) }
            }
            kind::Kind::StreamState => Record::StreamState(StreamState {
                stream,
                created,
                seed,
                first: consumer,
                last: three,
                last_time: time,
                next_file: five,
                last_message_id: text,
                id_marks: Cow::Borrowed(&self.marks),
                definition,
            }),
            kind::Kind::Files => Record::Files { stream, files: Cow::Borrowed(&self.files) },
            kind::Kind::DeletedSequences => Record::DeletedSequences { stream, sequences },
            kind::Kind::Expiry => Record::Expiry { stream, due: Cow::Borrowed(&self.due) },
            kind::Kind::Schedules => Record::Schedules { stream, due: Cow::Borrowed(&self.due) },
            kind::Kind::Lasting => Record::Lasting { stream, sequences },
            kind::Kind::Ids => Record::Ids { stream, ids: Cow::Borrowed(&self.ids) },
            kind::Kind::ConsumerState => {
                let newest_until = is_set.then_some(five);
                let original_until = (flags % 4 > 1).then_some(one);
                let progress = Progress { position: three, delivered: four, newest_until, original_until };
                Record::ConsumerState { stream, consumer, created, name, progress, definition }
            }
            kind::Kind::Outstanding => {
                Record::Outstanding { stream, consumer, messages: Cow::Borrowed(&self.outstanding) }
            }
            kind::Kind::Leaving => {
                Record::Leaving { stream, consumer, messages: Cow::Borrowed(&self.leaving) }
            }
            kind::Kind::Exhausted => {
                Record::Exhausted { stream, consumer, sequences: Cow::Borrowed(&self.sequences) }
            }
            kind::Kind::NextIds => Record::NextIds { stream, consumer },
            kind::Kind::Marks => Record::Marks { is_clean: is_set },
        }
    }
}
