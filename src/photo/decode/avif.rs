//! AVIF still pictures, single or put together from a grid. AV1 itself is decoded by `re_rav1d`, Rust without assembly.
//!
//! HDR curves (PQ, HLG) are shown as they are, without tone mapping.

use re_rav1d::dav1d::pixel::YUVRange;
use re_rav1d::dav1d::{Decoder, PixelLayout, PlanarImageComponent as Component, Settings};

use super::watch::watched;
use super::{Job, Raster, colour, failure, rgb};
use crate::container::bmff::Meta;
use crate::container::{MAX_PROFILE, av1};
use crate::error::DecodeError;
use crate::kind::Kind;
use crate::picture;
use base::pixels::Pixels;

const KIND: Kind = Kind::Avif;
/// The decoder's planes of 16 bits, ours, then ours and the result.
const BYTES_PER_PIXEL: u64 = 12;
/// What the decoder keeps of each picture that others may refer to, and how many of them.
const BYTES_OF_REFERENCE: u64 = 6;
const REFERENCES: u64 = 8;

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    let meta = Meta::read(job.bytes).map_err(corrupt)?;
    let item = meta.primary;
    let (width, height) = meta.size(item).ok_or_else(|| corrupt("it does not say how large the picture is"))?;
    job.admit(u64::from(width), u64::from(height), BYTES_PER_PIXEL)?;
    let mut picture = picture(job, &meta, item, 0)?;
    lay_on_white(job, &meta, item, &mut picture)?;
    job.deadline.check(KIND)?;
    let pixels = rgb(KIND, picture.width as u32, picture.height as u32, picture.data)?;
    let profile = match Colours::of(&meta, item) {
        Colours::Profile(profile) => (profile.len() <= MAX_PROFILE).then(|| profile.to_vec()),
        Colours::Coded { primaries, transfer, .. } => colour::coded_profile(primaries, transfer),
        Colours::Unsaid => None,
    };
    let pixels = clean_aperture(&meta, item, pixels);
    let (width, height) = (pixels.width(), pixels.height());
    let picture = picture::of_stream(job.bytes, job.kind);
    Ok(Raster { pixels, width, height, orientation: Some(meta.orientation(item)), profile, picture })
}

fn corrupt(cause: &str) -> DecodeError {
    DecodeError::Corrupt { kind: KIND, cause: cause.to_owned() }
}

/// Interleaved RGB that grows from tiles.
struct Canvas {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

/// A picture beside `held` bytes of others.
fn picture(job: &Job, meta: &Meta, item: u32, held: u64) -> Result<Canvas, DecodeError> {
    match meta.kind(item).as_ref() {
        Some(b"av01") => to_rgb(job, &frame(job, meta, item, held)?, &Colours::of(meta, item)),
        Some(b"grid") => grid(job, meta, item, held),
        Some(other) => {
            let name = String::from_utf8_lossy(other).into_owned();
            Err(DecodeError::Unsupported(format!("AVIF holding a picture of type {name:?} is not supported")))
        }
        None => Err(corrupt("it names a picture that it does not hold")),
    }
}

fn grid(job: &Job, meta: &Meta, item: u32, held: u64) -> Result<Canvas, DecodeError> {
    let layout =
        meta.data(job.bytes, item).and_then(|data| Grid::read(&data)).ok_or_else(|| corrupt("its grid is broken"))?;
    job.admit_beside(held, layout.width as u64, layout.height as u64, 3)?;
    let mut canvas = Canvas::white(layout.width, layout.height);
    let held = held + canvas.data.len() as u64;
    let tiles: Vec<u32> = meta.referenced(*b"dimg", item).collect();
    if tiles.len() != layout.rows * layout.columns {
        return Err(corrupt("its grid has not as many tiles as it says"));
    }
    let mut size = None;
    for (index, tile) in tiles.into_iter().enumerate() {
        job.deadline.check(KIND)?;
        if meta.kind(tile).as_ref() != Some(b"av01") {
            return Err(corrupt("a tile of its grid is no picture"));
        }
        let tile = to_rgb(job, &frame(job, meta, tile, held)?, &Colours::of(meta, item))?;
        let (width, height) = *size.get_or_insert((tile.width, tile.height));
        canvas.place(&tile, index % layout.columns * width, index / layout.columns * height);
    }
    Ok(canvas)
}

struct Grid {
    rows: usize,
    columns: usize,
    width: usize,
    height: usize,
}

impl Grid {
    fn read(data: &[u8]) -> Option<Self> {
        let [_, flags, rows, columns, size @ ..] = data else { return None };
        let number = |at: usize| {
            if flags & 1 == 0 {
                Some(usize::from(u16::from_be_bytes(*size.get(at * 2..)?.first_chunk()?)))
            } else {
                Some(u32::from_be_bytes(*size.get(at * 4..)?.first_chunk()?) as usize)
            }
        };
        Some(Self {
            rows: usize::from(*rows) + 1,
            columns: usize::from(*columns) + 1,
            width: number(0)?,
            height: number(1)?,
        })
    }
}

impl Canvas {
    fn white(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![255; width * height * 3] }
    }

    /// Puts a tile down, cut where it passes the edge.
    fn place(&mut self, tile: &Self, x: usize, y: usize) {
        let width = tile.width.min(self.width.saturating_sub(x));
        let height = tile.height.min(self.height.saturating_sub(y));
        for row in 0..height {
            let to = ((y + row) * self.width + x) * 3;
            let from = row * tile.width * 3;
            self.data[to..to + width * 3].copy_from_slice(&tile.data[from..from + width * 3]);
        }
    }
}

/// The decoded planes, eight or more bits a sample.
struct Frame {
    width: usize,
    height: usize,
    layout: PixelLayout,
    bits: u32,
    full_range: bool,
    matrix: u16,
    /// Luma, then both chroma where there is colour.
    planes: Vec<Plane>,
}

struct Plane {
    width: usize,
    samples: Vec<u16>,
}

impl Plane {
    fn row(&self, y: usize) -> &[u16] {
        let last = self.samples.len() / self.width - 1;
        &self.samples[y.min(last) * self.width..][..self.width]
    }
}

/// Nothing stops the decoder once it has begun: a picture is one call.
fn frame(job: &Job, meta: &Meta, item: u32, held: u64) -> Result<Frame, DecodeError> {
    let data = meta.data(job.bytes, item).ok_or_else(|| DecodeError::Truncated {
        kind: KIND,
        cause: "the picture data lie past the end of the file".to_owned(),
    })?;
    // What the container says of the size need not be true.
    let stream = av1::stream(&data).ok_or_else(|| corrupt("its AV1 data begin with no header"))?;
    let kept = stream.frames.saturating_sub(1).min(REFERENCES) * BYTES_OF_REFERENCE;
    let held = held.saturating_add(data.len() as u64);
    job.admit_beside(held, u64::from(stream.width), u64::from(stream.height), BYTES_PER_PIXEL + kept)?;
    let data = data.into_owned();
    let most = stream.width.saturating_mul(stream.height);
    watched(job, move || decoded(data, most))?.map_err(|error| match error {
        Refusal::Decoder(error) => failure(job, KIND, &error),
        Refusal::Planes => corrupt("its planes are smaller than the picture"),
    })
}

enum Refusal {
    Decoder(re_rav1d::dav1d::Error),
    Planes,
}

/// The first picture, of at most that many pixels.
fn decoded(data: Vec<u8>, most: u32) -> Result<Frame, Refusal> {
    let mut settings = Settings::new();
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(most);
    let mut decoder = Decoder::with_settings(&settings).map_err(Refusal::Decoder)?;
    match decoder.send_data(data, None, None, None) {
        Ok(()) => {}
        Err(error) if error.is_again() => {}
        Err(error) => return Err(Refusal::Decoder(error)),
    }
    let picture = decoder.get_picture().map_err(Refusal::Decoder)?;
    let layout = picture.pixel_layout();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let components =
        if layout == PixelLayout::I400 { &[Component::Y][..] } else { &[Component::Y, Component::U, Component::V] };
    let planes = components.iter().map(|component| {
        let (width, height) =
            if *component == Component::Y { (width, height) } else { chroma_size(layout, width, height) };
        let stride = picture.stride(*component) as usize;
        copied(&picture.plane(*component), stride, width, height, picture.bit_depth() > 8)
    });
    Ok(Frame {
        width,
        height,
        layout,
        bits: picture.bits_per_component().map_or(8, |bits| bits.0 as u32),
        full_range: picture.color_range() == YUVRange::Full,
        matrix: picture.matrix_coefficients() as u16,
        planes: planes.collect::<Option<_>>().ok_or(Refusal::Planes)?,
    })
}

fn chroma_size(layout: PixelLayout, width: usize, height: usize) -> (usize, usize) {
    match layout {
        PixelLayout::I420 => (width.div_ceil(2), height.div_ceil(2)),
        PixelLayout::I422 => (width.div_ceil(2), height),
        PixelLayout::I400 | PixelLayout::I444 => (width, height),
    }
}

/// The visible part of a plane, widened to 16 bits.
fn copied(plane: &[u8], stride: usize, width: usize, height: usize, wide: bool) -> Option<Plane> {
    let mut samples = Vec::with_capacity(width * height);
    for y in 0..height {
        let row = plane.get(y * stride..)?;
        if wide {
            samples.extend(row.get(..width * 2)?.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])));
        } else {
            samples.extend(row.get(..width)?.iter().map(|sample| u16::from(*sample)));
        }
    }
    Some(Plane { width, samples })
}

/// What the container says about colours; it overrules what the AV1 data say.
enum Colours<'a> {
    Profile(&'a [u8]),
    /// The numbers of ISO/IEC 23091-2.
    Coded {
        primaries: u16,
        transfer: u16,
        matrix: u16,
        full_range: bool,
    },
    Unsaid,
}

impl<'a> Colours<'a> {
    fn of(meta: &Meta<'a>, item: u32) -> Self {
        let mut found = Self::Unsaid;
        for (_, payload) in meta.properties(item).filter(|(name, _)| name == b"colr") {
            let number =
                |at: usize| payload.get(at..).and_then(<[u8]>::first_chunk).map(|two| u16::from_be_bytes(*two));
            match (payload.get(..4), number(4), number(6), number(8), payload.get(10)) {
                (Some(b"prof" | b"rICC"), ..) => return Self::Profile(&payload[4..]),
                (Some(b"nclx"), Some(primaries), Some(transfer), Some(matrix), Some(range)) => {
                    found = Self::Coded { primaries, transfer, matrix, full_range: range & 0x80 != 0 };
                }
                _ => {}
            }
        }
        found
    }
}

/// How luma and chroma make red, green and blue.
struct Matrix {
    kr: f32,
    kb: f32,
}

impl Matrix {
    fn of(number: u16) -> Self {
        let (kr, kb) = match number {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 | 10 => (0.2627, 0.0593),
            // 5 and 6, and what everybody takes where nothing is said.
            _ => (0.299, 0.114),
        };
        Self { kr, kb }
    }

    fn rgb(&self, y: f32, u: f32, v: f32) -> [f32; 3] {
        let red = y + 2.0 * (1.0 - self.kr) * v;
        let blue = y + 2.0 * (1.0 - self.kb) * u;
        [red, (y - self.kr * red - self.kb * blue) / (1.0 - self.kr - self.kb), blue]
    }
}

const IDENTITY: u16 = 0;
const YCGCO: u16 = 8;

fn to_rgb(job: &Job, frame: &Frame, colours: &Colours) -> Result<Canvas, DecodeError> {
    let (matrix, full_range) = match colours {
        Colours::Coded { matrix, full_range, .. } => (*matrix, *full_range),
        Colours::Profile(_) | Colours::Unsaid => (frame.matrix, frame.full_range),
    };
    let range = Range::of(frame.bits, full_range);
    let coefficients = Matrix::of(matrix);
    let mut canvas =
        Canvas { width: frame.width, height: frame.height, data: Vec::with_capacity(frame.width * frame.height * 3) };
    let mut chroma = [vec![0.0; frame.width], vec![0.0; frame.width]];
    for y in 0..frame.height {
        job.deadline.check(KIND)?;
        let luma = frame.planes[0].row(y);
        for (row, plane) in chroma.iter_mut().zip(&frame.planes[1..]) {
            upsampled(plane, frame.layout, y, row);
        }
        for (x, sample) in luma.iter().enumerate() {
            let [u, v] = [chroma[0][x], chroma[1][x]];
            let value = range.luma(f32::from(*sample));
            let pixel = match matrix {
                _ if frame.planes.len() == 1 => [value; 3],
                IDENTITY if frame.layout == PixelLayout::I444 => [range.luma(v), value, range.luma(u)],
                YCGCO => {
                    let (green, orange) = (range.chroma(u), range.chroma(v));
                    [value - green + orange, value + green, value - green - orange]
                }
                _ => coefficients.rgb(value, range.chroma(u), range.chroma(v)),
            };
            canvas.data.extend(pixel.map(|channel| (channel.clamp(0.0, 1.0) * 255.0 + 0.5) as u8));
        }
    }
    Ok(canvas)
}

/// From samples to 0..1 for luma and -0.5..0.5 for chroma.
struct Range {
    black: f32,
    luma: f32,
    middle: f32,
    chroma: f32,
}

impl Range {
    fn of(bits: u32, full: bool) -> Self {
        let unit = (1_u32 << (bits - 8)) as f32;
        let most = ((1_u32 << bits) - 1) as f32;
        if full {
            Self { black: 0.0, luma: most, middle: 128.0 * unit, chroma: most }
        } else {
            Self { black: 16.0 * unit, luma: 219.0 * unit, middle: 128.0 * unit, chroma: 224.0 * unit }
        }
    }

    fn luma(&self, sample: f32) -> f32 {
        (sample - self.black) / self.luma
    }

    fn chroma(&self, sample: f32) -> f32 {
        (sample - self.middle) / self.chroma
    }
}

/// A full-width row of a chroma plane, interpolated between samples that lie in the middle of theirs.
fn upsampled(plane: &Plane, layout: PixelLayout, y: usize, out: &mut [f32]) {
    let (near, far) = match layout {
        PixelLayout::I420 => (y / 2, if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 }),
        _ => (y, y),
    };
    let (near, far) = (plane.row(near), plane.row(far));
    let blended = |x: usize| (3.0 * f32::from(near[x]) + f32::from(far[x])) / 4.0;
    if matches!(layout, PixelLayout::I444 | PixelLayout::I400) {
        out.iter_mut().enumerate().for_each(|(x, out)| *out = blended(x));
        return;
    }
    for (x, out) in out.iter_mut().enumerate() {
        let at = x / 2;
        let beside = if x.is_multiple_of(2) { at.saturating_sub(1) } else { (at + 1).min(plane.width - 1) };
        *out = (3.0 * blended(at) + blended(beside)) / 4.0;
    }
}

/// Blends a picture with its alpha plane, where it has one that can be read, over white.
fn lay_on_white(job: &Job, meta: &Meta, item: u32, picture: &mut Canvas) -> Result<(), DecodeError> {
    const CANDIDATES: usize = 16;
    let is_alpha =
        |item: &u32| meta.property(*item, *b"auxC").is_some_and(|kind| kind.windows(5).any(|it| it == b"alpha"));
    let Some(alpha) = meta.referring(*b"auxl", item).take(CANDIDATES).find(is_alpha) else { return Ok(()) };
    let alpha = match self::picture(job, meta, alpha, picture.data.len() as u64) {
        Ok(alpha) if (alpha.width, alpha.height) == (picture.width, picture.height) => alpha,
        // With more time it would look different.
        Err(late @ DecodeError::Timeout { .. }) => return Err(late),
        _ => return Ok(()),
    };
    for (pixel, alpha) in picture.data.chunks_exact_mut(3).zip(alpha.data.chunks_exact(3)) {
        let alpha = u32::from(alpha[0]);
        for channel in pixel {
            *channel = ((u32::from(*channel) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    Ok(())
}

/// The part of the picture meant to be shown, when the file names one that lies inside.
fn clean_aperture(meta: &Meta, item: u32, pixels: Pixels) -> Pixels {
    let Some(stated) = meta.property(item, *b"clap") else { return pixels };
    let numbers: Vec<i64> = stated
        .chunks_exact(4)
        .map(|four| i64::from(i32::from_be_bytes([four[0], four[1], four[2], four[3]])))
        .collect();
    let &[width, width_by, height, height_by, x, x_by, y, y_by] = numbers.as_slice() else { return pixels };
    if [width_by, height_by, x_by, y_by].iter().any(|by| *by <= 0) {
        return pixels;
    }
    let (width, height) = (width / width_by, height / height_by);
    let left = (i64::from(pixels.width()) - width) / 2 + x / x_by;
    let top = (i64::from(pixels.height()) - height) / 2 + y / y_by;
    let parts = [left, top, width, height].map(u32::try_from);
    let [Ok(left), Ok(top), Ok(width), Ok(height)] = parts else { return pixels };
    crate::resize::crop(&pixels, left, top, width, height).unwrap_or(pixels)
}
