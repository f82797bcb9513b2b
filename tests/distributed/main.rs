//! A cluster of real processes on this machine, and stores on its own loopback.

#![allow(dead_code, reason = "helpers are shared with the tests of one machine")]

#[path = "../world/certificates.rs"]
mod certificates;
#[path = "../scale/features.rs"]
mod features;
#[path = "../world/mod.rs"]
mod world;

mod bucket;
mod dedup;
mod embedding;
mod errors;
mod kmeans;
mod losses;
mod nodes;
mod shares;
mod stores;
mod trust;
