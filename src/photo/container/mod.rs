//! The outer shells of picture files: where the EXIF block, the colour profile and the picture data lie. Nothing here
//! decodes a pixel, and nothing allocates by a number that the file states.

pub mod bmff;
pub mod jpeg;
pub mod png;
pub mod tiff;
pub mod webp;
