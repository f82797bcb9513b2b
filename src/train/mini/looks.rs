//! What the trunk and the measures say of every picture that the heads learn from. The trunk stays as it is, so each
//! picture is looked at once; what was seen is kept in a file, which runs over the same photos may share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use half::f16;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors};

use super::data::{Photo, Take};
use super::views::{self, Made};
use crate::checkpoint;
use crate::recipe::MiniRecipe;
use crate::rng::Rng;
use crate::{TrainError, drawn};
use base::pixels::Pixels;
use base::reading;
use networks::checkpoint::InMemory;
use networks::fused::{Batch, Runner};
use networks::mini::views::{Measured, of};
use networks::mini::{DEGRADATIONS, DETAILS, KINDS, MEASURES, POOLED, SEEN, details_of, preprocess};

pub const FILE: &str = "looks.safetensors";
/// The entry by which such a file is told.
pub const KEY: &str = "albumctl.looks";
const TENSOR: &str = "looks";

const MIDDLE: usize = SEEN;
const DETAIL: usize = MIDDLE + MEASURES;
const STRENGTHS: usize = DETAIL + DETAILS;
const KNOWN: usize = STRENGTHS + DEGRADATIONS.len();
const ROW: usize = KNOWN + DEGRADATIONS.len();
/// Looks after which the file is written anew.
const PART: usize = 8192;

/// A picture that is looked at.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// A photo, cut or mirrored in the ways of chance but for the first, and perhaps degraded.
    View {
        photo: usize,
        look: usize,
        faulty: bool,
    },
    /// A photo beside copies with one fault, all written by the same encoder; the first has none.
    Copy {
        photo: usize,
        copy: usize,
    },
    /// A take as it is.
    Take {
        take: usize,
    },
    CopyOfTake {
        take: usize,
        copy: usize,
    },
    /// A picture that is no photograph.
    Drawn {
        kind: usize,
        number: usize,
    },
}

/// Where the looks at what stand.
#[derive(Debug, Clone)]
pub struct Places {
    photos: usize,
    looks: usize,
    /// Every so many photos that stand alone are copied.
    copied: Vec<usize>,
    copies: usize,
    takes: usize,
    drawn: usize,
}

impl Places {
    pub fn new(recipe: &MiniRecipe, photos: &[Photo], takes: &[Take]) -> Self {
        let singles: Vec<usize> = (0..photos.len()).filter(|i| photos[*i].place.is_none()).collect();
        let step = (singles.len() / recipe.referee.singles.max(1)).max(1);
        let copied = singles.into_iter().step_by(step).take(recipe.referee.singles).collect();
        let (copies, looks) = (recipe.referee.copies, recipe.looks);
        Self { photos: photos.len(), looks, copied, copies, takes: takes.len(), drawn: recipe.drawn }
    }

    pub fn view(&self, photo: usize, look: usize, faulty: bool) -> usize {
        2 * (photo * self.looks + look) + usize::from(faulty)
    }

    /// Photos with copies, and the rows of a photo and its copies.
    pub fn copies(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let (first, each) = (2 * self.photos * self.looks, 1 + self.copies);
        self.copied.iter().enumerate().map(move |(at, photo)| (*photo, first + at * each..first + (at + 1) * each))
    }

    pub fn take(&self, take: usize) -> usize {
        2 * self.photos * self.looks + self.copied.len() * (1 + self.copies) + take * (2 + self.copies)
    }

    pub fn copies_of_take(&self, take: usize) -> std::ops::Range<usize> {
        let first = self.take(take) + 1;
        first..first + 1 + self.copies
    }

    pub fn drawn(&self, kind: usize, number: usize) -> usize {
        self.take(self.takes) + (kind - 1) * self.drawn + number
    }

    fn all(&self) -> Vec<Asked> {
        let mut all = Vec::new();
        for photo in 0..self.photos {
            let looks =
                (0..self.looks).flat_map(|look| [false, true].map(|faulty| Asked::View { photo, look, faulty }));
            all.extend(looks);
        }
        let copies =
            |photo: &usize| (0..=self.copies).map(|copy| Asked::Copy { photo: *photo, copy }).collect::<Vec<_>>();
        all.extend(self.copied.iter().flat_map(copies));
        for take in 0..self.takes {
            all.push(Asked::Take { take });
            all.extend((0..=self.copies).map(|copy| Asked::CopyOfTake { take, copy }));
        }
        let kinds = (1..KINDS.len()).flat_map(|kind| (0..self.drawn).map(move |number| Asked::Drawn { kind, number }));
        all.extend(kinds);
        all
    }
}

/// All looks, a row each.
#[derive(Debug)]
pub struct Looks {
    rows: Vec<f16>,
}

impl Looks {
    fn part(&self, row: usize, part: std::ops::Range<usize>) -> Vec<f32> {
        self.rows[row * ROW..][part].iter().map(|v| v.to_f32()).collect()
    }

    /// What the heads read.
    pub fn seen(&self, row: usize) -> Vec<f32> {
        self.part(row, 0..SEEN)
    }

    pub fn pooled(&self, row: usize) -> Vec<f32> {
        self.part(row, 0..POOLED)
    }

    pub fn measured(&self, row: usize) -> Measured {
        let taken = |at: usize| self.part(row, at..at + MEASURES).try_into().unwrap_or([0.0; MEASURES]);
        let middle: [f32; MEASURES] = taken(MIDDLE);
        Measured { whole: taken(POOLED), middle: (!middle[0].is_nan()).then_some(middle) }
    }

    pub fn details(&self, row: usize) -> [f32; DETAILS] {
        self.part(row, DETAIL..STRENGTHS).try_into().unwrap_or([0.0; DETAILS])
    }

    pub fn strengths(&self, row: usize) -> Vec<f32> {
        self.part(row, STRENGTHS..KNOWN)
    }

    pub fn known(&self, row: usize) -> Vec<f32> {
        self.part(row, KNOWN..ROW)
    }
}

/// What looks depend on, beside the pictures.
#[derive(Debug)]
pub struct Looking<'a> {
    pub recipe: &'a MiniRecipe,
    pub photos: &'a [Photo],
    pub takes: &'a [Take],
    pub runner: &'a Runner,
    pub trunk: &'a InMemory,
}

impl Looking<'_> {
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
        let MiniRecipe { seed, looks, crop, drawn, referee, .. } = self.recipe;
        let told =
            [*seed, *looks as u64, u64::from(*crop), *drawn as u64, referee.singles as u64, referee.copies as u64];
        told.iter().for_each(|v| _ = hash.update(&v.to_le_bytes()));
        hash.finalize().to_hex().to_string()
    }

    /// Looks at everything, or takes what a file has of it; `None` when asked to stop. What was seen is in the file then.
    pub fn all(
        &self,
        places: &Places,
        file: &Path,
        stop: &AtomicBool,
        told: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Option<Looks>, TrainError> {
        let identity = self.identity();
        let mut looks = read(file, &identity)?;
        let asked = places.all();
        let behind: Vec<&Pixels> = self.photos.iter().map(|photo| &photo.pixels).collect();
        while looks.rows.len() < asked.len() * ROW {
            let from = looks.rows.len() / ROW;
            let part = &asked[from..(from + PART).min(asked.len())];
            let seen: Result<Vec<Option<Vec<f16>>>, TrainError> = part
                .par_iter()
                .map(|asked| if stop.load(Ordering::Relaxed) { Ok(None) } else { self.look(*asked, &behind).map(Some) })
                .collect();
            let whole: Vec<Vec<f16>> = seen?.into_iter().map_while(|row| row).collect();
            looks.rows.extend(whole.into_iter().flatten());
            write(file, &identity, &looks)?;
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            told(looks.rows.len() / ROW, asked.len());
        }
        Ok(Some(looks))
    }

    fn look(&self, asked: Asked, behind: &[&Pixels]) -> Result<Vec<f16>, TrainError> {
        let seed = self.recipe.seed;
        let plain = |pixels: Pixels| Made { pixels, strengths: [0.0; _], known: [0.0; _] };
        let made = match asked {
            Asked::View { photo, look, faulty } => {
                let mut rng = Rng::at(seed ^ photo as u64, [look as u64, 10 + u64::from(faulty)]);
                views::view(&self.photos[photo], self.recipe.crop, look, faulty, &mut rng)
            }
            Asked::Copy { photo, copy } => {
                let mut rng = Rng::at(seed ^ photo as u64, [copy as u64, 3]);
                plain(views::copy(&self.photos[photo].pixels, copy, &mut rng))
            }
            Asked::Take { take } => plain(self.takes[take].pixels.clone()),
            Asked::CopyOfTake { take, copy } => {
                let mut rng = Rng::at(seed ^ take as u64, [copy as u64, 4]);
                plain(views::copy(&self.takes[take].pixels, copy, &mut rng))
            }
            Asked::Drawn { kind, number } => {
                plain(drawn::drawn(kind, behind, &mut Rng::at(seed ^ number as u64, [kind as u64, 5])))
            }
        };
        let Made { pixels, strengths, known } = made;
        // What is cut smaller than the trunk's side is looked at as it is.
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
        row.extend(strengths);
        row.extend(known);
        Ok(row.into_iter().map(f16::from_f32).collect())
    }
}

/// As much of it as there is; nothing where other photos or another trunk made it.
fn read(file: &Path, identity: &str) -> Result<Looks, TrainError> {
    let bytes = match reading::read(file, reading::MODEL) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Looks { rows: Vec::new() }),
        Err(error) => return Err(TrainError::at(file, error)),
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| TrainError::at(file, error))?;
    let about = header.metadata().as_ref().and_then(|about| about.get(KEY));
    let Some(about) = about else { return Err(TrainError::at(file, "it holds no looks of a training run")) };
    if about != identity {
        return Err(TrainError::Changed { path: file.to_owned() });
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| TrainError::at(file, error))?;
    let tensor = tensors.tensor(TENSOR).map_err(|error| TrainError::at(file, error))?;
    Ok(Looks { rows: tensor.data().as_chunks::<2>().0.iter().map(|v| f16::from_le_bytes(*v)).collect() })
}

fn write(file: &Path, identity: &str, looks: &Looks) -> Result<(), TrainError> {
    let bytes = looks.rows.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensor = (TENSOR.to_owned(), vec![looks.rows.len() / ROW, ROW], bytes);
    checkpoint::write(file, &[tensor], Dtype::F16, (KEY, identity.to_owned()))
}
