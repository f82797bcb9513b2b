//! albumctl
pub mod config;
pub mod error;
pub mod hub;
pub mod pixels;
pub mod quality;
