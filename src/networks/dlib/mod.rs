//! dlib's face recognition: its `.dat` files, the five points of a face, the chip around them, and the descriptor of 128
//! numbers.
//!
//! Files must contain exactly the known networks: each count is compared with the expected one before memory is allocated.

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
