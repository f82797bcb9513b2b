//! k-means and de-duplication over Parquet, as a caller of the library and as a user of the command meets them.

#[path = "../world/mod.rs"]
mod world;

mod arrays;
mod bad_inputs;
mod commands;
mod dedup;
mod features;
mod fit;
mod killed;
