//! The training data of a person's taste: photos as they were at the time of a decision, and pairs with a preference. Photos
//! are described in full, so that a taste outlives its albums. Both tables are append-only: the latest row about a photo or
//! pair counts. Only `taste reset` removes descriptions.

use std::collections::HashMap;

use super::example::TasteExample;
use super::photo_id::PhotoId;
use super::rows::{Contents, StoredPreference, remove_examples};
use super::{Journal, JournalError, now_ms};

/// A pair of photos: the one that a person prefers, and the other.
pub type PreferredPair = (PhotoId, PhotoId);

/// Everything a taste is learned from since the last reset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TasteMemory {
    /// The latest of each photo.
    pub examples: Vec<TasteExample>,
    pub pairs: Vec<PreferredPair>,
}

impl Journal {
    pub fn taste_memory(&self) -> Result<TasteMemory, JournalError> {
        Ok(memory(self.contents()?))
    }

    /// Stores examples, except those that are stored as they are.
    pub fn remember(&mut self, examples: &[TasteExample]) -> Result<(), JournalError> {
        self.change(|transaction, contents| {
            let id = contents.examples.len();
            let known = memory(contents);
            let new = known.without_known(examples);
            (id + 1..).zip(new).try_for_each(|(id, example)| example.put(transaction, id, now_ms()))
        })
    }

    /// Stores that a person prefers the first of two photos, or takes that back.
    pub fn prefer(&mut self, (better, worse): PreferredPair, is_withdrawn: bool) -> Result<(), JournalError> {
        let photos = Some((better, worse));
        self.change(|transaction, contents| {
            let row = StoredPreference { photos, is_withdrawn, told_ms: now_ms() };
            row.put(transaction, contents.preferences.len() + 1)
        })
    }

    /// Stores imported examples and pairs.
    pub fn import_taste(&mut self, imported: &TasteMemory) -> Result<(), JournalError> {
        self.remember(&imported.examples)?;
        self.change(|transaction, contents| {
            let id = contents.preferences.len();
            let known = memory(contents).pairs;
            let new = imported.pairs.iter().filter(|pair| !known.contains(pair));
            (id + 1..).zip(new).try_for_each(|(id, pair)| {
                StoredPreference { photos: Some(*pair), is_withdrawn: false, told_ms: now_ms() }.put(transaction, id)
            })
        })
    }

    /// Forgets all examples and pairs. Decisions stay in force, but nothing is learned from those made so far.
    pub fn reset_taste(&mut self) -> Result<(), JournalError> {
        self.change(|transaction, contents| {
            remove_examples(transaction)?;
            let row = StoredPreference { photos: None, is_withdrawn: true, told_ms: now_ms() };
            row.put(transaction, contents.preferences.len() + 1)
        })
    }
}

impl TasteMemory {
    /// The examples that are not stored as they are. The scene may differ: it changes with the album around it.
    pub fn without_known<'a>(&self, examples: &'a [TasteExample]) -> Vec<&'a TasteExample> {
        let known: HashMap<_, _> = self.examples.iter().map(|known| (known.photo.content, known)).collect();
        let is_new = |example: &&TasteExample| {
            known.get(&example.photo.content).is_none_or(|known| {
                let TasteExample { decision, facts, model, embedding, .. } = known;
                (decision, facts, model, embedding)
                    != (&example.decision, &example.facts, &example.model, &example.embedding)
            })
        };
        examples.iter().filter(is_new).collect()
    }
}

fn memory(contents: Contents) -> TasteMemory {
    let mut examples: HashMap<_, (usize, TasteExample)> = HashMap::new();
    for (at, example) in contents.examples.into_iter().enumerate() {
        // A photo is the same while its picture is, whatever was written into its file.
        let key = example.photo.picture.map_or(example.photo.content.0, |picture| picture.0);
        examples.insert(key, (at, example));
    }
    let mut examples: Vec<(usize, TasteExample)> = examples.into_values().collect();
    examples.sort_by_key(|(at, _)| *at);
    let mut pairs: Vec<PreferredPair> = Vec::new();
    for preference in contents.preferences {
        match preference.photos {
            None => pairs.clear(),
            Some((better, worse)) => {
                pairs.retain(|pair| *pair != (better, worse) && *pair != (worse, better));
                if !preference.is_withdrawn {
                    pairs.push((better, worse));
                }
            }
        }
    }
    TasteMemory { examples: examples.into_iter().map(|(_, example)| example).collect(), pairs }
}

impl Contents {
    /// When the taste was last reset.
    pub fn reset_ms(&self) -> Option<i64> {
        self.preferences.iter().filter(|preference| preference.photos.is_none()).map(|reset| reset.told_ms).max()
    }
}
