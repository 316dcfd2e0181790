//! A folder of which few files are open at a time, however many there are: a closed file is opened again when it is read.
//!
//! A reader can read a file as long as it holds it.  So a file that is removed meanwhile stays open for its readers.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::sync::{Arc, OnceLock, Weak};

use crate::disk::{Disk, DiskFile, PlacedRead};
use crate::lock_order::{Mutex, rank};

/// Files of streams that stay open because they were read.  More are open for a moment, one for each thread that reads.
pub const OPEN_FILES_MAX: usize = 8;

/// See the module's text.
pub(super) struct OpenFiles {
    disk: Arc<dyn Disk>,
    table: Arc<Table>,
}

/// What is known of files.
#[derive(Default)]
struct Table(Mutex<Known, { rank::STREAM_FILES }>);

#[derive(Default)]
struct Known {
    /// The open files, those that were read last behind the others.
    open: VecDeque<(Arc<str>, Arc<dyn PlacedRead>)>,
    /// The holders of each file.
    had: HashMap<Arc<str>, Vec<Weak<File>>>,
}

/// A file that a reader holds.
struct File {
    name: Arc<str>,
    disk: Arc<dyn Disk>,
    table: Arc<Table>,
    /// The file itself, once it was removed.
    removed: OnceLock<Arc<dyn PlacedRead>>,
}

impl OpenFiles {
    pub(super) fn new(disk: Arc<dyn Disk>) -> OpenFiles {
        OpenFiles { disk, table: Arc::default() }
    }
}

impl Table {
    fn find(&self, name: &str) -> Option<Arc<dyn PlacedRead>> {
        let mut known = self.0.lock();
        let place = known.open.iter().position(|(open, _)| **open == *name)?;
        let entry = known.open.remove(place)?;
        let found = Arc::clone(&entry.1);
        known.open.push_back(entry);
        Some(found)
    }

    /// Keeps a file open, and closes the one that was not read for longest if these are too many.
    fn keep(&self, name: &Arc<str>, file: &Arc<dyn PlacedRead>) {
        let mut closed = Vec::new();
        {
            let mut known = self.0.lock();
            known.open.retain(|(open, _)| open != name);
            known.open.push_back((Arc::clone(name), Arc::clone(file)));
            while known.open.len() > OPEN_FILES_MAX {
                closed.extend(known.open.pop_front());
            }
        }
        // Outside the lock, since that may take the disk a moment.
        drop(closed);
    }

    /// Forgets a file that is removed.  Returns its holders.
    fn forget(&self, name: &str) -> Vec<Arc<File>> {
        let mut known = self.0.lock();
        known.open.retain(|(open, _)| **open != *name);
        let had = known.had.remove(name).unwrap_or_default();
        had.iter().filter_map(Weak::upgrade).collect()
    }
}

impl File {
    fn file(&self) -> io::Result<Arc<dyn PlacedRead>> {
        if let Some(file) = self.removed.get() {
            return Ok(Arc::clone(file));
        }
        if let Some(file) = self.table.find(&self.name) {
            return Ok(file);
        }
        match self.disk.open(&self.name) {
            Ok(file) => {
                if self.removed.get().is_none() {
                    self.table.keep(&self.name, &file);
                }
                Ok(file)
            }
            // It may have been removed at this moment.
            Err(error) => self.removed.get().cloned().ok_or(error),
        }
    }
}

impl PlacedRead for File {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file()?.read_at(into, at)
    }

    fn length(&self) -> io::Result<u64> {
        self.file()?.length()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let mut known = self.table.0.lock();
        if let Some(had) = known.had.get_mut(&self.name) {
            had.retain(|other| other.strong_count() > 0);
            if had.is_empty() {
                known.had.remove(&self.name);
            }
        }
    }
}

impl Disk for OpenFiles {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        self.disk.read(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn PlacedRead>> {
        let opened = self.disk.open(name)?;
        let name = Arc::<str>::from(name);
        self.table.keep(&name, &opened);
        let (disk, table) = (Arc::clone(&self.disk), Arc::clone(&self.table));
        let file = Arc::new(File { name: Arc::clone(&name), disk, table, removed: OnceLock::new() });
        self.table.0.lock().had.entry(name).or_default().push(Arc::downgrade(&file));
        Ok(file)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name)
    }

    fn resume(&self, name: &str, length: u64) -> io::Result<Box<dyn DiskFile>> {
        self.disk.resume(name, length)
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.disk.truncate(name, length)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        for file in self.table.forget(name) {
            let opened = self.disk.open(name)?;
            // A file is removed once.
            let _ = file.removed.set(opened);
        }
        self.disk.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()
    }

    fn remove_folder(&self) -> io::Result<()> {
        self.disk.remove_folder()
    }

    fn describe(&self, name: &str) -> String {
        self.disk.describe(name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::disk::Folder;

    /// A folder that goes with the test.
    struct TestFolder(PathBuf);

    impl TestFolder {
        fn new(name: &str) -> TestFolder {
            TestFolder(std::env::temp_dir().join(format!("quartet-{name}-{}", std::process::id())))
        }

        fn files(&self) -> OpenFiles {
            OpenFiles::new(Arc::new(Folder::open(&self.0).expect("a folder")))
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            // A folder that is left behind does no harm.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn text(file: &dyn PlacedRead) -> String {
        let mut bytes = vec![0; file.length().expect("its length") as usize];
        assert_eq!(file.read_at(&mut bytes, 0).expect("it is read"), bytes.len());
        String::from_utf8(bytes).expect("it is text")
    }

    #[test]
    fn few_files_are_open_and_all_can_be_read() {
        let directory = TestFolder::new("open-files");
        let disk = directory.files();
        let names: Vec<String> = (0..3 * OPEN_FILES_MAX).map(|number| format!("{number}.x")).collect();
        for name in &names {
            disk.create(name).and_then(|mut file| file.write(name.as_bytes())).expect("it is written");
        }
        let files: Vec<_> = names.iter().map(|name| disk.open(name).expect("it opens")).collect();
        for _ in 0..2 {
            for (name, file) in names.iter().zip(&files) {
                assert_eq!(text(&**file), *name);
                assert_eq!(disk.table.0.lock().open.len(), OPEN_FILES_MAX);
            }
        }
        // Holders of a removed file still read it, and it is forgotten once they are gone.
        for name in &names {
            disk.remove(name).expect("it is removed");
        }
        for (name, file) in names.iter().zip(&files) {
            assert_eq!(text(&**file), *name);
        }
        assert!(disk.open(&names[0]).is_err());
        drop(files);
        let known = disk.table.0.lock();
        assert_eq!((known.open.len(), known.had.len()), (0, 0));
    }

    #[test]
    fn files_that_nobody_has_are_forgotten() {
        let directory = TestFolder::new("forgotten-files");
        let disk = directory.files();
        disk.create("1.x").expect("it is made");
        let (one, two) = (disk.open("1.x").expect("it opens"), disk.open("1.x").expect("it opens"));
        drop(one);
        assert_eq!(disk.table.0.lock().had.len(), 1);
        drop(two);
        assert_eq!(disk.table.0.lock().had.len(), 0);
    }
}
