//! Whole files by name, on this machine or in an object store.

use std::io;
use std::path::{Path, PathBuf};

use super::error::ScaleError;
use super::input::is_remote;
use super::stores;
use base::atomic::{self, Draft};
use base::reading;

pub fn read(name: &Path) -> Result<Vec<u8>, ScaleError> {
    if !is_remote(name) {
        return reading::read(name, reading::MODEL).map_err(ScaleError::io(name));
    }
    read_within(name, u64::MAX)?.map_err(|_| ScaleError::io(name)(io::ErrorKind::FileTooLarge.into()))
}

/// Reads a whole file of at most `most` bytes; for a larger one, returns its size.
pub fn read_within(address: &Path, most: u64) -> Result<Result<Vec<u8>, u64>, ScaleError> {
    stores::get(&address.to_string_lossy(), most)
}

/// Writes a file atomically.
pub fn write(name: &Path, bytes: &[u8]) -> Result<(), ScaleError> {
    if is_remote(name) {
        return stores::put(&name.to_string_lossy(), io::Cursor::new(bytes.to_vec()));
    }
    atomic::write(name, bytes).map_err(ScaleError::io(name))
}

/// A file to be written at leisure, which [`settle`] puts into its place; what is meant for a store waits in the folder
/// of temporary files.
pub fn begin(name: &Path) -> Result<Draft, ScaleError> {
    let draft = if is_remote(name) { Draft::beside(&std::env::temp_dir().join("object")) } else { Draft::beside(name) };
    draft.map_err(ScaleError::io(name))
}

/// Syncs a file to disk and renames it, or uploads it.
pub fn settle(draft: Draft, name: &Path) -> Result<(), ScaleError> {
    if is_remote(name) {
        return stores::put(&name.to_string_lossy(), draft.reopened().map_err(ScaleError::io(name))?);
    }
    draft.settle().map_err(ScaleError::io(name))
}

/// Removes a file if possible.
pub fn remove(name: &Path) {
    if is_remote(name) {
        stores::delete(&name.to_string_lossy());
    } else {
        let _ = std::fs::remove_file(name);
    }
}

pub fn exists(name: &Path) -> bool {
    if is_remote(name) { stamp(name).is_ok_and(|stamp| stamp.is_some()) } else { name.exists() }
}

/// A stamp that changes whenever the object does; `None` if there is none.
pub fn stamp(address: &Path) -> Result<Option<String>, ScaleError> {
    Ok(stores::look(&address.to_string_lossy())?.map(|found| found.stamp))
}

/// All objects below an address with their stamps, in key order.
pub fn list(address: &Path) -> Result<Vec<(PathBuf, String)>, ScaleError> {
    let listed = stores::list(&address.to_string_lossy())?;
    Ok(listed.into_iter().map(|listed| (PathBuf::from(listed.address), listed.stamp)).collect())
}

/// Creates a folder; in a store, folders exist implicitly.
pub fn make_folder(folder: &Path) -> Result<(), ScaleError> {
    if is_remote(folder) { Ok(()) } else { std::fs::create_dir_all(folder).map_err(ScaleError::io(folder)) }
}

/// The entries of a folder; none if it does not exist.
pub fn lying_in(folder: &Path) -> Result<Vec<PathBuf>, ScaleError> {
    if is_remote(folder) {
        let listed = list(folder)?.into_iter().map(|(path, _)| path);
        return Ok(listed.filter(|path| path.parent() == Some(folder)).collect());
    }
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(ScaleError::io(folder)(error)),
    }
}
