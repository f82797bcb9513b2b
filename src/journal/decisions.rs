//! Decisions, by the photo's content. The table only grows: the last word about a photo holds, and a clearing is a word
//! as well, so that nothing a person ever said is lost.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::rows::Said;
use super::{Journal, JournalError, now_ms};
use judge::select::Decision;
use photo::identity::ContentId;

/// One thing to write down; `None` takes back what was decided.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub content: ContentId,
    pub decision: Option<Decision>,
    /// Where the photo lay, to show a person; it is found again by content.
    pub path: &'a Path,
}

/// What holds about one photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub content: ContentId,
    pub decision: Decision,
    /// Milliseconds since 1970.
    pub decided_ms: i64,
    /// Where the photo lay when this was decided.
    pub path: PathBuf,
}

impl Journal {
    pub fn decisions(&self) -> Result<HashMap<ContentId, Decision>, JournalError> {
        Ok(self.decided()?.into_iter().map(|decided| (decided.content, decided.decision)).collect())
    }

    /// In the order of paths.
    pub fn decided(&self) -> Result<Vec<Decided>, JournalError> {
        let said = self.contents()?.said.into_iter();
        let last: HashMap<ContentId, Said> = said.map(|said| (said.content, said)).collect();
        let in_force = last.into_values().filter_map(|Said { content, decision, decided_ms, path: bytes }| {
            Some(Decided { content, decision: decision?, decided_ms, path: path(bytes) })
        });
        let mut decided: Vec<_> = in_force.collect();
        decided.sort_by(|a, b| a.path.cmp(&b.path).then(a.content.cmp(&b.content)));
        Ok(decided)
    }

    /// All of them, or none. What holds already is not written again.
    pub fn decide(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let decided_ms = now_ms();
        self.change(|transaction, contents| {
            let mut id = contents.said.len();
            let mut standing: HashMap<ContentId, Option<Decision>> =
                contents.said.into_iter().map(|said| (said.content, said.decision)).collect();
            for &Entry { content, decision, path } in entries {
                if standing.insert(content, decision).flatten() != decision {
                    id += 1;
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                    let path = path.into_os_string().into_encoded_bytes();
                    Said { content, decision, decided_ms, path }.put(transaction, id)?;
                }
            }
            Ok(())
        })
    }
}

#[cfg(unix)]
fn path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
