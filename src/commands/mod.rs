//! The commands, one file each: the arguments, and a `run` that calls other modules and computes nothing itself.

mod addresses;
pub mod aesthetics;
mod album;
mod album_export;
pub mod analyze;
pub mod classify;
mod closing;
pub mod cluster;
pub mod compare;
pub mod completions;
pub mod config;
pub mod decide;
pub mod dedup;
pub mod device;
pub mod embed;
mod engine;
pub mod eval;
mod failures;
mod features;
mod human_decisions;
pub mod kmeans;
pub mod man;
pub mod models;
pub mod node;
pub mod ocr;
pub mod open_models;
mod photos;
pub mod portrait;
pub mod review;
mod run_history;
pub mod schema;
pub mod score;
pub mod select;
pub mod train;
mod trust;

pub use addresses::lines_stay_here;
