//! k-means and de-duplication over Parquet, as a caller of the library and as a user of the command meets them.

mod bad_inputs;
mod dedup;
mod features;
mod fit;
