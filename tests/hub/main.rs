//! The model hub against a server that misbehaves, processes that die, and folders that fill up.

mod cache;
mod faults;
mod place;
mod server;
mod wheels;
