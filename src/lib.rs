//! albumctl
pub mod kernels;
pub mod pixels;
