//! Everybody meets everybody: the winner of a close group, whatever order the photos came in.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A meeting, as the photo it belongs to saw it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Met {
    pub image_path: PathBuf,
    /// `None` for a coin flip.
    pub won: Option<bool>,
    /// The probability that this photo is the better of the two.
    pub confidence: f64,
}

/// A meeting this near to one half could hardly tell the two apart.
const CLOSE: f64 = 0.05;

/// How a photo did in the tie-break of its group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tiebreak {
    pub met: Vec<Met>,
    pub wins: usize,
    pub meetings: usize,
    /// Mean over its meetings of the probability that it is the better photo.
    pub confidence: f64,
}

/// One that takes part: its index, and what orders it when the meetings do not.
#[derive(Debug, Clone, PartialEq)]
pub struct Entrant {
    pub photo: usize,
    pub composite: f64,
    pub path: PathBuf,
}

/// The entrants from first to last place, each with its record. `better(a, b)` is asked both ways and averaged, so a
/// model that favours the first or the second place favours nobody.
pub fn play(mut entrants: Vec<Entrant>, better: impl Fn(usize, usize) -> Option<f64>) -> Vec<(Entrant, Tiebreak)> {
    // Sorted by path: sums are then taken in one order only.
    entrants.sort_by(|a, b| a.path.cmp(&b.path).then(a.photo.cmp(&b.photo)));
    let probability = |a: &Entrant, b: &Entrant| {
        let sound = |p: Option<f64>| p.filter(|p| p.is_finite()).map_or(0.5, |p| p.clamp(0.0, 1.0));
        f64::midpoint(sound(better(a.photo, b.photo)), 1.0 - sound(better(b.photo, a.photo)))
    };
    let mut records: Vec<Vec<Met>> = vec![Vec::new(); entrants.len()];
    for (i, a) in entrants.iter().enumerate() {
        for (j, b) in entrants.iter().enumerate().skip(i + 1) {
            let p = probability(a, b);
            records[i].push(met(b, p));
            records[j].push(met(a, 1.0 - p));
        }
    }
    let mut table: Vec<(Entrant, Tiebreak)> = entrants.into_iter().zip(records.into_iter().map(Tiebreak::of)).collect();
    table.sort_by(standing);
    table
}

fn met(other: &Entrant, confidence: f64) -> Met {
    let won = ((confidence - 0.5).abs() > 0.0).then_some(confidence > 0.5);
    Met { image_path: other.path.clone(), won, confidence }
}

impl Tiebreak {
    /// Whether the meeting with a photo could hardly tell the two apart.
    pub fn is_close_to(&self, other: &Path) -> bool {
        self.met.iter().any(|met| met.image_path == other && (met.confidence - 0.5).abs() < CLOSE)
    }

    fn of(met: Vec<Met>) -> Self {
        let wins = met.iter().filter(|met| met.won == Some(true)).count();
        let sum: f64 = met.iter().map(|met| met.confidence).sum();
        let confidence = if met.is_empty() { 0.5 } else { sum / met.len() as f64 };
        Self { wins, meetings: met.len(), confidence, met }
    }
}

/// Most wins, then summed confidence (all have met equally many, so the mean orders alike), then composite, then path.
fn standing(a: &(Entrant, Tiebreak), b: &(Entrant, Tiebreak)) -> Ordering {
    let (x, y) = (&a.1, &b.1);
    y.wins
        .cmp(&x.wins)
        .then(y.confidence.total_cmp(&x.confidence))
        .then(b.0.composite.total_cmp(&a.0.composite))
        .then(a.0.path.cmp(&b.0.path))
}
