//! JSON lines: one object a line, every key, in a fixed order.

use std::io::{self, Write};

use super::Record;

pub fn write<R: Record>(out: &mut dyn Write, record: &R) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}
