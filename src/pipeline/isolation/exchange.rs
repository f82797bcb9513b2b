//! The in-memory file that a worker process and its parent share. Every access names an offset, since the processes also
//! share the file's position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use base::pixels::Pixels;

#[derive(Debug)]
pub struct Exchange(File);

/// A larger file is emptied after each photo. A smaller one keeps its memory, which is expensive to allocate again.
const MAX_KEPT_BYTES: u64 = 64 << 20;

impl Exchange {
    pub fn new() -> io::Result<Self> {
        // A file size limit applies to in-memory files, too, and pixels are large.
        if rustix::process::getrlimit(rustix::process::Resource::Fsize).current.is_some() {
            return Err(io::Error::other("the size of files is limited (ulimit -f)"));
        }
        #[cfg(target_os = "linux")]
        let file = File::from(rustix::fs::memfd_create("albumctl photo", rustix::fs::MemfdFlags::CLOEXEC)?);
        #[cfg(not(target_os = "linux"))]
        let file = tempfile::tempfile()?;
        Ok(Self(file))
    }

    pub fn of(file: File) -> Self {
        Self(file)
    }

    /// The same file, for another process.
    pub fn file(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    pub fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    /// `None` where the file is shorter.
    pub fn read(&self, at: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
        if at.checked_add(length).is_none_or(|end| self.0.metadata().is_ok_and(|file| end > file.len())) {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.0.read_exact_at(&mut bytes, at)?;
        Ok(Some(bytes))
    }

    pub fn pixels(&self, at: u64, width: u32, height: u32) -> io::Result<Option<Pixels>> {
        let length = u64::from(width) * u64::from(height) * 3;
        Ok(self.read(at, length)?.and_then(|data| Pixels::new(width, height, data)))
    }

    pub fn shrink(&self) -> io::Result<()> {
        if self.0.metadata()?.len() > MAX_KEPT_BYTES { self.0.set_len(0) } else { Ok(()) }
    }
}
