//! Files to pixels: finding photos, telling them apart, decoding them upright to sRGB, reading their facts.
//!
//! A file is opened read-only, bounded in bytes, pixels, memory and time, and decoded behind a boundary no panic crosses.
//! It must never know what a picture is worth, a model, or the store.

pub mod companions;
mod container;
mod decode;
mod error;
mod exif;
mod hidden;
pub mod identity;
mod ifd;
mod kind;
mod libjpeg;
mod limits;
mod memory_budget;
mod name_time;
mod picture;
mod raw;
pub mod resize;
pub mod scan;
pub mod xmp;

pub use container::jpeg::is_for_browsers;
pub use decode::{Decoded, REVISION, Scale, decode, decode_in};
pub use error::DecodeError;
pub use exif::{Camera, Fact, Facts, TakenAt, facts};
pub use kind::{Kind, Raw, is_photo_name, sniff};
pub use limits::Limits;
pub use memory_budget::{Budget, MemoryBudget, Place};
pub use name_time::{Taken, taken_in_name};
pub use picture::picture_of;
