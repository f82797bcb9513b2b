//! MediaPipe's `.task` files: zip archives of networks, read from memory.

use std::io::Read;

use crate::fetch::unpacked;
use base::zip_directory::{self as zip, Broken, Entry, Packing};

/// Maximum bytes of an entry; published ones have a few megabytes.
const LARGEST_ENTRY: u64 = 64 << 20;
/// Maximum number of entries; published bundles have four.
const MOST_ENTRIES: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("it is no readable archive: {0}")]
    Archive(#[from] Broken),
    #[error("it has {found} entries; at most {MOST_ENTRIES} are looked at")]
    Entries { found: usize },
    #[error("it has {found} entries of the name {name} where one belongs")]
    Named { name: &'static str, found: usize },
    #[error("its entry {name} claims {bytes} bytes; at most {LARGEST_ENTRY} are unpacked")]
    TooLarge { name: &'static str, bytes: u64 },
    #[error("its entry {name} does not have the {bytes} bytes that it claims")]
    Length { name: &'static str, bytes: u64 },
    #[error("its entry {name} cannot be unpacked: {source}")]
    Unpack { name: &'static str, source: std::io::Error },
}

/// The entries of an archive.
pub struct Bundle<'a> {
    archive: &'a [u8],
    entries: Vec<Entry>,
}

impl<'a> Bundle<'a> {
    pub fn read(archive: &'a [u8]) -> Result<Self, BundleError> {
        let size = archive.len() as u64;
        let tail = &archive[archive.len().saturating_sub(zip::TAIL as usize)..];
        let (offset, length) = zip::place(tail, size)?;
        // Checked to be inside the file.
        let directory = &archive[offset as usize..(offset + length) as usize];
        let mut entries = zip::entries(directory, offset)?;
        entries.retain(|entry| entry.packing != Packing::Other);
        let found = entries.len();
        if found > MOST_ENTRIES { Err(BundleError::Entries { found }) } else { Ok(Self { archive, entries }) }
    }

    /// The content of an entry. No more is unpacked than its declared size.
    pub fn entry(&self, name: &'static str) -> Result<Vec<u8>, BundleError> {
        let mut of_name = self.entries.iter().filter(|entry| entry.name == name);
        let (Some(entry), None) = (of_name.next(), of_name.next()) else {
            let found = self.entries.iter().filter(|entry| entry.name == name).count();
            return Err(BundleError::Named { name, found });
        };
        let bytes = entry.bytes;
        if bytes > LARGEST_ENTRY {
            return Err(BundleError::TooLarge { name, bytes });
        }
        let mut content = Vec::new();
        let from = &self.archive[entry.offset as usize..];
        unpacked(from, entry)
            .and_then(|reader| reader.take(bytes + 1).read_to_end(&mut content))
            .map_err(|source| BundleError::Unpack { name, source })?;
        if content.len() as u64 == bytes { Ok(content) } else { Err(BundleError::Length { name, bytes }) }
    }
}
