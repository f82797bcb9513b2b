//! Finding photos on disk and in object stores.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::arguments::PhotoArgs;
use crate::commands::addresses::refuse_offline;
use crate::commands::photos;
use crate::context::Context;
use crate::error::CommandError;
use photo::is_photo_name;
use photo::scan::{self, Photo, Scan};
use scale::{ScaleError, files, is_remote};

/// The photos found, with the stamps of those in object stores.
#[derive(Debug)]
pub struct FoundPhotos {
    pub scan: Scan,
    /// A text that changes whenever the photo does.
    pub stamps: HashMap<PathBuf, String>,
}

/// Finds photos on disk and in object stores; those on disk come first.
pub fn find(args: &PhotoArgs, context: &Context) -> Result<FoundPhotos, CommandError> {
    let named = photos::named(args, context)?.into_iter().map(|path| match path.to_str() {
        Some(address) => address.strip_prefix("file://").map(PathBuf::from).unwrap_or(path),
        None => path,
    });
    let (addresses, here): (Vec<PathBuf>, Vec<PathBuf>) = named.partition(|path| is_remote(path));
    refuse_offline(&addresses, context)?;
    let mut found = FoundPhotos { scan: photos::scan(&here, args, context)?, stamps: HashMap::new() };
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

/// The photos of a folder in an object store, recognised by their names: checking the content would download them all.
fn below(folder: &Path, args: &PhotoArgs, found: &mut FoundPhotos) -> Result<Vec<Photo>, CommandError> {
    let listed = files::list(folder)?;
    if listed.is_empty() {
        return Err(ScaleError::NoFile { pattern: folder.to_string_lossy().into_owned() }.into());
    }
    let options =
        scan::Options { hidden: args.walk.hidden, exclude: args.walk.exclude.clone(), ..scan::Options::default() };
    let (paths, stamps): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
    found.stamps.extend(paths.iter().cloned().zip(stamps));
    let scan = scan::among(folder, paths, &options).map_err(CommandError::usage)?;
    found.scan.passed_over += scan.passed_over;
    found.scan.hidden += scan.hidden;
    Ok(scan.photos)
}
