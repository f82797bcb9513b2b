//! k-means and semantic de-duplication over features that need not fit into memory.
//!
//! [`step`] is one step of k-means, [`pass`] a query over all rows, and [`fit`] the algorithm. An engine answers passes: the
//! threads of this machine or, with the feature `distributed`, a cluster.
//!
//! This crate must never know photos, models or the command line.

mod arrays;
mod arrow_rows;
pub mod assign;
mod assignments;
mod columns;
mod data_file;
pub mod dedup;
#[cfg(feature = "distributed")]
pub mod distributed;
mod error;
mod exact;
mod features;
pub mod files;
pub mod fit;
mod input;
mod model;
mod nearest;
pub mod output;
mod page_headers;
mod pages;
pub mod pass;
pub mod phash;
pub mod sample;
pub mod sampled_pairs;
mod sampling;
mod scan_pool;
mod seeding;
mod source;
pub mod splinters;
pub mod step;
#[cfg(feature = "object-stores")]
mod stores;
#[cfg(not(feature = "object-stores"))]
#[path = "object_stores_stub.rs"]
mod stores;
mod thrift;
mod work;

pub use error::{DataLocation, RowError, ScaleError};
pub use input::is_remote;
pub use model::{MODEL_MARK, Model};
pub use nearest::{Centroids, Nearest, NearestScratch};
pub use seeding::Init;
pub use source::{DataFile, Group, Source, absolute, expand, read_list};
pub use work::Iteration;
