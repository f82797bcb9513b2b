//! Decisions, by the photo's content. The table only grows: the last word about a photo holds, and a clearing is a word
//! as well, so that nothing a person ever said is lost.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::{Journal, JournalError, now_ms};
use crate::photo::identity::ContentId;
use crate::select::Decision;

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

/// The last word about each photo.
const IN_FORCE: &str = "SELECT content, word, decided_ms, path FROM decision
     WHERE id IN (SELECT max(id) FROM decision GROUP BY content) AND word IS NOT NULL";

impl Journal {
    pub fn decisions(&self) -> Result<HashMap<ContentId, Decision>, JournalError> {
        Ok(self.decided()?.into_iter().map(|decided| (decided.content, decided.decision)).collect())
    }

    /// In the order of paths.
    pub fn decided(&self) -> Result<Vec<Decided>, JournalError> {
        let read = || -> rusqlite::Result<Vec<Decided>> {
            let mut statement = self.connection.prepare(IN_FORCE)?;
            let rows = statement.query_map([], |row| {
                Ok(Decided {
                    content: ContentId(row.get(0)?),
                    decision: decision(&row.get::<_, String>(1)?),
                    decided_ms: row.get(2)?,
                    path: path(row.get(3)?),
                })
            })?;
            rows.collect()
        };
        let mut decided = read().map_err(self.failed("cannot be read"))?;
        decided.sort_by(|a, b| a.path.cmp(&b.path).then(a.content.cmp(&b.content)));
        Ok(decided)
    }

    /// All of them, or none. What holds already is not written again.
    pub fn decide(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        let now = now_ms();
        self.change(|transaction| {
            let mut standing =
                transaction.prepare("SELECT word FROM decision WHERE content = ?1 ORDER BY id DESC LIMIT 1")?;
            let mut add = transaction
                .prepare("INSERT INTO decision (content, word, decided_ms, path) VALUES (?1, ?2, ?3, ?4)")?;
            for entry in entries {
                let wish = entry.decision.map(word);
                let before: Option<Option<String>> =
                    standing.query_row([entry.content.0], |row| row.get(0)).optional()?;
                if before.flatten().as_deref() != wish {
                    let path = std::path::absolute(entry.path).unwrap_or_else(|_| entry.path.to_owned());
                    add.execute(params![entry.content.0, wish, now, path.as_os_str().as_encoded_bytes()])?;
                }
            }
            Ok(())
        })
    }
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Keep => "keep",
        Decision::Reject => "reject",
    }
}

/// The layout says that there is no third word.
fn decision(word: &str) -> Decision {
    if word == "keep" { Decision::Keep } else { Decision::Reject }
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
