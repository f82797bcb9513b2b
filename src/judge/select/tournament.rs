//! Tie-break by a round-robin tournament among the photos of a group whose composites are close. The result does not
//! depend on the order of the photos.

use std::cmp::Ordering;
use std::path::Path;

/// A comparison of two photos, from the view of one of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meeting {
    /// The index of the other one.
    pub photo: usize,
    /// `None` when the model prefers neither.
    pub won: Option<bool>,
    /// The probability that this photo is the better of the two.
    pub confidence: f64,
}

/// A comparison closer than this to one half hardly distinguishes the two photos.
const CLOSE: f64 = 0.05;

/// The record of a photo in the tie-break of its group.
#[derive(Debug, Clone, PartialEq)]
pub struct Tiebreak {
    pub met: Vec<Meeting>,
    pub wins: usize,
    pub meetings: usize,
    /// The mean, over its meetings, of the probability that it is the better photo.
    pub confidence: f64,
}

/// A participant: the photo's index, and the values that order it when the meetings tie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entrant<'a> {
    pub photo: usize,
    pub composite: f64,
    pub path: &'a Path,
}

/// Returns the entrants from first to last place, each with its record. `better` is called in both argument orders and
/// averaged, so that a model biased towards one argument favours no photo.
pub fn play(
    mut entrants: Vec<Entrant<'_>>,
    better: impl Fn(usize, usize) -> Option<f64>,
) -> Vec<(Entrant<'_>, Tiebreak)> {
    // Sorting by path fixes the order of the sums.
    entrants.sort_by(|a, b| a.path.cmp(b.path).then(a.photo.cmp(&b.photo)));
    let probability = |a: &Entrant, b: &Entrant| {
        let sound = |p: Option<f64>| p.filter(|p| p.is_finite()).map_or(0.5, |p| p.clamp(0.0, 1.0));
        f64::midpoint(sound(better(a.photo, b.photo)), 1.0 - sound(better(b.photo, a.photo)))
    };
    let mut records: Vec<Vec<Meeting>> = vec![Vec::new(); entrants.len()];
    for (i, a) in entrants.iter().enumerate() {
        for (j, b) in entrants.iter().enumerate().skip(i + 1) {
            let p = probability(a, b);
            records[i].push(met(b, p));
            records[j].push(met(a, 1.0 - p));
        }
    }
    let mut table: Vec<(Entrant, Tiebreak)> = entrants.into_iter().zip(records.into_iter().map(Tiebreak::of)).collect();
    table.sort_by(by_rank);
    table
}

fn met(other: &Entrant, confidence: f64) -> Meeting {
    let won = ((confidence - 0.5).abs() > 0.0).then_some(confidence > 0.5);
    Meeting { photo: other.photo, won, confidence }
}

impl Tiebreak {
    /// Whether the comparison with another photo hardly distinguishes the two.
    pub fn is_close_to(&self, other: usize) -> bool {
        self.met.iter().any(|met| met.photo == other && (met.confidence - 0.5).abs() < CLOSE)
    }

    fn of(met: Vec<Meeting>) -> Self {
        let wins = met.iter().filter(|met| met.won == Some(true)).count();
        let sum: f64 = met.iter().map(|met| met.confidence).sum();
        let confidence = if met.is_empty() { 0.5 } else { sum / met.len() as f64 };
        Self { wins, meetings: met.len(), confidence, met }
    }
}

/// Orders by wins, then mean confidence (all have equally many meetings), then composite, then path.
fn by_rank(a: &(Entrant, Tiebreak), b: &(Entrant, Tiebreak)) -> Ordering {
    let (x, y) = (&a.1, &b.1);
    y.wins
        .cmp(&x.wins)
        .then(y.confidence.total_cmp(&x.confidence))
        .then(b.0.composite.total_cmp(&a.0.composite))
        .then(a.0.path.cmp(b.0.path))
}
