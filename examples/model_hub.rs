//! The model hub from a Rust program: listing, loading, asking, adding and clearing away, without any network.
//!
//! `cargo run --example model_hub` works in a folder of its own that goes at the end.

#![allow(clippy::print_stdout, reason = "a demonstration prints")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use albumctl::ModelHub;
use albumctl::library::Options;

/// A model of one's own; nothing is fetched before somebody pulls it.
const MANIFEST: &str = "name: my-detector\nversion: 1.0.0\ntitle: Trained for a special purpose\ntask: detection\n\
    architecture: yolov8\nlicense: MIT\ndevices: [cpu, cuda]\ndependencies: [ultralytics, torch]\n\
    last_updated: 2026-01-22\ntags: [custom]\nsources: [\"https://example.org/model.pt\"]\nfile: {name: model.pt}\n";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for line in demonstrate(folder.path(), Path::new("fixtures/album"))? {
        println!("{line}");
    }
    Ok(())
}

/// What there is to see, line by line.
pub fn demonstrate(folder: &Path, album: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut told = Vec::new();
    let hub = ModelHub::open(Options {
        models_dir: Some(folder.join("models")),
        own_manifests: Some(folder.join("manifests")),
        unload_after: Some(Duration::from_secs(300)),
        ..Options::built_in()?
    })?;

    let device = hub.device_info()?;
    told.push(format!("networks run on {}; {} cards", device.recommended, device.cards.len()));
    for model in hub.list(Some("aesthetics")) {
        told.push(format!("{}: {} ({})", model.model, model.title, model.status));
    }

    // Loaded twice, it is in memory once; a device may be named for a single model.
    let rater = hub.load("album-mini")?;
    let again = hub.load_on("album-mini", "cpu")?;
    told.push(format!("{} and {}: {:?}", rater.reference(), again.reference(), hub.status("album-mini")?));

    let mut photos: Vec<_> = fs::read_dir(album)?.flatten().map(|entry| entry.path()).collect();
    photos.retain(|photo| photo.extension().is_some_and(|extension| extension == "jpg"));
    photos.sort();
    photos.truncate(3);
    for photo in &photos {
        let (quality, rated) = (hub.score(photo)?, hub.aesthetics(photo)?);
        told.push(format!("{}: quality {:.2}, rating {:.2}", photo.display(), quality.overall, rated.score));
    }
    let predicted = hub.predict_from_bytes("album-mini", &fs::read(&photos[0])?)?;
    told.push(format!("out of bytes: {:?}", predicted.degradations));

    let manifest = folder.join("my-detector.yaml");
    fs::write(&manifest, MANIFEST)?;
    let added = hub.add(&manifest.to_string_lossy())?;
    told.push(format!("added {}: needs {}, {}", added.model, added.dependencies.join(" and "), added.status));

    drop((rater, again));
    told.push(format!("given back: {}", hub.unload("album-mini")?));
    told.push(format!("valid: {}", hub.validate("album-mini")?));
    let cache = hub.cache_info()?;
    told.push(format!(
        "{} files in the model folder, {:.0} % of its room",
        cache.usage.files,
        100.0 * cache.utilization
    ));
    told.push(format!("cleared away: {}", hub.cleanup()?.removed));
    Ok(told)
}
