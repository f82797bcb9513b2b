//! Photos and results that may lie in an object store: `s3://bucket/folder` and the like.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::photos;
use crate::cli::PhotoArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::photo::identity::{Bytes, Disk, Files, ReadError, Stamp};
use crate::photo::is_photo_name;
use crate::photo::scan::{self, Photo, Scan};
use crate::scale::{ScaleError, files, is_remote};

/// This machine and object stores.
#[derive(Debug, Clone, Copy)]
pub struct Anywhere;

impl Files for Anywhere {
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

/// Photos that were meant, and of those in object stores what tells whether they were changed.
#[derive(Debug)]
pub struct Found {
    pub scan: Scan,
    pub stamps: HashMap<PathBuf, String>,
}

/// Finds photos here and in object stores; those here come first.
pub fn find(args: &PhotoArgs, context: &Context) -> Result<Found, CommandError> {
    let named = photos::named(args, context)?.into_iter().map(|path| match path.to_str() {
        Some(address) => address.strip_prefix("file://").map(PathBuf::from).unwrap_or(path),
        None => path,
    });
    let (addresses, here): (Vec<PathBuf>, Vec<PathBuf>) = named.partition(|path| is_remote(path));
    refuse_offline(&addresses, context)?;
    let mut found = Found { scan: photos::scan(&here, args, context)?, stamps: HashMap::new() };
    let mut seen = HashSet::new();
    for address in &addresses {
        let photos = if is_photo_name(address.as_os_str()) {
            found.stamps.extend(files::stamp(address)?.map(|stamp| (address.clone(), stamp)));
            vec![Photo { path: address.clone(), raws: Vec::new() }]
        } else {
            below(address, args, &mut found)?
        };
        found.scan.photos.extend(photos.into_iter().filter(|photo| seen.insert(photo.path.clone())));
    }
    Ok(found)
}

/// The photos of a folder in a store, told by their names: looking into each would be reading them all.
fn below(folder: &Path, args: &PhotoArgs, found: &mut Found) -> Result<Vec<Photo>, CommandError> {
    let listed = files::list(folder)?;
    if listed.is_empty() {
        return Err(ScaleError::NoFile { pattern: folder.to_string_lossy().into_owned() }.into());
    }
    let options = scan::Options { exclude: args.exclude.clone(), ..scan::Options::default() };
    let (paths, stamps): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
    found.stamps.extend(paths.iter().cloned().zip(stamps));
    let scan = scan::among(folder, paths, &options).map_err(CommandError::usage)?;
    found.scan.passed_over += scan.passed_over;
    Ok(scan.photos)
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
