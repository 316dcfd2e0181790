//! Conversations without sockets: bytes in, bytes out, on a clock that only the tests move.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quartet::client::Door;
use quartet::clock::{Clock, Now};
use quartet::command::executor::Executor;
use quartet::command::{Flow, Services};
use quartet::delivery::Amount;
use quartet::random::Random;
use quartet::server;
use quartet::session::broker::Session;
use quartet::settings::Settings;
use quartet_protocol::buffer::Buffer;

/// A server that is nothing but its services.
struct Quiet {
    services: Arc<Services>,
    executor: Executor,
    next_port: u16,
}

/// One client, and what it was sent and has not read.
struct Talk {
    session: Session,
    sent: Buffer,
    is_open: bool,
}

impl Quiet {
    fn with(settings: Settings) -> Quiet {
        let now = Now::at(Duration::from_secs(1_000), Duration::from_secs(1_700_000_000));
        let services = Arc::new(server::services(Settings { threads: 1, ..settings }, Clock::manual(now), 1));
        services.open();
        let executor = Executor::new(Arc::clone(&services), 0, Random::with_seed(1));
        Quiet { services, executor, next_port: 40_000 }
    }

    /// A client that has read INFO.
    fn connect(&mut self) -> Talk {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let now = self.services.clock.now().millis();
        let client = self.services.clients.connect(Door::Broker, address(self.next_port), address(4222), now);
        self.next_port += 1;
        let is_open = !self.services.settings.current().has_password();
        let mut talk = Talk { session: Session::new(client, is_open), sent: Buffer::new(), is_open: true };
        self.tend(&mut talk);
        assert!(self.read(&mut talk).starts_with("INFO {"));
        talk
    }

    /// The same for one that is not verbose.
    fn connect_quietly(&mut self) -> Talk {
        let mut talk = self.connect();
        self.say(&mut talk, "CONNECT {\"verbose\":false,\"headers\":true}\r\n");
        talk
    }

    fn tend(&mut self, talk: &mut Talk) {
        let flow = talk.session.tend(&mut self.executor, &mut talk.sent);
        talk.is_open &= flow == Flow::Continue;
    }

    fn say(&mut self, talk: &mut Talk, bytes: impl AsRef<[u8]>) {
        let mut output = Buffer::new();
        let flow = talk.session.receive(bytes.as_ref(), &mut self.executor, &mut output);
        talk.sent.append(&mut output);
        talk.session.shared().outbox.set_unsent(&talk.sent);
        talk.is_open &= flow == Flow::Continue;
    }

    /// Everything that the client can read by now.
    fn read(&mut self, talk: &mut Talk) -> String {
        let mut text = String::new();
        loop {
            talk.session.collect(&mut talk.sent);
            if talk.sent.is_empty() {
                return text;
            }
            let bytes = std::mem::take(&mut talk.sent).into_bytes();
            talk.session.shared().outbox.set_unsent(&talk.sent);
            talk.session.note_sent(bytes.len(), true);
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    #[track_caller]
    fn check(&mut self, talk: &mut Talk, text: &str, expected: &str) {
        self.say(talk, text);
        assert_eq!(self.read(talk), expected);
    }

    /// Lets time pass, and has done what falls due.
    fn advance(&mut self, duration: Duration, talk: &mut Talk) -> String {
        self.services.clock.advance(duration);
        self.services.keep_house();
        self.tend(talk);
        self.read(talk)
    }
}

/// Something of everything that a client may say.
fn script() -> Vec<u8> {
    let long = "x".repeat(100_000);
    [
        "CONNECT {\"verbose\":true,\"pedantic\":true,\"headers\":true,\"no_responders\":true,\"protocol\":1}\r\n",
        "PING\r\nsub  a.*\t1\nSUB a.b team 2\r\nSUB inbox.1 3\r\nPUB a.b 5\r\nhello\r\npub a.b r 0\n\n",
        "HPUB a.c 12 15\r\nNATS/1.0\r\n\r\nyes\r\nPUB nobody inbox.1 2\r\nhi\r\nPUB a..b 1\r\nx\r\n",
        "UNSUB 2 3\r\nSUB a. 4\r\nPUB a.b $JS.ACK.1 1\r\nx\r\nPONG\r\nINFO {}\r\n+OK\r\n",
        &format!("PUB a.long {}\r\n{long}\r\nHPUB a.long x 12 {}\r\nNATS/1.0\r\n\r\n{long}\n", 100_000, 100_012),
        "UNSUB 1\r\nPUB a.b 1\r\nx\r\nPING\r\nHELLO\r\n",
    ]
    .concat()
    .into_bytes()
}

/// What the client is sent that says the script in these pieces, without INFO, whose numbers differ.
fn answers<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<String>, bool) {
    let mut server = Quiet::with(Settings::default());
    let mut talk = server.connect();
    let mut text = String::new();
    for piece in pieces {
        if !talk.is_open {
            break;
        }
        server.say(&mut talk, piece);
        text.push_str(&server.read(&mut talk));
    }
    let lines = text.split("\r\n").filter(|line| !line.starts_with("INFO ")).map(str::to_owned);
    (lines.collect(), talk.is_open)
}

#[test]
fn pieces_make_no_difference() {
    let script = script();
    let (whole, is_open) = answers([&script[..]]);
    assert!(!is_open && whole.len() > 30, "{whole:?}");
    assert!(whole.contains(&"-ERR 'Unknown Protocol Operation'".to_owned()));
    assert_eq!(answers(script.chunks(1)), (whole.clone(), false));
    let mut random = Random::with_seed(7);
    for _ in 0..200 {
        let mut rest = &script[..];
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let most = [3, 40, 5_000, 70_000][random.below(4)];
            let (piece, behind) = rest.split_at((1 + random.below(most)).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        assert_eq!(answers(pieces), (whole.clone(), false));
    }
}

#[test]
fn an_answer_waits_behind_all_messages_from_before() {
    let mut server = Quiet::with(Settings::default());
    let (mut slow, mut publisher) = (server.connect_quietly(), server.connect_quietly());
    server.say(&mut slow, "SUB news 1\r\n");
    let message = format!("PUB news 10000\r\n{}\r\n", "m".repeat(10_000));
    for _ in 0..100 {
        server.say(&mut publisher, &message);
    }
    server.say(&mut slow, "PING\r\nSUB news 1\r\nPUB news 2\r\nme\r\nPING\r\n");
    server.say(&mut publisher, "PUB news 4\r\nlast\r\n");
    let text = server.read(&mut slow);
    let words: Vec<&str> = text.split("\r\n").filter(|line| !line.starts_with('m')).collect();
    let (messages, rest) = words.split_at(100);
    assert!(messages.iter().all(|line| *line == "MSG news 1 10000"), "{messages:?}");
    // The one that the client has published itself lies before the second PONG.
    assert_eq!(rest, ["PONG", "MSG news 1 2", "PONG", "MSG news 1 4", "last", ""]);
}

#[test]
fn a_client_that_reads_no_answers_is_not_read_either() {
    let mut server = Quiet::with(Settings::default());
    let mut talk = server.connect();
    let pings = "PING\r\n".repeat(1_000);
    let mut said = 0;
    while talk.session.has_read() {
        server.say(&mut talk, &pings);
        said += 1_000;
    }
    assert_eq!(said, 175_000, "a mebibyte of answers, and those of the last batch");
    assert_eq!(server.read(&mut talk).len(), 6 * said);
    assert!(talk.session.has_read());
}

#[test]
fn ids_of_subscriptions_that_had_all_their_messages_are_free() {
    let mut server = Quiet::with(Settings { broker_max_subscriptions: 2, ..Settings::default() });
    let mut talk = server.connect_quietly();
    for request in 0..1_000 {
        let text = format!("SUB inbox.{request} 7\r\nUNSUB 7 1\r\nPUB inbox.{request} 1\r\nx\r\n");
        server.check(&mut talk, &text, &format!("MSG inbox.{request} 7 1\r\nx\r\n"));
    }
    let (shared, all) = (talk.session.shared(), Amount { messages: 1_000, bytes: 1_000 });
    let facts = shared.broker().expect("it is a client of the broker");
    assert_eq!((facts.subscription_count(), facts.published(), shared.outbox.sent()), (0, all, all));
    let full = "-ERR 'maximum subscriptions exceeded'\r\n";
    server.check(&mut talk, "SUB a 1\r\nSUB a 2\r\nSUB a 3\r\n", full);
    talk.session.close(&mut server.executor);
    assert_eq!(server.services.fan_out.channels.subscription_count(), 0);
}

#[test]
fn a_silent_client_is_pinged_at_its_times() {
    let mut server =
        Quiet::with(Settings { broker_ping_interval: Duration::from_secs(60), ..Settings::default() });
    let mut talk = server.connect();
    let seconds = Duration::from_secs;
    assert_eq!(server.advance(Duration::from_millis(1_999), &mut talk), "");
    assert_eq!(server.advance(Duration::from_millis(1), &mut talk), "PING\r\n");
    server.services.clock.advance(Duration::from_millis(3));
    server.say(&mut talk, "PONG\r\n");
    let facts =
        |talk: &Talk| talk.session.shared().broker().expect("it is a client of the broker").round_trip();
    assert_eq!(facts(&talk), Some(Duration::from_millis(3)));
    // Whoever says something is not pinged.
    server.services.clock.advance(seconds(30));
    server.say(&mut talk, "SUB a 1\r\n");
    assert_eq!(server.advance(seconds(59), &mut talk), "+OK\r\n");
    assert_eq!(server.advance(seconds(1), &mut talk), "PING\r\n");
    assert_eq!(server.advance(seconds(60), &mut talk), "PING\r\n");
    server.say(&mut talk, "SUB a 1\r\n");
    assert_eq!(server.advance(seconds(60), &mut talk), "+OK\r\nPING\r\n");
    assert_eq!(server.advance(seconds(60), &mut talk), "PING\r\n");
    assert!(talk.is_open);
    assert_eq!(server.advance(seconds(60), &mut talk), "-ERR 'Stale Connection'\r\n");
    assert!(!talk.is_open);
}

#[test]
fn a_password_is_waited_for_so_long() {
    let guarded = Settings { requirepass: "sesame".to_owned(), ..Settings::default() };
    let mut server = Quiet::with(guarded);
    let mut late = server.connect();
    assert_eq!(server.advance(Duration::from_millis(1_999), &mut late), "");
    let mut early = server.connect();
    server.check(&mut early, "CONNECT {\"verbose\":false,\"pass\":\"sesame\"}\r\nPING\r\n", "PONG\r\n");
    let timeout = "-ERR 'Authentication Timeout'\r\n";
    assert_eq!(server.advance(Duration::from_millis(1), &mut late), timeout);
    assert_eq!(server.advance(Duration::from_millis(1_999), &mut early), "PING\r\n");
    assert!(early.is_open && !late.is_open);
}
