//! The features of every picture that the heads are trained on: the output of the frozen trunk, and the measures. They
//! are computed once and stored in a file, which runs over the same photos may share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use half::f16;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors};

use super::data::{Photo, Take};
use super::views::{self, Augmented};
use crate::checkpoint;
use crate::recipe::MiniRecipe;
use crate::rng::Rng;
use crate::{TrainError, drawn};
use base::pixels::Pixels;
use base::reading;
use networks::checkpoint::InMemory;
use networks::fused::{Batch, Runner};
use networks::mini::views::{Measured, of};
use networks::mini::{DEGRADATIONS, DETAILS, FRAMING, INPUTS, KINDS, MEASURES, POOLED, details_of, preprocess};

pub const FILE: &str = "looks.safetensors";
/// The metadata key that identifies such a file.
pub const KEY: &str = "albumctl.looks";
const TENSOR: &str = "looks";

const MIDDLE_MEASURES: usize = INPUTS;
const DETAIL_FEATURES: usize = MIDDLE_MEASURES + MEASURES;
const FRAMED: usize = DETAIL_FEATURES + DETAILS;
const STRENGTHS: usize = FRAMED + FRAMING;
const KNOWN: usize = STRENGTHS + DEGRADATIONS.len();
const ROW: usize = KNOWN + DEGRADATIONS.len();
/// Number of rows after which the file is rewritten.
const ROWS_PER_WRITE: usize = 8192;

/// A picture whose features are extracted.
#[derive(Debug, Clone, Copy)]
enum Picture {
    /// A photo, cropped and mirrored at random except for view 0, and degraded on request.
    View {
        photo: usize,
        view: usize,
        degraded: bool,
    },
    /// A copy of a photo with one fault; copy 0 has none. All are written by the same encoder.
    Copy {
        photo: usize,
        copy: usize,
    },
    /// An unaltered take.
    Take {
        take: usize,
    },
    CopyOfTake {
        take: usize,
        copy: usize,
    },
    /// A drawn picture, which is no photograph.
    Drawn {
        kind: usize,
        number: usize,
    },
}

/// The row of each picture in the [`FeatureTable`].
#[derive(Debug, Clone)]
pub struct RowIndex {
    photos: usize,
    views: usize,
    /// The single photos that degraded copies are made of.
    copied: Vec<usize>,
    copies: usize,
    takes: usize,
    drawn: usize,
}

impl RowIndex {
    pub fn new(recipe: &MiniRecipe, photos: &[Photo], takes: &[Take]) -> Self {
        let singles: Vec<usize> = (0..photos.len()).filter(|i| photos[*i].series_number.is_none()).collect();
        let step = (singles.len() / recipe.comparison_head.singles.max(1)).max(1);
        let copied = singles.into_iter().step_by(step).take(recipe.comparison_head.singles).collect();
        let (copies, views) = (recipe.comparison_head.copies, recipe.views);
        Self { photos: photos.len(), views, copied, copies, takes: takes.len(), drawn: recipe.drawn }
    }

    pub fn view(&self, photo: usize, view: usize, degraded: bool) -> usize {
        2 * (photo * self.views + view) + usize::from(degraded)
    }

    /// The photos with copies, each with the rows of its copies.
    pub fn copies(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let (first, each) = (2 * self.photos * self.views, 1 + self.copies);
        self.copied.iter().enumerate().map(move |(at, photo)| (*photo, first + at * each..first + (at + 1) * each))
    }

    pub fn take(&self, take: usize) -> usize {
        2 * self.photos * self.views + self.copied.len() * (1 + self.copies) + take * (2 + self.copies)
    }

    pub fn copies_of_take(&self, take: usize) -> std::ops::Range<usize> {
        let first = self.take(take) + 1;
        first..first + 1 + self.copies
    }

    pub fn drawn(&self, kind: usize, number: usize) -> usize {
        self.take(self.takes) + (kind - 1) * self.drawn + number
    }

    fn all(&self) -> Vec<Picture> {
        let mut all = Vec::new();
        for photo in 0..self.photos {
            let views =
                (0..self.views).flat_map(|view| [false, true].map(|degraded| Picture::View { photo, view, degraded }));
            all.extend(views);
        }
        let copies =
            |photo: &usize| (0..=self.copies).map(|copy| Picture::Copy { photo: *photo, copy }).collect::<Vec<_>>();
        all.extend(self.copied.iter().flat_map(copies));
        for take in 0..self.takes {
            all.push(Picture::Take { take });
            all.extend((0..=self.copies).map(|copy| Picture::CopyOfTake { take, copy }));
        }
        let kinds =
            (1..KINDS.len()).flat_map(|kind| (0..self.drawn).map(move |number| Picture::Drawn { kind, number }));
        all.extend(kinds);
        all
    }
}

/// The features of all pictures, a row each.
#[derive(Debug)]
pub struct FeatureTable {
    rows: Vec<f16>,
}

impl FeatureTable {
    fn part(&self, row: usize, part: std::ops::Range<usize>) -> Vec<f32> {
        self.rows[row * ROW..][part].iter().map(|v| v.to_f32()).collect()
    }

    /// The inputs of the heads.
    pub fn head_inputs(&self, row: usize) -> Vec<f32> {
        self.part(row, 0..INPUTS)
    }

    pub fn pooled(&self, row: usize) -> Vec<f32> {
        self.part(row, 0..POOLED)
    }

    pub fn measured(&self, row: usize) -> Measured {
        let taken = |at: usize| self.part(row, at..at + MEASURES).try_into().unwrap_or([0.0; MEASURES]);
        let middle: [f32; MEASURES] = taken(MIDDLE_MEASURES);
        Measured {
            whole: taken(POOLED),
            middle: (!middle[0].is_nan()).then_some(middle),
            framing: self.part(row, FRAMED..STRENGTHS).try_into().unwrap_or([0.0; FRAMING]),
        }
    }

    pub fn details(&self, row: usize) -> [f32; DETAILS] {
        self.part(row, DETAIL_FEATURES..FRAMED).try_into().unwrap_or([0.0; DETAILS])
    }

    pub fn strengths(&self, row: usize) -> Vec<f32> {
        self.part(row, STRENGTHS..KNOWN)
    }

    pub fn known(&self, row: usize) -> Vec<f32> {
        self.part(row, KNOWN..ROW)
    }
}

/// Computes the features of all pictures.
#[derive(Debug)]
pub struct Extractor<'a> {
    pub recipe: &'a MiniRecipe,
    pub photos: &'a [Photo],
    pub takes: &'a [Take],
    pub runner: &'a Runner,
    pub trunk: &'a InMemory,
}

impl Extractor<'_> {
    pub fn identity(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for (name, (_, values)) in &self.trunk.tensors {
            hash.update(name.as_bytes());
            values.iter().for_each(|v| _ = hash.update(&v.to_le_bytes()));
        }
        for photo in self.photos {
            hash.update(photo.file.as_bytes()).update(photo.pixels.data()).update(&photo.score.to_le_bytes());
        }
        self.takes.iter().for_each(|take| _ = hash.update(take.pixels.data()));
        let MiniRecipe { seed, views, crop, drawn, comparison_head, .. } = self.recipe;
        let numbers = [
            *seed,
            *views as u64,
            u64::from(*crop),
            *drawn as u64,
            comparison_head.singles as u64,
            comparison_head.copies as u64,
        ];
        numbers.iter().for_each(|v| _ = hash.update(&v.to_le_bytes()));
        hash.finalize().to_hex().to_string()
    }

    /// Returns the features of all pictures. Rows that the file has are reused, and new ones are written to it. `None`
    /// when asked to stop.
    pub fn all(
        &self,
        index: &RowIndex,
        file: &Path,
        stop: &AtomicBool,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Option<FeatureTable>, TrainError> {
        let identity = self.identity();
        let mut table = read(file, &identity)?;
        let pictures = index.all();
        let backgrounds: Vec<&Pixels> = self.photos.iter().map(|photo| &photo.pixels).collect();
        while table.rows.len() < pictures.len() * ROW {
            let from = table.rows.len() / ROW;
            let part = &pictures[from..(from + ROWS_PER_WRITE).min(pictures.len())];
            let rows: Result<Vec<Option<Vec<f16>>>, TrainError> = part
                .par_iter()
                .map(|picture| {
                    if stop.load(Ordering::Relaxed) { Ok(None) } else { self.extract(*picture, &backgrounds).map(Some) }
                })
                .collect();
            let whole: Vec<Vec<f16>> = rows?.into_iter().map_while(|row| row).collect();
            table.rows.extend(whole.into_iter().flatten());
            write(file, &identity, &table)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            progress(table.rows.len() / ROW, pictures.len());
        }
        Ok(Some(table))
    }

    fn extract(&self, picture: Picture, backgrounds: &[&Pixels]) -> Result<Vec<f16>, TrainError> {
        let seed = self.recipe.seed;
        let plain = |pixels: Pixels| Augmented { pixels, strengths: [0.0; _], known: [0.0; _] };
        let augmented = match picture {
            Picture::View { photo, view, degraded } => {
                let mut rng = Rng::at(seed ^ photo as u64, [view as u64, 10 + u64::from(degraded)]);
                views::view(&self.photos[photo], self.recipe.crop, view, degraded, &mut rng)
            }
            Picture::Copy { photo, copy } => {
                let mut rng = Rng::at(seed ^ photo as u64, [copy as u64, 3]);
                plain(views::copy(&self.photos[photo].pixels, copy, &mut rng))
            }
            Picture::Take { take } => plain(self.takes[take].pixels.clone()),
            Picture::CopyOfTake { take, copy } => {
                let mut rng = Rng::at(seed ^ take as u64, [copy as u64, 4]);
                plain(views::copy(&self.takes[take].pixels, copy, &mut rng))
            }
            Picture::Drawn { kind, number } => {
                plain(drawn::draw(kind, backgrounds, &mut Rng::at(seed ^ number as u64, [kind as u64, 5])))
            }
        };
        let Augmented { pixels, strengths, known } = augmented;
        // Pictures smaller than the trunk's input are not enlarged.
        let views = of(&pixels);
        let whole = if pixels.width().max(pixels.height()) <= views.whole.width() { &pixels } else { &views.whole };
        let mut data = Vec::new();
        preprocess().normalise(whole.data(), &mut data);
        let batch = Batch { photos: 1, height: whole.height() as usize, width: whole.width() as usize, data };
        let mut row = self.runner.run(&batch).map_err(candle_core::Error::wrap)?;
        let measured = views.measured();
        row.extend(measured.whole);
        row.extend(measured.middle.unwrap_or([f32::NAN; MEASURES]));
        row.extend(details_of(&pixels));
        row.extend(measured.framing);
        row.extend(strengths);
        row.extend(known);
        Ok(row.into_iter().map(f16::from_f32).collect())
    }
}

/// Reads the rows that the file has; an error if they were made from other photos or by another trunk.
fn read(file: &Path, identity: &str) -> Result<FeatureTable, TrainError> {
    let bytes = match reading::read(file, reading::MODEL) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(FeatureTable { rows: Vec::new() }),
        Err(error) => return Err(TrainError::at(file, error)),
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| TrainError::at(file, error))?;
    let about = header.metadata().as_ref().and_then(|about| about.get(KEY));
    let Some(about) = about else { return Err(TrainError::at(file, "it holds no features of a training run")) };
    if about != identity {
        return Err(TrainError::Changed { path: file.to_owned() });
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| TrainError::at(file, error))?;
    let tensor = tensors.tensor(TENSOR).map_err(|error| TrainError::at(file, error))?;
    Ok(FeatureTable { rows: tensor.data().as_chunks::<2>().0.iter().map(|v| f16::from_le_bytes(*v)).collect() })
}

fn write(file: &Path, identity: &str, table: &FeatureTable) -> Result<(), TrainError> {
    let bytes = table.rows.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = (TENSOR.to_owned(), vec![table.rows.len() / ROW, ROW], bytes);
    checkpoint::write(file, &[tensor], Dtype::F16, (KEY, identity.to_owned()))
}
