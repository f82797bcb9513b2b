//! A person's decisions, stored by the photo's picture and by its bytes. The table is append-only: the latest row about a
//! photo is in force, and taking a decision back appends a row as well, so that no decision is ever lost.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::photo_id::{Decisions, PhotoId};
use super::rows::{Contents, StoredDecision};
use super::{Journal, JournalError, now_ms};
use base::platform::path_from_bytes;
use judge::select::Decision;

/// A decision to store; `None` takes back the one in force.
#[derive(Debug, Clone, Copy)]
pub struct NewDecision<'a> {
    pub photo: PhotoId,
    pub decision: Option<Decision>,
    /// The photo's path, only for display: the photo is recognised by its identity.
    pub path: &'a Path,
}

/// The decision in force about one photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionInForce {
    pub photo: PhotoId,
    pub decision: Decision,
    /// Milliseconds since 1970.
    pub decided_ms: i64,
    /// The photo's path when the decision was made.
    pub path: PathBuf,
}

/// A stored decision, in force or not; `None` withdrew an earlier one.
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
        Ok(decisions(&self.contents()?))
    }

    /// Returns the decisions in force, sorted by path.
    pub fn decisions_in_force(&self) -> Result<Vec<DecisionInForce>, JournalError> {
        let (mut contents, mut pictures) = (HashSet::new(), HashSet::new());
        let is_latest = |stored: &StoredDecision| {
            let is_new_content = contents.insert(stored.photo.content);
            stored.photo.picture.is_none_or(|picture| pictures.insert(picture)) && is_new_content
        };
        let latest: Vec<StoredDecision> = self.contents()?.decisions.into_iter().rev().filter(is_latest).collect();
        let mut in_force: Vec<_> = latest.into_iter().filter_map(StoredDecision::in_force).collect();
        in_force.sort_by(|a, b| a.path.cmp(&b.path).then(a.photo.content.cmp(&b.photo.content)));
        Ok(in_force)
    }

    /// Returns all decisions ever stored, oldest first.
    pub fn log(&self) -> Result<Vec<Logged>, JournalError> {
        Ok(self.contents()?.decisions.into_iter().map(StoredDecision::logged).collect())
    }

    /// Stores all decisions or none. A decision that is in force already is not written again. Returns all decisions that
    /// are in force then, those of other processes, too.
    pub fn decide(&mut self, new_decisions: &[NewDecision]) -> Result<Decisions, JournalError> {
        let decided_ms = now_ms();
        self.change(|transaction, contents| {
            let mut id = contents.decisions.len();
            let mut current = decisions(&contents);
            for &NewDecision { photo, decision, path } in new_decisions {
                if current.take(photo, decision) {
                    id += 1;
                    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                    let path = path.into_os_string().into_encoded_bytes();
                    StoredDecision { photo, decision, decided_ms, path }.put(transaction, id)?;
                }
            }
            Ok(current)
        })
    }
}

fn decisions(contents: &Contents) -> Decisions {
    let mut decisions = Decisions::default();
    let reset_ms = contents.reset_ms();
    let mut is_before_reset = reset_ms.is_some();
    for stored in &contents.decisions {
        if is_before_reset && reset_ms.is_some_and(|reset_ms| stored.decided_ms > reset_ms) {
            decisions.learn_from_here();
            is_before_reset = false;
        }
        decisions.record(stored.photo, stored.decision);
    }
    if is_before_reset {
        decisions.learn_from_here();
    }
    decisions
}

impl StoredDecision {
    fn in_force(self) -> Option<DecisionInForce> {
        let Logged { photo, decision, decided_ms, path } = self.logged();
        Some(DecisionInForce { photo, decision: decision?, decided_ms, path })
    }

    fn logged(self) -> Logged {
        let Self { photo, decision, decided_ms, path: bytes } = self;
        Logged { photo, decision, decided_ms, path: path_from_bytes(bytes) }
    }
}
