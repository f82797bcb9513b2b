//! The photos that benchmarks are made of: those of the folder in `ALBUMCTL_BENCH_PHOTOS`, else the album of the repository.

use std::fs;
use std::path::{Path, PathBuf};

pub fn sources() -> Vec<PathBuf> {
    let folder = std::env::var_os("ALBUMCTL_BENCH_PHOTOS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/album"), PathBuf::from);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let is_photo = |path: &PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("jpg"));
    let mut photos: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_photo).collect();
    photos.sort();
    assert!(!photos.is_empty(), "no photos in {}", folder.display());
    photos
}
