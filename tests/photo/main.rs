//! From files to upright sRGB pixels and facts: real cameras, odd containers, hostile bytes.

mod corpus;
mod facts;
mod formats;
mod hostile;
mod libjpeg;
mod raw;
mod shared;
