//! What the server writes, against a table.

use bytes::Bytes;
use quartet_protocol::broker::write::{self, Delivery};
use quartet_protocol::buffer::Buffer;

fn written(write: impl FnOnce(&mut Buffer)) -> String {
    let mut buffer = Buffer::new();
    write(&mut buffer);
    String::from_utf8(buffer.into_bytes().to_vec()).expect("the tests write text")
}

#[test]
fn the_server_speaks() {
    assert_eq!(written(|buffer| write::info(buffer, b"{}")), "INFO {}\r\n");
    assert_eq!(written(write::ok), "+OK\r\n");
    assert_eq!(written(write::ping), "PING\r\n");
    assert_eq!(written(write::pong), "PONG\r\n");
    assert_eq!(written(|buffer| write::error(buffer, "Stale Connection")), "-ERR 'Stale Connection'\r\n");
}

#[test]
fn messages_have_the_form_that_clients_expect() {
    let plain = Delivery { subject: b"orders", sid: b"7", reply: b"", headers: b"", payload: b"hello" };
    let form = |delivery| written(|buffer| write::message(buffer, &delivery));
    assert_eq!(form(plain), "MSG orders 7 5\r\nhello\r\n");
    assert_eq!(form(Delivery { reply: b"in.1", ..plain }), "MSG orders 7 in.1 5\r\nhello\r\n");
    let headers = b"NATS/1.0\r\n\r\n";
    assert_eq!(form(Delivery { headers, ..plain }), "HMSG orders 7 12 17\r\nNATS/1.0\r\n\r\nhello\r\n");
    assert_eq!(
        form(Delivery { headers, reply: b"r", payload: b"", ..plain }),
        "HMSG orders 7 r 12 12\r\nNATS/1.0\r\n\r\n\r\n"
    );
}

#[test]
fn a_shared_payload_looks_like_any_other() {
    for length in [0, 10, 1023, 1024, 5000] {
        let payload = Bytes::from(vec![b'x'; length]);
        let delivery = Delivery { subject: b"a", sid: b"7", reply: b"b", headers: b"", payload: &payload };
        let shared = written(|buffer| write::message_shared(buffer, &delivery, &payload));
        assert_eq!(shared, written(|buffer| write::message(buffer, &delivery)), "{length}");
    }
}

#[test]
fn statuses_are_messages_of_headers() {
    assert_eq!(
        written(|buffer| write::no_responders(buffer, b"in.1", b"9", b"orders")),
        "HMSG in.1 9 38 38\r\nNATS/1.0 503\r\nNats-Subject: orders\r\n\r\n\r\n"
    );
    assert_eq!(
        written(|buffer| write::missed(buffer, b"orders.*", b"9", 1234)),
        "HMSG orders.* 9 54 54\r\nNATS/1.0 110 Messages Missed\r\nQuartet-Missed: 1234\r\n\r\n\r\n"
    );
}
