//! The directory for data: checked at the start, and owned by one server at a time.

use std::path::Path;

use rustix::fs::{Access, access};

use crate::disk::{Folder, FolderError};
use crate::journal::OpenError;
use crate::settings::{LockDurability, Settings};

const REMEDY: &str =
    "mend that, choose another directory with --dir, or keep nothing on disk with --dir \"\"";

/// Makes the directory if it is missing and owns it, so that a second server in it does not start.  The default directory is
/// not made before there is something to keep: two caches that were started without settings in one directory are not in
/// each other's way.
///
/// # Errors
/// If it cannot be used: the reason and the remedy.
pub fn own(settings: &Settings) -> Result<Option<Folder>, String> {
    let Some(path) = settings.dir.as_deref().filter(|_| is_wanted(settings)) else { return Ok(None) };
    if let Some(obstacle) = obstacle(path) {
        let what = if obstacle == path { "it".into() } else { obstacle.to_string_lossy() };
        return Err(format!("cannot use {}: {what} is no directory; {REMEDY}", path.display()));
    }
    if !is_named(settings) && !path.exists() {
        return match can_be_made(path) {
            Ok(()) => Ok(None),
            Err(error) => Err(format!("cannot make {}: {error}; {REMEDY}", path.display())),
        };
    }
    let owned = Folder::open(path).map_err(|error| match error {
        FolderError::Owned => OpenError::Owned { folder: path.display().to_string() },
        FolderError::Io(error) => OpenError::Io { what: format!("use {}", path.display()), error },
    });
    owned.map(Some).map_err(|error| error.to_string())
}

/// True if a service is to keep something on the disk.
pub(crate) fn is_wanted(settings: &Settings) -> bool {
    settings.lock_durability != LockDurability::None || settings.limit_kept_from > 0
}

/// True if the settings name a directory for data.
pub(crate) fn is_named(settings: &Settings) -> bool {
    settings.dir != Settings::default().dir
}

/// The file, or the link that leads nowhere, in the place of the directory or of one above it.
fn obstacle(path: &Path) -> Option<&Path> {
    path.ancestors().find(|part| part.symlink_metadata().is_ok()).filter(|part| !part.is_dir())
}

/// Whether a directory that is missing could be made.
fn can_be_made(path: &Path) -> Result<(), String> {
    let above = path
        .ancestors()
        .skip(1)
        .map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let existing = above.into_iter().find(|above| above.exists()).unwrap_or(Path::new("."));
    access(existing, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| error.to_string())
}
