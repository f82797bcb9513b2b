//! Reads files other than photos. A file that was found in a folder or referred to by another file must be regular and
//! no longer than the limit for its kind. A file that the user named as an input (a list, records, configuration) may
//! also be a pipe. Opening never waits for another program, and reading ends when the run is asked to stop.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use crate::platform::open_without_waiting;

/// The limit for sidecars. The longest ones contain painted masks of some megabytes.
pub const SIDECAR: u64 = 16 << 20;
/// The limit for short texts: configuration, manifests, recipes, notes.
pub const TEXT: u64 = 1 << 20;
/// The limit for lists of files and label files, which may have millions of lines.
pub const LIST: u64 = 256 << 20;
/// The limit for models and checkpoints that are read into memory.
pub const MODEL: u64 = 8 << 30;
/// The limit for a line of JSON Lines. The longest contain an embedding and dozens of faces.
const LINE: usize = 16 << 20;

#[derive(Debug, Error)]
enum ReadError {
    #[error("not a regular file but {0}")]
    NotAFile(&'static str),
    #[error("longer than {}, the limit for a {what} of this kind", size(*most))]
    TooLong { most: u64, what: &'static str },
    #[error("interrupted")]
    Stopped,
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= 1 << 30 { (1 << 30, "GB") } else { (1 << 20, "MB") };
    format!("{} {name}", bytes / unit)
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match error {
            ReadError::NotAFile(_) => io::ErrorKind::InvalidInput,
            ReadError::TooLong { .. } => io::ErrorKind::FileTooLarge,
            // Not `Interrupted`, because `read_to_end` retries after that.
            ReadError::Stopped => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Whether reading ended because the run was asked to stop.
pub fn was_stopped(error: &io::Error) -> bool {
    matches!(error.get_ref().and_then(|cause| cause.downcast_ref()), Some(ReadError::Stopped))
}

/// Names the kind of a file that is not regular; `None` for a regular file.
pub fn other_than_a_file(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
        if kind.is_block_device() || kind.is_char_device() {
            return Some("a device");
        }
    }
    Some(if kind.is_dir() { "a folder" } else { "something else" })
}

/// Opens a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    open_if(path, |metadata| other_than_a_file(metadata).map_or(Ok(()), |what| Err(ReadError::NotAFile(what))))
}

/// Reads a regular file of at most `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Err(ReadError::TooLong { most, what: "file" }.into());
    }
    read_limited(file, length as usize, most)
}

/// Reads a regular file of UTF-8 text of at most `most` bytes.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    read(path, most).and_then(text)
}

/// Checks the metadata before opening, because opening some devices has side effects, and again after opening.
fn open_if(path: &Path, check: impl Fn(&Metadata) -> Result<(), ReadError>) -> io::Result<File> {
    if let Ok(metadata) = fs::metadata(path) {
        check(&metadata)?;
    }
    let file = open_without_waiting(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn read_limited(reader: impl Read, expected: usize, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(expected);
    // One byte more than allowed shows that the file is too long, even if it grew while it was read.
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(ReadError::TooLong { most, what: "file" }.into());
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// An input that may be slow: standard input, a pipe, a large file. Reading fails when the run is asked to stop
/// ([`was_stopped`]), even while no data arrive.
#[derive(Debug)]
pub struct Stream<'a> {
    source: Source,
    stop: &'a AtomicBool,
}

#[derive(Debug)]
enum Source {
    StandardInput(io::Stdin),
    File(File),
}

impl<'a> Stream<'a> {
    /// Reads standard input. Nothing else may read it, because the stream reads ahead.
    pub fn standard_input(stop: &'a AtomicBool) -> Self {
        Self { source: Source::StandardInput(io::stdin()), stop }
    }

    /// Opens a file that the user named as an input; pipes and terminals are allowed.
    pub fn open(path: &Path, stop: &'a AtomicBool) -> io::Result<Self> {
        open_if(path, readable_once).map(|file| Self::of(file, stop))
    }

    /// Reads a file opened by this module.
    pub fn of(file: File, stop: &'a AtomicBool) -> Self {
        Self { source: Source::File(file), stop }
    }

    pub fn bytes(self, most: u64) -> io::Result<Vec<u8>> {
        read_limited(self, 0, most)
    }

    pub fn text(self, most: u64) -> io::Result<String> {
        self.bytes(most).and_then(text)
    }

    pub fn lines(self) -> Lines<'a> {
        Lines { reader: io::BufReader::new(self), failed: false }
    }

    fn refuse_when_stopped(&self) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(ReadError::Stopped.into()) } else { Ok(()) }
    }

    /// Waits until there is data to read or the end is reached.
    #[cfg(unix)]
    fn wait(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        const POLL_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let mut watched = [match &self.source {
            Source::StandardInput(input) => PollFd::new(input, PollFlags::IN),
            Source::File(file) => PollFd::new(file, PollFlags::IN),
        }];
        loop {
            self.refuse_when_stopped()?;
            match poll(&mut watched, Some(&POLL_INTERVAL)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(not(unix))]
    fn wait(&self) -> io::Result<()> {
        self.refuse_when_stopped()
    }
}

#[cfg(unix)]
fn readable_once(metadata: &Metadata) -> Result<(), ReadError> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    match other_than_a_file(metadata) {
        Some(what) if !(kind.is_fifo() || kind.is_char_device()) => Err(ReadError::NotAFile(what)),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn readable_once(metadata: &Metadata) -> Result<(), ReadError> {
    other_than_a_file(metadata).map_or(Ok(()), |what| Err(ReadError::NotAFile(what)))
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait()?;
            let read = match &mut self.source {
                #[cfg(unix)]
                // Bypasses the standard library's buffer, which `wait` cannot check.
                Source::StandardInput(input) => rustix::io::read(input, &mut *buffer).map_err(io::Error::from),
                #[cfg(not(unix))]
                Source::StandardInput(input) => input.read(buffer),
                Source::File(file) => file.read(buffer),
            };
            match read {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }
}

/// An iterator over lines of UTF-8 text of limited length.
#[derive(Debug)]
pub struct Lines<'a> {
    reader: io::BufReader<Stream<'a>>,
    failed: bool,
}

impl<'a> Lines<'a> {
    /// The next bytes, without consuming them; empty at the end.
    pub fn peek(&mut self) -> io::Result<&[u8]> {
        use io::BufRead as _;
        self.reader.fill_buf()
    }

    /// The remaining input as bytes.
    pub fn into_rest(self) -> io::BufReader<Stream<'a>> {
        self.reader
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        use io::BufRead as _;
        let mut line = Vec::new();
        (&mut self.reader).take(LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if line.len() > LINE {
            return Err(ReadError::TooLong { most: LINE as u64, what: "line" }.into());
        }
        if line.is_empty() {
            return Ok(None);
        }
        let ending = if line.ends_with(b"\r\n") { 2 } else { usize::from(line.ends_with(b"\n")) };
        line.truncate(line.len() - ending);
        text(line).map(Some)
    }
}

impl Iterator for Lines<'_> {
    type Item = io::Result<String>;

    /// Ends after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        let line = if self.failed { None } else { self.line().transpose() };
        self.failed |= matches!(line, Some(Err(_)));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    #[test]
    fn a_file_longer_than_its_limit_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a\r\nb\n\nc").unwrap();
        assert_eq!(read(file.path(), 7).unwrap(), b"a\r\nb\n\nc");
        let error = read(file.path(), 6).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let lines: Vec<String> = Stream::open(file.path(), &GO_ON).unwrap().lines().collect::<io::Result<_>>().unwrap();
        assert_eq!(lines, ["a", "b", "", "c"]);
        fs::write(file.path(), b"\xff\n").unwrap();
        assert!(read_text(file.path(), 9).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_not_regular_is_refused_by_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, what) in [(folder.path(), "a folder"), (&socket, "a socket"), (Path::new("/dev/null"), "a device")] {
            assert_eq!(open(path).unwrap_err().to_string(), format!("not a regular file but {what}"));
        }
        assert!(Stream::open(folder.path(), &GO_ON).is_err());
        assert_eq!(Stream::open(Path::new("/dev/null"), &GO_ON).unwrap().bytes(0).unwrap(), b"");
        assert!(Stream::open(Path::new("/dev/zero"), &GO_ON).unwrap().bytes(1000).is_err());
        let mut lines = Stream::open(Path::new("/dev/zero"), &GO_ON).unwrap().lines();
        assert!(lines.next().unwrap().is_err() && lines.next().is_none());
    }
}
