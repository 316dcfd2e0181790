//! Moving messages out of the journal into the stream's own files, for the stream's part of a snapshot.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::super::running::LastRead;
use super::super::segment::{Appender, FileId, Segment, rewrite, segment_bytes};
use super::super::shared::{Keeping, Life, State, Stream};
use super::super::state::{Data, Place};
use crate::delivery::Effects;
use crate::wait::{Lost, Position, thread_waker};

/// A message that is to be moved.
struct Moving {
    sequence: u64,
    place: Place,
}

/// The part of a stream that a snapshot covers.
pub(super) struct Extent {
    /// The last sequence.
    pub(super) last: u64,
}

impl Stream {
    /// Moves every message before the snapshot's place `cut` in the journal, after all changes before it are applied.
    /// Returns what the stream's part of the snapshot covers; nothing if the stream is deleted.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) fn move_before(self: &Arc<Stream>, cut: Position) -> io::Result<Option<Extent>> {
        self.wait_until_applied(cut)?;
        let (moving, last, unsealed, next_file, size, worth_rewriting, keeping) = {
            let state = self.state.lock();
            if state.life == Life::Gone {
                return Ok(None);
            }
            let data = &state.data;
            let journaled = &data.contents.journaled;
            let behind = journaled.from(0).find(|message| message.position >= cut);
            let last = behind.map_or(data.index.last(), |message| message.sequence - 1);
            let is_moved = |sequence: &u64| *sequence <= last && data.index.is_stored(*sequence);
            let sequences = journaled.from(0).map(|message| message.sequence).filter(is_moved);
            let moving: Vec<Moving> =
                sequences.map(|sequence| Moving { sequence, place: data.place(sequence) }).collect();
            let worth = data.contents.segments.worth_rewriting(data.index.first(), data.index.deleted());
            (
                moving,
                last,
                data.contents.segments.last().cloned(),
                data.contents.next_file,
                segment_bytes(data.limits().max_bytes),
                worth,
                state.keeping(&self.hub),
            )
        };
        if keeping == Keeping::Memory {
            return Ok(Some(Extent { last: 0 }));
        }
        if moving.is_empty() && worth_rewriting.is_empty() {
            self.install(Vec::new(), Vec::new(), &[], next_file, last);
            return Ok(Some(Extent { last }));
        }
        let disk = self.hub.folder.open()?;
        let mut appender = Appender::new(disk, self.id, next_file, size);
        if let Some(segment) =
            unsealed.filter(|segment| !worth_rewriting.iter().any(|other| other.id() == segment.id()))
        {
            appender.resume(&segment)?;
        }
        let lost = self.append_all(&moving, &mut appender)?;
        let (mut written, mut next_file) = appender.finish()?;
        let mut rewritten = Vec::new();
        for segment in worth_rewriting {
            let disk = self.hub.folder.open()?;
            let mut appender = Appender::new(disk, self.id, next_file, size);
            let is_stored = |sequence| self.state.lock().data.index.is_stored(sequence);
            if let Err(error) = rewrite(&segment, &mut appender, is_stored) {
                tracing::warn!(
                    stream = &*self.name,
                    ?error,
                    "a file of a stream stays larger than it need be"
                );
                continue;
            }
            let (anew, next) = appender.finish()?;
            next_file = next;
            rewritten.push((segment.id(), anew));
        }
        written.shrink_to_fit();
        self.install(written, rewritten, &lost, next_file, last);
        Ok(Some(Extent { last }))
    }

    /// Appends messages.  Returns the stored ones among them that are damaged in the journal.
    fn append_all(&self, moving: &[Moving], appender: &mut Appender) -> io::Result<Vec<u64>> {
        let mut lost = Vec::new();
        let mut reading = LastRead::default();
        let end = moving.last().and_then(|last| last.place.end_in_journal());
        for Moving { sequence, place } in moving {
            let expected = place.bytes_until(end);
            let read =
                self.read(*sequence, place, expected, &mut reading, |message| appender.append(message));
            match read {
                Ok(appended) => appended.map_err(io::Error::other)?,
                Err(error) => {
                    let is_stored = self.state.lock().data.index.is_stored(*sequence);
                    if is_stored && !error.is_damage() {
                        return Err(io::Error::other(error));
                    }
                    if is_stored {
                        // The snapshot of all services is not to fail because of it.
                        tracing::error!(stream = &*self.name, sequence, %error, "a message is lost");
                        lost.push(*sequence);
                    }
                }
            }
        }
        Ok(lost)
    }

    /// Puts new files in the place of the journal's copies of messages, and of the older files that they were rewritten from.
    fn install(
        &self,
        written: Vec<Arc<Segment>>,
        rewritten: Vec<(FileId, Vec<Arc<Segment>>)>,
        lost: &[u64],
        next_file: u64,
        last: u64,
    ) {
        let mut state = self.state.lock();
        let State { data, consumers, .. } = &mut *state;
        let Data { index, contents, .. } = data;
        contents.segments.install(written);
        for (former, anew) in rewritten {
            contents.segments.replace(former, anew);
        }
        contents.next_file = next_file;
        for &sequence in lost {
            // As long as the journal's copy is known, so are its facts.
            if let Ok(Some(facts)) = contents.facts(sequence)
                && index.lose(sequence, &facts.subject, facts.size)
            {
                consumers.each(|consumer| consumer.lost(sequence, &facts.subject));
            }
        }
        contents.journaled.drop_through(last);
        let first = state.data.index.first();
        state.data.contents.segments.take_before(first);
    }

    /// Waits until every change before a place in the journal is applied.  Those behind it may wait for the disk for longer.
    fn wait_until_applied(self: &Arc<Stream>, cut: Position) -> io::Result<()> {
        let mut effects = Effects::default();
        let waker = thread_waker();
        loop {
            // This thread may be the only one left to apply them, if the server is about to stop.
            self.settle(&mut effects);
            self.hub.fan_out.deliver(&mut effects);
            let is_applied = self.state.lock().unapplied.front().is_none_or(|entry| entry.end > cut);
            match self.hub.poll_synced(cut, &waker) {
                Poll::Ready(Err(Lost)) => return Err(io::Error::other("the journal has failed or stalls")),
                Poll::Ready(Ok(())) if is_applied => return Ok(()),
                _ => std::thread::park_timeout(PATIENCE),
            }
        }
    }
}

/// How long a thread waits before it looks again whether another one has applied the changes.
const PATIENCE: Duration = Duration::from_millis(20);
