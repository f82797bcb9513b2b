//! Atomic and durable writing of files: the content goes to a temporary file in the same folder, which is synced to
//! disk and renamed; then the folder is synced.

mod unfinished;

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use unfinished::is_unfinished;

/// A temporary file that will be renamed to its final path. Dropping it deletes it.
#[derive(Debug)]
pub struct Draft {
    writer: BufWriter<NamedTempFile>,
    place: PathBuf,
}

impl Draft {
    /// Creates a draft of `place` with the permissions of an ordinary new file, subject to the umask.
    pub fn beside(place: &Path) -> io::Result<Self> {
        Self::with_mode(place, 0o666)
    }

    /// Creates a draft of `place` that only its owner may read.
    pub fn private(place: &Path) -> io::Result<Self> {
        Self::with_mode(place, 0o600)
    }

    #[cfg(unix)]
    fn with_mode(place: &Path, mode: u32) -> io::Result<Self> {
        Self::with_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn with_mode(place: &Path, _: u32) -> io::Result<Self> {
        Self::create(place, tempfile::Builder::new())
    }

    /// Creates a draft of `place` with the given permissions, subject to the umask.
    pub fn with_permissions(place: &Path, permissions: Permissions) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.permissions(permissions);
        Self::create(place, builder)
    }

    fn create(place: &Path, mut builder: tempfile::Builder<'_, '_>) -> io::Result<Self> {
        // If the path is a symbolic link, its target is replaced, not the link.
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        let folder = folder_of(&place);
        unfinished::clean_once(folder);
        let file = builder.prefix(unfinished::PREFIX).rand_bytes(unfinished::RANDOM_LENGTH).tempfile_in(folder)?;
        // On file systems without locks, the temporary file is protected only by its age. So it is on Windows, where a lock
        // would also keep out other handles of this process, such as SQLite's.
        #[cfg(unix)]
        let _ = file.as_file().try_lock();
        Ok(Self { writer: BufWriter::new(file), place })
    }

    /// The final path.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The path of the temporary file, for libraries that write by name.
    pub fn path(&self) -> &Path {
        self.writer.get_ref().path()
    }

    /// The file with everything written so far, to set its permissions and times.
    pub fn file(&mut self) -> io::Result<&File> {
        self.writer.flush()?;
        Ok(self.writer.get_ref().as_file())
    }

    /// Reads what was written, from the beginning. The file is deleted when the reader is dropped.
    pub fn reopened(mut self) -> io::Result<File> {
        self.writer.flush()?;
        self.writer.get_ref().reopen()
    }

    /// Flushes and syncs the file.
    fn synced(self) -> io::Result<(NamedTempFile, PathBuf)> {
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        Ok((file, self.place))
    }

    /// Renames the file to its final path, replacing an existing file. The caller must sync `folders` at the end.
    pub fn replace(self, folders: &mut Folders) -> io::Result<()> {
        let (file, place) = self.synced()?;
        file.persist(&place)?;
        folders.changed_by(&place);
        Ok(())
    }

    /// Renames the file to its final path unless a file exists there; returns whether it did.
    pub fn place_new(self, folders: &mut Folders) -> io::Result<bool> {
        let (file, place) = self.synced()?;
        match file.persist_noclobber(&place) {
            Ok(_) => {
                folders.changed_by(&place);
                Ok(true)
            }
            Err(failure) if failure.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(failure) => Err(failure.error),
        }
    }

    /// Renames the file to its final path, replacing an existing file, and syncs the folder.
    pub fn settle(self) -> io::Result<()> {
        let mut folders = Folders::default();
        self.replace(&mut folders)?;
        folders.sync()
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Seek for Draft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.writer.seek(to)
    }
}

/// The metadata of a path; `None` only if the system reports that nothing exists there. Other failures are errors.
pub fn found(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(there) => Ok(Some(there)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file atomically and durably.
pub fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::beside(place)?;
    draft.write_all(bytes)?;
    draft.settle()
}

/// The folders with changed names that are not synced yet. One sync of a folder at the end covers many files.
#[derive(Debug, Default)]
#[must_use = "names are on disk only after `sync`"]
pub struct Folders(BTreeSet<PathBuf>);

impl Folders {
    /// Records that a name in the folder of `place` was created or replaced.
    pub fn changed_by(&mut self, place: &Path) {
        self.0.insert(folder_of(place).to_owned());
    }

    /// Creates a folder and its missing parents.
    pub fn make(&mut self, folder: &Path) -> io::Result<()> {
        let absent = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let absent: Vec<&Path> = absent.collect();
        fs::create_dir_all(folder)?;
        absent.into_iter().for_each(|made| self.changed_by(made));
        Ok(())
    }

    /// Syncs all recorded folders.
    pub fn sync(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.0).iter().try_for_each(|folder| sync(folder))
    }
}

/// Syncs a folder. Errors of file systems that cannot sync folders, and of folders without read permission, are
/// ignored.
#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    let is_unsupported = |error: &io::Error| {
        Errno::from_io_error(error)
            .is_some_and(|error| [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::ACCESS].contains(&error))
    };
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if !is_unsupported(&error) => {
            let message = format!("the folder {} cannot be synced to disk: {error}", folder.display());
            Err(io::Error::new(error.kind(), message))
        }
        _ => Ok(()),
    }
}

/// Windows needs no sync of folders.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails elsewhere")]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The folder of a file; the current folder for a bare name.
pub fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_draft_leaves_the_existing_file() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("results");
        write(&place, b"older").unwrap();
        let mut draft = Draft::beside(&place).unwrap();
        draft.write_all(b"newer").unwrap();
        drop(draft);
        assert_eq!(fs::read(&place).unwrap(), b"older");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn place_new_does_not_replace_an_existing_file() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.jpg");
        let mut folders = Folders::default();
        for (content, placed) in [(b"one", true), (b"two", false)] {
            let mut draft = Draft::beside(&place).unwrap();
            draft.write_all(content).unwrap();
            assert_eq!(draft.place_new(&mut folders).unwrap(), placed);
        }
        folders.sync().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_ordinary_or_private_and_links_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (plain, private) = (folder.path().join("plain"), folder.path().join("private"));
        write(&plain, b"x").unwrap();
        Draft::private(&private).unwrap().settle().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        // The ordinary permissions, under the umask of this process.
        let usual = folder.path().join("usual");
        fs::write(&usual, b"x").unwrap();
        assert_eq!((mode(&plain), mode(&private)), (mode(&usual), 0o600));
        let link = folder.path().join("link");
        symlink(&plain, &link).unwrap();
        write(&link, b"through").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&plain).unwrap(), b"through");
    }

    #[test]
    fn created_folders_are_recorded_with_their_parents() {
        let world = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        folders.make(&world.path().join("a/b")).unwrap();
        assert_eq!(folders.0, BTreeSet::from([world.path().to_owned(), world.path().join("a")]));
        folders.sync().unwrap();
        assert!(folders.0.is_empty());
        folders.changed_by(&world.path().join("gone/file"));
        assert!(folders.sync().is_err(), "a folder that cannot be synced is reported");
    }
}
