//! The zip container of `torch.save`: members stored without compression, found through the directory at the end.

use std::collections::BTreeMap;

use super::source::Source;
use crate::checkpoint::WeightsError;

/// Real checkpoints have a few thousand members.
const MOST_MEMBERS: u64 = 1 << 20;
const LONGEST_DIRECTORY: u64 = 256 << 20;

#[derive(Debug)]
pub(super) struct Archive {
    pub source: Source,
    members: BTreeMap<String, Member>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    compressed: bool,
    len: u64,
    /// Of the member's local header.
    header: u64,
}

/// Little-endian fields of a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> Option<u64> {
        Some(u16::from_le_bytes(self.0.get(at..at + 2)?.try_into().ok()?).into())
    }
    fn u32(&self, at: usize) -> Option<u64> {
        Some(u32::from_le_bytes(self.0.get(at..at + 4)?.try_into().ok()?).into())
    }
    fn u64(&self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(self.0.get(at..at + 8)?.try_into().ok()?))
    }
}

impl Archive {
    pub fn open(source: Source) -> Result<Self, WeightsError> {
        let (start, len, count) = directory_place(&source)?;
        if len > LONGEST_DIRECTORY || count > MOST_MEMBERS {
            return Err(source.format_error("its directory is larger than any checkpoint's"));
        }
        let directory = source.read(start, len)?;
        let mut members = BTreeMap::new();
        let mut at = 0usize;
        for _ in 0..count {
            let rest = directory.get(at..).unwrap_or_default();
            let (name, member, size) =
                directory_entry(rest).ok_or_else(|| source.format_error("its directory is damaged"))?;
            members.insert(name, member);
            at += size;
        }
        Ok(Self { source, members })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    pub fn len_of(&self, name: &str) -> Option<u64> {
        self.members.get(name).map(|member| member.len)
    }

    /// `len` bytes of a member from `offset` on.
    pub fn read(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        let Some(member) = self.members.get(name) else {
            return Err(self.source.format_error(format!("it has no `{name}`")));
        };
        if member.compressed {
            return Err(self.source.format_error(format!("`{name}` is compressed, which torch.save never does")));
        }
        if offset.checked_add(len).is_none_or(|end| end > member.len) {
            let what = format!("`{name}` has {} bytes, {len} at {offset} are needed", member.len);
            return Err(WeightsError::Truncated { file: self.source.path().to_owned(), what });
        }
        let header = self.source.read(member.header, 30)?;
        let fields = Fields(&header);
        let sizes = fields.u32(0).filter(|&signature| signature == 0x0403_4b50).and(fields.u16(26).zip(fields.u16(28)));
        let Some((name_len, extra_len)) = sizes else {
            return Err(self.source.format_error(format!("the header of `{name}` is damaged")));
        };
        self.source.read(member.header + 30 + name_len + extra_len + offset, len)
    }
}

/// Start, length and number of entries of the directory.
fn directory_place(source: &Source) -> Result<(u64, u64, u64), WeightsError> {
    // The end record is 22 bytes and a comment of at most 64 KiB.
    let tail_len = source.len().min(22 + 0xffff);
    let tail = source.read(source.len() - tail_len, tail_len)?;
    let whole = |at: &usize| tail.len() - at >= 22;
    let Some(at) = tail.windows(4).rposition(|w| w == b"PK\x05\x06").filter(whole) else {
        let what = "the directory at the end of the zip is missing".to_owned();
        return Err(WeightsError::Truncated { file: source.path().to_owned(), what });
    };
    let damaged = || source.format_error("the end record of the zip is damaged");
    let end = Fields(&tail[at..]);
    let fields = end.u16(10).zip(end.u32(12)).zip(end.u32(16));
    let ((count, len), start) = fields.ok_or_else(damaged)?;
    if start != 0xffff_ffff && count != 0xffff && len != 0xffff_ffff {
        return Ok((start, len, count));
    }
    // Zip64: a locator of 20 bytes lies before the end record and says where the real one is.
    let locator = at.checked_sub(20).map(|at| Fields(&tail[at..])).ok_or_else(damaged)?;
    let place = locator.u32(0).filter(|&s| s == 0x0706_4b50).and(locator.u64(8)).ok_or_else(damaged)?;
    let record = source.read(place, 56)?;
    let record = Fields(&record);
    let signed = record.u32(0).filter(|&s| s == 0x0606_4b50);
    let fields = signed.and(record.u64(48)).zip(record.u64(40)).zip(record.u64(32));
    let ((start, len), count) = fields.ok_or_else(damaged)?;
    Ok((start, len, count))
}

/// Name and place of the first entry of `bytes`, and the entry's size.
fn directory_entry(bytes: &[u8]) -> Option<(String, Member, usize)> {
    let fields = Fields(bytes);
    (fields.u32(0)? == 0x0201_4b50).then_some(())?;
    let compressed = fields.u16(10)? != 0;
    let (mut stored, mut len, mut header) = (fields.u32(20)?, fields.u32(24)?, fields.u32(42)?);
    let [name_len, extra_len, comment_len] = [fields.u16(28)?, fields.u16(30)?, fields.u16(32)?].map(|v| v as usize);
    let name = String::from_utf8_lossy(bytes.get(46..46 + name_len)?).into_owned();
    let mut extra = bytes.get(46 + name_len..46 + name_len + extra_len)?;
    while let (Some(id), Some(size)) = (Fields(extra).u16(0), Fields(extra).u16(2)) {
        let body = extra.get(4..4 + size as usize)?;
        if id == 1 {
            // Only the fields that did not fit above, in this order.
            let mut at = 0;
            for field in [&mut len, &mut stored, &mut header] {
                if *field == 0xffff_ffff {
                    *field = Fields(body).u64(at)?;
                    at += 8;
                }
            }
        }
        extra = &extra[4 + size as usize..];
    }
    (compressed || stored == len).then_some(())?;
    Some((name, Member { compressed, len, header }, 46 + name_len + extra_len + comment_len))
}
