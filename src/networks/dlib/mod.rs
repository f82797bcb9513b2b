//! What dlib knows of faces: its `.dat` files, the five points of a face, the chip cut out around them, and the 128 numbers
//! by which faces of one person are alike.
//!
//! Files are read for the networks they must hold and nothing else: each count is compared with the one that is expected
//! before memory is taken.

mod alignment;
mod chip;
mod descriptor;
mod stream;

pub use alignment::{Alignment, Rectangle};
pub use chip::{CHIP, Point, face_chip};
pub use descriptor::{DESCRIPTOR, FaceDescriptor};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DlibError {
    #[error("it ends within {0}")]
    Truncated(&'static str),
    #[error("{what} {found} where {expected} belongs")]
    Unexpected { what: &'static str, found: String, expected: String },
    #[error("{0} that is no finite number")]
    NotFinite(&'static str),
    #[error("{0} bytes are left over")]
    LeftOver(usize),
}

#[cfg(test)]
mod tests;
