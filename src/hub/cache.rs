//! The model folder: verified files, named by their content.
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
//! There is no index file that several processes would have to agree on: each blob has its own note, every write is a
//! rename, and a blob's identity follows from its bytes. So nothing depends on file locks, which some network file systems
//! grant to everybody.

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
pub use part::{Origin, PartialFile};

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

/// The state of a file on disk, always read from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Missing,
    /// A pull was interrupted; this many bytes are there.
    Partial(u64),
    /// A running process is fetching it; this many bytes have arrived.
    Arriving(u64),
    /// A running process is verifying it.
    Checked,
    /// Present and of the right size, but not verified yet.
    Unverified,
    Ready,
    /// Present, but of the wrong size.
    Wrong(u64),
}

/// A complete file of the cache.
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
    /// Wrong, and moved to quarantine, so that the next pull fetches the right file.
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
    /// Creates nothing on disk until something is written.
    pub fn new(root: impl Into<PathBuf>, max_bytes: Option<u64>) -> Self {
        Self { root: root.into(), max_bytes }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    /// The path of the file with this content, whether or not it exists.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder("blobs").join(format!("sha256-{digest}"))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A folder of the cache, created if needed.
    fn made_folder(&self, name: &str) -> Result<PathBuf, CacheError> {
        let folder = self.folder(name);
        fs::create_dir_all(&folder).at(&folder)?;
        Ok(folder)
    }

    /// The state of a file, without reading it.
    pub fn presence(&self, digest: &Digest, size: Option<u64>) -> Presence {
        let path = self.blob_path(digest);
        let Some(stamp) = Stamp::of(&path) else {
            let parts = self.parts(&digest.hex());
            let arriving = parts.iter().filter(|part| !part.is_abandoned()).map(PartialFile::bytes).max();
            let longest = parts.iter().map(PartialFile::bytes).max();
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

    /// The path of a verified file. A file is verified before its first use, and again whenever its stamp (size, times,
    /// inode) has changed. A wrong file is quarantined, and an error.
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

    /// A file that the user put into the folder under its own name. It is verified like any other. A wrong one is left
    /// alone, because it is not ours.
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

    /// Verifies the file, whatever its note says.
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
            return Ok(Verdict::Bad { found, fate: self.quarantine(&path) });
        }
        let now = SystemTime::now();
        let before = Note::read(&self.note_path(digest));
        let fresh = (now, now, 0);
        let (added, last_used, uses) = before.map_or(fresh, |note| (note.added, note.last_used, note.uses));
        // The stamp was taken before reading, so a write during the read changes it.
        self.remember(digest, &Note { stamp, verified: now, added, last_used, uses });
        Ok(Verdict::Good)
    }

    /// All complete files, least recently used first.
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

    /// Deletes a file that is not in use; returns whether it existed.
    pub fn remove(&self, digest: &Digest) -> Result<bool, CacheError> {
        self.sweep(&digest.hex());
        let path = self.blob_path(digest);
        // Checked last: a process that takes a lease after this finds the file gone when it opens it.
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

    /// Moves a file that was hashed while it was written to its place. If another process was faster, its file stays and
    /// ours is removed.
    pub fn adopt(&self, part: PartialFile, digest: &Digest) -> Result<PathBuf, CacheError> {
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

    /// Copies a file of the user into the cache under its hash. It is kept only if `wanted` accepts the hash, and not if
    /// `stop` becomes true.
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
        // An incomplete copy is never resumed, because the file can be copied again.
        adopted.inspect_err(|_| PartialFile::discard(&place)).map(|_| Some(digest))
    }

    fn note_path(&self, digest: &Digest) -> PathBuf {
        self.folder("notes").join(format!("sha256-{digest}.json"))
    }

    /// In a read-only folder no note is written, so the file is verified again next time.
    fn remember(&self, digest: &Digest, note: &Note) {
        if self.made_folder("notes").is_ok() {
            note.write(&self.note_path(digest));
        }
    }

    /// Two processes that use a file at the same moment may be counted once.
    fn touch(&self, digest: &Digest, note: Note) {
        let uses = note.uses + 1;
        self.remember(digest, &Note { last_used: SystemTime::now(), uses, ..note });
    }

    /// Moves a wrong file to quarantine; returns what happened to it, for messages.
    fn quarantine(&self, path: &Path) -> String {
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

/// Changes whenever the file is written to or replaced.
pub fn stamp_of(path: &Path) -> String {
    Stamp::of(path).map_or_else(String::new, |stamp| format!("{stamp:?}"))
}

/// The sorted paths in a folder; none if it does not exist.
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
