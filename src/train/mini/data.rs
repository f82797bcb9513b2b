//! What the small network learns from and is judged on: photos read, and dealt to folds.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::TrainError;
use crate::photos::{self, Label};
use crate::recipe::MiniRecipe;
use crate::rng::Rng;
use base::pixels::Pixels;
use networks::mini::SIDE;

/// Neighbouring numbers of a series that stay in one fold where no group is known.
const BLOCK: u64 = 50;

/// All photos: those that stand alone, then the series in order; and takes.
#[derive(Debug)]
pub struct Gathered {
    pub photos: Vec<Photo>,
    pub takes: Vec<Take>,
}

/// A photo with an opinion, at the size that the trunk sees.
#[derive(Debug)]
pub struct Photo {
    pub file: String,
    pub pixels: Pixels,
    pub score: f32,
    /// Its number in a series.
    pub place: Option<u64>,
    pub held: bool,
}

/// A take of a scene, as large as it is.
#[derive(Debug)]
pub struct Take {
    pub pixels: Pixels,
    pub score: f32,
    pub group: usize,
    pub held: bool,
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
    let mut groups: Vec<&String> = bursts.iter().filter_map(|label| label.group.as_ref()).collect();
    groups.sort();
    groups.dedup();
    let group = |label: &Label| label.group.as_ref().and_then(|group| groups.binary_search(&group).ok());
    let total = labels.len() + bursts.len();
    let names: Vec<&str> = labels.iter().map(|label| label.file.as_str()).collect();
    let pixels = photos::decode(&data.join(&own.photos), &names, |done| decoded(done, total))?;
    let held = |label: &Label| recipe.held_out == Some(folds.of(&label.file));
    let photo = |label: &Label, pixels: Pixels| Photo {
        file: label.file.clone(),
        pixels,
        score: label.score,
        place: label.file.starts_with(&own.series).then(|| number(&label.file)),
        held: held(label),
    };
    let (mut photos, mut takes) = (Vec::new(), Vec::new());
    let side = SIDE as u32;
    for (label, pixels) in labels.iter().zip(pixels) {
        let fits = (pixels.width(), pixels.height()) == (side, side);
        photos.push(photo(label, if fits { pixels } else { photos::squared(&pixels, side) }));
    }
    if let Some(files) = &own.bursts {
        let names: Vec<&str> = bursts.iter().map(|label| label.file.as_str()).collect();
        let pixels = photos::decode(&data.join(&files.photos), &names, |done| decoded(labels.len() + done, total))?;
        for (label, pixels) in bursts.iter().zip(pixels) {
            if !known.contains(label.file.as_str()) {
                photos.push(photo(label, photos::squared(&pixels, side)));
            }
            if let Some(group) = group(label) {
                takes.push(Take { pixels, score: label.score, group, held: held(label) });
            }
        }
    }
    if let (Some(fold), false) = (recipe.held_out, photos.iter().any(|photo| photo.held)) {
        let why = format!("no photo falls to fold {fold} of {}: hold out another, or none", recipe.folds);
        return Err(TrainError::Labels { file: data.join(&own.labels), why });
    }
    if !photos.iter().any(|photo| photo.place.is_none() && !photo.held) {
        let why = format!(
            "every photo to learn from is of the series `{}` (data.series of the recipe); a batch begins with photos that \
             stand alone, so some must",
            own.series
        );
        return Err(TrainError::Labels { file: data.join(&own.labels), why });
    }
    photos.sort_by_key(|photo| photo.place);
    Ok(Gathered { photos, takes })
}
