//! Payloads of DUMP and RESTORE, against encoders written in the plainest way.  That the formats are those of Redis is
//! shown by the tests that exchange payloads with it.

mod checks;
mod damage;
mod naive;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use checks::{read, write};
use naive::Value;

/// More than any string of these tests has.
const LENGTH_MAX: usize = 1 << 20;

/// A string as values have them: integers of all widths, strings around the lengths at which encodings change, and
/// repetitive ones.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..20),
        2 => (any::<i64>(), 0_u32..64).prop_map(|(integer, shift)| (integer >> shift).to_string().into_bytes()),
        1 => prop_oneof![Just(60), Just(120), Just(250), Just(4090), Just(16_370)]
            .prop_flat_map(|length: usize| vec(b'a'..b'c', length..length + 10)),
        1 => (vec(any::<u8>(), 1..5), 1_usize..60).prop_map(|(bytes, times)| bytes.repeat(times)),
    ]
}

fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(text(), 1..12)
}

fn members() -> impl Strategy<Value = Vec<Vec<u8>>> {
    btree_set(text(), 1..12).prop_map(|members| members.into_iter().collect())
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i32>().prop_map(f64::from),
        any::<f64>().prop_filter("scores are numbers", |score| !score.is_nan()),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.1),
    ]
}

fn scored() -> impl Strategy<Value = Vec<(Vec<u8>, f64)>> {
    btree_map(text(), score(), 1..12).prop_map(|members| members.into_iter().collect())
}

fn fields() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    btree_map(text(), text(), 1..12).prop_map(|fields| fields.into_iter().collect())
}

/// Fields that never expire.
fn lasting(fields: &[(Vec<u8>, Vec<u8>)]) -> Value {
    Value::Hash(fields.iter().map(|(field, value)| (field.clone(), value.clone(), None)).collect())
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::String),
        texts().prop_map(Value::List),
        members().prop_map(Value::Set),
        scored().prop_map(Value::SortedSet),
        fields().prop_map(|fields| lasting(&fields)),
    ]
}

/// What a type byte and the pieces behind it are read as.
fn read_pieces(version: u16, code: u8, pieces: &[Vec<u8>]) -> Result<Value, quartet_protocol::rdb::Fault> {
    read(&naive::payload(version, &[vec![code], pieces.concat()].concat()), LENGTH_MAX)
}

fn count(count: usize, bits: u32) -> Vec<u8> {
    naive::length(count as u64, bits)
}

fn borrowed(texts: &[Vec<u8>]) -> Vec<&[u8]> {
    texts.iter().map(Vec::as_slice).collect()
}

/// Members or fields with what belongs to them, one after the other.
fn interleaved(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<&[u8]> {
    pairs.iter().flat_map(|(first, second)| [&first[..], &second[..]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_written_is_read(value in value()) {
        let payload = write(&value);
        prop_assert!(naive::is_payload(&payload));
        prop_assert_eq!(read(&payload, LENGTH_MAX), Ok(value));
    }

    #[test]
    fn a_string_is_read_from_any_encoding(text in text(), version in 1_u16..15, compressed: bool) {
        let pieces = [naive::string(&text, compressed)];
        prop_assert_eq!(read_pieces(version, 0, &pieces), Ok(Value::String(text)));
    }

    #[test]
    fn a_list_is_read_from_any_form(texts in texts(), more in texts(), compressed: bool) {
        let string = |bytes: &[u8]| naive::string(bytes, compressed);
        let expected = Ok(Value::List(texts.clone()));
        let plain: Vec<Vec<u8>> = texts.iter().map(|text| string(text)).collect();
        prop_assert_eq!(&read_pieces(6, 1, &[vec![count(texts.len(), 6)], plain].concat()), &expected);
        prop_assert_eq!(&read_pieces(6, 10, &[string(&naive::ziplist(&borrowed(&texts)))]), &expected);

        let together = Ok(Value::List([&texts[..], &more[..]].concat()));
        let (first, second) = (borrowed(&texts), borrowed(&more));
        // An empty node is passed over, as Redis does.
        let ziplists = [count(3, 14), string(&naive::ziplist(&first)), string(&naive::ziplist(&[])), string(&naive::ziplist(&second))];
        prop_assert_eq!(&read_pieces(9, 14, &ziplists), &together);
        let nodes = [
            vec![count(1 + more.len(), 14), count(2, 6), string(&naive::listpack(&first))],
            more.iter().flat_map(|element| [count(1, 6), string(element)]).collect(),
        ];
        prop_assert_eq!(&read_pieces(10, 18, &nodes.concat()), &together);
    }

    #[test]
    fn a_set_is_read_from_any_form(
        members in members(), integers in btree_set(any::<(i64, u8)>(), 1..20), compressed: bool,
    ) {
        let string = |bytes: &[u8]| naive::string(bytes, compressed);
        let expected = Ok(Value::Set(members.clone()));
        let plain: Vec<Vec<u8>> = members.iter().map(|member| string(member)).collect();
        prop_assert_eq!(&read_pieces(6, 2, &[vec![count(members.len(), 64)], plain].concat()), &expected);
        prop_assert_eq!(&read_pieces(11, 20, &[string(&naive::listpack(&borrowed(&members)))]), &expected);

        let mut integers: Vec<i64> = integers.into_iter().map(|(integer, shift)| integer >> (shift % 64)).collect();
        integers.sort_unstable();
        integers.dedup();
        let texts = integers.iter().map(|integer| integer.to_string().into_bytes()).collect();
        prop_assert_eq!(&read_pieces(6, 11, &[string(&naive::intset(&integers))]), &Ok(Value::Set(texts)));
    }

    #[test]
    fn a_sorted_set_is_read_from_any_form(members in scored(), compressed: bool) {
        let string = |bytes: &[u8]| naive::string(bytes, compressed);
        let expected = Ok(Value::SortedSet(members.clone()));
        let old_score = |score: f64| match score {
            f64::INFINITY => vec![254],
            f64::NEG_INFINITY => vec![255],
            score => {
                let text = format!("{score:e}");
                [vec![text.len() as u8], text.into_bytes()].concat()
            }
        };
        let old = members.iter().flat_map(|(member, score)| [string(member), old_score(*score)]);
        prop_assert_eq!(&read_pieces(3, 3, &[vec![count(members.len(), 6)], old.collect()].concat()), &expected);
        let binary = members.iter().flat_map(|(member, score)| [string(member), score.to_le_bytes().to_vec()]);
        prop_assert_eq!(&read_pieces(8, 5, &[vec![count(members.len(), 32)], binary.collect()].concat()), &expected);

        let text = |score: f64| if score.is_infinite() { format!("{score}") } else { format!("{score:e}") };
        let pairs: Vec<_> =
            members.iter().map(|(member, score)| (member.clone(), text(*score).into_bytes())).collect();
        for (code, bytes) in [(12, naive::ziplist(&interleaved(&pairs))), (17, naive::listpack(&interleaved(&pairs)))] {
            prop_assert_eq!(&read_pieces(10, code, &[string(&bytes)]), &expected, "type {}", code);
        }
    }

    #[test]
    fn a_hash_is_read_from_any_form(fields in fields(), unused in 0_usize..5, compressed: bool) {
        let string = |bytes: &[u8]| naive::string(bytes, compressed);
        let expected = Ok(lasting(&fields));
        let plain: Vec<Vec<u8>> = fields.iter().flat_map(|(field, value)| [string(field), string(value)]).collect();
        prop_assert_eq!(&read_pieces(6, 4, &[vec![count(fields.len(), 6)], plain].concat()), &expected);
        let pairs: Vec<(&[u8], &[u8])> = fields.iter().map(|(field, value)| (&field[..], &value[..])).collect();
        let nested = [
            (9, naive::zipmap(&pairs, unused)),
            (13, naive::ziplist(&interleaved(&fields))),
            (16, naive::listpack(&interleaved(&fields))),
        ];
        for (code, bytes) in nested {
            prop_assert_eq!(&read_pieces(10, code, &[string(&bytes)]), &expected, "type {}", code);
        }
    }

    #[test]
    fn a_hash_whose_fields_expire_is_read_from_any_form(
        fields in fields(), earliest in 1_u64..1 << 40, after in vec(proptest::option::of(0_u64..1 << 40), 12),
    ) {
        let times: Vec<Option<u64>> = after.iter().map(|after| after.map(|after| earliest + after)).collect();
        let expiring: Vec<_> = fields.iter().zip(&times).map(|((field, value), time)| (field.clone(), value.clone(), *time)).collect();
        let expected = Ok(Value::Hash(expiring.clone()));
        let string = |bytes: &[u8]| naive::string(bytes, false);
        let table = |origin: u64| expiring.iter().flat_map(move |(field, value, time)| {
            [naive::length(time.map_or(0, |time| time - origin), 64), string(field), string(value)]
        });
        let (head, length) = (vec![earliest.to_le_bytes().to_vec()], vec![count(fields.len(), 6)]);
        prop_assert_eq!(&read_pieces(12, 22, &[length.clone(), table(0).collect()].concat()), &expected);
        prop_assert_eq!(&read_pieces(12, 24, &[head.clone(), length.clone(), table(earliest - 1).collect()].concat()), &expected);

        let texts: Vec<_> = times.iter().map(|time| time.unwrap_or_default().to_string().into_bytes()).collect();
        let items: Vec<&[u8]> = fields.iter().zip(&texts).flat_map(|((field, value), time)| [&field[..], value, time]).collect();
        let listpack = string(&naive::listpack(&items));
        prop_assert_eq!(&read_pieces(12, 23, std::slice::from_ref(&listpack)), &expected);
        prop_assert_eq!(&read_pieces(12, 25, &[head, vec![listpack]].concat()), &expected);

        let valkey = expiring.iter().flat_map(|(field, value, time)| {
            let time = time.map_or(-1, |time| time as i64);
            [string(field), string(value), time.to_le_bytes().to_vec()]
        });
        prop_assert_eq!(&read_pieces(80, 22, &[length, valkey.collect()].concat()), &expected);
    }
}

#[test]
fn a_nested_encoding_with_more_items_than_its_head_can_tell_is_read() {
    let texts: Vec<Vec<u8>> = (0..70_000).map(|number| number.to_string().into_bytes()).collect();
    let expected = Ok(Value::List(texts.clone()));
    let node = naive::string(&naive::listpack(&borrowed(&texts)), false);
    assert_eq!(read_pieces(10, 18, &[count(1, 6), count(2, 6), node]), expected);
    let node = naive::string(&naive::ziplist(&borrowed(&texts)), false);
    assert_eq!(read_pieces(10, 10, &[node]), expected);
}

/// An item of 16,383 bytes with its head: Redis writes three bytes behind it, and Valkey two.
#[test]
fn the_length_behind_an_item_is_read_as_redis_and_as_valkey_write_it() {
    let cases: [(usize, &[u8]); 3] = [(16_382, &[127, 254]), (16_383, &[0, 255, 255]), (16_383, &[127, 255])];
    for (length, behind) in cases {
        let text = vec![b'y'; length - 5];
        let size = (6 + length + behind.len() + 1) as u32;
        let head = [&size.to_le_bytes()[..], &[1, 0, 0xf0], &(text.len() as u32).to_le_bytes()].concat();
        let node = naive::string(&[&head[..], &text, behind, &[0xff]].concat(), false);
        let read = read_pieces(10, 18, &[count(1, 6), count(2, 6), node]);
        assert_eq!(read, Ok(Value::List(vec![text])), "{length}: {behind:?}");
    }
}

#[test]
fn strings_are_written_as_redis_writes_short_ones() {
    let cases: [(&[u8], &[u8]); 8] = [
        (b"", b"\0\0"),
        (b"hello", b"\0\x05hello"),
        (b"12", b"\0\xc0\x0c"),
        (b"-129", b"\0\xc1\x7f\xff"),
        (b"65536", b"\0\xc2\0\0\x01\0"),
        (b"2147483648", b"\0\x0a2147483648"),
        (b"007", b"\0\x03007"),
        (b"-0", b"\0\x02-0"),
    ];
    for (string, expected) in cases {
        assert_eq!(write(&Value::String(string.to_vec())), naive::payload(10, expected));
    }
}
