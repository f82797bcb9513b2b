//! The identity of files (by their bytes) and of pictures, and file stamps, which avoid reading unchanged files again.

use std::fmt;
use std::fs::Metadata;
use std::io::{self, Read};
use std::path::Path;
use std::time::UNIX_EPOCH;

use thiserror::Error;

pub use base::platform::open_untouched;
use base::reading::other_than_a_file;

/// BLAKE3 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(pub [u8; 32]);

impl ContentId {
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl std::str::FromStr for ContentId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self)
    }
}

/// BLAKE3 of a picture without its metadata; `picture` defines the hashed parts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureId(pub [u8; 32]);

impl PictureId {
    /// Hashes each part with its length, so that different lists of parts never hash the same bytes. The prefix
    /// distinguishes this from the hash of a file's content.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"albumctl picture 1");
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for PictureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for PictureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PictureId({self})")
    }
}

impl std::str::FromStr for PictureId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self)
    }
}

fn hex(id: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn from_hex(text: &str) -> Result<[u8; 32], NotAnId> {
    let mut id = [0; 32];
    if text.len() != 2 * id.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(NotAnId);
    }
    for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| NotAnId)?;
    }
    Ok(id)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("64 hexadecimal digits are asked for")]
pub struct NotAnId;

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

/// The file system's data that change when the content does. The change time is included because an editor may restore
/// the modification time and the size, but no program can set the change time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub size: u64,
    pub modified_ns: i64,
    pub changed_ns: i64,
    pub inode: u64,
}

impl Stamp {
    pub fn of(metadata: &Metadata) -> Self {
        let modified_ns = metadata.modified().map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            // Cameras with an unset clock and some file systems give times before 1970.
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        });
        #[cfg(unix)]
        let (changed_ns, inode) = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()), metadata.ino())
        };
        #[cfg(not(unix))]
        let (changed_ns, inode) = (0, 0);
        Self { size: metadata.len(), modified_ns, changed_ns, inode }
    }
}

#[derive(Debug, Error)]
pub enum ReadError {
    #[error("no such file")]
    Missing,
    #[error("permission denied")]
    Denied,
    #[error("not a regular file but {0}")]
    NotAFile(&'static str),
    #[error("a file of albumctl's own that a run left unfinished, and no photo; it may be deleted")]
    Unfinished,
    #[error("{megabytes:.0} MB, more than the limit of {limit:.0} MB (limits.max_file_mb)")]
    TooLarge { megabytes: f64, limit: f64 },
    #[error("{0}")]
    Io(io::Error),
}

impl ReadError {
    pub fn too_large(bytes: u64, most: u64) -> Self {
        Self::TooLarge { megabytes: bytes as f64 / 1e6, limit: most as f64 / 1e6 }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Denied => "permission",
            Self::NotAFile(_) => "not_a_file",
            Self::Unfinished => "unfinished",
            Self::TooLarge { .. } => "too_large",
            Self::Io(_) => "io",
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Io(error),
        }
    }
}

/// The bytes of a photo, and the stamp that belongs to exactly these bytes.
#[derive(Debug)]
pub struct Bytes {
    pub bytes: Vec<u8>,
    /// `None` if the file changed while it was read: the bytes may be used, but results must not be stored by stamp.
    pub stamp: Option<Stamp>,
}

/// A source of photos.
pub trait Files: Sync {
    /// The stamp of a file; `None` if the source cannot tell without reading whether a file has changed.
    fn stamp(&self, path: &Path) -> Result<Option<Stamp>, ReadError>;

    fn read(&self, path: &Path, max_bytes: u64) -> Result<Bytes, ReadError>;
}

/// The local file system.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Files for Disk {
    fn stamp(&self, path: &Path) -> Result<Option<Stamp>, ReadError> {
        stamp(path).map(Some)
    }

    fn read(&self, path: &Path, max_bytes: u64) -> Result<Bytes, ReadError> {
        read(path, max_bytes)
    }
}

/// Reads a whole photo without modifying it; the access time is preserved if the system allows it.
pub fn read(path: &Path, max_bytes: u64) -> Result<Bytes, ReadError> {
    let mut file = open_untouched(path)?;
    let before = file.metadata()?;
    regular(&before)?;
    if before.len() > max_bytes {
        return Err(ReadError::too_large(before.len(), max_bytes));
    }
    let mut bytes = Vec::with_capacity(before.len() as usize);
    // One byte more than allowed reveals a file that grew past the limit while being read.
    (&mut file).take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(ReadError::too_large(bytes.len() as u64, max_bytes));
    }
    let (before, after) = (Stamp::of(&before), Stamp::of(&file.metadata()?));
    let stamp = (before == after && after.size == bytes.len() as u64).then_some(after);
    Ok(Bytes { bytes, stamp })
}

/// Hashes the content of a photo without loading it into memory.
pub fn content(path: &Path, max_bytes: u64) -> Result<ContentId, ReadError> {
    let file = open_untouched(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(max_bytes.saturating_add(1)))?;
    if metadata.len() > max_bytes || hasher.count() > max_bytes {
        return Err(ReadError::too_large(metadata.len().max(hasher.count()), max_bytes));
    }
    Ok(ContentId(*hasher.finalize().as_bytes()))
}

/// The current stamp of a file; follows symbolic links, as reading does.
pub fn stamp(path: &Path) -> Result<Stamp, ReadError> {
    let metadata = std::fs::metadata(path)?;
    regular(&metadata)?;
    Ok(Stamp::of(&metadata))
}

/// Reads the first bytes of a file.
pub fn head(path: &Path, length: usize) -> Result<Vec<u8>, ReadError> {
    let file = open_untouched(path)?;
    regular(&file.metadata()?)?;
    let mut bytes = Vec::with_capacity(length);
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn regular(metadata: &Metadata) -> Result<(), ReadError> {
    other_than_a_file(metadata).map_or(Ok(()), |what| Err(ReadError::NotAFile(what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_the_same_photo() {
        assert_eq!(
            ContentId::of(b"abc").to_string(),
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
        let id = ContentId::of(b"abc");
        assert_eq!(id.to_string().parse(), Ok(id));
        for odd in ["", "64", &"zz".repeat(32), &"é".repeat(32)] {
            assert_eq!(odd.parse::<ContentId>(), Err(NotAnId));
        }
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0; 100]).unwrap();
        assert!(matches!(read(file.path(), 99), Err(ReadError::TooLarge { .. })));
        assert_eq!(read(file.path(), 100).unwrap().bytes.len(), 100);
        assert!(matches!(content(file.path(), 99), Err(ReadError::TooLarge { .. })));
        assert_eq!(content(file.path(), 100).unwrap(), ContentId::of(&[0; 100]));
    }

    #[cfg(unix)]
    #[test]
    fn an_edit_that_restores_size_and_time_still_changes_the_stamp() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"one").unwrap();
        let before = stamp(file.path()).unwrap();
        let modified = file.as_file().metadata().unwrap().modified().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(file.path(), b"two").unwrap();
        file.as_file().set_modified(modified).unwrap();
        let after = stamp(file.path()).unwrap();
        assert_eq!((before.size, before.modified_ns), (after.size, after.modified_ns));
        assert_ne!(before, after);
    }
}
