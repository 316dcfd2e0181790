//! Messages that consumers give up.

use super::*;

/// A stream with a consumer that gives a message up at the second time.
fn server() -> Server {
    let mut server = Server::with(r#"{"name":"S","subjects":["s.>"],"retention":"workqueue"}"#);
    let members = r#","max_deliver":2,"metadata":{"quartet.dead-letter-subject":"dead"}"#;
    server.consumer("S", "c", members);
    server
}

fn keep_letters(server: &mut Server, members: &str) {
    let created = server.json("STREAM.CREATE.D", &format!(r#"{{"name":"D","subjects":["dead"]{members}}}"#));
    assert!(created["error"].is_null(), "{created}");
}

/// Stores a message and has it refused as often as the consumer delivers it.
fn give_up(server: &mut Server) -> Vec<Got> {
    server.put("s.1", &[("Colour", "red"), ("Nats-Msg-Id", "mine")], "payload");
    let mut got = Vec::new();
    for _ in 0..2 {
        let delivery = server.pull("S", "c", 1).remove(0);
        got = server.say(&delivery, "-NAK");
        got.append(&mut server.advance());
    }
    got
}

#[test]
fn a_message_that_is_given_up_is_stored_once_with_its_story() {
    let mut server = server();
    keep_letters(&mut server, "");
    server.subscribe("dead");
    let got = give_up(&mut server);
    assert_eq!((server.sequences("D"), server.sequences("S")), (vec![1], vec![]));
    assert_eq!(on(&got, "dead").len(), 1, "a subscriber gets it once: {got:?}");
    let letter = on(&got, "dead")[0];
    let expected = [
        ("Colour", "red"),
        ("Nats-Stream", "S"),
        ("Nats-Subject", "s.1"),
        ("Nats-Sequence", "1"),
        ("Nats-Time-Stamp", "2027-01-15T08:00:00Z"),
        ("Nats-Consumer", "c"),
        ("Nats-Deliveries", "2"),
        ("Nats-Dead-Letter-Cause", "max_deliveries"),
        ("Nats-Dead-Letter-Time", "2027-01-15T08:00:00Z"),
    ];
    for (name, value) in expected {
        assert_eq!(letter.header(name), value, "{name}");
    }
    assert!(letter.header("Nats-Msg-Id").starts_with("dead-letter-"), "{letter:?}");
    assert_eq!((letter.payload.as_str(), server.message("D", 1).2.as_str()), ("payload", "payload"));
    assert_eq!(server.json("CONSUMER.INFO.S.c", "")["num_ack_pending"], 0);
    assert_eq!(server.after(60_000), []);
}

#[test]
fn a_message_that_its_receiver_gives_up_goes_at_once() {
    let mut server = server();
    keep_letters(&mut server, "");
    server.store(&["s.1"]);
    let delivery = server.pull("S", "c", 1).remove(0);
    server.say(&delivery, "+TERM it is broken");
    server.advance();
    assert!(server.message("D", 1).1.contains("Nats-Dead-Letter-Cause: terminated\r\n"));
    assert_eq!(server.sequences("S"), [0; 0]);
}

#[test]
fn a_letter_that_cannot_be_stored_is_tried_again() {
    let mut server = server();
    keep_letters(&mut server, r#","max_msgs":1,"discard":"new""#);
    server.store(&["dead"]);
    give_up(&mut server);
    assert_eq!((server.sequences("D"), server.sequences("S")), (vec![1], vec![1]), "there is no room");
    server.after(1000);
    assert_eq!(server.sequences("S"), [1]);
    assert_eq!(server.json("STREAM.PURGE.D", "")["purged"], 1);
    server.after(1000);
    assert_eq!((server.sequences("D"), server.sequences("S")), (vec![2], vec![]));
}

#[test]
fn a_letter_that_no_stream_keeps_goes_to_subscribers() {
    let mut server = server();
    server.subscribe("dead");
    let got = give_up(&mut server);
    assert_eq!((on(&got, "dead").len(), server.sequences("S")), (1, vec![]));
}

#[test]
fn a_letter_whose_message_is_gone_is_not_sent() {
    let mut server = server();
    keep_letters(&mut server, r#","max_msgs":1,"discard":"new""#);
    server.store(&["dead"]);
    give_up(&mut server);
    assert_eq!(server.json("STREAM.PURGE.S", "")["purged"], 1);
    assert_eq!(server.json("STREAM.PURGE.D", "")["purged"], 1);
    server.after(1000);
    assert_eq!((server.sequences("D"), server.after(5000)), (vec![], vec![]));
}
