//! Servers that are not there, let nobody in, fall silent or go away.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use crate::support::broker::BrokerClient;
use crate::support::held_port::HeldPort;
use crate::support::peers::nats_server;
use crate::support::process::Server;

use super::{ask_api, check_refused, perform};

/// A server that answers each connection with these bytes at each read, so many times, and then closes it or falls silent.
fn server_that_says(answers: &'static [&'static [u8]], closes: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                for answer in answers {
                    if stream.read(&mut buffer).is_err() || stream.write_all(answer).is_err() {
                        return;
                    }
                }
                // A silent one waits until the client has gone.
                while !closes && stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
            });
        }
    });
    address
}

#[test]
fn a_server_that_is_not_there_is_named_with_a_remedy() {
    let held = HeldPort::take();
    let (address, port) = (held.address(), held.number());
    for (line, flag) in [("get", "--port"), ("http-get", "--http-port"), ("store", "--broker-port")] {
        check_refused(
            line,
            address,
            &format!(
                "cannot connect to SERVER: Connection refused (os error 111); start a server with `quartet {flag} {port}`, \
                 or name another one with --server"
            ),
        );
    }
}

#[test]
fn a_password_is_asked_for_and_checked() {
    let server = Server::quartet(&["--requirepass", "secret", "--broker-port", "0", "--http-port", "0"]);
    let (resp, http, broker) = (server.address(), server.http_address(), server.broker_address());
    check_refused("set", resp, "SERVER: NOAUTH Authentication required. Name a password with --password.");
    let wrong = "SERVER: WRONGPASS invalid username-password pair or user is disabled.";
    check_refused("set --password wrong", resp, wrong);
    check_refused("fan-out --password wrong", broker, "SERVER: 'Authorization Violation'");
    let refused = perform("http-set --password wrong --count 10", http).expect_err("it lets nobody in");
    assert!(refused.contains("HTTP/1.1 401 Unauthorized"), "{refused}");
    for (line, address) in [("set", resp), ("http-set", http), ("fan-out", broker)] {
        perform(&format!("{line} --password secret --count 10"), address).expect(line);
    }
}

#[test]
fn a_password_may_end_in_a_space_and_hold_any_letter() {
    let password = " a:\u{fc} b  ";
    let server = Server::quartet(&["--requirepass", password, "--broker-port", "0", "--http-port", "0"]);
    for (workload, address) in
        [("set", server.address()), ("http-set", server.http_address()), ("fan-out", server.broker_address())]
    {
        let address = address.to_string();
        let words = [workload, "--count", "10", "--server", &address, "--password", password];
        let (text, is_clean) = quartet::load::perform(words.map(Into::into)).expect(workload);
        assert!(is_clean, "{text}");
    }
}

#[test]
fn another_protocol_is_named() {
    let server = Server::quartet(&["--broker-port", "0", "--http-port", "0"]);
    let refused = perform("get", server.broker_address()).expect_err("it is no RESP");
    assert!(refused.contains("it does not answer in RESP but with \"INFO {"), "{refused}");
    let refused = perform("http-get", server.address()).expect_err("it is no HTTP");
    assert!(refused.contains(" HTTP"), "{refused}");
    let refused = perform("store --timeout 0.3", server.address()).expect_err("it is no broker");
    assert!(refused.contains("it has not answered for 0.3 seconds (--timeout)"), "{refused}");
}

#[test]
fn a_server_that_never_answers_ends_the_run() {
    let silent = server_that_says(&[], false);
    check_refused("set --timeout 0.2", silent, "SERVER: it has not answered for 0.2 seconds (--timeout)");
    check_refused("store --timeout 0.2", silent, "SERVER: it has not answered for 0.2 seconds (--timeout)");
    check_refused(
        "http-set --timeout 0.2 --connections 2",
        silent,
        "SERVER: it has said nothing for 0.2 seconds (--timeout), and 2 requests are unanswered",
    );
    // It answers the greeting and a request, and then nothing.
    let silent = server_that_says(&[b"+PONG\r\n", b"+OK\r\n"], false);
    check_refused(
        "set --timeout 0.2 --connections 3 --pipeline 4",
        silent,
        "SERVER: it has said nothing for 0.2 seconds (--timeout), and 12 requests are unanswered",
    );
}

#[test]
fn a_server_that_goes_away_ends_the_run() {
    let leaving = server_that_says(&[b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n"], true);
    let refused = perform("set --connections 1", leaving).expect_err("it goes away");
    let is_told = refused.contains("it closed a connection, and 1 requests are unanswered")
        || refused.contains("it broke a connection off");
    assert!(is_told, "{refused}");
}

#[test]
fn a_second_answer_is_not_taken_for_that_of_the_next_request() {
    let server = Server::quartet(&["--broker-port", "0"]);
    let broker = server.broker_address();
    let mut answerer = BrokerClient::quiet(broker);
    answerer.write("SUB answered.twice 1\r\n");
    answerer.flush();
    // It answers the first request twice, and no other.
    let answering = thread::spawn(move || {
        let reply = answerer.delivered().reply;
        let answer = format!("PUB {reply} 9\r\n{{\"seq\":1}}\r\n");
        answerer.write(answer.repeat(2));
        (reply, answerer)
    });
    let refused = perform("store --subject answered.twice --connections 1 --pipeline 1", broker);
    let (reply, _answerer) = answering.join().expect("a request has come");
    assert_eq!(refused, Err(format!("{broker}: it delivered an answer to nothing, on {reply}")));
}

#[test]
fn commands_and_streams_that_are_not_there_end_the_run() {
    let server = Server::quartet(&["--broker-port", "0"]);
    let refused = perform("command NOSUCH __key__", server.address()).expect_err("there is no such command");
    assert!(refused.contains("ERR unknown command 'NOSUCH'"), "{refused}");
    if let Some(program) = nats_server() {
        let broker = Server::nats(&program, 0, "");
        let refused = perform("store --count 10", broker.address()).expect_err("it has no streams");
        assert!(refused.contains("nobody answers at $JS.API.STREAM."), "{refused}");
    }
    let refused =
        perform("lock --wait 10 --pipeline 2", server.address()).expect_err("they would wait for ever");
    assert!(refused.starts_with("--wait needs --pipeline 1"), "{refused}");
    let refused =
        perform("replay --time 3", server.broker_address()).expect_err("it reads each message once");
    assert!(refused.starts_with("replay reads each message once"), "{refused}");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let server = Server::quartet(&["--broker-port", "0", "--dir", "."]);
    let broker = server.broker_address();
    for (line, reason) in [
        ("store --memory --async", "say --memory or --async, not both: nothing in memory is synced"),
        (
            "store --subject a --keep",
            "--subject is of a stream that is there and stays as it is: it goes without --async, --memory and --keep",
        ),
        (
            "store --subject a --async",
            "--subject is of a stream that is there and stays as it is: it goes without --async, --memory and --keep",
        ),
        (
            "store --subject a.*",
            "--subject must be words with dots between them, without wildcards, not 'a.*'",
        ),
        ("store --subject a.", "--subject must be words with dots between them, without wildcards, not 'a.'"),
        ("store --subjects 0", "--subjects must be a whole number from 1 to 100000000, not '0'"),
        ("store --stream a", "store has no --stream; --help says what it has"),
        ("replay --stream a.b", "--stream must be the name of a stream, not 'a.b'"),
        (
            "replay --stream a --keep",
            "--stream reads a stream that is there and stays as it is: it goes without --size and --keep",
        ),
        (
            "replay --stream a --size 3",
            "--stream reads a stream that is there and stays as it is: it goes without --size and --keep",
        ),
        ("replay --stream a", "SERVER: $JS.API.STREAM.INFO.a: stream not found"),
    ] {
        check_refused(line, broker, reason);
    }
    check_refused(
        "store --subject nobody.listens --count 10",
        broker,
        "SERVER: nobody answers: no stream has the subject, or no client is subscribed to it",
    );
    perform("store --count 7 --keep", broker).expect("there is room");
    check_refused(
        "replay --stream quartet-bench --count 8",
        broker,
        "SERVER: the stream quartet-bench holds 7 messages, fewer than --count 8",
    );
    ask_api(broker, "STREAM.PURGE.quartet-bench", "");
    check_refused(
        "replay --stream quartet-bench",
        broker,
        "SERVER: the stream quartet-bench holds no messages",
    );
}
