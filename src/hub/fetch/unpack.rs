//! The content of one entry of a zip archive.

use std::io::{self, Read};

use base::zip_directory::{Entry, Packing, rest_of_header};
use flate2::read::DeflateDecoder;

/// The content of an entry, from a reader positioned at its local header.
pub fn unpacked<'a>(mut reader: impl Read + 'a, entry: &Entry) -> io::Result<Box<dyn Read + 'a>> {
    let mut header = [0; 30];
    reader.read_exact(&mut header)?;
    let rest = rest_of_header(&header).map_err(|broken| io::Error::new(io::ErrorKind::InvalidData, broken))?;
    io::copy(&mut reader.by_ref().take(rest), &mut io::sink())?;
    let packed = reader.take(entry.packed_bytes);
    Ok(if entry.packing == Packing::Deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) })
}
