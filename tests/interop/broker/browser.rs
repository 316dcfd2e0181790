//! @nats-io/nats-core and @nats-io/kv in a browser, over a WebSocket.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::process::{Signal, kill_process};

use super::{Program, RECONNECT, RESTART, STEPS, programs};
use crate::interop::program;
use crate::support::held_port::HeldPort;
use crate::support::peers;
use crate::support::process::{Folder, Server, with_output_in};

/// The pages by their paths; what they do is in the script of the same name.
const PAGES: [&str; 2] = ["/nats_page", "/keys_page"];

/// The jobs with keys, of which the last has the server restarted.
const KEY_JOBS: usize = 10;

/// What the page says when it has come to its end.
const END: &str = "end";

#[test]
fn nats_core_in_a_browser() {
    for said in visits("@nats-io/nats-core", PAGES[0]) {
        assert_eq!(said, [STEPS.as_slice(), &[RESTART, RECONNECT]].concat());
    }
}

#[test]
fn keys_in_a_browser() {
    for said in visits("@nats-io/kv", PAGES[1]) {
        let [jobs @ .., restart, last] = &said[..] else { panic!("{said:?}") };
        assert_eq!(
            (jobs.len() + 1, &**restart, &**last),
            (KEY_JOBS, RESTART, "everything_outlives_the_server")
        );
    }
}

/// What a page says that visits each server.
fn visits(package: &str, page: &str) -> Vec<Vec<String>> {
    let (Some(chromium), Some(_)) = (peers::peer("chromium"), peers::node(package)) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for server in programs() {
        let site = Site::open();
        let mut door = Door::open(server, &site);
        let browser = Browser::start(&chromium, &format!("{}{page}?servers={}", site.origin(), door.url()));
        let mut said = Vec::new();
        for line in &site.said {
            match line.as_str() {
                RESTART => door.restart(),
                END => break,
                failure if failure.starts_with("failed") => panic!("after {said:?} it {failure}"),
                _ => {}
            }
            said.push(line);
        }
        drop(browser);
        all.push(said);
    }
    all
}

/// A server with a door for WebSockets.
struct Door {
    program: Program,
    origin: String,
    port: HeldPort,
    server: Option<Server>,
    /// Where its streams are.
    folder: Folder,
}

impl Door {
    fn open(program: Program, site: &Site) -> Door {
        let (port, folder) = (HeldPort::take(), Folder::new());
        let mut door = Door { program, origin: site.origin(), port, server: None, folder };
        door.restart();
        door
    }

    /// Starts it at the same port, after the one before has ended.  Quartet is killed; nats-server is asked, since one that is
    /// killed has forgotten what consumers acknowledged.
    fn restart(&mut self) {
        if let (Program::Nats(_), Some(server)) = (&self.program, &mut self.server) {
            kill_process(server.process(), Signal::TERM).expect("it runs");
            server.wait();
        }
        self.server = None;
        let kept = self.folder.path().to_string_lossy().into_owned();
        let port = self.port.number();
        let server = match &self.program {
            Program::Nats(program) => {
                let listen = format!("listen: \"127.0.0.1:{port}\"");
                let streams = format!("jetstream {{ store_dir: {kept:?} }}");
                Server::nats(program, 0, &format!("{streams}\nwebsocket {{ no_tls: true, {listen} }}"))
            }
            Program::Quartet => {
                let port = port.to_string();
                let origin = self.origin.as_str();
                let ports = ["--broker-port", "0", "--http-port", &port];
                Server::quartet(&[&ports[..], &["--http-cors-origins", origin, "--dir", &kept]].concat())
            }
        };
        self.server = Some(server);
    }

    fn url(&self) -> String {
        match self.program {
            Program::Nats(_) => format!("ws://{}", self.port.address()),
            Program::Quartet => format!("ws://{}/ws", self.port.address()),
        }
    }
}

/// A browser that is killed when dropped.
struct Browser {
    child: Child,
    _profile: Folder,
}

impl Browser {
    fn start(chromium: &Path, address: &str) -> Browser {
        let profile = Folder::new();
        let mut command = with_output_in(&profile, Command::new(chromium));
        // It refuses to run as root otherwise, as which tests may run; the only page it opens is ours.
        command.args(["--headless", "--disable-gpu", "--no-sandbox", "--remote-debugging-port=0"]);
        command.arg(format!("--user-data-dir={}", profile.path().join("profile").display())).arg(address);
        Browser { child: command.spawn().expect("the browser was found"), _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // One that has already ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of the page and what it loads, to which the page says how far it has come.
struct Site {
    address: SocketAddr,
    said: Receiver<String>,
}

impl Site {
    fn open() -> Site {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (sender, said) = channel();
        // The thread ends with the process: nobody else would connect to it.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || serve(&stream, &sender));
            }
        });
        Site { address, said }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Answers one request; nothing if the browser has thought better of it.
fn serve(stream: &TcpStream, said: &Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    while !matches!(head.last().map(String::as_str), Some("\r\n")) {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        head.push(line.to_ascii_lowercase().replace("content-length:", "length:"));
        if head.len() == 1 {
            head[0] = line;
        }
    }
    let path = head[0].split(' ').nth(1)?.split('?').next()?;
    let length = head.iter().find_map(|line| line.strip_prefix("length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body).ok()?;
    let (kind, content) = match path {
        _ if PAGES.contains(&path) => {
            ("text/html", format!("<!doctype html><script type=module src={path}.js></script>").into())
        }
        "/said" => {
            // The test may have its answer already.
            let _ = said.send(String::from_utf8_lossy(&body).into_owned());
            ("text/plain", Vec::new())
        }
        _ => ("text/javascript", script(path)?),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    let mut stream = stream;
    stream.write_all(&[head.as_bytes(), &content].concat()).ok()
}

/// A script of ours, or of a package below `/modules`.
fn script(path: &str) -> Option<Vec<u8>> {
    let file = match path.strip_prefix("/modules/") {
        Some(module) => program("node/node_modules").join(module),
        None => program("node").join(path.trim_start_matches('/')),
    };
    fs::read(file).ok()
}
