//! From files to pixels: finds photos, recognises their formats, decodes them upright to sRGB, and reads their
//! metadata.
//!
//! Files are opened read-only and decoded within limits of bytes, pixels, memory and time; panics of decoders are
//! caught. This crate must never know how pictures are judged, the models, or the results store.

pub mod companions;
mod container;
mod decode;
mod error;
mod exif;
mod file_format;
mod hidden;
pub mod identity;
mod ifd;
mod libjpeg;
mod limits;
mod live;
mod memory_budget;
mod name_time;
mod packet;
mod picture;
mod raw;
pub mod resize;
pub mod scan;
pub mod xmp;

pub use container::jpeg::is_for_browsers;
pub use decode::{Decoded, REVISION, Region, Scale, cut, decode, decode_in, decode_regions};
pub use error::DecodeError;
pub use exif::{Camera, Exposure, Fact, Facts, TakenAt, facts};
pub use file_format::{FileFormat, Raw, is_photo_name, sniff};
pub use limits::Limits;
pub use live::is_motion_photo;
pub use memory_budget::{Budget, MemoryBudget, Reservation};
pub use name_time::{Taken, taken_in_name};
pub use packet::{NoPlace, packet, with_packet};
pub use picture::picture_of;
