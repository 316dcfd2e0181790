//! Files that are damaged while a server runs, or before it starts: what cannot be read is told or passed over, and everything
//! else goes on.

use crate::support::kept_streams::{Got, KeptStreams};
use crate::support::simulated_disk::Survival;

/// When the second of three messages that are a second apart was stored, less half a second.
const BEFORE_SECOND: &str = "2027-01-15T08:00:00.5Z";

fn create_consumer(kept: &mut KeptStreams, members: &str) -> serde_json::Value {
    let config = format!(r#"{{"durable_name":"C","ack_policy":"explicit"{members}}}"#);
    kept.json("CONSUMER.CREATE.S.C", &format!(r#"{{"stream_name":"S","config":{config}}}"#))
}

/// The sequences of the messages that a pull of so many gets.
fn pull(kept: &mut KeptStreams, batch: usize) -> Vec<u64> {
    let body = format!(r#"{{"batch":{batch},"no_wait":true}}"#);
    let got = kept.ask_on("$JS.API.CONSUMER.MSG.NEXT.S.C", &[], &body);
    got.iter().filter_map(sequence_of).collect()
}

fn sequence_of(got: &Got) -> Option<u64> {
    got.reply.strip_prefix("$JS.ACK.S.C.")?.split('.').nth(1)?.parse().ok()
}

/// Three messages in a file, a second apart.
fn three_messages() -> KeptStreams {
    let mut kept = KeptStreams::new();
    kept.create("S", r#""subjects":["s"]"#);
    for payload in ["the first one", "the second one", "the third one"] {
        kept.put("s", &[], payload);
        kept.after(1000);
    }
    kept.snapshot();
    kept
}

#[test]
fn a_message_that_cannot_be_read_is_passed_over() {
    let mut kept = three_messages();
    assert_eq!(kept.files().spoil(b"the second one"), 1);
    create_consumer(&mut kept, "");
    assert_eq!(pull(&mut kept, 3), [1, 3]);
    let told = kept.json("STREAM.MSG.GET.S", r#"{"seq":2}"#);
    assert!(told["error"]["description"].is_string(), "{told}");
    kept.put("s", &[], "the fourth one");
    assert_eq!(pull(&mut kept, 1), [4]);
    let info = kept.json("CONSUMER.INFO.S.C", "");
    assert_eq!((&info["num_pending"], &info["num_ack_pending"]), (&0.into(), &4.into()), "{info}");
}

#[test]
fn a_consumer_cannot_begin_at_a_time_that_damage_hides() {
    let mut kept = three_messages();
    kept.files().spoil(b"the second one");
    let start = format!(r#","deliver_policy":"by_start_time","opt_start_time":"{BEFORE_SECOND}""#);
    let refused = create_consumer(&mut kept, &start);
    let description = refused["error"]["description"].as_str().unwrap_or_default().to_owned();
    assert!(description.contains("damaged"), "{refused}");
    create_consumer(&mut kept, r#","deliver_policy":"new""#);
    kept.put("s", &[], "the fourth one");
    assert_eq!(pull(&mut kept, 1), [4]);
}

#[test]
fn a_start_over_such_damage_delivers_rather_too_much() {
    let mut kept = three_messages();
    let start = format!(r#","deliver_policy":"by_start_time","opt_start_time":"{BEFORE_SECOND}""#);
    let created = create_consumer(&mut kept, &start);
    assert_eq!(created["num_pending"], 2, "{created}");
    kept.files().spoil(b"the second one");
    let mut kept = kept.after_power_loss(Survival::Everything);
    assert_eq!(pull(&mut kept, 3), [1, 3]);
}
