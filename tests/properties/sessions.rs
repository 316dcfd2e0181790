//! A conversation gives the same replies however its input is cut, put off and held up by pauses.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use quartet::client::Door;
use quartet::clock::{Clock, Now};
use quartet::command::Flow;
use quartet::command::executor::Executor;
use quartet::random::Random;
use quartet::server;
use quartet::session::resp::Session;
use quartet::settings::Settings;
use quartet_protocol::resp::{Batch, Output};

/// Commands as a client may write them: words in quotes are unquoted in the buffer itself.
const COMMANDS: [&str; 8] = [
    "PING\r\n",
    "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n",
    "ECHO \"a \\x41 'b'\"\r\n",
    "*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$3\r\n0.1\r\n",
    "MULTI\r\nINCR n\r\nDEBUG SLEEP 1\r\nEXEC\r\n",
    "*1\r\n$9\r\nNO SUCH\r\n\r\n",
    "APPEND 'key' \"\\r\\n\"\r\n",
    "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
];

/// More bytes of replies than a session hands out at once.
const MANY_REPLIES: usize = 300;
const LONG_VALUE: usize = 16 * 1024;

struct Conversation {
    session: Session,
    executor: Executor,
    batch: Batch,
    replies: Vec<u8>,
    longest: usize,
}

impl Conversation {
    fn new() -> Conversation {
        let clock = Clock::manual(Now::at(Duration::from_secs(1), Duration::from_secs(1)));
        let services =
            Arc::new(server::services(Settings { threads: 1, dir: None, ..Settings::default() }, clock, 1));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let shared = services.clients.connect(Door::Resp, address, address, 0);
        let executor = Executor::new(services, 0, Random::with_seed(2));
        let session = Session::new(shared, true);
        Conversation { session, executor, batch: Batch::new(), replies: Vec::new(), longest: 0 }
    }

    /// Runs the piece and all that waits, or only takes it in.
    fn hear(&mut self, piece: &[u8], put_off: bool) {
        if put_off {
            assert_eq!(self.session.put_off(piece, &mut self.executor), Flow::Continue);
            return;
        }
        let mut output = Output::new();
        if self.session.is_behind() {
            self.session.put_off(piece, &mut self.executor);
            return self.catch_up();
        }
        let flow =
            self.session.receive(&mut piece.to_vec(), &mut self.executor, &mut self.batch, &mut output);
        self.take(&mut output);
        if flow != Flow::Continue || self.session.is_behind() {
            self.catch_up();
        }
    }

    fn catch_up(&mut self) {
        let mut output = Output::new();
        loop {
            self.executor.begin_turn();
            let flow = self.session.resume(&mut self.executor, &mut self.batch, &mut output);
            self.take(&mut output);
            if flow == Flow::Continue && !self.session.is_behind() {
                return;
            }
        }
    }

    fn take(&mut self, output: &mut Output) {
        self.longest = self.longest.max(output.len());
        self.replies.extend(output.parts().flatten());
        output.clear();
    }
}

proptest! {
    #[test]
    fn replies_do_not_depend_on_how_input_comes(
        commands in proptest::collection::vec(0..COMMANDS.len(), 1..150),
        cuts in proptest::collection::vec((1_usize..400, any::<bool>()), 1..60),
    ) {
        let (mut plain, mut cut) = (Conversation::new(), Conversation::new());
        let mut input = Vec::new();
        for command in commands {
            let bytes = COMMANDS[command].as_bytes();
            bytes.split_inclusive(|&byte| byte == b'\n').for_each(|line| plain.hear(line, false));
            input.extend_from_slice(bytes);
        }
        let mut rest = input.as_slice();
        for (length, put_off) in cuts {
            let (piece, later) = rest.split_at(length.min(rest.len()));
            cut.hear(piece, put_off);
            rest = later;
        }
        cut.hear(rest, true);
        cut.catch_up();
        prop_assert_eq!(String::from_utf8_lossy(&cut.replies), String::from_utf8_lossy(&plain.replies));
    }
}

#[test]
fn replies_of_a_long_pipeline_are_handed_out_in_parts() {
    let mut conversation = Conversation::new();
    conversation.hear(format!("SET key {}\r\n", "v".repeat(LONG_VALUE)).as_bytes(), false);
    conversation.hear("GET key\r\n".repeat(MANY_REPLIES).as_bytes(), false);
    assert!(conversation.replies.len() > MANY_REPLIES * LONG_VALUE);
    assert!(conversation.longest < 2 * 1024 * 1024, "{} bytes at once", conversation.longest);
}
