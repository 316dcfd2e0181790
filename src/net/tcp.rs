//! One RESP connection: moves bytes between a socket and a session.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use quartet_protocol::resp::Output;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::worker::{Tools, Workshop};
use crate::client::SharedClient;
use crate::command::Flow;
use crate::dispatch::Runner;
use crate::session::resp::Session;
use crate::wait::{Hold, Lost};

/// While a client has this many bytes of replies unread, no more of its requests are run; they are only taken in.
const UNSENT_MAX: usize = 1024 * 1024;

/// Parts of the output given to the system in one call.
const PARTS_PER_WRITE: usize = 16;

/// Reads in a row before other connections of the worker get their turn.
const READS_PER_TURN: usize = 4;

/// A connection as a future that ends with it.
pub(super) struct Connection {
    stream: TcpStream,
    session: Session,
    workshop: Rc<Workshop>,
    /// Replies the socket has not taken yet.
    unsent: Output,
    /// What replies in `unsent` wait for, with the number of bytes before them: those may be written already.
    holds: VecDeque<(usize, Hold)>,
    pause: Option<Pin<Box<Sleep>>>,
    /// The client has said that it sends no more; what it has sent is still answered.
    at_end: bool,
    /// No more is read; the connection ends when everything is written.
    ending: bool,
}

/// The connection is over, for whatever reason.
struct Ended;

impl Connection {
    pub(super) fn new(stream: TcpStream, session: Session, workshop: Rc<Workshop>) -> Connection {
        Connection {
            stream,
            session,
            workshop,
            unsent: Output::new(),
            holds: VecDeque::new(),
            pause: None,
            at_end: false,
            ending: false,
        }
    }

    fn shared(&self) -> &SharedClient {
        &self.session.client().shared
    }

    /// Whether output waits for the end of a pause, as the reply of a command that sleeps does.
    fn is_paused(&self) -> bool {
        self.pause.is_some() && !self.ending
    }

    /// Whether requests are only taken in, since one before them has no reply yet.
    fn is_waiting(&self) -> bool {
        self.pause.is_some() || self.session.is_parked()
    }

    /// Whether it has read enough of its replies for more requests to be run.
    fn has_read(&self) -> bool {
        self.unsent.len() <= UNSENT_MAX
    }

    fn drive(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        self.shared().outbox.register(context.waker());
        if self.shared().outbox.is_ending() {
            self.ending = true;
        }
        self.session.collect(&mut self.unsent);
        self.shared().outbox.set_unsent(self.unsent.len());
        for _ in 0..READS_PER_TURN {
            if !self.unsent.is_empty() && !self.is_paused() {
                match self.poll_flush(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(ended)) => return Poll::Ready(ended),
                    // Who is to be cut off is not waited for.
                    Poll::Pending if self.shared().outbox.is_closing() => return Poll::Ready(Ended),
                    // A stranger's input is not taken in before its replies are read.
                    Poll::Pending
                        if self.ending || !self.has_read() && !self.session.client().authenticated =>
                    {
                        return Poll::Pending;
                    }
                    Poll::Pending => {}
                }
            }
            if self.ending {
                return Poll::Ready(Ended);
            }
            let was_waiting = self.is_waiting();
            if was_waiting && self.poll_waited(context).is_ready() {
                self.resume();
                continue;
            }
            if !was_waiting && self.session.is_behind() && self.has_read() {
                self.resume();
                continue;
            }
            if self.at_end {
                if self.session.is_parked() {
                    // Who waits for a reply and has gone is given nothing.
                    return Poll::Ready(Ended);
                }
                if was_waiting || self.session.is_behind() {
                    return Poll::Pending;
                }
                self.ending = true;
                continue;
            }
            if let Err(ended) = ready!(self.poll_receive(context)) {
                return Poll::Ready(ended);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready once the pause is over or the command that waits has written its reply.
    fn poll_waited(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
            return Poll::Ready(());
        }
        let workshop = Rc::clone(&self.workshop);
        let mut tools = workshop.tools.borrow_mut();
        let Tools { runner, output, .. } = &mut *tools;
        ready!(self.session.poll_parked(context.waker(), runner, output));
        self.keep(runner, output);
        Poll::Ready(())
    }

    /// Reads once and runs what came, or only takes it in if the client reads too slowly.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let workshop = Rc::clone(&self.workshop);
        let mut tools = workshop.tools.borrow_mut();
        let Tools { runner, input, batch, output } = &mut *tools;
        let mut buffer = ReadBuf::new(input);
        if ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)).is_err() {
            return Poll::Ready(Err(Ended));
        }
        let received = buffer.filled_mut();
        if received.is_empty() {
            self.at_end = true;
            return Poll::Ready(Ok(()));
        }
        runner.services().metrics.thread(runner.slot()).bytes_in.add(received.len() as u64);
        let flow = if self.has_read() && !self.is_waiting() {
            self.session.receive(received, runner, batch, output)
        } else {
            self.session.put_off(received, runner)
        };
        self.apply(flow);
        let sent = self.send(runner, output);
        // The buffer is the worker's: what a lost connection left in it would reach the next one.
        output.clear();
        Poll::Ready(sent)
    }

    /// Goes on with what was held back by a pause or by a client that did not read.
    fn resume(&mut self) {
        let workshop = Rc::clone(&self.workshop);
        let mut tools = workshop.tools.borrow_mut();
        let Tools { runner, batch, output, .. } = &mut *tools;
        let flow = self.session.resume(runner, batch, output);
        self.apply(flow);
        self.keep(runner, output);
    }

    /// Puts replies behind those that are not written yet.
    fn keep(&mut self, runner: &mut Runner, output: &mut Output) {
        let before = self.unsent.len();
        self.holds.extend(runner.take_holds().into_iter().map(|(at, hold)| (before + at, hold)));
        self.unsent.append(output);
        self.shared().outbox.set_unsent(self.unsent.len());
    }

    fn apply(&mut self, flow: Flow) {
        match flow {
            Flow::Continue | Flow::Wait => {}
            Flow::Close => self.ending = true,
            Flow::Pause(duration) => self.pause = Some(Box::pin(tokio::time::sleep(duration))),
            Flow::Shutdown => {
                self.ending = true;
                self.workshop.shutdown.cancel();
            }
        }
    }

    /// Writes the replies of a batch, straight from the scratch buffer if nothing waits before or with them.
    fn send(&mut self, runner: &mut Runner, output: &mut Output) -> Result<(), Ended> {
        if output.is_empty() && !runner.has_holds() {
            return Ok(());
        }
        let mut written = 0;
        if self.unsent.is_empty() && self.holds.is_empty() && !runner.has_holds() && !self.is_paused() {
            match write(&self.stream, output, usize::MAX) {
                Ok(count) => written = count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(Ended),
            }
        }
        if written < output.len() || runner.has_holds() {
            let mut rest = output.split_off_unwritten(written);
            self.keep(runner, &mut rest);
        }
        Ok(())
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while !self.unsent.is_empty() {
            let allowed = self.poll_holds(context)?;
            if allowed == 0 {
                return Poll::Pending;
            }
            if ready!(self.stream.poll_write_ready(context)).is_err() {
                return Poll::Ready(Err(Ended));
            }
            match write(&self.stream, &self.unsent, allowed) {
                Ok(count) => {
                    self.unsent.advance(count);
                    self.holds.iter_mut().for_each(|(at, _)| *at -= count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Err(Ended)),
            }
            self.shared().outbox.set_unsent(self.unsent.len());
        }
        self.unsent = Output::new();
        Poll::Ready(Ok(()))
    }

    /// How many bytes may be written: up to the first reply whose promise is not on the disk yet.
    fn poll_holds(&mut self, context: &mut Context<'_>) -> Result<usize, Ended> {
        while let Some((at, hold)) = self.holds.front() {
            match hold.poll(context.waker()) {
                Poll::Ready(Ok(())) => self.holds.pop_front(),
                Poll::Ready(Err(Lost)) => return Err(Ended),
                Poll::Pending => return Ok(*at),
            };
        }
        Ok(usize::MAX)
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Ended = ready!(self.drive(context));
        let workshop = Rc::clone(&self.workshop);
        self.session.close(&mut workshop.tools.borrow_mut().runner);
        Poll::Ready(())
    }
}

/// Writes what the socket takes of the first `allowed` bytes.
fn write(stream: &TcpStream, output: &Output, mut allowed: usize) -> std::io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); PARTS_PER_WRITE];
    let mut count = 0;
    for (slice, part) in slices.iter_mut().zip(output.parts()) {
        let part = &part[..part.len().min(allowed)];
        if part.is_empty() {
            break;
        }
        allowed -= part.len();
        *slice = IoSlice::new(part);
        count += 1;
    }
    match &slices[..count] {
        [one] => stream.try_write(one),
        several => stream.try_write_vectored(several),
    }
}
