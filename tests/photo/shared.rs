//! Pictures that tests need, drawn or found.

use std::fs;
use std::path::{Path, PathBuf};

use albumctl::photo::{DecodeError, Decoded, Limits, Scale, decode};

/// The folder of real photos beside the repository, where there is one.
pub fn data(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("ALBUMCTL_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let path = shared.join("data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    say(&format!("skipped: no ../shared/data/{folder}"));
    None
}

#[allow(clippy::print_stderr)]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Every file below a folder, in the order of their paths.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    found.sort();
    found
}

pub fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn full(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    decode(bytes, Scale::Full, &Limits::default())
}

/// Red, green, blue and white quarters on a slope: no two orientations of it look the same.
pub fn quarters(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let slope = (x * 60 / width) as u8;
        match (x * 2 < width, y * 2 < height) {
            (true, true) => image::Rgb([195 + slope, slope, 0]),
            (false, true) => image::Rgb([slope, 195 + slope, 0]),
            (true, false) => image::Rgb([0, slope, 195 + slope]),
            (false, false) => image::Rgb([195 + slope, 195 + slope, 195 + slope]),
        }
    })
}

/// Mean absolute difference of two pictures' levels.
pub fn difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len(), "pictures of different sizes");
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}
