//! albumctl looks at folders of photos and names those that belong in the album.
//!
//! # Where things live
//!
//! A folder of `src/` with a `Cargo.toml` of its own is a crate. A crate sees only those that it names, so the compiler
//! keeps this order, from the bottom up:
//!
//! | crate | what it is for | it must never know |
//! |---|---|---|
//! | [`base`] | pictures in memory, containment of panics, safe reading and atomic writing of files | what a photo is |
//! | [`kernels`] | CPU kernels of the networks, chosen at run time; the only `unsafe` code | files, models |
//! | [`photo`] | files to pixels: scan, identity, kind, decoding within limits, EXIF, XMP, resize | what a picture is worth |
//! | [`judge`] | pure decisions over numbers: `quality`, `portrait`, `cluster`, `select`, `taste` | files, clocks, networks, the terminal |
//! | [`networks`] | networks, and the formats of weight files they are read from | where a file came from |
//! | `models` | the manifests every binary carries, and the weights that are part of it | how anything runs |
//! | [`hub`] | the model hub: manifests, catalogue, fetching, verified files, networks in memory | the photos of a run |
//! | [`scale`] | k-means and de-duplication over features that need not fit in memory, here or on a cluster | photos, models |
//! | [`train`] | labelled photos to weights; `train::eval`: predictions to figures with intervals | the command line |
//!
//! The package `albumctl` around them, again from the bottom up:
//!
//! | module | what it is for |
//! |---|---|
//! | [`error`], [`failure`] | what ends a run; what costs one photo |
//! | [`ui`], [`telemetry`] | the only writer to the terminal; where the time went |
//! | [`config`] | typed settings from layers, each value knowing who set it |
//! | [`store`] | the results store, by content and fingerprint; may be deleted at any time |
//! | [`journal`] | what must not be forgotten: decisions of a person, what a taste is learned from, and what runs for news have seen |
//! | [`photo_report`], [`thumbnail`] | what is known of one photo; a small picture of it |
//! | [`report`] | records, and a file a format: JSON lines, CSV, table; schemas; the page, sidecars, exports |
//! | [`pipeline`] | photos in, findings out in scan order: identify, look up, read, decode once, analyse, keep |
//! | [`analyses`] | what is asked of a photo: measures and networks as the pipeline takes them |
//! | [`library`] | the engine of every command, and of Rust programs: [`ModelHub`]; shown by `examples/model_hub.rs` |
//! | [`missing_models`] | the note about missing models at the end of a run |
//! | [`arguments`], [`context`] | what all commands are told; made once a run: settings, store, terminal, stop flag |
//! | [`review`] | the server behind `albumctl review`: who may ask, which pictures are shown |
//! | [`commands`] | a file a command: arguments and `run`; wires, never computes |
//! | [`cli`] | the command line: which commands there are, and which file runs each |
//!
//! No two files import each other in a circle; `tests/layering.rs` looks.
//!
//! # Where is …
//!
//! | question | place |
//! |---|---|
//! | which ratings of other programs count? | `src/commands/human_decisions.rs`; how they are read: `src/photo/xmp.rs` |
//! | why is a file refused? | `src/photo/decode.rs` and `src/photo/decode/`, a file a format |
//! | which files go where a photo goes? | `src/photo/companions.rs` |
//! | what makes two photos one scene? | `src/judge/cluster/`: `scene_layout.rs` (likeness), `calibration.rs` (how alike is alike), `moments.rs` (time), a file a method |
//! | what is known of a photo, and which models are asked? | `src/photo_report.rs`; `src/library/model_selection.rs` |
//! | why was this photo picked? | `src/judge/select/`: `composite.rs`, `tournament.rs`, `pick.rs`, `reason.rs` |
//! | what is learned from decisions? | `src/commands/learning.rs` (from which), `src/judge/taste/` (how), `src/journal/taste.rs` (kept where) |
//! | the page of `--report` and `review`? | `src/report/html/`; what it is served by: `src/review/`; what its keys do: `src/commands/review/session.rs` |
//! | a field of a JSON line | `src/report/records/`, a file a command |
//! | a key of the configuration | `src/config/settings.rs`, with its default in `configs/global_config.yaml` |
//! | where is a model's file fetched from? | its manifest in `models/`; `src/hub/fetch/` |
//! | what happens when something breaks? | `tests/faults/README.md`, each row with its test |
//!
//! # `score`, in one line
//!
//! paths → scan → stamp → store hits | misses → read → content → decode once (scaled, upright) → resize → measure →
//! store → record in scan order → writer → exit code.

pub mod analyses;
pub mod arguments;
pub mod cli;
pub mod commands;
pub mod config;
pub mod context;
pub mod error;
pub mod failure;
pub mod journal;
pub mod library;
pub mod missing_models;
pub mod photo_report;
pub mod pipeline;
pub mod report;
pub mod review;
pub mod sqlite;
pub mod store;
pub mod telemetry;
pub mod thumbnail;
pub mod ui;

pub use library::ModelHub;
