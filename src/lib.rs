//! albumctl
pub mod pixels;
