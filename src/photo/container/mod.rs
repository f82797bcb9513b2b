//! Parsers of the containers of picture files: they find the EXIF block, the colour profile and the picture data.
//! Nothing here decodes pixels or allocates memory by a number stated in a file.

pub mod av1;
mod bits;
pub mod bmff;
pub mod gif;
pub mod hevc;
pub mod jpeg;
pub mod png;
pub mod tiff;
pub mod webp;

/// Larger colour profiles are ignored. Profiles of CMYK presses take 2 MB; a malicious one could inflate without bound.
pub const MAX_PROFILE: usize = 4 << 20;
