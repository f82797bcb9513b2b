//! The album as files: copies or links in a folder, or a zip. Nothing is ever overwritten, and photos are only read.
//!
//! First a plan, then the work: a dry run is the plan alone, so it says what the run would do, name by name.

pub mod zip;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::xmp::is_marked_copy;
use base::atomic::{Draft, Folders, folder_of, found};
use base::platform::{plain_rights, soft_link};
use photo::companions::renamed;
use photo::identity::{self, ContentId, ReadError, open_untouched};
use photo::sniff;

#[derive(Debug, Error)]
pub enum ExportError {
    #[error("{}: {action}", path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("{}: exists already, and nothing is overwritten", path.display())]
    Exists { path: PathBuf },
    #[error("{}: not a folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("{}: has no file name", path.display())]
    Nameless { path: PathBuf },
    #[error("not delivered: it is no photo by its content")]
    NoPhoto,
    #[error("not delivered: its content is not that of the photo which the list tells of")]
    AnotherContent,
    #[error("{}: {source}", path.display())]
    Zip { path: PathBuf, source: ::zip::result::ZipError },
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Io { path, action, source }
}

/// How a photo is placed in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    Copy,
    HardLink,
    SoftLink,
}

/// A photo to be exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedPhoto {
    pub path: PathBuf,
    /// The group whose folder it goes into, with group folders.
    pub group: Option<usize>,
    /// Companions that are exported with it and named after it.
    pub companions: Vec<PathBuf>,
}

/// The export of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileExport {
    pub source: PathBuf,
    pub target: PathBuf,
    pub placement: Placement,
    pub at_target: AtTarget,
}

/// What exists under the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtTarget {
    Nothing,
    /// The same file, from an earlier run, or a copy of it that was rated.
    Same,
    /// Something else, which is never replaced.
    Other,
}

/// Plans the targets of each photo, followed by its companions. The first photo of a name keeps it, later ones become
/// `name-2.jpg`, `name-3.jpg`. Names that differ only in case clash, too, because the album may be copied to a
/// case-insensitive disk.
pub fn plan<'a>(
    items: &'a [ExportedPhoto],
    folder: &Path,
    placement: Placement,
    group_folders: bool,
) -> Result<Vec<Vec<FileExport>>, ExportError> {
    if found(folder).map_err(io_error(folder, "look at"))?.is_some_and(|there| !there.is_dir()) {
        return Err(ExportError::NotAFolder { path: folder.to_owned() });
    }
    let mut claimed = HashSet::new();
    let mut listings = HashMap::new();
    let mut taken_along = HashSet::new();
    let mut place = |item: &'a ExportedPhoto| {
        let folder = if group_folders { in_group(folder, item.group) } else { folder.to_owned() };
        let existing = listings.entry(folder.clone()).or_insert_with(|| listing(&folder));
        let step = |source: &Path, target: PathBuf| {
            let at_target = match lies(&target)? {
                true if is_same(source, &target, placement)? => AtTarget::Same,
                false if !existing.contains(&folded(&target)) => AtTarget::Nothing,
                _ => AtTarget::Other,
            };
            Ok::<_, ExportError>(FileExport { source: source.to_owned(), target, placement, at_target })
        };
        // A film may belong to the JPEG and the HEIC of one shot; it is exported with the first of them.
        let companions: Vec<&PathBuf> = item.companions.iter().filter(|it| taken_along.insert(*it)).collect();
        for name in names(&item.path)? {
            let photo = step(&item.path, folder.join(name))?;
            let beside = companions.iter().map(|it| step(it, renamed(it, &item.path, &photo.target)));
            let beside: Vec<FileExport> = beside.collect::<Result<_, _>>()?;
            // Companions of a photo from an earlier run may have changed since.
            let is_free = photo.at_target != AtTarget::Other
                && (photo.at_target == AtTarget::Same || beside.iter().all(|step| step.at_target != AtTarget::Other));
            let steps = [vec![photo], beside].concat();
            if is_free && steps.iter().all(|step| !claimed.contains(&folded(&step.target))) {
                claimed.extend(steps.iter().map(|step| folded(&step.target)));
                return Ok(steps);
            }
        }
        unreachable!("names go on for ever")
    };
    items.iter().map(&mut place).collect()
}

/// The folder of a group; photos without a group go beside these folders.
fn in_group(folder: &Path, group: Option<usize>) -> PathBuf {
    group.map_or_else(|| folder.to_owned(), |group| folder.join(format!("cluster_{group}")))
}

/// The case-folded names in a folder; none if it does not exist yet.
fn listing(folder: &Path) -> HashSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| folded(&entry.path())).collect()
}

fn folded(path: &Path) -> String {
    path.to_string_lossy().to_lowercase()
}

/// `a.jpg`, `a-2.jpg`, `a-3.jpg`, …
fn names(path: &Path) -> Result<impl Iterator<Item = OsString>, ExportError> {
    let whole = path.file_name().ok_or_else(|| ExportError::Nameless { path: path.to_owned() })?.to_owned();
    let stem = path.file_stem().unwrap_or(&whole).to_owned();
    let extension = path.extension().map(ToOwned::to_owned);
    let numbered = (2_u64..).map(move |number| {
        let mut name = stem.clone();
        name.push(format!("-{number}"));
        if let Some(extension) = &extension {
            name.push(".");
            name.push(extension);
        }
        name
    });
    Ok(std::iter::once(whole).chain(numbered))
}

/// Whether something has the name, including a broken link.
fn lies(target: &Path) -> Result<bool, ExportError> {
    match target.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error(target, "look at")(error)),
    }
}

/// Whether `target` already is what the export of `source` would make.
fn is_same(source: &Path, target: &Path, placement: Placement) -> Result<bool, ExportError> {
    match placement {
        Placement::SoftLink => match fs::read_link(target) {
            Ok(link) => Ok(link == absolute(source)?),
            // Not a link.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
            Err(error) => Err(io_error(target, "look at")(error)),
        },
        Placement::Copy | Placement::HardLink => {
            let theirs = target.symlink_metadata().map_err(io_error(target, "look at"))?;
            let ours = source.metadata().map_err(io_error(source, "look at"))?;
            let is_same = theirs.is_file() && theirs.len() == ours.len() && same_bytes(source, target)?;
            Ok(is_same || (placement == Placement::Copy && theirs.is_file() && is_marked_copy(source, target)))
        }
    }
}

fn same_bytes(a: &Path, b: &Path) -> Result<bool, ExportError> {
    Ok(digest(a)? == digest(b)?)
}

fn digest(path: &Path) -> Result<ContentId, ExportError> {
    let mut hasher = blake3::Hasher::new();
    let file = open_untouched(path).map_err(io_error(path, "open"))?;
    hasher.update_reader(file).map_err(io_error(path, "read"))?;
    Ok(ContentId(*hasher.finalize().as_bytes()))
}

fn absolute(path: &Path) -> Result<PathBuf, ExportError> {
    std::path::absolute(path).map_err(io_error(path, "resolve"))
}

/// Performs one step and returns the final path: if the planned name was taken meanwhile, another is used. The caller must
/// sync `folders` at the end.
pub fn apply(step: &FileExport, folders: &mut Folders) -> Result<PathBuf, ExportError> {
    apply_with(step, None, folders)
}

/// The same with other content for a copy.
pub fn apply_with(step: &FileExport, content: Option<&[u8]>, folders: &mut Folders) -> Result<PathBuf, ExportError> {
    if step.at_target == AtTarget::Same {
        return Ok(step.target.clone());
    }
    let folder = folder_of(&step.target);
    folders.make(folder).map_err(io_error(folder, "create"))?;
    if place(step, &step.target, content, folders)? {
        return Ok(step.target.clone());
    }
    for name in names(&step.target)?.skip(1) {
        let target = folder.join(name);
        if place(step, &target, content, folders)? {
            return Ok(target);
        }
    }
    unreachable!("names go on for ever")
}

/// Returns `false` if the name is taken.
fn place(step: &FileExport, target: &Path, content: Option<&[u8]>, folders: &mut Folders) -> Result<bool, ExportError> {
    let source = step.source.as_path();
    let placed = match step.placement {
        Placement::Copy => return copy(source, target, content, folders),
        Placement::HardLink => fs::hard_link(source, target),
        Placement::SoftLink => soft_link(&absolute(source)?, target),
    };
    match placed {
        Ok(()) => {
            folders.changed_by(target);
            Ok(true)
        }
        Err(failure) if failure.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failure) => Err(io_error(target, "link")(failure)),
    }
}

/// Copies under a temporary name first, so that an interrupted copy never looks like a photo. Keeps the modification time.
fn copy(source: &Path, target: &Path, content: Option<&[u8]>, folders: &mut Folders) -> Result<bool, ExportError> {
    let mut reader = open_untouched(source).map_err(io_error(source, "open"))?;
    let metadata = reader.metadata().map_err(io_error(source, "look at"))?;
    let draft = Draft::with_permissions(target, plain_rights(&metadata));
    let mut draft = draft.map_err(io_error(folder_of(target), "write in"))?;
    let mut file = draft.file().map_err(io_error(target, "write"))?;
    match content {
        Some(mut content) => io::copy(&mut content, &mut file),
        None => io::copy(&mut reader, &mut file),
    }
    .map_err(io_error(target, "write"))?;
    if let Ok(changed) = metadata.modified() {
        file.set_modified(changed).map_err(io_error(target, "set the time of"))?;
    }
    draft.place_new(folders).map_err(io_error(target, "write"))
}

/// Bytes that are read to determine a file's kind.
const HEAD_BYTES: usize = 1 << 10;

/// Checks a file from a list before it is exported: it must be a photo by its content, and the same as when the list was
/// made.
pub fn check(path: &Path, meant: Option<ContentId>) -> Result<(), ExportError> {
    let failed = |cause: ReadError| io_error(path, "read")(io::Error::other(cause));
    if sniff(&identity::head(path, HEAD_BYTES).map_err(failed)?).is_none() {
        return Err(ExportError::NoPhoto);
    }
    match meant {
        Some(meant) if digest(path)? != meant => Err(ExportError::AnotherContent),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn items(paths: &[&PathBuf]) -> Vec<ExportedPhoto> {
        paths
            .iter()
            .enumerate()
            .map(|(group, path)| ExportedPhoto { path: (*path).clone(), group: Some(group), companions: Vec::new() })
            .collect()
    }

    fn run(items: &[ExportedPhoto], folder: &Path, placement: Placement) -> Vec<String> {
        let steps = plan(items, folder, placement, false).unwrap();
        let mut folders = Folders::default();
        steps
            .iter()
            .flatten()
            .map(|step| apply(step, &mut folders).unwrap().file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn clashes_are_numbered_and_a_second_run_adds_nothing() {
        let world = tempfile::tempdir().unwrap();
        let (a, b, c) = (
            file(world.path(), "a/x.jpg", b"one"),
            file(world.path(), "b/x.jpg", b"two"),
            file(world.path(), "c/X.JPG", b"three"),
        );
        let out = world.path().join("out");
        let foreign = file(&out, "x-2.jpg", b"somebody's");
        for placement in [Placement::Copy, Placement::HardLink, Placement::SoftLink] {
            let out =
                if placement == Placement::Copy { out.clone() } else { world.path().join(format!("{placement:?}")) };
            let named = run(&items(&[&a, &b, &c]), &out, placement);
            let expected = if placement == Placement::Copy {
                ["x.jpg", "x-3.jpg", "X-4.JPG"]
            } else {
                ["x.jpg", "x-2.jpg", "X-3.JPG"]
            };
            assert_eq!(named, expected);
            let before = fs::read_dir(&out).unwrap().count();
            assert_eq!(run(&items(&[&a, &b, &c]), &out, placement), named, "{placement:?} again");
            assert_eq!(fs::read_dir(&out).unwrap().count(), before);
            assert_eq!(fs::read(out.join(&named[2])).unwrap(), b"three");
        }
        assert_eq!(fs::read(foreign).unwrap(), b"somebody's");
    }

    #[test]
    fn a_plan_alone_writes_nothing_and_names_what_the_run_makes() {
        let world = tempfile::tempdir().unwrap();
        let a = file(world.path(), "a/x.jpg", b"one");
        let out = world.path().join("deep/out");
        let list = items(&[&a, &a]);
        let steps = plan(&list, &out, Placement::Copy, true).unwrap();
        assert!(!out.exists());
        assert_eq!(steps[0][0].target, out.join("cluster_0/x.jpg"));
        for step in steps.iter().flatten() {
            assert_eq!(apply(step, &mut Folders::default()).unwrap(), step.target);
        }
    }

    #[test]
    fn a_name_taken_after_the_plan_is_left_to_its_owner() {
        let world = tempfile::tempdir().unwrap();
        let a = file(world.path(), "a/x.jpg", b"one");
        let out = world.path().join("out");
        let steps = plan(&items(&[&a]), &out, Placement::Copy, false).unwrap();
        let late = file(&out, "x.jpg", b"late");
        assert_eq!(apply(&steps[0][0], &mut Folders::default()).unwrap(), out.join("x-2.jpg"));
        assert_eq!(fs::read(late).unwrap(), b"late");
    }

    #[test]
    fn companions_go_where_their_photo_goes_and_never_take_the_place_of_another_version() {
        let world = tempfile::tempdir().unwrap();
        let photo = |folder: &str| {
            let names = ["IMG_1.HEIC", "IMG_1.MOV", "IMG_1.HEIC.xmp"];
            let [path, film, sidecar] =
                names.map(|name| file(world.path(), &format!("{folder}/{name}"), folder.as_bytes()));
            ExportedPhoto { path, group: None, companions: vec![film, sidecar] }
        };
        let (out, list) = (world.path().join("out"), [photo("a"), photo("b")]);
        let expected = ["IMG_1.HEIC", "IMG_1.MOV", "IMG_1.HEIC.xmp", "IMG_1-2.HEIC", "IMG_1-2.MOV", "IMG_1-2.HEIC.xmp"];
        assert_eq!(run(&list, &out, Placement::Copy), expected);
        assert_eq!(run(&list, &out, Placement::Copy), expected, "again");
        // The original's sidecar changes: the album keeps its own, and the photo its name.
        fs::write(&list[0].companions[1], "four stars").unwrap();
        let steps = plan(&list, &out, Placement::Copy, false).unwrap();
        let found: Vec<AtTarget> = steps[0].iter().map(|step| step.at_target).collect();
        assert_eq!(found, [AtTarget::Same, AtTarget::Same, AtTarget::Other]);
        // A new photo is not placed beside the film of another photo.
        let other = world.path().join("other");
        file(&other, "IMG_1.MOV", b"of another");
        assert_eq!(run(&list[..1], &other, Placement::Copy), ["IMG_1-2.HEIC", "IMG_1-2.MOV", "IMG_1-2.HEIC.xmp"]);
        assert_eq!(fs::read(other.join("IMG_1.MOV")).unwrap(), b"of another");
        // A film shared by two pictures is exported once.
        let twice =
            [list[1].clone(), ExportedPhoto { path: file(world.path(), "b/IMG_1.JPG", b"jpeg"), ..list[1].clone() }];
        assert_eq!(run(&twice, &world.path().join("once"), Placement::SoftLink).len(), 4);
    }

    #[test]
    fn the_source_and_its_time_stay_and_the_copy_has_the_time() {
        let world = tempfile::tempdir().unwrap();
        let a = file(world.path(), "a/x.jpg", b"one");
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&a).unwrap().set_modified(long_ago).unwrap();
        let named = run(&items(&[&a]), &world.path().join("out"), Placement::Copy);
        for path in [a, world.path().join("out").join(&named[0])] {
            assert_eq!(path.metadata().unwrap().modified().unwrap(), long_ago, "{path:?}");
        }
    }

    #[test]
    fn a_file_in_the_way_of_the_folder_is_an_error() {
        let world = tempfile::tempdir().unwrap();
        let (a, out) = (file(world.path(), "x.jpg", b"one"), file(world.path(), "out", b""));
        assert!(matches!(plan(&items(&[&a]), &out, Placement::Copy, false), Err(ExportError::NotAFolder { .. })));
    }
}
