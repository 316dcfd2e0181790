//! A machine with two folders that loses power as a whole, and that lets the test go on between any two operations on its disk.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use quartet::disk::{Disk, DiskFile, PlacedRead};
use quartet::random::Random;

use crate::support::simulated_disk::{SimulatedDisk, Survival, Trouble};

thread_local! {
    /// What happens between two operations of the disk.
    static BETWEEN: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

/// Calls something between all operations of the disk until `work` is done, but not between its own operations.
pub(in crate::stream) fn with_between<T>(between: impl FnMut() + 'static, work: impl FnOnce() -> T) -> T {
    BETWEEN.set(Some(Box::new(between)));
    let done = work();
    BETWEEN.set(None);
    done
}

fn between() {
    if let Some(mut go_on) = BETWEEN.take() {
        go_on();
        BETWEEN.set(Some(go_on));
    }
}

/// The disk of a machine.
#[derive(Default)]
pub(in crate::stream) struct Machine {
    pub(in crate::stream) journal: SimulatedDisk,
    pub(in crate::stream) streams: SimulatedDisk,
    has_no_power: Arc<AtomicBool>,
}

/// A folder of it.
pub(in crate::stream) struct Folder {
    disk: SimulatedDisk,
    has_no_power: Arc<AtomicBool>,
}

struct OpenFile {
    file: Box<dyn DiskFile>,
    has_no_power: Arc<AtomicBool>,
}

impl Machine {
    /// One with these disks.
    pub(in crate::stream) fn of(journal: SimulatedDisk, streams: SimulatedDisk) -> Machine {
        Machine { journal, streams, has_no_power: Arc::default() }
    }

    /// The folders of the journal and of the streams.
    pub(in crate::stream) fn folders(&self) -> [Arc<dyn Disk>; 2] {
        [&self.journal, &self.streams].map(|disk| {
            let has_no_power = Arc::clone(&self.has_no_power);
            Arc::new(Folder { disk: disk.clone(), has_no_power }) as Arc<dyn Disk>
        })
    }

    /// Cuts the power at one of the next operations.
    pub(in crate::stream) fn lose_power_soon(&self, random: &mut Random) {
        let disk = [&self.journal, &self.streams][usize::from(random.below(3) == 0)];
        let at = disk.operations() + 1 + random.below(8) as u64;
        let trouble = [Trouble::PowerLostBefore(at), Trouble::PowerLostAfter(at)][random.below(2)];
        disk.expect_trouble(trouble);
    }

    /// There is no room for a while.
    pub(in crate::stream) fn be_full_for(&self, operations: u64) {
        for disk in [&self.journal, &self.streams] {
            let next = disk.operations() + 1;
            disk.expect_trouble(Trouble::Full(next, next + operations));
        }
    }

    /// All works again, if there is power.
    pub(in crate::stream) fn mend(&self) {
        [&self.journal, &self.streams].iter().for_each(|disk| disk.expect_trouble(Trouble::Error(0)));
    }

    /// Whether the power was lost.
    pub(in crate::stream) fn has_no_power(&self) -> bool {
        self.has_no_power.load(Relaxed)
    }

    /// The machine after the power came back.
    pub(in crate::stream) fn after_power_loss(&self, random: &mut Random) -> Machine {
        let mut survival = || match random.below(5) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Blocks(1 << random.below(12)),
        };
        let (journal, streams) = (survival(), survival());
        Machine {
            journal: self.journal.after_power_loss(journal, random),
            streams: self.streams.after_power_loss(streams, random),
            has_no_power: Arc::default(),
        }
    }
}

/// Does something on the disk, unless the power was lost.
fn with_power<T>(has_no_power: &AtomicBool, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    between();
    if has_no_power.load(Relaxed) {
        return Err(io::Error::other("no power"));
    }
    let done = work();
    if done.as_ref().is_err_and(|error| error.to_string() == "no power") {
        has_no_power.store(true, Relaxed);
    }
    done
}

impl Folder {
    fn change<T>(&self, work: impl FnOnce(&SimulatedDisk) -> io::Result<T>) -> io::Result<T> {
        with_power(&self.has_no_power, || work(&self.disk))
    }

    fn opened(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(OpenFile { file, has_no_power: Arc::clone(&self.has_no_power) })
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        self.disk.read(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn PlacedRead>> {
        self.disk.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.change(|disk| disk.create(name)).map(|file| self.opened(file))
    }

    fn resume(&self, name: &str, length: u64) -> io::Result<Box<dyn DiskFile>> {
        self.change(|disk| disk.resume(name, length)).map(|file| self.opened(file))
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.change(|disk| disk.truncate(name, length))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|disk| disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|disk| disk.remove(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.change(SimulatedDisk::sync_names)
    }

    fn remove_folder(&self) -> io::Result<()> {
        self.change(SimulatedDisk::remove_folder)
    }

    fn describe(&self, name: &str) -> String {
        self.disk.describe(name)
    }
}

impl DiskFile for OpenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        with_power(&self.has_no_power, || self.file.write(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        with_power(&self.has_no_power, || self.file.sync())
    }
}
