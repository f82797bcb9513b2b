//! Decodes photos to upright sRGB pixels, within limits and with panics caught.

mod avif;
mod channels;
mod colour;
mod hdr;
mod heic;
mod heif;
mod jpeg;
mod jxl;
mod orient;
mod planes;
mod regions;
mod still;
#[cfg(feature = "turbojpeg")]
mod turbo;
mod watch;

use std::borrow::Cow;
use std::error::Error;
use std::io;

use super::error::DecodeError;
use super::exif::{self, Facts};
use super::file_format::{self, FileFormat};
use super::identity::PictureId;
use super::limits::{self, Deadline, Limits};
use super::memory_budget::{MemoryBudget, Reservation};
use super::picture::picture_of;
use super::raw;
use super::resize;
pub use regions::{Region, cut, decode_regions};

use base::contain::contained;
use base::pixels::Pixels;

/// Part of the key of every stored result; incremented when decoding the same bytes yields other pixels.
pub const REVISION: &str = "decode/4";

/// The size at which a photo is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Full,
    /// The long side may be smaller than the original's, but not smaller than this. Only JPEG (and so raw previews) is
    /// decoded at reduced size; other formats are decoded in full.
    AtLeast(u32),
}

#[derive(Clone, Debug)]
pub struct Decoded {
    /// Upright, sRGB.
    pub pixels: Pixels,
    /// Upright, without colour conversion, if the file is not sRGB. The original system measures these values.
    pub as_stored: Option<Pixels>,
    /// The upright size of the original, independent of `Scale`.
    pub width: u32,
    pub height: u32,
    pub format: FileFormat,
    /// The identity of the picture, independent of its metadata.
    pub picture: PictureId,
    pub facts: Facts,
    deadline: Deadline,
}

impl Decoded {
    /// Shrinks the picture to `long_side`; `None` if it is not larger. The photo's deadline applies to this too.
    pub fn reduced(&self, pixels: &Pixels, long_side: u32) -> Result<Option<Pixels>, DecodeError> {
        let reduced = resize::within_while(pixels, long_side, &|| !self.deadline.passed());
        match reduced.ok_or_else(|| self.deadline.error(self.format))? {
            Cow::Owned(reduced) => Ok(Some(reduced)),
            Cow::Borrowed(_) => Ok(None),
        }
    }
}

/// Decodes one photo. Never panics, whatever the bytes are.
pub fn decode(bytes: &[u8], scale: Scale, limits: &Limits) -> Result<Decoded, DecodeError> {
    decode_in(&MemoryBudget::new(limits.max_alloc).reserve(), bytes, scale, limits)
}

/// Like [`decode`], but waits until the memory budget has room. The reservation keeps the size that decoding needed,
/// which also suffices to shrink the picture, until the caller reduces it.
pub fn decode_in(
    reservation: &Reservation,
    bytes: &[u8],
    scale: Scale,
    limits: &Limits,
) -> Result<Decoded, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    limits.file(bytes.len())?;
    let format = file_format::sniff(bytes).ok_or_else(|| unknown(bytes))?;
    let deadline = limits.deadline();
    let job = Job { bytes, file: bytes.len() as u64, format, scale, limits, reservation, deadline: &deadline };
    let raster = guarded(format, || job.raster())?;
    let facts = guarded(format, || Ok(exif::facts_of(bytes, format)))?;
    let orientation = raster.orientation.unwrap_or(facts.orientation);
    let (width, height) = orient::upright_size(raster.width, raster.height, orientation);
    let go_on = || !deadline.passed();
    let stored = orient::upright(raster.pixels, orientation, &go_on);
    let converted = match &raster.profile {
        Some(profile) => guarded(format, || Ok(colour::to_srgb(&stored, profile, &go_on)))?,
        None => None,
    };
    deadline.check(format)?;
    let picture = raster.picture;
    let (pixels, as_stored) = match converted {
        Some(converted) => (converted, Some(stored)),
        None => (stored, None),
    };
    Ok(Decoded { pixels, as_stored, width, height, format, picture, facts, deadline })
}

/// Runs a decoder and catches its panics. Its state is dropped after a panic, so no partial result is visible.
fn guarded<T>(format: FileFormat, decode: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    contained(decode).unwrap_or_else(|message| Err(DecodeError::Panicked { format, message }))
}

fn unknown(bytes: &[u8]) -> DecodeError {
    if bytes.iter().all(|byte| *byte == 0) {
        return DecodeError::NotAPhoto("it holds nothing but zeros; a copy may have been interrupted".to_owned());
    }
    if std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok() {
        return DecodeError::NotAPhoto("its content is text".to_owned());
    }
    DecodeError::NotAPhoto("its content is no picture format known here".to_owned())
}

/// One photo to decode.
#[derive(Clone, Copy)]
struct Job<'a> {
    bytes: &'a [u8],
    /// The length of the file, of which `bytes` may be a part.
    file: u64,
    format: FileFormat,
    scale: Scale,
    limits: &'a Limits,
    reservation: &'a Reservation,
    deadline: &'a Deadline,
}

/// A decoded picture before it is rotated upright.
struct Raster {
    pixels: Pixels,
    /// The stored size of the original.
    width: u32,
    height: u32,
    /// The orientation stated by the container, which takes precedence over EXIF.
    orientation: Option<u8>,
    /// The colour profile of the pixels, if they may not be sRGB.
    profile: Option<Vec<u8>>,
    picture: PictureId,
}

impl Job<'_> {
    /// Checks the limits before anything is allocated, and waits for memory.
    fn admit(&self, width: u64, height: u64, bytes_per_pixel: u64) -> Result<(), DecodeError> {
        self.admit_beside(0, width, height, bytes_per_pixel)
    }

    /// Like [`Self::admit`], while other buffers of this photo (`held` bytes) stay allocated.
    fn admit_beside(&self, held: u64, width: u64, height: u64, bytes_per_pixel: u64) -> Result<(), DecodeError> {
        let needed = self.limits.picture(self.format, width, height, bytes_per_pixel)?;
        // PNG and JPEG have their own checks, by the compression ratio that their coding can reach.
        if !matches!(self.format, FileFormat::Png | FileFormat::Jpeg) {
            limits::plausible(width, height, self.bytes.len())?;
        }
        self.deadline.postpone(self.reservation.grow(needed.saturating_add(held).saturating_add(self.file)));
        Ok(())
    }

    fn raster(&self) -> Result<Raster, DecodeError> {
        match self.format {
            FileFormat::Jpeg => jpeg::decode(self),
            FileFormat::Png | FileFormat::Webp | FileFormat::Tiff | FileFormat::Gif | FileFormat::Bmp => {
                still::decode(self)
            }
            FileFormat::Avif => avif::decode(self),
            FileFormat::Heic => heic::decode(self),
            FileFormat::Raw(_) => self.raw_preview(),
            FileFormat::JpegXl => jxl::decode(self),
        }
    }

    /// Decodes the largest preview that can be decoded.
    fn raw_preview(&self) -> Result<Raster, DecodeError> {
        let previews = raw::previews(self.bytes, self.format);
        let mut refused = None;
        for (at, preview) in previews.iter().enumerate() {
            self.deadline.check(self.format)?;
            let job = Job { bytes: preview.data, format: FileFormat::Jpeg, ..*self };
            match jpeg::decode(&job) {
                Ok(raster) => {
                    let (width, height) = raw::full_size(self.bytes, self.format, raster.width, raster.height);
                    // A RAW file is identified by its largest preview, even if another one is decoded.
                    let picture = if at == 0 { raster.picture } else { picture_of(self.bytes, self.limits) };
                    return Ok(Raster { width, height, picture, ..raster });
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| {
            DecodeError::Unsupported(format!("{} without an embedded JPEG preview is not supported", self.format))
        }))
    }
}

/// Pixels of the size that a decoder stated; an error if the number of bytes does not match it.
fn rgb(format: FileFormat, width: u32, height: u32, data: Vec<u8>) -> Result<Pixels, DecodeError> {
    let has = data.len();
    Pixels::new(width, height, data).ok_or_else(|| DecodeError::Corrupt {
        format,
        cause: format!("{has} bytes of pixels for a picture of {width} x {height}"),
    })
}

const TRUNCATION_MESSAGES: [&str; 3] = ["unexpected end", "Unexpected end", "truncated"];

/// Classifies a decoder's error by its root cause.
fn failure(job: &Job, format: FileFormat, error: &(dyn Error + 'static)) -> DecodeError {
    let cause = one_line(&error.to_string());
    match root_io_error(error) {
        // Some decoders do not pass on the error of their reader.
        _ if job.deadline.passed() => job.deadline.error(format),
        Some(io::ErrorKind::UnexpectedEof) => DecodeError::Truncated { format, cause },
        _ if matches!(error.downcast_ref(), Some(image::ImageError::Limits(_))) => DecodeError::TooLarge(cause),
        _ if matches!(error.downcast_ref(), Some(image::ImageError::Unsupported(_))) => DecodeError::Unsupported(cause),
        _ if TRUNCATION_MESSAGES.iter().any(|words| cause.contains(words)) => DecodeError::Truncated { format, cause },
        _ => DecodeError::Corrupt { format, cause },
    }
}

fn root_io_error(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut layer = Some(error);
    while let Some(error) = layer {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        layer = error.source();
    }
    None
}

/// The decoder's message as one line, without a leading format name, which the error states already.
fn one_line(text: &str) -> String {
    const MAX_CHARS: usize = 160;
    let text =
        text.strip_prefix("Format error decoding ").and_then(|rest| Some(rest.split_once(": ")?.1)).unwrap_or(text);
    let text =
        ["invalid JPEG format: ", "format error: "].iter().find_map(|said| text.strip_prefix(said)).unwrap_or(text);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|it| !it.is_control()).take(MAX_CHARS).collect()
}
