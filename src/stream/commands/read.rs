//! STREAM.READ: reads messages from a position on, and waits for new ones if there are none.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use quartet_protocol::broker::headers::Headers;
use quartet_protocol::broker::subject;
use quartet_protocol::resp::Output;

use super::words::{Words, number, text};
use super::{Answer, ROW, put, stream, ticket};
use crate::clock::Clock;
use crate::command::{BlockedCommand, Call, Command, Continuation, Flow, Handler, Services};
use crate::delivery::Effects;
use crate::refusal::Refusal;
use crate::store::Keyspace;
use crate::stream::api::get::Start;
use crate::stream::getting::filter_of;
use crate::stream::json::Time;
use crate::stream::message::StoredMessage;
use crate::stream::{Follower, Portion, ReadError, Seen, Stream};
use crate::wait::Ticket;

/// The number of messages in a reply: the default, and the limit.
const COUNT: usize = 100;
const COUNT_MAX: u64 = 10_000;

/// About how many bytes of messages a reply has.  A single message may exceed it.
const BYTES_MAX: usize = 8 << 20;

/// The deadline of a wait that only a message ends.
const FOREVER: u64 = u64::MAX;

/// The family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "stream.read",
    syntax: "stream [FROM <sequence | time | $>] [SUBJECT pattern] [COUNT count] [BLOCK milliseconds]",
    summary: "Returns messages of a stream in their order, from its first one, from a sequence, from a time like \
              2026-01-31T12:00:00Z or, with $, behind the last. Each is its sequence, subject, time, headers and message. \
              With BLOCK it waits for messages if there are none, 0 for as long as it takes, and returns null if none come.",
    complexity: "O(N) where N is the number of messages that are returned.",
    handler: Handler::Data(read),
    ..ROW
}];

/// Where reading begins.
enum From {
    At(Start),
    End,
}

/// What is read.
struct Wanted {
    from: From,
    pattern: Option<String>,
    count: usize,
    /// For how long, in microseconds; none without BLOCK.
    wait: Option<u64>,
}

fn read(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let wanted = wanted(Words::new(call.arguments.from(2).iter()))?;
    let stream = stream(call, 1)?;
    let (settled, mailbox) = ticket(call)?;
    let settle = Box::new(move |_: &Arc<Stream>, _, _: &mut Effects| put(&mailbox, Answer::Settled));
    stream.once_settled(settle, call.effects);
    let due = wanted.wait.map(|wait| match wait {
        0 => FOREVER,
        wait => call.now().micros().saturating_add(wait),
    });
    if let Some(due) = due.filter(|due| *due != FOREVER) {
        call.effects.set_deadline(due);
    }
    let clock = Arc::clone(&call.services.clock);
    let number = stream.hub.last_follower.fetch_add(1, Relaxed) + 1;
    let reading = BlockedRead { settled, stream, wanted, follower: None, number, due, clock };
    call.continuation.blocked = Some(Box::new(reading));
    call.continuation.flow = Flow::Wait;
    Ok(())
}

fn wanted(mut words: Words<'_>) -> Result<Wanted, Refusal> {
    let mut wanted = Wanted { from: From::At(Start::Sequence(0)), pattern: None, count: COUNT, wait: None };
    while let Some((word, written)) = words.next() {
        match &*word {
            b"FROM" => wanted.from = from(words.value()?)?,
            b"SUBJECT" => {
                let pattern = words.text("the pattern")?;
                if !subject::is_valid_pattern(pattern.as_bytes()) {
                    return Err(Refusal::new("ERR the pattern is no subject"));
                }
                wanted.pattern = Some(pattern.to_owned());
            }
            b"COUNT" => match words.number()? {
                count @ 1..=COUNT_MAX => wanted.count = count as usize,
                _ => return Err(Refusal::new(format!("ERR COUNT must be between 1 and {COUNT_MAX}"))),
            },
            b"BLOCK" => wanted.wait = Some(words.number()?.saturating_mul(1000)),
            _ => return Err(Refusal::syntax_at(written)),
        }
    }
    Ok(wanted)
}

fn from(word: &[u8]) -> Result<From, Refusal> {
    if word == b"$" {
        return Ok(From::End);
    }
    if let Ok(sequence) = number(word) {
        return Ok(From::At(Start::Sequence(sequence)));
    }
    let time = Time::parse(text("FROM", word)?);
    let invalid = || Refusal::new("ERR FROM must be a sequence, a time like 2026-01-31T12:00:00Z, or $");
    time.map(|time| From::At(Start::Time(time.nanoseconds()))).ok_or_else(invalid)
}

/// A read that continues when no lock is held, and waits for messages if the client asked for that.
struct BlockedRead {
    /// Waits until every message that was published before is certain.
    settled: Ticket<Answer>,
    stream: Arc<Stream>,
    wanted: Wanted,
    follower: Option<Follower>,
    /// Its number among the waiting readers.
    number: u64,
    /// When the wait ends, in microseconds; none if the read does not wait.
    due: Option<u64>,
    clock: Arc<Clock>,
}

/// A message as it is written.
struct Entry {
    sequence: u64,
    /// None if it cannot be read.
    message: Option<Contents>,
}

struct Contents {
    subject: Box<[u8]>,
    time: i64,
    headers: Box<[u8]>,
    payload: Box<[u8]>,
}

impl BlockedCommand for BlockedRead {
    fn poll(&mut self, waker: &Waker, output: &mut Output, _: &mut Continuation) -> Poll<()> {
        if self.follower.is_none() {
            if self.settled.poll(waker).is_pending() {
                return Poll::Pending;
            }
            match self.begin() {
                Ok(follower) => self.follower = Some(follower),
                Err(refusal) => {
                    output.error(refusal.text());
                    return Poll::Ready(());
                }
            }
        }
        self.poll_messages(waker, output)
    }

    fn write_timeout(&self, output: &mut Output) {
        output.null();
    }

    fn cancel(&self, _: &Services, _: &mut Keyspace<'_>, _: &mut Effects) {
        self.settled.close();
        self.forget_timeout();
    }
}

impl BlockedRead {
    fn begin(&self) -> Result<Follower, Refusal> {
        let (_, last) = self.stream.range();
        let next = match self.wanted.from {
            From::End => last + 1,
            From::At(start) => {
                self.stream.start_of(start).map_err(|error| unreadable(&error))?.unwrap_or(last + 1)
            }
        };
        let filter = filter_of(self.wanted.pattern.as_deref());
        Follower::new(&self.stream, filter, next)
            .ok_or_else(|| Refusal::new("ERR too many readers of streams: try again later"))
    }

    fn poll_messages(&mut self, waker: &Waker, output: &mut Output) -> Poll<()> {
        loop {
            let Some(follower) = &mut self.follower else { return Poll::Pending };
            let mut entries = Vec::new();
            let portion = Portion { messages: self.wanted.count, bytes: BYTES_MAX };
            let read = follower.read_on(portion, |seen| match seen {
                Seen::Message(message) => entries.push(Entry::of(message)),
                Seen::Unreadable(sequence) => entries.push(Entry { sequence, message: None }),
                Seen::Hole(_) => {}
            });
            let is_over = self.due.is_none_or(|due| due <= self.clock.now().micros());
            match read {
                Err(error) => output.error(unreadable(&error).text()),
                Ok(_) if !entries.is_empty() => write_entries(output, &entries),
                // All of a portion may be gone by the time that it is read.
                Ok(false) => continue,
                Ok(_) if self.due.is_none() => output.array(0),
                Ok(_) if is_over => output.null(),
                Ok(_) => match follower.poll_more(waker) {
                    Poll::Ready(true) => continue,
                    Poll::Ready(false) => output.error(b"NOSTREAM the stream was deleted"),
                    Poll::Pending => {
                        self.set_timeout(waker);
                        return Poll::Pending;
                    }
                },
            }
            self.forget_timeout();
            return Poll::Ready(());
        }
    }

    fn set_timeout(&self, waker: &Waker) {
        if let Some(due) = self.due.filter(|due| *due != FOREVER) {
            self.stream.hub.timeouts.set(due, self.number, waker);
        }
    }

    fn forget_timeout(&self) {
        if let Some(due) = self.due {
            self.stream.hub.timeouts.forget(due, self.number);
        }
    }
}

impl Entry {
    fn of(message: &StoredMessage<'_>) -> Entry {
        let StoredMessage { sequence, time, subject, headers, payload } = *message;
        let (subject, headers, payload) = (subject.into(), headers.into(), payload.into());
        Entry { sequence, message: Some(Contents { subject, time, headers, payload }) }
    }
}

fn write_entries(output: &mut Output, entries: &[Entry]) {
    output.array(entries.len());
    for Entry { sequence, message } in entries {
        output.array(5);
        output.integer(*sequence as i64);
        let Some(Contents { subject, time, headers, payload }) = message else {
            (0..4).for_each(|_| output.null());
            continue;
        };
        output.bulk(subject);
        output.bulk(Time::from_nanoseconds(*time).to_string().as_bytes());
        write_headers(output, headers);
        output.bulk(payload);
    }
}

/// Writes names and values in turn; a name may come several times.
fn write_headers(output: &mut Output, block: &[u8]) {
    let headers: Vec<_> = Headers::new(block).iter().flat_map(|headers| headers.iter()).collect();
    output.array(2 * headers.len());
    for (name, value) in headers {
        output.bulk(name);
        output.bulk(value);
    }
}

fn unreadable(error: &ReadError) -> Refusal {
    Refusal::new(format!("ERR {error}"))
}
