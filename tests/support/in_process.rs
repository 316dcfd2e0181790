//! A server within the test: its HTTP door and its RESP sessions without sockets, on a clock that the test moves.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use http_body_util::BodyExt;
use quartet::command::{Flags, Row};
use quartet::http::door::Door;
use quartet::http::endpoint;
use quartet::random::Random;
use quartet::settings;
use redis_protocol::resp3::types::OwnedFrame;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::support::client::{decode_resp2, request, text};
use crate::support::http::{Ask, Response};
use crate::transcripts::in_process::{InProcessTarget, WALL};

/// Where requests seem to come from and to go to.
const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50_000);
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The server.  Cheap to clone.
#[derive(Clone)]
pub(crate) struct InProcess(Rc<Place>);

struct Place {
    resp: RefCell<InProcessTarget>,
    door: Door,
    runtime: Runtime,
    next_client: Cell<u8>,
}

impl InProcess {
    /// A server with these flags, one thread of each kind and nothing on the disk.
    pub(crate) fn start(arguments: &[&str]) -> InProcess {
        let loaded = settings::load(arguments.iter().map(OsString::from), []);
        let settings = loaded.unwrap_or_else(|_| panic!("{arguments:?} are no flags")).settings;
        let resp = InProcessTarget::with(settings.clone(), WALL);
        let services = resp.services().clone();
        let slot = services.settings.current().threads;
        let context =
            endpoint::Context::new(services, slot, Random::with_seed(3), CancellationToken::new(), None);
        let door = Door::new(context, &settings, None);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("there are threads");
        InProcess(Rc::new(Place { resp: RefCell::new(resp), door, runtime, next_client: Cell::new(b'a') }))
    }

    /// A client of its HTTP door.
    pub(crate) fn http(&self) -> Http {
        Http(self.clone())
    }

    /// Where its HTTP door seems to listen.
    pub(crate) fn http_address(&self) -> SocketAddr {
        SERVER
    }

    /// A client of its RESP door.
    pub(crate) fn resp(&self) -> Resp {
        let letter = self.0.next_client.get();
        self.0.next_client.set(letter + 1);
        Resp { server: self.clone(), letter: char::from(letter) }
    }

    /// Sends a command of the RESP client with this letter; the bytes it has received since it was last asked.
    pub(crate) fn send(&self, letter: char, arguments: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let mut resp = self.0.resp.borrow_mut();
        resp.send(letter, &[&request(arguments)]);
        resp.take_bytes(letter)
    }

    /// The names of all commands that are no families, as metrics name them.
    pub(crate) fn command_names(&self) -> Vec<String> {
        let resp = self.0.resp.borrow();
        let rows = resp.services().commands.rows().iter();
        rows.filter(|row| row.command.subcommands.is_empty()).map(|row| row.name.clone()).collect()
    }

    /// The flags of a command.
    pub(crate) fn flags(&self, name: &str) -> Flags {
        let resp = self.0.resp.borrow();
        let mut rows = resp.services().commands.rows().iter();
        rows.find(|row| row.name == name).expect("there is such a row").command.flags
    }

    /// How often each command was run, and how often refused before it began.
    pub(crate) fn command_counts(&self) -> Vec<(String, u64, u64)> {
        let resp = self.0.resp.borrow();
        let services = resp.services();
        let count = |row: &Row| {
            let totals = services.metrics.command_totals(row.id);
            (row.name.clone(), totals.calls, totals.rejected)
        };
        services.commands.rows().iter().map(count).collect()
    }

    /// Lets time pass, and does what falls due.
    pub(crate) fn advance(&self, duration: Duration) {
        self.0.resp.borrow_mut().advance(duration);
    }
}

/// A client of the HTTP door.
#[derive(Clone)]
pub(crate) struct Http(InProcess);

impl Http {
    /// Asks for a path.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask("GET", path, &[], b"")
    }

    /// Sends a request with a body, or none if it is empty, and reads the response.
    #[track_caller]
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let response = self.begin(method, path, headers, body).poll();
        response.unwrap_or_else(|| panic!("{method} {path} waits: begin it and go on meanwhile"))
    }

    /// Sends a request that may wait.
    pub(crate) fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> UnderWay {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("Host", SERVER.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("Content-Length", body.len());
        }
        let request = request.body(axum::body::Body::from(body.to_vec())).expect("a request");
        let door = self.0.0.door.clone();
        let answer = async move { read(door.answer_directly(request, CLIENT, SERVER).await).await };
        UnderWay { server: self.0.clone(), answer: Box::pin(answer) }
    }
}

impl Ask for Http {
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        Http::ask(self, method, path, headers, body)
    }
}

/// A request that is not answered yet; dropped, its client has hung up.
pub(crate) struct UnderWay {
    server: InProcess,
    answer: Pin<Box<dyn Future<Output = Response>>>,
}

impl UnderWay {
    /// The response, if there is one by now.
    pub(crate) fn poll(&mut self) -> Option<Response> {
        let _inside = self.server.0.runtime.enter();
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        // What falls due at once is done at once, and may wake it.
        while woken.0.swap(false, Relaxed) {
            if let Poll::Ready(response) = self.answer.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(response);
            }
            self.server.0.resp.borrow_mut().settle();
        }
        None
    }
}

/// Whether a request was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

async fn read(response: axum::response::Response) -> Response {
    let (head, body) = response.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let headers = headers.collect();
    let body = body.collect().await.expect("the body is whole").to_bytes().to_vec();
    Response { status: head.status.as_u16(), headers, body }
}

/// A client of the RESP door.
pub(crate) struct Resp {
    server: InProcess,
    letter: char,
}

impl Resp {
    /// Sends the words of `line` as one command; its one reply as [`text`].
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        text(&self.call(&words))
    }

    /// Sends one command and reads its one reply.
    pub(crate) fn call(&mut self, arguments: &[impl AsRef<[u8]>]) -> OwnedFrame {
        let bytes = self.server.send(self.letter, arguments);
        let (frame, length) = decode_resp2(&bytes).expect("the command is answered at once");
        assert_eq!(length, bytes.len(), "a command has one reply");
        frame
    }
}
