//! What others are served while a script runs for long.

use rustix::process::Signal;

use super::{BUSY, ENDLESS, ENDLESS_ALONE, assert_killed, free_key, run_for_long, server};
use crate::support::client::{Client, request, text};
use crate::support::http::Http;
use crate::support::peers;
use crate::support::process::{Server, wait_for};

#[test]
fn only_those_who_need_its_keys_are_told_busy() {
    let server = server(&[]);
    let (mut other, mut third) = (Client::connect(server.address()), Client::connect(server.address()));
    assert_eq!(other.ask("SET held 1"), "OK");
    let mut client = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
    let free = free_key(&mut other);
    assert_eq!(other.ask(&format!("SET {free} 2")), "OK");
    for (line, reply) in [
        ("SET held 3", BUSY),
        ("MGET free held", BUSY),
        ("GET free", "2"),
        ("SET free 3", "OK"),
        ("PING", "PONG"),
        ("DBSIZE", "2"),
        ("KEYS free", "[free]"),
        ("EVAL return(redis.call('GET',KEYS[1])) 1 free", "3"),
        ("EVAL return(redis.call('GET',KEYS[1])) 1 held", BUSY),
        // These need all keys.
        ("EVAL return(redis.call('GET','held')) 0", BUSY),
        ("FLUSHALL", BUSY),
        ("KEYS *", BUSY),
        ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: "),
        ("WATCH held free", "OK"),
        ("MULTI", "OK"),
        ("INCR free", "QUEUED"),
        ("EXEC", "(nil)"),
        ("MULTI", "OK"),
        ("INCR free", "QUEUED"),
        ("EXEC", "[4]"),
        ("MULTI", "OK"),
        ("INCR held", "QUEUED"),
    ] {
        assert_eq!(other.ask(&line.replace("free", &free)), reply.replace("free", &free), "{line}");
    }
    let aborted = format!("-EXECABORT Transaction discarded because of: {}", &BUSY[1..]);
    assert_eq!(other.ask("EXEC"), aborted);
    assert_eq!(third.ask("SCRIPT KILL"), "OK");
    assert_killed(&mut client);
    assert_eq!(third.ask("SCRIPT KILL"), "-NOTBUSY No scripts in execution right now.");
    // Everybody is served as before, and the next script in turn.
    assert_eq!(other.ask("GET held"), "1");
    assert_eq!(client.ask("GET held"), "1");
    for _ in 0..5 {
        let mut client = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
        assert_eq!(third.ask("SCRIPT KILL"), "OK");
        assert_killed(&mut client);
        assert_eq!(client.ask("PING"), "PONG");
    }
}

/// What clients say to a server on which a script runs for long that holds all keys.
const LINES: &[&str] = &[
    "PING",
    "GET x",
    "AUTH x",
    "SUBSCRIBE a",
    "CLIENT ID",
    "INFO",
    "MULTI",
    "SET a b",
    "EXEC",
    "MULTI",
    "DISCARD",
    "UNWATCH",
    "RESET",
    "SCRIPT EXISTS a",
    "SCRIPT LOAD x",
    "EVAL x 0",
    "NOSUCH",
    "GET",
    "CONFIG GET lua-time-limit",
    "CLIENT KILL ID 99",
    "SCRIPT KILL x",
    "SCRIPT KILL",
];

/// The replies to all lines, and the end of the script.
fn replies(server: &Server) -> Vec<String> {
    let mut other = Client::connect(server.address());
    let client = run_for_long(server, ENDLESS_ALONE, &[], &mut other, "x");
    let mut replies: Vec<String> = LINES.iter().map(|line| other.ask(line)).collect();
    let mut client = client;
    replies.push(client.read_text().expect("the script is answered"));
    // One that catches errors is stopped all the same.
    let catching = "while true do redis.pcall('GET', 'undeclared') end";
    let mut client = run_for_long(server, catching, &[], &mut other, "x");
    replies.push(other.ask("SCRIPT KILL"));
    replies.push(client.read_text().expect("the script is answered"));
    replies.push(other.ask("SCRIPT KILL"));
    let mut client =
        run_for_long(server, "redis.call('SET', 'undeclared', 1) while true do end", &[], &mut other, "x");
    replies.push(other.ask("SCRIPT KILL"));
    replies.push(other.ask("QUIT"));
    // Others come and go.
    let mut other = Client::connect(server.address());
    assert!(other.ask("HELLO").starts_with("[server"));
    other.write(b"SHUTDOWN NOSAVE\r\n");
    replies.push(format!("{:?}", other.read_text()));
    // Here the client is told why.
    while client.read_text().is_some() {}
    replies
}

#[test]
fn a_script_that_holds_all_keys_leaves_others_what_redis_leaves_them() {
    let mut quartet = server(&[]);
    let own = replies(&quartet);
    assert_eq!(quartet.wait().code(), Some(0), "{}", quartet.folder().stderr());
    let Some(program) = peers::peer("redis-server") else { return };
    let mut peer = Server::peer_with(&program, &["--busy-reply-threshold", "20"]);
    let theirs = replies(&peer);
    peer.wait();
    for (number, (own, theirs)) in own.iter().zip(&theirs).enumerate() {
        assert_eq!(own, theirs, "reply {number}, to {:?}", LINES.get(number));
    }
}

#[test]
fn a_function_that_runs_for_long_is_shown() {
    let server = server(&[]);
    let mut other = Client::connect(server.address());
    let library = "#!lua name=endless\nredis.register_function('endless', function() while true do end end)";
    assert_eq!(text(&other.call(&["FUNCTION", "LOAD", library])), "endless");
    assert!(other.ask("FUNCTION STATS").starts_with("[running_script, (nil), engines, "));
    let mut client = Client::connect(server.address());
    client.write(&request(&["FCALL", "ENDLESS", "1", "held", "an argument"]));
    let shown = wait_for(|| Some(other.ask("FUNCTION STATS")).filter(|shown| !shown.contains("(nil)")));
    let start =
        "[running_script, [name, endless, command, [FCALL, ENDLESS, 1, held, an argument], duration_ms, ";
    assert!(shown.starts_with(start), "{shown}");
    assert!(shown.ends_with("], engines, [LUA, [libraries_count, 1, functions_count, 1]]]"), "{shown}");
    assert!(other.ask("SCRIPT KILL").starts_with("-BUSY"), "it is no script");
    assert_eq!(other.ask("FUNCTION KILL"), "OK");
    assert!(client.read_text().is_some_and(|reply| reply.contains("script: endless, on @user_function:2.")));
}

#[test]
fn a_script_is_no_function() {
    let server = server(&[]);
    let mut other = Client::connect(server.address());
    let mut client = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
    assert_eq!(other.ask("FUNCTION STATS"), BUSY);
    assert!(other.ask("FUNCTION KILL").starts_with("-BUSY"), "it is no function");
    assert_eq!(other.ask("SCRIPT KILL"), "OK");
    assert_killed(&mut client);
}

#[test]
fn a_script_that_follows_a_kill_at_once_runs_to_its_end() {
    let server = server(&[]);
    let mut other = Client::connect(server.address());
    for _ in 0..5 {
        assert_eq!(other.ask("CONFIG SET busy-reply-threshold 20"), "OK");
        let mut client = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
        // It takes longer than a script may that stands in for another one, and may take far longer.
        assert_eq!(other.ask("CONFIG SET busy-reply-threshold 60000"), "OK");
        let next = "for i = 1, 10000000 do end return 'ended'";
        other.write(&[request(&["SCRIPT", "KILL"]), request(&["EVAL", next, "0"])].concat());
        assert_eq!(other.read_text().as_deref(), Some("OK"));
        assert_eq!(other.read_text().as_deref(), Some("ended"));
        assert_killed(&mut client);
    }
}

#[test]
fn a_hundred_clients_that_wait_are_all_told_busy() {
    for threads in ["1", "3"] {
        let server = server(&["--threads", threads, "--busy-reply-threshold", "300"]);
        let mut runner = Client::connect(server.address());
        runner.write(&request(&["EVAL", ENDLESS, "1", "held"]));
        let mut waiting: Vec<Client> = (0..100).map(|_| Client::connect(server.address())).collect();
        wait_for(|| {
            waiting.iter_mut().for_each(|client| client.write(&request(&["INCR", "held"])));
            let replies: Vec<_> = waiting.iter_mut().map(|client| client.read_text()).collect();
            replies.iter().all(|reply| reply.as_deref() == Some(BUSY)).then_some(())
        });
        assert_eq!(waiting[7].ask("SCRIPT KILL"), "OK");
        assert_killed(&mut runner);
    }
}

#[test]
fn several_workers_are_served_beside_a_script_that_is_alone() {
    let server = server(&["--threads", "4"]);
    let mut others: Vec<Client> = (0..12).map(|_| Client::connect(server.address())).collect();
    let mut runner = run_for_long(&server, ENDLESS_ALONE, &[], &mut others[0], "x");
    for other in &mut others {
        for line in ["GET a", "PING", "EVAL return 0", "FLUSHALL", "SCAN 0"] {
            let reply = other.ask(line);
            assert!(reply == BUSY || line == "EVAL return 0", "{line}: {reply}");
        }
    }
    // Clients that go do not wait either.
    let mut left = others.split_off(6);
    left.iter_mut().for_each(Client::finish);
    left.iter_mut().for_each(|client| assert_eq!(client.read_text(), None));
    assert_eq!(others[5].ask("SCRIPT KILL"), "OK");
    assert_killed(&mut runner);
    others.iter_mut().for_each(|other| assert_eq!(other.ask("PING"), "PONG"));
}

#[test]
fn a_second_endless_script_keeps_nobody_waiting() {
    let server = server(&["--busy-reply-threshold", "1000"]);
    let mut other = Client::connect(server.address());
    let mut first = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
    let (mut second, free) = (Client::connect(server.address()), free_key(&mut other));
    let reply = second.call(&["EVAL", "redis.call('SET', KEYS[1], 1) while true do end", "1", &free]);
    assert_eq!(crate::support::client::text(&reply), BUSY, "its thread has other clients to serve");
    assert_eq!(other.ask(&format!("GET {free}")), "(nil)", "what it did is undone");
    assert_eq!(other.ask("SCRIPT KILL"), "OK");
    assert_killed(&mut first);
}

#[test]
fn the_rest_of_the_scripts_own_pipeline_follows_it() {
    let server = server(&[]);
    let mut other = Client::connect(server.address());
    let mut runner = Client::connect(server.address());
    let mut pipeline = request(&["SET", "before", "1"]);
    pipeline.extend(request(&["EVAL", ENDLESS, "1", "held"]));
    (0..50).for_each(|_| pipeline.extend(request(&["INCR", "before"])));
    runner.write(&pipeline);
    wait_for(|| (other.ask("GET held") == BUSY).then_some(()));
    assert_eq!(other.ask("SCRIPT KILL"), "OK");
    assert_eq!(runner.read_text().as_deref(), Some("OK"));
    assert_killed(&mut runner);
    for number in 2..52 {
        assert_eq!(runner.read_text(), Some(number.to_string()));
    }
}

#[test]
fn deadlines_leases_and_blocked_clients_go_on() {
    let server = server(&["--http-port", "0"]);
    let mut other = Client::connect(server.address());
    let mut runner = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
    let mut write = |number| other.ask(&format!("SET short:{number} x PX 1")) == "OK";
    let written = (0..50).filter(|number| write(*number)).count();
    let mut http = Http::connect(server.http_address());
    assert_eq!(http.get("/health/ready").status, 200);
    let expired = format!("quartet_cache_expired_total {written}\n");
    wait_for(|| http.get("/metrics").text().contains(&expired).then_some(()));
    assert_eq!(http.get("/cache/held").problem(), "busy");
    let free = free_key(&mut other);
    assert_eq!(http.get(&format!("/cache/{free}")).problem(), "no-such-key");

    let mut holder = Client::connect(server.address());
    assert!(holder.ask("LOCK.ACQUIRE job one TTL 50").starts_with('['));
    assert!(other.ask("LOCK.ACQUIRE job two TTL 60000 WAIT 60000").starts_with('['), "the lease has ended");

    let mut blocked = Client::connect(server.address());
    blocked.write(format!("BLPOP {free} 0\r\n").as_bytes());
    assert_eq!(other.ask(&format!("RPUSH {free} a")), "1");
    assert_eq!(blocked.read_text(), Some(format!("[{free}, a]")));
    assert_eq!(blocked.ask(&format!("BLPOP {free} 0.01")), "(nil)", "its time is over");

    assert_eq!(other.ask("SCRIPT KILL"), "OK");
    assert_killed(&mut runner);
}

#[test]
fn timers_go_on_beside_a_script_that_is_alone() {
    let server = server(&["--http-port", "0"]);
    let mut other = Client::connect(server.address());
    let (mut holder, mut blocked) = (Client::connect(server.address()), Client::connect(server.address()));
    assert!(holder.ask("LOCK.ACQUIRE job one TTL 200").starts_with('['));
    holder.write(b"LOCK.ACQUIRE job two TTL 60000 WAIT 60000\r\n");
    blocked.write(b"BLPOP list 0.2\r\n");
    let mut runner = run_for_long(&server, ENDLESS_ALONE, &[], &mut other, "x");
    let mut http = Http::connect(server.http_address());
    assert_eq!(http.get("/health/ready").status, 200);
    assert_eq!(http.get("/metrics").status, 200);
    assert_eq!(http.get("/cache/free").problem(), "busy");
    assert!(holder.read_text().is_some_and(|reply| reply.starts_with('[')), "the lease has ended");
    assert_eq!(other.ask("SCRIPT KILL"), "OK");
    assert_killed(&mut runner);
    assert_eq!(blocked.read_text().as_deref(), Some("(nil)"), "its time was over meanwhile");
}

#[test]
fn the_other_clients_of_a_stopped_server_are_let_go() {
    let mut server = server(&[]);
    let mut other = Client::connect(server.address());
    let mut runner = run_for_long(&server, ENDLESS, &["held"], &mut other, "held");
    rustix::process::kill_process(server.process(), Signal::TERM).expect("the process lives");
    assert_eq!(
        runner.read_text().as_deref(),
        Some("-ERR the server is about to stop: the script was stopped")
    );
    assert_eq!(other.read_text(), None);
    assert_eq!(server.wait().code(), Some(0), "{}", server.folder().stderr());
}
