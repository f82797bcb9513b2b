//! The kind of a picture, and the treatment of pictures that are not photographs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PictureKind {
    Photo,
    Screenshot,
    Document,
    Receipt,
    Chart,
    Drawing,
    Meme,
}

impl PictureKind {
    /// In the output order of the built-in model.
    pub const ALL: [Self; 7] =
        [Self::Photo, Self::Screenshot, Self::Document, Self::Receipt, Self::Chart, Self::Drawing, Self::Meme];

    pub fn word(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Screenshot => "screenshot",
            Self::Document => "document",
            Self::Receipt => "receipt",
            Self::Chart => "chart",
            Self::Drawing => "drawing",
            Self::Meme => "meme",
        }
    }
}

/// The likeliest kind of a picture, and its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LikelyKind {
    pub what: PictureKind,
    pub score: f64,
}

impl LikelyKind {
    pub fn is_photo(self) -> bool {
        self.what == PictureKind::Photo
    }
}

/// The treatment of pictures that are not photographs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Junk {
    /// They are picked only when photographs leave places.
    #[default]
    Last,
    /// They are never picked.
    Drop,
    /// They compete like photographs.
    Keep,
}

impl Junk {
    pub const NAMES: [&str; 3] = ["last", "drop", "keep"];

    pub fn named(name: &str) -> Option<Self> {
        [Self::Last, Self::Drop, Self::Keep].into_iter().zip(Self::NAMES).find(|(_, word)| *word == name).map(|it| it.0)
    }
}
