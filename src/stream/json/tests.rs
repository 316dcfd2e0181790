//! Documents are taken and refused as nats-server takes and refuses them.

use super::{Nanoseconds, Time, members, read_document};

#[derive(Debug, Default, PartialEq)]
struct Inner {
    text: String,
}

members! { Inner, "server.Inner", { "text" => text Always, } }

#[derive(Debug, Default, PartialEq)]
struct Outer {
    count: i64,
    small: i32,
    texts: Vec<String>,
    inner: Inner,
    maybe: Option<Inner>,
    time: Option<Time>,
}

members! { Outer, "server.Outer", {
    "count" => count Always,
    "small" => small IfSet,
    "texts" => texts IfSet,
    "inner" => inner Always,
    "maybe" => maybe IfSet,
    "time" => time IfSet,
} }

fn read(document: &str) -> Result<Outer, String> {
    let (mut outer, mut flag) = (Outer::default(), false);
    let read = read_document(&mut outer, &mut [("flag", &mut flag)], document.as_bytes());
    read.map(|()| outer).map_err(|error| error.description.into_owned())
}

#[test]
fn documents_are_read_and_written() {
    let document =
        r#"{"count":1,"COUNT":-2,"small":null,"texts":["a","é\u0041"],"inner":null,"maybe":{},"flag":true}"#;
    let outer = read(document).expect("it fits");
    assert_eq!(outer.count, -2, "the last of two names counts, and case does not");
    assert_eq!(
        serde_json::to_string(&outer).unwrap(),
        r#"{"count":-2,"texts":["a","éA"],"inner":{"text":""},"maybe":{"text":""}}"#
    );
    assert_eq!(read("null").unwrap(), Outer::default());
    assert_eq!(read(" {} ").unwrap(), Outer::default());
}

#[test]
fn what_does_not_fit_is_refused_with_the_texts_of_nats_server() {
    for (document, text) in [
        ("[]", "json: cannot unmarshal array into Go value of type server.Outer"),
        ("\"a\"", "json: cannot unmarshal string into Go value of type server.Outer"),
        (r#"{"zork":1}"#, r#"json: unknown field "zork""#),
        (r#"{"inner":{"zork":1}}"#, r#"json: unknown field "zork""#),
        (r#"{"count":"1"}"#, "json: cannot unmarshal string into Go struct field Outer.count of type int64"),
        (
            r#"{"count":1e3}"#,
            "json: cannot unmarshal number 1e3 into Go struct field Outer.count of type int64",
        ),
        (
            r#"{"small":3000000000}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field Outer.small of type int32",
        ),
        (r#"{"texts":[1]}"#, "json: cannot unmarshal number into Outer.texts.0 of type string"),
        (
            r#"{"texts":"a"}"#,
            "json: cannot unmarshal string into Go struct field Outer.texts of type []string",
        ),
        (
            r#"{"maybe":{"text":1}}"#,
            "json: cannot unmarshal number into Go struct field Outer.maybe.text of type string",
        ),
        (r#"{"time":"x"}"#, r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#),
        (r#"{"count":1"#, "unexpected EOF"),
    ] {
        assert_eq!(read(document).unwrap_err(), format!("invalid JSON: {text}"), "{document}");
    }
    assert!(read("{\"count\":1}x").is_err());
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&format!("{{\"count\":{}}}", "[".repeat(100_000))).is_err());
}

#[test]
fn times_are_those_of_rfc_3339() {
    for (text, nanoseconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2000-02-29T12:30:45.5Z", 951_827_445_500_000_000),
        ("2026-01-01T01:00:00.123+01:00", 1_767_225_600_123_000_000),
        ("2026-01-01T00:00:00-00:30", 1_767_227_400_000_000_000),
    ] {
        let time = Time::parse(text).expect(text);
        assert_eq!(time.nanoseconds(), nanoseconds, "{text}");
        assert_eq!(time.to_string(), text);
        assert!(Time::from_nanoseconds(nanoseconds).is_at(time));
    }
    assert_eq!(Time::ZERO.to_string(), "0001-01-01T00:00:00Z");
    assert!(Time::parse("0001-01-01T00:00:00Z").unwrap().is_zero());
    assert_eq!(
        Time::parse("2026-01-01T00:00:00.1234567899Z").unwrap().to_string(),
        "2026-01-01T00:00:00.123456789Z"
    );
    for text in [
        "",
        "2026",
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00Zx",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+24:00",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "é026-01-01T00:00:00Z",
        "+026-01-01T00:00:00Z",
    ] {
        assert_eq!(Time::parse(text), None, "{text}");
    }
}

#[test]
fn every_moment_is_written_as_it_is_read() {
    let mut random = crate::random::Random::with_seed(16);
    for _ in 0..20_000 {
        let time = Time::from_nanoseconds(random.draw().cast_signed());
        assert_eq!(Time::parse(&time.to_string()), Some(time), "{time}");
    }
}

#[test]
fn durations_are_written_as_go_writes_them() {
    for (nanoseconds, text) in [
        (0, "0s"),
        (1_500_000_000, "1.5s"),
        (100_000_000, "100ms"),
        (1_500, "1.5µs"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (-1_000_000_000, "-1s"),
    ] {
        assert_eq!(Nanoseconds(nanoseconds).to_string(), text);
    }
}
