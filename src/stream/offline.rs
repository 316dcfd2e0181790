//! Streams in a directory that no server uses: verifying all of them, exporting one, importing one.
//!
//! Verifying and exporting change nothing on the disk.  A message that is in the journal only is found by reading the journal
//! once more, so that no more of it is in memory than one record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use quartet_protocol::broker::subject;
use roaring::RoaringTreemap;

use super::definition::StreamDefinition;
use super::hub::{Surroundings, TAG};
use super::message::StoredMessage;
use super::record::{Record, STORED_HEAD_MAX};
use super::segment::{self, FileEntry, FileId, Opened, ReadError, Reader, Segment};
use super::streams::Streams;
use crate::clock::{Clock, Now};
use crate::disk::{Disk, Untouched};
use crate::journal::keeper::JournalHandle;
use crate::journal::{RECORD_MAX, TornEnd, read_through};
use crate::random::{Random, machine_seed};
use crate::wait::{Lost, Position, thread_waker};

/// The folders of the journal and of the streams' files; none for one that does not exist.
#[derive(Clone)]
pub struct Disks {
    /// The journal.
    pub journal: Option<Arc<dyn Disk>>,
    /// The files.
    pub files: Option<Arc<dyn Disk>>,
}

/// Counts of what was verified.
#[derive(Debug, Default)]
pub struct Looked {
    /// Streams.
    pub streams: usize,
    /// Files of streams.
    pub files: usize,
    /// Messages in these files.
    pub messages: u64,
    /// Records of the journal and its snapshot.
    pub records: u64,
    /// Damaged places.
    pub damages: u64,
    /// The torn end of the journal, if the next start is going to cut it off.  A crash leaves such an end, so it is no damage.
    pub torn: Option<TornEnd>,
}

/// Verifies the snapshot, the journal and every file, and calls `say` with one line for each damage.
pub fn verify(disks: &Disks, say: &mut dyn FnMut(&str)) -> Looked {
    let mut looked = Looked::default();
    let mut named: BTreeMap<u64, Vec<FileEntry>> = BTreeMap::new();
    if let Some(journal) = &disks.journal {
        let mut records = 0;
        let read = read_through(journal, &mut |tag, record, _| {
            records += 1;
            if tag == TAG { note_files(record, &mut named) } else { Ok(()) }
        });
        match read {
            Ok(recovered) => looked.torn = recovered.torn,
            Err(error) => {
                looked.damages += 1;
                say(&error.to_string());
            }
        }
        looked.records = records;
    }
    looked.streams = named.len();
    for (stream, files) in named {
        for entry in files {
            looked.files += 1;
            look_through(disks.files.as_ref(), stream, &entry, &mut looked, say);
        }
    }
    looked
}

/// Notes which files a record names.
fn note_files(record: &[u8], named: &mut BTreeMap<u64, Vec<FileEntry>>) -> Result<(), String> {
    match Record::read(record).map_err(|error| error.to_string())? {
        Record::StreamState(state) => {
            StreamDefinition::read_kept(state.definition)?;
            named.entry(state.stream).or_default();
        }
        Record::Defined { stream, definition, .. } => {
            StreamDefinition::read_kept(definition)?;
            named.entry(stream).or_default();
        }
        Record::Files { stream, files } => named.entry(stream).or_default().extend_from_slice(&files),
        Record::Deleted { stream } => drop(named.remove(&stream)),
        _ => {}
    }
    Ok(())
}

/// Verifies a file of a stream.
fn look_through(
    disk: Option<&Arc<dyn Disk>>,
    stream: u64,
    entry: &FileEntry,
    looked: &mut Looked,
    say: &mut dyn FnMut(&str),
) {
    let id = FileId { stream, number: entry.number };
    let Some(disk) = disk else {
        looked.damages += 1;
        return say(&format!("{} is missing with the whole folder of the streams", id.name()));
    };
    let opened = segment::open(&Untouched(Arc::clone(disk)), stream, entry);
    let Opened { segment, damages, .. } = match opened {
        Ok(opened) => opened,
        Err(error) => {
            looked.damages += 1;
            return say(&format!("cannot read {}: {error}", disk.describe(&id.name())));
        }
    };
    let mut known: Vec<u64> = Vec::new();
    for damage in damages {
        looked.damages += 1;
        known.push(damage.offset);
        say(&damage.to_string());
    }
    let counted = read_file(&segment, 0, |_| (), &mut |error| {
        let is_known = matches!(error, ReadError::Damaged(damage) if known.contains(&damage.offset));
        if !is_known {
            looked.damages += 1;
            say(&error.to_string());
        }
    });
    looked.messages += counted;
}

/// Shows all messages of a file from a sequence on, and what cannot be read.  Returns how many there were.
fn read_file(
    segment: &Arc<Segment>,
    from: u64,
    mut see: impl FnMut(&StoredMessage<'_>),
    fail: &mut dyn FnMut(&ReadError),
) -> u64 {
    let mut reader = Reader::new(Arc::clone(segment), from);
    let (mut count, mut refused, mut next) = (0, 0, from);
    loop {
        match reader.next_message() {
            Ok(Some(message)) => {
                (count, next) = (count + 1, message.sequence + 1);
                see(&message);
            }
            Ok(None) => return count,
            Err(error) => {
                fail(&error);
                if matches!(error, ReadError::Io { .. }) {
                    refused += 1;
                    let behind = message_behind(segment, next).filter(|_| refused < REFUSED_MAX);
                    let Some(behind) = behind else { return count };
                    next = behind;
                    reader.go_on_from(next);
                }
            }
        }
    }
}

/// So many messages that the disk refuses are passed over in a file, each of which may take a disk long; then the rest is given up.
const REFUSED_MAX: usize = 256;

/// The sequence behind that of the first message from a sequence on.
fn message_behind(segment: &Segment, from: u64) -> Option<u64> {
    segment.directory().ok()?.rows_behind(from).next().map(|row| row.sequence + 1)
}

/// A stream that is exported.
pub struct Exported {
    /// Its definition.
    pub definition: StreamDefinition,
    /// When it was created, in nanoseconds since 1970.
    pub created: i64,
    /// The last sequence that it gave to a message, which may be gone.
    pub last: u64,
    /// When it has given that sequence, in nanoseconds since 1970; zero if it never gave any.
    pub last_time: i64,
    id: u64,
    from: u64,
    files: Vec<Arc<Segment>>,
    in_files: RoaringTreemap,
    in_journal: RoaringTreemap,
}

/// Finds a stream, with all changes of the journal applied.
///
/// # Errors
/// If there is no such stream, or the disk cannot be read.
pub fn find(disks: &Disks, name: &str) -> Result<Exported, String> {
    let clock = Arc::new(Clock::machine());
    let now = clock.now();
    let surroundings =
        Surroundings { fan_out: Arc::default(), journal: Arc::<JournalHandle>::default(), clock };
    let streams = Arc::new(match &disks.files {
        Some(files) => Streams::on_disk(surroundings, Arc::new(Untouched(Arc::clone(files)))),
        None => Streams::new(surroundings, None),
    });
    let mut persistent = streams.persistent();
    if let Some(journal) = &disks.journal {
        let mut replay = |tag, record: &[u8], position| match tag {
            TAG => persistent.replay(record, position, now),
            _ => Ok(()),
        };
        read_through(journal, &mut replay).map_err(|error| error.to_string())?;
    }
    persistent.end_replay(now)?;
    // Whoever reads takes the messages that are there.
    persistent.note_last_stop(true);
    persistent.resume(now);
    let stream = streams.find(name).ok_or_else(|| format!("there is no stream {name}"))?;
    let state = stream.state.lock();
    let (index, contents) = (state.data.index(), state.data.contents());
    let journaled = contents.journaled.from(0).map(|message| message.sequence);
    let in_journal: RoaringTreemap = journaled.filter(|sequence| index.is_stored(*sequence)).collect();
    let mut in_files = RoaringTreemap::new();
    if index.messages() > 0 {
        in_files.insert_range(index.first()..=index.last());
        in_files -= index.deleted();
        in_files -= &in_journal;
    }
    Ok(Exported {
        definition: state.data.definition().clone(),
        created: stream.created(),
        last: index.last(),
        last_time: state.data.last_time(),
        id: stream.id,
        from: index.first(),
        files: contents.segments.from(index.first()),
        in_files,
        in_journal,
    })
}

impl Exported {
    /// How many messages it has.
    pub fn len(&self) -> u64 {
        self.in_files.len() + self.in_journal.len()
    }

    /// Whether it has no messages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows all messages in their order, and calls `fail` with a line for each that cannot be read.
    ///
    /// # Errors
    /// The error of `see`, or if the journal cannot be read.
    pub fn each(
        &self,
        disks: &Disks,
        mut see: impl FnMut(&StoredMessage<'_>) -> Result<(), String>,
        fail: &mut dyn FnMut(&str),
    ) -> Result<(), String> {
        let mut result = Ok(());
        for file in &self.files {
            let show = |message: &StoredMessage<'_>| {
                if result.is_ok() && self.in_files.contains(message.sequence) {
                    result = see(message);
                }
            };
            read_file(file, self.from, show, &mut |error| fail(&error.to_string()));
            result.clone()?;
        }
        let Some(journal) = disks.journal.as_ref().filter(|_| !self.in_journal.is_empty()) else {
            return Ok(());
        };
        let mut replay = |tag, record: &[u8], _: Position| {
            if tag != TAG {
                return Ok(());
            }
            match Record::read(record).map_err(|error| error.to_string())? {
                Record::Stored { stream, message, .. }
                    if stream == self.id && self.in_journal.contains(message.sequence) =>
                {
                    see(&message)
                }
                _ => Ok(()),
            }
        };
        read_through(journal, &mut replay).map(drop).map_err(|error| error.to_string())
    }
}

/// The import of one stream, into streams that a keeper keeps and no client uses.
pub struct Importing<'s> {
    streams: &'s Arc<Streams>,
    stream: u64,
    now: Now,
    last: u64,
    end: Position,
}

/// The last sequence that an import takes: no stream comes so far by itself.
const LAST_MAX: u64 = 1 << 63;

/// Bytes that may wait for the disk during an import.
const WAITING_MAX: u64 = 8 << 20;

impl<'s> Importing<'s> {
    /// Makes the keeper create the journal of a new directory.
    pub fn ask_for_journal(streams: &Streams) {
        streams.hub().wait_until_made();
    }

    /// Creates a stream.
    ///
    /// # Errors
    /// If the stream cannot be created.
    pub fn begin(
        streams: &'s Arc<Streams>,
        definition: StreamDefinition,
        created: i64,
        now: Now,
    ) -> Result<Importing<'s>, String> {
        let definition = definition.checked(false).map_err(|error| error.to_string())?;
        streams.check_new(&definition).map_err(|error| error.to_string())?;
        let (stream, _) = streams.hub().next_ids();
        let mut random = Random::with_seed(machine_seed());
        let seed = [random.draw(), random.draw()];
        let json = definition.kept();
        let mut importing = Importing { streams, stream, now, last: 0, end: Position::default() };
        importing.apply(Record::Defined { stream, created, seed, definition: &json })?;
        Ok(importing)
    }

    /// Stores a message, which keeps its sequence and its time.
    ///
    /// Its subject may be one that the stream no longer takes: it had other subjects when the message came.
    ///
    /// # Errors
    /// If nothing can be published on its subject, or its sequence does not follow the one before.
    pub fn store(&mut self, message: StoredMessage<'_>) -> Result<(), String> {
        let StoredMessage { sequence, subject, headers, payload, .. } = message;
        if sequence <= self.last {
            return Err(format!("message {sequence} comes behind message {}", self.last));
        }
        if sequence > LAST_MAX {
            return Err(format!("message {sequence} is beyond the last possible sequence, {LAST_MAX}"));
        }
        if !subject::is_literal(subject) {
            return Err(format!("message {sequence} is on a subject that no message can have"));
        }
        if subject.len() + headers.len() + payload.len() > RECORD_MAX - STORED_HEAD_MAX - 1 {
            return Err(format!("message {sequence} is too long"));
        }
        self.last = sequence;
        let before = self.end;
        self.apply(Record::Stored { stream: self.stream, message, left: None })?;
        if self.end.0 / WAITING_MAX != before.0 / WAITING_MAX {
            self.wait()?;
        }
        Ok(())
    }

    /// Ends with the last sequence that the stream has given to a message, so that no other gets it, and with the time of that
    /// message in nanoseconds since 1970, if it is gone.
    ///
    /// # Errors
    /// If a message came with a greater sequence, or none can be as great.
    pub fn end(&mut self, last: u64, last_time: Option<i64>) -> Result<(), String> {
        if last < self.last || last > LAST_MAX {
            return Err(format!("the last sequence cannot be {last} behind message {}", self.last));
        }
        if last > self.last {
            self.apply(Record::Skipped { stream: self.stream, last })?;
        }
        if let Some(time) = last_time {
            self.apply(Record::LastTime { stream: self.stream, time })?;
        }
        self.wait()
    }

    fn apply(&mut self, record: Record<'_>) -> Result<(), String> {
        let hub = self.streams.hub();
        hub.admit().map_err(|reason| super::store::refusal(&reason).to_string())?;
        let appended = hub.append(&record);
        self.end = appended.end;
        self.streams.replay(record, appended.start, self.now)
    }

    /// Removes the imported stream.
    ///
    /// # Errors
    /// If the removal cannot be appended.
    pub fn abandon(&mut self) -> Result<(), String> {
        self.apply(Record::Deleted { stream: self.stream })?;
        self.wait()
    }

    /// Waits until the disk has everything so far.
    fn wait(&self) -> Result<(), String> {
        let waker = thread_waker();
        loop {
            match self.streams.hub().poll_synced(self.end, &waker) {
                Poll::Ready(Ok(())) => return Ok(()),
                Poll::Ready(Err(_)) => return Err(Lost.to_string()),
                Poll::Pending => std::thread::park_timeout(PATIENCE),
            }
        }
    }
}

/// How long a thread waits before it asks again.
const PATIENCE: Duration = Duration::from_millis(100);
