//! Messages that go when their consumers are done with them.

use super::*;

const INTEREST: &str = r#"{"name":"S","subjects":["s.>"],"retention":"interest"}"#;

#[test]
fn a_message_that_nobody_wants_is_not_kept() {
    let mut server = Server::with(INTEREST);
    server.store(&["s.1", "s.2"]);
    assert_eq!((server.sequences("S"), server.stream("S").state.lock().data.index.last()), (vec![], 2));
    server.consumer("S", "c", r#","filter_subject":"s.2""#);
    server.store(&["s.1", "s.2"]);
    assert_eq!(server.sequences("S"), [4]);
}

#[test]
fn a_message_goes_when_all_who_want_it_are_done() {
    let mut server = Server::with(INTEREST);
    server.consumer("S", "a", "");
    server.consumer("S", "b", r#","filter_subject":"s.1""#);
    server.store(&["s.1", "s.2"]);
    for delivery in server.pull("S", "a", 2) {
        server.say(&delivery, "+ACK");
    }
    assert_eq!(server.sequences("S"), [1]);
    let delivery = server.pull("S", "b", 1).remove(0);
    server.say(&delivery, "+ACK");
    assert_eq!(server.sequences("S"), [0; 0]);
}

#[test]
fn a_message_goes_with_the_last_consumer_that_wanted_it() {
    let mut server = Server::with(INTEREST);
    server.consumer("S", "a", r#","filter_subject":"s.1""#);
    server.consumer("S", "b", "");
    server.store(&["s.1", "s.2"]);
    assert_eq!(server.json("CONSUMER.DELETE.S.b", "")["success"], true);
    server.advance();
    assert_eq!(server.sequences("S"), [1]);
    assert_eq!(server.json("CONSUMER.DELETE.S.a", "")["success"], true);
    server.advance();
    assert_eq!(server.sequences("S"), [0; 0]);
}

#[test]
fn work_waits_for_its_consumer_and_goes_with_its_acknowledgement() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s.>"],"retention":"workqueue"}"#);
    server.store(&["s.1", "s.2"]);
    server.consumer("S", "c", "");
    let deliveries = server.pull("S", "c", 2);
    // The answer to an acknowledgement comes when the message is gone.
    let answered = server.ask_on(&deliveries[1].reply, "", "+ACK");
    assert_eq!((answered.len(), server.sequences("S")), (1, vec![1]));
    assert_eq!(server.json("CONSUMER.DELETE.S.c", "")["success"], true);
    server.advance();
    assert_eq!(server.sequences("S"), [1], "nobody has worked on it");
}

#[test]
fn many_messages_are_looked_through_in_turns() {
    let mut server = Server::with(INTEREST);
    server.consumer("S", "c", "");
    let most = crate::stream::upkeep::retention::LOOKED_AT_PER_TURN;
    (0..most + 1).for_each(|_| server.publish("s.1", "", "", ""));
    server.got();
    assert_eq!(server.json("CONSUMER.DELETE.S.c", "")["success"], true);
    server.streams.advance(server.clock.now(), &mut server.effects);
    server.got();
    assert_eq!(server.sequences("S"), [most as u64 + 1]);
    server.advance();
    assert_eq!(server.sequences("S"), [0; 0]);
}
