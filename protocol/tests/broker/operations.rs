//! The parser of operations, against a table.

use quartet_protocol::broker::{Limits, Malformation, Operation, Parser, Publication, Step};

fn publication<'a>(subject: &'a str, reply: &'a str, headers: &'a str, payload: &'a str) -> Operation<'a> {
    let [subject, reply, headers, payload] = [subject, reply, headers, payload].map(str::as_bytes);
    Operation::Publish(Publication { subject, reply, headers, payload, has_headers: !headers.is_empty() })
}

fn check(input: &str, operation: Operation<'_>) {
    let consumed = input.len();
    let whole = Parser::new().next(input.as_bytes(), &Limits::default());
    assert_eq!(whole, Step::Operation { operation, consumed }, "{input:?}");
    let mut parser = Parser::new();
    for end in 0..consumed {
        let step = parser.next(&input.as_bytes()[..end], &Limits::default());
        assert!(matches!(step, Step::NeedMore { .. }), "{input:?} up to {end}: {step:?}");
    }
    assert_eq!(parser.next(input.as_bytes(), &Limits::default()), whole, "{input:?}, byte by byte");
    assert!(!parser.is_partial());
}

#[test]
fn operations_are_read() {
    check("PUB orders 5\r\nhello\r\n", publication("orders", "", "", "hello"));
    check("pub\torders  answers \t5 \nhello\n", publication("orders", "answers", "", "hello"));
    check("PUB orders 0\r\n\r\n", publication("orders", "", "", ""));
    check("HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", publication("a", "", "NATS/1.0\r\n\r\n", "hi"));
    check("HPUB a b 12 12\r\nNATS/1.0\r\n\r\n\r\n", publication("a", "b", "NATS/1.0\r\n\r\n", ""));
    check("SUB a.* 1\r\n", Operation::Subscribe { subject: b"a.*", group: None, sid: b"1" });
    check("sub a.> g 1\n", Operation::Subscribe { subject: b"a.>", group: Some(b"g"), sid: b"1" });
    check("UNSUB 1\r\n", Operation::Unsubscribe { sid: b"1", maximum: None });
    check("UNSUB 1 10\r\n", Operation::Unsubscribe { sid: b"1", maximum: Some(10) });
    check("PING\r\n", Operation::Ping);
    check("Pong\n", Operation::Pong);
    check("CONNECT {\"verbose\":true} \r\n", Operation::Connect(b"{\"verbose\":true}"));
    check("INFO {}\r\n", Operation::Info);
    check("+OK\r\n", Operation::Ok);
    check("-ERR 'gone'\r\n", Operation::Error(b"'gone'"));
}

#[test]
fn a_payload_beyond_the_limit_is_refused_before_it_comes() {
    let limits = Limits { control_line: 30, payload: 10 };
    let step = |input: &'static str| Parser::new().next(input.as_bytes(), &limits);
    assert_eq!(step("PUB a 10\r\n"), Step::NeedMore { at_least: 11 });
    assert_eq!(step("PUB a 11\r\n"), Step::Malformed(Malformation::PayloadTooLong));
}
