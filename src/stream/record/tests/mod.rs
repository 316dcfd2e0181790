//! Records are read back as they were written, and malformed ones are refused.

mod golden;
mod values;

use super::*;
use crate::random::Random;

use values::random_record;

#[test]
fn records_are_read_back_as_they_were() {
    let mut random = Random::with_seed(31);
    let mut seen = [false; 256];
    for _ in 0..20_000 {
        let record = random_record(&mut random);
        let bytes = record.as_record().written();
        seen[usize::from(bytes[0])] = true;
        assert_eq!(Record::read(&bytes), Ok(record.as_record()));
    }
    assert_eq!(seen.iter().filter(|is_seen| **is_seen).count(), kind::Kind::ALL.len());
}

#[test]
fn cut_and_changed_records_make_no_trouble() {
    let mut random = Random::with_seed(32);
    let mut errors = 0_u64;
    for _ in 0..2_000 {
        let record = random_record(&mut random);
        let bytes = record.as_record().written();
        for end in 0..bytes.len() {
            errors += u64::from(read_again(&bytes[..end]).is_err());
        }
        let mut changed = bytes;
        for _ in 0..8 {
            let (at, bit) = (random.below(changed.len()), random.below(8));
            changed[at] ^= 1 << bit;
            errors += u64::from(read_again(&changed).is_err());
        }
    }
    for _ in 0..50_000 {
        let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.draw() as u8).collect();
        let _ = read_again(&bytes);
        let known = [&[kind::Kind::ALL[random.below(kind::Kind::ALL.len())] as u8], &bytes[..]].concat();
        errors += u64::from(read_again(&known).is_err());
    }
    assert!(errors > 10_000, "{errors}");
}

/// What can be read is a value like any other: it is written and read again.
fn read_again(bytes: &[u8]) -> Result<(), Unreadable> {
    let record = Record::read(bytes)?;
    let written = record.written();
    assert_eq!(Record::read(&written).as_ref(), Ok(&record));
    Ok(())
}

#[test]
fn a_message_is_not_copied() {
    let payload = vec![7; 1000];
    let message = StoredMessage { sequence: 5, time: 6, subject: b"a.b", headers: b"", payload: &payload };
    let record = Record::Stored { stream: 1, message, left: None };
    let mut head = b"something else".to_vec();
    let parts = record.parts(&mut head);
    assert_eq!(parts[3].as_ptr(), payload.as_ptr());
    assert!(parts[0].len() <= STORED_HEAD_MAX);
    let bytes = parts.concat();
    let Ok(Record::Stored { message: read, .. }) = Record::read(&bytes) else { panic!("it is stored") };
    assert!(bytes.as_ptr_range().contains(&read.payload.as_ptr()));
}

#[test]
fn the_head_of_a_message_has_a_longest_length() {
    let left = Some(LeftRecord { stream: u64::MAX, consumer: u64::MAX, sequence: u64::MAX });
    let message =
        StoredMessage { sequence: u64::MAX, time: i64::MIN, subject: b"", headers: b"", payload: b"" };
    let bytes = Record::Stored { stream: u64::MAX, message, left }.written();
    // The lengths, which are short here, take ten bytes at most.
    assert_eq!(bytes.len() + 2 * 9, STORED_HEAD_MAX);
}

#[test]
fn an_acknowledgement_takes_few_bytes() {
    let changes = vec![Change::Acknowledged { sequence: 1_000_000 }];
    let record = Record::Consumer { stream: 100, consumer: 1_000, changes: changes.into() };
    assert!(record.written().len() <= 16);
}

#[test]
fn a_record_of_a_later_version_is_named() {
    assert_eq!(Record::read(b""), Err(Unreadable::Empty));
    assert_eq!(Record::read(&[200, 1]), Err(Unreadable::Unknown(200)));
    let text = Unreadable::Unknown(200).to_string();
    assert!(text.contains("kind 200") && text.contains("later"), "{text}");
    assert_eq!(Record::read(&[2, 1, 0]), Err(Unreadable::Malformed(2)));
}

#[test]
fn lists_have_a_limit() {
    let sequences: Vec<u64> = vec![1; ITEMS_MAX];
    let full = Record::Exhausted { stream: 1, consumer: 2, sequences: sequences.into() };
    let mut bytes = full.written();
    assert_eq!(Record::read(&bytes), Ok(full));
    bytes.push(1);
    assert_eq!(Record::read(&bytes), Err(Unreadable::Malformed(42)));
    // Items that take as much room as they can still leave most of a record free.
    let longest = OutstandingMessage {
        sequence: u64::MAX,
        consumer_sequence: u64::MAX,
        deliveries: u32::MAX,
        due: i64::MIN,
        is_delayed: true,
    };
    let one = Record::Outstanding { stream: 1, consumer: 1, messages: vec![longest].into() }.written().len();
    assert!(one * ITEMS_MAX < crate::journal::RECORD_MAX / 2);
}

#[test]
fn a_consumer_comes_back_from_its_parts() {
    let mut random = Random::with_seed(33);
    let outstanding = |sequence| OutstandingMessage {
        sequence,
        consumer_sequence: sequence + 1,
        deliveries: 2,
        due: -(sequence as i64),
        is_delayed: sequence % 2 == 0,
    };
    for count in [0, 1, ITEMS_MAX as u64, ITEMS_MAX as u64 + 1] {
        let snapshot = Snapshot {
            position: random.draw(),
            newest_until: Some(7),
            outstanding: (1..=count).map(outstanding).collect(),
            exhausted: (1..=count / 2).collect(),
            ..Snapshot::default()
        };
        let named = Named { stream: 3, consumer: 4, name: "C", created: -5, definition: b"{}" };
        let mut restored = Snapshot::default();
        for part in consumer_parts(named, &snapshot) {
            match Record::read(&part.written()).expect("it is one") {
                Record::ConsumerState { progress, name: "C", created: -5, definition: b"{}", .. } => {
                    restored = progress.snapshot();
                }
                Record::Outstanding { messages, .. } => restored.outstanding.extend(&*messages),
                Record::Exhausted { sequences, .. } => restored.exhausted.extend(&*sequences),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(restored, snapshot);
    }
}
