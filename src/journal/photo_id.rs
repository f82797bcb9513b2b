//! By what a photo is known again: its picture, whatever other programs write about it, or the very same bytes.

use std::collections::{HashMap, HashSet};

use judge::select::Decision;
use photo::identity::{ContentId, PictureId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoId {
    pub content: ContentId,
    /// `None` in rows of before pictures were known.
    pub picture: Option<PictureId>,
}

impl PhotoId {
    /// As it lies in a row: the content, then the picture where it is known.
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

/// What holds about photos. The last word about a picture or these bytes counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Decisions {
    words: usize,
    by_content: HashMap<ContentId, (usize, Option<Decision>)>,
    by_picture: HashMap<PictureId, (usize, Option<Decision>)>,
}

impl Decisions {
    /// Whatever was said before about the same picture or bytes no longer counts.
    pub fn say(&mut self, photo: PhotoId, decision: Option<Decision>) {
        self.words += 1;
        self.by_content.insert(photo.content, (self.words, decision));
        if let Some(picture) = photo.picture {
            self.by_picture.insert(picture, (self.words, decision));
        }
    }

    pub fn of(&self, content: Option<ContentId>, picture: Option<PictureId>) -> Option<Decision> {
        let by_content = content.and_then(|content| self.by_content.get(&content));
        let by_picture = picture.and_then(|picture| self.by_picture.get(&picture));
        by_content.into_iter().chain(by_picture).max_by_key(|(word, _)| *word).and_then(|(_, decision)| *decision)
    }

    /// A decision that an older albumctl wrote down and that would be lost with the next edit of the file.
    pub fn hangs_on_bytes(&self, photo: PhotoId) -> bool {
        let decided = self.of(Some(photo.content), photo.picture);
        decided.is_some() && photo.picture.is_some_and(|picture| !self.by_picture.contains_key(&picture))
    }
}

/// The photos that runs have looked at.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SeenPhotos {
    contents: HashSet<ContentId>,
    pictures: HashSet<PictureId>,
}

impl SeenPhotos {
    /// Whether it is new in any way.
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

    /// Whether it is worth asking by what picture a photo is known.
    pub fn knows_pictures(&self) -> bool {
        !self.pictures.is_empty()
    }
}
