//! The outer shells of picture files: where the EXIF block, the colour profile and the picture data lie. Nothing here
//! decodes a pixel, and nothing allocates by a number that the file states.

pub mod av1;
mod bits;
pub mod bmff;
pub mod gif;
pub mod hevc;
pub mod jpeg;
pub mod png;
pub mod tiff;
pub mod webp;

/// Colour profiles beyond this are passed over: that of a CMYK press takes 2 MB, a bomb what it is given.
pub const MAX_PROFILE: usize = 4 << 20;
