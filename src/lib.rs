//! albumctl
pub mod kernels;
pub mod config;
pub mod error;
pub mod pixels;
pub mod quality;
pub mod scale;
