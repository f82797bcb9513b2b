//! albumctl
pub mod cluster;
pub mod config;
pub mod error;
pub mod kernels;
pub mod photo;
pub mod pixels;
pub mod quality;
pub mod report;
pub mod select;
