//! Going through the records of a file, past damage.
//!
//! A record that is wrong says nothing about where the next one begins.  So the next one is searched for byte by byte: a place
//! counts if all of a record is there, with its checksum over that place, and with a sequence that belongs there.
//!
//! Chapters are passed over.  Only their heads are looked at, so damage in one is nothing here.

use std::fmt;
use std::io;

use super::chapter;
use super::file::HEAD;
use super::record::{self, Found, LENGTH_MIN};
use super::window::{OpenFile, SECTOR, Window};
use crate::stream::message::StoredMessage;

/// So many bytes are checksummed at most to find the next record behind damage.  Beyond that the rest of the file counts as
/// damaged: somebody has stored messages that look like records.
const SEARCH_MAX: u64 = 1 << 30;

/// So many places that the disk refuses are passed over in search of one message: each may take a disk long.
const REFUSED_MAX: usize = 8;

/// A part of a file that is not as it was written.  As text it is one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Where the next thing is that can be read, or the end of what counts.
    pub end: u64,
    /// What is wrong there.
    pub reason: &'static str,
    /// The last sequence before it, or zero.
    pub after: u64,
    /// The next sequence behind it, or the one behind the last that the file had.
    pub before: u64,
}

impl Damage {
    /// Whether a message with this sequence may have been there.
    pub fn concerns(&self, sequence: u64) -> bool {
        self.after < sequence && sequence < self.before
    }

    /// Whether no message can have been there, as where a chapter is damaged.
    pub(super) fn concerns_none(&self) -> bool {
        self.before.saturating_sub(self.after) <= 1
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { file, offset, end, reason, after, before } = self;
        write!(formatter, "{file} is damaged from byte {offset} to {end}: {reason}; ")?;
        match before.saturating_sub(*after) {
            0 | 1 => write!(formatter, "no message is lost"),
            _ => write!(formatter, "messages between the sequences {after} and {before} cannot be read"),
        }
    }
}

/// The next thing in a file.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// A record: where it begins, how long it is, and its sequence.
    Record { offset: u64, length: usize, sequence: u64 },
    /// Damage, behind which the next step goes on.
    Damage(Damage),
    /// The end of what counts.
    End,
}

/// What stands at a place.
enum Thing {
    Record { length: usize, sequence: u64 },
    Chapter { length: usize },
}

/// Goes through the records of a file.
pub(super) struct Scan {
    file: OpenFile,
    window: Window,
    at: u64,
    until: u64,
    /// The last sequence that was seen, and the last that the file has.
    last_seen: u64,
    last: u64,
}

impl Scan {
    /// Begins at the record at `at`, whose sequence is above `last_seen`; no sequence is above `last`.
    pub(super) fn new(
        file: OpenFile,
        mut window: Window,
        at: u64,
        until: u64,
        last_seen: u64,
        last: u64,
    ) -> Scan {
        window.clear();
        Scan { file, window, at: at.max(HEAD), until, last_seen, last }
    }

    /// The buffer, to be used again.
    pub(super) fn into_window(self) -> Window {
        self.window
    }

    /// Whether the next step can be gone without the disk.
    pub(super) fn is_in_memory(&self) -> bool {
        let mut at = self.at;
        while let Some(length) = chapter::length_at(self.window.rest(at)).filter(|_| at < self.until) {
            at += length as u64;
        }
        let bytes = self.window.rest(at);
        at >= self.until || record::length_at(bytes).is_some_and(|length| length <= bytes.len())
    }

    /// Goes one step.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        while self.at < self.until {
            match self.look(self.at)? {
                Ok(Thing::Record { length, sequence }) => {
                    let offset = self.at;
                    self.at += length as u64;
                    self.last_seen = sequence;
                    return Ok(Step::Record { offset, length, sequence });
                }
                Ok(Thing::Chapter { length }) => self.at += length as u64,
                Err(reason) => return self.pass_damage(reason).map(Step::Damage),
            }
        }
        Ok(Step::End)
    }

    /// The message of the record that the last step has found.
    pub(super) fn message(&self, offset: u64, length: usize) -> Option<StoredMessage<'_>> {
        record::message_of(self.window.rest(offset).get(..length)?)
    }

    /// What stands at a place, or what is wrong there.
    fn look(&mut self, at: u64) -> io::Result<Result<Thing, &'static str>> {
        const ENDS: &str = "the file ends within a record";
        let (id, until) = (self.file.id, self.until);
        let mut needed = LENGTH_MIN;
        loop {
            let bytes = self.window.bytes(&self.file, at, needed, until)?;
            let bytes = &bytes[..bytes.len().min((until - at) as usize)];
            match record::decode(id, at, bytes) {
                Found::Record(_, message)
                    if message.sequence <= self.last_seen || message.sequence > self.last =>
                {
                    return Ok(Err("the sequence of a record does not belong there"));
                }
                Found::Record(length, message) => {
                    return Ok(Ok(Thing::Record { length, sequence: message.sequence }));
                }
                Found::Chapter(length) if at + length as u64 > until => return Ok(Err(ENDS)),
                Found::Chapter(length) => return Ok(Ok(Thing::Chapter { length })),
                Found::Wrong(reason) => return Ok(Err(reason)),
                Found::Longer(length)
                    if at + length as u64 > until || needed == length && bytes.len() < length =>
                {
                    return Ok(Err(ENDS));
                }
                Found::Longer(length) => needed = length,
            }
        }
    }

    /// Goes behind the damage at the present place.
    fn pass_damage(&mut self, reason: &'static str) -> io::Result<Damage> {
        let offset = self.at;
        self.at += 1;
        let next = self.search()?;
        let (file, after) = (self.file.place.to_string(), self.last_seen);
        let before = next.unwrap_or(self.last.saturating_add(1)).max(after.saturating_add(1));
        Ok(Damage { file, offset, end: self.at, reason, after, before })
    }

    /// The disk refuses to read the record at the present place.  Goes to one behind it, if there is one whose sequence is not
    /// above `wanted`; else it stays.
    pub(super) fn pass_refused(&mut self, wanted: u64) -> bool {
        let start = self.at;
        // The sequences of a file rise, so the record may be the one that is wanted.
        let is_before = self.last_seen.saturating_add(1) < wanted;
        for _ in 0..if is_before { REFUSED_MAX } else { 0 } {
            self.at = (self.at + 1).next_multiple_of(SECTOR);
            match self.search() {
                Ok(Some(sequence)) if sequence <= wanted => return true,
                Ok(_) => break,
                // It is refused there as well.
                Err(_) => {}
            }
        }
        self.at = start;
        false
    }

    /// Goes to the next place from the present one on with a whole record, and returns its sequence; to the end if there is none.
    fn search(&mut self) -> io::Result<Option<u64>> {
        let mut searched = 0;
        while self.at < self.until {
            let place = self.plausible_place()?;
            let Some((at, length)) = place.filter(|_| searched <= SEARCH_MAX) else { break };
            searched += length;
            self.at = at;
            match self.look(at)? {
                Ok(Thing::Record { sequence, .. }) => return Ok(Some(sequence)),
                Ok(Thing::Chapter { length }) => self.at += length as u64,
                Err(_) => self.at += 1,
            }
        }
        self.at = self.until;
        Ok(None)
    }

    /// The first place from the present one on where a record may begin, and how long it would be.
    fn plausible_place(&mut self) -> io::Result<Option<(u64, u64)>> {
        let sequences = self.last_seen.saturating_add(1)..=self.last;
        let mut at = self.at;
        loop {
            let bytes = self.window.bytes(&self.file, at, LENGTH_MIN, self.until)?;
            let Some(places) = (bytes.len() + 1).checked_sub(LENGTH_MIN).filter(|places| *places > 0) else {
                return Ok(None);
            };
            let rest = self.until - at;
            let length =
                |place: usize| record::plausible_length(&bytes[place..], rest - place as u64, &sequences);
            match (0..places).find_map(|place| length(place).map(|length| (at + place as u64, length))) {
                Some(found) => return Ok(Some(found)),
                None => at += places as u64,
            }
            // If the disk refuses the rest, the search goes on from here.
            self.at = at;
        }
    }
}
