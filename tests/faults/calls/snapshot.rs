//! A whole folder in memory, to be compared and put back.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Folder,
    Link(PathBuf),
    File { bytes: Vec<u8>, modified: SystemTime, accessed: SystemTime },
}

impl Node {
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::File { bytes, .. } = self { Some(bytes) } else { None }
    }

    /// Read perhaps, but not written.
    pub fn is_untouched_since(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::File { bytes, modified, .. }, Self::File { bytes: old, modified: then, .. }) => {
                bytes == old && modified == then
            }
            _ => self == older,
        }
    }

    /// Content alone: two runs write the same at different times.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { bytes, .. }, Self::File { bytes: others, .. }) => bytes == others,
            _ => self == other,
        }
    }
}

/// Without changing when it was read last: a hard link elsewhere is the photo itself.
fn read_unnoticed(path: &Path) -> Vec<u8> {
    #[cfg(target_os = "linux")]
    let flags = rustix::fs::OFlags::NOATIME.bits().cast_signed();
    #[cfg(not(target_os = "linux"))]
    let flags = 0;
    let mut bytes = Vec::new();
    File::options().read(true).custom_flags(flags).open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// By path below the folder.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(pub BTreeMap<PathBuf, Node>);

impl Snapshot {
    pub fn take(root: &Path) -> Self {
        let mut snapshot = Self::default();
        snapshot.walk(root, Path::new(""));
        snapshot
    }

    fn walk(&mut self, root: &Path, below: &Path) {
        for entry in fs::read_dir(root.join(below)).unwrap() {
            let name = below.join(entry.unwrap().file_name());
            let path = root.join(&name);
            let metadata = fs::symlink_metadata(&path).unwrap();
            let node = if metadata.is_dir() {
                self.walk(root, &name);
                Node::Folder
            } else if metadata.is_symlink() {
                Node::Link(fs::read_link(&path).unwrap())
            } else {
                let (modified, accessed) = (metadata.modified().unwrap(), metadata.accessed().unwrap());
                Node::File { bytes: read_unnoticed(&path), modified, accessed }
            };
            self.0.insert(name, node);
        }
    }

    pub fn put_back(&self, root: &Path) {
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
        }
        for (name, node) in &self.0 {
            let path = root.join(name);
            match node {
                Node::Folder => fs::create_dir(&path).unwrap(),
                Node::Link(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
                Node::File { bytes, modified, accessed } => {
                    fs::write(&path, bytes).unwrap();
                    let times = FileTimes::new().set_modified(*modified).set_accessed(*accessed);
                    File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
                }
            }
        }
    }

    /// Without what has its own promises: the results store, the journal, scratch files, what is remembered of model files.
    pub fn visible(mut self) -> Self {
        let hidden = |path: &Path| {
            path.starts_with("home/.cache")
                || path.starts_with("tmp")
                || path.starts_with("home/.local/share/albumctl/running")
                || path.starts_with("home/.local/share/albumctl/models/notes")
                || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("journal.sqlite"))
        };
        self.0.retain(|path, node| *node != Node::Folder && !hidden(path));
        self
    }
}
