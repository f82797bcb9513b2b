//! The directories of a TIFF, as raw files use them. Every offset is checked, every chain ends.

/// A directory may point anywhere, at itself too; no camera writes nearly as many.
const MAX_DIRECTORIES: usize = 64;
const MAX_ENTRIES: usize = 1024;
/// Bytes of a text; names of makers and cameras take some twenty.
const MAX_TEXT: usize = 1024;
const SUB_IFDS: u16 = 0x014a;
const EXIF_IFD: u16 = 0x8769;

#[derive(Clone, Copy, Debug)]
pub struct Tiff<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

#[derive(Debug)]
pub struct Ifd<'a> {
    tiff: Tiff<'a>,
    entries: Vec<Entry>,
    /// The directory says it has more entries than the file holds.
    pub cut: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Entry {
    tag: u16,
    format: u16,
    count: u32,
    /// Where the values lie, inside the entry or elsewhere.
    at: usize,
}

impl<'a> Tiff<'a> {
    /// Takes the byte order only: raw files put marks of their own where TIFF has 42.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.get(..2)? {
            b"II" => Some(Self { bytes, little_endian: true }),
            b"MM" => Some(Self { bytes, little_endian: false }),
            _ => None,
        }
    }

    /// All directories: the main chain first, each followed by its sub-directories.
    pub fn directories(&self) -> Vec<Ifd<'a>> {
        let mut waiting = vec![self.u32(4).unwrap_or(0)];
        let (mut seen, mut found) = (Vec::new(), Vec::new());
        while let Some(offset) = waiting.pop() {
            if offset == 0 || seen.contains(&offset) || seen.len() == MAX_DIRECTORIES {
                continue;
            }
            seen.push(offset);
            let Some((ifd, next)) = self.directory(offset as usize) else { continue };
            waiting.push(next);
            let nested = [SUB_IFDS, EXIF_IFD].into_iter().filter_map(|tag| ifd.entry(tag));
            let nested: Vec<u32> = nested.flat_map(|entry| ifd.numbers(entry).take(MAX_DIRECTORIES)).collect();
            waiting.extend(nested.into_iter().rev());
            found.push(ifd);
        }
        found
    }

    /// The first directory of the main chain.
    pub fn first(&self) -> Option<Ifd<'a>> {
        self.at(self.u32(4)?)
    }

    pub fn at(&self, offset: u32) -> Option<Ifd<'a>> {
        self.directory(offset as usize).map(|(ifd, _)| ifd)
    }

    fn directory(&self, offset: usize) -> Option<(Ifd<'a>, u32)> {
        let count = usize::from(self.u16(offset)?);
        let entries: Vec<Entry> =
            (0..count.min(MAX_ENTRIES)).map_while(|i| self.entry_at(offset + 2 + i * 12)).collect();
        let next = self.u32(offset + 2 + count * 12).unwrap_or(0);
        let cut = entries.len() < count;
        Some((Ifd { tiff: *self, entries, cut }, next))
    }

    fn entry_at(&self, at: usize) -> Option<Entry> {
        let (tag, format, count) = (self.u16(at)?, self.u16(at + 2)?, self.u32(at + 4)?);
        let inline = size_of_format(format).saturating_mul(count as usize) <= 4;
        let place = if inline { at + 8 } else { self.u32(at + 8)? as usize };
        Some(Entry { tag, format, count, at: place })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }
}

fn size_of_format(format: u16) -> usize {
    match format {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 => 8,
        _ => 1,
    }
}

impl<'a> Ifd<'a> {
    pub fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    pub fn number(&self, tag: u16) -> Option<u32> {
        self.numbers(self.entry(tag)?).next()
    }

    /// The whole numbers of an entry, as many as lie inside the file.
    pub fn numbers(&self, entry: Entry) -> impl Iterator<Item = u32> + use<'a> {
        let tiff = self.tiff;
        let size = size_of_format(entry.format);
        (0..entry.count as usize).map_while(move |i| {
            let at = entry.at.checked_add(i * size)?;
            match entry.format {
                1 | 7 => tiff.bytes.get(at).map(|byte| u32::from(*byte)),
                3 => tiff.u16(at).map(u32::from),
                4 | 13 => tiff.u32(at),
                _ => None,
            }
        })
    }

    /// Unsigned fractions; a zero denominator, which EXIF uses for "unknown", gives NaN or infinity.
    pub fn fractions(&self, entry: Entry) -> Vec<f64> {
        let pair = |i: usize| {
            let at = entry.at.checked_add(i * 8)?;
            Some(f64::from(self.tiff.u32(at)?) / f64::from(self.tiff.u32(at + 4)?))
        };
        if entry.format == 5 { (0..entry.count.min(64) as usize).map_while(pair).collect() } else { Vec::new() }
    }

    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        let length = size_of_format(entry.format).checked_mul(entry.count as usize)?;
        self.tiff.bytes.get(entry.at..entry.at.checked_add(length)?)
    }

    /// The text of an entry, or the first of it where it is longer than any text that is meant to be read.
    pub fn text(&self, tag: u16) -> Option<String> {
        let raw = self.bytes(tag)?;
        let raw = &raw[..raw.len().min(MAX_TEXT)];
        let end = raw.iter().position(|byte| *byte == 0).unwrap_or(raw.len());
        Some(String::from_utf8_lossy(&raw[..end]).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_points_at_itself_is_read_once() {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend([1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 8, 0, 0, 0]);
        let directories = Tiff::new(&bytes).expect("a TIFF").directories();
        assert_eq!(directories.len(), 1);
        assert_eq!(directories[0].number(0x0112), Some(6));
    }

    #[test]
    fn offsets_and_counts_past_the_end_give_nothing() {
        let mut bytes = b"MM\0*\0\0\0\x08".to_vec();
        bytes.extend([0xff, 0xff, 0x01, 0x4a, 0, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0]);
        let directories = Tiff::new(&bytes).expect("a TIFF").directories();
        assert_eq!(directories.len(), 1);
        assert_eq!(directories[0].number(SUB_IFDS), None);
        assert_eq!(directories[0].bytes(SUB_IFDS), None);
    }
}
