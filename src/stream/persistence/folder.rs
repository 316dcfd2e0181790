//! The folder with the files of all streams, which is made when the first file is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::open_files::OpenFiles;
use crate::disk::{Disk, Folder, FolderError};
use crate::lock_order::{Mutex, rank};

/// Its name, in the directory for data.
pub const FOLDER: &str = "streams";

/// See the module's text.
pub(crate) struct StreamFolder {
    /// None if streams are not kept on the disk.
    path: Option<PathBuf>,
    disk: Mutex<Option<Arc<dyn Disk>>, { rank::STREAM_FOLDER }>,
}

impl StreamFolder {
    /// The folder in a directory for data.
    pub(crate) fn in_directory(directory: Option<PathBuf>) -> StreamFolder {
        StreamFolder { path: directory.map(|directory| directory.join(FOLDER)), disk: Mutex::default() }
    }

    /// A folder on a disk that is given.
    pub(crate) fn on(disk: Arc<dyn Disk>) -> StreamFolder {
        let folder = StreamFolder::in_directory(None);
        *folder.disk.lock() = Some(disk);
        folder
    }

    /// Whether the folder exists and is not empty.
    pub(crate) fn exists(&self) -> bool {
        self.disk.lock().is_some() || self.path.as_ref().is_some_and(|path| path.exists())
    }

    /// The folder, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made or opened, or another process owns it.
    pub(crate) fn open(&self) -> io::Result<Arc<dyn Disk>> {
        if let Some(disk) = &*self.disk.lock() {
            return Ok(Arc::clone(disk));
        }
        let path = self.path.as_ref().ok_or_else(|| io::Error::other("streams are kept nowhere"))?;
        let folder = Folder::open(path).map_err(|error| match error {
            FolderError::Owned => io::Error::other(format!("another server uses {}", path.display())),
            FolderError::Io(error) => error,
        })?;
        let opened: Arc<dyn Disk> = Arc::new(OpenFiles::new(Arc::new(folder)));
        Ok(Arc::clone(self.disk.lock().get_or_insert(opened)))
    }
}
