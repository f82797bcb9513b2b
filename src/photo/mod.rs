//! From a file's bytes to upright sRGB pixels and the facts beside them.

mod boundary;
mod container;
mod decode;
mod error;
mod exif;
mod ifd;
mod kind;
mod limits;
mod raw;
pub mod resize;

pub use boundary::quiet_decoder_panics;
pub use decode::{Decoded, Scale, decode};
pub use error::DecodeError;
pub use exif::{Camera, Fact, Facts, TakenAt, facts};
pub use kind::{Kind, Raw, is_photo_name, sniff};
pub use limits::Limits;
