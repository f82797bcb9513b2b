//! Decisions over numbers: technical quality, portraits, groups of one scene, the choice of an album.
//!
//! Pure: it must never know files, clocks, the terminal, networks or the store.

pub mod cluster;
pub mod portrait;
pub mod quality;
pub mod select;
