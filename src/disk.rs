//! The disk as the journal and streams see it: a folder of files that are written at their end and read anywhere, and two
//! ways to make sure.
//!
//! For both this is the only file that touches the file system.  Tests put a disk of their own under them, one that tears
//! writes, forgets what was not synced, and fails.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How far ahead a file that goes on and on is laid out with zeros: by as much as it has, between these.  The sync behind it
/// takes as long as ten others, so a file that grows fast has fewer of them, and one with little in it stays small.
const LAID_OUT_MIN: u64 = 256 * 1024;
const LAID_OUT_MAX: u64 = 1024 * 1024;

/// Bytes that are laid out by one write.  The system keeps what one write has brought in one piece, and a sync writes every piece
/// whole of which a byte was changed: with one write of 256 KiB each sync of a record of 100 bytes would write as much.
const LAID_OUT_AT_ONCE: usize = 4096;

/// The process that holds this file's lock owns the folder.
const LOCK_FILE: &str = "LOCK";

/// The files on the disk are for the server's user alone.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The rights of other users.
const OTHERS_MODE: u32 = 0o077;

/// A folder of files.  Bytes are on the disk once their file was synced, names once the folder was.
pub trait Disk: Send + Sync {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// The contents of a file, from its start.
    fn read(&self, name: &str) -> io::Result<Box<dyn Read>>;

    /// Opens a file to read it at any place.
    fn open(&self, name: &str) -> io::Result<Arc<dyn PlacedRead>>;

    /// Makes an empty file, in place of one of that name if there is one.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file to write on behind its first `length` bytes.  Bytes behind them are cut off.
    fn resume(&self, name: &str, length: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Cuts a file to `length` bytes and syncs its contents.
    fn truncate(&self, name: &str, length: u64) -> io::Result<()>;

    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns once all that was created, renamed and removed is on the disk.
    fn sync_names(&self) -> io::Result<()>;

    /// Removes the folder, whose files have been removed.  Nothing is done with it afterwards.
    fn remove_folder(&self) -> io::Result<()>;

    /// Where a file is, for people; without a name, where the folder is.
    fn describe(&self, name: &str) -> String;
}

/// A file that many threads may read.  It stays readable after it was renamed or removed, as long as somebody has it.
pub trait PlacedRead: Send + Sync {
    /// Reads bytes from the place `at` on, and says how many: fewer than there is room for only at the file's end.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Its length in bytes at this moment.
    fn length(&self) -> io::Result<u64>;
}

/// A file that is written from its start to its end.
pub trait DiskFile: Send {
    /// Writes all of `bytes` at the end.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// As [`DiskFile::write`], for a file that is going to be synced again and again.  The disk may write zeros behind
    /// the end, so that the next syncs find the file as long as it was and write its contents only.
    fn extend(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)
    }

    /// Returns once all that was written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of the file system, owned by one process at a time.
pub struct Folder {
    path: PathBuf,
    names: File,
    /// Its lock ends with the process, however that ends.
    _lock: File,
}

/// Why a folder cannot be owned.
#[derive(Debug)]
pub enum FolderError {
    /// Another process owns it.
    Owned,
    /// It cannot be made or opened.
    Io(io::Error),
}

impl Folder {
    /// Makes the folder if it is missing, and owns it.
    ///
    /// # Errors
    /// If it cannot be made or opened, or another process owns it.
    pub fn open(path: &Path) -> Result<Folder, FolderError> {
        make_folders(path).map_err(FolderError::Io)?;
        tighten(path);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(path.join(LOCK_FILE))
            .map_err(FolderError::Io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Owned),
            Err(TryLockError::Error(error)) => return Err(FolderError::Io(error)),
        }
        let names = File::open(path).map_err(FolderError::Io)?;
        Ok(Folder { path: path.to_owned(), names, _lock: lock })
    }
}

/// Closes a folder that an earlier version has left open, and its files, to other users of the machine: they may neither
/// read the data nor hold the lock.
fn tighten(path: &Path) {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in files.chain([path.to_owned()]) {
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        let mode = found.permissions().mode();
        if found.is_symlink() || mode & OTHERS_MODE == 0 {
            continue;
        }
        if let Err(error) = std::fs::set_permissions(&path, Permissions::from_mode(mode & !OTHERS_MODE)) {
            let path = path.display();
            tracing::warn!(%path, %error, "other users can read this, and it cannot be taken away from them");
        }
    }
}

/// Makes a folder and the missing ones above it.  They outlive a crash.
fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    make_folders(parent)?;
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        // Another journal of this server may have made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        result => result?,
    }
    File::open(parent)?.sync_all()
}

fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.path)?;
        // A name that is no text is not one of ours.
        entries
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open(self.path.join(name))?))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(true).write(true).mode(FILE_MODE).open(self.path.join(name))?;
        Ok(Box::new(FolderFile { file, end: 0, laid_out: 0 }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn PlacedRead>> {
        Ok(Arc::new(File::open(self.path.join(name))?))
    }

    fn resume(&self, name: &str, length: u64) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        if file.metadata()?.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(length)?;
        Ok(Box::new(FolderFile { file, end: length, laid_out: 0 }))
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.names.sync_all()
    }

    fn remove_folder(&self) -> io::Result<()> {
        self.sync_names()?;
        std::fs::remove_file(self.path.join(LOCK_FILE))?;
        match std::fs::remove_dir(&self.path) {
            // It holds a file that is not the server's.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => result.and_then(|()| File::open(parent_of(&self.path))?.sync_all()),
        }
    }

    fn describe(&self, name: &str) -> String {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        path.display().to_string()
    }
}

/// A disk that is only read: files are as they are there, and cuts, removals and renames seem to succeed but change nothing.
pub struct Untouched(pub Arc<dyn Disk>);

impl Disk for Untouched {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        self.0.read(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn PlacedRead>> {
        self.0.open(name)
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn resume(&self, _: &str, _: u64) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn remove_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn describe(&self, name: &str) -> String {
        self.0.describe(name)
    }
}

impl PlacedRead for File {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match FileExt::read_at(self, &mut into[read..], at + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl FolderFile {
    /// Writes zeros behind the end.
    fn lay_out(&mut self) -> io::Result<()> {
        let (mut at, end) = (self.end, self.end + self.end.clamp(LAID_OUT_MIN, LAID_OUT_MAX));
        while at < end {
            let next = (at / LAID_OUT_AT_ONCE as u64 + 1) * LAID_OUT_AT_ONCE as u64;
            self.file.write_all_at(&[0; LAID_OUT_AT_ONCE][..(next.min(end) - at) as usize], at)?;
            at = next;
        }
        self.laid_out = end;
        Ok(())
    }
}

/// A file of a folder.
struct FolderFile {
    file: File,
    /// The end of the written bytes.
    end: u64,
    /// Where the zeros behind it end.
    laid_out: u64,
}

impl DiskFile for FolderFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn extend(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)?;
        if self.end > self.laid_out {
            // A disk that has no room for zeros may still have room for records.
            let _ = self.lay_out();
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        // The contents and the length, not the time of the change: one wait for the disk less.
        self.file.sync_data()
    }
}
