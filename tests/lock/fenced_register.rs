//! A counter behind a lock.  Its holders are stopped for longer than their leases last, as by a long pause of the
//! machine.  With fences no increment is lost; without them some are, which shows that the test can tell.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::support::client::Client;
use crate::support::process::Server;

/// The variable that makes the test program a client.  Its value: the address of the server, a blank, the client's
/// name, a blank, and `fenced` or `unfenced`.
const ROLE: &str = "QUARTET_TEST_REGISTER";

/// The start of each line of a client, among those of the test program.
const MARK: &str = "register: ";

/// Milliseconds of a lease.
const TTL: u64 = 60;

const ROUNDS: usize = 5;

/// Leases that a client alone may lose in a row.
const TRIES_MAX: usize = 1_000;

/// Increments the counter once: reads it under the lock, waits for the word to go on, writes it.  True if that counts.
fn increment(
    client: &mut Client,
    name: &str,
    is_fenced: bool,
    mut go_on: impl FnMut(&str) -> bool,
) -> Option<bool> {
    let grant = client.ask(&format!("LOCK.ACQUIRE register {name} TTL {TTL} WAIT 60000"));
    let fence = grant.strip_prefix("[fence, ")?.split(',').next()?;
    let value: u64 = client.ask("GET counter").parse().unwrap_or(0);
    if !go_on("read") {
        return None;
    }
    let next = value + 1;
    let reply = if is_fenced {
        client.ask(&format!("FENCE.SET counter {next} LOCK register FENCE {fence}"))
    } else {
        client.ask(&format!("SET counter {next}"))
    };
    // A client that was stopped for too long holds nothing to release.
    client.ask(&format!("LOCK.RELEASE register {name}"));
    Some(reply == "OK")
}

/// The whole of a client process; in a run of all tests it is its own other side for one increment.
#[test]
fn a_client_of_the_register() {
    let Ok(role) = env::var(ROLE) else {
        let server = Server::quartet(&[]);
        let mut client = Client::connect(server.address());
        // On a busy machine the lease may end before its holder writes; then nothing is written.
        let mut increments = (0..TRIES_MAX).map(|_| increment(&mut client, "alone", true, |_| true));
        assert!(increments.any(|counts| counts == Some(true)));
        assert_eq!(client.ask("GET counter"), "1");
        return;
    };
    let words: Vec<&str> = role.split(' ').collect();
    let address: SocketAddr = words[0].parse().expect("the test gives an address");
    let mut client = Client::connect(address);
    let mut lines = std::io::stdin().lines();
    let mut go_on = |line: &str| {
        println!("{MARK}{line}");
        lines.next().is_some_and(|line| line.is_ok())
    };
    while let Some(counts) = increment(&mut client, words[1], words[2] == "fenced", &mut go_on) {
        println!("{MARK}{}", if counts { "counted" } else { "refused" });
    }
}

/// A client process.
struct Process {
    child: Child,
    input: ChildStdin,
}

impl Process {
    fn start(number: usize, role: &str, heard: &Sender<(usize, String)>) -> Process {
        let program = env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .args(["--exact", "lock::fenced_register::a_client_of_the_register", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program can be run again");
        let input = child.stdin.take().expect("it was asked for");
        let output = child.stdout.take().expect("it was asked for");
        let heard = heard.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The first line follows the name of the test.
                if let Some((_, line)) = line.split_once(MARK) {
                    // After the test nobody listens any more.
                    let _ = heard.send((number, line.to_owned()));
                }
            }
        });
        Process { child, input }
    }

    /// Stops it, and returns once it is stopped: a signal that was sent is not yet one that was received.
    fn stop(&self) {
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::STOP).expect("the client runs");
        let status = waitpid(Some(process), WaitOptions::UNTRACED).expect("the client is ours");
        assert!(status.is_some_and(|(_, status)| status.stopped()), "the client has ended");
    }

    fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("the client is there");
    }

    fn go_on(&mut self) {
        self.input.write_all(b"go on\n").expect("the client reads");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that has already ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The results of the increments.
struct Outcome {
    counted: u64,
    refused: u64,
    counter: u64,
}

/// The lines of the clients.  Lines that the test does not wait for are counted.
struct Lines {
    heard: Receiver<(usize, String)>,
    read: [bool; 2],
    counted: u64,
    refused: u64,
}

impl Lines {
    /// Hears one line.
    fn hear(&mut self) -> (usize, String) {
        let (number, line) = self.heard.recv().expect("the clients run");
        match line.as_str() {
            "read" => self.read[number] = true,
            "counted" => self.counted += 1,
            _ => self.refused += 1,
        }
        (number, line)
    }

    /// Waits until a client has written.
    fn wait_for_write_of(&mut self, number: usize) {
        while !matches!(self.hear(), (other, line) if other == number && line != "read") {}
    }

    /// Waits until a client has read and waits for the word to go on.
    fn wait_for_read_of(&mut self, number: usize) {
        while !self.read[number] {
            self.hear();
        }
        self.read[number] = false;
    }
}

/// Two clients.  In turn one of them is stopped between reading and writing, until the other has written.
fn play(fenced: &str) -> Outcome {
    let server = Server::quartet(&[]);
    let (sender, heard) = channel();
    let mut clients = ["ann", "bob"].map(|name| {
        let number = usize::from(name == "bob");
        Process::start(number, &format!("{} {name} {fenced}", server.address()), &sender)
    });
    let mut lines = Lines { heard, read: [false; 2], counted: 0, refused: 0 };
    for _ in 0..ROUNDS {
        while lines.read == [false; 2] {
            lines.hear();
        }
        let stopped = usize::from(!lines.read[0]);
        let other = 1 - stopped;
        lines.read[stopped] = false;
        clients[stopped].stop();
        clients[stopped].go_on();
        // The other gets the lock when the lease of the one that was stopped ends.
        lines.wait_for_read_of(other);
        clients[other].go_on();
        lines.wait_for_write_of(other);
        clients[stopped].resume();
        lines.wait_for_write_of(stopped);
    }
    let mut client = Client::connect(server.address());
    let counter = client.ask("GET counter").parse().expect("it was written");
    Outcome { counted: lines.counted, refused: lines.refused, counter }
}

#[test]
fn with_fences_no_increment_is_lost() {
    let outcome = play("fenced");
    assert_eq!(outcome.counter, outcome.counted);
    assert!(outcome.refused >= ROUNDS as u64, "a stopped client is refused each time: {}", outcome.refused);
}

#[test]
fn without_fences_increments_are_lost() {
    let outcome = play("unfenced");
    assert!(outcome.counter < outcome.counted, "{} of {}", outcome.counter, outcome.counted);
}
