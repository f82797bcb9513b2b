//! Faces: networks, detections, landmarks and decisions against MediaPipe 0.10.21.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bursts;
mod expressions;
mod golden;
mod interpreter;
mod networks;
mod oracle;
mod people;
mod shared;
mod states;
#[path = "../../src/kernels/test_numbers.rs"]
mod test_numbers;
#[path = "../world/mod.rs"]
mod world;
mod writer;
