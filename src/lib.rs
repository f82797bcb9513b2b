//! albumctl
pub mod config;
pub mod error;
pub mod photo;
pub mod pixels;
pub mod quality;
