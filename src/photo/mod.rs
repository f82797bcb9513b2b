//! Files to pixels: finding photos, telling them apart, decoding them upright to sRGB, reading their facts.

mod container;
mod decode;
mod error;
mod exif;
pub mod identity;
mod ifd;
mod kind;
mod libjpeg;
mod limits;
mod raw;
pub mod resize;
mod room;
pub mod scan;

pub use decode::{Decoded, REVISION, Scale, decode, decode_in};
pub use error::DecodeError;
pub use exif::{Camera, Fact, Facts, TakenAt, facts};
pub use kind::{Kind, Raw, is_photo_name, sniff};
pub use limits::Limits;
pub use room::{Budget, Place, Room};
