//! Many push consumers whose receivers are gone at once, and a clock that is moved.

use super::*;

#[test]
fn consumers_end_that_have_lost_their_receivers() {
    const WATCHERS: usize = 600;
    let mut server = Server::with(r#"{"name":"S","subjects":["s"]}"#);
    let mut subscriptions = Vec::with_capacity(WATCHERS);
    for number in 0..WATCHERS {
        subscriptions.push(server.subscribe(&format!("d.{number}")));
        let body = format!(
            r#"{{"stream_name":"S","config":{{"deliver_subject":"d.{number}","ack_policy":"none","inactive_threshold":5000000000}}}}"#
        );
        assert!(server.json("CONSUMER.CREATE.S", &body)["error"].is_null());
    }
    let consumers = |server: &Server| server.stream("S").state.lock().consumers.len();
    server.after(60_000);
    assert_eq!(consumers(&server), WATCHERS, "all have receivers");
    subscriptions.iter().for_each(|subscription| server.unsubscribe(subscription));
    assert_eq!(server.after(0), []);
    server.after(4999);
    assert_eq!(consumers(&server), WATCHERS);
    server.after(1);
    assert_eq!(consumers(&server), 0);
}

#[test]
fn a_wall_clock_that_is_moved_moves_what_is_due() {
    let mut server = Server::with(r#"{"name":"S","subjects":["s"],"max_age":10000000000}"#);
    server.streams.keep_house(server.clock.now(), &mut server.effects);
    server.store(&["s"]);
    assert_eq!(server.due_in("S"), Some(10_000));
    server.clock.step_wall(7_000_000);
    server.streams.keep_house(server.clock.now(), &mut server.effects);
    assert_eq!(server.due_in("S"), Some(3000));
    server.after(3000);
    assert_eq!(server.sequences("S"), [0; 0]);
}
