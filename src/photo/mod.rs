//! From a file's bytes to upright sRGB pixels and the facts beside them.

pub mod resize;
