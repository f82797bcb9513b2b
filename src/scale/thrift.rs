//! Thrift's compact protocol, in which Parquet metadata is written. Metadata is checked before the general reader trusts it.

use std::io::{BufReader, Read};

use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length as _};

use super::input::Input;

/// The length of the footer and these letters end every file.
const END: &[u8] = b"PAR1";
const TAIL: usize = 8;

/// Refuses a footer that would keep the general reader busy forever. Other damage is left to that reader.
pub fn check_footer(file: &Input) -> Result<()> {
    let Some(end) = file.len().checked_sub(TAIL as u64) else { return Ok(()) };
    let tail = file.get_bytes(end, TAIL)?;
    let Some((length, END)) = tail.split_first_chunk::<4>() else { return Ok(()) };
    let length = u64::from(u32::from_le_bytes(*length));
    let Some(start) = end.checked_sub(length) else { return Ok(()) };
    Compact::new(BufReader::new(file.get_read(start)?.take(length))).skip(STRUCT, 0)
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
pub const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
pub const STRUCT: u8 = 12;
/// Maximum nesting; footers nest four levels of lists of structs.
const DEEPEST: u32 = 32;

/// Reads the compact protocol and counts the bytes.
pub struct Compact<R> {
    bytes: R,
    read: u64,
}

impl<R: Read> Compact<R> {
    pub fn new(bytes: R) -> Self {
        Self { bytes, read: 0 }
    }

    pub fn read(&self) -> u64 {
        self.read
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.bytes.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    /// Reads a varint: seven bits per byte, lowest first.
    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(broken())
    }

    /// Reads a zigzag-encoded 32-bit number that must not be negative.
    pub fn size(&mut self) -> Result<u64> {
        let number = self.number()?;
        if number % 2 == 0 && i32::try_from(number / 2).is_ok() { Ok(number / 2) } else { Err(broken()) }
    }

    pub fn fields(&mut self, depth: u32, each: &mut dyn FnMut(&mut Self, u64, u8) -> Result<()>) -> Result<()> {
        if depth > DEEPEST {
            return Err(broken());
        }
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            id = if head >> 4 == 0 { self.size()? } else { id + u64::from(head >> 4) };
            each(self, id, head & 0xf)?;
        }
    }

    pub fn skip(&mut self, kind: u8, depth: u32) -> Result<()> {
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.number().map(drop),
            DOUBLE => self.pass_over(8),
            BINARY => {
                let length = self.number()?;
                self.pass_over(length)
            }
            LIST | SET if depth < DEEPEST => {
                let head = self.byte()?;
                let items = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                // Parquet has no lists of booleans, and its reader would spend time, but no bytes, on each.
                if items > 0 && matches!(head & 0xf, TRUE | FALSE) {
                    return Err(broken());
                }
                (0..items).try_for_each(|_| self.skip(head & 0xf, depth + 1))
            }
            STRUCT => self.fields(depth + 1, &mut |compact, _, kind| compact.skip(kind, depth + 1)),
            _ => Err(broken()),
        }
    }

    fn pass_over(&mut self, length: u64) -> Result<()> {
        let passed = std::io::copy(&mut self.bytes.by_ref().take(length), &mut std::io::sink())?;
        self.read += passed;
        if passed == length { Ok(()) } else { Err(broken()) }
    }
}

fn broken() -> ParquetError {
    ParquetError::General("a header is broken".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Compact, STRUCT, check_footer};
    use crate::input::Input;

    #[test]
    fn billions_of_flags_in_a_few_bytes_are_refused() {
        // Field 1, a list of 2,147,483,647 booleans; the end.
        let flags = [0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        assert!(Compact::new(&flags[..]).skip(STRUCT, 0).is_err());
        let none = [0x19, 0x01, 0];
        Compact::new(&none[..]).skip(STRUCT, 0).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.parquet");
        let checked = |footer: &[u8]| {
            let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
            std::fs::write(&path, [b"PAR1", footer, &length, b"PAR1"].concat()).unwrap();
            check_footer(&Input::open(&path).unwrap())
        };
        assert!(checked(&flags).is_err());
        checked(&none).unwrap();
    }
}
