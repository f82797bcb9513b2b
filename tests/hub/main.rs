//! The model hub against a server that misbehaves, processes that die, and folders that fill up.

mod cache;
#[path = "../world/certificates.rs"]
mod certificates;
mod commands;
mod demo;
mod faults;
#[path = "../parity/formula.rs"]
mod formula;
mod library;
mod place;
mod processes;
mod pulls;
mod runs;
mod server;
mod states;
mod tls;
mod wheels;
#[path = "../world/mod.rs"]
mod world;
