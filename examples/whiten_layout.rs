//! Learns the whitening of `scene-layout` from the photos of a folder whose names begin so: FOLDER PREFIX OUT.
//! `make layout-whitening` runs it.

use std::error::Error;
use std::path::PathBuf;

use judge::cluster::scene_layout::{DIM, MEASURED, measure};
use rayon::prelude::*;
use train::{photos, whitening};

/// Photos in memory at once.
const CHUNK: usize = 256;
/// A little less than all components alike: the last ones are mostly noise.
const POWER: f64 = 0.4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, prefix, out] = &arguments[..] else { return Err("FOLDER PREFIX OUT are asked for".into()) };
    let folder = PathBuf::from(folder);
    let entries: Vec<_> = std::fs::read_dir(&folder)?.collect::<Result<_, _>>()?;
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with(prefix.as_str()));
    names.sort();
    let mut rows = Vec::with_capacity(names.len() * MEASURED);
    for chunk in names.chunks(CHUNK) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        let measured: Vec<Vec<f32>> = photos::decode(&folder, &chunk, |_| {})?.par_iter().map(measure).collect();
        rows.extend(measured.concat());
    }
    std::fs::write(out, whitening::fit(&rows, MEASURED, DIM, POWER).to_bytes())?;
    Ok(())
}
