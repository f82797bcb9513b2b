//! What the small network learns from and is judged on: photos read, and dealt to folds.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;

use crate::TrainError;
use crate::batch::{Sample, TrainingPhotos, normalised};
use crate::photos::{self, Label};
use crate::recipe::MiniRecipe;
use crate::rng::Rng;
use base::pixels::Pixels;
use kernels::Map;
use networks::mini::{Convs, MEASURES, SIDE, View};

/// Photos from which the measures' means are taken.
const MEASURED: usize = 2000;
/// Neighbouring numbers of a series that stay in one fold where no group is known.
const BLOCK: u64 = 50;

/// All photos, dealt out.
#[derive(Debug)]
pub struct Gathered {
    pub training_photos: TrainingPhotos,
    /// Takes to learn from, as large as they are.
    pub takes: Vec<Burst>,
    pub held: Held,
}

/// The photos of a fold that is held out, if one is.
#[derive(Debug)]
pub struct Held {
    pub photos: Vec<(Pixels, f32, bool)>,
    pub bursts: Vec<Burst>,
}

/// A take, as large as it is.
#[derive(Debug)]
pub struct Burst {
    pub pixels: Pixels,
    pub score: f32,
    pub group: usize,
}

/// Which fold each photo belongs to: a burst goes as a whole, and so do neighbours in a series.
#[derive(Debug)]
pub struct Folds {
    groups: HashMap<String, String>,
    series: String,
    count: u64,
}

impl Folds {
    pub fn new(bursts: &[Label], series: &str, count: u64) -> Self {
        let group = |label: &Label| Some((label.file.clone(), label.group.clone()?));
        Self { groups: bursts.iter().filter_map(group).collect(), series: series.to_owned(), count }
    }

    pub fn of(&self, file: &str) -> u64 {
        let key = match self.groups.get(file) {
            Some(group) => group.clone(),
            None if file.starts_with(&self.series) => format!("block {}", number(file) / BLOCK),
            None => file.to_owned(),
        };
        // FNV-1a: the same on every machine.
        let hash = key
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Rng::at(hash, [0, 0]).draw() % self.count
    }
}

fn number(file: &str) -> u64 {
    let stem = file.split('.').next().unwrap_or_default();
    let digits: String = stem.chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().unwrap_or(0)
}

/// Reads everything, and deals it out.
pub fn gather(
    recipe: &MiniRecipe,
    data: &Path,
    decoded: &(dyn Fn(usize, usize) + Sync),
) -> Result<Gathered, TrainError> {
    let own = &recipe.data;
    let labels = photos::labels(&data.join(&own.labels))?;
    let bursts = own.bursts.as_ref().map(|bursts| photos::labels(&data.join(&bursts.labels))).transpose()?;
    let bursts = bursts.unwrap_or_default();
    let folds = Folds::new(&bursts, &own.series, recipe.folds);
    let known: HashSet<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let total = labels.len() + bursts.len();
    let names: Vec<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let pixels = photos::decode(&data.join(&own.photos), &names, |done| decoded(done, total))?;
    let (mut singles, mut series) = (Vec::new(), Vec::new());
    let mut held = Held { photos: Vec::new(), bursts: Vec::new() };
    let mut takes = Vec::new();
    let mut deal = |label: &Label, pixels: Pixels, held: &mut Held| {
        let in_series = label.file.starts_with(&own.series);
        if recipe.held_out == Some(folds.of(&label.file)) {
            held.photos.push((pixels, label.score, in_series));
        } else if in_series {
            series.push((number(&label.file), Sample { pixels, score: label.score }));
        } else {
            singles.push(Sample { pixels, score: label.score });
        }
    };
    let side = SIDE as u32;
    for (label, pixels) in labels.iter().zip(pixels) {
        let fits = (pixels.width(), pixels.height()) == (side, side);
        let pixels = if fits { pixels } else { photos::squared(&pixels, side) };
        deal(label, pixels, &mut held);
    }
    if let Some(files) = &own.bursts {
        let names: Vec<&str> = bursts.iter().map(|label| label.file.as_str()).collect();
        let pixels = photos::decode(&data.join(&files.photos), &names, |done| decoded(labels.len() + done, total))?;
        let mut groups: Vec<&String> = bursts.iter().filter_map(|label| label.group.as_ref()).collect();
        groups.sort();
        groups.dedup();
        for (label, pixels) in bursts.iter().zip(pixels) {
            if !known.contains(label.file.as_str()) {
                deal(label, photos::squared(&pixels, side), &mut held);
            }
            let group = label.group.as_ref().and_then(|group| groups.binary_search(&group).ok());
            let Some(group) = group else { continue };
            let out = recipe.held_out == Some(folds.of(&label.file));
            let place = if out { &mut held.bursts } else { &mut takes };
            place.push(Burst { pixels, score: label.score, group });
        }
    }
    if let (Some(fold), true) = (recipe.held_out, held.photos.is_empty()) {
        let why = format!("no photo falls to fold {fold} of {}: hold out another, or none", recipe.folds);
        return Err(TrainError::Labels { file: data.join(&own.labels), why });
    }
    if singles.is_empty() {
        let why = format!(
            "every photo to learn from is of the series `{}` (data.series of the recipe); a batch begins with photos that \
             stand alone, so some must",
            own.series
        );
        return Err(TrainError::Labels { file: data.join(&own.labels), why });
    }
    series.sort_by_key(|(number, _)| *number);
    let series: Vec<Sample> = series.into_iter().map(|(_, sample)| sample).collect();
    let everything = || singles.iter().chain(&series);
    let step = (everything().count() / MEASURED).max(1);
    let (mean, std) = spread(everything().step_by(step));
    Ok(Gathered { training_photos: TrainingPhotos { singles, series, mean, std }, takes, held })
}

/// Mean and deviation of the measures.
fn spread<'a>(samples: impl Iterator<Item = &'a Sample>) -> (Vec<f32>, Vec<f32>) {
    let rows: Vec<&Sample> = samples.collect();
    let rows: Vec<[f32; MEASURES]> = rows
        .par_iter()
        .map(|sample| {
            let (width, height) = (sample.pixels.width() as usize, sample.pixels.height() as usize);
            let data = normalised(&sample.pixels);
            let mut map = Map::zeros(Convs::input(1, height, width));
            View { width, height, data: &data }.prepare(&mut map, 0).measures
        })
        .collect();
    let count = rows.len().max(1) as f32;
    let mean: Vec<f32> = (0..MEASURES).map(|i| rows.iter().map(|row| row[i]).sum::<f32>() / count).collect();
    let square = |i: usize| rows.iter().map(|row| (row[i] - mean[i]).powi(2)).sum::<f32>() / count;
    let std = (0..MEASURES).map(|i| square(i).sqrt().max(1e-4)).collect();
    (mean, std)
}
