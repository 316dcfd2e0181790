//! Priority groups: requests that wait for an overflow, and groups that are pinned to a client.

use std::time::Duration;

use super::{Bench, named, pulling};
use crate::stream::consumer::effect::Effect;
use crate::stream::consumer::pin::PinId;
use crate::stream::consumer::request::PullRequest;
use crate::stream::consumer::rules::{Priority, Rules};

fn rules(priority: Priority) -> Rules {
    pulling(|pull| {
        pull.priority = priority;
        pull.groups = vec![b"jobs"[..].into()];
    })
}

fn request(target: &str, batch: u32, change: impl FnOnce(&mut PullRequest)) -> PullRequest {
    let mut request = PullRequest::plain(named(target), batch);
    request.group = Some(b"jobs"[..].into());
    change(&mut request);
    request
}

#[test]
fn a_request_for_the_overflow_waits_until_enough_is_pending() {
    let mut bench = Bench::new(rules(Priority::Overflow));
    bench.request(request("far", 10, |request| request.min_pending = 3));
    bench.publish(&["x", "x"]);
    bench.check(&[]);
    bench.publish(&["x"]);
    bench.check(&["far: 1"]);
    // One without conditions gets the rest.
    bench.request(request("near", 10, |_| {}));
    bench.check(&["near: 2", "near: 3"]);
    bench.request(request("late", 10, |request| (request.min_pending, request.min_ack_pending) = (100, 3)));
    bench.publish(&["x"]);
    bench.ack(1);
    bench.ack(2);
    bench.ack(3);
    bench.ack(4);
    bench.take_effects();
    bench.publish(&["x"]);
    bench.check(&["near: 5"]);
}

#[test]
fn a_request_is_served_when_enough_is_without_an_acknowledgement() {
    let mut bench = Bench::new(rules(Priority::Overflow));
    bench.request(request("near", 2, |_| {}));
    bench.request(request("far", 5, |request| request.min_ack_pending = 2));
    bench.publish(&["x"; 3]);
    bench.check(&["near: 1", "near: 2", "far: 3"]);
}

#[test]
fn requests_are_told_what_does_not_fit_the_policy() {
    let mut bench = Bench::new(rules(Priority::Overflow));
    bench.ask("a", 1);
    bench.request(request("a", 1, |request| request.group = Some(b"others"[..].into())));
    bench.request(request("a", 1, |request| request.pin = Some(PinId::read(b"x"))));
    bench.check(&[
        "a: 400 Bad Request - Priority Group missing",
        "a: 400 Bad Request - Invalid Priority Group",
        "a: 400 Bad Request - Not a Pinned Client Priority consumer",
    ]);
    let mut bench = Bench::new(Rules::default());
    bench.request(request("a", 1, |request| request.min_pending = 1));
    bench.check(&["a: 400 Bad Request - Not a Overflow Priority consumer"]);
}

fn last_pin(effects: &[Effect]) -> Option<PinId> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Deliver(delivery) => delivery.pin,
        _ => None,
    })
}

#[test]
fn a_pinned_client_gets_everything_until_it_stops_asking() {
    let rules = rules(Priority::PinnedClient(Duration::from_secs(60)));
    let mut bench = Bench::new(Rules { ack_wait: Duration::from_secs(3600), ..rules });
    bench.request(request("a", 2, |_| {}));
    bench.request(request("b", 2, |_| {}));
    bench.publish(&["x"]);
    let effects = bench.take_effects();
    let pin = last_pin(&effects).expect("the message has the pin's id");
    assert!(effects.contains(&Effect::Pinned { id: pin }));
    assert_eq!(bench.consumer.report().pin, Some(pin));
    bench.publish(&["x", "x"]);
    bench.check(&["a: 2"]);
    bench.request(request("c", 1, |request| request.pin = Some(PinId::read(b"somebody else"))));
    bench.check(&["c: 423 Nats-Pin-Id mismatch"]);
    bench.pass_seconds(50);
    bench.request(request("a", 1, |request| request.pin = Some(pin)));
    bench.check(&["a: 3"]);
    // Its time began anew with its request.
    bench.pass_seconds(59);
    bench.publish(&["x"]);
    bench.check(&[]);
    bench.pass_seconds(1);
    bench.check(&["unpinned Timeout", "pinned", "b: 4"]);
    assert_ne!(bench.consumer.report().pin, Some(pin));
}

#[test]
fn a_request_that_waits_with_an_old_pin_is_ended() {
    let mut bench = Bench::new(rules(Priority::PinnedClient(Duration::from_secs(60))));
    bench.request(request("a", 5, |_| {}));
    bench.request(request("b", 5, |_| {}));
    bench.publish(&["x"]);
    bench.check(&["pinned", "a: 1"]);
    bench.turn(|consumer, turn| consumer.unpin(turn));
    bench.publish(&["x"]);
    bench.check(&["unpinned Administrative", "pinned", "b: 2"]);
    bench.publish(&["x"]);
    bench.check(&["a: 423 Nats-Wrong-Pin-Id (4, 0)", "b: 3"]);
}

#[test]
fn a_group_is_not_pinned_to_a_client_that_is_gone() {
    let mut bench = Bench::new(rules(Priority::PinnedClient(Duration::from_secs(60))));
    bench.request(request("a", 1, |_| {}));
    bench.request(request("b", 1, |_| {}));
    bench.gone.insert(b"a".to_vec());
    bench.publish(&["x"]);
    bench.check(&["pinned", "b: 1"]);
}
