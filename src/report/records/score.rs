//! A line of `score`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::photo_report::PhotoReport;
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record};
use judge::quality::Quality;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// The overall technical quality, 0 to 1.
    pub iqa_score: f64,
    /// 0 to 1.
    pub sharpness: f64,
    /// 0 to 1: the spread of tones and the absence of clipping.
    pub exposure: f64,
    /// 0 to 1.
    pub colorfulness: f64,
    /// 0 to 1.
    pub contrast: f64,
    /// The variance of the Laplacian; `sharpness` is 1 from 1000 on.
    pub sharpness_raw: f64,
    /// Hasler and Süsstrunk's M; `colorfulness` is 1 from 100 on.
    pub colorfulness_raw: f64,
    /// The width of the upright original in pixels.
    pub width: u32,
    /// The height of the upright original in pixels.
    pub height: u32,
    /// The long side in pixels at which the photo was measured.
    pub measured_at: u32,
}

impl ScoreRecord {
    /// `None` for a photo that was not measured.
    pub fn of(report: &PhotoReport) -> Option<Self> {
        let quality = report.quality.as_ref()?;
        Some(Self {
            path: PhotoPath::of(&report.path),
            iqa_score: quality.overall,
            sharpness: quality.sharpness,
            exposure: quality.exposure,
            colorfulness: quality.colorfulness,
            contrast: quality.contrast,
            sharpness_raw: quality.sharpness_raw,
            colorfulness_raw: quality.colorfulness_raw,
            width: report.width,
            height: report.height,
            measured_at: report.measured_at,
        })
    }

    /// The measures of the record.
    pub fn quality(&self) -> Quality {
        Quality {
            overall: self.iqa_score,
            sharpness: self.sharpness,
            exposure: self.exposure,
            colorfulness: self.colorfulness,
            contrast: self.contrast,
            sharpness_raw: self.sharpness_raw,
            colorfulness_raw: self.colorfulness_raw,
        }
    }

    /// The cells of photo, score and size, with the degradations in between.
    fn beside<const N: usize>(&self, found: [f32; N]) -> Vec<Cell> {
        let mut cells = self.cells();
        cells.splice(2..cells.len() - 1, found.map(|strength| Cell::score(f64::from(strength))));
        cells
    }
}

/// A line of `score --degradations`, by the built-in model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DegradedRecord {
    #[serde(flatten)]
    pub score: ScoreRecord,
    /// Each 0 (none) to 1.
    pub degradations: Degradations,
    /// `name@version` of the model.
    pub degradation_model: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Degradations {
    pub blur: f32,
    pub noise: f32,
    pub color_cast: f32,
    pub exposure: f32,
    pub jpeg: f32,
}

impl DegradedRecord {
    pub fn new(score: ScoreRecord, found: [f32; 5], degradation_model: String) -> Self {
        let [blur, noise, color_cast, exposure, jpeg] = found;
        Self { score, degradations: Degradations { blur, noise, color_cast, exposure, jpeg }, degradation_model }
    }
}

impl Record for DegradedRecord {
    const HEADINGS: &'static [&'static str] =
        &["photo", ">overall", ">blur", ">noise", ">colour cast", ">exposure", ">JPEG", ">size"];

    fn cells(&self) -> Vec<Cell> {
        let Degradations { blur, noise, color_cast, exposure, jpeg } = self.degradations;
        self.score.beside([blur, noise, color_cast, exposure, jpeg])
    }
}

/// A line of `score --degradations`, by a multi-head quality model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlawedRecord {
    #[serde(flatten)]
    pub score: ScoreRecord,
    /// Each 0 (none) to 1.
    pub degradations: Flaws,
    /// The overall quality, 1 for a photo without degradations.
    pub overall_quality: f32,
    /// `name@version` of the model.
    pub degradation_model: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flaws {
    pub color_cast: f32,
    pub blurriness: f32,
    pub watermark: f32,
    pub noise: f32,
}

impl FlawedRecord {
    pub fn new(score: ScoreRecord, found: [f32; 5], degradation_model: String) -> Self {
        let [color_cast, blurriness, watermark, noise, overall_quality] = found;
        let degradations = Flaws { color_cast, blurriness, watermark, noise };
        Self { score, degradations, overall_quality, degradation_model }
    }
}

impl Record for FlawedRecord {
    const HEADINGS: &'static [&'static str] =
        &["photo", ">overall", ">colour cast", ">blur", ">watermark", ">noise", ">quality", ">size"];

    fn cells(&self) -> Vec<Cell> {
        let Flaws { color_cast, blurriness, watermark, noise } = self.degradations;
        self.score.beside([color_cast, blurriness, watermark, noise, self.overall_quality])
    }
}

/// A line of `score --degradations`, by a single-head quality model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityRecord {
    #[serde(flatten)]
    pub score: ScoreRecord,
    /// The overall quality, 1 for a photo without degradations.
    pub overall_quality: f32,
    /// `name@version` of the model.
    pub degradation_model: String,
}

impl Record for QualityRecord {
    const HEADINGS: &'static [&'static str] = &["photo", ">overall", ">quality", ">size"];

    fn cells(&self) -> Vec<Cell> {
        self.score.beside([self.overall_quality])
    }
}

impl Record for ScoreRecord {
    const HEADINGS: &'static [&'static str] =
        &["photo", ">overall", ">sharpness", ">exposure", ">colour", ">contrast", ">size"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::path(&self.path.image_path),
            Cell::score(self.iqa_score),
            Cell::score(self.sharpness),
            Cell::score(self.exposure),
            Cell::score(self.colorfulness),
            Cell::score(self.contrast),
            Cell::faint(&format!("{}x{}", self.width, self.height)),
        ]
    }
}
