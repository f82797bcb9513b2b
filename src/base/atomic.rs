//! Files that appear whole or not at all, and are there after a crash: written beside their place, forced to disk,
//! renamed, and the folder forced to disk, too.

mod unfinished;

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use unfinished::is_unfinished;

/// A file on its way to its place. Dropped, it is gone.
#[derive(Debug)]
pub struct Draft {
    writer: BufWriter<NamedTempFile>,
    place: PathBuf,
}

impl Draft {
    /// A file with the usual rights of a new one, less what the umask takes.
    pub fn beside(place: &Path) -> io::Result<Self> {
        Self::with_mode(place, 0o666)
    }

    /// A file that only its owner may read.
    pub fn private(place: &Path) -> io::Result<Self> {
        Self::with_mode(place, 0o600)
    }

    #[cfg(unix)]
    fn with_mode(place: &Path, mode: u32) -> io::Result<Self> {
        Self::with_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn with_mode(place: &Path, _: u32) -> io::Result<Self> {
        Self::made(place, tempfile::Builder::new())
    }

    /// A file with these rights, less what the umask takes.
    pub fn with_permissions(place: &Path, permissions: Permissions) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.permissions(permissions);
        Self::made(place, builder)
    }

    fn made(place: &Path, mut builder: tempfile::Builder<'_, '_>) -> io::Result<Self> {
        // A link keeps pointing where it points.
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        let folder = folder_of(&place);
        unfinished::sweep_once(folder);
        let file = builder.prefix(unfinished::PREFIX).rand_bytes(unfinished::RANDOM).tempfile_in(folder)?;
        // Where files cannot be locked, their age alone protects them.
        let _ = file.as_file().try_lock();
        Ok(Self { writer: BufWriter::new(file), place })
    }

    /// Where it will lie.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Where it lies meanwhile, for a library that writes by name.
    pub fn path(&self) -> &Path {
        self.writer.get_ref().path()
    }

    /// What is written so far, for its rights and times.
    pub fn file(&mut self) -> io::Result<&File> {
        self.writer.flush()?;
        Ok(self.writer.get_ref().as_file())
    }

    /// What is written so far, from its beginning; the file is gone when the reader is.
    pub fn reopened(mut self) -> io::Result<File> {
        self.writer.flush()?;
        self.writer.get_ref().reopen()
    }

    /// The file forced to disk.
    fn whole(self) -> io::Result<(NamedTempFile, PathBuf)> {
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        Ok((file, self.place))
    }

    /// Takes the place of what lies there; `folders` are to be forced to disk in the end.
    pub fn replace(self, folders: &mut Folders) -> io::Result<()> {
        let (file, place) = self.whole()?;
        file.persist(&place)?;
        folders.changed_by(&place);
        Ok(())
    }

    /// Takes its place unless something lies there; whether it did.
    pub fn place_new(self, folders: &mut Folders) -> io::Result<bool> {
        let (file, place) = self.whole()?;
        match file.persist_noclobber(&place) {
            Ok(_) => {
                folders.changed_by(&place);
                Ok(true)
            }
            Err(failure) if failure.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(failure) => Err(failure.error),
        }
    }

    /// Takes the place of what lies there, for good.
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

/// What lies at a path; nothing only where the system says so. A look that fails is not taken for an empty place.
pub fn found(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(there) => Ok(Some(there)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a whole file for good.
pub fn write(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = Draft::beside(place)?;
    draft.write_all(bytes)?;
    draft.settle()
}

/// Folders whose names changed and are not surely on disk yet: one call each in the end serves many files.
#[derive(Debug, Default)]
#[must_use = "names are on disk only after `sync`"]
pub struct Folders(BTreeSet<PathBuf>);

impl Folders {
    /// A name was made or replaced here.
    pub fn changed_by(&mut self, place: &Path) {
        self.0.insert(folder_of(place).to_owned());
    }

    /// Makes a folder and those above it that are not there.
    pub fn make(&mut self, folder: &Path) -> io::Result<()> {
        let absent = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let absent: Vec<&Path> = absent.collect();
        fs::create_dir_all(folder)?;
        absent.into_iter().for_each(|made| self.changed_by(made));
        Ok(())
    }

    /// Forces the names to disk.
    pub fn sync(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.0).iter().try_for_each(|folder| sync(folder))
    }
}

/// Some file systems cannot force a folder to disk, and one that may be written but not read cannot be opened for it:
/// nothing more can be done there.
#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    let beyond_us = |error: &io::Error| {
        Errno::from_io_error(error)
            .is_some_and(|error| [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::ACCESS].contains(&error))
    };
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if !beyond_us(&error) => {
            let told = format!("the folder {} cannot be forced to disk: {error}", folder.display());
            Err(io::Error::new(error.kind(), told))
        }
        _ => Ok(()),
    }
}

/// Windows keeps names in order by itself.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "fails elsewhere")]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The folder of a file, which for a bare name is the one we stand in.
pub fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_is_dropped_leaves_the_older_file() {
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
    fn a_name_that_is_taken_stays_with_its_owner() {
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
    fn rights_are_the_usual_ones_or_private_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (plain, private) = (folder.path().join("plain"), folder.path().join("private"));
        write(&plain, b"x").unwrap();
        Draft::private(&private).unwrap().settle().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        // What the umask of this process leaves of it.
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
    fn folders_that_were_made_are_kept_in_mind_with_those_above() {
        let world = tempfile::tempdir().unwrap();
        let mut folders = Folders::default();
        folders.make(&world.path().join("a/b")).unwrap();
        assert_eq!(folders.0, BTreeSet::from([world.path().to_owned(), world.path().join("a")]));
        folders.sync().unwrap();
        assert!(folders.0.is_empty());
        folders.changed_by(&world.path().join("gone/file"));
        assert!(folders.sync().is_err(), "a folder that cannot be forced to disk is told");
    }
}
