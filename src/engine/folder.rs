//! The data folder: one owner, one format, and what the owner finds when it opens it.
//!
//! ```text
//! lock          held by the owner
//! format        one line of text; the first thing that an older or newer program looks at
//! manifest      the last checkpoint
//! journal/      rounds since then
//! state/        runs
//! topics/       segments of the log
//! ```
//!
//! A folder without a format file is new, unless it has data: then the file was lost, and the folder is refused.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::disk::{self, Disk, Lock, Open, SyncSite};
use crate::error::{Error, Result};
use crate::journal;
use crate::state::runs;
use crate::topics::log;

/// What the format file says.
const FORMAT: &str = "tidemill data folder, format 2\n";

/// Takes the folder for this process, and makes it if it is not there.
///
/// # Errors
/// Kind `Backend`: no rights, in use by another process, another format, or the disk fails.
pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Lock>> {
    let shown = path.display();
    let denied = |error: io::Error| match error.kind() {
        ErrorKind::PermissionDenied => {
            Error::backend(format!("no rights to use the data folder {shown}")).hint("choose another with --data-dir")
        }
        _ => Error::backend(format!("the data folder {shown} cannot be used: {error}")),
    };
    make(disk, path).map_err(denied)?;
    let lock = disk.lock(&path.join("lock")).map_err(denied)?;
    let lock = lock.ok_or_else(|| {
        Error::backend(format!("the data folder {shown} is in use by another tidemill"))
            .hint("end that one first, or choose another folder with --data-dir")
    })?;
    for folder in [log::folder(path), runs::folder(path), journal::folder(path)] {
        disk.create_dir(&folder).map_err(denied)?;
    }
    check_format(disk, path)?;
    // All names are made durable before anything relies on them: a process may have renamed a file, such as the
    // manifest, and been killed before it synced the folder.
    disk.sync_dir(path, SyncSite::FolderDirectory).map_err(denied)?;
    Ok(lock)
}

/// Makes a folder with its parents.
///
/// # Errors
/// That of the system. A parent that exists already is no error.
pub(super) fn make(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match (disk.create_dir(path), parent(path)) {
        (Err(error), Some(parent)) if error.kind() == ErrorKind::NotFound => {
            make(disk, parent)?;
            disk.create_dir(path).map(|_| ())
        }
        (made, _) => made.map(|_| ()),
    }
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p }).filter(|p| *p != path)
}

/// Makes the folder's own name durable, and those of its parents: an earlier process may have made any of them and been
/// killed before its sync.
pub(super) fn sync_parents(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let mut at = path;
    while let Some(parent) = parent(at) {
        match disk.sync_dir(parent, SyncSite::FolderParent) {
            // A folder that this process may not read was not made by Tidemill.
            Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
            _ => at = parent,
        }
    }
    Ok(())
}

/// Refuses a folder of another format. Into a new folder it writes the file, after the names of all its parents are
/// durable.
fn check_format(disk: &dyn Disk, path: &Path) -> Result<()> {
    let file = path.join("format");
    match disk.open(&file, Open::Existing) {
        Ok(found) => {
            let text = disk::read(found.as_ref(), 0, 4096)?;
            if text == FORMAT.as_bytes() {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            let message = format!("the data folder {} has an unknown format: '{text}'", path.display());
            Err(Error::backend(message).hint("it was written by another version of Tidemill; use that one"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let used = disk.names(path)?.iter().any(|name| name == "manifest");
            if used || !disk.names(&journal::folder(path))?.is_empty() {
                let message = format!("the data folder {} has data and no format file", path.display());
                return Err(Error::backend(message).hint("restore the folder from a backup"));
            }
            sync_parents(disk, path)?;
            write_format(disk, path)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the format file by way of another name, so that no power cut leaves a half written one under the right name.
/// The rename is made durable by the caller's sync of the folder.
pub(super) fn write_format(disk: &dyn Disk, path: &Path) -> Result<()> {
    let beside = path.join("format.new");
    match disk.remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let made = disk.open(&beside, Open::New)?;
    made.write_at(FORMAT.as_bytes(), 0)?;
    made.sync(SyncSite::Format)?;
    Ok(disk.rename(&beside, &path.join("format"))?)
}
