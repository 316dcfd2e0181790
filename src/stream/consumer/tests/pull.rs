//! Requests for messages: who gets which, and how requests end.

use std::time::Duration;

use super::{Bench, named, pulling};
use crate::stream::consumer::limits::WAITING_MAX;
use crate::stream::consumer::request::PullRequest;
use crate::stream::consumer::rules::Rules;
use crate::stream::consumer::status::Kind;

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn request(target: &str, batch: u32, change: impl FnOnce(&mut PullRequest)) -> PullRequest {
    let mut request = PullRequest::plain(named(target), batch);
    change(&mut request);
    request
}

#[test]
fn waiting_requests_get_messages_in_turn() {
    let mut bench = Bench::new(Rules::default());
    bench.ask("a", 2);
    bench.ask("b", 1);
    bench.ask("c", 0); // as one
    bench.publish(&["x"; 5]);
    bench.check(&["a: 1", "b: 2", "c: 3", "a: 4"]);
    bench.counts(1, 4, 0, 0);
    bench.ask("d", 1);
    bench.check(&["d: 5"]);
}

#[test]
fn deliveries_say_how_many_are_left_and_are_numbered() {
    let mut bench = Bench::with(Rules::default(), &["x"; 3]);
    bench.ask("a", 3);
    let numbers: Vec<_> = bench
        .take_effects()
        .iter()
        .filter_map(|effect| match effect {
            super::Effect::Deliver(delivery) => {
                Some((delivery.sequence, delivery.consumer_sequence, delivery.pending))
            }
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [(1, 1, 2), (2, 2, 1), (3, 3, 0)]);
}

#[test]
fn a_request_that_does_not_wait_gets_what_there_is() {
    let mut bench = Bench::new(Rules::default());
    bench.request(request("a", 5, |request| request.no_wait = true));
    bench.check(&["a: 404 No Messages"]);
    bench.publish(&["x"; 3]);
    bench.request(request("a", 2, |request| request.no_wait = true));
    bench.check(&["a: 1", "a: 2"]);
    bench.request(request("a", 2, |request| request.no_wait = true));
    bench.check(&["a: 3", "a: 404 No Messages"]);
    bench.counts(0, 3, 0, 0);
}

#[test]
fn a_one_shot_waits_for_the_first_message_only() {
    let mut bench = Bench::new(Rules::default());
    let one_shot = |request: &mut PullRequest| (request.no_wait, request.expires) = (true, seconds(5));
    bench.request(request("a", 5, one_shot));
    bench.check(&[]);
    bench.publish(&["x"]);
    bench.check(&["a: 1", "a: 404 No Messages"]);
    bench.request(request("a", 5, one_shot));
    bench.pass_seconds(5);
    bench.check(&["a: 408 Request Timeout (5, 0)"]);
}

#[test]
fn a_request_that_does_not_wait_is_answered_while_too_many_are_out() {
    let mut bench = Bench::with(Rules { max_ack_pending: Some(1), ..Rules::default() }, &["x"; 3]);
    bench.ask("a", 1);
    bench.check(&["a: 1"]);
    bench.request(request("b", 1, |request| request.no_wait = true));
    bench.check(&["b: 404 No Messages"]);
    bench.ack(1);
    bench.request(request("b", 5, |request| request.no_wait = true));
    bench.check(&["b: 2", "b: 404 No Messages"]);
    bench.request(request("c", 1, |request| (request.no_wait, request.expires) = (true, seconds(5))));
    bench.check(&[]);
    bench.pass_seconds(5);
    bench.check(&["c: 408 Request Timeout (1, 0)"]);
}

#[test]
fn a_request_that_does_not_wait_stands_behind_others() {
    let mut bench = Bench::with(Rules { max_ack_pending: Some(1), ..Rules::default() }, &["x"; 4]);
    bench.ask("a", 10);
    bench.request(request("b", 1, |request| request.no_wait = true));
    bench.check(&["a: 1", "b: 408 Requests Pending"]);
}

#[test]
fn the_time_of_a_request_ends_with_what_it_did_not_get() {
    let mut bench = Bench::new(Rules::default());
    bench.request(request("a", 5, |request| (request.expires, request.max_bytes) = (seconds(10), 1000)));
    bench.request(request("b", 5, |request| request.expires = seconds(3)));
    bench.publish(&["subject"]);
    // Subject, payload and reply subject: `$JS.ACK.` and six full stops, five numbers, one of 19 digits.
    let bytes = 7 + 10 + 14 + 19 + 4;
    bench.pass_seconds(9);
    bench.check(&["a: 1", "b: 408 Request Timeout (5, 0)"]);
    bench.counts(0, 1, 0, 1);
    bench.pass_seconds(1);
    bench.check(&[&format!("a: 408 Request Timeout (4, {})", 1000 - bytes)]);
}

#[test]
fn bytes_are_counted_as_clients_do() {
    let bytes = 7 + 10 + 14 + 19 + 4;
    let mut bench = Bench::with(Rules::default(), &["subject"; 9]);
    bench.request(request("a", 10, |request| request.max_bytes = 2 * bytes));
    bench.check(&["a: 1", "a: 2"]);
    bench.request(request("a", 10, |request| request.max_bytes = 2 * bytes + 5));
    bench.check(&["a: 3", "a: 4", "a: 409 Message Size Exceeds MaxBytes (8, 5)"]);
    bench.request(request("a", 1, |request| request.max_bytes = 1000));
    bench.check(&["a: 5", &format!("a: 409 Batch Completed (0, {})", 1000 - bytes)]);
    bench.request(request("a", 1, |request| request.max_bytes = 5));
    bench.ask("b", 1);
    bench.check(&["a: 409 Message Size Exceeds MaxBytes (1, 5)", "b: 6"]);
}

#[test]
fn heartbeats_come_while_nothing_else_does() {
    let mut bench = Bench::new(Rules::default());
    bench.request(request("a", 2, |request| {
        (request.expires, request.idle_heartbeat) = (seconds(10), seconds(2));
    }));
    bench.pass_seconds(3);
    bench.check(&["a: 100 Idle Heartbeat (0, 0)"]);
    bench.publish(&["x"]);
    bench.pass_seconds(4);
    bench.check(&["a: 1", "a: 100 Idle Heartbeat (1, 1)", "a: 100 Idle Heartbeat (1, 1)"]);
    bench.gone.insert(b"a".to_vec());
    bench.pass_seconds(60);
    bench.check(&[]);
    bench.counts(0, 1, 0, 0);
}

#[test]
fn a_receiver_that_is_gone_costs_no_message() {
    let mut bench = Bench::new(Rules::default());
    bench.ask("a", 5);
    bench.ask("b", 5);
    bench.gone.insert(b"a".to_vec());
    bench.publish(&["x"]);
    bench.check(&["b: 1"]);
    bench.counts(0, 1, 0, 1);
    bench.gone.insert(b"b".to_vec());
    bench.publish(&["x"]);
    bench.check(&[]);
    bench.counts(1, 1, 0, 0);
}

#[test]
fn a_message_that_did_not_arrive_goes_to_another_at_once() {
    let mut bench = Bench::with(Rules { max_deliver: Some(1), ..Rules::default() }, &["x"]);
    bench.ask("a", 1);
    bench.ask("b", 1);
    bench.turn(|consumer, _| consumer.undelivered(1));
    bench.check(&["a: 1", "b: 1"]);
    bench.counts(0, 1, 0, 0);
}

#[test]
fn so_many_requests_wait_and_no_more() {
    let mut bench = Bench::new(pulling(|pull| pull.max_waiting = 2));
    bench.ask("a", 1);
    bench.ask("b", 1);
    bench.ask("c", 1);
    bench.check(&["c: 409 Exceeded MaxWaiting"]);
    // With a heartbeat, a client is told nothing.
    bench.request(request("c", 1, |request| {
        (request.expires, request.idle_heartbeat) = (seconds(2), seconds(1));
    }));
    bench.check(&[]);
    bench.gone.insert(b"a".to_vec());
    bench.ask("c", 1);
    bench.publish(&["x", "x"]);
    bench.check(&["b: 1", "c: 2"]);
}

#[test]
fn no_consumer_lets_more_wait_than_the_limit() {
    let mut bench = Bench::new(pulling(|pull| pull.max_waiting = usize::MAX));
    for _ in 0..WAITING_MAX {
        bench.only(|consumer, turn| consumer.request(turn, PullRequest::plain(named("a"), 1)));
    }
    bench.check(&[]);
    bench.ask("b", 1);
    bench.check(&["b: 409 Exceeded MaxWaiting"]);
}

#[test]
fn requests_that_ask_for_too_much_are_told() {
    let mut bench = Bench::new(pulling(|pull| {
        pull.max_batch = Some(10);
        pull.max_expires = seconds(60);
        pull.max_bytes = Some(4096);
    }));
    bench.ask("a", 11);
    bench.request(request("a", 1, |request| request.expires = seconds(61)));
    bench.request(request("a", 1, |request| request.max_bytes = 4097));
    bench.request(request("a", 1, |request| {
        (request.expires, request.idle_heartbeat) = (seconds(3), seconds(2));
    }));
    bench.request(request("a", 1, |request| request.idle_heartbeat = seconds(1)));
    bench.check(&[
        "a: 409 Exceeded MaxRequestBatch of 10",
        "a: 409 Exceeded MaxRequestExpires of 1m0s",
        "a: 409 Exceeded MaxRequestMaxBytes of 4096",
        "a: 400 Bad Request - heartbeat value too large",
        "a: 400 Bad Request - heartbeat value too large",
    ]);
    bench.request(request("a", 10, |request| (request.expires, request.max_bytes) = (seconds(60), 4096)));
    bench.check(&[]);
    bench.counts(0, 0, 0, 1);
}

#[test]
fn all_who_wait_hear_of_the_end() {
    let mut bench = Bench::new(Rules::default());
    bench.ask("a", 1);
    bench.ask("b", 1);
    bench.turn(|consumer, turn| consumer.end_requests(turn, Kind::ConsumerDeleted));
    bench.check(&["a: 409 Consumer Deleted", "b: 409 Consumer Deleted"]);
    bench.counts(0, 0, 0, 0);
}

#[test]
fn a_paused_consumer_delivers_at_its_time() {
    let mut bench = Bench::with(Rules::default(), &["x"; 2]);
    let until = bench.now.wall_micros() + 10_000_000;
    let rules = Rules { pause_until: Some(until), ..Rules::default() };
    bench.turn(|consumer, turn| consumer.update(turn, rules));
    bench.ask("a", 1);
    bench.request(request("b", 1, |request| request.no_wait = true));
    bench.check(&["b: 404 No Messages"]);
    bench.pass(Duration::from_micros(9_999_999));
    bench.check(&[]);
    bench.pass(Duration::from_micros(1));
    bench.check(&["a: 1"]);
    assert!(!bench.consumer.is_paused(bench.now));
}

#[test]
fn an_unused_consumer_ends_and_one_with_a_request_does_not() {
    let mut bench = Bench::new(Rules { inactive_threshold: seconds(5), ..Rules::default() });
    bench.pass_seconds(4);
    bench.ask("a", 1);
    bench.pass_seconds(60);
    bench.check(&[]);
    bench.gone.insert(b"a".to_vec());
    bench.pass_seconds(5);
    bench.check(&["inactive"]);
    bench.pass_seconds(60);
    bench.check(&[]);
}

#[test]
fn a_consumer_is_ready_when_somebody_waits_and_there_is_something() {
    let mut bench = Bench::new(Rules { max_ack_pending: Some(1), ..Rules::default() });
    assert!(!bench.consumer.is_ready());
    bench.publish(&["x", "x"]);
    assert!(!bench.consumer.is_ready(), "nobody waits");
    bench.ask("a", 2);
    assert!(bench.consumer.is_ready(), "there is one more");
    bench.ack(1);
    assert!(!bench.consumer.is_ready(), "there is nothing more");
}
