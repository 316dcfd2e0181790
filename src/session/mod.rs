//! One client's conversation in one of the protocols: bytes in, bytes out, no sockets.

mod answers;
pub mod broker;
mod json;
mod keep_alive;
mod presence;
pub mod resp;
mod rights;
mod unsent;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use bytes::Bytes;
use quartet_protocol::buffer::Buffer;
use quartet_protocol::resp::{Batch, Output};

pub use unsent::Unsent;
pub use websocket::Agreement;

use crate::broker::authentication;
use crate::client::{BrokerFacts, Clients, Door, SharedClient};
use crate::clock::Now;
use crate::command::executor::Executor;
use crate::command::{Flow, Services};
use crate::delivery::Outbox;
use crate::settings::Settings;

/// While a RESP client has this many bytes of replies unread, no more of its requests are run; they are only taken in.
const UNSENT_MAX: usize = 1024 * 1024;

/// The protocols that connections speak, each on a listener of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// RESP2 and RESP3.
    Resp,
    /// That of NATS clients.
    Broker,
    /// What was agreed on for a WebSocket, which comes from the HTTP door.
    WebSocket(Agreement),
}

/// Why a connection is refused at the door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It comes from another machine, and only clients of this one are served while there is no password.
    Protected,
    /// There are too many.
    Full,
}

impl Refused {
    /// The reason in the log.
    pub fn reason(self) -> &'static str {
        match self {
            Refused::Protected => "it comes from another machine, and there is no password",
            Refused::Full => "there are too many connections",
        }
    }
}

impl Protocol {
    /// The door that its clients come by.
    pub fn door(self) -> Door {
        match self {
            Protocol::Resp => Door::Resp,
            Protocol::Broker => Door::Broker,
            Protocol::WebSocket(_) => Door::WebSocket,
        }
    }

    /// The number of connections that count against the same limit.
    pub fn connections(self, clients: &Clients) -> usize {
        match self {
            Protocol::Resp => clients.len(Door::Resp),
            Protocol::Broker | Protocol::WebSocket(_) => {
                clients.len(Door::Broker) + clients.len(Door::WebSocket)
            }
        }
    }

    /// Whether its clients must give a password.
    pub fn needs_password(self, settings: &Settings) -> bool {
        match self {
            Protocol::Resp => settings.has_password(),
            Protocol::Broker | Protocol::WebSocket(_) => authentication::is_required(settings),
        }
    }

    /// The most connections at a time.
    pub fn connections_max(self, settings: &Settings) -> usize {
        match self {
            Protocol::Resp => settings.maxclients,
            Protocol::Broker | Protocol::WebSocket(_) => settings.broker_connection_limit,
        }
    }

    /// Tells a client, which has come from the first of the addresses to the second, why it is refused.
    pub fn refusal(
        self,
        refused: Refused,
        services: &Services,
        addresses: (SocketAddr, SocketAddr),
    ) -> Bytes {
        match (self, refused) {
            (Protocol::Resp, Refused::Protected) => Bytes::from_static(resp::PROTECTED),
            (Protocol::Resp, Refused::Full) => Bytes::from_static(resp::FULL),
            (Protocol::Broker | Protocol::WebSocket(_), refused) => {
                broker::refusal(refused, services, addresses)
            }
        }
    }
}

/// A conversation.  A connection hands it the bytes that its socket has read, and writes the bytes that it adds to its
/// [`Scratch`].
pub enum Session {
    /// In RESP.
    Resp(resp::Session),
    /// In the broker's protocol.
    Broker(broker::Session),
    /// In frames of a WebSocket.
    WebSocket(websocket::Session),
}

/// What others see of a client of the broker.
fn facts(client: &SharedClient) -> &BrokerFacts {
    client.broker().expect("the door gives its clients these facts")
}

/// A thread's memory for the conversations of its connections, used by one at a time.
#[derive(Default)]
pub struct Scratch {
    batch: Batch,
    output: Output,
    websocket: websocket::Scratch,
}

impl Scratch {
    /// The bytes that sessions have written, for the connection to take.
    pub fn written(&mut self) -> &mut Buffer {
        &mut self.output
    }
}

impl Session {
    /// A conversation that has just begun.
    pub fn new(protocol: Protocol, client: Arc<SharedClient>, authenticated: bool) -> Session {
        match protocol {
            Protocol::Resp => Session::Resp(resp::Session::new(client, authenticated)),
            Protocol::Broker => Session::Broker(broker::Session::new(client, authenticated)),
            Protocol::WebSocket(agreement) => {
                Session::WebSocket(websocket::Session::new(agreement, client, authenticated))
            }
        }
    }

    /// Messages for the client.
    pub fn outbox(&self) -> &Outbox {
        match self {
            Session::Resp(session) => &session.shared().outbox,
            Session::Broker(session) => &session.shared().outbox,
            Session::WebSocket(session) => &session.shared().outbox,
        }
    }

    /// Whether the client is authenticated.  Little is read from one that is not.
    pub fn is_authenticated(&self) -> bool {
        match self {
            Session::Resp(session) => session.is_authenticated(),
            Session::Broker(session) => session.is_authenticated(),
            Session::WebSocket(session) => session.is_authenticated(),
        }
    }

    /// Notes that the client is not idle.
    pub fn note_active(&self, now: Now) {
        match self {
            Session::Resp(session) => session.shared().last_active.store(now.millis(), Relaxed),
            Session::Broker(_) | Session::WebSocket(_) => {}
        }
    }

    /// Takes input as it comes, runs the requests that are complete, and returns how the connection goes on.  `input` is
    /// changed in place.
    ///
    /// After [`Flow::Pause`], after [`Flow::Wait`] once the wait is over, and as long as the session [is
    /// behind](Session::is_behind), the caller goes on with [`Session::resume`], or puts input off, and brings no more
    /// to run.
    pub fn receive(&mut self, input: &mut [u8], executor: &mut Executor, scratch: &mut Scratch) -> Flow {
        match self {
            Session::Resp(session) => {
                session.receive(input, executor, &mut scratch.batch, &mut scratch.output)
            }
            Session::Broker(session) => session.receive(input, executor, &mut scratch.output),
            Session::WebSocket(session) => {
                session.receive(input, executor, &mut scratch.websocket, &mut scratch.output)
            }
        }
    }

    /// Takes input without running it, from a client that sends and does not read.
    pub fn put_off(&mut self, input: &[u8], executor: &mut Executor) -> Flow {
        match self {
            Session::Resp(session) => session.put_off(input, executor),
            Session::Broker(_) | Session::WebSocket(_) => {
                unreachable!("it is full whenever it does not run its input")
            }
        }
    }

    /// Whether requests may wait that were received and not run.
    pub fn is_behind(&self) -> bool {
        match self {
            Session::Resp(session) => session.is_behind(),
            Session::Broker(session) => session.is_behind(),
            Session::WebSocket(session) => session.is_behind(),
        }
    }

    /// Bytes that were received and not run, about: requests that wait, and the start of one.
    pub fn waiting_input(&self) -> usize {
        match self {
            Session::Resp(session) => session.waiting_input(),
            Session::Broker(session) => session.waiting_input(),
            Session::WebSocket(session) => session.waiting_input(),
        }
    }

    /// Whether so many requests wait that no more is to be taken in before some of them were run.
    pub fn is_full(&self, executor: &mut Executor) -> bool {
        match self {
            Session::Resp(session) => session.is_full(executor),
            Session::Broker(_) | Session::WebSocket(_) => true,
        }
    }

    /// Ready once more of the client's input may be run: its requests so far are done.  Else `waker` is woken then.
    pub fn poll_requests(&mut self, waker: &Waker, executor: &Executor) -> Poll<()> {
        let now = executor.services().clock.now();
        match self {
            Session::Resp(session) => session.poll_requests(waker, executor),
            Session::Broker(session) => session.poll_requests(waker, now),
            Session::WebSocket(session) => session.poll_requests(waker, now),
        }
    }

    /// Goes on after a pause or a wait, or when earlier output was handed out.
    pub fn resume(&mut self, executor: &mut Executor, scratch: &mut Scratch) -> Flow {
        match self {
            Session::Resp(session) => session.resume(executor, &mut scratch.batch, &mut scratch.output),
            Session::Broker(session) => session.resume(executor, &mut scratch.output),
            Session::WebSocket(session) => {
                session.resume(executor, &mut scratch.websocket, &mut scratch.output)
            }
        }
    }

    /// Whether a command waits for its reply.
    pub fn is_blocked(&self) -> bool {
        match self {
            Session::Resp(session) => session.is_blocked(),
            Session::Broker(_) | Session::WebSocket(_) => false,
        }
    }

    /// Ready once the command that waits has written its reply; until then `waker` is woken when it may have one.
    pub fn poll_blocked(
        &mut self,
        waker: &Waker,
        executor: &mut Executor,
        scratch: &mut Scratch,
    ) -> Poll<()> {
        match self {
            Session::Resp(session) => session.poll_blocked(waker, executor, &mut scratch.output),
            Session::Broker(_) | Session::WebSocket(_) => Poll::Ready(()),
        }
    }

    /// Ends the waiting of a client that has gone: it is given nothing.
    pub fn give_up(&mut self, executor: &mut Executor) {
        match self {
            Session::Resp(session) => session.give_up(executor),
            Session::Broker(_) | Session::WebSocket(_) => {}
        }
    }

    /// Says what the server has to say by itself.  To be called whenever the client is woken.
    pub fn tend(&mut self, executor: &mut Executor, scratch: &mut Scratch) -> Flow {
        match self {
            Session::Resp(_) => Flow::Continue,
            Session::Broker(session) => session.tend(executor, &mut scratch.output),
            Session::WebSocket(session) => {
                session.tend(executor, &mut scratch.websocket, &mut scratch.output)
            }
        }
    }

    /// Takes messages for the client, each of them whole, as many as the connection should hold.
    pub fn collect(&self, scratch: &mut Scratch, buffer: &mut Buffer) {
        match self {
            Session::Resp(session) => session.collect(buffer),
            Session::Broker(session) => session.collect(buffer),
            Session::WebSocket(session) => session.collect(&mut scratch.websocket, buffer),
        }
    }

    /// Whether the client has read enough for more of its requests to be run, if so many bytes are unsent.
    pub fn has_read(&self, unsent: usize) -> bool {
        match self {
            Session::Resp(_) => unsent <= UNSENT_MAX,
            Session::Broker(session) => session.has_read(),
            Session::WebSocket(session) => session.has_read(),
        }
    }

    /// Notes that the socket has taken so many bytes, and whether those were all.
    pub fn note_sent(&mut self, bytes: usize, is_all: bool) {
        match self {
            Session::Resp(_) => {}
            Session::Broker(session) => session.note_sent(bytes, is_all),
            Session::WebSocket(session) => session.note_sent(bytes, is_all),
        }
    }

    /// When the conversation is to be tended next, in microseconds, if it knows.
    pub fn deadline(&self) -> Option<u64> {
        match self {
            Session::Resp(_) => None,
            Session::Broker(session) => session.deadline(),
            Session::WebSocket(session) => session.deadline(),
        }
    }

    /// Writes the last words of a conversation that ends, once.
    pub fn say_goodbye(&mut self, buffer: &mut Buffer) {
        match self {
            Session::Resp(_) | Session::Broker(_) => {}
            Session::WebSocket(session) => session.say_goodbye(buffer),
        }
    }

    /// Ends everything that the client has begun.
    pub fn close(&mut self, executor: &mut Executor) {
        match self {
            Session::Resp(session) => session.close(executor),
            Session::Broker(session) => session.close(executor),
            Session::WebSocket(session) => session.close(executor),
        }
    }
}
