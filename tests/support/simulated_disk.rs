//! A disk in memory that loses power: after any operation, with any part of the unsynced bytes on it or not.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use parking_lot::Mutex;
use quartet::disk::{Disk, DiskFile, PlacedRead};
use quartet::random::Random;

/// A folder of files.  Its clones are the same folder.
#[derive(Clone, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

/// When an operation fails, counted from the first that changes something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// This operation and all later ones do nothing: the power was lost before it.
    PowerLostBefore(u64),
    /// All later operations do nothing: the power was lost before anybody heard that this one was done.
    PowerLostAfter(u64),
    /// There is no room for new files and more bytes, from this operation on and until that one.
    Full(u64, u64),
    /// This operation fails, and if it was a sync, the unsynced bytes are gone; later ones work.
    Error(u64),
}

/// The unsynced bytes and names that a loss of power leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Survival {
    /// Nothing of them.
    Nothing,
    /// All of them.
    Everything,
    /// Names up to some change; of each file, some of the unsynced blocks of this many bytes, the rest zeros.
    Blocks(usize),
}

#[derive(Default)]
struct State {
    files: Vec<Contents>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Every state of the names since they were synced.
    unsynced_names: Vec<BTreeMap<String, usize>>,
    operations: u64,
    trouble: Option<Trouble>,
    /// How many bytes were asked for by each read at a place.
    placed_reads: Vec<usize>,
    /// How many more such reads there are before the disk refuses them; any number if it refuses none.
    reads_left: Option<usize>,
    /// Bytes of which the disk refuses all reads at a place.
    bad_bytes: Vec<Vec<u8>>,
    /// A file and the byte in it that the disk refuses to whoever reads from the start.
    bad_byte: Option<(String, usize)>,
    /// Files that are open to be read at any place.
    open_files: usize,
}

#[derive(Clone, Default)]
struct Contents {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

impl SimulatedDisk {
    /// The operations that changed something, or tried to.
    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// How many bytes were asked for by each read at a place since this was asked last.
    pub(crate) fn take_placed_reads(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().placed_reads)
    }

    /// Files that are open to be read at any place.
    pub(crate) fn open_files(&self) -> usize {
        self.0.lock().open_files
    }

    /// Trouble to come.
    pub(crate) fn expect_trouble(&self, trouble: Trouble) {
        self.0.lock().trouble = Some(trouble);
    }

    /// The disk after the power came back.
    pub(crate) fn after_power_loss(&self, survival: Survival, random: &mut Random) -> SimulatedDisk {
        let state = self.0.lock();
        let names = match survival {
            Survival::Nothing => state.synced_names.clone(),
            Survival::Everything => state.names.clone(),
            Survival::Blocks(_) => {
                let chosen = random.below(state.unsynced_names.len() + 1);
                chosen.checked_sub(1).map_or(&state.synced_names, |at| &state.unsynced_names[at]).clone()
            }
        };
        let survivors = state.files.iter().map(|file| {
            let bytes = match survival {
                Survival::Nothing => file.synced.clone(),
                Survival::Everything => file.bytes.clone(),
                Survival::Blocks(size) => torn(file, size, random),
            };
            Contents { synced: bytes.clone(), bytes }
        });
        let files = survivors.collect();
        let survivor = State { files, synced_names: names.clone(), names, ..State::default() };
        SimulatedDisk(Arc::new(Mutex::new(survivor)))
    }

    /// The contents of a file.
    pub(crate) fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.0.lock();
        state.files[state.names[name]].bytes.clone()
    }

    /// Flips a bit wherever these bytes are in a file.  Returns in how many files they were.
    pub(crate) fn spoil(&self, found: &[u8]) -> usize {
        self.spoil_at(|bytes| bytes.windows(found.len()).position(|window| window == found))
    }

    /// Flips a bit of the last byte of each file.  Returns how many files there are.
    pub(crate) fn spoil_ends(&self) -> usize {
        self.spoil_at(|bytes| bytes.len().checked_sub(1))
    }

    /// Refuses all reads at a place but the next ones, or none any more.
    pub(crate) fn refuse_reads_after(&self, reads: Option<usize>) {
        self.0.lock().reads_left = reads;
    }

    /// Refuses all reads at a place that would bring one of these, and no others.
    pub(crate) fn refuse_reads_of(&self, found: &[&[u8]]) {
        self.0.lock().bad_bytes = found.iter().map(|found| found.to_vec()).collect();
    }

    /// Refuses this byte of a file to whoever reads that from the start, or none any more.
    pub(crate) fn refuse_byte(&self, refused: Option<(&str, usize)>) {
        self.0.lock().bad_byte = refused.map(|(name, at)| (name.to_owned(), at));
    }

    /// Writes zeros from where these bytes first are in a file to its end.  Returns in how many files they were.
    pub(crate) fn erase_from(&self, found: &[u8]) -> usize {
        let mut erased = 0;
        let state = &mut *self.0.lock();
        for number in state.names.values() {
            let Contents { bytes, synced } = &mut state.files[*number];
            let Some(place) = bytes.windows(found.len()).position(|window| window == found) else { continue };
            bytes[place..].fill(0);
            synced.iter_mut().skip(place).for_each(|byte| *byte = 0);
            erased += 1;
        }
        erased
    }

    fn spoil_at(&self, place_in: impl Fn(&[u8]) -> Option<usize>) -> usize {
        let mut spoiled = 0;
        let state = &mut *self.0.lock();
        for number in state.names.values() {
            let Contents { bytes, synced } = &mut state.files[*number];
            let Some(place) = place_in(bytes) else { continue };
            bytes[place] ^= 1;
            synced.get_mut(place).into_iter().for_each(|byte| *byte ^= 1);
            spoiled += 1;
        }
        spoiled
    }

    /// A copy of the disk in which one file has other contents, or is gone.
    pub(crate) fn with(&self, name: &str, contents: Option<Vec<u8>>) -> SimulatedDisk {
        let copy = self.after_power_loss(Survival::Everything, &mut Random::with_seed(0));
        let mut state = copy.0.lock();
        match contents {
            None => drop(state.names.remove(name)),
            Some(bytes) => {
                let file = state.names[name];
                state.files[file] = Contents { synced: bytes.clone(), bytes };
            }
        }
        state.synced_names = state.names.clone();
        drop(state);
        copy
    }

    /// Makes a change, unless there is trouble.
    fn change<T>(
        &self,
        done: impl FnOnce(&mut State) -> io::Result<T>,
        failed: impl FnOnce(&mut State),
    ) -> io::Result<T> {
        let mut state = self.0.lock();
        state.operations += 1;
        let now = state.operations;
        match state.trouble {
            Some(Trouble::PowerLostBefore(at)) if now >= at => Err(io::Error::other("no power")),
            Some(Trouble::PowerLostAfter(at)) if now > at => Err(io::Error::other("no power")),
            Some(Trouble::PowerLostAfter(at)) if now == at => {
                done(&mut state)?;
                Err(io::Error::other("no power"))
            }
            Some(Trouble::Error(at)) if now == at => {
                failed(&mut state);
                Err(io::Error::other("a bad block"))
            }
            _ => done(&mut state),
        }
    }

    /// Whether an operation that needs room finds none; then it counts as one.
    fn is_full(&self) -> bool {
        let mut state = self.0.lock();
        let next = state.operations + 1;
        let is_full =
            matches!(state.trouble, Some(Trouble::Full(from, until)) if (from..until).contains(&next));
        state.operations += u64::from(is_full);
        is_full
    }

    fn change_names(&self, done: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let and_remember = |state: &mut State| {
            done(state)?;
            state.unsynced_names.push(state.names.clone());
            Ok(())
        };
        self.change(and_remember, |_| ())
    }
}

/// A file after a loss of power: each unsynced block, or zeros in its place, up to some length.
fn torn(file: &Contents, size: usize, random: &mut Random) -> Vec<u8> {
    let Some(unsynced) = file.bytes.len().checked_sub(file.synced.len()) else { return file.synced.clone() };
    let mut bytes = file.synced.clone();
    bytes.extend_from_slice(&file.bytes[bytes.len()..][..random.below(unsynced + 1)]);
    for block in bytes[file.synced.len()..].chunks_mut(size) {
        if random.below(3) == 0 {
            block.fill(0);
        }
    }
    bytes
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        let state = self.0.lock();
        let file = *state.names.get(name).ok_or_else(not_found)?;
        let mut bytes = state.files[file].bytes.clone();
        match &state.bad_byte {
            Some((bad, at)) if bad == name && *at < bytes.len() => {
                bytes.truncate(*at);
                Ok(Box::new(Cursor::new(bytes).chain(Refusing)))
            }
            _ => Ok(Box::new(Cursor::new(bytes))),
        }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        if self.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut file = 0;
        self.change_names(|state| {
            file = state.files.len();
            state.files.push(Contents::default());
            state.names.insert(name.to_owned(), file);
            Ok(())
        })?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, end: 0 }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn PlacedRead>> {
        let mut state = self.0.lock();
        let file = *state.names.get(name).ok_or_else(not_found)?;
        state.open_files += 1;
        Ok(Arc::new(OpenFile { disk: self.clone(), file }))
    }

    fn resume(&self, name: &str, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let (mut file, end) = (0, length as usize);
        let cut = |state: &mut State| {
            file = *state.names.get(name).ok_or_else(not_found)?;
            if state.files[file].bytes.len() < end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            state.files[file].bytes.truncate(end);
            Ok(())
        };
        self.change(cut, |_| ())?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, end }))
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let cut = |state: &mut State| {
            let file = *state.names.get(name).ok_or_else(not_found)?;
            state.files[file].bytes.truncate(length as usize);
            state.files[file].synced = state.files[file].bytes.clone();
            Ok(())
        };
        self.change(cut, |_| ())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change_names(|state| {
            let file = state.names.remove(from).ok_or_else(not_found)?;
            state.names.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change_names(|state| state.names.remove(name).map(drop).ok_or_else(not_found))
    }

    fn sync_names(&self) -> io::Result<()> {
        let sync = |state: &mut State| {
            state.synced_names = state.names.clone();
            state.unsynced_names.clear();
            Ok(())
        };
        self.change(sync, |_| ())
    }

    fn remove_folder(&self) -> io::Result<()> {
        self.sync_names()
    }

    fn describe(&self, name: &str) -> String {
        format!("simulated/{name}")
    }
}

/// What the disk refuses to read.
struct Refusing;

impl Read for Refusing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("a bad block"))
    }
}

struct OpenFile {
    disk: SimulatedDisk,
    file: usize,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.disk.0.lock().open_files -= 1;
    }
}

impl PlacedRead for OpenFile {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        match &mut state.reads_left {
            Some(0) => return Err(io::Error::other("a bad block")),
            Some(left) => *left -= 1,
            None => {}
        }
        state.placed_reads.push(into.len());
        let bytes = &state.files[self.file].bytes;
        let rest = &bytes[bytes.len().min(at as usize)..];
        let count = rest.len().min(into.len());
        let has = |found: &Vec<u8>| rest[..count].windows(found.len()).any(|window| window == found);
        if state.bad_bytes.iter().any(has) {
            return Err(io::Error::other("a bad block"));
        }
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.0.lock().files[self.file].bytes.len() as u64)
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
    /// The end of the written bytes.
    end: usize,
}

impl DiskFile for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        let (file, end) = (self.file, self.end);
        let put = |state: &mut State, bytes: &[u8]| {
            state.files[file].bytes.truncate(end);
            state.files[file].bytes.extend_from_slice(bytes);
        };
        if self.disk.is_full() {
            put(&mut self.disk.0.lock(), half);
            return Err(io::ErrorKind::StorageFull.into());
        }
        let write = |state: &mut State| {
            put(state, bytes);
            Ok(())
        };
        self.disk.change(write, |state| put(state, half))?;
        self.end += bytes.len();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.change(
            |state| {
                let file = &mut state.files[self.file];
                file.synced = file.bytes.clone();
                Ok(())
            },
            // As on Linux: the bytes that could not be written count as written from then on, and are not.
            |state| {
                let file = &mut state.files[self.file];
                let zeros = file.bytes.len().saturating_sub(file.synced.len());
                file.bytes = file.synced.clone();
                file.bytes.resize(file.bytes.len() + zeros, 0);
            },
        )
    }
}
