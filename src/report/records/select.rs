//! A line of `select`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unit::UnitRecord;
use super::{DecisionPlace, DecisionWord};
use crate::photo_report::{PhotoReport, TakenFrom};
use crate::report::photo_path::PhotoPath;
use crate::report::{Cell, Record, Tone};
use judge::select::{self, MissingReason, PictureKind, Tiebreak, Verdict};
use photo::companions::Companions;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SelectRecord {
    /// 1 for the first pick; null for photos that were not picked.
    pub rank: Option<usize>,
    #[serde(flatten)]
    pub path: PhotoPath,
    pub selected: bool,
    /// 0 to 1; null if no part has a value.
    pub composite_score: Option<f64>,
    /// The rating, 1 to 10; null without an aesthetic model.
    pub aesthetic_score: Option<f64>,
    /// 0 to 1.
    pub iqa_score: Option<f64>,
    /// 0 to 1; null without a face model.
    pub portrait_score: Option<f64>,
    pub parts: Parts,
    /// −1 if it is in no group.
    pub cluster_id: i64,
    pub cluster_size: usize,
    /// Its result in the tie-break of its group; null if it took part in none.
    pub tiebreak: Option<TiebreakRecord>,
    /// Whether it is first or second of its group and the tie-break gave neither more than 55 % against the other.
    #[serde(default)]
    pub close_call: bool,
    /// Why it was picked, or why not, in one sentence.
    pub reason: String,
    /// The time by the camera's clock, or only the day; null if neither the file nor its name has it.
    pub taken_at: Option<String>,
    /// The source of the time: the file's metadata or its name.
    pub taken_from: Option<TakenFrom>,
    /// A person's decision about it.
    pub decision: Option<DecisionWord>,
    /// Files written for it besides the results: copies, links, sidecars. Empty if none were requested.
    pub written: Vec<Written>,
    /// `name@version` of the model of the aesthetic score, which may be a substitute for the configured one.
    pub aesthetic_model: Option<String>,
    /// The source of the decision.
    #[serde(default)]
    pub decision_source: Option<DecisionPlace>,
    /// What kind of picture it is.
    #[serde(default)]
    pub kind: Option<PictureKind>,
    /// How likely that is, 0 to 1.
    #[serde(default)]
    pub kind_confidence: Option<f64>,
    #[serde(flatten)]
    pub unit: UnitRecord,
    /// What your taste adds to the score, within `composite_score`; null where it does not count.
    #[serde(default)]
    pub taste: Option<f64>,
    /// What it has to do with the words of `--about`, 0 to 1; null without them.
    #[serde(default)]
    pub relevance: Option<f64>,
}

/// The parts of the composite score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parts {
    pub aesthetic: ScorePart,
    pub iqa: ScorePart,
    pub portrait: ScorePart,
    /// Null without `--about`.
    #[serde(default)]
    pub relevance: Option<ScorePart>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScorePart {
    /// The value used, 0 to 1.
    pub value: Option<f64>,
    /// The weight in force after rescaling.
    pub weight: f64,
    /// Why the part has no value: `model_missing`, `not_measured` or `failed`.
    pub why: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TiebreakRecord {
    pub met: Vec<MetRecord>,
    pub wins: usize,
    pub meetings: usize,
    /// The mean probability of being the better photo, over its comparisons.
    pub confidence: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetRecord {
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Null for a tie.
    pub won: Option<bool>,
    /// The probability that this photo is the better of the two.
    pub confidence: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// `copy`, `hard_link`, `soft_link`, `zip`, `xmp` (a sidecar) or `xmp_embed` (a rating inside a copy).
    pub action: String,
    #[serde(flatten)]
    pub path: PhotoPath,
    /// Whether it was written; false in a dry run.
    pub applied: bool,
    /// Whether it is a companion of a photo: a film, a RAW file, a sidecar.
    #[serde(default)]
    pub companion: bool,
}

impl Written {
    pub fn new(action: &str, path: &Path, applied: bool) -> Self {
        Self { action: action.to_owned(), path: PhotoPath::of(path), applied, companion: false }
    }

    /// The message of a dry run.
    pub fn planned(&self) -> Option<String> {
        let path = &self.path.image_path;
        let would = match self.action.as_str() {
            "copy" => "be copied to",
            "hard_link" | "soft_link" => "be linked at",
            "zip" => "go into the zip as",
            "xmp_embed" => "be rated inside",
            _ => "be rated in",
        };
        (!self.applied).then(|| format!("would {would} {path}"))
    }
}

impl From<select::ScoreParts> for Parts {
    fn from(parts: select::ScoreParts) -> Self {
        let part = |part: select::composite::ScorePart| ScorePart {
            value: part.value,
            weight: part.weight,
            why: part.why.map(|why| why_word(why).to_owned()),
        };
        Self {
            aesthetic: part(parts.aesthetic),
            iqa: part(parts.iqa),
            portrait: part(parts.portrait),
            relevance: parts.relevance.map(part),
        }
    }
}

fn why_word(why: MissingReason) -> &'static str {
    match why {
        MissingReason::ModelMissing => "model_missing",
        MissingReason::NotMeasured => "not_measured",
        MissingReason::Failed => "failed",
    }
}

impl TiebreakRecord {
    pub fn new(tiebreak: &Tiebreak, photos: &[select::Photo]) -> Self {
        let path = |photo: usize| PhotoPath::of(&photos[photo].path);
        let met = tiebreak.met.iter();
        Self {
            met: met.map(|met| MetRecord { path: path(met.photo), won: met.won, confidence: met.confidence }).collect(),
            wins: tiebreak.wins,
            meetings: tiebreak.meetings,
            confidence: tiebreak.confidence,
        }
    }
}

impl SelectRecord {
    /// `cluster_id` is −1 for a photo in no group.
    pub fn new(photos: &[select::Photo], verdict: &Verdict, report: &PhotoReport, companions: &mut Companions) -> Self {
        let photo = &photos[verdict.photo];
        Self {
            rank: verdict.rank,
            path: PhotoPath::of(&photo.path),
            selected: verdict.selected(),
            composite_score: verdict.composite,
            aesthetic_score: photo.aesthetic.ok(),
            iqa_score: photo.iqa.ok(),
            portrait_score: verdict.parts.portrait.value,
            parts: verdict.parts.into(),
            cluster_id: photo.group.map_or(-1, |group| group as i64),
            cluster_size: verdict.group_size,
            tiebreak: verdict.tiebreak.as_ref().map(|tiebreak| TiebreakRecord::new(tiebreak, photos)),
            close_call: verdict.close_call,
            reason: verdict.reason.clone(),
            taken_at: report.taken_at_text(),
            taken_from: report.taken_from,
            decision: photo.decision.map(Into::into),
            decision_source: photo.decision_source.map(Into::into),
            written: Vec::new(),
            aesthetic_model: report.aesthetic.as_ref().map(|rated| rated.model.clone()),
            kind: photo.kind.map(|kind| kind.what),
            kind_confidence: photo.kind.map(|kind| kind.score),
            unit: UnitRecord::of(report, companions),
            taste: photo.taste,
            relevance: photo.relevance.as_ref().map(|found| found.score),
        }
    }
}

impl Record for SelectRecord {
    const HEADINGS: &'static [&'static str] = &[">rank", "photo", ">score", ">group", "why…"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.rank.map_or_else(|| Cell::faint("-"), |rank| Cell { text: rank.to_string(), tone: Tone::Good }),
            Cell::path(&self.path.image_path),
            Cell::score_or_dash(self.composite_score),
            if self.cluster_id < 0 { Cell::faint("-") } else { Cell::plain(&self.cluster_id) },
            if self.selected { Cell::plain(&self.reason) } else { Cell::faint(&self.reason) },
        ]
    }

    fn below(&self) -> Vec<String> {
        self.written.iter().filter_map(Written::planned).collect()
    }
}
