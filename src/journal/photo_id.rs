//! The identity by which a photo is recognised: its picture, which survives edits of the metadata, or its exact bytes.

use std::collections::{HashMap, HashSet};

use judge::select::Decision;
use photo::identity::{ContentId, PictureId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoId {
    pub content: ContentId,
    /// `None` in rows written before pictures had an identity.
    pub picture: Option<PictureId>,
}

impl PhotoId {
    /// The bytes stored in a row: the content, then the picture where it is known.
    pub fn blob(&self) -> Vec<u8> {
        let picture = self.picture.map(|picture| picture.0);
        [&self.content.0[..], picture.as_ref().map_or(&[], |picture| &picture[..])].concat()
    }

    pub fn from_blob(bytes: &[u8]) -> Option<Self> {
        let (content, picture) = bytes.split_first_chunk::<32>()?;
        let picture = if picture.is_empty() { None } else { Some(PictureId(picture.try_into().ok()?)) };
        Some(Self { content: ContentId(*content), picture })
    }
}

/// The decisions in force. The latest decision about a picture or about the same bytes counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Decisions {
    recorded: usize,
    /// No taste is learned from decisions up to here.
    forgotten: usize,
    by_content: HashMap<ContentId, (usize, Option<Decision>)>,
    by_picture: HashMap<PictureId, (usize, Option<Decision>)>,
}

impl Decisions {
    /// Replaces earlier decisions about the same picture or bytes.
    pub fn record(&mut self, photo: PhotoId, decision: Option<Decision>) {
        self.recorded += 1;
        self.by_content.insert(photo.content, (self.recorded, decision));
        if let Some(picture) = photo.picture {
            self.by_picture.insert(picture, (self.recorded, decision));
        }
    }

    /// Records a decision unless it is in force already, with the picture where that is known. Returns whether it did.
    pub fn take(&mut self, photo: PhotoId, decision: Option<Decision>) -> bool {
        let is_in_force = self.of(Some(photo.content), photo.picture) == decision;
        let is_new = !is_in_force || self.lacks_picture(photo);
        if is_new {
            self.record(photo, decision);
        }
        is_new
    }

    pub fn of(&self, content: Option<ContentId>, picture: Option<PictureId>) -> Option<Decision> {
        self.latest(content, picture).and_then(|(_, decision)| decision)
    }

    fn latest(&self, content: Option<ContentId>, picture: Option<PictureId>) -> Option<(usize, Option<Decision>)> {
        let by_content = content.and_then(|content| self.by_content.get(&content));
        let by_picture = picture.and_then(|picture| self.by_picture.get(&picture));
        by_content.into_iter().chain(by_picture).max_by_key(|(order, _)| *order).copied()
    }

    /// A taste is learned from decisions from here on only.
    pub fn learn_from_here(&mut self) {
        self.forgotten = self.recorded;
    }

    /// The decision that a taste is learned from. The outer `None` means that nothing was ever decided about the photo.
    pub fn lesson(&self, photo: PhotoId) -> Option<Option<Decision>> {
        let (order, decision) = self.latest(Some(photo.content), photo.picture)?;
        Some(decision.filter(|_| order > self.forgotten))
    }

    /// Whether the decision was stored by an older albumctl without a picture, so that an edit of the file would lose it.
    pub fn lacks_picture(&self, photo: PhotoId) -> bool {
        let decided = self.of(Some(photo.content), photo.picture);
        decided.is_some() && photo.picture.is_some_and(|picture| !self.by_picture.contains_key(&picture))
    }
}

/// The photos that earlier runs have looked at.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SeenPhotos {
    contents: HashSet<ContentId>,
    pictures: HashSet<PictureId>,
}

impl SeenPhotos {
    /// Adds a photo; returns whether its content or its picture is new.
    pub fn add(&mut self, photo: PhotoId) -> bool {
        let new_content = self.contents.insert(photo.content);
        photo.picture.is_some_and(|picture| self.pictures.insert(picture)) || new_content
    }

    pub fn has_content(&self, content: ContentId) -> bool {
        self.contents.contains(&content)
    }

    pub fn has_picture(&self, picture: PictureId) -> bool {
        self.pictures.contains(&picture)
    }

    /// Whether any picture is known; without one there is no need to compute a photo's picture identity.
    pub fn knows_pictures(&self) -> bool {
        !self.pictures.is_empty()
    }
}
