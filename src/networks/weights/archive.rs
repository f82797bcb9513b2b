//! The zip container of `torch.save`: members stored without compression.

use std::collections::BTreeMap;

use base::zip_directory::{self as zip, Broken, Entry, Packing};

use super::source::Source;
use crate::checkpoint::WeightsError;

/// Real checkpoints have a few thousand members.
const MOST_MEMBERS: usize = 1 << 20;
const LONGEST_DIRECTORY: u64 = 256 << 20;

#[derive(Debug)]
pub(super) struct Archive {
    pub source: Source,
    members: BTreeMap<String, Entry>,
}

impl Archive {
    pub fn open(source: Source) -> Result<Self, WeightsError> {
        let tail_len = source.len().min(zip::TAIL);
        let tail = source.read(source.len() - tail_len, tail_len)?;
        let (start, len) = zip::place(&tail, source.len()).map_err(|broken| damaged(&source, &broken))?;
        let too_large = || source.format_error("its directory is larger than any checkpoint's");
        if len > LONGEST_DIRECTORY {
            return Err(too_large());
        }
        let entries = zip::entries(&source.read(start, len)?, start).map_err(|broken| damaged(&source, &broken))?;
        if entries.len() > MOST_MEMBERS {
            return Err(too_large());
        }
        let torn = |entry: &Entry| entry.packing == Packing::Stored && entry.packed_bytes != entry.bytes;
        if entries.iter().any(torn) {
            return Err(source.format_error("its directory is damaged"));
        }
        let members = entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        Ok(Self { source, members })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    pub fn len_of(&self, name: &str) -> Option<u64> {
        self.members.get(name).map(|member| member.bytes)
    }

    /// `len` bytes of a member from `offset` on.
    pub fn read(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        let Some(member) = self.members.get(name) else {
            return Err(self.source.format_error(format!("it has no `{name}`")));
        };
        if member.packing != Packing::Stored {
            return Err(self.source.format_error(format!("`{name}` is compressed, which torch.save never does")));
        }
        if offset.checked_add(len).is_none_or(|end| end > member.bytes) {
            let what = format!("`{name}` has {} bytes, {len} at {offset} are needed", member.bytes);
            return Err(WeightsError::Truncated { file: self.source.path().to_owned(), what });
        }
        let header = self.source.read(member.offset, 30)?;
        let rest = zip::rest_of_header(&header)
            .map_err(|_| self.source.format_error(format!("the header of `{name}` is damaged")))?;
        self.source.read(member.offset + 30 + rest + offset, len)
    }
}

fn damaged(source: &Source, broken: &Broken) -> WeightsError {
    match broken {
        Broken::NoEnd => {
            let what = "the directory at the end of the zip is missing".to_owned();
            WeightsError::Truncated { file: source.path().to_owned(), what }
        }
        Broken::Other(why) => source.format_error(format!("a damaged zip: {why}")),
    }
}
