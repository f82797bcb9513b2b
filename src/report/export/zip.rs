//! Exporting the album as a zip archive.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ::zip::write::{SimpleFileOptions, ZipWriter};
use ::zip::{CompressionMethod, DateTime};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{ExportError, ExportedPhoto, folded, in_group, io_error, names};
use base::atomic::{Draft, Folders, folder_of};
use photo::companions::renamed;
use photo::identity::open_untouched;

/// A file, and its name in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedFile {
    pub source: PathBuf,
    pub name: PathBuf,
}

/// Plans the entries of each photo, its own first, with unique names.
pub fn plan<'a>(items: &'a [ExportedPhoto], group_folders: bool) -> Result<Vec<Vec<ArchivedFile>>, ExportError> {
    let (mut claimed, mut taken_along) = (HashSet::new(), HashSet::new());
    let mut place = |item: &'a ExportedPhoto| {
        let folder = if group_folders { in_group(Path::new(""), item.group) } else { PathBuf::new() };
        let name = item.path.file_name().ok_or_else(|| ExportError::Nameless { path: item.path.clone() })?;
        let companions: Vec<&PathBuf> = item.companions.iter().filter(|it| taken_along.insert(*it)).collect();
        for name in names(Path::new(&portable(name)))? {
            let name = folder.join(name);
            let beside = companions
                .iter()
                .map(|it| ArchivedFile { source: (*it).clone(), name: renamed(it, &item.path, &name) });
            let entries: Vec<ArchivedFile> =
                std::iter::once(ArchivedFile { source: item.path.clone(), name: name.clone() }).chain(beside).collect();
            if entries.iter().all(|entry| !claimed.contains(&folded(&entry.name))) {
                claimed.extend(entries.iter().map(|entry| folded(&entry.name)));
                return Ok(entries);
            }
        }
        unreachable!("names go on for ever")
    };
    items.iter().map(&mut place).collect()
}

/// Writes the archive, which appears only when it is complete. Photos are already compressed, so they are stored; with
/// their modification times the same photos give the same bytes. Returns `false` if the run was stopped.
pub fn write<'a>(
    entries: impl IntoIterator<Item = &'a ArchivedFile>,
    file: &Path,
    stop: &AtomicBool,
) -> Result<bool, ExportError> {
    if file.symlink_metadata().is_ok() {
        return Err(ExportError::Exists { path: file.to_owned() });
    }
    let (folder, mut folders) = (folder_of(file), Folders::default());
    folders.make(folder).map_err(io_error(file, "make its folder"))?;
    let draft = Draft::beside(file).map_err(io_error(folder, "write in"))?;
    let failed = RefCell::new(None);
    let mut writer = ZipWriter::new(ErrorCapture { inner: draft, at: 0, failed: &failed });
    let check = || failed.take().map_or(Ok(()), |failure| Err(io_error(file, "write")(failure)));
    for ArchivedFile { source, name } in entries {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        add(&mut writer, source, name, file)?;
        check()?;
    }
    let whole = writer.finish().map_err(|source| ExportError::Zip { path: file.to_owned(), source })?;
    check()?;
    if !whole.inner.place_new(&mut folders).map_err(io_error(file, "write"))? {
        return Err(ExportError::Exists { path: file.to_owned() });
    }
    folders.sync().map_err(io_error(file, "write"))?;
    Ok(true)
}

fn add<W: Write + Seek>(writer: &mut ZipWriter<W>, photo: &Path, entry: &Path, zip: &Path) -> Result<(), ExportError> {
    let mut reader = open_untouched(photo).map_err(io_error(photo, "open"))?;
    let metadata = reader.metadata().map_err(io_error(photo, "look at"))?;
    let size = metadata.len();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(date(&metadata).unwrap_or_default())
        .unix_permissions(0o644)
        .large_file(size >= u64::from(u32::MAX));
    let name = entry.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
    writer.start_file(name, options).map_err(|source| ExportError::Zip { path: zip.to_owned(), source })?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut chunk).map_err(io_error(photo, "read"))?;
        if read == 0 {
            return Ok(());
        }
        writer.write_all(&chunk[..read]).map_err(io_error(zip, "write"))?;
    }
}

/// The modification time in local time, as zip archives store it; `None` before 1980.
fn date(metadata: &fs::Metadata) -> Option<DateTime> {
    let changed = Timestamp::try_from(metadata.modified().ok()?).ok()?.to_zoned(TimeZone::system());
    let [month, day, hour, minute, second] =
        [changed.month(), changed.day(), changed.hour(), changed.minute(), changed.second()].map(i8::cast_unsigned);
    let year = u16::try_from(changed.year()).ok()?;
    DateTime::from_date_and_time(year, month, day, hour, minute, second).ok()
}

/// Wraps a writer and stores its first error instead of returning it: a `ZipWriter` that meets an error prints to the
/// terminal when it is dropped.
struct ErrorCapture<'a, W> {
    inner: W,
    at: u64,
    failed: &'a RefCell<Option<io::Error>>,
}

impl<W> ErrorCapture<'_, W> {
    /// Runs `work` unless an earlier call has failed.
    fn attempt<T>(&mut self, work: impl FnOnce(&mut W) -> io::Result<T>) -> Option<T> {
        let mut failed = self.failed.borrow_mut();
        if failed.is_some() {
            return None;
        }
        work(&mut self.inner).map_err(|failure| *failed = Some(failure)).ok()
    }
}

impl<W: Write> Write for ErrorCapture<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|inner| inner.write_all(bytes));
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(Write::flush);
        Ok(())
    }
}

impl<W: Seek> Seek for ErrorCapture<'_, W> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.at = match (self.attempt(|inner| inner.seek(to)), to) {
            (Some(at), _) | (None, io::SeekFrom::Start(at)) => at,
            (None, io::SeekFrom::Current(by) | io::SeekFrom::End(by)) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

/// Path separators of any system, and characters that Windows refuses in names.
const UNPORTABLE: &str = "\\/:*?\"<>|";
/// Device names on Windows, with any extension.
const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];

/// A name that every system can unpack and that is no path.
fn portable(name: &OsStr) -> String {
    let plain = |character: char| !character.is_control() && !UNPORTABLE.contains(character);
    let name: String =
        name.to_string_lossy().chars().map(|character| if plain(character) { character } else { '_' }).collect();
    // Windows removes dots and spaces at the end.
    let kept = name.trim_end_matches(['.', ' ']);
    let mut portable = format!("{kept}{}", "_".repeat(name.len() - kept.len()));
    let stem = portable.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |port: &str| {
        stem.strip_prefix(port)
            .is_some_and(|number| number.len() == 1 && number.contains(|digit| matches!(digit, '1'..='9')))
    };
    if DEVICES.contains(&stem.as_str()) || numbered("COM") || numbered("LPT") {
        portable.insert(0, '_');
    }
    portable
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

    fn names_of(entries: &[ArchivedFile]) -> Vec<PathBuf> {
        entries.iter().map(|entry| entry.name.clone()).collect()
    }

    #[test]
    fn a_zip_holds_the_photos_and_is_the_same_every_time() {
        let world = tempfile::tempdir().unwrap();
        let (a, b) = (file(world.path(), "a/x.jpg", b"one"), file(world.path(), "b/x.jpg", b"two"));
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&a).unwrap().set_modified(long_ago).unwrap();
        let item = |(group, path): (usize, &PathBuf)| ExportedPhoto {
            path: path.clone(),
            group: Some(group),
            companions: Vec::new(),
        };
        let list: Vec<ExportedPhoto> = [&a, &b].into_iter().enumerate().map(item).collect();
        let entries = plan(&list, false).unwrap().concat();
        assert_eq!(names_of(&entries), [PathBuf::from("x.jpg"), PathBuf::from("x-2.jpg")]);
        assert_eq!(plan(&list, true).unwrap()[1][0].name, Path::new("cluster_1").join("x.jpg"));
        let (first, second) = (world.path().join("1.zip"), world.path().join("2.zip"));
        let go_on = AtomicBool::new(false);
        assert!(write(&entries, &first, &go_on).unwrap());
        assert!(write(&entries, &second, &go_on).unwrap());
        assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
        let mut archive = ::zip::ZipArchive::new(File::open(&first).unwrap()).unwrap();
        let year = archive.by_name("x.jpg").unwrap().last_modified().unwrap().year();
        assert_eq!(year, 2001);
        let mut content = String::new();
        archive.by_name("x-2.jpg").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!((archive.len(), content.as_str()), (2, "two"));
        assert!(matches!(write(&entries, &first, &go_on), Err(ExportError::Exists { .. })));
    }

    #[test]
    fn names_in_a_zip_are_names_everywhere_and_never_clash() {
        let named = [
            "..\\..\\evil.jpg",
            ".._.._evil.jpg",
            "a\u{1b}[2J\n.jpg",
            "10:31.jpg",
            "con.jpg",
            "COM1",
            "comet.jpg",
            "x.jpg. .",
            "...",
            "写真.jpg",
        ];
        let list: Vec<ExportedPhoto> = named
            .iter()
            .map(|name| ExportedPhoto { path: Path::new("/p").join(name), group: None, companions: Vec::new() })
            .collect();
        let entries = names_of(&plan(&list, false).unwrap().concat());
        let expected = [
            ".._.._evil.jpg",
            ".._.._evil-2.jpg",
            "a_[2J_.jpg",
            "10_31.jpg",
            "_con.jpg",
            "_COM1",
            "comet.jpg",
            "x.jpg___",
            "___",
            "写真.jpg",
        ];
        assert_eq!(entries, expected.map(PathBuf::from));
        let nameless = [ExportedPhoto { path: "/p/..".into(), group: None, companions: Vec::new() }];
        assert!(matches!(plan(&nameless, false), Err(ExportError::Nameless { .. })));
    }

    #[test]
    fn a_zip_that_fails_leaves_nothing() {
        let world = tempfile::tempdir().unwrap();
        let gone = ArchivedFile { source: world.path().join("gone.jpg"), name: "gone.jpg".into() };
        let zip = world.path().join("album.zip");
        for (stop, ended) in [(false, None), (true, Some(false))] {
            let written = write([&gone], &zip, &AtomicBool::new(stop));
            assert_eq!(written.ok(), ended);
        }
        assert_eq!(fs::read_dir(world.path()).unwrap().count(), 0);
    }
}
