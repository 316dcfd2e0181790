//! Acknowledgements, and the answers to them.

use std::time::Duration;

use serde_json::json;

use super::{Got, Server};

const S: &str = r#"{"name":"S","subjects":["s.>"],"storage":"memory"}"#;

/// A stream with three messages and a consumer, and the reply subject of the first.
fn delivered(policy: &str) -> (Server, String) {
    let mut server = Server::with(S);
    server.store(&["s.1", "s.2", "s.3"]);
    let body = format!(r#"{{"stream_name":"S","config":{{"durable_name":"C","ack_policy":"{policy}"}}}}"#);
    server.json("CONSUMER.CREATE.S.C", &body);
    let got = server.ask("CONSUMER.MSG.NEXT.S.C", "1");
    let reply = got[0].reply.clone();
    (server, reply)
}

fn is_empty_answer(got: &[Got]) -> bool {
    matches!(got, [answer] if answer.headers.is_empty() && answer.payload.is_empty())
}

fn pending(server: &mut Server) -> u64 {
    server.json("CONSUMER.INFO.S.C", "")["num_ack_pending"].as_u64().expect("a number")
}

#[test]
fn every_kind_of_acknowledgement_is_answered() {
    for (payload, left) in [
        ("", 0),
        ("+ACK", 0),
        ("+OK", 0),
        ("+TERM", 0),
        ("+TERM why", 0),
        ("-NAK", 1),
        ("+WPI", 1),
        ("+FOO", 1),
    ] {
        let (mut server, reply) = delivered("explicit");
        assert!(is_empty_answer(&server.ask_on(&reply, "", payload)), "{payload}");
        assert_eq!(pending(&mut server), left, "{payload}");
        server.publish(&reply, "", "", payload);
        assert!(server.got().is_empty(), "{payload}");
    }
}

#[test]
fn the_longer_form_of_the_subject_counts_too() {
    let (mut server, reply) = delivered("explicit");
    let rest = reply.strip_prefix("$JS.ACK.").expect("it begins so");
    assert!(is_empty_answer(&server.ask_on(&format!("$JS.ACK._.hash.{rest}"), "", "")));
    assert_eq!(pending(&mut server), 0);
}

#[test]
fn an_acknowledgement_may_ask_for_the_next_message() {
    let (mut server, reply) = delivered("explicit");
    let got = server.ask_on(&reply, "", "+NXT 2");
    let shown: Vec<_> = got.iter().map(|got| got.payload.as_str()).collect();
    assert_eq!((shown, pending(&mut server)), (vec!["m2", "m3"], 2));
    let next = got[0].reply.clone();
    let got = server.ask_on(&next, "", r#"+NXT {"no_wait":true}"#);
    assert_eq!((got.len(), got[0].status()), (1, "NATS/1.0 404 No Messages"));
    let got = server.ask_on(&next, "", r#"+NXT {"batch":"a"}"#);
    assert!(got.len() == 1 && got[0].status().starts_with("NATS/1.0 400 Bad Request"), "{got:?}");
}

#[test]
fn a_negative_acknowledgement_with_a_delay_brings_the_message_back_later() {
    let (mut server, reply) = delivered("explicit");
    server.ask_on(&reply, "", r#"-NAK {"delay": 5000000000}"#);
    let got = server.ask("CONSUMER.MSG.NEXT.S.C", r#"{"batch":5,"no_wait":true}"#);
    let shown: Vec<_> = got.iter().map(|got| got.payload.as_str()).collect();
    assert_eq!(shown, ["m2", "m3", ""]);
    server.pass(Duration::from_secs(5));
    server.streams.advance(server.clock.now(), &mut server.effects);
    let got = server.ask("CONSUMER.MSG.NEXT.S.C", "1");
    assert_eq!(
        (got[0].payload.as_str(), got[0].reply.starts_with("$JS.ACK.S.C.2.1.4.")),
        ("m1", true),
        "{got:?}"
    );
}

#[test]
fn what_no_consumer_has_sent_is_not_answered() {
    let (mut server, reply) = delivered("explicit");
    assert!(server.ask_on("$JS.ACK.S.C.1.99999.1.1.1", "", "").is_empty());
    let unheard = ["$JS.ACK.S.C.1.2".to_owned(), reply.replace(".C.", ".Q."), reply.replace(".S.", ".X.")];
    for subject in unheard {
        let got = server.ask_on(&subject, "", "");
        assert_eq!((got.len(), got[0].status()), (1, "NATS/1.0 503"), "{subject}");
        assert_eq!(got[0].header("Nats-Subject"), subject);
    }
}

#[test]
fn acknowledging_all_takes_those_before_as_well() {
    let (mut server, _) = delivered("all");
    let got = server.ask("CONSUMER.MSG.NEXT.S.C", "2");
    assert_eq!(pending(&mut server), 3);
    let last = got[1].reply.clone();
    assert!(is_empty_answer(&server.ask_on(&last, "", "+ACK")));
    let info = server.json("CONSUMER.INFO.S.C", "");
    assert_eq!((&info["num_ack_pending"], &info["ack_floor"]["stream_seq"]), (&json!(0), &json!(3)));
}

#[test]
fn flow_control_goes_on_when_it_is_answered() {
    let mut server = Server::with(S);
    let payload = "x".repeat(100_000);
    for _ in 0..40 {
        server.publish("s.1", "", "", &payload);
    }
    server.got();
    server.publish(
        "$JS.API.CONSUMER.CREATE.S.P",
        "",
        "",
        r#"{"stream_name":"S","config":{"name":"P","deliver_subject":"_INBOX.p","ack_policy":"none","flow_control":true,"idle_heartbeat":1000000000}}"#,
    );
    let mut count = 0;
    for _ in 0..20 {
        let got = server.got();
        count += got.iter().filter(|got| got.subject == "s.1").count();
        let questions: Vec<_> = got.iter().filter(|got| got.status().contains("FlowControl")).collect();
        for question in questions {
            assert!(question.reply.starts_with("$JS.FC.S.P."), "{question:?}");
            server.publish(&question.reply, "", "", "");
        }
    }
    assert_eq!(count, 40);
}
