//! A zip archive read from its end, as zip archives are, so that one entry can be had without the rest.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;

use super::SourceError;

/// The end record and the longest comment it may carry.
pub const TAIL: u64 = 22 + 65_535;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    pub packed_bytes: u64,
    /// Where its local header begins.
    pub offset: u64,
    /// Where the next thing begins.
    pub end: u64,
    deflated: bool,
}

/// Where the directory lies: offset and length.
pub fn directory_place(tail: &[u8], size: u64) -> Result<(u64, u64), SourceError> {
    let end = (0..tail.len().saturating_sub(21)).rev().find(|&at| tail[at..].starts_with(b"PK\x05\x06"));
    let end = end.ok_or_else(|| broken("no end record"))?;
    let record = &tail[end..];
    let (mut length, mut offset) = (u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
    if length == u64::from(u32::MAX) || offset == u64::from(u32::MAX) {
        // Beyond four gigabytes another record stands before this one, and a pointer to it between them.
        let wide = tail[..end].windows(4).rposition(|four| four == b"PK\x06\x06");
        let wide = &tail[wide.ok_or_else(|| broken("no wide end record"))?..end];
        (length, offset) = (u64_at(wide, 40)?, u64_at(wide, 48)?);
    }
    match offset.checked_add(length) {
        _ if length == 0 => Err(broken("its directory is empty")),
        Some(end) if end <= size => Ok((offset, length)),
        _ => Err(broken("the directory lies outside the file")),
    }
}

pub fn entries(directory: &[u8], directory_offset: u64) -> Result<Vec<Entry>, SourceError> {
    let mut found = Vec::new();
    let mut rest = directory;
    while rest.starts_with(b"PK\x01\x02") {
        let lengths = [28, 30, 32].map(|at| u16_at(rest, at).map(usize::from));
        let [name_length, extra_length, comment_length] = lengths;
        let (name_length, extra_length, comment_length) = (name_length?, extra_length?, comment_length?);
        let name = rest.get(46..46 + name_length).ok_or_else(|| broken("the directory is cut short"))?;
        let extra = rest.get(46 + name_length..46 + name_length + extra_length);
        let extra = extra.ok_or_else(|| broken("the directory is cut short"))?;
        let mut wide = wide_numbers(extra);
        let mut number = |at| -> Result<u64, SourceError> {
            match u32_at(rest, at)? {
                u32::MAX => wide.next().ok_or_else(|| broken("a wide number is missing")),
                number => Ok(u64::from(number)),
            }
        };
        let (bytes, packed_bytes, offset) = (number(24)?, number(20)?, number(42)?);
        if offset >= directory_offset {
            return Err(broken("an entry lies behind the directory"));
        }
        let deflated = match (u16_at(rest, 10)?, u16_at(rest, 8)? & 1) {
            (_, 1) => None,
            (0, _) => Some(false),
            (8, _) => Some(true),
            _ => None,
        };
        if let Some(deflated) = deflated {
            let name = String::from_utf8_lossy(name).into_owned();
            found.push(Entry { name, bytes, packed_bytes, offset, end: directory_offset, deflated });
        }
        rest = rest.get(46 + name_length + extra_length + comment_length..).unwrap_or_default();
    }
    let mut offsets: Vec<u64> = found.iter().map(|entry| entry.offset).collect();
    offsets.sort_unstable();
    for entry in &mut found {
        let next = offsets.partition_point(|offset| *offset <= entry.offset);
        entry.end = offsets.get(next).copied().unwrap_or(directory_offset);
    }
    Ok(found)
}

/// The bytes of an entry out of a reader that begins at its local header.
pub fn unpacked<'a>(mut reader: impl Read + 'a, entry: &Entry) -> io::Result<Box<dyn Read + 'a>> {
    let mut header = [0; 30];
    reader.read_exact(&mut header)?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no entry begins where the directory says"));
    }
    let length = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let skipped = length(26) + length(28);
    io::copy(&mut reader.by_ref().take(skipped), &mut io::sink())?;
    let packed = reader.take(entry.packed_bytes);
    Ok(if entry.deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) })
}

/// The numbers of the extra field 1, in order.
fn wide_numbers(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut numbers = Vec::new();
    while let (Ok(kind), Ok(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let field = extra.get(4..4 + usize::from(length)).unwrap_or_default();
        if kind == 1 {
            numbers.extend(field.chunks_exact(8).filter_map(|eight| u64_at(eight, 0).ok()));
        }
        extra = extra.get(4 + usize::from(length)..).unwrap_or_default();
    }
    numbers.into_iter()
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, SourceError> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, SourceError> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, SourceError> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], SourceError> {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).ok_or_else(|| broken("it is cut short"))
}

fn broken(why: &str) -> SourceError {
    SourceError::Archive(why.to_owned())
}
