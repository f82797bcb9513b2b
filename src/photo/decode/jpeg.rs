//! Decodes JPEG, at a half, a quarter or an eighth of the size if that suffices. Undamaged files of the usual kinds are
//! decoded by [`libjpeg`]; others, such as CMYK and damaged ones, by jpeg-decoder; and what that rejects by zune-jpeg,
//! which reads some more valid files.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use jpeg_decoder::{ColorTransform, Decoder, Error, PixelFormat, UnsupportedFeature};

use super::watch::watched;
use super::{Job, Raster, Scale, colour, failure, guarded, resize, rgb};
use crate::container::jpeg::{self, Frame, Header};
use crate::error::DecodeError;
use crate::file_format::FileFormat;
use crate::identity::PictureId;
use crate::libjpeg::{self, Area, Colours};
use crate::limits::{Deadline, grouped};
use crate::picture;
use base::pixels::Pixels;

const FORMAT: FileFormat = FileFormat::Jpeg;
/// The limit of libjpeg's own fuzzing; each scan costs a pass over the picture and may take only a few bytes.
const MAX_SCANS: usize = 500;

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    let header = jpeg::header(job.bytes);
    let frame = header.frame.clone().ok_or_else(|| no_frame(job.bytes, &header))?;
    let shrink = shrink(&frame, job.scale);
    check(job, &header, &frame, shrink)?;
    let mut picture = None;
    let inks = match guarded(FORMAT, || scaled(job, &header, &frame, shrink, &mut picture)) {
        Err(first @ (DecodeError::Corrupt { .. } | DecodeError::Unsupported(_) | DecodeError::Panicked { .. })) => {
            match decode_strictly(job, &frame) {
                Ok(inks) => inks,
                Err(late @ DecodeError::Timeout { .. }) => return Err(late),
                Err(_) => return Err(first),
            }
        }
        outcome => outcome?,
    };
    let profile = header.profile();
    let (pixels, profile) = match inks {
        Inks::Rgb(pixels) => (pixels, profile),
        Inks::Cmyk(width, height, data) => {
            let data = colour::cmyk_to_srgb(&data, profile.as_deref(), &|| !job.deadline.passed());
            (rgb(FORMAT, width, height, data)?, None)
        }
    };
    let picture = picture.unwrap_or_else(|| picture::of_stream(job.bytes, FORMAT));
    Ok(Raster { pixels, width: frame.width, height: frame.height, orientation: None, profile, picture })
}

/// The stored size of the picture.
pub fn size(job: &Job) -> Result<(u32, u32), DecodeError> {
    let header = jpeg::header(job.bytes);
    header.frame.as_ref().map(|frame| (frame.width, frame.height)).ok_or_else(|| no_frame(job.bytes, &header))
}

/// Decodes areas of the stored picture at full size. Also returns the colour profile, if they may not be sRGB.
pub fn decode_areas(job: &Job, areas: &[Area]) -> Result<(Vec<Pixels>, Option<Vec<u8>>), DecodeError> {
    let header = jpeg::header(job.bytes);
    let frame = header.frame.as_ref().ok_or_else(|| no_frame(job.bytes, &header))?;
    let pixels = |area: &Area| (area.right - area.left) as u64 * (area.bottom - area.top) as u64;
    // Planes, interleaved and upright pixels of the areas; a progressive file needs all its coefficients.
    let held = 9 * areas.iter().map(pixels).sum::<u64>();
    job.admit_beside(held, frame.width.into(), frame.height.into(), coefficients(frame))?;
    let decoded = guarded(FORMAT, || {
        Ok(libjpeg::decode_areas(job.bytes, colours(&header, frame), areas, || !job.deadline.passed()))
    })?;
    if let Some(pixels) = decoded {
        return Ok((pixels, header.profile()));
    }
    let whole = decode(job)?;
    let cut = |area: &Area| {
        let [left, top, right, bottom] = [area.left, area.top, area.right, area.bottom].map(|side| side as u32);
        let cut = resize::crop(&whole.pixels, left, top, right - left, bottom - top);
        cut.ok_or_else(|| DecodeError::Corrupt { format: FORMAT, cause: "its header and its pixels differ".to_owned() })
    };
    Ok((areas.iter().map(cut).collect::<Result<_, _>>()?, whole.profile))
}

/// Bytes a pixel that the coefficients take while a progressive file is decoded.
fn coefficients(frame: &Frame) -> u64 {
    if frame.progressive() { 2 * frame.component_ids.len().max(3) as u64 } else { 0 }
}

enum Inks {
    Rgb(Pixels),
    Cmyk(u32, u32, Vec<u8>),
}

fn no_frame(bytes: &[u8], header: &Header<'_>) -> DecodeError {
    if header.scan_at.is_none() && !bytes.ends_with(&[0xff, 0xd9]) {
        return truncated("it ends before the picture begins".to_owned());
    }
    DecodeError::Corrupt { format: FORMAT, cause: "it holds no picture".to_owned() }
}

fn truncated(cause: String) -> DecodeError {
    DecodeError::Truncated { format: FORMAT, cause }
}

/// The largest factor by which the sides can shrink without the long side falling below the requested size.
fn shrink(frame: &Frame, scale: Scale) -> u32 {
    let Scale::AtLeast(long_side) = scale else { return 1 };
    let long = frame.width.max(frame.height);
    [8, 4, 2].into_iter().find(|by| long.div_ceil(*by) >= long_side.max(1)).unwrap_or(1)
}

fn check(job: &Job, header: &Header<'_>, frame: &Frame, shrink: u32) -> Result<(), DecodeError> {
    let (width, height) = (u64::from(frame.width), u64::from(frame.height));
    // Planes and interleaved pixels at the reduced size; a progressive file needs all coefficients too.
    let samples = frame.component_ids.len().max(3) as u64;
    job.admit(width, height, coefficients(frame) + (2 * samples).div_ceil(u64::from(shrink * shrink)))?;
    let Some(scan_at) = header.scan_at else { return Err(truncated("it ends before the picture data".to_owned())) };
    let data = (job.bytes.len() - scan_at) as u64;
    // A block of 8 x 8 takes at least one bit.
    if width.div_ceil(8) * height.div_ceil(8) > data * 8 {
        return Err(truncated(format!("{} bytes cannot hold {width} x {height} pixels", grouped(data))));
    }
    if frame.progressive() && jpeg::scans(job.bytes, frame, scan_at).count > MAX_SCANS {
        return Err(DecodeError::TooLarge(format!("more than {MAX_SCANS} scans of one picture")));
    }
    Ok(())
}

/// Decodes at reduced size. For an undamaged file, also sets `picture` to its identity.
fn scaled(
    job: &Job,
    header: &Header<'_>,
    frame: &Frame,
    shrink: u32,
    picture: &mut Option<PictureId>,
) -> Result<Inks, DecodeError> {
    #[cfg(feature = "turbojpeg")]
    if let Some(pixels) = super::turbo::decode(job, frame, shrink) {
        *picture = libjpeg::picture(job.bytes, || !job.deadline.passed());
        return Ok(Inks::Rgb(pixels));
    }
    let decoded = libjpeg::decode(job.bytes, shrink, colours(header, frame), || !job.deadline.passed());
    if let Some((pixels, identity)) = decoded {
        *picture = Some(identity);
        return Ok(Inks::Rgb(pixels));
    }
    let (decoded, past_end) = run(job, header, frame, shrink, &[])?;
    if past_end {
        check_missing_end(job, header, frame)?;
    }
    decoded
}

/// Decodes with `filler` and an end marker appended to the file; also returns whether these were read.
fn run(
    job: &Job,
    header: &Header<'_>,
    frame: &Frame,
    shrink: u32,
    filler: &'static [u8],
) -> Result<(Result<Inks, DecodeError>, bool), DecodeError> {
    let past_end = Rc::new(Cell::new(false));
    let reader = Source {
        bytes: job.bytes,
        at: 0,
        unchecked_until: 0,
        filler,
        past_end: past_end.clone(),
        deadline: job.deadline,
    };
    let outcome = decode_with(Decoder::new(reader), header, frame, shrink);
    match outcome {
        Err(error) if past_end.get() && !is_timeout(&error) => {
            Err(truncated(format!("the data end at byte {}", grouped(job.bytes.len() as u64))))
        }
        Err(error) => Err(explain(job, error)),
        Ok(inks) => Ok((inks, past_end.get())),
    }
}

fn decode_with(
    mut decoder: Decoder<Source<'_>>,
    header: &Header<'_>,
    frame: &Frame,
    shrink: u32,
) -> Result<Result<Inks, DecodeError>, Error> {
    if let Some(transform) = colour_transform(header, frame) {
        decoder.set_color_transform(transform);
    }
    if shrink > 1 {
        let side = |length: u32| length.div_ceil(shrink) as u16;
        decoder.scale(side(frame.width), side(frame.height))?;
    }
    let data = decoder.decode()?;
    let info = decoder.info().ok_or_else(|| Error::Format("no picture".to_owned()))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    Ok(match info.pixel_format {
        PixelFormat::L8 => rgb(FORMAT, width, height, data.iter().flat_map(|grey| [*grey; 3]).collect()).map(Inks::Rgb),
        PixelFormat::L16 => {
            let high = data.chunks_exact(2).map(|pair| (u16::from_ne_bytes([pair[0], pair[1]]) >> 8) as u8);
            rgb(FORMAT, width, height, high.flat_map(|grey| [grey; 3]).collect()).map(Inks::Rgb)
        }
        PixelFormat::RGB24 => rgb(FORMAT, width, height, data).map(Inks::Rgb),
        PixelFormat::CMYK32 => Ok(Inks::Cmyk(width, height, data)),
    })
}

fn colours(header: &Header<'_>, frame: &Frame) -> Colours {
    match colour_transform(header, frame) {
        None => Colours::Grey,
        Some(ColorTransform::RGB) => Colours::Rgb,
        Some(_) => Colours::YCbCr,
    }
}

/// libjpeg's rules. jpeg-decoder checks the component numbers first and mistakes Photoshop's RGB files for YCbCr.
fn colour_transform(header: &Header<'_>, frame: &Frame) -> Option<ColorTransform> {
    match (frame.component_ids.as_slice(), header.adobe) {
        ([_, _, _], _) if header.jfif => Some(ColorTransform::YCbCr),
        ([_, _, _], Some(0)) | ([b'R', b'G', b'B'], None) => Some(ColorTransform::RGB),
        ([_, _, _], _) => Some(ColorTransform::YCbCr),
        ([_, _, _, _], Some(2)) => Some(ColorTransform::YCCK),
        ([_, _, _, _], _) => Some(ColorTransform::CMYK),
        _ => None,
    }
}

/// Called if the end marker is missing, to find out whether picture data are missing too: decodes with two different
/// fillers, and the picture ends where the results differ.
fn check_missing_end(job: &Job, header: &Header<'_>, frame: &Frame) -> Result<(), DecodeError> {
    const NOISE: [u8; 4096] = [0x5a; 4096];
    if let (true, Some(first)) = (frame.progressive(), header.scan_at)
        && !jpeg::scans(job.bytes, frame, first).complete
    {
        return Err(truncated(format!("the data end at byte {}", grouped(job.bytes.len() as u64))));
    }
    let eighth = |filler| run(job, header, frame, 8, filler).and_then(|(inks, _)| inks).map(Inks::into_data);
    let plain = eighth(&[])?;
    let noisy = eighth(&NOISE).unwrap_or_default();
    if plain == noisy {
        return Ok(());
    }
    let same = plain.iter().zip(&noisy).take_while(|(a, b)| a == b).count();
    let has = job.bytes.len() as u64;
    let about = (has as f64 * plain.len() as f64 / same.max(1) as f64).min(1e12);
    // The estimate is rounded to two significant digits.
    let unit = 10_f64.powf(about.log10().floor() - 1.0).max(1.0);
    let about = (about / unit).round() * unit;
    Err(truncated(format!("{} of about {} bytes", grouped(has), grouped(about.max(has as f64 + 1.0) as u64))))
}

impl Inks {
    fn into_data(self) -> Vec<u8> {
        match self {
            Self::Rgb(pixels) => pixels.into_data(),
            Self::Cmyk(_, _, data) => data,
        }
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Io(cause) if cause.kind() == io::ErrorKind::TimedOut)
}

fn explain(job: &Job, error: Error) -> DecodeError {
    match error {
        Error::Io(cause) if cause.kind() == io::ErrorKind::TimedOut => job.deadline.error(FORMAT),
        Error::Unsupported(feature) => DecodeError::Unsupported(format!(
            "JPEG with {} is not supported; convert it to a plain one",
            name_of(&feature)
        )),
        other => failure(job, FORMAT, &other),
    }
}

fn name_of(feature: &UnsupportedFeature) -> String {
    match feature {
        UnsupportedFeature::Hierarchical => "hierarchical coding".to_owned(),
        UnsupportedFeature::ArithmeticEntropyCoding => "arithmetic coding".to_owned(),
        UnsupportedFeature::SamplePrecision(bits) => format!("{bits} bits a sample"),
        UnsupportedFeature::ComponentCount(count) => format!("{count} components"),
        UnsupportedFeature::DNL => "a height that follows the picture".to_owned(),
        UnsupportedFeature::SubsamplingRatio | UnsupportedFeature::NonIntegerSubsamplingRatio => {
            "this sampling".to_owned()
        }
        UnsupportedFeature::ColorTransform(_) => "this colour transform".to_owned(),
    }
}

/// The second decoder: at full size, and strict, so that it does not invent data that are missing.
fn decode_strictly(job: &Job, frame: &Frame) -> Result<Inks, DecodeError> {
    use zune_jpeg::zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
    // Coefficients if it is progressive, planes, and pixels.
    let held = 3 * frame.component_ids.len().max(3) as u64;
    job.admit_beside(job.bytes.len() as u64, u64::from(frame.width), u64::from(frame.height), held)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let bytes = job.bytes.to_vec();
    let decoded = watched(job, move || {
        let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode().map(|data| (data, decoder.dimensions().unwrap_or_default()))
    })?;
    let (data, (width, height)) = decoded.map_err(|error| failure(job, FORMAT, &error))?;
    rgb(FORMAT, width as u32, height as u32, data).map(Inks::Rgb)
}

/// A reader over the file's bytes, then over filler and end markers, so that a decoder finishes.
struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Up to here, bytes are read without checking the deadline or the end.
    unchecked_until: usize,
    filler: &'static [u8],
    past_end: Rc<Cell<bool>>,
    deadline: &'a Deadline,
}

const END: [u8; 2] = [0xff, 0xd9];
/// Number of bytes between two checks of the deadline; small, because a scan over a large picture may take few bytes.
const BYTES_BETWEEN_CHECKS: usize = 1024;

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.deadline.passed() {
            return Err(Deadline::io_error());
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(self.read_past_end(buffer));
        }
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        self.unchecked_until = self.bytes.len().min(self.at + BYTES_BETWEEN_CHECKS);
        Ok(count)
    }

    /// A fast path, because jpeg-decoder reads millions of single bytes.
    #[inline]
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if let [out] = buffer
            && self.at < self.unchecked_until
        {
            *out = self.bytes[self.at];
            self.at += 1;
            return Ok(());
        }
        self.read_many(buffer)
    }
}

impl Source<'_> {
    #[cold]
    fn read_many(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let count = self.read(buffer)?;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    fn read_past_end(&mut self, buffer: &mut [u8]) -> usize {
        self.past_end.set(true);
        for out in buffer.iter_mut() {
            let past = self.at - self.bytes.len();
            *out = self.filler.get(past).copied().unwrap_or(END[(past - self.filler.len().min(past)) % 2]);
            self.at += 1;
        }
        buffer.len()
    }
}
