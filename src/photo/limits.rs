//! Limits on decoding a photo, checked before anything is allocated and while decoders read.

use std::cell::Cell;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::DecodeError;
use super::file_format::FileFormat;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    pub max_pixels: u64,
    pub max_file_bytes: u64,
    pub max_seconds: f64,
    /// Memory in bytes that decoding may use at once: for one picture, and for all photos decoded concurrently,
    /// including their files.
    pub max_alloc: u64,
}

/// The longest side of a picture, which is the largest that image editors write (Photoshop's PSB). Some buffers grow
/// with the longer side, so a line of 300 million pixels would take 20 GB.
const MAX_SIDE: u64 = 300_000;
/// Up to this size, pictures are accepted however well they compress.
const EMPTY_PIXELS: u64 = 25_000_000;
/// The largest number of pixels per byte of file of a larger picture. GIF reaches 2,731; WebP, AV1 and TIFFs that reuse
/// the same bytes have no bound.
const PIXELS_PER_BYTE: u64 = 10_000;

impl Default for Limits {
    /// Enough for the 200-megapixel sensors of current phones at full size.
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

    /// Checks the size of a picture; returns the peak memory of decoding it, at `bytes_per_pixel`.
    pub(super) fn picture(
        &self,
        format: FileFormat,
        width: u64,
        height: u64,
        bytes_per_pixel: u64,
    ) -> Result<u64, DecodeError> {
        let pixels = width.saturating_mul(height);
        if pixels == 0 {
            return Err(DecodeError::Corrupt { format, cause: format!("its header says {width} x {height} pixels") });
        }
        if pixels > self.max_pixels {
            let may = grouped(self.max_pixels);
            return Err(DecodeError::TooLarge(format!(
                "{width} x {height} pixels, {may} are allowed (limits.max_megapixels)"
            )));
        }
        if width.max(height) > MAX_SIDE {
            let may = grouped(MAX_SIDE);
            return Err(DecodeError::TooLarge(format!(
                "{width} x {height} pixels, a side may have {may}; cut the picture into shorter parts"
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

/// Whether a file of this length can be a photo of this size. Sensors are noisy, so photos do not compress this much.
pub(super) fn plausible(width: u64, height: u64, file: usize) -> Result<(), DecodeError> {
    let pixels = width.saturating_mul(height);
    if pixels <= EMPTY_PIXELS || pixels / PIXELS_PER_BYTE <= file as u64 {
        return Ok(());
    }
    let has = grouped(file as u64);
    Err(DecodeError::TooLarge(format!(
        "{width} x {height} pixels in a file of {has} bytes, as no photo is; save it as JPEG to have it read"
    )))
}

/// The time at which decoding a photo is aborted; `None` means never.
#[derive(Clone, Debug)]
pub struct Deadline {
    at: Cell<Option<Instant>>,
    seconds: f64,
}

impl Deadline {
    pub fn passed(&self) -> bool {
        self.at.get().is_some_and(|at| Instant::now() >= at)
    }

    /// The remaining time; `None` if it is unlimited.
    pub fn left(&self) -> Option<Duration> {
        self.at.get().map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Extends the deadline by the time spent waiting for memory.
    pub fn postpone(&self, by: Duration) {
        self.at.set(self.at.get().and_then(|at| at.checked_add(by)));
    }

    pub fn check(&self, format: FileFormat) -> Result<(), DecodeError> {
        if self.passed() { Err(self.error(format)) } else { Ok(()) }
    }

    pub fn error(&self, format: FileFormat) -> DecodeError {
        DecodeError::Timeout { format, seconds: self.seconds }
    }

    /// The error by which a reader makes a decoder stop.
    pub fn io_error() -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, "decoding took too long")
    }
}

/// A reader over bytes in memory that fails once the deadline has passed.
#[derive(Debug)]
pub struct Timed<'a, T> {
    inner: io::Cursor<T>,
    deadline: &'a Deadline,
    served: usize,
}

/// Number of bytes between two checks of the deadline: rare enough to cost nothing measurable, though decoders read
/// single bytes, and frequent enough for Deflate, where a byte may expand to a thousand.
const BYTES_BETWEEN_CHECKS: usize = 1024;
const MAX_BUFFER: usize = 4096;
/// How many bytes a call of `fill_buf` or `seek` counts as.
const BYTES_PER_CALL: usize = 16;

impl<'a, T: AsRef<[u8]>> Timed<'a, T> {
    pub fn new(bytes: T, deadline: &'a Deadline) -> Self {
        Self { inner: io::Cursor::new(bytes), deadline, served: 0 }
    }

    fn count_bytes(&mut self, count: usize) -> io::Result<()> {
        self.served += count;
        if self.served >= BYTES_BETWEEN_CHECKS {
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
        self.count_bytes(buffer.len())?;
        self.inner.read(buffer)
    }
}

impl<T: AsRef<[u8]>> BufRead for Timed<'_, T> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.count_bytes(BYTES_PER_CALL)?;
        let rest = self.inner.fill_buf()?;
        Ok(&rest[..rest.len().min(MAX_BUFFER)])
    }

    fn consume(&mut self, amount: usize) {
        self.served += amount;
        self.inner.consume(amount);
    }
}

impl<T: AsRef<[u8]>> Seek for Timed<'_, T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.count_bytes(BYTES_PER_CALL)?;
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
