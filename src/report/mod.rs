//! What users and scripts see, and what people do with the result.

pub mod export;
pub mod html;
pub mod xmp;
