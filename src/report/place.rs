//! Checks on output files: only a new file or results of an earlier run may be written. Photos, models and files that the
//! run reads are never replaced.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use base::atomic::{folder_of, found};
use photo::identity::open_untouched;
use photo::sniff;

/// The kind of content to be written, which decides what counts as results of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Lines, tables, pages, scripts.
    Text,
    Parquet,
    Npy,
    /// A safetensors file whose metadata has a key with this prefix, or a configuration with this `made_by`.
    Model(&'static str),
    /// Content that never replaces an existing file.
    New,
}

#[derive(Debug, Error)]
pub enum PlaceError {
    #[error("{}: {what} is there, and albumctl replaces only its own earlier results", path.display())]
    Foreign { path: PathBuf, what: String },
    #[error("{}: exists already, and nothing is overwritten", path.display())]
    Exists { path: PathBuf },
    #[error("{}: this run reads it, and cannot write its results over it", path.display())]
    Input { path: PathBuf },
    #[error("{} and {} would be the same file", flags[0], flags[1])]
    Twice { flags: [String; 2] },
}

/// Checks that the path is free or may be replaced.
pub fn check(path: &Path, content: Content) -> Result<(), PlaceError> {
    let unseen = |error: io::Error| {
        let what = format!("something that cannot be looked at ({error})");
        PlaceError::Foreign { path: path.to_owned(), what }
    };
    if content == Content::New {
        return match path.symlink_metadata() {
            Ok(_) => Err(PlaceError::Exists { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unseen(error)),
        };
    }
    if found(path).map_err(unseen)?.is_none_or(|there| !there.is_file() || there.len() == 0) {
        return Ok(());
    }
    match head(path).and_then(|head| Ok((is_earlier(&head, path, content)?, head))) {
        Ok((true, _)) => Ok(()),
        Ok((false, head)) => Err(PlaceError::Foreign { path: path.to_owned(), what: name(&head) }),
        Err(error) => {
            let what = format!("a file that cannot be looked into ({error})");
            Err(PlaceError::Foreign { path: path.to_owned(), what })
        }
    }
}

/// The number of bytes read to recognise a file.
const HEAD_BYTES: u64 = 1 << 13;

/// Reads the beginning of a file without changing its access time.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    open_untouched(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

fn is_earlier(head: &[u8], path: &Path, content: Content) -> io::Result<bool> {
    Ok(match content {
        Content::Text => is_text(head) && sniff(head).is_none() && !is_sidecar(head),
        Content::Parquet => head.starts_with(b"PAR1"),
        Content::Npy => head.starts_with(b"\x93NUMPY"),
        Content::Model(mark) => match has_mark(path, mark) {
            // A system error says nothing about the file's content; any other error means that it is no such model.
            Err(error) if error.raw_os_error().is_some() => return Err(error),
            found => found.unwrap_or(false),
        },
        Content::New => false,
    })
}

/// Whether it is UTF-8 without NUL, as all text outputs are, and photos, films, archives and models are not.
fn is_text(head: &[u8]) -> bool {
    let whole = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character may be cut off.
        Err(error) => error.error_len().is_none() && head.len() as u64 == HEAD_BYTES,
    };
    whole && !head.contains(&0)
}

fn is_sidecar(head: &[u8]) -> bool {
    head.windows(10).any(|window| window == b"<x:xmpmeta")
}

/// Whether the metadata of a safetensors file says that albumctl made it.
fn has_mark(path: &Path, mark: &str) -> io::Result<bool> {
    let mut file = open_untouched(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let mut header = Vec::new();
    // No header of albumctl's is longer; a false length reads at most to the end of the file.
    file.take(u64::from_le_bytes(length).min(1 << 24)).read_to_end(&mut header)?;
    let header: serde_json::Value = serde_json::from_slice(&header).map_err(io::Error::other)?;
    let Some(entries) = header.get("__metadata__").and_then(serde_json::Value::as_object) else { return Ok(false) };
    let config = entries.get("config").and_then(|text| serde_json::from_str::<serde_json::Value>(text.as_str()?).ok());
    let by_us = config.is_some_and(|config| config["made_by"] == mark);
    Ok(by_us || entries.keys().any(|key| key.starts_with(mark)))
}

/// A description of a foreign file, for the message.
fn name(head: &[u8]) -> String {
    if let Some(kind) = sniff(head) {
        return format!("a photo ({})", kind.name());
    }
    let known = [
        (0, &b"PAR1"[..], "a Parquet file"),
        (0, b"\x93NUMPY", "an npy file"),
        (0, b"PK\x03\x04", "a zip archive or a model (.pt)"),
        (0, b"\x80\x02", "a model (pickle)"),
        (4, b"TFL3", "a model (TensorFlow Lite)"),
        (4, b"ftyp", "a film"),
        (8, b"{\"", "a model (safetensors)"),
    ];
    let found = known.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    let what = match found {
        _ if is_sidecar(head) => "an XMP sidecar",
        Some((_, _, what)) => what,
        None if is_text(head) => "a text",
        None => "a file of another kind",
    };
    what.to_owned()
}

/// The identity of a file, independent of the name by which it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    #[cfg(unix)]
    Inode(u64, u64),
    Name(PathBuf),
}

impl Identity {
    fn of(path: &Path) -> Self {
        #[cfg(unix)]
        if let Ok(there) = fs::metadata(path) {
            return Self::of_metadata(&there);
        }
        let folder = fs::canonicalize(folder_of(path)).unwrap_or_else(|_| folder_of(path).to_owned());
        Self::Name(fs::canonicalize(path).unwrap_or_else(|_| folder.join(path.file_name().unwrap_or(OsStr::new("")))))
    }

    #[cfg(unix)]
    fn of_metadata(there: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self::Inode(there.dev(), there.ino())
    }
}

/// The files that a run will write, checked before there is anything to write.
#[derive(Debug, Default)]
pub struct Outputs {
    files: Vec<Output>,
}

#[derive(Debug)]
struct Output {
    /// The option and path for the message, such as `-o results.jsonl`.
    typed: String,
    identity: Identity,
    there: bool,
}

impl Outputs {
    /// Adds an output named by `flag`, unless it is a pipe or a device.
    pub fn add(&mut self, flag: &str, path: &Path, content: Content) -> Result<(), PlaceError> {
        if path == Path::new("-") || path.metadata().is_ok_and(|there| !there.is_file()) {
            return Ok(());
        }
        check(path, content)?;
        let (typed, identity) = (format!("{flag} {}", path.display()), Identity::of(path));
        if let Some(same) = self.files.iter().find(|file| file.identity == identity) {
            return Err(PlaceError::Twice { flags: [same.typed.clone(), typed] });
        }
        self.files.push(Output { typed, identity, there: !matches!(found(path), Ok(None)) });
        Ok(())
    }

    /// Refuses an input that is also an output.
    pub fn spare(&self, input: &Path) -> Result<(), PlaceError> {
        // The check is skipped where no output exists yet, as in most runs.
        if self.files.iter().any(|file| file.there) && self.lead_to(&Identity::of(input)) {
            return Err(PlaceError::Input { path: input.to_owned() });
        }
        Ok(())
    }

    /// Refuses standard input if it is redirected from an output.
    pub fn spare_stdin(&self) -> Result<(), PlaceError> {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd;
            let stdin = io::stdin().as_fd().try_clone_to_owned().and_then(|stdin| fs::File::from(stdin).metadata());
            if stdin.is_ok_and(|stdin| self.lead_to(&Identity::of_metadata(&stdin))) {
                return Err(PlaceError::Input { path: PathBuf::from("standard input") });
            }
        }
        Ok(())
    }

    fn lead_to(&self, identity: &Identity) -> bool {
        self.files.iter().any(|file| file.identity == *identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_replace(content: &[u8], by: Content) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("there");
        fs::write(&path, content).unwrap();
        check(&path, by).is_ok()
    }

    #[test]
    fn lines_replace_text_and_nothing_else() {
        let letters = "ä".repeat(HEAD_BYTES as usize);
        let cut = format!("x{letters}");
        for text in ["", "{\"image_path\":\"a.jpg\"}\n", "rank,path\n", "<!doctype html>", &letters, &cut] {
            assert!(may_replace(text.as_bytes(), Content::Text), "{text:.20}");
        }
        let sidecar = br#"<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>"#;
        let others: [&[u8]; 7] = [
            b"\xff\xd8\xff\xe0",
            b"\0\0\0\x14ftypqt  ",
            b"PK\x03\x04\x14\0\0",
            b"\x80\x02}q",
            b"PAR1\x15\0",
            b"caf\xe9",
            sidecar,
        ];
        for other in others {
            assert!(!may_replace(other, Content::Text), "{other:?}");
        }
    }

    #[test]
    fn tables_and_models_replace_their_like() {
        let model = |entry: &str| {
            let header = format!("{{\"__metadata__\":{{\"{entry}\":\"{{}}\"}}}}");
            [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
        };
        let clusters = Content::Model("albumctl.kmeans");
        assert!(may_replace(b"PAR1\x15", Content::Parquet) && !may_replace(b"\x93NUMPY", Content::Parquet));
        assert!(may_replace(b"\x93NUMPY\x01", Content::Npy) && !may_replace(b"{}", Content::Npy));
        assert!(may_replace(&model("albumctl.kmeans.1"), clusters) && may_replace(b"", clusters));
        for other in [&model("format")[..], b"\xff\xff\xff\xff\xff\xff\xff\xff{", b"x"] {
            assert!(!may_replace(other, clusters), "{other:?}");
        }
        assert!(!may_replace(b"", Content::New));
    }

    #[test]
    fn no_file_is_written_twice_and_none_that_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [new, old, linked] = ["new", "old", "linked"].map(|name| folder.path().join(name));
        fs::write(&old, "older results").unwrap();
        fs::hard_link(&old, &linked).unwrap();
        let mut outputs = Outputs::default();
        outputs.add("-o", &new, Content::Text).unwrap();
        let dotted = folder.path().join("./new");
        assert!(matches!(outputs.add("--report", &dotted, Content::Text), Err(PlaceError::Twice { .. })));
        outputs.add("--report", &old, Content::Text).unwrap();
        assert!(matches!(outputs.add("--telemetry", &linked, Content::Text), Err(PlaceError::Twice { .. })));
        assert!(matches!(outputs.spare(&linked), Err(PlaceError::Input { .. })));
        outputs.spare(&folder.path().join("another")).unwrap();
        outputs.add("-o", Path::new("/dev/null"), Content::Text).unwrap();
        outputs.add("--telemetry", Path::new("/dev/null"), Content::Text).unwrap();
    }
}
