//! A session of the broker protocol, typed with a real `nc`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};

use super::door::server;
use crate::support::peers;
use crate::support::process::Server;

/// The command and what is on the screen in the end.  Lines in lower case are typed, and so is the payload behind `pub`.
const SESSION: &str = include_str!("typed.txt");

/// The session leaves something out here.
const LEFT_OUT: &str = ", … ,";

/// Fields of INFO that differ from run to run.
const MASKED: &[&str] = &["server_id", "client_id"];

/// A program that says nothing for so long hangs; it bounds a broken run, no working one depends on it.
const HANG_GUARD: Duration = Duration::from_secs(120);

/// A line of the session.
#[derive(Debug)]
enum Line<'p> {
    /// One that is typed.
    Typed(&'p str),
    /// One that comes back.
    Printed(&'p str),
}

/// The command of the session and its lines.
fn session() -> (&'static str, Vec<Line<'static>>) {
    let mut lines = SESSION.trim().lines();
    let command = lines.next().and_then(|line| line.strip_prefix("$ ")).expect("it begins with a command");
    let mut is_payload = false;
    let lines = lines.map(|line| {
        let is_verb = line.starts_with(|first: char| first.is_ascii_lowercase());
        // What a typed `pub` is followed by is typed too.
        let is_typed = is_payload
            || (is_verb && ["sub ", "pub ", "unsub ", "ping"].iter().any(|verb| line.starts_with(verb)));
        is_payload = is_typed && !is_payload && line.starts_with("pub ");
        if is_typed { Line::Typed(line) } else { Line::Printed(line) }
    });
    (command, lines.collect())
}

/// How somebody types.
#[derive(Clone, Copy)]
enum Typing {
    /// A line at a time.
    Lines,
    /// A character at a time, each of which is sent at once.
    Characters,
}

/// A program in which somebody types.
struct Terminal {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Terminal {
    /// Starts the command of the session, with more options, at the address of the server.
    fn start(command: &str, options: &[&str], server: &Server) -> Terminal {
        let address = server.broker_address();
        let command = command.replace("4222", &address.port().to_string());
        let mut words = command.split(' ');
        let program = words.next().expect("a command has a first word");
        let mut child = Command::new(program)
            .args(options)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was found");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (sender, receiver) = channel();
        let output = BufReader::new(output.expect("it is a pipe"));
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Terminal { child, input: input.expect("it is a pipe"), output: receiver }
    }

    fn type_line(&mut self, line: &str, typing: Typing) {
        let line = format!("{line}\n");
        let pieces: Vec<&[u8]> = match typing {
            Typing::Lines => vec![line.as_bytes()],
            Typing::Characters => line.as_bytes().chunks(1).collect(),
        };
        for piece in pieces {
            self.input.write_all(piece).expect("the program runs");
            self.input.flush().expect("the program runs");
        }
    }

    /// The next line that comes back.  Pings of the server may come in between.
    fn read_line(&mut self) -> String {
        loop {
            let line = self.output.recv_timeout(HANG_GUARD).expect("the server answers");
            let line = line.trim_end_matches('\r');
            if line != "PING" {
                return line.to_owned();
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compares the fields of INFO that the session shows, in their order, but for the values that differ from run to run.
#[track_caller]
fn check_info(printed: &str, expected: &str) {
    let json = |text: &str| -> Map<String, Value> { serde_json::from_str(text).expect("INFO is JSON") };
    let printed = printed.strip_prefix("INFO ").expect("it is INFO");
    let expected = expected.replace(LEFT_OUT, ",");
    let fields = json(&expected);
    let all = json(printed);
    for (name, value) in &fields {
        let found = all.get(name).unwrap_or_else(|| panic!("the server has no {name}: {printed}"));
        assert!(MASKED.contains(&name.as_str()) || found == value, "{name}: {found} is not {value}");
    }
    let place = |text: &str, name: &str| text.find(&format!("\"{name}\":")).expect("it is there");
    let order = |text: &str| {
        let mut names: Vec<&String> = fields.keys().collect();
        names.sort_by_key(|name| place(text, name));
        names
    };
    assert_eq!(order(printed), order(&expected));
}

fn check(options: &[&str], typing: Typing) {
    let (command, lines) = session();
    let server = server(&[]);
    let mut terminal = Terminal::start(command, options, &server);
    for line in lines {
        match line {
            Line::Typed(line) => terminal.type_line(line, typing),
            Line::Printed(line) if line.starts_with("INFO ") => {
                check_info(&terminal.read_line(), line.strip_prefix("INFO ").unwrap_or_default());
            }
            Line::Printed(line) => assert_eq!(terminal.read_line(), line),
        }
    }
}

#[test]
fn the_session_has_lines_of_both_sides() {
    let (command, lines) = session();
    assert_eq!(command, "nc 127.0.0.1 4222");
    let typed = lines.iter().filter(|line| matches!(line, Line::Typed(_))).count();
    assert!(matches!(lines[0], Line::Printed(_)) && typed >= 5 && lines.len() > typed + 5, "{lines:?}");
}

#[test]
fn the_session_is_true() {
    if peers::peer("nc").is_none() {
        return;
    }
    // With bare line feeds as they are typed, and with those of telnet (`-C`).
    for options in [&[][..], &["-C"]] {
        check(options, Typing::Lines);
        check(options, Typing::Characters);
    }
}
