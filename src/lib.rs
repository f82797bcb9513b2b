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
//! | [`judge`] | pure decisions on numbers and words: `quality`, `portrait`, `cluster`, `select`, `query`, `taste` | files, clocks, networks, the terminal |
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
//! | [`error`], [`failure`] | errors that end a run; failures of one photo |
//! | [`ui`], [`telemetry`] | the only writer to the terminal; where the time went |
//! | [`config`] | typed settings from layers, each value knowing who set it |
//! | [`sqlite`] | what store and journal share: opening, waiting for locks, recognising damage |
//! | [`store`] | the results store, by content and fingerprint; may be deleted at any time |
//! | [`journal`] | what must not be lost: a person's decisions, the comparisons a taste is learned from, and the photos that `--since last-run` has seen |
//! | [`photo_report`], [`thumbnail`] | everything known of one photo; a small picture of it |
//! | [`report`] | records, a file per format (JSON lines, CSV, table), schemas, the page, sidecars, exports |
//! | [`pipeline`] | photos in, findings out in scan order: identify, look up, read, decode once, analyse, keep |
//! | [`analyses`] | the analyses of a photo: measures and networks, as the pipeline runs them |
//! | [`library`] | the engine of every command, and of Rust programs: [`ModelHub`]; shown by `examples/model_hub.rs` |
//! | [`missing_models`] | the note about missing models at the end of a run |
//! | [`arguments`], [`context`] | options of all commands; the state of a run: settings, store, terminal, stop flag |
//! | [`review`] | the server of `albumctl review`: access control, pictures |
//! | [`commands`] | a file per command: arguments and `run`; connects, never computes |
//! | [`cli`] | the command line: which commands there are, and which file runs each |
//!
//! No two files import each other in a circle; `tests/layering.rs` looks.
//!
//! # Where is …
//!
//! | question | place |
//! |---|---|
//! | which ratings of other programs count? | `src/commands/human_decisions.rs`; how they are read: `src/photo/xmp.rs` |
//! | why is a file refused? | `src/photo/decode.rs` and `src/photo/decode/`, a file per format (`heic.rs`; `heif.rs` is the container that HEIC and AVIF share) |
//! | which files are exported with a photo? | `src/photo/companions.rs` |
//! | what makes two photos one scene? | `src/judge/cluster/`: `mod.rs` (joins the parts), `scene_layout.rs` (half of the similarity; the other half is the embedding), `calibration.rs` (thresholds, chosen in `src/library/groups.rs`), `agglomerative.rs` (the default method), `links.rs` (which photos are compared), `index.rs` (of large libraries), `linkage.rs` (the merging), `moments.rs` (time) |
//! | what makes photos one bracket, stack or sweep? | `src/judge/sequences/` |
//! | what is known of a photo, and which models are used? | `src/photo_report.rs`; `src/library/model_selection.rs` |
//! | what do the parts of the scores weigh? | of `select`: `configs/global_config.yaml`, applied in `src/judge/select/composite.rs`; of `score`: `src/judge/quality/mod.rs` |
//! | why was this photo picked? | `src/judge/select/`: `composite.rs` (composite score), `lids.rs` (half-closed eyes), `tournament.rs`, `pick.rs`, `reason.rs` |
//! | the built-in network | `src/networks/mini/`: `trunk.rs`, `views.rs` (what it sees), `heads.rs`, `comparison_head.rs` (tie-breaks), `framing.rs` (level or tilted, whole or cut off); called from `src/hub/tasks.rs` |
//! | how does a network from a file run? | `src/networks/graph/` runs graphs of operators (on processors by `by_kernels.rs`, on cards by `by_candle.rs`), which `onnx/`, `tensorflow/` (frozen graphs) and `tflite/` beside it read from files |
//! | faces: where are they, are the eyes open? | networks: `src/hub/faces.rs`, `src/hub/expressions.rs`; decisions: `src/judge/portrait/`, `record.rs` (a face, a photo), `state.rs` (eyes) |
//! | objects in photos | `src/networks/objects/`, on such graphs |
//! | text in photos | `src/networks/text/`, on such graphs, or on Tesseract's networks (`src/networks/tesseract/`) |
//! | which letters belong to a language? | `src/networks/languages.rs` |
//! | who is on a photo? | `src/hub/people.rs`, `src/networks/dlib/`; stored by `src/journal/people.rs` |
//! | what is a photo about? | `src/judge/query/`; what it is asked of: `src/library/relevance.rs`; kinds of classes: `models/imagenet-1k-concepts.txt` |
//! | how are photos compared with words as a whole? | `src/networks/siglip.rs`, `src/hub/siglip.rs` |
//! | how does a person's taste count? | `src/judge/taste/`; learned in `src/commands/learning.rs` |
//! | which network is built from a weight file? | `src/hub/registry.rs`, an arm per architecture |
//! | where is a model's file fetched from? | its manifest in `models/`; `src/hub/fetch/` |
//! | when is a model's file trusted, and where is it stored? | hashes are checked on arrival in `src/hub/fetch/pull.rs`, before use in `src/hub/cache.rs`; hashes that a user accepted: `src/hub/cache/trust.rs` |
//! | a field of a JSON line | `src/report/records/`, a file per command; `tests/cli/fields.txt` keeps them |
//! | a field of a sidecar | `src/report/xmp.rs`, written by `src/report/xmp/merge.rs`, filled in `src/commands/album_ratings.rs` |
//! | what survives a kill while files are written? | `src/base/atomic.rs` (temporary file, rename), `src/report/export.rs` (the album); signals: `src/context.rs` |
//! | how does a decision survive an edit of the file? | `src/journal/photo_id.rs`; `src/photo/picture.rs` (the picture without metadata) |
//! | the page of `--report` and `review` | `src/report/html/`; its keys: `page.js` there; the server: `src/review/`, with access control in `server.rs`; from a request to the journal and back: `src/commands/review/session.rs`, on the choice that `choosing.rs` beside it makes |
//! | k-means over files | `src/scale/pass.rs` (queries), `fit.rs`; run by `scan_pool.rs` here, by `distributed/engine.rs` on a cluster |
//! | de-duplication of rows | `src/scale/dedup.rs`; parts are compared by `dedup/local.rs` here, by `distributed/operators.rs` on a cluster |
//! | a key of the configuration | `src/config/settings.rs`, with its default in `configs/global_config.yaml` |
//! | a command | its file in `src/commands/`; `src/cli.rs`; in `src/cli/` its `--help` examples, the files it writes, and options that do nothing for it; the schema of its lines: `src/report/schema.rs` |
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
