//! What streams cost that nobody uses: nothing, however many there are.

use crate::support::kept_streams::KeptStreams;

const STREAMS: usize = 1_000;

/// As often as a server looks at its clock at least, and for a day.
const STEP_MILLIS: u64 = 60_000;
const STEPS: usize = 24 * 60;

/// Streams with a message, two consumers that have delivered it, and one that nobody has pulled from.
fn used_once(count: usize) -> KeptStreams {
    let mut kept = KeptStreams::new();
    let mut of_each = |requests: &dyn Fn(&mut KeptStreams, usize)| {
        (0..count).for_each(|number| requests(&mut kept, number));
        kept.carry_on();
        kept.got()
    };
    of_each(&|kept, number| {
        let definition = format!(r#"{{"name":"S{number}","subjects":["s.{number}"]}}"#);
        kept.publish(&format!("$JS.API.STREAM.CREATE.S{number}"), "", "", &definition);
    });
    of_each(&|kept, number| {
        for (name, policy) in [("C", "explicit"), ("N", "none"), ("W", "explicit")] {
            let config = format!(r#"{{"durable_name":"{name}","ack_policy":"{policy}"}}"#);
            let body = format!(r#"{{"stream_name":"S{number}","config":{config}}}"#);
            kept.publish(&format!("$JS.API.CONSUMER.CREATE.S{number}.{name}"), "", "", &body);
        }
    });
    of_each(&|kept, number| kept.publish(&format!("s.{number}"), "", "", "x"));
    let delivered = of_each(&|kept, number| {
        for name in ["C", "N"] {
            let subject = format!("$JS.API.CONSUMER.MSG.NEXT.S{number}.{name}");
            kept.publish(&subject, "_INBOX.pull", "", r#"{"batch":1,"no_wait":true}"#);
        }
    });
    assert_eq!(delivered.len(), 2 * count);
    delivered.iter().for_each(|message| kept.publish(&message.reply, "", "", "+ACK"));
    kept.carry_on();
    kept.snapshot();
    kept
}

/// Has what the streams were used for end, until the alarm is silent.
fn come_to_rest(kept: &mut KeptStreams) {
    let is_at_rest = (0..STEPS).any(|_| {
        let rings = kept.ring_after(STEP_MILLIS);
        kept.carry_on();
        !rings
    });
    assert!(is_at_rest, "the alarm rings on and on");
}

/// How often the alarm rings within a day, and what the disk does.
fn of_a_day(kept: &mut KeptStreams) -> (usize, u64, usize) {
    let before = kept.operations();
    kept.files().take_placed_reads();
    let rings = (0..STEPS).filter(|_| kept.ring_after(STEP_MILLIS)).count();
    kept.carry_on();
    (rings, kept.operations() - before, kept.files().take_placed_reads().len())
}

#[test]
fn a_thousand_idle_streams_and_their_consumers_do_nothing_all_day() {
    let mut kept = used_once(STREAMS);
    // What they were used for may end once, together.
    come_to_rest(&mut kept);
    assert_eq!(of_a_day(&mut kept), (0, 0, 0));
    kept.put("s.7", &[], "y");
    let got = kept.ask_on("$JS.API.CONSUMER.MSG.NEXT.S7.W", &[], r#"{"batch":2,"no_wait":true}"#);
    assert_eq!(got.len(), 2, "they are there when somebody comes");
}

#[test]
fn how_often_requests_have_streams_looked_at_depends_on_the_requests() {
    let mut rings = [0, 0];
    for (streams, rings) in [10, 100].into_iter().zip(&mut rings) {
        let mut kept = used_once(streams);
        come_to_rest(&mut kept);
        // One client asks with heartbeats for an hour.
        kept.publish(
            "$JS.API.CONSUMER.MSG.NEXT.S3.C",
            "_INBOX.pull",
            "",
            r#"{"batch":1,"expires":3600000000000,"idle_heartbeat":30000000000}"#,
        );
        kept.carry_on();
        let (of_a_day, ..) = of_a_day(&mut kept);
        *rings = of_a_day;
    }
    assert_eq!(rings[0], rings[1]);
    assert!((1..=60).contains(&rings[0]), "{rings:?}");
}
