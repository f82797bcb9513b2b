//! Foundations shared by all crates: pictures in memory, containment of panics, safe reading and atomic writing of
//! files, arrays of NumPy, directories of zip archives, random numbers, threads, escapes for the terminal.
//!
//! This crate must never know what a photo is, where a file comes from, or that there is a command line.

pub mod atomic;
pub mod contain;
pub mod escape;
pub mod npy;
pub mod pixels;
pub mod platform;
pub mod random;
pub mod reading;
pub mod threads;
pub mod zip_directory;
