//! Messages that are published again.

use super::*;

#[test]
fn stored_messages_are_published_again_with_what_they_are() {
    let mut server = Server::with(
        r#"{"name":"R","subjects":["r.>"],"republish":{"src":"r.*","dest":"again.{{wildcard(1)}}"}}"#,
    );
    server.subscribe("again.>");
    let mut got = server.ask_on("r.1", "NATS/1.0\r\nColour: red\r\n\r\n", "one");
    got.extend(server.ask_on("r.2", "", "two"));
    got.extend(server.ask_on("r.1", "", "three"));
    got.extend(server.ask_on("r.1.x", "", "not"));
    let again: Vec<_> = got.iter().filter(|got| got.subject.starts_with("again.")).collect();
    let told = again.iter().map(|got| {
        let sequences = (got.header("Nats-Sequence"), got.header("Nats-Last-Sequence"));
        (&got.subject[..], &got.payload[..], sequences)
    });
    let expected =
        [("again.1", "one", ("1", "0")), ("again.2", "two", ("2", "0")), ("again.1", "three", ("3", "1"))];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let first = again[0];
    assert_eq!((first.header("Colour"), first.header("Nats-Stream")), ("red", "R"));
    assert_eq!(
        (first.header("Nats-Subject"), first.header("Nats-Time-Stamp")),
        ("r.1", "2027-01-15T08:00:00Z")
    );
}

#[test]
fn headers_alone_are_published_again_if_that_is_asked_for() {
    let mut server = Server::with(
        r#"{"name":"R","subjects":["r"],"republish":{"src":"r","dest":"again","headers_only":true}}"#,
    );
    server.subscribe("again");
    let got = server.ask_on("r", "", "four");
    let again = on(&got, "again");
    assert_eq!((again[0].header("Nats-Msg-Size"), &again[0].payload[..]), ("4", ""));
}

#[test]
fn streams_that_publish_for_one_another_do_so_once() {
    let mut server = Server::with(r#"{"name":"A","subjects":["a"],"republish":{"src":"a","dest":"b"}}"#);
    let other = r#"{"name":"B","subjects":["b"],"republish":{"src":"b","dest":"a"}}"#;
    assert!(server.json("STREAM.CREATE.B", other)["error"].is_null());
    server.ask_on("a", "", "x");
    for _ in 0..10 {
        server.got();
    }
    assert_eq!((server.sequences("A"), server.sequences("B")), (vec![1, 2], vec![1]));
}
