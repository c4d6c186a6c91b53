//! The data folder: one owner, one format, and what the owner finds when it opens it.

use std::io::ErrorKind;
use std::path::Path;

use crate::disk::{self, Disk, Lock, Open, SyncSite};
use crate::error::{Error, Result};
use crate::state::buckets;
use crate::topics::log;

/// What the format file says.
const FORMAT: &str = "tidemill data folder, format 1\n";

/// Takes the folder for this process, and makes it if it is not there.
pub fn open(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Lock>> {
    let shown = path.display();
    let denied = |error: std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied => {
            Error::backend(format!("no rights to use the data folder {shown}")).hint("choose another with --data-dir")
        }
        _ => Error::backend(format!("the data folder {shown} cannot be used: {error}")),
    };
    for folder in [path.to_owned(), log::folder(path), buckets::folder(path)] {
        disk.create_dir(&folder).map_err(denied)?;
    }
    let lock = disk.lock(&path.join("lock")).map_err(denied)?;
    let lock = lock.ok_or_else(|| {
        Error::backend(format!("the data folder {shown} is in use by another tidemill"))
            .hint("end that one first, or choose another folder with --data-dir")
    })?;
    check_format(disk, path)?;
    Ok(lock)
}

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
            if disk.names(path)?.iter().any(|name| name == "manifest" || name == "journal") {
                let message = format!("the data folder {} has data and no format file", path.display());
                return Err(Error::backend(message).hint("restore the folder from a backup"));
            }
            write_format(disk, path)
        }
        Err(error) => Err(error.into()),
    }
}

fn write_format(disk: &dyn Disk, path: &Path) -> Result<()> {
    let beside = path.join("format.new");
    match disk.remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let made = disk.open(&beside, Open::New)?;
    made.write_at(FORMAT.as_bytes(), 0)?;
    made.sync(SyncSite::Format)?;
    disk.rename(&beside, &path.join("format"))?;
    Ok(disk.sync_dir(path, SyncSite::FolderDirectory)?)
}
