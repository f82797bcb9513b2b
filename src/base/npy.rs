//! NumPy's `.npy` format: the header, and conversion of the data to numbers or short texts.

use std::io::{self, Read};

/// The header of an array. The items follow it contiguously.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub items: ItemType,
    pub shape: Vec<usize>,
    /// The offset of the first item in the file.
    pub data_offset: u64,
}

/// The type of an array's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemType {
    F16,
    F32,
    F64,
    /// Signed integers of this many bytes.
    Signed(usize),
    /// Unsigned integers of this many bytes; booleans are read as one-byte integers.
    Unsigned(usize),
    /// Texts of up to this many characters of four bytes each.
    Characters(usize),
    /// Texts of up to this many bytes.
    Bytes(usize),
}

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest accepted header, since a damaged file may declare gigabytes.
const MAX_HEADER_BYTES: usize = 1 << 16;
/// The largest accepted number of items, since a damaged header may declare any number.
const MAX_ITEMS: usize = 1 << 48;

/// Whether a file that starts with these bytes is an array.
pub fn is_array(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

impl ItemType {
    /// The size of an item in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Signed(size) | Self::Unsigned(size) | Self::Bytes(size) => size,
            Self::Characters(count) => 4 * count,
        }
    }

    /// Parses the type from the header, such as `<f4`.
    fn of(word: &str) -> Result<Self, String> {
        let unread = |why: &str| format!("items of type `{word}` {why}");
        let (order, rest) = word.split_at_checked(1).ok_or_else(|| unread("are not supported"))?;
        let (kind, size) = rest.split_at_checked(1).ok_or_else(|| unread("are not supported"))?;
        let size: usize = size.parse().unwrap_or(0);
        let items = match (kind, size) {
            ("f", 2) => Self::F16,
            ("f", 4) => Self::F32,
            ("f", 8) => Self::F64,
            ("i", 1 | 2 | 4 | 8) => Self::Signed(size),
            ("u", 1 | 2 | 4 | 8) | ("b", 1) => Self::Unsigned(size),
            ("U", 1..=65_536) => Self::Characters(size),
            ("S", 1..=65_536) => Self::Bytes(size),
            ("O", _) => {
                return Err(unread("are Python objects; save them as plain numbers or strings (`astype(str)`)"));
            }
            _ => return Err(unread("are not supported")),
        };
        let ordered = matches!(order, "<" | "|") || (order == "=" && cfg!(target_endian = "little"));
        if ordered { Ok(items) } else { Err(unread("have another byte order; save them as little-endian (`<`)")) }
    }

    pub fn are_numbers(self) -> bool {
        !matches!(self, Self::Characters(_) | Self::Bytes(_))
    }

    /// Appends the items of `bytes` as numbers; texts append nothing.
    pub fn numbers(self, bytes: &[u8], out: &mut Vec<f64>) {
        let items = bytes.chunks_exact(self.size());
        match self {
            Self::F16 => out.extend(items.map(|b| f64::from(half(u16::from_le_bytes(first(b)))))),
            Self::F32 => out.extend(items.map(|b| f64::from(f32::from_le_bytes(first(b))))),
            Self::F64 => out.extend(items.map(|b| f64::from_le_bytes(first(b)))),
            Self::Signed(_) => out.extend(items.map(|b| signed(b) as f64)),
            Self::Unsigned(_) => out.extend(items.map(|b| unsigned(b) as f64)),
            Self::Characters(_) | Self::Bytes(_) => {}
        }
    }

    /// Converts an integer or a text to a string; returns `None` for floats and invalid texts.
    pub fn text(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Signed(_) => Some(signed(bytes).to_string()),
            Self::Unsigned(_) => Some(unsigned(bytes).to_string()),
            Self::Characters(_) => {
                let characters = bytes.as_chunks::<4>().0.iter().map(|b| char::from_u32(u32::from_le_bytes(*b)));
                let text: String = characters.collect::<Option<_>>()?;
                Some(text.trim_end_matches('\0').to_owned())
            }
            Self::Bytes(_) => Some(std::str::from_utf8(bytes).ok()?.trim_end_matches('\0').to_owned()),
            Self::F16 | Self::F32 | Self::F64 => None,
        }
    }
}

impl Header {
    /// Reads the header and leaves `file` at the first item.
    pub fn read(file: &mut impl Read) -> io::Result<Self> {
        let mut start = [0; 10];
        file.read_exact(&mut start).map_err(|_| invalid("not an .npy file: too short"))?;
        if !is_array(&start) {
            return Err(invalid("not an .npy file"));
        }
        let (length, before) = if start[6] == 1 {
            (usize::from(u16::from_le_bytes([start[8], start[9]])), 10)
        } else {
            let mut rest = [0; 2];
            file.read_exact(&mut rest)?;
            (u32::from_le_bytes([start[8], start[9], rest[0], rest[1]]) as usize, 12)
        };
        if length > MAX_HEADER_BYTES {
            return Err(invalid("its header is too long"));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text).map_err(|_| invalid("its header is cut short"))?;
        let text = String::from_utf8_lossy(&text);
        let unclear = || invalid(&format!("its header cannot be understood: {}", text.trim()));
        let value = |key: &str| {
            let rest = &text[text.find(&format!("'{key}'"))? + key.len() + 2..];
            Some(rest.trim_start().strip_prefix(':')?.trim_start())
        };
        let quoted = value("descr").and_then(|rest| rest.strip_prefix(['\'', '"'])).ok_or_else(unclear)?;
        let word = quoted.split(['\'', '"']).next().ok_or_else(unclear)?;
        let items = ItemType::of(word).map_err(|why| invalid(&why))?;
        let shape = value("shape").and_then(|rest| rest.strip_prefix('(')?.split(')').next()).ok_or_else(unclear)?;
        let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape: Vec<usize> = sides.map(|side| side.parse().ok()).collect::<Option<_>>().ok_or_else(unclear)?;
        let count = shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side));
        if count.is_none_or(|count| count > MAX_ITEMS) {
            return Err(invalid("its header declares more items than a file can hold"));
        }
        let by_columns = value("fortran_order").ok_or_else(unclear)?.starts_with("True");
        if by_columns && shape.len() > 1 {
            return Err(invalid("saved column by column (Fortran order); save np.ascontiguousarray(array)"));
        }
        Ok(Self { items, shape, data_offset: (before + length) as u64 })
    }

    /// The number of items in the array.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of items in a row: the product of all sides but the first.
    pub fn in_row(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Fails if a file of `bytes` bytes is too short for the array.
    pub fn check_length(&self, bytes: u64) -> io::Result<()> {
        let wanted = self.data_offset + (self.count() * self.items.size()) as u64;
        if bytes < wanted {
            return Err(invalid(&format!("cut short: {bytes} bytes instead of {wanted}")));
        }
        Ok(())
    }
}

/// The header of an array of `kind`, such as `<f4`, in version 1.0 of the format.
pub fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let shape = shape.iter().map(|n| format!("{n},")).collect::<Vec<_>>().join(" ");
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    // The data must begin at a multiple of 64, and the header ends with a newline.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(length - header.len() - 1));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The bytes of a number, padded with zeros.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut word = [0; N];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    word
}

fn unsigned(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(first(bytes))
}

fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len() as u32;
    ((unsigned(bytes) << unused) as i64) >> unused
}

/// Converts a half-precision number: one sign bit, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f32::from(bits & 0x3ff);
    sign * match (bits >> 10) & 0x1f {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(kind: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
        [header(kind, shape), data.to_vec()].concat()
    }

    #[test]
    fn a_written_header_is_read_back() {
        let bytes = array("<f4", &[2, 3], &[1f32, -2.5, 0.0, 3.0, 4.0, 5.0].map(f32::to_le_bytes).concat());
        assert_eq!(bytes.len(), 64 * 2 + 24);
        let read = Header::read(&mut bytes.as_slice()).unwrap();
        assert_eq!(read, Header { items: ItemType::F32, shape: vec![2, 3], data_offset: 128 });
        let mut numbers = Vec::new();
        read.items.numbers(&bytes[128..], &mut numbers);
        assert_eq!(numbers, [1.0, -2.5, 0.0, 3.0, 4.0, 5.0]);
        assert!(read.check_length(152).is_ok() && read.check_length(151).is_err());
    }

    #[test]
    fn all_types_of_numbers_and_texts_are_converted() {
        let numbers = |kind: &str, data: &[u8]| {
            let mut out = Vec::new();
            ItemType::of(kind).unwrap().numbers(data, &mut out);
            out
        };
        assert_eq!(numbers("<f2", &[0x00, 0x3c, 0x00, 0xc1, 0x01, 0x00]), [1.0, -2.5, 2f64.powi(-24)]);
        assert_eq!(numbers("|i1", &[0xff, 0x7f]), [-1.0, 127.0]);
        assert_eq!(numbers("<u2", &[0xff, 0xff]), [65_535.0]);
        assert_eq!(numbers("<i8", &(-7i64).to_le_bytes()), [-7.0]);
        let text = |kind: &str, data: &[u8]| ItemType::of(kind).unwrap().text(data);
        let wide = "a\u{fc}\0".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(text("<U3", &wide).as_deref(), Some("a\u{fc}"));
        assert_eq!(text("|S4", b"ab\0\0").as_deref(), Some("ab"));
        assert_eq!(text("<i4", &(-3i32).to_le_bytes()).as_deref(), Some("-3"));
        assert_eq!(text("<f4", &1f32.to_le_bytes()), None);
    }

    #[test]
    fn unsupported_files_are_refused_with_a_reason() {
        let good = array("<f4", &[1], &[0; 4]);
        let error = |bytes: &[u8]| Header::read(&mut &*bytes).unwrap_err().to_string();
        assert!(error(b"PK\x03\x04 and more").contains("not an .npy file"));
        assert!(error(&array("|O", &[1], &[])).contains("Python objects"));
        assert!(error(&array(">f4", &[1], &[])).contains("another byte order"));
        assert!(error(&array("<f4", &[usize::MAX, 2], &[])).contains("more items"));
        let text = String::from_utf8_lossy(&good[10..]).replace("False", "True ").replace("(1,)", "(1,1)");
        assert!(error(&[&good[..10], text.as_bytes()].concat()).contains("Fortran order"));
    }
}
