//! Direct gets: one message, several, the last of each subject.

use super::super::several::MESSAGES_PER_PIECE;
use super::{Got, Server};

const S: &str = r#"{"name":"S","subjects":["s.>"],"storage":"memory","allow_direct":true}"#;

/// Messages 2, 4, 5 and 6, on `s.1`, `s.0`, `s.1` and `s.2`.
fn filled() -> Server {
    let mut server = Server::with(S);
    server.store(&["s.0", "s.1", "s.2", "s.0", "s.1", "s.2"]);
    for sequence in [1, 3] {
        server.json("STREAM.MSG.DELETE.S", &format!(r#"{{"seq":{sequence}}}"#));
    }
    server
}

/// Sequences with how many were left and which came before, and the end.
fn told(got: &[Got]) -> String {
    let tell = |got: &Got| {
        let of = |name: &str| got.header(name).to_owned();
        let (left, before) = (of("Nats-Num-Pending"), of("Nats-Last-Sequence"));
        match got.status() {
            "NATS/1.0" => format!("{}({left},{before})", of("Nats-Sequence")),
            status => {
                let until = of("Nats-UpTo-Sequence");
                format!("{} {left},{before},{until}", status.trim_start_matches("NATS/1.0 "))
            }
        }
    };
    got.iter().map(tell).collect::<Vec<_>>().join(" ").replace(" ,,", "").trim_end_matches(',').to_owned()
}

#[test]
fn a_stream_that_does_not_allow_it_hears_nothing() {
    let mut server = Server::with(r#"{"name":"N","subjects":["n"],"storage":"memory"}"#);
    for (subject, body) in [
        ("DIRECT.GET.N", r#"{"seq":1}"#),
        ("DIRECT.GET.N", ""),
        ("DIRECT.GET.N.n", ""),
        ("DIRECT.GET.X", r#"{"seq":1}"#),
    ] {
        let got = server.ask(subject, body);
        assert_eq!(got.len(), 1);
        let unheard = format!("NATS/1.0 503\r\nNats-Subject: $JS.API.{subject}\r\n\r\n");
        assert_eq!((&got[0].headers, &*got[0].payload), (&unheard, ""), "{subject} {body}");
    }
}

#[test]
fn one_message_comes_as_it_is() {
    let mut server = filled();
    let got = server.ask("DIRECT.GET.S", r#"{"seq":2}"#);
    assert_eq!(
        (got[0].headers.as_str(), got[0].payload.as_str()),
        (
            "NATS/1.0\r\nNats-Stream: S\r\nNats-Subject: s.1\r\nNats-Sequence: 2\r\nNats-Time-Stamp: 2027-01-15T08:00:00Z\r\n\r\n",
            "m2"
        )
    );
    for (subject, body, sequence) in [
        ("DIRECT.GET.S", r#"{"last_by_subj":"s.*"}"#, "6"),
        ("DIRECT.GET.S", r#"{"seq":3,"next_by_subj":"s.1"}"#, "5"),
        ("DIRECT.GET.S.s.*", "", "6"),
        ("DIRECT.GET.S.s.0", "", "4"),
    ] {
        assert_eq!(server.ask(subject, body)[0].header("Nats-Sequence"), sequence, "{subject} {body}");
    }
    let got = server.ask("DIRECT.GET.S", r#"{"seq":2,"no_hdr":true}"#);
    assert_eq!((got[0].headers.as_str(), got[0].payload.as_str()), ("", "m2"));
    for (subject, body) in [("DIRECT.GET.S", r#"{"seq":3}"#), ("DIRECT.GET.S.s.9", "")] {
        assert_eq!(server.ask(subject, body)[0].headers, "NATS/1.0 404 Message Not Found\r\n\r\n");
    }
    assert_eq!(server.ask("DIRECT.GET.S", "")[0].status(), "NATS/1.0 408 Empty Request");
}

#[test]
fn several_messages_come_with_how_many_are_left() {
    let mut server = filled();
    for (body, expected) in [
        (r#"{"seq":3,"batch":2}"#, "4(2,0) 5(1,4) 204 EOB 1,5"),
        (r#"{"seq":1,"batch":2}"#, "2(3,0) 4(2,2) 204 EOB 2,4"),
        (r#"{"seq":2,"batch":10}"#, "2(3,0) 4(2,2) 5(1,4) 6(0,5) 204 EOB 0,6"),
        (r#"{"seq":2,"batch":4}"#, "2(3,0) 4(2,2) 5(1,4) 6(0,5) 204 EOB 0,6"),
        (r#"{"seq":2,"batch":10,"max_bytes":5}"#, "2(3,0) 204 EOB 3,2"),
        (r#"{"seq":1,"batch":10,"next_by_subj":"s.1"}"#, "2(1,0) 5(0,2) 204 EOB 0,5"),
        (r#"{"next_by_subj":"s.1","batch":1}"#, "2(1,0) 204 EOB 1,2"),
        (r#"{"seq":9,"batch":2}"#, "404 Message Not Found"),
        (r#"{"batch":3,"next_by_subj":"q"}"#, "404 Message Not Found"),
    ] {
        assert_eq!(told(&server.ask("DIRECT.GET.S", body)), expected, "{body}");
    }
}

#[test]
fn the_last_messages_of_subjects_come_together() {
    let mut server = filled();
    for (body, expected) in [
        (r#"{"multi_last":["s.>"]}"#, "4(2,0) 5(1,4) 6(0,5) 204 EOB 0,6,6"),
        (r#"{"multi_last":["s.1","s.0"]}"#, "4(1,0) 5(0,4) 204 EOB 0,5,6"),
        (r#"{"multi_last":["s.>"],"batch":1}"#, "4(2,0) 204 EOB 2,4,6"),
        (r#"{"multi_last":["s.>"],"max_bytes":3}"#, "4(2,0) 204 EOB 2,4,6"),
        (r#"{"multi_last":["s.>"],"seq":5}"#, "5(1,0) 6(0,5) 204 EOB 0,6,6"),
        (r#"{"multi_last":["s.>"],"seq":50}"#, "204 EOB 0,0,6"),
        (r#"{"multi_last":["s.>"],"up_to_seq":4}"#, "2(1,0) 4(0,2) 204 EOB 0,4,4"),
        (r#"{"multi_last":["s.>"],"up_to_seq":1}"#, "404 No Results"),
        (r#"{"multi_last":["q"]}"#, "404 No Results"),
        // Negative limits.
        (r#"{"seq":1,"batch":-1}"#, "204 EOB 4,0"),
        (r#"{"next_by_subj":"s.1","batch":-1}"#, "204 EOB 2,0"),
        (r#"{"seq":1,"batch":2,"max_bytes":-1}"#, "2(3,0) 204 EOB 3,2"),
    ] {
        assert_eq!(told(&server.ask("DIRECT.GET.S", body)), expected, "{body}");
    }
}

#[test]
fn the_last_messages_of_too_many_subjects_are_refused() {
    let mut server = Server::with(S);
    for number in 0..1024 {
        server.publish(&format!("s.{number}"), "", "", "x");
    }
    server.got();
    let got = server.ask("DIRECT.GET.S", r#"{"multi_last":["s.>"]}"#);
    assert_eq!((got.len(), got[1024].status()), (1025, "NATS/1.0 204 EOB"));
    server.store(&["s.more"]);
    let got = server.ask("DIRECT.GET.S", r#"{"multi_last":["s.>"]}"#);
    assert_eq!((got.len(), got[0].headers.as_str()), (1, "NATS/1.0 413 Too Many Results\r\n\r\n"));
}

#[test]
fn many_messages_come_in_pieces_and_in_their_order() {
    let mut server = Server::with(S);
    let count = 3 * MESSAGES_PER_PIECE + 7;
    for number in 0..count {
        server.publish(&format!("s.{}", number % 2), "", "", "x");
    }
    server.got();
    let got = server.ask("DIRECT.GET.S", r#"{"seq":1,"batch":100000}"#);
    assert_eq!(got.len(), count + 1);
    for (number, got) in got[..count].iter().enumerate() {
        assert_eq!(got.header("Nats-Sequence"), (number + 1).to_string());
        assert_eq!(got.header("Nats-Num-Pending"), (count - number - 1).to_string());
    }
    let got = server.ask("DIRECT.GET.S", r#"{"seq":1,"batch":300,"next_by_subj":"s.1"}"#);
    assert_eq!(
        (got.len(), got[299].header("Nats-Sequence"), got[300].header("Nats-Last-Sequence")),
        (301, "600", "600")
    );
}
