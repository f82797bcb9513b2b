//! The real files: each is read, or refused with a reason, soon and without a panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use photo::{DecodeError, Limits, Scale, decode, resize};

use crate::shared::{data, difference, files, full, read, say};

/// Decodes every file of a folder and prints what came of it; counts by outcome.
fn table(folder: &Path, codes: &mut BTreeMap<&'static str, usize>) -> Vec<(String, Result<(), DecodeError>)> {
    let mut outcomes = Vec::new();
    for path in files(folder) {
        let bytes = read(&path);
        let begun = Instant::now();
        let outcome = full(&bytes);
        let seconds = begun.elapsed().as_secs_f64();
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        assert!(seconds < 5.0, "{name} took {seconds:.1} s");
        let code = outcome.as_ref().map_or_else(DecodeError::code, |_| "read");
        assert_ne!(code, "panicked", "{name}: {}", outcome.as_ref().expect_err("a panic is an error"));
        *codes.entry(code).or_default() += 1;
        match &outcome {
            Ok(photo) => {
                let taken = photo.facts.taken_at.known().map(photo::TakenAt::text).unwrap_or_default();
                say(&format!(
                    "{name:60.60} {:>8} {}x{} o{} {taken} {:?} {:?}",
                    photo.format.name(),
                    photo.width,
                    photo.height,
                    photo.facts.orientation,
                    photo.facts.camera,
                    photo.facts.gps
                ));
                if let Some(folder) = std::env::var_os("ALBUMCTL_SHOW") {
                    show(Path::new(&folder), &name, photo);
                }
            }
            Err(error) => say(&format!("{name:60.60} {code}: {error}")),
        }
        outcomes.push((name, outcome.map(|_| ())));
    }
    outcomes
}

/// Writes what was decoded as a small PNG for human eyes.
fn show(folder: &Path, name: &str, photo: &photo::Decoded) {
    let small = resize::within(&photo.pixels, 200);
    fs::create_dir_all(folder).expect("a folder to show pictures in");
    let path = folder.join(format!("{}.png", name.replace(['/', ' '], "_")));
    image::save_buffer(path, small.data(), small.width(), small.height(), image::ColorType::Rgb8).expect("a PNG");
}

#[test]
fn every_real_file_is_read_or_refused_with_a_reason() {
    let mut codes = BTreeMap::new();
    for folder in ["cameras", "exif", "formats", "corrupt"] {
        if let Some(folder) = data(folder) {
            table(&folder, &mut codes);
        }
    }
    say(&format!("{codes:?}"));
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        say(status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    }
}

#[test]
fn all_orientations_of_a_picture_agree() {
    let Some(folder) = data("orientation") else { return };
    for series in ["Landscape", "Portrait"] {
        let photos: Vec<_> = files(&folder)
            .into_iter()
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(series)))
            .map(|path| decode(&read(&path), Scale::Full, &Limits::default()).expect("a sound photo"))
            .collect();
        assert!(photos.len() >= 8, "{series} has {} files", photos.len());
        let first = resize::resize(&photos[0].pixels, 96, 96, resize::Filter::Bilinear);
        for photo in &photos {
            assert_eq!((photo.width > photo.height), series == "Landscape", "{photo:?}");
            let small = resize::resize(&photo.pixels, 96, 96, resize::Filter::Bilinear);
            let off = difference(first.data(), small.data());
            say(&format!("{series} {} differs by {off:.2}", photo.facts.orientation));
            // Each was saved as a JPEG of its own; a wrong turn is off by tens of levels.
            assert!(off < 1.5, "{series} {} differs by {off:.2} levels", photo.facts.orientation);
        }
    }
}
