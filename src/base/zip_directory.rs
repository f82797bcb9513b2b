//! The directory at the end of a zip archive, so that one entry can be read without the rest, over a network too.
//!
//! Not by the crate `zip`: it makes room for as many entries as the last record claims before it reads one of them, 1.7 GB
//! for an archive of 1 GB that holds none, and a server may claim any size.

use thiserror::Error;

/// The end record and the longest comment it may carry.
pub const TAIL: u64 = 22 + 65_535;

#[derive(Debug, Error)]
pub enum Broken {
    #[error("no end record")]
    NoEnd,
    #[error("{0}")]
    Other(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Stored,
    Deflated,
    /// Encrypted, or packed in a way that is not read.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    pub packed_bytes: u64,
    pub packing: Packing,
    /// Where its local header begins.
    pub offset: u64,
    /// Where the next thing begins.
    pub end: u64,
}

/// Where the directory lies in a file of `size` bytes that ends in `tail`: offset and length.
pub fn place(tail: &[u8], size: u64) -> Result<(u64, u64), Broken> {
    let end = (0..tail.len().saturating_sub(21)).rev().find(|&at| tail[at..].starts_with(b"PK\x05\x06"));
    let end = end.ok_or(Broken::NoEnd)?;
    let record = &tail[end..];
    let (mut length, mut offset) = (u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
    if u16_at(record, 10)? == u16::MAX || length == u64::from(u32::MAX) || offset == u64::from(u32::MAX) {
        // Beyond four gigabytes another record stands before this one, and a pointer to it between them.
        let wide = tail[..end].windows(4).rposition(|four| four == b"PK\x06\x06");
        let wide = &tail[wide.ok_or(Broken::Other("no wide end record"))?..end];
        (length, offset) = (u64_at(wide, 40)?, u64_at(wide, 48)?);
    }
    match offset.checked_add(length) {
        _ if length == 0 => Err(Broken::Other("its directory is empty")),
        Some(end) if end <= size => Ok((offset, length)),
        _ => Err(Broken::Other("the directory lies outside the file")),
    }
}

/// What a directory that lies at `place` names.
pub fn entries(directory: &[u8], place: u64) -> Result<Vec<Entry>, Broken> {
    const CUT: Broken = Broken::Other("the directory is cut short");
    let mut found = Vec::new();
    let mut rest = directory;
    while rest.starts_with(b"PK\x01\x02") {
        let length = |at| u16_at(rest, at).map(usize::from);
        let name_end = 46 + length(28)?;
        let extra_end = name_end + length(30)?;
        let name = rest.get(46..name_end).ok_or(CUT)?;
        let mut wide = wide_numbers(rest.get(name_end..extra_end).ok_or(CUT)?).into_iter();
        let mut number = |at| match u32_at(rest, at)? {
            u32::MAX => wide.next().ok_or(Broken::Other("a wide number is missing")),
            number => Ok(u64::from(number)),
        };
        let (bytes, packed_bytes, offset) = (number(24)?, number(20)?, number(42)?);
        if offset >= place {
            return Err(Broken::Other("an entry lies behind the directory"));
        }
        let packing = match (u16_at(rest, 10)?, u16_at(rest, 8)? & 1) {
            (0, 0) => Packing::Stored,
            (8, 0) => Packing::Deflated,
            _ => Packing::Other,
        };
        let name = String::from_utf8_lossy(name).into_owned();
        found.push(Entry { name, bytes, packed_bytes, packing, offset, end: place });
        rest = rest.get(extra_end + length(32)?..).unwrap_or_default();
    }
    let mut offsets: Vec<u64> = found.iter().map(|entry| entry.offset).collect();
    offsets.sort_unstable();
    for entry in &mut found {
        let next = offsets.partition_point(|offset| *offset <= entry.offset);
        entry.end = offsets.get(next).copied().unwrap_or(place);
    }
    Ok(found)
}

/// How many bytes of a local header follow its first 30.
pub fn rest_of_header(header: &[u8]) -> Result<u64, Broken> {
    if !header.starts_with(b"PK\x03\x04") {
        return Err(Broken::Other("no entry begins where the directory says"));
    }
    Ok(u64::from(u16_at(header, 26)?) + u64::from(u16_at(header, 28)?))
}

/// The numbers of the extra field 1, in order.
fn wide_numbers(mut extra: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let (Ok(kind), Ok(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let field = extra.get(4..4 + usize::from(length)).unwrap_or_default();
        if kind == 1 {
            numbers.extend(field.chunks_exact(8).filter_map(|eight| u64_at(eight, 0).ok()));
        }
        extra = extra.get(4 + usize::from(length)..).unwrap_or_default();
    }
    numbers
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Broken> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Broken> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Broken> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Broken> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Broken::Other("it is cut short"))
}
