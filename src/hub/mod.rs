//! The model hub: what a model is, where its files come from, where they lie, and that they are the right bytes.

pub mod built_in;
pub mod cache;
pub mod catalogue;
pub mod digest;
pub mod fetch;
pub mod policy;
pub mod sources;
