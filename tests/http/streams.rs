//! Streams as server-sent events: ids rise, nothing is missing without a gap that says so, and slow readers cost nothing.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::http::Http;
use crate::support::process::{Folder, Server};

const CUTS: usize = 100;

/// Bytes of a message's payload: some hundred messages fill what sockets hold.
const LENGTH: usize = 2_000;

/// Messages that are published at most while clients are cut.
const PUBLISHED_MAX: u64 = 100_000;

/// Messages that are published while no client is there, of which a stream keeps 500.
const MORE: u64 = 600;

/// An event of a stream.
#[derive(Clone, PartialEq, Debug)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Event {
    /// The event of a text without its empty line; none of a comment.
    fn read(text: &str) -> Option<Event> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::to_owned)
        };
        let data = serde_json::from_str(&field("data")?).expect("data is JSON");
        Some(Event { name: field("event")?, id: field("id"), data })
    }

    fn sequence(&self) -> u64 {
        self.data["sequence"].as_u64().expect("it is a message")
    }

    /// The epoch and the sequence of the id.
    fn place(&self) -> (String, u64) {
        let id = self.id.as_deref().expect("it has an id");
        let (epoch, sequence) = id.rsplit_once('-').expect("an epoch and a sequence");
        (epoch.to_owned(), sequence.parse().expect("a number"))
    }
}

/// A client that follows a path.
struct EventSource(Http);

impl EventSource {
    fn open(server: &Server, path: &str, last_id: Option<&str>) -> EventSource {
        EventSource::over(TcpStream::connect(server.http_address()).expect("it listens"), path, last_id)
    }

    fn over(stream: TcpStream, path: &str, last_id: Option<&str>) -> EventSource {
        let mut http = Http::over(stream);
        let last = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{last}\r\n");
        http.write(request.as_bytes());
        EventSource(http)
    }

    fn next(&mut self) -> Event {
        loop {
            // Chunks of the body stand between; no event is cut by one, since each is written as a whole.
            let text = self.0.read_until("\n\n");
            if let Some(event) = text.rfind("id: ").or_else(|| text.rfind("event: ")).map(|at| &text[at..])
                && let Some(event) = Event::read(event)
            {
                return event;
            }
        }
    }
}

fn server() -> Server {
    Server::quartet(&["--http-port", "0", "--dir", ""])
}

fn put(server: &Server, path: &str, body: &Value) -> Value {
    let response = Http::connect(server.http_address()).ask(
        "PUT",
        path,
        &[("Content-Type", "application/json")],
        body.to_string().as_bytes(),
    );
    assert!(response.status < 300, "{} {}", response.status, response.text());
    response.json()
}

fn ask(server: &Server, method: &str, path: &str, body: &str) -> u16 {
    Http::connect(server.http_address()).ask(method, path, &[], body.as_bytes()).status
}

#[test]
fn events_go_on_behind_the_last_one_and_say_what_is_missing() {
    let server = server();
    let epoch =
        put(&server, "/streams/NEWS", &json!({ "subjects": ["news.>"], "storage": "memory" }))["epoch"]
            .clone();
    let epoch = epoch.as_str().expect("a text");
    for number in 1..=5 {
        assert_eq!(ask(&server, "POST", &format!("/publish/news.{}", number % 2), &number.to_string()), 200);
    }
    assert_eq!(ask(&server, "DELETE", "/streams/NEWS/messages/3", ""), 204);
    let path = "/streams/NEWS/messages";
    let mut source = EventSource::open(&server, path, None);
    let first = source.next();
    assert_eq!((&*first.name, first.sequence(), first.place()), ("message", 1, (epoch.to_owned(), 1)));
    assert_eq!(first.data["payload"], "1");
    assert_eq!(source.next().sequence(), 2);
    let gap = source.next();
    assert_eq!((&*gap.name, gap.place().1), ("gap", 3));
    assert_eq!(gap.data, json!({ "reason": "removed", "from": 3, "to": 3, "missed": 1 }));
    assert_eq!([source.next().sequence(), source.next().sequence()], [4, 5]);
    // What is stored from now on follows.
    assert_eq!(ask(&server, "POST", "/publish/news.0", "6"), 200);
    assert_eq!(source.next().sequence(), 6);

    let mut resumed = EventSource::open(&server, path, Some(&format!("{epoch}-4")));
    assert_eq!([resumed.next().sequence(), resumed.next().sequence()], [5, 6]);
    let mut filtered = EventSource::open(&server, &format!("{path}?subject=news.1&from=5"), None);
    assert_eq!(filtered.next().sequence(), 5);
    for (id, reason) in
        [("x", "unknown-id"), ("7-2", "another-epoch"), (&format!("{epoch}-99"), "beyond-the-end")]
    {
        let mut lost = EventSource::open(&server, path, Some(id));
        let gap = lost.next();
        assert_eq!((&*gap.name, &gap.data), ("gap", &json!({ "reason": reason })));
        assert_eq!([gap.place().1, lost.next().sequence()], [0, 1]);
    }

    // Waiting clients get a gap after a purge, though no message follows.
    assert_eq!(ask(&server, "POST", "/streams/NEWS/purge", ""), 200);
    let mut behind = EventSource::open(&server, path, Some(&format!("{epoch}-4")));
    let gap = behind.next();
    assert_eq!(gap.data, json!({ "reason": "removed", "from": 5, "to": 6, "missed": 2 }));
    assert_eq!(gap.place().1, 6);

    // The end of the stream is the end of its events, and another stream of that name is another epoch.
    assert_eq!(ask(&server, "DELETE", "/streams/NEWS", ""), 204);
    behind.0.read_until("\r\n0\r\n\r\n");
    put(&server, "/streams/NEWS", &json!({ "subjects": ["news.>"], "storage": "memory" }));
    assert_eq!(ask(&server, "POST", "/publish/news.0", "1"), 200);
    let mut other = EventSource::open(&server, path, Some(&format!("{epoch}-6")));
    assert_eq!(other.next().data, json!({ "reason": "another-epoch" }));
    assert_eq!(other.next().sequence(), 1);
}

/// A client that takes little at a time.
fn connect_small(server: &Server) -> TcpStream {
    let address = server.http_address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("there are sockets");
    socket.set_recv_buffer_size(4096).expect("it may be small");
    socket.connect(&address.into()).expect("the server listens");
    socket.into()
}

/// What a client has seen of a stream: events follow one another, and gaps name what is missing.
#[derive(Default)]
struct Reader {
    id: Option<String>,
    last: u64,
    seen: u64,
    missed: u64,
}

impl Reader {
    fn take(&mut self, event: &Event) {
        let (_, place) = event.place();
        match &*event.name {
            "gap" => {
                assert_eq!(event.data["from"], self.last + 1, "{event:?}");
                assert_eq!(event.data["to"], place, "{event:?}");
                assert_eq!(event.data["missed"], place - self.last, "{event:?}");
                self.missed += place - self.last;
            }
            "message" => {
                assert_eq!((event.sequence(), place), (self.last + 1, self.last + 1), "{event:?}");
                self.seen += 1;
            }
            other => panic!("{other}"),
        }
        self.last = place;
        self.id.clone_from(&event.id);
    }
}

#[test]
fn an_event_source_that_is_cut_a_hundred_times_misses_nothing_in_silence() {
    let server = server();
    let definition = json!({ "subjects": ["news"], "storage": "memory", "max_msgs": 500 });
    put(&server, "/streams/NEWS", &definition);
    // From the first message that there ever was: later ones may be gone by the time of the first request.
    let path = "/streams/NEWS/messages?from=1";
    let is_over = AtomicBool::new(false);
    let mut reader = Reader::default();
    let payload = "x".repeat(LENGTH);
    let mut publisher = Client::connect(server.address());
    let published: u64 = thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            (1..=PUBLISHED_MAX)
                .take_while(|_| !is_over.load(Relaxed))
                .inspect(|_| drop(publisher.call(&["PUBLISH", "news", payload.as_str()])))
                .last()
                .unwrap_or_default()
        });
        for round in 0..CUTS {
            let mut source = EventSource::over(connect_small(&server), path, reader.id.as_deref());
            for _ in 0..1 + round % 40 {
                reader.take(&source.next());
            }
            if round % 3 == 0 {
                // It is cut within an event.
                source.0.read_exact(1 + round * 37 % 1500);
            }
        }
        is_over.store(true, Relaxed);
        publishing.join().expect("it publishes")
    });
    // More than the stream keeps come while nobody reads.
    for _ in 0..MORE {
        publisher.call(&["PUBLISH", "news", payload.as_str()]);
    }
    let published = published + MORE;
    let mut source = EventSource::open(&server, path, reader.id.as_deref());
    while reader.last < published {
        reader.take(&source.next());
    }
    assert_eq!((reader.last, reader.seen + reader.missed), (published, published));
    assert!(reader.missed >= MORE - 500, "the limit has removed messages meanwhile");
}

#[test]
fn a_reader_that_does_not_read_costs_no_memory() {
    let server = server();
    put(&server, "/streams/NEWS", &json!({ "subjects": ["news"], "storage": "memory", "max_msgs": 10 }));
    let sources: Vec<_> =
        (0..20).map(|_| EventSource::over(connect_small(&server), "/streams/NEWS/messages", None)).collect();
    let mut publisher = Client::connect(server.address());
    let payload = "x".repeat(100_000);
    for _ in 0..300 {
        publisher.call(&["PUBLISH", "news", payload.as_str()]);
    }
    // Nothing waits for receivers: what is not read yet is in the stream, or gone.
    assert_eq!(publisher.figure("broker_waiting_bytes"), 0);
    for mut source in sources {
        let mut reader = Reader { last: 0, ..Reader::default() };
        while reader.last < 300 {
            let event = source.next();
            // What a source finds first need not be the first message that there ever was.
            if reader.last == 0 {
                let first = event.data["from"].as_u64();
                reader.last = first.unwrap_or_else(|| event.sequence()) - 1;
            }
            reader.take(&event);
        }
    }
}

#[test]
fn watching_keys_shows_what_they_are_then_what_changes() {
    let server = server();
    put(&server, "/kv/settings", &json!({ "memory": true, "history": 5 }));
    for (key, value) in [("colour", "red"), ("size", "small"), ("colour", "blue"), ("old", "x")] {
        assert!(ask(&server, "PUT", &format!("/kv/settings/{key}"), value) < 300);
    }
    assert_eq!(ask(&server, "DELETE", "/kv/settings/old", ""), 204);
    let shown = |event: &Event| {
        let data = &event.data;
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        (text("key"), data["revision"].as_u64().unwrap_or_default(), text("operation"), text("value"))
    };
    let entry = |key: &str, revision, operation: &str, value: &str| {
        (key.to_owned(), revision, operation.to_owned(), value.to_owned())
    };
    let mut source = EventSource::open(&server, "/kv/settings?watch", None);
    assert_eq!(shown(&source.next()), entry("size", 2, "put", "small"));
    assert_eq!(shown(&source.next()), entry("colour", 3, "put", "blue"));
    let marker = source.next();
    assert_eq!(shown(&marker), entry("old", 5, "delete", ""));
    let complete = source.next();
    assert_eq!((&*complete.name, complete.id, &complete.data), ("complete", None, &json!({ "sequence": 5 })));
    assert!(ask(&server, "PUT", "/kv/settings/size", "large") < 300);
    assert_eq!(shown(&source.next()), entry("size", 6, "put", "large"));
    assert_eq!(ask(&server, "DELETE", "/kv/settings/size?purge", ""), 204);
    assert_eq!(shown(&source.next()), entry("size", 7, "purge", ""));

    let mut resumed = EventSource::open(&server, "/kv/settings/colour?watch", marker.id.as_deref());
    assert_eq!(resumed.next().name, "gap", "the entries before the purge are gone");
    assert_eq!(resumed.next().name, "complete");
    assert!(ask(&server, "PUT", "/kv/settings/colour", "green") < 300);
    assert_eq!(shown(&resumed.next()), entry("colour", 8, "put", "green"));
    let mut pattern = EventSource::open(&server, "/kv/settings/*?watch", Some("7-1"));
    assert_eq!(pattern.next().data, json!({ "reason": "another-epoch" }));
    assert_eq!(shown(&pattern.next()), entry("old", 5, "delete", ""));
}

#[test]
fn a_stream_that_is_kept_goes_on_where_it_was_after_a_kill() {
    let directory = Folder::new();
    let start = || {
        let directory = directory.path().to_str().expect("the path is text");
        Server::quartet(&["--http-port", "0", "--dir", directory])
    };
    let path = "/streams/NEWS/messages";
    let server = start();
    let epoch = put(&server, "/streams/NEWS", &json!({ "subjects": ["news"] }))["epoch"].clone();
    put(&server, "/streams/NEWS/consumers/packing", &json!({ "ack_wait": 60_000_000_000_u64 }));
    for number in 1..=3 {
        assert_eq!(ask(&server, "POST", "/publish/news", &number.to_string()), 200);
    }
    let mut source = EventSource::open(&server, path, None);
    let ids = [source.next().id, source.next().id];
    let next = |server: &Server, batch| {
        let path = format!("/streams/NEWS/consumers/packing/next?batch={batch}");
        Http::connect(server.http_address()).ask("POST", &path, &[], b"").json()["messages"].clone()
    };
    let taken = next(&server, 2);
    let body = json!({ "tokens": [taken[0]["lease"]["token"]] }).to_string();
    assert_eq!(ask(&server, "POST", "/streams/NEWS/consumers/packing/ack", &body), 200);
    // It is killed, not stopped: whatever was answered is on the disk.
    drop(server);

    let server = start();
    let described = Http::connect(server.http_address()).get("/streams/NEWS").json();
    assert_eq!((&described["epoch"], &described["state"]["messages"]), (&epoch, &json!(3)));
    let mut resumed = EventSource::open(&server, path, ids[1].as_deref());
    assert_eq!(resumed.next().sequence(), 3);
    // The message that is out stays with whoever has it.
    let messages = next(&server, 10);
    assert_eq!(messages.as_array().map(Vec::len), Some(1), "{messages}");
    assert_eq!(messages[0]["sequence"], 3);
    assert_eq!(ask(&server, "POST", "/streams/NEWS/consumers/packing/ack", &body), 200);
}

#[test]
fn clients_of_nats_and_of_http_see_the_same_keys() {
    let server = Server::quartet(&["--http-port", "0", "--broker-port", "0", "--dir", ""]);
    put(&server, "/kv/settings", &json!({ "memory": true }));
    let mut client = BrokerClient::quiet(server.broker_address());
    client.write("SUB $KV.settings.> 1\r\nSUB answers 2\r\nPUB $KV.settings.colour answers 4\r\nblue\r\n");
    assert_eq!(client.delivered().payload, b"blue");
    assert_eq!(client.delivered().payload, br#"{"stream":"KV_settings","seq":1}"#);
    let read = |key: &str| Http::connect(server.http_address()).get(&format!("/kv/settings/{key}"));
    let response = read("colour");
    assert_eq!((response.status, response.text(), response.header("etag")), (200, "blue", Some("\"1\"")));

    assert_eq!(ask(&server, "PUT", "/kv/settings/size", "large"), 201);
    assert_eq!(client.delivered().payload, b"large");
    // What is refused is not published either: the marker is what comes next.
    let mut http = Http::connect(server.http_address());
    assert_eq!(http.ask("PUT", "/kv/settings/size", &[("If-Match", "\"1\"")], b"small").status, 412);
    assert_eq!(ask(&server, "DELETE", "/kv/settings/size", ""), 204);
    assert_eq!(client.delivered().headers, b"NATS/1.0\r\nKV-Operation: DEL\r\n\r\n");
    let marker = "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n";
    let length = marker.len();
    client.write(format!("HPUB $KV.settings.colour answers {length} {length}\r\n{marker}\r\n"));
    assert_eq!(client.delivered().headers, marker.as_bytes());
    assert_eq!(client.delivered().payload, br#"{"stream":"KV_settings","seq":4}"#);
    assert_eq!(read("colour").status, 404);
}
