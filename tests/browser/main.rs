//! The pages that people look at: the report, and `review` with its server. What needs a browser runs where Chromium is
//! installed.

#[path = "../world/mod.rs"]
mod world;

#[path = "../world/raw_file.rs"]
mod raw_file;

mod chromium;
mod large_album;
mod report_page;
mod review;
mod reviewing;
mod screen_reader;
mod server;
