//! What a photo may cost. Checked before anything is allocated, and while decoders read.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use super::error::DecodeError;
use super::kind::Kind;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub max_pixels: u64,
    pub max_file_bytes: u64,
    pub max_seconds: f64,
    /// Bytes that decoding may hold at once: one photo, and all that are decoded side by side.
    pub max_alloc: u64,
}

impl Default for Limits {
    /// Room for the 200-megapixel sensors of today's telephones, decoded whole.
    fn default() -> Self {
        Self { max_pixels: 300_000_000, max_file_bytes: 1 << 30, max_seconds: 30.0, max_alloc: 2 << 30 }
    }
}

impl Limits {
    pub(super) fn file(&self, length: usize) -> Result<(), DecodeError> {
        if length as u64 > self.max_file_bytes {
            let (has, may) = (grouped(length as u64), grouped(self.max_file_bytes));
            return Err(DecodeError::TooLarge(format!(
                "the file has {has} bytes, {may} are allowed (limits.max_file_mb)"
            )));
        }
        Ok(())
    }

    /// What decoding a picture of this size holds, `bytes_per_pixel` at its peak.
    pub(super) fn picture(
        &self,
        kind: Kind,
        width: u64,
        height: u64,
        bytes_per_pixel: u64,
    ) -> Result<u64, DecodeError> {
        let pixels = width.saturating_mul(height);
        if pixels == 0 {
            return Err(DecodeError::Corrupt { kind, cause: format!("its header says {width} x {height} pixels") });
        }
        if pixels > self.max_pixels {
            let may = grouped(self.max_pixels);
            return Err(DecodeError::TooLarge(format!(
                "{width} x {height} pixels, {may} are allowed (limits.max_megapixels)"
            )));
        }
        let needed = pixels.saturating_mul(bytes_per_pixel);
        if needed > self.max_alloc {
            let (needs, may) = (grouped(needed), grouped(self.max_alloc));
            return Err(DecodeError::TooLarge(format!(
                "decoding needs {needs} bytes of memory, {may} are allowed (limits.max_decode_mb)"
            )));
        }
        Ok(needed)
    }

    pub(super) fn deadline(&self) -> Deadline {
        let allowed = Duration::try_from_secs_f64(self.max_seconds).unwrap_or(Duration::MAX);
        Deadline { at: Cell::new(Instant::now().checked_add(allowed)), seconds: self.max_seconds }
    }
}

/// The moment after which decoding a photo is given up; `None` is never.
#[derive(Debug)]
pub struct Deadline {
    at: Cell<Option<Instant>>,
    seconds: f64,
}

impl Deadline {
    pub fn passed(&self) -> bool {
        self.at.get().is_some_and(|at| Instant::now() >= at)
    }

    /// Time spent waiting for others does not count.
    pub fn postpone(&self, by: Duration) {
        self.at.set(self.at.get().and_then(|at| at.checked_add(by)));
    }

    pub fn check(&self, kind: Kind) -> Result<(), DecodeError> {
        if self.passed() { Err(self.error(kind)) } else { Ok(()) }
    }

    pub fn error(&self, kind: Kind) -> DecodeError {
        DecodeError::Timeout { kind, seconds: self.seconds }
    }

    /// The error a reader gives a decoder to make it stop.
    pub fn io_error() -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, "decoding took too long")
    }
}

/// Bytes in memory as a reader that stops serving when the deadline has passed.
#[derive(Debug)]
pub struct Timed<'a, T> {
    inner: io::Cursor<T>,
    deadline: &'a Deadline,
    served: usize,
}

/// Decoders read single bytes; asking the clock this seldom costs nothing that could be measured.
const BYTES_BETWEEN_LOOKS: usize = 4096;

impl<'a, T: AsRef<[u8]>> Timed<'a, T> {
    pub fn new(bytes: T, deadline: &'a Deadline) -> Self {
        Self { inner: io::Cursor::new(bytes), deadline, served: 0 }
    }

    fn serve(&mut self, count: usize) -> io::Result<()> {
        self.served += count;
        if self.served >= BYTES_BETWEEN_LOOKS {
            self.served = 0;
            if self.deadline.passed() {
                return Err(Deadline::io_error());
            }
        }
        Ok(())
    }
}

impl<T: AsRef<[u8]>> Read for Timed<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.serve(buffer.len())?;
        self.inner.read(buffer)
    }
}

impl<T: AsRef<[u8]>> BufRead for Timed<'_, T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.serve(64)?;
        let rest = self.inner.fill_buf()?;
        Ok(&rest[..rest.len().min(BYTES_BETWEEN_LOOKS)])
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }
}

impl<T: AsRef<[u8]>> Seek for Timed<'_, T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.serve(64)?;
        self.inner.seek(to)
    }
}

/// `12034` as `12,034`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 12034, 1_234_567].map(grouped), ["0", "999", "1,000", "12,034", "1,234,567"]);
    }

    #[test]
    fn a_reader_stops_when_the_time_is_over() {
        let over = Limits { max_seconds: 0.0, ..Limits::default() }.deadline();
        let error = io::copy(&mut Timed::new(vec![0; 100_000], &over), &mut io::sink()).expect_err("no time is left");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
