//! Windows, by the standard library alone.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::windows::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names are UTF-16 here: bytes that are no text are replaced.
pub fn path_from_bytes(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Opening waits for nothing here.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Access times are off by default.
pub fn open_untouched(path: &Path) -> io::Result<File> {
    File::open(path)
}

pub fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_read(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes = &mut bytes[count..];
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The standard library does not tell it.
pub fn free_bytes(_: &Path) -> Option<u64> {
    None
}

pub fn machine_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "this machine".to_owned())
}

/// Asks `tasklist`, because the standard library does not tell it; where that fails, the process is taken to be there.
pub fn process_exists(id: u32) -> bool {
    let listed = Command::new("tasklist").args(["/NH", "/FO", "CSV", "/FI", &format!("PID eq {id}")]).output();
    listed.map_or(true, |listed| String::from_utf8_lossy(&listed.stdout).contains(&format!("\"{id}\"")))
}

/// Folders of a user are the user's own.
pub fn for_owner(_: &mut DirBuilder) {}

/// Files in folders of a user are the user's own.
pub fn for_owner_only(_: &mut OpenOptions) {}

/// Files in folders of a user are the user's own.
pub fn keep_from_others(_: &Path) {}

/// A file that is read-only could not be removed here.
pub fn make_read_only(_: &File) -> io::Result<()> {
    Ok(())
}

pub fn plain_rights(of: &Metadata) -> Permissions {
    of.permissions()
}

pub fn soft_link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(to, at)
}
