//! Incomplete files: written by a single process, hashed while they are written, and hashed again before another process
//! takes over.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::owner::{Life, Owner};
use super::{At, Cache, CacheError, listed};
use crate::digest::Digest;
use crate::hashing::{BackgroundHasher, Buffer};
use base::atomic::Folders;
use base::platform::make_read_only;
use base::reading;

/// The partial files that this process is writing now. Those it gave up are as abandoned as those of dead processes.
static OPEN: LazyLock<Mutex<Vec<PathBuf>>> = LazyLock::new(Mutex::default);

/// A partial file of a process on another machine is left alone until it has not grown for this long.
const QUIET: Duration = Duration::from_secs(600);

/// The origin of the bytes so far; they are only continued from the same origin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    pub address: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub total: Option<u64>,
}

#[derive(Debug)]
pub struct PartialFile {
    path: PathBuf,
    owner: Owner,
    bytes: u64,
    pub origin: Origin,
    /// Present once this process may write it.
    open: Option<(File, BackgroundHasher, Claim)>,
    /// Assembled from more than one response, perhaps in more than one process.
    pub pieced: bool,
}

impl Cache {
    /// Creates an empty part.
    pub fn new_part(&self, key: &str, origin: Origin) -> Result<PartialFile, CacheError> {
        let owner = Owner::this();
        let path = self.made_folder("parts")?.join(format!("{key}.{owner}.part"));
        let claim = Claim::of(&path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).at(&path)?;
        let part = PartialFile::opened(path, owner, origin, (file, BackgroundHasher::default(), claim));
        part.note_origin();
        Ok(part)
    }

    /// Takes over what an earlier process left of this file, or creates an empty part.
    pub fn take_part(&self, key: &str) -> Result<PartialFile, CacheError> {
        let mut left = self.parts(key);
        left.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        for part in left.into_iter().filter(|part| part.bytes > 0 && part.is_abandoned()) {
            if let Some(taken) = self.take_over(key, &part)? {
                return Ok(taken);
            }
        }
        self.new_part(key, Origin::default())
    }

    /// Renames the file to a name of this process, which only one of several can do, and hashes it. A file of a process on
    /// another machine is copied instead: if that process is alive after all, it shares no file with us.
    fn take_over(&self, key: &str, left: &PartialFile) -> Result<Option<PartialFile>, CacheError> {
        if left.owner.life() == Life::Elsewhere {
            let Ok(mut source) = reading::open(&left.path) else { return Ok(None) };
            let mut part = self.new_part(key, left.origin.clone())?;
            part.append_all(&mut source)?;
            part.pieced = true;
            return Ok(Some(part));
        }
        let owner = Owner::this();
        let path = self.folder("parts").join(format!("{key}.{owner}.part"));
        let claim = Claim::of(&path);
        // The note comes first, so that the part always has a note of its name, whenever this process dies.
        let _ = fs::copy(origin_path(&left.path), origin_path(&path));
        if fs::rename(&left.path, &path).is_err() {
            let _ = fs::remove_file(origin_path(&path));
            return Ok(None);
        }
        let _ = fs::remove_file(origin_path(&left.path));
        let mut file = OpenOptions::new().read(true).write(true).open(&path).at(&path)?;
        let (mut hashing, mut bytes) = (BackgroundHasher::default(), 0);
        loop {
            let mut buffer = hashing.buffer();
            match file.read(&mut buffer).at(&path)? {
                0 => break,
                count => {
                    bytes += count as u64;
                    hashing.take(buffer, count);
                }
            }
        }
        let mut part = PartialFile::opened(path, owner, left.origin.clone(), (file, hashing, claim));
        (part.bytes, part.pieced) = (bytes, true);
        Ok(Some(part))
    }

    /// All parts of this file, of any process.
    pub fn parts(&self, key: &str) -> Vec<PartialFile> {
        self.all_parts().into_iter().filter(|part| part.key() == Some(key)).collect()
    }

    pub(super) fn all_parts(&self) -> Vec<PartialFile> {
        listed(&self.folder("parts")).unwrap_or_default().into_iter().filter_map(PartialFile::found).collect()
    }

    /// Notes whose parts were published or taken over just before their writer died.
    pub(super) fn stray_notes(&self) -> Vec<PathBuf> {
        let stray = |note: &PathBuf| {
            let part = note.with_extension("part");
            let owner = note.extension().filter(|end| *end == "json").and_then(|_| owner_of(&part));
            owner.is_some_and(|owner| !part.exists() && is_abandoned(&owner, &part, note))
        };
        listed(&self.folder("parts")).unwrap_or_default().into_iter().filter(stray).collect()
    }

    /// Removes what dead processes left of this file.
    pub(super) fn sweep(&self, key: &str) {
        for part in self.parts(key).into_iter().filter(PartialFile::is_abandoned) {
            part.remove();
        }
        for note in self.stray_notes().into_iter().filter(|note| key_of(note) == Some(key)) {
            let _ = fs::remove_file(note);
        }
    }
}

fn key_of(path: &Path) -> Option<&str> {
    Some(path.file_name()?.to_str()?.split_once('.')?.0)
}

fn owner_of(part: &Path) -> Option<Owner> {
    part.file_name()?.to_str()?.strip_suffix(".part")?.split_once('.')?.1.parse().ok()
}

/// Whether the writer is gone, as far as can be known; `touched` is the file it wrote last.
fn is_abandoned(owner: &Owner, part: &Path, touched: &Path) -> bool {
    match owner.life() {
        Life::Ours => !OPEN.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|open| open == part),
        Life::Alive => false,
        Life::Dead => true,
        Life::Elsewhere => {
            let modified = fs::metadata(touched).and_then(|metadata| metadata.modified());
            modified.is_ok_and(|time| SystemTime::now().duration_since(time).unwrap_or_default() > QUIET)
        }
    }
}

impl PartialFile {
    fn opened(path: PathBuf, owner: Owner, origin: Origin, open: (File, BackgroundHasher, Claim)) -> Self {
        Self { path, owner, bytes: 0, origin, open: Some(open), pieced: false }
    }

    fn found(path: PathBuf) -> Option<Self> {
        let owner = owner_of(&path)?;
        let bytes = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
        let origin =
            reading::read(&origin_path(&path), reading::TEXT).ok().and_then(|json| serde_json::from_slice(&json).ok());
        Some(Self { path, owner, bytes, origin: origin.unwrap_or_default(), open: None, pieced: true })
    }

    pub(super) fn key(&self) -> Option<&str> {
        key_of(&self.path)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_abandoned(&self) -> bool {
        is_abandoned(&self.owner, &self.path, &self.path)
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> Digest {
        self.open.as_ref().map_or_else(|| Digest::of(b""), |(_, hashing, _)| hashing.digest())
    }

    fn opened_for_writing(&mut self) -> Result<&mut (File, BackgroundHasher, Claim), CacheError> {
        let closed = || std::io::Error::other("not open for writing");
        self.open.as_mut().ok_or_else(closed).at(&self.path)
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        let (file, hashing, _) = self.opened_for_writing()?;
        let written = file.write_all(bytes);
        if written.is_ok() {
            hashing.update(bytes);
            self.bytes += bytes.len() as u64;
        }
        written.at(&self.path)
    }

    /// A buffer for the next bytes.
    pub fn buffer(&mut self) -> Result<Buffer, CacheError> {
        Ok(self.opened_for_writing()?.1.buffer())
    }

    /// Appends the first `count` bytes of a buffer; hashing runs alongside.
    pub fn append_buffer(&mut self, buffer: Buffer, count: usize) -> Result<(), CacheError> {
        let (file, hashing, _) = self.opened_for_writing()?;
        let written = file.write_all(&buffer[..count]);
        if written.is_ok() {
            hashing.take(buffer, count);
            self.bytes += count as u64;
        }
        written.at(&self.path)
    }

    pub fn append_all(&mut self, source: &mut impl Read) -> Result<u64, CacheError> {
        let before = self.bytes;
        loop {
            let mut buffer = self.buffer()?;
            match source.read(&mut buffer).at(&self.path)? {
                0 => return Ok(self.bytes - before),
                count => self.append_buffer(buffer, count)?,
            }
        }
    }

    /// Starts over with this origin.
    pub fn start_over(&mut self, origin: Origin) -> Result<(), CacheError> {
        if let Some((file, hashing, _)) = &mut self.open {
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).at(&self.path)?;
            *hashing = BackgroundHasher::default();
        }
        (self.bytes, self.pieced) = (0, false);
        self.come_from(origin);
        Ok(())
    }

    /// Sets the origin of the next bytes.
    pub fn come_from(&mut self, origin: Origin) {
        if self.origin != origin {
            self.origin = origin;
            self.note_origin();
        }
    }

    /// Reserves space, so that a full disk is noticed now. Not every file system can.
    pub fn reserve(&self, total: u64) -> std::io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some((file, ..)) = self.open.as_ref().filter(|_| total > self.bytes) {
            use rustix::fs::FallocateFlags;
            /// The type of tmpfs, which reserves by clearing memory; that would be wasted time.
            const IN_MEMORY: rustix::fs::FsWord = 0x0102_1994;
            if rustix::fs::fstatfs(file).is_ok_and(|system| system.f_type == IN_MEMORY) {
                return Ok(());
            }
            let rest = total - self.bytes;
            return match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, self.bytes, rest) {
                Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => Err(error.into()),
                _ => Ok(()),
            };
        }
        let _ = total;
        Ok(())
    }

    pub fn remove(self) {
        Self::discard(&self.path);
    }

    /// Removes a part whose owner is gone.
    pub(super) fn discard(path: &Path) {
        let _ = fs::remove_file(origin_path(path));
        let _ = fs::remove_file(path);
    }

    /// Publishes it as the file at `place`: synced to disk first, then renamed.
    pub(super) fn publish(self, place: &Path) -> Result<(), CacheError> {
        if let Some((file, ..)) = &self.open {
            file.set_len(self.bytes).at(&self.path)?;
            make_read_only(file).at(&self.path)?;
            file.sync_all().at(&self.path)?;
        }
        fs::rename(&self.path, place).at(place)?;
        let _ = fs::remove_file(origin_path(&self.path));
        // The rename is durable once the folder is synced.
        let mut folders = Folders::default();
        folders.changed_by(place);
        folders.sync().at(place)
    }

    fn note_origin(&self) {
        if let Ok(json) = serde_json::to_vec(&self.origin) {
            // A torn note counts as none, and the hash decides anyway.
            let _ = fs::write(origin_path(&self.path), json);
        }
    }
}

/// Registered before the file exists, so that no other thread takes it for abandoned.
#[derive(Debug)]
struct Claim(PathBuf);

impl Claim {
    fn of(path: &Path) -> Self {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

fn origin_path(part: &Path) -> PathBuf {
    part.with_extension("json")
}
