//! The binary as users and scripts meet it.

#[path = "../world/mod.rs"]
mod world;

mod configuration;
mod lists_and_folders;
mod output;
mod plumbing;
mod score;
mod store;
