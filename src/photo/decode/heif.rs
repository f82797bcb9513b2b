//! Decodes still pictures of the HEIF family (AVIF and HEIC), single ones or grids of tiles.

use super::channels::over_white;
use super::planes::{Canvas, Colours, Frame, to_rgb};
use super::{Job, Raster, colour, rgb};
use crate::container::MAX_PROFILE;
use crate::container::bmff::Meta;
use crate::error::DecodeError;
use crate::picture;
use base::pixels::Pixels;

/// A format and the decoder of its coded pictures.
pub struct Codec {
    pub format: &'static str,
    /// The item type of coded pictures.
    pub item: [u8; 4],
    /// Peak memory: the decoder's 16-bit planes and their copy, then the copy and the result.
    pub bytes_per_pixel: u64,
    /// Decodes the planes of an item, while that many other bytes are allocated.
    pub frame: fn(&Job, &Meta, u32, u64) -> Result<Frame, DecodeError>,
}

const GRID: [u8; 4] = *b"grid";

pub fn decode(job: &Job, codec: &Codec) -> Result<Raster, DecodeError> {
    let meta = Meta::read(job.bytes).map_err(|cause| corrupt(job, cause))?;
    let item = meta.primary;
    let (width, height) = meta.size(item).ok_or_else(|| corrupt(job, "it does not say how large the picture is"))?;
    // Tiles are decoded one after the other, so only the picture, its rotated and its converted copy have the full
    // size.
    let bytes_per_pixel = if meta.kind(item) == Some(GRID) { 9 } else { codec.bytes_per_pixel };
    job.admit(u64::from(width), u64::from(height), bytes_per_pixel)?;
    let file = File { job, codec, meta };
    let mut canvas = file.picture(item, 0)?;
    file.lay_on_white(item, &mut canvas)?;
    job.deadline.check(job.format)?;
    let pixels = rgb(job.format, canvas.width as u32, canvas.height as u32, canvas.data)?;
    let profile = match Colours::of(&file.meta, item) {
        Colours::Profile(profile) => (profile.len() <= MAX_PROFILE).then(|| profile.to_vec()),
        Colours::Coded { primaries, transfer, .. } => colour::coded_profile(primaries, transfer),
        Colours::Unspecified => None,
    };
    let pixels = clean_aperture(&file.meta, item, pixels);
    let (width, height) = (pixels.width(), pixels.height());
    let picture = picture::of_stream(job.bytes, job.format);
    Ok(Raster { pixels, width, height, orientation: Some(file.meta.orientation(item)), profile, picture })
}

pub fn corrupt(job: &Job, cause: &str) -> DecodeError {
    DecodeError::Corrupt { format: job.format, cause: cause.to_owned() }
}

/// The bytes of a coded picture.
pub fn coded<'a>(job: &Job<'a>, meta: &Meta<'a>, item: u32) -> Result<std::borrow::Cow<'a, [u8]>, DecodeError> {
    meta.data(job.bytes, item).ok_or_else(|| DecodeError::Truncated {
        format: job.format,
        cause: "the picture data lie past the end of the file".to_owned(),
    })
}

struct File<'a> {
    job: &'a Job<'a>,
    codec: &'a Codec,
    meta: Meta<'a>,
}

impl File<'_> {
    /// Decodes a picture, while `held` other bytes are allocated.
    fn picture(&self, item: u32, held: u64) -> Result<Canvas, DecodeError> {
        match self.meta.kind(item) {
            Some(kind) if kind == self.codec.item => self.coded(item, item, held),
            Some(GRID) => self.grid(item, held),
            Some(other) => {
                let (format, name) = (self.codec.format, String::from_utf8_lossy(&other).into_owned());
                let why = format!("{format} holding a picture of type {name:?} is not supported");
                Err(DecodeError::Unsupported(why))
            }
            None => Err(self.corrupt("it names a picture that it does not hold")),
        }
    }

    /// Decodes a coded picture, with the colour properties of the item `whole`.
    fn coded(&self, item: u32, whole: u32, held: u64) -> Result<Canvas, DecodeError> {
        let frame = (self.codec.frame)(self.job, &self.meta, item, held)?;
        to_rgb(self.job, &frame, &Colours::of(&self.meta, whole))
    }

    fn grid(&self, item: u32, held: u64) -> Result<Canvas, DecodeError> {
        let data = self.meta.data(self.job.bytes, item);
        let layout = data.and_then(|data| Grid::read(&data)).ok_or_else(|| self.corrupt("its grid is broken"))?;
        self.job.admit_beside(held, layout.width as u64, layout.height as u64, 3)?;
        let mut canvas = Canvas::white(layout.width, layout.height);
        let held = held + canvas.data.len() as u64;
        let tiles: Vec<u32> = self.meta.referenced(*b"dimg", item).collect();
        if tiles.len() != layout.rows * layout.columns {
            return Err(self.corrupt("its grid has not as many tiles as it says"));
        }
        let mut size = None;
        for (index, tile) in tiles.into_iter().enumerate() {
            self.job.deadline.check(self.job.format)?;
            if self.meta.kind(tile) != Some(self.codec.item) {
                return Err(self.corrupt("a tile of its grid is no picture"));
            }
            let tile = self.coded(tile, item, held)?;
            let (width, height) = *size.get_or_insert((tile.width, tile.height));
            canvas.place(&tile, index % layout.columns * width, index / layout.columns * height);
        }
        Ok(canvas)
    }

    /// Blends a picture over white if it has a readable alpha plane.
    fn lay_on_white(&self, item: u32, picture: &mut Canvas) -> Result<(), DecodeError> {
        const CANDIDATES: usize = 16;
        // The names in AVIF and in HEIC.
        let names = [&b"auxiliary:alpha"[..], b"urn:mpeg:hevc:2015:auxid:1"];
        let is_named = |kind: &[u8]| names.iter().any(|name| kind.windows(name.len()).any(|it| it == *name));
        let is_alpha = |item: &u32| self.meta.property(*item, *b"auxC").is_some_and(is_named);
        let Some(alpha) = self.meta.referring(*b"auxl", item).take(CANDIDATES).find(is_alpha) else { return Ok(()) };
        let alpha = match self.picture(alpha, picture.data.len() as u64) {
            Ok(alpha) if (alpha.width, alpha.height) == (picture.width, picture.height) => alpha,
            // Not ignored, because the result would depend on the speed of the machine.
            Err(late @ DecodeError::Timeout { .. }) => return Err(late),
            _ => return Ok(()),
        };
        for (pixel, alpha) in picture.data.chunks_exact_mut(3).zip(alpha.data.chunks_exact(3)) {
            pixel.iter_mut().for_each(|channel| *channel = over_white(*channel, alpha[0]));
        }
        Ok(())
    }

    fn corrupt(&self, cause: &str) -> DecodeError {
        corrupt(self.job, cause)
    }
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

/// Crops to the clean aperture, if the file states a valid one.
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
