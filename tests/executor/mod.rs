//! Commands of callers that are no connections: one at a time, as a transaction, and inside another command.

mod key_wait_steps;
mod key_waits;
mod long_holds;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use quartet::catalog::SERVICES;
use quartet::client::Door;
use quartet::clock::Clock;
use quartet::command::executor::{Executed, Executor, Inside};
use quartet::command::{Call, Caller, Command, CommandTable, Flow, Handler, KeyAccess, Keys, Services};
use quartet::metrics::Metrics;
use quartet::random::Random;
use quartet::refusal::Refusal;
use quartet::server;
use quartet::settings::Settings;
use quartet::wait::{Barrier, Durable, Lost, Position};
use quartet_protocol::resp::{Output, OwnedArguments};

/// At least as many threads as the services have.
const THREADS: usize = 4;

/// A command that runs another one, as a script does: `NEST key command [argument ...]`.
const NEST: &[Command] = &[Command {
    name: "nest",
    syntax: "key command [argument ...]",
    keys: Keys::first(KeyAccess::OverwriteUpdate),
    handler: Handler::Data(nest),
    ..Command::ROW
}];

/// The reply of NEST if the inner command needs more.
const NEEDS_STORE: &str = "-ERR the store alone would do";

/// A command whose reply waits for a disk that never gets it: `HOLD`.
const HOLD: &[Command] = &[Command { name: "hold", handler: Handler::Data(hold), ..Command::ROW }];

/// A command that takes as long as it likes: `LAST milliseconds`.
const LAST: &[Command] =
    &[Command { name: "last", syntax: "milliseconds", handler: Handler::Data(last), ..Command::ROW }];

struct SlowDisk;

impl Durable for SlowDisk {
    fn poll_synced(&self, _: Position, _: &Waker) -> Poll<Result<(), Lost>> {
        Poll::Pending
    }
}

fn hold(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    call.delay_reply(Barrier { journal: Arc::new(SlowDisk), position: Position(1) });
    call.output.ok();
    Ok(())
}

fn last(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let milliseconds = std::str::from_utf8(call.arguments.at(1)).ok().and_then(|text| text.parse().ok());
    call.services.clock.advance(Duration::from_millis(milliseconds.expect("a number")));
    call.output.ok();
    Ok(())
}

fn nest(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mut caller = Caller { may_block: false, ..call.caller.clone() };
    let mut output = Output::new();
    match call.execute(&mut caller, call.arguments.from(2), &mut output, &mut Inside::default()) {
        Executed::NeedsStore => call.output.error(&NEEDS_STORE[1..]),
        Executed::Done | Executed::Refused => call.output.append(&mut output),
    }
    Ok(())
}

struct Requests {
    executor: Executor,
    caller: Caller,
}

impl Requests {
    fn new() -> Requests {
        Requests::with(Settings::default(), Clock::machine())
    }

    fn with(settings: Settings, clock: Clock) -> Requests {
        let settings = Settings { threads: 1, dir: None, ..settings };
        let mut services = server::services(settings, clock, 1);
        let families = SERVICES.iter().flat_map(|service| service.commands).copied();
        services.commands = CommandTable::new(&families.chain([NEST, HOLD, LAST]).collect::<Vec<_>>());
        services.metrics = Metrics::new(THREADS, services.commands.rows().len());
        let caller = Caller::new(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let caller = Caller { may_block: false, ..caller };
        Requests { executor: Executor::new(Arc::new(services), 0, Random::with_seed(1)), caller }
    }

    fn services(&self) -> &Services {
        self.executor.services()
    }

    /// The reply to one request, as RESP2 text with blanks for line ends.
    fn ask(&mut self, line: &str) -> String {
        let mut output = Output::new();
        let flow = self.executor.run(&mut self.caller, owned(line).as_arguments(), &mut output);
        assert_eq!(flow, Flow::Continue, "{line}");
        text(&output)
    }

    /// The reply to requests that run as one.
    fn ask_as_one(&mut self, lines: &[&str]) -> String {
        let requests: Vec<_> = lines.iter().map(|line| owned(line)).collect();
        let mut output = Output::new();
        let flow = self.executor.run_transaction(&mut self.caller, &requests, &mut output);
        assert_eq!(flow, Flow::Continue, "{lines:?}");
        text(&output)
    }

    /// A key in another shard than `key`.
    fn elsewhere(&self, key: &str) -> String {
        let store = &self.services().store;
        let shard = |name: &str| store.shard_of(0, store.key(name.as_bytes()).hash);
        let names = (0..).map(|number| format!("elsewhere:{number}"));
        names.into_iter().find(|name| shard(name) != shard(key)).expect("there is more than one shard")
    }
}

fn owned(line: &str) -> OwnedArguments {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    OwnedArguments::from_slices(&words)
}

fn text(output: &Output) -> String {
    let bytes: Vec<u8> = output.parts().flatten().copied().collect();
    String::from_utf8_lossy(&bytes).replace("\r\n", " ").trim_end().to_owned()
}

fn refused(refusal: &Refusal) -> String {
    format!("-{}", String::from_utf8_lossy(refusal.text()))
}

#[test]
fn a_caller_needs_no_connection() {
    let mut requests = Requests::new();
    for (line, reply) in [
        ("SET k v", "+OK"),
        ("GET k", "$1 v"),
        ("SELECT 1", "+OK"),
        ("GET k", "$-1"),
        ("SELECT 0", "+OK"),
        ("PING", "+PONG"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("POST / HTTP/1.1", "-ERR unknown command 'POST', with args beginning with: '/' 'HTTP/1.1' "),
        ("LOCK.ACQUIRE r one TTL 60000", "*8"),
        // It may not wait.
        ("LOCK.ACQUIRE r two TTL 60000 WAIT 60000", "$-1"),
    ] {
        let answer = requests.ask(line);
        assert!(answer.starts_with(reply.trim_end()), "{line}: {answer}");
    }
    assert_eq!(requests.services().clients.len(Door::Resp), 0);
}

#[test]
fn session_commands_are_refused_without_a_connection() {
    let mut requests = Requests::new();
    for line in [
        "AUTH password",
        "HELLO 3",
        "RESET",
        "QUIT",
        "MONITOR",
        "SUBSCRIBE c",
        "UNSUBSCRIBE",
        "PSUBSCRIBE c*",
        "SSUBSCRIBE c",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH k",
        "UNWATCH",
        "CLIENT REPLY OFF",
        "CLIENT SETNAME name",
        "CLIENT NO-TOUCH ON",
        "LOCK.SESSION OPEN TTL 1000 CONN",
    ] {
        assert_eq!(requests.ask(line), refused(&Refusal::NEEDS_CONNECTION), "{line}");
        let transaction = requests.ask_as_one(&["SET k v", line]);
        assert!(
            transaction.contains("connection") && transaction.starts_with(['-', '*']),
            "{line}: {transaction}"
        );
    }
    assert!(requests.ask("CLIENT LIST").starts_with('$'), "it shows connections, and needs none");
}

#[test]
fn a_transaction_needs_no_connection() {
    let mut requests = Requests::new();
    assert_eq!(requests.ask_as_one(&[]), "*0");
    assert_eq!(requests.ask_as_one(&["SET n 1", "INCR n", "GET n", "INCR n x"]), {
        "-EXECABORT Transaction discarded because of: wrong number of arguments for 'incr' command"
    });
    assert_eq!(requests.ask("GET n"), "$-1", "none of a transaction runs if one may not");
    assert_eq!(requests.ask_as_one(&["SET n 1", "INCR n", "LPUSHX", "GET n"]).split(':').next(), {
        Some("-EXECABORT Transaction discarded because of")
    });
    assert_eq!(requests.ask_as_one(&["SET n 1", "INCR n", "SET t x", "INCR t"]), {
        "*4 +OK :2 +OK -ERR value is not an integer or out of range"
    });
    // A database is selected for the commands after it and for the caller, as EXEC does it.
    assert_eq!(requests.ask_as_one(&["SELECT 1", "SET n 7", "DBSIZE", "SELECT 0", "GET n"]), {
        "*5 +OK +OK :1 +OK $1 2"
    });
    assert_eq!(requests.ask_as_one(&["FLUSHALL", "SET n 5", "KEYS *"]), "*3 +OK +OK *1 $1 n");
    assert_eq!(requests.ask_as_one(&["SET n 1", "MULTI"]), {
        format!("-EXECABORT Transaction discarded because of: {}", &refused(&Refusal::NEEDS_CONNECTION)[5..])
    });
    assert_eq!(requests.ask("GET n"), "$1 5");
}

#[test]
fn a_command_inside_another_runs_on_its_keys() {
    let mut requests = Requests::new();
    assert_eq!(requests.ask("NEST k SET k v"), "+OK");
    assert_eq!(requests.ask("NEST k GET k"), "$1 v");
    assert_eq!(requests.ask("NEST k NEST k APPEND k w"), ":2");
    assert_eq!(requests.ask("GET k"), "$2 vw");
    // The database of the inner caller is its own.
    assert_eq!(requests.ask("NEST k SELECT 1"), "+OK");
    assert_eq!(requests.ask("GET k"), "$2 vw");
    assert_eq!(requests.ask_as_one(&["NEST k SET k x", "GET k"]), "*2 +OK $1 x");
}

#[test]
fn a_key_that_was_not_declared_is_refused_and_nothing_happens() {
    let mut requests = Requests::new();
    let other = requests.elsewhere("k");
    requests.ask("SET k v");
    for line in [
        format!("NEST k SET {other} v"),
        format!("NEST k GET {other}"),
        format!("NEST k MSET k changed {other} v"),
        format!("NEST k RENAME k {other}"),
        format!("NEST k NEST {other} SET {other} v"),
    ] {
        assert_eq!(requests.ask(&line), NEEDS_STORE, "{line}");
    }
    assert_eq!(requests.ask("DBSIZE"), ":1");
    assert_eq!(requests.ask("GET k"), "$1 v");
    // In a transaction that has the other key's shard locked as well, it is declared.
    assert_eq!(
        requests.ask_as_one(&[&format!("NEST k SET {other} w"), &format!("GET {other}")]),
        "*2 +OK $1 w"
    );
}

#[test]
fn a_reply_waits_for_what_its_inner_commands_wait_for() {
    let mut requests = Requests::new();
    let mut output = Output::new();
    output.simple("earlier");
    let start = output.len();
    requests.executor.run(&mut requests.caller, owned("NEST k NEST k HOLD").as_arguments(), &mut output);
    let held = requests.executor.take_held();
    let places: Vec<_> = held.iter().map(|held| (held.start, held.end)).collect();
    assert_eq!(places, [(start, output.len())]);
    assert_eq!(text(&output), "+earlier +OK");
}

#[test]
fn commands_that_may_not_nest_are_refused() {
    let mut requests = Requests::new();
    for line in
        ["NEST k DBSIZE", "NEST k FLUSHALL", "NEST k KEYS *", "NEST k RL.CHECK k 1 1s", "NEST k PUBLISH c m"]
    {
        assert_eq!(requests.ask(line), NEEDS_STORE, "{line}");
    }
    for (line, refusal) in [
        ("NEST k MULTI", Refusal::NOT_IN_SCRIPTS),
        ("NEST k SUBSCRIBE c", Refusal::NOT_IN_SCRIPTS),
        ("NEST k GET", Refusal::WRONG_ARITY_IN_SCRIPT),
        ("NEST k NOSUCH", Refusal::UNKNOWN_IN_SCRIPT),
        ("NEST k CLIENT NOSUCH", Refusal::UNKNOWN_IN_SCRIPT),
    ] {
        assert_eq!(requests.ask(line), refused(&refusal), "{line}");
    }
    // With the whole store there is nothing that it may not look at.
    assert_eq!(requests.ask_as_one(&["FLUSHALL", "SET a 1", "NEST k DBSIZE"]), "*3 +OK +OK :1");
}

#[test]
fn only_a_transaction_that_appends_to_the_journal_waits_for_its_turn() {
    let mut requests = Requests::new();
    let journal = Arc::clone(&requests.services().journal);
    let (taken, is_taken) = std::sync::mpsc::channel();
    let (release, is_released) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        let turn = journal.groups().turn();
        taken.send(()).expect("the test waits");
        // Until the other end is dropped.
        let _ = is_released.recv();
        drop(turn);
    });
    is_taken.recv().expect("the turn is free");
    assert_eq!(requests.ask_as_one(&["SET a 1", "INCR a"]), "*2 +OK :2");
    // It has the gate alone.
    assert_eq!(
        requests.ask_as_one(&["FENCE.SET a 7 LOCK job FENCE 1", "DBSIZE"]).split(' ').next(),
        Some("*2")
    );
    drop(release);
    assert!(requests.ask_as_one(&["LOCK.ACQUIRE job ann TTL 1000"]).contains("fence"));
    other.join().expect("it has had its turn");
}

/// Time stands still for the commands of a transaction, but not for those who watch over its scripts.
#[test]
fn the_time_of_a_script_begins_with_it() {
    let settings = Settings { busy_reply_threshold: 5_000, ..Settings::default() };
    let mut requests = Requests::with(settings, key_waits::still());
    let script = OwnedArguments::from_slices(&[b"EVAL", b"for _ = 1, 1e6 do end return 1", b"0"]);
    let queue = [owned("LAST 8000"), script, owned("LAST 8000")];
    let mut output = Output::new();
    assert_eq!(requests.executor.run_transaction(&mut requests.caller, &queue, &mut output), Flow::Continue);
    // Nobody could stand in for this thread, so a script over the threshold would be stopped.
    assert_eq!(text(&output), "*3 +OK :1 +OK");
}
