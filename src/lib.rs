//! albumctl
pub mod config;
pub mod error;
pub mod hub;
pub mod kernels;
pub mod nn;
pub mod photo;
pub mod pixels;
pub mod quality;
