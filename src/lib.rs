//! albumctl
pub mod kernels;
pub mod config;
pub mod error;
pub mod nn;
pub mod photo;
pub mod pixels;
pub mod quality;
