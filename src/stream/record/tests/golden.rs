//! One record of each kind, byte for byte: the format does not change unnoticed.

use super::*;
use crate::stream::consumer::effect::Cause;

/// A record of each kind, in the order of the kinds.
fn one_of_each(check: &mut dyn FnMut(Record<'_>)) {
    let (stream, consumer) = (1, 300);
    let sequences: RoaringTreemap = [2, 3, 1 << 40].into_iter().collect();
    let sequences = || Cow::Borrowed(&sequences);
    let message = StoredMessage {
        sequence: 200,
        time: 1_700_000_000_000_000_000,
        subject: b"a.b",
        headers: b"H",
        payload: b"pay",
    };
    let left = Some(LeftRecord { stream: 4, consumer: 5, sequence: 6 });
    let leaving = Leaving { sequence: 9, deliveries: 3, cause: Cause::Terminated };
    let changes = vec![
        Change::Delivered { sequence: 1, consumer_sequence: 2, count: 3, at: 4 },
        Change::Passed { sequence: 1, consumer_sequence: 2 },
        Change::Redelivered { sequence: 1, consumer_sequence: 2, deliveries: 3, at: -4 },
        Change::Acknowledged { sequence: 1 },
        Change::AcknowledgedThrough { sequence: 128 },
        Change::Rejected { sequence: 1, deliveries: 2, due: 3 },
        Change::Exhausted { sequence: 1 },
        Change::Leaving(Leaving { cause: Cause::MaxDeliveries, ..leaving }),
        Change::Leaving(Leaving { cause: Cause::Damaged, ..leaving }),
        Change::Left { sequence: 1 },
    ];
    let state = StreamState {
        stream,
        created: -1,
        seed: [1, 2],
        first: 3,
        last: 4,
        last_time: 5,
        next_file: 6,
        last_message_id: b"id",
        id_marks: vec![IdMark { time: 7, sequence: 8 }].into(),
        definition: b"{}",
    };
    let progress = Progress { position: 1, delivered: 2, newest_until: None, original_until: Some(3) };
    let file = FileEntry { number: 1, length: 200, is_sealed: true, first: 3, last: 4 };
    let outstanding =
        OutstandingMessage { sequence: 1, consumer_sequence: 2, deliveries: 3, due: -4, is_delayed: true };
    let id = KnownId { hash: KnownId::HASH_END - 2, sequence: 9 };
    let due = || vec![(5, -1), (6, 64)].into();
    check(Record::Defined { stream, created: -1, seed: [1, 2], definition: b"{}" });
    check(Record::Deleted { stream });
    check(Record::Stored { stream, message, left });
    check(Record::Removed { stream, sequences: sequences(), removal: Removal::Ended });
    check(Record::Cleared { stream, next: 500 });
    check(Record::ConsumerDefined { stream, consumer, created: 1, name: "C", definition: b"{}" });
    check(Record::ConsumerDeleted { stream, consumer });
    check(Record::Consumer { stream, consumer, changes: changes.into() });
    check(Record::Skipped { stream, last: 500 });
    check(Record::LastTime { stream, time: -500 });
    check(Record::StreamState(state));
    check(Record::Files { stream, files: vec![file].into() });
    check(Record::DeletedSequences { stream, sequences: sequences() });
    check(Record::Expiry { stream, due: due() });
    check(Record::Schedules { stream, due: due() });
    check(Record::Lasting { stream, sequences: sequences() });
    check(Record::Ids { stream, ids: vec![id].into() });
    check(Record::ConsumerState { stream, consumer, created: 1, name: "C", progress, definition: b"{}" });
    check(Record::Outstanding { stream, consumer, messages: vec![outstanding].into() });
    check(Record::Leaving { stream, consumer, messages: vec![leaving].into() });
    check(Record::Exhausted { stream, consumer, sequences: vec![7, 8].into() });
    check(Record::NextIds { stream, consumer });
    check(Record::Marks { is_clean: true });
}

/// Never to be changed, only added to: journals have records like these.
const GOLDEN: [&str; 23] = [
    "010101010000000000000002000000000000007b7d",
    "0201",
    "0301c80100002a36fe9c9717030101040506612e6248706179",
    "0401010200000000000000000000003a30000001000000000001001000000002000300000100003a3000000100000000000000100000000000",
    "0501f403",
    "0601ac020201437b7d",
    "0701ac02",
    "0801ac0201010203080201020301020307040105800106010206070108090301080903030901",
    "0901f403",
    "0a01e707",
    "2001010100000000000000020000000000000003040a06026964010e087b7d",
    "210101c801010304",
    "22010200000000000000000000003a30000001000000000001001000000002000300000100003a3000000100000000000000100000000000",
    "23010501068001",
    "24010501068001",
    "25010200000000000000000000003a30000001000000000001001000000002000300000100003a3000000100000000000000100000000000",
    "2601feffffffffffffffffffff09",
    "2701ac0202014301020001037b7d",
    "2801ac020102030701",
    "2901ac02090302",
    "2a01ac020708",
    "2b01ac02",
    "2c01",
];

#[test]
fn records_are_written_as_journals_have_them() {
    let (mut found, mut read_back) = (Vec::new(), 0);
    one_of_each(&mut |record| {
        let bytes = record.written();
        found.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        read_back += usize::from(Record::read(&bytes) == Ok(record));
    });
    assert_eq!(found, GOLDEN);
    assert_eq!(read_back, kind::Kind::ALL.len());
    let kinds = found.iter().map(|text| u8::from_str_radix(&text[..2], 16).ok().and_then(kind::Kind::of));
    assert!(kinds.eq(kind::Kind::ALL.map(Some)), "one of each kind, in their order");
}
