//! The model folder: verified files, named by what is in them.
//!
//! ```text
//! models/
//!   blobs/sha256-<hex>          whole, verified, read-only
//!   notes/sha256-<hex>.json     when verified, last used; made again from the blob when damaged or gone
//!   parts/<key>.<owner>.part    not whole yet, each written by one process only
//!   leases/<hex>.<owner>        in use by that process
//!   checks/<hex>.<owner>        being read through by that process
//!   trusted/<name>/<file>       a hash the user accepted at the first pull
//!   quarantine/                 what was found to be wrong
//! ```
//!
//! There is no index file that several processes would have to agree on: each blob has its own note, every write is
//! a rename, and what a blob is follows from its bytes. So nothing depends on file locks, which network file systems
//! may grant to everybody.

mod collect;
mod lease;
mod note;
mod owner;
mod part;
mod trust;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

pub use collect::{Collected, Collection, Leftover, Usage};
pub use lease::Lease;
pub use note::Note;
pub use part::{Origin, Part};

use self::note::Stamp;
use super::digest::Digest;
use base::reading::{self, Stream};

#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
    max_bytes: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: has sha256 {found}, should have {expected}; {fate}", path.display())]
    Corrupt { path: PathBuf, expected: Digest, found: Digest, fate: String },
    #[error("sha256-{digest} is in use by {by}")]
    InUse { digest: Digest, by: String },
}

/// What is on disk of a file, looked at, not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Missing,
    /// A pull was cut short; so many bytes are there.
    Partial(u64),
    /// A running process fetches it; so many bytes are there.
    Arriving(u64),
    /// A running process reads it through.
    Checked,
    /// There, of the right size, and not looked into yet.
    Unverified,
    Ready,
    /// There, of a wrong size.
    Wrong(u64),
}

/// A whole file of the cache.
#[derive(Debug, Clone)]
pub struct Blob {
    pub digest: Digest,
    pub bytes: u64,
    pub note: Note,
    pub in_use: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Missing,
    Good,
    /// Set aside, so that the next pull brings the right file.
    Bad {
        found: Digest,
        fate: String,
    },
}

trait At<T> {
    fn at(self, path: &Path) -> Result<T, CacheError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, CacheError> {
        self.map_err(|source| CacheError::Io { path: path.to_owned(), source })
    }
}

impl Cache {
    /// Makes nothing on disk until something is written.
    pub fn new(root: impl Into<PathBuf>, max_bytes: Option<u64>) -> Self {
        Self { root: root.into(), max_bytes }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    /// Where the file with this content lies, or would.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder("blobs").join(format!("sha256-{digest}"))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder, made if need be.
    fn made_folder(&self, name: &str) -> Result<PathBuf, CacheError> {
        let folder = self.folder(name);
        fs::create_dir_all(&folder).at(&folder)?;
        Ok(folder)
    }

    /// Without reading the file through.
    pub fn presence(&self, digest: &Digest, size: Option<u64>) -> Presence {
        let path = self.blob_path(digest);
        let Some(stamp) = Stamp::of(&path) else {
            let parts = self.parts(&digest.hex());
            let arriving = parts.iter().filter(|part| !part.is_abandoned()).map(Part::bytes).max();
            let longest = parts.iter().map(Part::bytes).max();
            return match (arriving, longest) {
                (Some(bytes), _) => Presence::Arriving(bytes),
                (None, Some(bytes)) => Presence::Partial(bytes),
                (None, None) => Presence::Missing,
            };
        };
        match size {
            Some(size) if size != stamp.bytes => Presence::Wrong(stamp.bytes),
            _ if Note::read(&self.note_path(digest)).is_some_and(|note| note.stamp == stamp) => Presence::Ready,
            _ if self.is_checked(digest) => Presence::Checked,
            _ => Presence::Unverified,
        }
    }

    /// The path of a file fit for use. It is read through once before its first use, and again whenever its stamp
    /// (size, times, inode) says that somebody touched it. A wrong one is set aside and an error.
    pub fn ready(&self, digest: &Digest) -> Result<Option<PathBuf>, CacheError> {
        let path = self.blob_path(digest);
        let Some(stamp) = Stamp::if_there(&path).at(&path)? else { return Ok(None) };
        let known = Note::read(&self.note_path(digest)).filter(|note| note.stamp == stamp);
        if let Some(note) = known {
            self.touch(digest, note);
            return Ok(Some(path));
        }
        match self.verify(digest)? {
            Verdict::Missing => Ok(None),
            Verdict::Good => Ok(Some(path)),
            Verdict::Bad { found, fate } => Err(CacheError::Corrupt { path, expected: *digest, found, fate }),
        }
    }

    /// A file that somebody put into the folder under its own name. It is read through once, like any other; one that
    /// is wrong is left as it is, since it is not ours.
    pub fn ready_by_name(&self, name: &str, digest: &Digest) -> Result<Option<PathBuf>, CacheError> {
        let path = self.root.join(name);
        let Some(stamp) = Stamp::if_there(&path).at(&path)? else { return Ok(None) };
        let note_path = self.folder("notes").join(format!("named-sha256-{digest}.json"));
        if Note::read(&note_path).is_some_and(|note| note.stamp == stamp) {
            return Ok(Some(path));
        }
        let (found, _) = reading::open(&path).and_then(Digest::of_reader).at(&path)?;
        if found != *digest {
            let fate = "it is left as it is; remove it, or fetch the right one".to_owned();
            return Err(CacheError::Corrupt { path, expected: *digest, found, fate });
        }
        if self.made_folder("notes").is_ok() {
            Note { verified: SystemTime::now(), ..Note::unread(stamp) }.write(&note_path);
        }
        Ok(Some(path))
    }

    /// Reads the file through, whatever is remembered of it.
    pub fn verify(&self, digest: &Digest) -> Result<Verdict, CacheError> {
        let path = self.blob_path(digest);
        let (file, stamp) = match reading::open(&path).and_then(|file| Ok((Stamp::of_file(&file)?, file))) {
            Ok((stamp, file)) => (file, stamp),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verdict::Missing),
            Err(error) => return Err(error).at(&path),
        };
        let checked = self.check(digest);
        let (found, _) = Digest::of_reader(file).at(&path)?;
        drop(checked);
        if found != *digest {
            return Ok(Verdict::Bad { found, fate: self.set_aside(&path) });
        }
        let now = SystemTime::now();
        let before = Note::read(&self.note_path(digest));
        let fresh = (now, now, 0);
        let (added, last_used, uses) = before.map_or(fresh, |note| (note.added, note.last_used, note.uses));
        // Taken before the file was read: whoever wrote while we read has changed it since.
        self.remember(digest, &Note { stamp, verified: now, added, last_used, uses });
        Ok(Verdict::Good)
    }

    /// Every whole file, longest unused first.
    pub fn blobs(&self) -> Result<Vec<Blob>, CacheError> {
        let folder = self.folder("blobs");
        let mut blobs = Vec::new();
        for path in listed(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("sha256-"));
            let Some(digest) = name.and_then(|hex| hex.parse::<Digest>().ok()) else { continue };
            let Some(stamp) = Stamp::of(&path) else { continue };
            let note = Note::read(&self.note_path(&digest)).unwrap_or_else(|| Note::unread(stamp.clone()));
            blobs.push(Blob { digest, bytes: stamp.bytes, note, in_use: self.holders(&digest).next().is_some() });
        }
        blobs.sort_by_key(|blob| (blob.note.last_used, blob.digest));
        Ok(blobs)
    }

    /// Deletes a file that nobody uses; whether there was one.
    pub fn remove(&self, digest: &Digest) -> Result<bool, CacheError> {
        self.sweep(&digest.hex());
        let path = self.blob_path(digest);
        // The last thing before: whoever takes a lease between the two finds the file gone when it is opened.
        if let Some(by) = self.holders(digest).next() {
            return Err(CacheError::InUse { digest: *digest, by });
        }
        match fs::remove_file(&path) {
            Ok(()) => {
                let _ = fs::remove_file(self.note_path(digest));
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at(&path),
        }
    }

    /// Puts a file whose bytes were hashed while they were written in its place. When another process was quicker its
    /// file stays, and ours goes.
    pub fn adopt(&self, part: Part, digest: &Digest) -> Result<PathBuf, CacheError> {
        let place = self.blob_path(digest);
        self.made_folder("blobs")?;
        let (bytes, key) = (part.bytes(), part.key().map(str::to_owned));
        if self.presence(digest, Some(bytes)) == Presence::Ready {
            part.remove();
        } else {
            part.publish(&place)?;
            self.note_new(digest, &place);
        }
        if let Some(key) = key {
            self.sweep(&key);
        }
        Ok(place)
    }

    fn note_new(&self, digest: &Digest, place: &Path) {
        let now = SystemTime::now();
        if let Some(stamp) = Stamp::of(place) {
            self.remember(digest, &Note { stamp, verified: now, added: now, last_used: now, uses: 0 });
        }
    }

    /// Copies a file of the user's into the cache; its hash decides what it is. `wanted` is asked before anything is
    /// kept. When `stop` becomes true nothing is.
    pub fn import(
        &self,
        file: &Path,
        stop: &AtomicBool,
        wanted: impl FnOnce(&Digest) -> bool,
    ) -> Result<Option<Digest>, CacheError> {
        let open = || reading::open(file).map(|file| Stream::of(file, stop));
        let (digest, bytes) = open().and_then(Digest::of_reader).at(file)?;
        if !wanted(&digest) {
            return Ok(None);
        }
        if self.presence(&digest, Some(bytes)) == Presence::Ready {
            return Ok(Some(digest));
        }
        let mut part = self.new_part(&digest.hex(), Origin::default())?;
        let place = part.path().to_owned();
        let copied = open().at(file).and_then(|mut source| part.append_all(&mut source));
        let adopted = copied.and_then(|copied| {
            let found = part.digest();
            if found != digest || copied != bytes {
                let fate = "it changed while it was read".to_owned();
                return Err(CacheError::Corrupt { path: file.to_owned(), expected: digest, found, fate });
            }
            self.adopt(part, &digest)
        });
        // Nothing goes on from half a copy: the file is there to be copied again.
        adopted.inspect_err(|_| Part::discard(&place)).map(|_| Some(digest))
    }

    fn note_path(&self, digest: &Digest) -> PathBuf {
        self.folder("notes").join(format!("sha256-{digest}.json"))
    }

    /// In a folder that may not be written, nothing is remembered, and the file is read through again next time.
    fn remember(&self, digest: &Digest, note: &Note) {
        if self.made_folder("notes").is_ok() {
            note.write(&self.note_path(digest));
        }
    }

    /// Uses of two processes at the same moment may be told as one.
    fn touch(&self, digest: &Digest, note: Note) {
        let uses = note.uses + 1;
        self.remember(digest, &Note { last_used: SystemTime::now(), uses, ..note });
    }

    /// Moves a wrong file out of the way; says what became of it.
    fn set_aside(&self, path: &Path) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let moved = self.made_folder("quarantine").and_then(|folder| {
            let aside = folder.join(format!("{name}.{seconds}"));
            fs::rename(path, &aside).at(path).map(|()| aside)
        });
        match moved {
            Ok(aside) => format!("set aside as {}", aside.display()),
            Err(error) => format!("it could not be set aside: {error}"),
        }
    }
}

/// Differs as soon as somebody wrote to the file or put another one in its place.
pub fn stamp_of(path: &Path) -> String {
    Stamp::of(path).map_or_else(String::new, |stamp| format!("{stamp:?}"))
}

/// The paths in a folder, sorted; none when there is no such folder.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at(folder),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.at(folder)?.path());
    }
    paths.sort();
    Ok(paths)
}
