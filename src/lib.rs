//! albumctl looks at folders of photos and names those that belong in the album.
//!
//! # The house
//!
//! | room | what it is for |
//! |---|---|
//! | [`cli`] | the command line as typed, no logic |
//! | [`context`] | made once a run: settings, store, terminal, stop flag |
//! | [`commands`] | a file a subcommand: arguments and `run`; wires, never computes |
//! | [`library`] | what the commands do, for Rust programs: `ModelHub`, found at [`hub::ModelHub`] |
//! | [`analyses`] | what is asked of a photo: measures and networks as the pipeline takes them |
//! | [`pipeline`] | photos in, findings out in scan order: identify → store → read → decode once, in a process of its own → analyse → keep |
//! | [`photo`] | files to pixels: scan, identity, kind, decode, EXIF, resize |
//! | [`portrait`] | pure: detections and landmarks → eyes, smile, portrait |
//! | [`quality`] | pure: pixels → technical measures |
//! | [`cluster`] | pure: embeddings and times → groups; a file a method |
//! | [`select`] | pure: scores and groups → the picks, each with its reason |
//! | [`store`] | the results store, by content and fingerprint; may be deleted at any time |
//! | [`journal`] | what must not be forgotten: decisions of a person by content, and what runs for news have seen |
//! | [`sqlite`] | what the two share as files: owner's eyes only, one deadline for locks, what counts as damage |
//! | [`scale`] | past one album: k-means and de-duplication over Parquet features that need not fit in memory; on this machine, or with `distributed` on a cluster |
//! | [`hub`] | the model hub: catalogue, fetching, the folder of verified files, networks loaded when a photo needs them |
//! | [`nn`] | networks only: what the names in a checkpoint say, configuration, forward pass |
//! | [`train`] | labelled photos to weights: augmentation, losses, optimiser, checkpoints, curves |
//! | [`eval`] | pure: predictions and truths to figures with intervals |
//! | [`kernels`] | the processor's own instructions under the networks, chosen at run time |
//! | [`report`] | records, and a file a format: JSON lines, CSV, table; schemas; the page, sidecars, exports |
//! | [`config`] | typed settings from layers, each value knowing who set it |
//! | [`ui`] | the only writer to the terminal |
//! | [`telemetry`] | where the time went |
//! | [`error`], [`failure`] | what ends a run; what costs one photo |
//! | [`contain`] | a boundary no panic crosses; the last one ends the run with a line |
//! | [`atomic`] | files that appear whole: the only way one is put into its place |
//! | [`threads`] | pools of threads where few can be had |
//! | [`reading`] | files that are no photos: regular ones, bounded, and streams that end when the run is asked to stop |
//! | [`escape`] | what is printed cannot steer a terminal |
//! | [`pixels`] | a picture in memory, known to every room |
//!
//! Imports go down only: `main → cli, commands → library, context → analyses → pipeline, hub → journal, store, report,
//! photo → quality, pixels`; pure rooms see numbers, never files, clocks or the terminal. `tests/layering.rs` holds the
//! imports against this.
//!
//! # `score`, in one line
//!
//! paths → scan → stamp → store hits | misses → read → content → decode once (scaled, upright) → resize → measure →
//! store → record in scan order → writer → exit code.

pub mod analyses;
pub mod atomic;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod contain;
pub mod context;
pub mod error;
pub mod escape;
pub mod eval;
pub mod failure;
pub mod hub;
pub mod journal;
pub mod kernels;
pub mod library;
pub mod nn;
pub mod photo;
pub mod pipeline;
pub mod pixels;
pub mod portrait;
pub mod quality;
pub mod reading;
pub mod report;
pub mod scale;
pub mod select;
pub mod sqlite;
pub mod store;
pub mod telemetry;
pub mod threads;
pub mod train;
pub mod ui;
