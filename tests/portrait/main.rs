//! Faces: networks, detections, landmarks and decisions against MediaPipe 0.10.21.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod golden;
mod networks;
mod shared;
