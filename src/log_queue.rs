//! The queue of log lines: a bounded buffer, and the thread that writes it out.
//!
//! A thread that logs copies its line into the queue and goes on, whatever the reader does.  A line that finds no room or
//! cannot be written is dropped and counted.  Once lines can be written again, the log says how many were dropped.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{io, mem, thread};

use crate::clock::Now;
use crate::lock_order::{Condvar, Mutex, rank};
use crate::settings::LogLevel;

/// Bytes of lines that may wait to be written.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// How long to wait for room in a pipe that was made non-blocking.
const FULL_PIPE_INTERVAL: Duration = Duration::from_millis(20);

/// The least time between two lines about something that repeats.
const REPEAT_INTERVAL_MILLIS: u64 = 10_000;

/// See the module's text.
#[derive(Default)]
pub struct LogQueue {
    queue: Mutex<Queue, { rank::LOG }>,
    /// Tells a sleeping writer that there are lines.
    has_lines: Condvar,
    /// Tells that all lines are written or dropped.
    is_quiet: Condvar,
    dropped: AtomicU64,
    /// Changes the least severe message that is logged.
    set_level: OnceLock<Box<dyn Fn(LogLevel) + Send + Sync>>,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    /// The writer has taken lines and has not written them all.
    is_writing: bool,
}

impl LogQueue {
    /// Starts a thread that writes all lines to `sink`.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(sink: impl Write + Send + 'static) -> io::Result<Arc<LogQueue>> {
        let log = Arc::new(LogQueue::default());
        let writer = Arc::clone(&log);
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_to(sink))?;
        Ok(log)
    }

    /// Adds whole lines, or drops them if the queue has no room.
    pub fn push(&self, lines: &[u8]) {
        let mut queue = self.queue.lock();
        if queue.lines.len() + lines.len() > QUEUE_BYTES_MAX {
            drop(queue);
            self.dropped.fetch_add(count_lines(lines), Relaxed);
            return;
        }
        queue.lines.extend_from_slice(lines);
        self.has_lines.notify_all();
    }

    /// Waits until all lines are written, for the given time at most.
    pub fn flush(&self, longest: Duration) {
        let mut queue = self.queue.lock();
        while queue.is_writing || !queue.lines.is_empty() {
            if !self.is_quiet.wait_for(&mut queue, longest) {
                return;
            }
        }
    }

    /// How many lines were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Sets, once, what changes the level.
    pub fn on_level(&self, set: impl Fn(LogLevel) + Send + Sync + 'static) {
        // The subscriber is set up once.
        let _ = self.set_level.set(Box::new(set));
    }

    /// Logs from now on what is as severe as `level` or more.
    pub fn set_level(&self, level: LogLevel) {
        if let Some(set) = self.set_level.get() {
            set(level);
        }
    }

    fn write_to(&self, mut sink: impl Write) {
        let mut taken = Vec::new();
        // How many dropped lines the log has reported, and how many it will have once the taken lines are written.
        let (mut reported, mut reporting) = (0, 0);
        loop {
            self.take(&mut taken);
            match write(&mut sink, &taken) {
                Ok(()) => reported = reporting,
                Err(rest) => {
                    self.dropped.fetch_add(count_lines(rest), Relaxed);
                    reporting = reported;
                    continue;
                }
            }
            let dropped = self.dropped();
            if dropped > reported {
                reporting = dropped;
                tracing::error!(
                    lines = dropped - reported,
                    "lines of the log were dropped: nobody read them in time, or they could not be written"
                );
            }
        }
    }

    /// Waits for lines and takes them all.
    fn take(&self, taken: &mut Vec<u8>) {
        taken.clear();
        let mut queue = self.queue.lock();
        queue.is_writing = false;
        while queue.lines.is_empty() {
            self.is_quiet.notify_all();
            self.has_lines.wait(&mut queue);
        }
        queue.is_writing = true;
        mem::swap(taken, &mut queue.lines);
    }
}

/// Writes all of `lines`, or returns the part that could not be written.
fn write<'a>(sink: &mut impl Write, mut lines: &'a [u8]) -> Result<(), &'a [u8]> {
    while !lines.is_empty() {
        match sink.write(lines) {
            Ok(0) => return Err(lines),
            Ok(length) => lines = &lines[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(FULL_PIPE_INTERVAL),
            Err(_) => return Err(lines),
        }
    }
    Ok(())
}

fn count_lines(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Keeps an event that may repeat very often from filling the log.
#[derive(Default)]
pub struct RepeatLimit {
    next_millis: u64,
    suppressed: u64,
}

impl RepeatLimit {
    /// None if the event is not to be logged at `now`; else how often it was suppressed since it was last logged.
    pub fn admit(&mut self, now: Now) -> Option<u64> {
        if now.millis() < self.next_millis {
            self.suppressed += 1;
            return None;
        }
        self.next_millis = now.millis() + REPEAT_INTERVAL_MILLIS;
        Some(mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type State = Mutex<Reading, { rank::MAILBOX }>;

    /// A reader that can be made to take nothing, or to fail.
    #[derive(Clone, Default)]
    struct Reader(Arc<(State, Condvar)>);

    #[derive(Default)]
    struct Reading {
        read: Vec<u8>,
        is_stuck: bool,
        /// The error of writes while they fail.
        error: Option<ErrorKind>,
        attempts: usize,
    }

    impl Reader {
        fn change(&self, change: impl FnOnce(&mut Reading)) {
            change(&mut self.0.0.lock());
            self.0.1.notify_all();
        }

        /// Waits until `condition` holds.
        fn wait(&self, mut condition: impl FnMut(&Reading) -> bool) {
            let mut reading = self.0.0.lock();
            while !condition(&reading) {
                self.0.1.wait(&mut reading);
            }
        }
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.change(|reading| reading.attempts += 1);
            self.wait(|reading| !reading.is_stuck);
            let mut result = Ok(bytes.len().min(7));
            self.change(|reading| match reading.error {
                Some(kind) => result = Err(kind.into()),
                None => reading.read.extend_from_slice(&bytes[..bytes.len().min(7)]),
            });
            result
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (Arc<LogQueue>, Reader) {
        let reader = Reader::default();
        (LogQueue::start(reader.clone()).expect("a thread"), reader)
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (log, reader) = start();
        for line in ["one\n", "two, which is longer\n", "three\n"] {
            log.push(line.as_bytes());
        }
        reader.wait(|state| state.read == b"one\ntwo, which is longer\nthree\n");
        assert_eq!(log.dropped(), 0);
    }

    #[test]
    fn a_reader_that_takes_nothing_blocks_no_writer() {
        let (log, reader) = start();
        reader.change(|state| state.is_stuck = true);
        log.push(b"first\n");
        reader.wait(|state| state.attempts == 1);
        let line = [vec![b'x'; 1023], vec![b'\n']].concat();
        (0..QUEUE_BYTES_MAX / 1024 + 3).for_each(|_| log.push(&line));
        assert_eq!(log.dropped(), 3);
        // It gives up, since nothing is read.
        log.flush(Duration::ZERO);
        reader.change(|state| state.is_stuck = false);
        reader.wait(|state| state.read.len() == 6 + QUEUE_BYTES_MAX);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_dropped_and_counted() {
        let (log, reader) = start();
        reader.change(|state| state.error = Some(ErrorKind::BrokenPipe));
        log.push(b"lost\nlost too\n");
        log.flush(Duration::from_secs(60));
        assert_eq!(log.dropped(), 2);
        reader.change(|state| state.error = None);
        log.push(b"kept\n");
        reader.wait(|state| state.read == b"kept\n");
    }

    #[test]
    fn a_pipe_without_room_is_waited_for() {
        let (log, reader) = start();
        reader.change(|state| state.error = Some(ErrorKind::WouldBlock));
        log.push(b"late\n");
        reader.wait(|state| state.attempts == 3);
        reader.change(|state| state.error = None);
        reader.wait(|state| state.read == b"late\n");
        assert_eq!(log.dropped(), 0);
    }

    #[test]
    fn a_repeated_event_is_logged_now_and_then() {
        let at = |millis| Now::at(Duration::from_millis(millis), Duration::ZERO);
        let mut limit = RepeatLimit::default();
        assert_eq!([1, 2, 3].map(|millis| limit.admit(at(millis))), [Some(0), None, None]);
        assert_eq!(limit.admit(at(1 + REPEAT_INTERVAL_MILLIS)), Some(2));
        assert_eq!(limit.admit(at(2 + REPEAT_INTERVAL_MILLIS)), None);
    }
}
