//! The folders and URLs in which tasks may read and write, from `node executor --share`.

use std::io;
use std::path::{Component, Path, PathBuf};

use object_store::path::Path as Key;
use url::Url;

use crate::input::is_remote;
use crate::stores;

/// The prefix of the error that a client parses from the text of a failed job.
pub const OUTSIDE: &str = "albumctl: outside the shares: ";
const UNSHARED: &str = "is in no share of the executor";

/// Folders and prefixes of stores. If empty, nothing may be read or written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Shares {
    anywhere: bool,
    folders: Vec<PathBuf>,
    stores: Vec<(String, Key)>,
}

impl Shares {
    /// Folders must exist: links are resolved now.
    pub fn new<'a>(named: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut shares = Self::default();
        for share in named {
            let wrong = |cause: &dyn std::fmt::Display| format!("--share {share}: {cause}");
            if is_remote(Path::new(share)) {
                shares.stores.push(in_store(share).map_err(|cause| wrong(&cause))?);
                continue;
            }
            let folder = std::fs::canonicalize(share).map_err(|error| wrong(&error))?;
            if !folder.is_dir() {
                return Err(wrong(&"not a folder"));
            }
            shares.folders.push(folder);
        }
        Ok(shares)
    }

    /// Allows every path.
    pub fn anywhere() -> Self {
        Self { anywhere: true, ..Self::default() }
    }

    /// Returns `path` without links if it is in a share.
    pub fn allow(&self, path: &Path) -> Result<PathBuf, String> {
        if self.anywhere {
            return Ok(path.to_owned());
        }
        let refused = |why: &str| outside(&path.display(), why);
        if is_remote(path) {
            let (root, key) = in_store(&path.to_string_lossy()).map_err(|cause| refused(&format!("({cause})")))?;
            return self.allow_object(&root, &key).map(|()| path.to_owned());
        }
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(refused("is no absolute path without `..`"));
        }
        let real = without_links(path).map_err(|error| refused(&format!("({error})")))?;
        if self.folders.iter().any(|folder| real.starts_with(folder)) { Ok(real) } else { Err(refused(UNSHARED)) }
    }

    /// The same for a key of the store at `root`, such as `s3://bucket`.
    pub fn allow_object(&self, root: &str, key: &Key) -> Result<(), String> {
        let holds = |(share, prefix): &(String, Key)| share == root && key.prefix_matches(prefix);
        let allowed = self.anywhere || self.stores.iter().any(holds);
        if allowed { Ok(()) } else { Err(outside(&format_args!("{root}/{key}"), UNSHARED)) }
    }
}

fn outside(path: &dyn std::fmt::Display, why: &str) -> String {
    format!("{OUTSIDE}{path} {why}; name what holds it when the executor is started: --share DIR|URL")
}

/// Splits an address into store and key; keys may not contain `.` or `..`.
fn in_store(address: &str) -> Result<(String, Key), String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let (_, key) = stores::place(address).map_err(|error| error.to_string())?;
    Ok((url[..url::Position::BeforePath].to_owned(), key))
}

/// Resolves all links; the part of a path that does not exist yet is kept as it is.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    let mut there = path;
    loop {
        // A broken link exists, and writing through it could end up anywhere.
        match there.symlink_metadata() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        there = there.parent().ok_or(io::ErrorKind::NotFound)?;
    }
    let behind = path.strip_prefix(there).map_err(io::Error::other)?;
    let real = there.canonicalize()?;
    Ok(if behind.as_os_str().is_empty() { real } else { real.join(behind) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_lies_in_a_share_is_allowed_whatever_it_is_called() {
        let world = tempfile::tempdir().unwrap();
        let at = |name: &str| world.path().join(name);
        fs::create_dir_all(at("share/inner")).unwrap();
        fs::create_dir_all(at("shared")).unwrap();
        fs::write(at("secret"), "s").unwrap();
        fs::write(at("share/inner/own"), "o").unwrap();
        symlink(at("secret"), at("share/link")).unwrap();
        symlink(at("shared"), at("share/folder")).unwrap();
        symlink(at("nowhere"), at("share/dangling")).unwrap();
        symlink(at("share/inner/own"), at("share/fine")).unwrap();
        symlink(at("share"), at("alias")).unwrap();
        let shares = Shares::new([at("alias").to_str().unwrap()]).unwrap();
        let real = at("share").canonicalize().unwrap();
        for (name, is) in [
            ("share", ""),
            ("share/inner/own", "inner/own"),
            ("alias/inner/own", "inner/own"),
            ("share/fine", "inner/own"),
            ("share/new/part.parquet", "new/part.parquet"),
        ] {
            assert_eq!(shares.allow(&at(name)).unwrap(), real.join(is), "{name}");
        }
        let secret = at("share/../secret");
        let outside = ["secret", "shared", "shared/x", "share/link", "share/folder/x", "share/dangling", "nowhere/x"];
        for path in outside.map(at).iter().chain([&secret]) {
            let told = shares.allow(path).unwrap_err();
            assert!(told.contains(&path.display().to_string()) && told.contains("--share"), "{told}");
        }
        for path in ["share/inner/own", "file:///etc/passwd", "s3://bucket/share/x", ""] {
            shares.allow(Path::new(path)).unwrap_err();
        }
        assert_eq!(Shares::anywhere().allow(&at("share/link")).unwrap(), at("share/link"));
        Shares::default().allow(&at("share/inner/own")).unwrap_err();
    }

    #[test]
    fn prefixes_of_stores_are_whole_names() {
        let shares = Shares::new(["s3://bucket/album", "https://photos.example/a/"]).unwrap();
        for within in ["s3://bucket/album", "s3://bucket/album/1/a b#.jpg", "https://photos.example/a/b.jpg"] {
            assert_eq!(shares.allow(Path::new(within)).unwrap(), Path::new(within));
        }
        for outside in [
            "s3://bucket/album2/x",
            "s3://bucket",
            "s3://other/album/x",
            "s3://bucket/album/../other/x",
            "https://photos.example/a/../b.jpg",
            "https://photos.example/a/%2e%2e/b.jpg",
            "http://photos.example/a/b.jpg",
            "https://photos.example:444/a/b.jpg",
            "/album/x",
        ] {
            assert!(shares.allow(Path::new(outside)).unwrap_err().contains("--share"), "{outside}");
        }
        let told = shares.allow(Path::new("s3://bucket/album2/x")).unwrap_err();
        assert!(told.contains("s3://bucket/album2/x"), "{told}");
        assert!(Shares::new(["/nowhere/at/all"]).unwrap_err().contains("--share /nowhere/at/all"));
        assert!(Shares::new(["ftp://host/a"]).unwrap_err().contains("--share ftp://host/a"));
    }
}
