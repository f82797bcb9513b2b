//! Decisions, by the photo's picture and its bytes. The table only grows: the last word about a photo holds, and a clearing
//! is a word as well, so that nothing a person ever said is lost.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::photo_id::{Decisions, PhotoId};
use super::rows::Said;
use super::{Journal, JournalError, now_ms};
use judge::select::Decision;

/// One thing to write down; `None` takes back what was decided.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub photo: PhotoId,
    pub decision: Option<Decision>,
    /// Where the photo lay, to show a person; it is found again by what it shows.
    pub path: &'a Path,
}

/// What holds about one photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub photo: PhotoId,
    pub decision: Decision,
    /// Milliseconds since 1970.
    pub decided_ms: i64,
    /// Where the photo lay when this was decided.
    pub path: PathBuf,
}

/// One thing that was ever said; `None` took back what was decided before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub photo: PhotoId,
    pub decision: Option<Decision>,
    /// Milliseconds since 1970.
    pub decided_ms: i64,
    /// Where the photo lay then.
    pub path: PathBuf,
}

impl Journal {
    pub fn decisions(&self) -> Result<Decisions, JournalError> {
        Ok(decisions(&self.contents()?.said))
    }

    /// In the order of paths.
    pub fn decided(&self) -> Result<Vec<Decided>, JournalError> {
        let (mut contents, mut pictures) = (HashSet::new(), HashSet::new());
        let last_word = |said: &Said| {
            let content = contents.insert(said.photo.content);
            said.photo.picture.is_none_or(|picture| pictures.insert(picture)) && content
        };
        let in_force: Vec<Said> = self.contents()?.said.into_iter().rev().filter(last_word).collect();
        let mut decided: Vec<_> = in_force.into_iter().filter_map(Said::decided).collect();
        decided.sort_by(|a, b| a.path.cmp(&b.path).then(a.photo.content.cmp(&b.photo.content)));
        Ok(decided)
    }

    /// In the order in which it was said.
    pub fn log(&self) -> Result<Vec<Logged>, JournalError> {
        Ok(self.contents()?.said.into_iter().map(Said::logged).collect())
    }

    /// All of them, or none. What holds already is not written again.
    pub fn decide(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let decided_ms = now_ms();
        self.change(|transaction, contents| {
            let mut id = contents.said.len();
            let mut standing = decisions(&contents.said);
            for &Entry { photo, decision, path } in entries {
                let holds = standing.of(Some(photo.content), photo.picture) == decision;
                if !holds || standing.hangs_on_bytes(photo) {
                    standing.say(photo, decision);
                    id += 1;
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                    let path = path.into_os_string().into_encoded_bytes();
                    Said { photo, decision, decided_ms, path }.put(transaction, id)?;
                }
            }
            Ok(())
        })
    }
}

fn decisions(said: &[Said]) -> Decisions {
    let mut decisions = Decisions::default();
    said.iter().for_each(|said| decisions.say(said.photo, said.decision));
    decisions
}

impl Said {
    fn decided(self) -> Option<Decided> {
        let Logged { photo, decision, decided_ms, path } = self.logged();
        Some(Decided { photo, decision: decision?, decided_ms, path })
    }

    fn logged(self) -> Logged {
        let Self { photo, decision, decided_ms, path: bytes } = self;
        Logged { photo, decision, decided_ms, path: path(bytes) }
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
