//! Photos and results that may lie in an object store: `s3://bucket/folder` and the like.

use std::path::Path;

use crate::context::Context;
use crate::error::CommandError;
use photo::identity::{Bytes, Disk, Files, ReadError, Stamp};
use scale::{ScaleError, files, is_remote};

/// This machine and object stores.
#[derive(Debug, Clone, Copy)]
pub struct PhotoSource;

impl Files for PhotoSource {
    fn stamp(&self, path: &Path) -> Result<Option<Stamp>, ReadError> {
        // Asking a store takes as long as reading a photo from it.
        if is_remote(path) { Ok(None) } else { Disk.stamp(path) }
    }

    fn read(&self, path: &Path, max_bytes: u64) -> Result<Bytes, ReadError> {
        if !is_remote(path) {
            return Disk.read(path, max_bytes);
        }
        let read = files::read_within(path, max_bytes).map_err(|error| match error {
            ScaleError::Io { cause, .. } => ReadError::from(cause),
            error => ReadError::Io(std::io::Error::other(error)),
        });
        let bytes = read?.map_err(|size| ReadError::too_large(size, max_bytes))?;
        Ok(Bytes { bytes, stamp: None })
    }
}

pub fn refuse_offline<P: AsRef<Path>>(paths: &[P], context: &Context) -> Result<(), CommandError> {
    let remote = paths.iter().map(AsRef::as_ref).find(|path| is_remote(path));
    match remote.filter(|_| context.offline) {
        None => Ok(()),
        Some(address) => {
            let address = address.display();
            Err(CommandError::usage(anyhow::anyhow!("{address} lies on the network, and --offline forbids it")))
        }
    }
}

/// Lines are written as they come, to files that are renamed in the end; a store knows neither.
pub fn lines_stay_here(context: &Context) -> Result<(), CommandError> {
    here_only(context.output_file(), "what is printed", "write a file here and copy it")
}

/// Refuses an address where only a path of this machine will do.
pub fn here_only(path: Option<&Path>, what: &str, way_out: &str) -> Result<(), CommandError> {
    match path.filter(|path| is_remote(path)) {
        None => Ok(()),
        Some(address) => {
            let refused =
                anyhow::anyhow!("{}: {what} must lie on this machine, not in an object store", address.display());
            Err(CommandError::usage(refused).hint(way_out))
        }
    }
}
