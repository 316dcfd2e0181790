//! Replies: `redis-protocol` reads the values that were written, in both versions, however the socket takes the bytes.

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use quartet_protocol::buffer::Buffer;
use quartet_protocol::resp::{Output, ProtocolError, Version};
use redis_protocol::{resp2, resp3};

/// A reply as a command might make it.
#[derive(Clone, Debug)]
enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Shared(Vec<u8>),
    BulkInteger(i64),
    Null,
    NullArray,
    Double(f64),
    Boolean(bool),
    Verbatim(String),
    BigNumber(String),
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Push(Vec<Reply>),
}

fn write(output: &mut Output, reply: &Reply) {
    match reply {
        Reply::Simple(text) => output.simple(text),
        Reply::Error(text) => output.error(text),
        Reply::Integer(value) => output.integer(*value),
        Reply::Bulk(bytes) => output.bulk(bytes),
        Reply::Shared(bytes) => output.bulk_shared(Bytes::copy_from_slice(bytes)),
        Reply::BulkInteger(value) => output.bulk_integer(*value),
        Reply::Null => output.null(),
        Reply::NullArray => output.null_array(),
        Reply::Double(value) => output.double(*value),
        Reply::Boolean(value) => output.boolean(*value),
        Reply::Verbatim(text) => output.verbatim("txt", text),
        Reply::BigNumber(digits) => output.big_number(digits),
        Reply::Array(replies) => {
            output.array(replies.len());
            replies.iter().for_each(|reply| write(output, reply));
        }
        Reply::Map(pairs) => {
            output.map(pairs.len());
            for (key, value) in pairs {
                write(output, key);
                write(output, value);
            }
        }
        Reply::Push(replies) => {
            output.push(replies.len());
            replies.iter().for_each(|reply| write(output, reply));
        }
    }
}

fn frame2(reply: &Reply) -> resp2::types::OwnedFrame {
    use resp2::types::OwnedFrame as Frame;
    match reply {
        Reply::Simple(text) => Frame::SimpleString(text.clone().into_bytes()),
        Reply::Error(text) => Frame::Error(text.clone()),
        Reply::Integer(value) => Frame::Integer(*value),
        Reply::Bulk(bytes) | Reply::Shared(bytes) => Frame::BulkString(bytes.clone()),
        Reply::BulkInteger(value) => Frame::BulkString(value.to_string().into_bytes()),
        Reply::Null | Reply::NullArray => Frame::Null,
        Reply::Double(value) => Frame::BulkString(double(*value).to_vec()),
        Reply::Boolean(value) => Frame::Integer(i64::from(*value)),
        Reply::Verbatim(text) | Reply::BigNumber(text) => Frame::BulkString(text.clone().into_bytes()),
        Reply::Array(replies) | Reply::Push(replies) => Frame::Array(replies.iter().map(frame2).collect()),
        Reply::Map(pairs) => {
            Frame::Array(pairs.iter().flat_map(|(key, value)| [frame2(key), frame2(value)]).collect())
        }
    }
}

fn frame3(reply: &Reply) -> resp3::types::OwnedFrame {
    use resp3::types::OwnedFrame as Frame;
    let attributes = None;
    match reply {
        Reply::Simple(text) => Frame::SimpleString { data: text.clone().into_bytes(), attributes },
        Reply::Error(text) => Frame::SimpleError { data: text.clone(), attributes },
        Reply::Integer(value) => Frame::Number { data: *value, attributes },
        Reply::Bulk(bytes) | Reply::Shared(bytes) => Frame::BlobString { data: bytes.clone(), attributes },
        Reply::BulkInteger(value) => Frame::BlobString { data: value.to_string().into_bytes(), attributes },
        Reply::Null | Reply::NullArray => Frame::Null,
        Reply::Double(value) => Frame::Double { data: *value, attributes },
        Reply::Boolean(value) => Frame::Boolean { data: *value, attributes },
        Reply::Verbatim(text) => Frame::VerbatimString {
            data: text.clone().into_bytes(),
            format: resp3::types::VerbatimStringFormat::Text,
            attributes,
        },
        Reply::BigNumber(digits) => Frame::BigNumber { data: digits.clone().into_bytes(), attributes },
        Reply::Array(replies) => Frame::Array { data: replies.iter().map(frame3).collect(), attributes },
        Reply::Push(replies) => Frame::Push { data: replies.iter().map(frame3).collect(), attributes },
        Reply::Map(pairs) => Frame::Map {
            data: pairs.iter().map(|(key, value)| (frame3(key), frame3(value))).collect(),
            attributes,
        },
    }
}

fn double(value: f64) -> Vec<u8> {
    quartet_protocol::resp::number::double_text(value).to_vec()
}

fn written(output: &Buffer) -> Vec<u8> {
    let bytes = output.parts().collect::<Vec<_>>().concat();
    assert_eq!(bytes.len(), output.len());
    assert_eq!(bytes.is_empty(), output.is_empty());
    assert!(output.parts().all(|part| !part.is_empty()));
    bytes
}

fn output_of(version: Version, replies: &[Reply]) -> Output {
    let mut output = Output::new();
    output.set_version(version);
    replies.iter().for_each(|reply| write(&mut output, reply));
    output
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replies_are_read_by_redis_protocol(replies in vec(reply(), 1..6)) {
        let bytes = written(&output_of(Version::Resp2, &replies));
        let mut rest = &bytes[..];
        for reply in &replies {
            let (frame, length) = resp2::decode::decode(rest).unwrap().unwrap();
            prop_assert_eq!(frame, frame2(reply));
            rest = &rest[length..];
        }
        prop_assert!(rest.is_empty());

        let bytes = written(&output_of(Version::Resp3, &replies));
        let mut rest = &bytes[..];
        for reply in &replies {
            let (frame, length) = resp3::decode::complete::decode(rest).unwrap().unwrap();
            prop_assert_eq!(frame, frame3(reply));
            rest = &rest[length..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn a_socket_may_take_any_number_of_bytes(
        batches in vec(vec(reply(), 0..4), 1..5),
        taken in vec(0usize..3000, 1..10),
    ) {
        let mut queue = Buffer::new();
        let mut scratch = Output::new();
        let mut sent = Vec::new();
        let mut expected = Vec::new();
        let mut taken = taken.into_iter().cycle();
        for batch in &batches {
            expected.extend(written(&output_of(Version::Resp2, batch)));
            batch.iter().for_each(|reply| write(&mut scratch, reply));
            if queue.is_empty() {
                let length = taken.next().unwrap().min(scratch.len());
                sent.extend(&written(&scratch)[..length]);
                queue = scratch.split_off_unwritten(length);
            } else {
                queue.append(&mut scratch);
                let length = taken.next().unwrap().min(queue.len());
                sent.extend(&written(&queue)[..length]);
                queue.advance(length);
            }
            prop_assert!(scratch.is_empty());
        }
        sent.extend(written(&queue));
        queue.advance(queue.len());
        prop_assert!(queue.is_empty());
        prop_assert_eq!(sent, expected);
    }

    #[test]
    fn a_cut_back_output_is_as_before(kept in vec(reply(), 0..4), dropped in vec(reply(), 0..4)) {
        let mut output = output_of(Version::Resp3, &kept);
        let before = written(&output);
        let mark = output.mark();
        dropped.iter().for_each(|reply| write(&mut output, reply));
        output.truncate(mark);
        prop_assert_eq!(written(&output), before);
    }

    #[test]
    fn doubles_read_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let text = double(value);
        let back: f64 = std::str::from_utf8(&text).unwrap().parse().unwrap();
        prop_assert!(back == value || value.is_nan() && back.is_nan());
    }
}

#[test]
fn each_version_has_its_bytes() {
    type Write = fn(&mut Output);
    let table: &[(Write, &str, &str)] = &[
        (|output| output.ok(), "+OK\r\n", "+OK\r\n"),
        (|output| output.simple("PONG"), "+PONG\r\n", "+PONG\r\n"),
        (|output| output.error("ERR a\r\nb\n\r"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
        (|output| output.integer(7), ":7\r\n", ":7\r\n"),
        (|output| output.integer(42), ":42\r\n", ":42\r\n"),
        (|output| output.integer(-1), ":-1\r\n", ":-1\r\n"),
        (|output| output.integer(100), ":100\r\n", ":100\r\n"),
        (|output| output.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
        (|output| output.bulk_integer(-12), "$3\r\n-12\r\n", "$3\r\n-12\r\n"),
        (|output| output.null(), "$-1\r\n", "_\r\n"),
        (|output| output.null_array(), "*-1\r\n", "_\r\n"),
        (|output| output.array(0), "*0\r\n", "*0\r\n"),
        (|output| output.map(2), "*4\r\n", "%2\r\n"),
        (|output| output.set(3), "*3\r\n", "~3\r\n"),
        (|output| output.push(3), "*3\r\n", ">3\r\n"),
        (|output| output.double(3.1), "$3\r\n3.1\r\n", ",3.1\r\n"),
        (|output| output.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n"),
        (|output| output.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n"),
        (|output| output.double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n"),
        (|output| output.boolean(true), ":1\r\n", "#t\r\n"),
        (|output| output.boolean(false), ":0\r\n", "#f\r\n"),
        (|output| output.verbatim("txt", "hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
        (|output| output.big_number("-123"), "$4\r\n-123\r\n", "(-123\r\n"),
        (|output| output.extend(b":1\r\n"), ":1\r\n", ":1\r\n"),
        (|output| output.extend_shared(Bytes::from_static(b":1\r\n")), ":1\r\n", ":1\r\n"),
        (
            |output| output.protocol_error(ProtocolError::InvalidBulkLength),
            "-ERR Protocol error: invalid bulk length\r\n",
            "-ERR Protocol error: invalid bulk length\r\n",
        ),
        (
            |output| output.protocol_error(ProtocolError::ExpectedBulk { found: b'\n' }),
            "-ERR Protocol error: expected '$', got ' '\r\n",
            "-ERR Protocol error: expected '$', got ' '\r\n",
        ),
    ];
    for (index, (write, resp2, resp3)) in table.iter().enumerate() {
        for (version, expected) in [(Version::Resp2, resp2), (Version::Resp3, resp3)] {
            let mut output = Output::new();
            output.set_version(version);
            write(&mut output);
            assert_eq!(String::from_utf8(written(&output)).unwrap(), **expected, "row {index}");
        }
    }
}

#[test]
fn a_long_shared_payload_is_not_copied() {
    let payload = Bytes::from(vec![b'x'; 4096]);
    let mut output = Output::new();
    output.ok();
    output.bulk_shared(payload.clone());
    output.extend_shared(payload.clone());
    let parts: Vec<&[u8]> = output.parts().collect();
    assert_eq!(parts[0], b"+OK\r\n$4096\r\n");
    assert!(std::ptr::eq(parts[1], &payload[..]));
    assert_eq!(parts[2], b"\r\n");
    assert!(std::ptr::eq(parts[3], &payload[..]));
    assert_eq!(parts.len(), 4);
}

fn reply() -> impl Strategy<Value = Reply> {
    let text = "[ -~]{0,20}";
    let leaf = prop_oneof![
        text.prop_map(Reply::Simple),
        "ERR [ -~]{0,20}".prop_map(Reply::Error),
        any::<i64>().prop_map(Reply::Integer),
        (0i64..200).prop_map(Reply::Integer),
        vec(any::<u8>(), 0..200).prop_map(Reply::Bulk),
        vec(any::<u8>(), 900..2000).prop_map(Reply::Shared),
        any::<i64>().prop_map(Reply::BulkInteger),
        Just(Reply::Null),
        Just(Reply::NullArray),
        prop::num::f64::ANY.prop_filter("unequal to itself", |value| !value.is_nan()).prop_map(Reply::Double),
        any::<bool>().prop_map(Reply::Boolean),
        text.prop_map(Reply::Verbatim),
        "-?[1-9][0-9]{0,40}".prop_map(Reply::BigNumber),
    ];
    let tree = leaf.prop_recursive(3, 24, 6, |inner| {
        // A map's keys differ: `redis-protocol` keeps one value for each.
        let pairs = btree_map("[a-z]{1,8}", inner.clone(), 0..4).prop_map(|pairs| {
            pairs.into_iter().map(|(key, value)| (Reply::Bulk(key.into_bytes()), value)).collect()
        });
        prop_oneof![vec(inner, 0..6).prop_map(Reply::Array), pairs.prop_map(Reply::Map),]
    });
    prop_oneof![9 => tree.clone(), 1 => vec(tree, 1..4).prop_map(Reply::Push)]
}
