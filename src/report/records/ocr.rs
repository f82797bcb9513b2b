//! A line of `ocr`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::PhotoText;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};
use networks::text::TextLine;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OcrRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    #[serde(flatten)]
    pub text: TextRecord,
    /// `name@version` of the models that found and read it.
    pub models: Vec<String>,
}

/// The text of a photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextRecord {
    /// All lines, a line break between each two; empty where there is none.
    pub text: String,
    /// The lines in reading order.
    pub lines: Vec<TextLineRecord>,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextLineRecord {
    pub text: String,
    /// How sure the model is of its characters on the average, 0 to 1.
    pub confidence: f32,
    /// Left, top, width and height of the upright box around it, as shares of the picture.
    pub bbox: [f32; 4],
    /// The corners from where the line begins above, around it, as shares of the picture: lines may be slanted.
    pub corners: [[f32; 2]; 4],
}

impl TextRecord {
    pub fn new(text: &PhotoText) -> Self {
        Self { text: text.joined(), lines: text.lines.iter().map(TextLineRecord::new).collect() }
    }

    /// The lines as the report of a photo has them.
    pub fn into_lines(self) -> Vec<TextLine> {
        let line =
            |line: TextLineRecord| TextLine { text: line.text, confidence: line.confidence, corners: line.corners };
        self.lines.into_iter().map(line).collect()
    }
}

impl TextLineRecord {
    fn new(line: &TextLine) -> Self {
        let along = |axis: usize| line.corners.iter().map(move |corner| corner[axis]);
        let least = |axis: usize| along(axis).fold(f32::INFINITY, f32::min);
        let extent = |axis: usize| along(axis).fold(f32::NEG_INFINITY, f32::max) - least(axis);
        let bbox = [least(0), least(1), extent(0), extent(1)];
        Self { text: line.text.clone(), confidence: line.confidence, bbox, corners: line.corners }
    }
}

impl OcrRecord {
    pub fn new(path: &Path, text: &PhotoText) -> Self {
        Self { path: PhotoPath::of(path), text: TextRecord::new(text), models: vec![text.model.clone()] }
    }
}

impl Record for OcrRecord {
    const HEADINGS: &'static [&'static str] = &["photo", ">lines", ">confidence", "text…"];

    fn cells(&self) -> Vec<Cell> {
        let lines = &self.text.lines;
        let mean = lines.iter().map(|line| f64::from(line.confidence)).sum::<f64>() / lines.len().max(1) as f64;
        vec![
            Cell::path(&self.path.image_path),
            Cell::plain(&lines.len()),
            Cell::score_or_dash(Some(mean).filter(|_| !lines.is_empty())),
            Cell::faint(&self.text.text.replace('\n', " · ")),
        ]
    }
}
