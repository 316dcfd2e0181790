//! One topic space: what is published by one listener is seen by all.

mod headers;
mod publishers;
mod receivers;

use std::thread;

use publishers::{Published, Publisher, escaped};
use receivers::Receiver;

use crate::interop::redis_cli::redis_cli;
use crate::support::client::{Client, text};
use crate::support::http::Http;
use crate::support::process::Server;

/// A message as it is published and as it is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    subject: String,
    reply: String,
    /// Names and values, by name.
    headers: Vec<(String, String)>,
    payload: Vec<u8>,
}

impl Message {
    fn new(subject: &str, payload: impl AsRef<[u8]>) -> Message {
        let payload = payload.as_ref().to_vec();
        Message { subject: subject.to_owned(), payload, ..Message::default() }
    }
}

/// A server whose listeners are all open.
fn server() -> Server {
    Server::quartet(&["--broker-port", "0", "--http-port", "0"])
}

/// Payloads that some form could spoil.
fn payloads() -> Vec<Vec<u8>> {
    vec![
        b"hello".to_vec(),
        Vec::new(),
        b"\r\n".to_vec(),
        b"\n\nevent: gap\ndata: {\"missed\":1}\n\n".to_vec(),
        b"\r\nMSG space.news 1 0\r\n\r\n".to_vec(),
        "grüße ☃ \"\\\u{2028}\u{0}\u{7f}".into(),
        (0..=255).collect(),
        b"\xff".to_vec(),
        // Long enough to be shared instead of copied.
        [b"\xfe".as_slice(), &[b'x'; 100_000]].concat(),
    ]
}

#[test]
fn what_any_listener_publishes_is_seen_by_all() {
    let server = server();
    let mut receivers = Receiver::all(&server);
    for (name, mut publisher) in Publisher::all(&server) {
        let messages: Vec<Message> =
            payloads().into_iter().map(|payload| Message::new("space.news", payload)).collect();
        for message in &messages {
            let published = publisher.publish(message);
            assert!([Published::Out, Published::To(receivers.len())].contains(&published), "{name}");
        }
        for (to, receiver) in &mut receivers {
            for message in &messages {
                assert_eq!(&receiver.next(), message, "from {name} to {to}");
            }
        }
    }
}

#[test]
fn headers_and_reply_subjects_are_seen_where_the_listener_has_them() {
    let server = server();
    let mut receivers = Receiver::all(&server);
    let headers = [("X-A", "1"), ("X-B", "two words"), ("X-B", "\"3\""), ("ce-id", "4")];
    let message = Message {
        reply: "answers.here".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..Message::new("space.news", b"hello")
    };
    for (name, mut publisher) in Publisher::all(&server) {
        if !publisher.gives_headers() {
            continue;
        }
        publisher.publish(&message);
        for (to, receiver) in &mut receivers {
            assert_eq!(receiver.next(), receiver.told(&message), "from {name} to {to}");
        }
    }
}

#[test]
fn redis_cli_reaches_everybody() {
    let server = server();
    let mut receivers = Receiver::all(&server);
    for payload in [b"hello".as_slice(), b"", "grüße\r\n".as_bytes()] {
        let text = std::str::from_utf8(payload).expect("it is text");
        let Some(ended) = redis_cli(&server, &["-x", "PUBLISH", "space.news"], text) else { return };
        assert_eq!(ended.stdout, format!("{}\n", receivers.len()));
        for (to, receiver) in &mut receivers {
            assert_eq!(receiver.next(), Message::new("space.news", payload), "to {to}");
        }
    }
}

#[test]
fn all_receivers_see_the_publishers_of_all_listeners_in_one_order() {
    const ROUNDS: usize = 100;
    let server = server();
    let mut receivers = Receiver::all(&server);
    let publishers = Publisher::all(&server);
    let names: Vec<&str> = publishers.iter().map(|(name, _)| *name).collect();
    thread::scope(|scope| {
        for (name, mut publisher) in publishers {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    publisher.publish(&Message::new("space.news", format!("{name} {round}")));
                }
            });
        }
    });
    let seen_by = |receiver: &mut Receiver| -> Vec<Vec<u8>> {
        (0..names.len() * ROUNDS).map(|_| receiver.next().payload).collect()
    };
    let first = seen_by(&mut receivers[0].1);
    for name in &names {
        let of_it = first.iter().filter(|payload| payload.starts_with(format!("{name} ").as_bytes()));
        let expected = (0..ROUNDS).map(|round| format!("{name} {round}").into_bytes());
        assert!(of_it.cloned().eq(expected), "{name}");
    }
    for (to, receiver) in &mut receivers[1..] {
        assert!(seen_by(receiver) == first, "{to} sees another order");
    }
}

/// Channels of RESP that are no subjects.
const NO_SUBJECTS: &[&str] =
    &[" ", "two words", "a..b", ".a", "a.", "tab\there", "a\r\nMSG a 1 0\r\n\r\n", "a\n"];

/// What is a subject only to those who subscribe.  nats-server lets its clients publish there, and so do we.
const PATTERNS: &[&str] = &["a.*", "a.>", "*", ">", "a.*.b"];

#[test]
fn what_is_no_subject_reaches_redis_and_http_only() {
    let server = server();
    let mut all = [
        Receiver::nats(&server, ">"),
        Receiver::nats(&server, "*.>"),
        Receiver::nats(&server, "*"),
        Receiver::websocket(&server, ">"),
        Receiver::json(&server, ">"),
    ];
    let mut publisher = Client::connect(server.address());
    let mut glob = Receiver::resp_glob(&server, "*");
    for name in NO_SUBJECTS {
        let mut named = [
            Receiver::resp(&server, name.as_bytes()),
            Receiver::events(&server, &format!("?subject={}", escaped(name))),
        ];
        assert_eq!(text(&publisher.call(&["PUBLISH", name, "hello"])), "3", "{name:?}");
        for receiver in named.iter_mut().chain([&mut glob]) {
            assert_eq!(receiver.next(), Message::new(name, "hello"));
        }
    }
    // As in Redis no glob matches the empty channel.
    let mut named = Receiver::resp(&server, b"");
    assert_eq!(text(&publisher.call(&["PUBLISH", "", "hello"])), "1");
    assert_eq!(named.next(), Message::new("", "hello"));
    assert_eq!(publisher.ask("PUBLISH end hello"), "5");
    for (number, receiver) in all.iter_mut().enumerate().filter(|(number, _)| *number != 1) {
        assert_eq!(receiver.next().subject, "end", "{number}");
    }
    assert_eq!(publisher.ask("PUBLISH the.end hello"), "5");
    assert_eq!(all[1].next().subject, "the.end");
}

#[test]
fn no_listener_takes_what_is_no_subject() {
    let server = server();
    for (name, mut publisher) in Publisher::all(&server) {
        if matches!(name, "resp" | "nats" | "websocket") {
            continue;
        }
        for subject in NO_SUBJECTS.iter().chain(PATTERNS) {
            let published = publisher.publish(&Message::new(subject, "hello"));
            assert!(matches!(published, Published::Refused(_)), "{name} {subject:?}: {published:?}");
            let reply = Message { reply: (*subject).to_owned(), ..Message::new("news", "hello") };
            let published = publisher.publish(&reply);
            assert!(matches!(published, Published::Refused(_)), "{name} {subject:?}: {published:?}");
        }
    }
}

#[test]
fn hidden_subjects_are_open_to_nats_and_seen_by_who_names_them() {
    let server = server();
    let mut named = [
        Receiver::nats(&server, ">"),
        Receiver::nats(&server, "*.x"),
        Receiver::websocket(&server, ">"),
        Receiver::json(&server, "$TEST.>"),
        Receiver::json(&server, "_INBOX.>"),
        Receiver::events(&server, "/$TEST.x,_INBOX.*"),
        Receiver::resp_glob(&server, "$T*"),
        Receiver::resp_glob(&server, "_INBOX.*"),
    ];
    let mut others = [
        Receiver::json(&server, ">"),
        Receiver::json(&server, "*.x"),
        Receiver::events(&server, "/%3E"),
        Receiver::lines(&server, "/*.x"),
        Receiver::resp_glob(&server, "*"),
        Receiver::resp_glob(&server, "?TEST.x"),
        Receiver::resp_glob(&server, "[_]INBOX.*"),
    ];
    for (name, mut publisher) in Publisher::all(&server) {
        for (subject, sees) in [("$TEST.x", [0, 1, 2, 3, 5, 6].as_slice()), ("_INBOX.x", &[0, 1, 2, 4, 5, 7])]
        {
            let message = Message::new(subject, name);
            let published = publisher.publish(&message);
            if !matches!(name, "nats" | "websocket") {
                let code = match name {
                    "resp" => "-NOPERM",
                    "json" => "forbidden",
                    _ => "/problems/closed-subject",
                };
                assert_eq!(published, Published::Refused(code.to_owned()), "{name}");
                continue;
            }
            for number in sees {
                assert_eq!(named[*number].next(), message, "{number} from {name}");
            }
        }
    }
    let mut publisher = Client::connect(server.address());
    publisher.ask("PUBLISH end.x 1");
    for (number, receiver) in others[..5].iter_mut().enumerate() {
        assert_eq!(receiver.next().subject, "end.x", "{number}");
    }
}

#[test]
fn events_of_locks_reach_everybody() {
    let server = server();
    let mut receivers = [
        Receiver::nats(&server, "__lock__:door"),
        Receiver::nats_without_headers(&server, ">"),
        Receiver::websocket(&server, "*"),
        Receiver::json(&server, "__lock__:door"),
        Receiver::events(&server, "/__lock__:door"),
        Receiver::lines(&server, "/*"),
        Receiver::resp(&server, b"__lock__:door"),
        Receiver::resp_glob(&server, "__lock__:*"),
    ];
    let mut resp = Client::connect(server.address());
    assert!(resp.ask("LOCK.ACQUIRE door ann TTL 60000").starts_with("[fence, "));
    assert_eq!(resp.ask("LOCK.RELEASE door ann"), "0");
    let body = br#"{"resource": "door", "ttl": 60}"#;
    assert_eq!(Http::connect(server.http_address()).ask("POST", "/lock", &[], body).status, 200);
    for (number, receiver) in receivers.iter_mut().enumerate() {
        for event in ["acquired", "released", "acquired"] {
            let message = receiver.next();
            assert_eq!(message.subject, "__lock__:door", "{number}");
            let payload: serde_json::Value =
                serde_json::from_slice(&message.payload).expect("an event is JSON");
            assert_eq!((&payload["event"], &payload["resource"]), (&event.into(), &"door".into()));
        }
    }
}

/// Names that would be lines of the broker's protocol, if they stood in one.
const FORGED: &[&str] = &["a b", "a\r\nMSG forged 1 0\r\n\r\n", "a..b", "a\n", "a\tb", "a."];

#[test]
fn names_of_resources_and_channels_forge_nothing() {
    let server = server();
    let mut all = [
        Receiver::nats(&server, ">"),
        Receiver::websocket(&server, ">"),
        Receiver::json(&server, ">"),
        Receiver::json(&server, "__lock__:a.>"),
    ];
    let mut resp = Client::connect(server.address());
    for forged in FORGED {
        resp.call(&["LOCK.ACQUIRE", forged, "ann", "TTL", "60000"]);
    }
    assert_eq!(resp.ask("PUBLISH end 1"), "3");
    for receiver in &mut all[..3] {
        assert_eq!(receiver.next().subject, "end");
    }
    let mut watcher = Receiver::nats(&server, "$PRESENCE.>");
    for forged in FORGED {
        let mut subscriber = Client::connect(server.address());
        subscriber.call(&["SUBSCRIBE", forged]);
        subscriber.call(&["PSUBSCRIBE", forged]);
    }
    Client::connect(server.address()).ask("SUBSCRIBE end");
    assert_eq!(watcher.next().subject, "$PRESENCE.end");
}
