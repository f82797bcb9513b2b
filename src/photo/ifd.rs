//! Reads the directories of TIFF files and of TIFF-based raw files. Every offset is checked, and the number of
//! directories is limited.

/// A limit, because directories may point at each other in a circle; cameras write far fewer.
const MAX_DIRECTORIES: usize = 64;
const MAX_ENTRIES: usize = 1024;
/// The longest text in bytes; names of makers and cameras take about twenty.
const MAX_TEXT: usize = 1024;
const SUB_IFDS: u16 = 0x014a;
const EXIF_IFD: u16 = 0x8769;

#[derive(Clone, Copy, Debug)]
pub struct Tiff<'a> {
    bytes: &'a [u8],
    little_endian: bool,
    /// Whether it is a BigTIFF, with offsets and counts of eight bytes.
    big: bool,
}

#[derive(Debug)]
pub struct Ifd<'a> {
    tiff: Tiff<'a>,
    entries: Vec<IfdEntry>,
    /// Whether the directory states more entries than the file holds.
    pub cut: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct IfdEntry {
    tag: u16,
    format: u16,
    count: u32,
    /// The offset of the values, inside the entry or elsewhere.
    at: usize,
}

impl<'a> Tiff<'a> {
    /// Reads the byte order and whether this is a BigTIFF. Other magic numbers are accepted, because raw files have
    /// their own in place of TIFF's 42.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let little_endian = match bytes.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let small = Self { bytes, little_endian, big: false };
        Some(Self { big: small.u16(2) == Some(43), ..small })
    }

    /// A block of big-endian directories that begins with none of TIFF's marks.
    pub fn without_header(bytes: &'a [u8]) -> Self {
        Self { bytes, little_endian: false, big: false }
    }

    /// All directories: the main chain first, each followed by its sub-directories.
    pub fn directories(&self) -> Vec<Ifd<'a>> {
        let mut waiting = vec![self.start().unwrap_or(0)];
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
        self.at(self.start()?)
    }

    fn start(&self) -> Option<u32> {
        self.word(if self.big { 8 } else { 4 })
    }

    pub fn at(&self, offset: u32) -> Option<Ifd<'a>> {
        self.directory(offset as usize).map(|(ifd, _)| ifd)
    }

    fn directory(&self, offset: usize) -> Option<(Ifd<'a>, u32)> {
        let (count, head, size) =
            if self.big { (self.word(offset)? as usize, 8, 20) } else { (usize::from(self.u16(offset)?), 2, 12) };
        let entries: Vec<IfdEntry> =
            (0..count.min(MAX_ENTRIES)).map_while(|i| self.entry_at(offset + head + i * size)).collect();
        let next = self.word(offset.saturating_add(head + count * size)).unwrap_or(0);
        let cut = entries.len() < count;
        Some((Ifd { tiff: *self, entries, cut }, next))
    }

    fn entry_at(&self, at: usize) -> Option<IfdEntry> {
        let (tag, format, count) = (self.u16(at)?, self.u16(at + 2)?, self.word(at + 4)?);
        let size = if self.big { 8 } else { 4 };
        let inline = size_of_format(format).saturating_mul(count as usize) <= size;
        let place = if inline { at + 4 + size } else { self.word(at + 4 + size)? as usize };
        Some(IfdEntry { tag, format, count, at: place })
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }

    /// An offset or a count; a BigTIFF's value beyond 32 bits becomes the largest 32-bit number, which no file reaches.
    fn word(&self, at: usize) -> Option<u32> {
        if self.big { self.u64(at).map(|word| u32::try_from(word).unwrap_or(u32::MAX)) } else { self.u32(at) }
    }

    fn u64(&self, at: usize) -> Option<u64> {
        let raw = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little_endian { u64::from_le_bytes(raw) } else { u64::from_be_bytes(raw) })
    }
}

fn size_of_format(format: u16) -> usize {
    match format {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}

impl<'a> Ifd<'a> {
    pub fn entry(&self, tag: u16) -> Option<IfdEntry> {
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    pub fn number(&self, tag: u16) -> Option<u32> {
        self.numbers(self.entry(tag)?).next()
    }

    /// The integers of an entry, as far as they are inside the file.
    pub fn numbers(&self, entry: IfdEntry) -> impl Iterator<Item = u32> + use<'a> {
        let tiff = self.tiff;
        let size = size_of_format(entry.format);
        (0..entry.count as usize).map_while(move |i| {
            let at = entry.at.checked_add(i * size)?;
            match entry.format {
                1 | 7 => tiff.bytes.get(at).map(|byte| u32::from(*byte)),
                3 => tiff.u16(at).map(u32::from),
                4 | 13 => tiff.u32(at),
                16 | 18 => tiff.u64(at).map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
                _ => None,
            }
        })
    }

    /// Unsigned fractions; a zero denominator, which EXIF uses for "unknown", gives NaN or infinity.
    pub fn fractions(&self, entry: IfdEntry) -> Vec<f64> {
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

    /// The text of an entry, cut to [`MAX_TEXT`] bytes.
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
    fn a_bigtiff_is_read_like_a_small_one() {
        let mut bytes = b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\0\0\x10".to_vec();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend([1, 0x12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
        bytes.extend([1, 0x11, 0, 16, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 72]);
        bytes.extend([0; 8]);
        bytes.extend([[0, 0, 0, 0, 0, 0, 0, 5], [9, 0, 0, 0, 0, 0, 0, 0]].concat());
        let first = Tiff::new(&bytes).and_then(|tiff| tiff.first()).expect("a directory");
        assert_eq!(first.number(0x0112), Some(6));
        let strips = first.entry(0x0111).expect("strips");
        assert_eq!(first.numbers(strips).collect::<Vec<_>>(), [5, u32::MAX]);
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
