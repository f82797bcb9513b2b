//! The model hub against a server that misbehaves, processes that die, and folders that fill up.

mod cache;
mod commands;
mod faults;
mod place;
mod processes;
mod server;
mod wheels;
#[path = "../world/mod.rs"]
mod world;
