//! The data of the small network: decodes the labelled photos and assigns them to folds.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::TrainError;
use crate::photos::{self, Label};
use crate::recipe::MiniRecipe;
use crate::rng::Rng;
use base::pixels::Pixels;
use networks::mini::SIDE;

/// Length of the blocks of consecutive series numbers that stay in one fold where no burst is known.
const BLOCK: u64 = 50;

/// All photos (single ones first, then the series in order) and all takes.
#[derive(Debug)]
pub struct Gathered {
    pub photos: Vec<Photo>,
    pub takes: Vec<Take>,
}

/// A labelled photo, resized to the trunk's input.
#[derive(Debug)]
pub struct Photo {
    pub file: String,
    pub pixels: Pixels,
    pub score: f32,
    /// Its number in the series; `None` for a single photo.
    pub series_number: Option<u64>,
    pub held_out: bool,
}

/// A take of a burst, at full size.
#[derive(Debug)]
pub struct Take {
    pub pixels: Pixels,
    pub score: f32,
    pub group: usize,
    pub held_out: bool,
}

/// Assigns photos to folds. All takes of a burst share a fold, and so do neighbours in a series.
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
        // FNV-1a, because the fold must be the same on every machine.
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

/// Reads and decodes all photos, and marks those of the held-out fold.
pub fn gather(
    recipe: &MiniRecipe,
    data: &Path,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Gathered, TrainError> {
    let data_recipe = &recipe.data;
    let labels = photos::labels(&data.join(&data_recipe.labels))?;
    let bursts = data_recipe.bursts.as_ref().map(|bursts| photos::labels(&data.join(&bursts.labels))).transpose()?;
    let bursts = bursts.unwrap_or_default();
    let folds = Folds::new(&bursts, &data_recipe.series, recipe.folds);
    let labelled: HashSet<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let mut groups: Vec<&String> = bursts.iter().filter_map(|label| label.group.as_ref()).collect();
    groups.sort();
    groups.dedup();
    let group = |label: &Label| label.group.as_ref().and_then(|group| groups.binary_search(&group).ok());
    let total = labels.len() + bursts.len();
    let names: Vec<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let pixels = photos::decode(&data.join(&data_recipe.photos), &names, |done| progress(done, total))?;
    let held_out = |label: &Label| recipe.held_out == Some(folds.of(&label.file));
    let photo = |label: &Label, pixels: Pixels| Photo {
        file: label.file.clone(),
        pixels,
        score: label.score,
        series_number: label.file.starts_with(&data_recipe.series).then(|| number(&label.file)),
        held_out: held_out(label),
    };
    let (mut photos, mut takes) = (Vec::new(), Vec::new());
    let side = SIDE as u32;
    for (label, pixels) in labels.iter().zip(pixels) {
        let fits = (pixels.width(), pixels.height()) == (side, side);
        photos.push(photo(label, if fits { pixels } else { photos::squared(&pixels, side) }));
    }
    if let Some(files) = &data_recipe.bursts {
        let names: Vec<&str> = bursts.iter().map(|label| label.file.as_str()).collect();
        let pixels = photos::decode(&data.join(&files.photos), &names, |done| progress(labels.len() + done, total))?;
        for (label, pixels) in bursts.iter().zip(pixels) {
            if !labelled.contains(label.file.as_str()) {
                photos.push(photo(label, photos::squared(&pixels, side)));
            }
            if let Some(group) = group(label) {
                takes.push(Take { pixels, score: label.score, group, held_out: held_out(label) });
            }
        }
    }
    if let (Some(fold), false) = (recipe.held_out, photos.iter().any(|photo| photo.held_out)) {
        let why = format!("fold {fold} of {} has no photos: hold out another one, or none", recipe.folds);
        return Err(TrainError::Labels { file: data.join(&data_recipe.labels), why });
    }
    if !photos.iter().any(|photo| photo.series_number.is_none() && !photo.held_out) {
        let why = format!(
            "every training photo belongs to the series `{}` (data.series of the recipe), but a batch needs photos outside \
             of it too",
            data_recipe.series
        );
        return Err(TrainError::Labels { file: data.join(&data_recipe.labels), why });
    }
    photos.sort_by_key(|photo| photo.series_number);
    Ok(Gathered { photos, takes })
}
