//! Decisions over numbers: technical quality, portraits, groups of photos of one scene, frames taken as
//! one sequence, what photos have to do with words, the selection for an album.
//!
//! All functions are pure. This crate must never know files, clocks, the terminal, networks or the store.

pub mod cluster;
pub mod people;
pub mod portrait;
pub mod quality;
pub mod query;
pub mod select;
pub mod sequences;
pub mod taste;
