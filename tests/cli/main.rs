//! The binary as users and scripts meet it.

#[path = "../parity/formula.rs"]
mod formula;
#[path = "../world/mod.rs"]
mod world;

mod album;
mod completions;
mod configuration;
mod decide;
mod embedded;
mod face_quality;
mod fields;
mod first_run;
mod groups;
mod kinds;
mod lists_and_folders;
mod live;
mod networks;
mod objects;
mod output;
mod packages;
mod people;
mod plumbing;
mod portrait;
mod ratings;
mod score;
mod search;
mod sequences;
mod since;
mod store;
mod taste;
mod terminal;
mod text;
mod train;
mod train_arrays;
mod train_course;
