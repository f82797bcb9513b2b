//! Numeric kernels. With the memory map, the only room that may write `unsafe`.

pub mod gram;
