//! A command that takes long holds nobody up who needs nothing of what it holds, also with one worker.
//!
//! `QUARTET_LONG=1` does it with the numbers of the issue: a million members and more.

use super::dumped_values::dump;
use crate::support::client::{Client, request};
use crate::support::process::{Server, wait_for};

/// Members of the keys, to begin with, and in the end.
const MEMBERS: usize = 20_000;
const MEMBERS_MAX: usize = 1_280_000;
const MEMBERS_LONG: usize = 1_000_000;

/// Requests that another client has answered one after the other while the long one is at work.  A thread that is held up
/// answers one or two at most: those that it has met together with the long one.
const ANSWERED: usize = 20;

/// A script that takes about this many times as long as a loop of a million steps.
fn script(millions: usize) -> String {
    format!("for _ = 1, {millions}000000 do end return redis.call('INCR', KEYS[1])")
}

fn is_long() -> bool {
    std::env::var_os("QUARTET_LONG").is_some()
}

fn server(threads: &str) -> (Server, Client) {
    // No script is long enough to be told apart from other commands.
    let server = Server::quartet(&["--threads", threads, "--busy-reply-threshold", "60000"]);
    let client = Client::connect(server.address());
    (server, client)
}

/// Makes a key of so many members of each type, in a few requests.
fn fill(client: &mut Client, members: usize) {
    assert_eq!(client.ask("FLUSHALL"), "OK");
    for (command, key, has_value) in [
        ("HSET", "hash", true),
        ("RPUSH", "list", false),
        ("SADD", "set", false),
        ("SADD", "set:2", false),
        ("ZADD", "sorted", true),
    ] {
        for start in (0..members).step_by(10_000) {
            let mut words = vec![command.to_owned(), key.to_owned()];
            for number in start..(start + 10_000).min(members) {
                words.extend(has_value.then(|| number.to_string()));
                words.push(number.to_string());
            }
            client.write(&request(&words));
            client.read_text().expect("an answer");
        }
    }
}

/// Whether another client is answered often while this command runs.
fn lets_others_be_answered(server: &Server, other: &mut Client, line: &str) -> bool {
    let mut runner = Client::connect(server.address());
    // A worker has it, so what it says is met at once.
    assert_eq!(runner.ask("PING"), "PONG");
    runner.write(&request(&line.split_whitespace().collect::<Vec<_>>()));
    let is_enough = answers_before(&mut runner, other);
    assert!(runner.read_text().is_some_and(|reply| !reply.starts_with('-')), "{line}");
    is_enough
}

/// Whether another client is answered often before this one is.
fn answers_before(runner: &mut Client, other: &mut Client) -> bool {
    let answered = (0..ANSWERED).take_while(|number| {
        assert_eq!(other.ask(&format!("ECHO {number}")), number.to_string());
        !runner.has_answer()
    });
    answered.count() == ANSWERED
}

/// Commands on whole values that take longest.  One that takes too little time to tell is said again on keys of twice the size.
const SLOW: &[&str] = &["SORT set", "SUNION set set:2", "ZUNIONSTORE union 2 sorted set WEIGHTS 2 3"];

/// Others, which take too little time on keys that are made quickly: for the long run.
const WHOLE: &[&str] = &[
    "HGETALL hash",
    "LRANGE list 0 -1",
    "SMEMBERS set",
    "SINTER set set:2",
    "SORT list BY nothing* STORE sorted:list",
    "SDIFFSTORE left set set:2",
    "ZRANGEBYSCORE sorted -inf +inf WITHSCORES",
    "COPY hash copy REPLACE",
    "DUMP hash",
    "LREM list 0 nobody",
    "KEYS set*",
    "EVAL return(#redis.call('SMEMBERS',KEYS[1])) 1 set",
];

/// The same for those that take their key away.
const TAKING: &[(&str, &str)] = &[
    ("COPY sorted victim REPLACE", "ZREMRANGEBYRANK victim 0 -2"),
    ("COPY set victim REPLACE", "SPOP victim %"),
    ("COPY hash victim REPLACE", "UNLINK victim"),
    ("COPY hash victim REPLACE", "RENAME victim other"),
];

/// What is over before anybody could be held up, however large the key.
const QUICK: &[&str] = &[
    "UNLINK victim",
    "RENAME victim other",
    "KEYS set*",
    "LREM list 0 nobody",
    "SORT list BY nothing* STORE sorted:list",
    "COPY hash copy REPLACE",
];

#[test]
fn commands_on_whole_values_hold_nobody_up() {
    for threads in ["1", "3"] {
        let (server, mut other) = server(threads);
        let mut members = if is_long() { MEMBERS_LONG } else { MEMBERS };
        let mut left: Vec<(&str, &str)> = SLOW.iter().map(|line| ("PING", *line)).collect();
        if is_long() {
            left.extend(WHOLE.iter().map(|line| ("PING", *line)));
            left.extend_from_slice(TAKING);
        }
        while !left.is_empty() && members <= MEMBERS_MAX {
            fill(&mut other, members);
            left.retain(|(prepare, line)| {
                let line = line.replace('%', &(members - 1).to_string());
                let is_answered = (0..2).any(|_| {
                    assert!(!other.ask(prepare).starts_with('-'), "{prepare}");
                    lets_others_be_answered(&server, &mut other, &line)
                });
                !is_answered && !QUICK.contains(&line.as_str())
            });
            members *= 2;
        }
        assert!(left.is_empty(), "with {threads} workers others waited for the end of {left:?}");
    }
}

/// Keys whose payloads are restored.
const RESTORED: &[&str] = &["hash", "set", "sorted"];

/// Payloads with many members, all but the end of which has come, are checked and restored while others are answered.
#[test]
fn payloads_of_many_members_are_restored_beside_others() {
    let (server, mut other) = server("1");
    let mut members = if is_long() { MEMBERS_LONG } else { MEMBERS };
    let mut left = RESTORED.to_vec();
    while !left.is_empty() && members <= MEMBERS_MAX {
        fill(&mut other, members);
        left.retain(|key| !(0..2).any(|_| is_restored_beside_others(&server, &mut other, key, members)));
        members *= 2;
    }
    assert!(left.is_empty(), "others waited for the end of {left:?}");
}

fn is_restored_beside_others(server: &Server, other: &mut Client, key: &str, members: usize) -> bool {
    let payload = dump(other, key);
    let restore = request(&[&b"RESTORE"[..], b"copy", b"0", &payload, b"REPLACE"]);
    let (most, end) = restore.split_at(restore.len() - 8);
    let mut runner = Client::connect(server.address());
    let before = other.figure("total_net_input_bytes");
    runner.write(most);
    wait_for(|| (other.figure("total_net_input_bytes") >= before + most.len() as u64).then_some(()));
    runner.write(end);
    let is_answered = answers_before(&mut runner, other);
    assert_eq!(runner.read_text().as_deref(), Some("OK"));
    let count = match key {
        "hash" => "HLEN copy",
        "set" => "SCARD copy",
        _ => "ZCARD copy",
    };
    assert_eq!(other.ask(count), members.to_string());
    is_answered
}

/// A command that is at work, and has the worker's loop no more.
fn start_long(server: &Server, other: &mut Client, millions: usize) -> Client {
    let mut runner = Client::connect(server.address());
    assert_eq!(runner.ask("PING"), "PONG");
    runner.write(&request(&["EVAL", &script(millions), "1", "held"]));
    // The second answer has waited for the loop to move on, or the script has not begun.
    assert_eq!((other.ask("PING"), other.ask("PING")), ("PONG".to_owned(), "PONG".to_owned()));
    runner
}

/// Those who need what a command holds wait for its end without a thread, and then get what they have asked for.
#[test]
fn clients_that_need_what_it_holds_wait_alone() {
    for threads in ["1", "3"] {
        let mut lengths = [100, 400, 1_600].into_iter();
        let is_told = lengths.any(|millions| wait_alone(threads, millions));
        assert!(is_told, "each script was too short to tell, or began after what should wait for it");
    }
}

/// What is asked for that needs what the script holds, and the replies that come in the end.
const NEEDY: &[(&str, usize)] = &[
    ("GET held", 1),
    ("INCR held", 1),
    ("MGET free held", 1),
    ("KEYS *", 1),
    ("SWAPDB 4 5", 1),
    ("MULTI\r\nINCR held\r\nGET other\r\nEXEC", 4),
    ("WATCH held", 1),
    ("KEYS held", 1),
    ("CLIENT REPLY SKIP\r\nINCR held\r\nPING", 1),
];

/// False if the script was over before others were answered, or another worker met it after what needs its key.
fn wait_alone(threads: &str, millions: usize) -> bool {
    let (server, mut other) = server(threads);
    let mut runner = start_long(&server, &mut other, millions);
    let mut waiting: Vec<Client> = (0..NEEDY.len()).map(|_| Client::connect(server.address())).collect();
    for (client, (lines, _)) in waiting.iter_mut().zip(NEEDY) {
        client.write(format!("{lines}\r\n").as_bytes());
    }
    for number in 0..ANSWERED {
        assert_eq!(other.ask(&format!("SET free {number}")), "OK");
    }
    let is_over = runner.has_answer();
    let was_first = runner.read_text().as_deref() == Some("1");
    let mut replies = Vec::new();
    for (client, (lines, count)) in waiting.iter_mut().zip(NEEDY) {
        let reply: Vec<_> = (0..*count).filter_map(|_| client.read_text()).collect();
        assert_eq!(reply.len(), *count, "{lines}");
        assert!(reply.iter().all(|reply| !reply.starts_with('-')), "{lines}: {reply:?}");
        replies.push(reply.join(" "));
    }
    assert!(replies[5].starts_with("OK QUEUED QUEUED ["), "{}", replies[5]);
    assert_eq!(replies[8], "PONG");
    assert_eq!(other.ask("GET held"), "4", "each request ran once");
    let statistics = other.ask("INFO commandstats");
    for (name, calls) in [("exec", "1"), ("incr", "4"), ("mget", "1"), ("swapdb", "1")] {
        let line =
            statistics.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:calls={calls},")));
        assert!(line.is_some(), "{name}: {statistics}");
    }
    was_first && !is_over
}

/// Others are served beside a script before its threshold, and those who wait for it are told BUSY when it is over that.
#[test]
fn clients_that_wait_for_a_script_are_told_busy_at_its_threshold() {
    let server = Server::quartet(&["--threads", "1", "--busy-reply-threshold", "1500"]);
    let mut other = Client::connect(server.address());
    let mut runner = Client::connect(server.address());
    assert_eq!(runner.ask("PING"), "PONG");
    runner.write(&request(&["EVAL", "while true do end", "1", "held"]));
    let mut waiting: Vec<Client> = (0..50).map(|_| Client::connect(server.address())).collect();
    waiting.iter_mut().for_each(|client| client.write(b"GET held\r\n"));
    for number in 0..ANSWERED {
        assert_eq!(other.ask(&format!("ECHO {number}")), number.to_string());
    }
    for client in &mut waiting {
        assert!(client.read_text().is_some_and(|reply| reply.starts_with("-BUSY")));
    }
    assert!(!runner.has_answer());
    assert_eq!(other.ask("SCRIPT KILL"), "OK");
    assert!(runner.read_text().is_some_and(|reply| reply.contains("killed by user")));
    assert_eq!(other.ask("GET held"), "(nil)");
}

/// Clients that leave while they wait are forgotten, and the server stops while some wait.
#[test]
fn clients_that_leave_while_they_wait_are_forgotten() {
    let (mut server, mut other) = server("1");
    let mut runner = start_long(&server, &mut other, 100);
    let waiting: Vec<Client> = (0..50)
        .map(|_| {
            let mut client = Client::connect(server.address());
            client.write(b"INCR held\r\n");
            client
        })
        .collect();
    drop(waiting);
    assert_eq!(runner.read_text().as_deref(), Some("1"));
    wait_for(|| (other.figure("connected_clients") == 2).then_some(()));
    other.write(b"SHUTDOWN NOSAVE\r\n");
    assert_eq!(server.wait().code(), Some(0));
}
