//! The WebSocket codec: the examples of the standards, hostile frames, against its naive twin, and cut anywhere.

mod checks;
mod client_frame;
mod naive;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quartet_protocol::buffer::Buffer;
use quartet_protocol::websocket::handshake::{Subprotocol, accept, has_token, offers_compression};
use quartet_protocol::websocket::{
    CloseCode, Deflater, FrameLimits, Inflater, Kind, Utf8Check, Violation, binary, close, message, pong,
};

use checks::{Found, HIGH_LIMITS, Reading, read};
use client_frame::frame;

#[track_caller]
fn check(stream: &[u8], found: Vec<Found>, error: Option<Violation>) {
    let expected = Reading { found, begun: None, error };
    assert_eq!(read([stream], false, &HIGH_LIMITS), expected);
    assert_eq!(read(stream.chunks(1), false, &HIGH_LIMITS), expected, "byte by byte");
}

fn text(bytes: &[u8]) -> Found {
    Found::Message(Kind::Text, false, bytes.to_vec())
}

#[test]
fn examples_of_the_standard() {
    check(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", vec![text(b"Hello")], None);
    check(b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", vec![Found::Ping(b"Hello".to_vec())], None);
    let fragmented = [frame(0x01, b"Hel"), frame(0x80, b"lo")].concat();
    check(&fragmented, vec![text(b"Hello")], None);
    for length in [0, 125, 126, 127, 256, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..length).map(|number: u32| number as u8).collect();
        check(&frame(0x82, &payload), vec![Found::Message(Kind::Binary, false, payload)], None);
    }
}

#[test]
fn control_frames_may_stand_inside_a_message() {
    let stream = [
        frame(0x01, "h\u{e9}".as_bytes().split_at(2).0),
        frame(0x89, b"1"),
        frame(0x00, b""),
        frame(0x8a, b""),
        frame(0x00, "h\u{e9}".as_bytes().split_at(2).1),
        frame(0x80, b"!"),
        frame(0x88, &[&1000u16.to_be_bytes(), "ad\u{e9}".as_bytes()].concat()),
        frame(0x83, b"nobody reads this"),
    ];
    let found = vec![
        Found::Ping(b"1".to_vec()),
        Found::Pong(Vec::new()),
        text("h\u{e9}!".as_bytes()),
        Found::Close(Some(CloseCode::NORMAL)),
    ];
    check(&stream.concat(), found, None);
}

/// Streams of frames that break the protocol, and how.
fn violations() -> Vec<(Vec<u8>, Violation)> {
    let unmasked = |first, second| vec![first, second];
    let mut list = vec![
        (frame(0x90 | 1, b""), Violation::ReservedBits),
        (frame(0xa0 | 1, b""), Violation::ReservedBits),
        (frame(0xc0 | 1, b""), Violation::ReservedBits),
        (frame(0xc0 | 9, b""), Violation::ReservedBits),
        (unmasked(0x81, 0x05), Violation::Unmasked),
        (unmasked(0x88, 0x00), Violation::Unmasked),
        (unmasked(0x82, 0x7f), Violation::Unmasked),
        (frame(0x09, b"a"), Violation::FragmentedControl),
        (frame(0x08, b""), Violation::FragmentedControl),
        (frame(0x89, &[b'x'; 126]), Violation::ControlTooLong),
        (frame(0x88, &[b'x'; 70_000]), Violation::ControlTooLong),
        (frame(0x80, b"a"), Violation::UnexpectedContinuation),
        (frame(0x00, b"a"), Violation::UnexpectedContinuation),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), Violation::UnfinishedMessage),
        ([frame(0x02, b"a"), frame(0x82, b"b")].concat(), Violation::UnfinishedMessage),
        (b"\x82\xfe\x00\x7dMASK".to_vec(), Violation::InvalidLength),
        (b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xffMASK".to_vec(), Violation::InvalidLength),
        (b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffMASK".to_vec(), Violation::InvalidLength),
        (frame(0x88, b"\x03"), Violation::InvalidClose),
        (frame(0x88, b"\x03\xe8\xff"), Violation::InvalidUtf8),
        (frame(0x81, b"\xff"), Violation::InvalidUtf8),
        (frame(0x81, b"\xed\xa0\x80"), Violation::InvalidUtf8),
        (frame(0x81, b"\xf4\x90"), Violation::InvalidUtf8),
        (frame(0x81, b"\xc0\xaf"), Violation::InvalidUtf8),
        (frame(0x81, b"\xe2\x82"), Violation::InvalidUtf8),
        ([frame(0x01, b"\xe2\x82"), frame(0x80, b"(")].concat(), Violation::InvalidUtf8),
        ([frame(0x01, b"\xe2\x82"), frame(0x80, b"")].concat(), Violation::InvalidUtf8),
        // Nothing needs to come behind a wrong byte.
        (frame(0x01, b"\xc1"), Violation::InvalidUtf8),
    ];
    list.extend((3..8).chain(11..16).map(|opcode| (frame(0x80 | opcode, b""), Violation::UnknownOpcode)));
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535] {
        list.push((frame(0x88, &code.to_be_bytes()), Violation::InvalidClose));
    }
    list
}

#[test]
fn hostile_frames_are_refused() {
    for (stream, violation) in violations() {
        let before = [frame(0x81, b"before"), stream].concat();
        check(&before, vec![text(b"before")], Some(violation));
    }
}

#[test]
fn valid_codes_of_closing() {
    check(&frame(0x88, b""), vec![Found::Close(None)], None);
    for number in [1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999] {
        check(&frame(0x88, &number.to_be_bytes()), vec![Found::Close(CloseCode::of(number))], None);
    }
}

#[test]
fn limits_are_met_before_a_payload_comes() {
    let limits = FrameLimits { frame_length: 200, message_length: 300 };
    let head = |first, length| frame(first, &vec![b'x'; length])[..8].to_vec();
    for (stream, error) in [
        (head(0x82, 200), None),
        (head(0x82, 201), Some(Violation::FrameTooLong)),
        ([frame(0x02, &[b'x'; 150]), head(0x00, 150)].concat(), None),
        ([frame(0x02, &[b'x'; 150]), head(0x00, 151)].concat(), Some(Violation::MessageTooLong)),
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffMASK".to_vec(), Some(Violation::FrameTooLong)),
    ] {
        assert_eq!(read([&stream[..]], false, &limits).error, error);
    }
    assert_eq!(Violation::FrameTooLong.code(), CloseCode::TOO_BIG);
}

#[test]
fn two_messages_have_their_limit_each() {
    let limits = FrameLimits { frame_length: 10, message_length: 10 };
    let stream = frame(0x82, &[b'x'; 10]).repeat(3);
    assert_eq!(read([&stream[..]], false, &limits).found.len(), 3);
}

#[test]
fn short_streams_may_be_cut_at_any_two_places() {
    let mut streams: Vec<Vec<u8>> =
        violations().into_iter().map(|(stream, _)| stream).filter(|stream| stream.len() < 100).collect();
    streams.push([frame(0x01, "a\u{20ac}".as_bytes()), frame(0x89, b"p"), frame(0x80, b"b")].concat());
    for stream in &streams {
        let whole = read([&stream[..]], false, &HIGH_LIMITS);
        for second in 0..=stream.len() {
            for first in 0..=second {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(read(pieces, false, &HIGH_LIMITS), whole, "{first} {second}");
            }
        }
    }
}

#[test]
fn frames_of_the_server() {
    let mut output = Buffer::new();
    pong(b"Hello", &mut output);
    close(CloseCode::GOING_AWAY, "bye", &mut output);
    assert_eq!(output.into_bytes(), &b"\x8a\x05Hello\x88\x05\x03\xe9bye"[..]);

    let mut output = Buffer::new();
    close(CloseCode::POLICY, &"\u{e9}".repeat(80), &mut output);
    // A character that does not fit whole is left out.
    assert_eq!(output.into_bytes(), [b"\x88\x7c\x03\xf0", "\u{e9}".repeat(61).as_bytes()].concat());

    for (length, head) in [
        (0, &b"\x81\x00"[..]),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ] {
        let (mut contents, mut output) = (Buffer::new(), Buffer::new());
        contents.extend_shared(Bytes::from(vec![b'x'; length]));
        message(Kind::Text, &mut contents, None, &mut output);
        assert_eq!(output.into_bytes(), [head, &vec![b'x'; length]].concat());
    }
}

#[test]
fn a_stream_is_cut_into_frames_that_clients_take() {
    for length in [0, 1, 65_535, 65_536, 200_000] {
        let (mut stream, mut output) = (Buffer::new(), Buffer::new());
        let bytes: Vec<u8> = (0..length).map(|number: u32| (number / 3) as u8).collect();
        stream.extend(&bytes[..bytes.len() / 2]);
        stream.extend_shared(Bytes::copy_from_slice(&bytes[bytes.len() / 2..]));
        binary(&mut stream, None, &mut output);
        assert!(stream.is_empty());
        let (mut back, mut rest) = (Vec::new(), &output.into_bytes()[..]);
        while let &[first, second, ref behind @ ..] = rest {
            assert_eq!(first, 0x82);
            let (length, behind) = match second {
                126 => (usize::from(u16::from_be_bytes([behind[0], behind[1]])), &behind[2..]),
                short => (usize::from(short), behind),
            };
            back.extend_from_slice(&behind[..length]);
            rest = &behind[length..];
        }
        assert_eq!(back, bytes);
    }
}

/// The examples of RFC 7692, section 7.2.3.
#[test]
fn compressed_examples_of_the_standard() {
    for compressed in [
        &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ] {
        assert_eq!(Inflater::default().inflate(compressed, 5).as_deref(), Ok(&b"Hello"[..]));
    }
    // The second message of that section refers to the first.
    let refused = Inflater::default().inflate(b"\xf2\x00\x11\x00\x00", 5).map(|bytes| bytes.to_vec());
    assert_eq!(refused, Err(Violation::InvalidCompression));
    let stream = frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let reading = read([&stream[..]], true, &HIGH_LIMITS);
    assert_eq!(reading.found, [Found::Message(Kind::Text, true, b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec())]);
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    let mut zeros = Buffer::new();
    zeros.extend(&vec![0; 50 << 20]);
    let bomb = Deflater::default().deflate(&zeros).map(<[u8]>::to_vec).expect("it becomes shorter");
    assert!(bomb.len() < 1 << 20);
    let mut inflater = Inflater::default();
    assert_eq!(inflater.inflate(&bomb, 1 << 20).map(|bytes| bytes.len()), Err(Violation::MessageTooLong));
    assert_eq!(inflater.inflate(&bomb, 50 << 20).map(|bytes| bytes.len()), Ok(50 << 20));
}

#[test]
fn messages_that_gain_nothing_are_not_compressed() {
    let mut deflater = Deflater::default();
    for (length, is_compressed) in [(63, false), (64, true)] {
        let mut contents = Buffer::new();
        contents.extend(&vec![b'x'; length]);
        let mut output = Buffer::new();
        message(Kind::Text, &mut contents, Some(&mut deflater), &mut output);
        assert!(contents.is_empty());
        assert_eq!(output.into_bytes()[0] == 0xc1, is_compressed);
    }
    let mut state = 7u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(1000)
    .collect();
    let mut contents = Buffer::new();
    contents.extend(&noise);
    assert_eq!(deflater.deflate(&contents), None);
}

#[test]
fn the_answer_to_a_key() {
    let answer = accept(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(answer.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for key in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZSE=", "***"] {
        assert_eq!(accept(key.as_bytes()), None, "{key}");
    }
}

#[test]
fn lists_of_the_handshake() {
    assert!(has_token("keep-alive, Upgrade", "upgrade") && has_token("WebSocket", "websocket"));
    assert!(!has_token("upgraded", "upgrade") && !has_token("", "upgrade"));

    assert_eq!(Subprotocol::choose([]), Some(Subprotocol::Bytes));
    assert_eq!(Subprotocol::choose([" , "]), Some(Subprotocol::Bytes));
    assert_eq!(Subprotocol::choose(["mqtt", "stomp, quartet.json"]), Some(Subprotocol::Json));
    assert_eq!(Subprotocol::choose(["mqtt"]), None);
}

#[test]
fn compression_is_agreed_on_without_context_only() {
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
        "permessage-deflate;client_max_window_bits = \"10\"",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "x-webkit-deflate-frame, permessage-deflate",
    ] {
        assert!(offers_compression([offer]), "{offer}");
    }
    for offer in [
        "",
        "permessage-bzip2",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; unknown",
        "permessage-deflate;",
    ] {
        assert!(!offers_compression([offer]), "{offer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_read_as_by_the_naive_twin(input in vec(any::<u8>(), 0..200)) {
        checks::frames_input(&input);
    }

    #[test]
    fn likely_frames_read_as_by_the_naive_twin(stream in likely_stream(), lengths in vec(0u8..40, 0..8)) {
        checks::frames(&stream, &lengths);
    }

    #[test]
    fn texts_are_checked_as_a_whole(pieces in vec(vec(likely_character(), 0..4), 0..5)) {
        let pieces: Vec<Vec<u8>> = pieces.into_iter().map(|piece| piece.concat()).collect();
        let mut check = Utf8Check::default();
        let is_text = pieces.iter().try_for_each(|piece| check.check(piece)).and_then(|()| check.end());
        prop_assert_eq!(is_text.is_ok(), std::str::from_utf8(&pieces.concat()).is_ok());
    }

    #[test]
    fn any_bytes_are_inflated_or_refused(message in vec(any::<u8>(), 0..100), length_max in 0usize..300) {
        checks::inflate(&message, length_max);
    }

    #[test]
    fn any_message_comes_back(part in vec(any::<u8>(), 1..50), times in 1usize..3000) {
        checks::deflate(&part.repeat(times));
    }
}

/// Parts of texts, some of which are no characters.
fn likely_character() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        &b"a"[..],
        b"\xc3",
        b"\xa9",
        b"\xe2\x82",
        b"\xac",
        b"\xf0\x9f",
        b"\x98\x80",
        b"\xff",
    ])
    .prop_map(<[u8]>::to_vec)
}

/// Streams like those of real clients, with a violation now and then.
fn likely_stream() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81u8, 0x82, 0x01, 0x02, 0x00, 0x00, 0x80, 0x80, 0x89, 0x8a, 0xc1, 0x42]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        3 => vec(likely_character(), 0..4).prop_map(|parts| parts.concat()),
        3 => vec(prop::sample::select(vec![b'a', b'b']), 0..12),
        1 => vec(any::<u8>(), 0..200),
    ];
    let fragment = prop_oneof![
        20 => (first, payload).prop_map(|(first, payload)| frame(first, &payload)),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(fragment, 0..8).prop_map(|fragments| fragments.concat())
}
