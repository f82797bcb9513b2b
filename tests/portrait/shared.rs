//! Files that are not part of the repository; tests that need them say so aloud and pass where they are absent.

use std::path::PathBuf;

fn folder() -> PathBuf {
    std::env::var_os("ALBUMCTL_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from)
}

fn read(relative: &str) -> Option<Vec<u8>> {
    let found = std::fs::read(folder().join(relative)).ok();
    if found.is_none() {
        eprintln!("skipped: no ../shared/{relative}");
    }
    found
}

/// One of MediaPipe's networks.
pub fn weights(name: &str) -> Option<Vec<u8>> {
    read(&format!("weights/mediapipe/{name}.tflite"))
}

/// MediaPipe's face landmarker bundle.
pub fn bundle() -> Option<Vec<u8>> {
    read("weights/mediapipe/face_landmarker.task")
}

/// A file of the recorded pictures and answers.
pub fn golden(name: &str) -> Option<Vec<u8>> {
    read(&format!("data/faces_golden/{name}"))
}
