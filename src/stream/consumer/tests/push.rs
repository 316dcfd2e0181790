//! Push consumers: interest, heartbeats, flow control and rates.

use std::time::Duration;

use super::{Bench, Effect, pushing};
use crate::stream::consumer::limits::{FLOW_WINDOW_MAX, FLOW_WINDOW_START};
use crate::stream::consumer::rules::{Acknowledgements, Push, Rules};
use crate::stream::consumer::status::{Detail, FlowToken};

fn bound(rules: Rules, subjects: &[&str]) -> Bench {
    let mut bench = Bench::with(rules, subjects);
    bench.turn(|consumer, turn| consumer.interest_changed(turn, true));
    bench
}

/// Rules of an ordered consumer, as clients make them for key-value and object buckets.
fn ordered(change: impl FnOnce(&mut Push)) -> Rules {
    Rules { acknowledgements: Acknowledgements::None, is_kept: false, ..pushing(change) }
}

#[test]
fn messages_are_pushed_while_somebody_subscribes() {
    let mut bench = Bench::with(pushing(|_| {}), &["x"; 2]);
    bench.check(&[]);
    assert!(!bench.consumer.report().is_bound);
    bench.turn(|consumer, turn| consumer.interest_changed(turn, true));
    bench.check(&["line: 1", "line: 2"]);
    assert!(bench.consumer.report().is_bound);
    bench.turn(|consumer, turn| consumer.interest_changed(turn, false));
    bench.publish(&["x"]);
    bench.pass_seconds(30);
    bench.check(&[]);
    bench.counts(1, 2, 0, 0);
    bench.turn(|consumer, turn| consumer.interest_changed(turn, true));
    bench.check(&["line: 1 x2", "line: 2 x2", "line: 3"]);
}

#[test]
fn nobody_can_ask_a_push_consumer() {
    let mut bench = Bench::new(pushing(|_| {}));
    bench.ask("a", 1);
    bench.check(&["a: 409 Consumer is push based"]);
}

#[test]
fn an_ordered_consumer_keeps_nothing_and_waits_for_nothing() {
    let mut bench = bound(ordered(|_| {}), &["x"; 3]);
    let effects = bench.take_effects();
    assert_eq!(effects.len(), 3, "{effects:?}");
    bench.counts(0, 0, 0, 0);
    bench.floor(3, 3);
    assert_eq!(bench.ack(1), super::Confirmation::Never);
}

#[test]
fn heartbeats_come_when_the_stream_is_silent() {
    let second = Some(Duration::from_secs(5));
    let mut bench = bound(ordered(|push| push.idle_heartbeat = second), &["x"]);
    bench.pass_seconds(4);
    bench.publish(&["x"]);
    bench.check(&["line: 1", "line: 2"]);
    bench.pass_seconds(10);
    bench.check(&["line: 100 Idle Heartbeat (2, 2)", "line: 100 Idle Heartbeat (2, 2)"]);
    bench.turn(|consumer, turn| consumer.interest_changed(turn, false));
    bench.pass_seconds(60);
    bench.check(&[]);
}

/// The questions of flow control among the effects, and how many messages were delivered.
fn questions(effects: &[Effect]) -> (Vec<FlowToken>, usize) {
    let questions = effects.iter().filter_map(|effect| match effect {
        Effect::Status { status, .. } => match status.detail {
            Detail::Flow(token) => Some(token),
            _ => None,
        },
        _ => None,
    });
    let delivered = effects.iter().filter(|effect| matches!(effect, Effect::Deliver(_))).count();
    (questions.collect(), delivered)
}

#[test]
fn no_more_than_the_window_is_on_its_way() {
    const QUARTER: usize = FLOW_WINDOW_START / 4;
    let mut bench = bound(
        ordered(|push| {
            push.flow_control = true;
            push.idle_heartbeat = Some(Duration::from_secs(5));
        }),
        &[],
    );
    for _ in 0..20 {
        bench.publish_sized("x", QUARTER);
    }
    // The second message is beyond half of the window, the fourth beyond the window.
    let (asked, delivered) = questions(&bench.take_effects());
    assert_eq!((asked.len(), delivered), (1, 4));
    bench.pass_seconds(5);
    let stalled = bench.take_effects();
    let [Effect::Status { status, .. }] = &stalled[..] else { panic!("a heartbeat: {stalled:?}") };
    assert!(matches!(status.detail, Detail::Delivered { stalled: Some(token), .. } if token == asked[0]));
    // An answer to another question counts for nothing.
    bench.turn(|consumer, turn| consumer.flow_answered(turn, FlowToken(99)));
    assert_eq!(questions(&bench.take_effects()), (vec![], 0));
    // The answer covers two messages and doubles the window: six more.
    bench.turn(|consumer, turn| consumer.flow_answered(turn, asked[0]));
    let (again, delivered) = questions(&bench.take_effects());
    assert_eq!((again.len(), delivered), (1, 6));
    // A new subscriber begins anew.
    bench.turn(|consumer, turn| consumer.interest_changed(turn, false));
    bench.turn(|consumer, turn| consumer.interest_changed(turn, true));
    assert_eq!(questions(&bench.take_effects()).1, 4);
}

#[test]
fn a_message_larger_than_the_window_does_not_stall_for_ever() {
    let mut bench = bound(ordered(|push| push.flow_control = true), &[]);
    let sizes = [FLOW_WINDOW_START * 6 / 10, FLOW_WINDOW_MAX, 10, 10];
    for size in sizes {
        bench.publish_sized("x", size);
    }
    let mut delivered = 0;
    for _ in 0..20 {
        let (asked, more) = questions(&bench.take_effects());
        delivered += more;
        for token in asked {
            bench.turn(|consumer, turn| consumer.flow_answered(turn, token));
        }
    }
    assert_eq!(delivered, sizes.len());
}

#[test]
fn the_rate_is_kept_over_time() {
    // 100 messages of a thousand bits and more in a second at most.
    let mut bench = bound(ordered(|push| push.rate_limit = Some(100_000)), &[]);
    let overhead = 1 + 14 + 19 + 9;
    for _ in 0..1000 {
        bench.publish_sized("x", 125 - overhead);
    }
    bench.pass_seconds(1);
    let (_, delivered) = questions(&bench.take_effects());
    assert!((100..=121).contains(&delivered), "{delivered}");
    bench.pass_seconds(4);
    let (_, more) = questions(&bench.take_effects());
    assert!((480..=521).contains(&(delivered + more)), "{delivered} and {more}");
}

#[test]
fn a_consumer_ends_after_its_subscriber() {
    let rules = Rules { inactive_threshold: Some(Duration::from_secs(5)), ..ordered(|_| {}) };
    let mut bench = bound(rules, &[]);
    bench.pass_seconds(100);
    bench.turn(|consumer, turn| consumer.interest_changed(turn, false));
    bench.pass_seconds(4);
    bench.check(&[]);
    bench.pass_seconds(1);
    bench.check(&["inactive"]);
}
