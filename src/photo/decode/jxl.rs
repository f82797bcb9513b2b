//! Decodes JPEG XL with `jxl-oxide` (pure Rust), which also applies the orientation and tone-maps HDR pictures.

use jxl_oxide::{AllocTracker, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool, RenderingIntent};

use super::watch::watched;
use super::{Job, Raster, channels, failure, rgb};
use crate::container::MAX_PROFILE;
use crate::error::DecodeError;
use crate::picture;

/// 32-bit planes, those before the last filter, and the result.
const BYTES_PER_PIXEL: u64 = 32;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A decoded picture, with interleaved channels.
struct Rendered {
    width: u32,
    height: u32,
    channels: u8,
    samples: Vec<u8>,
    profile: Vec<u8>,
}

pub fn decode(job: &Job) -> Result<Raster, DecodeError> {
    let explain = |error: Fault| failure(job, job.format, &*error);
    let mut image = opened(job).map_err(explain)?.ok_or_else(|| DecodeError::Truncated {
        format: job.format,
        cause: "it ends before its picture begins".to_owned(),
    })?;
    if image.pixel_format().has_black() {
        return Err(DecodeError::Unsupported(
            "JPEG XL of printers' inks is not supported; convert it to JPEG".to_owned(),
        ));
    }
    job.admit(u64::from(image.width()), u64::from(image.height()), BYTES_PER_PIXEL)?;
    let metadata = &image.image_header().metadata;
    // jxl-oxide converts colours without a colour management system only for XYB-coded pictures or those without a
    // profile.
    if metadata.xyb_encoded || image.original_icc().is_none() {
        let intent = RenderingIntent::Relative;
        let grey = metadata.grayscale();
        image.request_color_encoding(if grey {
            EnumColourEncoding::gray_srgb(intent)
        } else {
            EnumColourEncoding::srgb(intent)
        });
    }
    let drawn = watched(job, move || rendered(&image))?.map_err(explain)?;
    let pixels = rgb(job.format, drawn.width, drawn.height, channels::on_white(drawn.samples, drawn.channels))?;
    let profile = (drawn.profile.len() <= MAX_PROFILE).then_some(drawn.profile);
    let picture = picture::of_stream(job.bytes, job.format);
    Ok(Raster { pixels, width: drawn.width, height: drawn.height, orientation: Some(1), profile, picture })
}

/// Parses the header; `None` if the file ends before it is complete.
fn opened(job: &Job) -> Result<Option<JxlImage>, Fault> {
    const STEP: usize = 1 << 16;
    let tracker = AllocTracker::with_limit(usize::try_from(job.limits.max_alloc).unwrap_or(usize::MAX));
    let mut begun = JxlImage::builder().pool(JxlThreadPool::none()).alloc_tracker(tracker).build_uninit();
    let (mut fed, mut end) = (0, 0);
    while end < job.bytes.len() {
        end = (end + STEP).min(job.bytes.len());
        fed += begun.feed_bytes(&job.bytes[fed..end])?;
        match begun.try_init()? {
            InitializeResult::NeedMoreData(more) => begun = more,
            InitializeResult::Initialized(mut image) => {
                image.feed_bytes(&job.bytes[fed..])?;
                return Ok(Some(image));
            }
        }
    }
    Ok(None)
}

/// Renders the picture, or the first frame of an animation.
fn rendered(image: &JxlImage) -> Result<Rendered, Fault> {
    let render = image.render_frame(0)?;
    let mut stream = render.stream();
    let (width, height, channels) = (stream.width(), stream.height(), stream.channels() as u8);
    let mut samples = vec![0; width as usize * height as usize * usize::from(channels)];
    stream.write_to_buffer(&mut samples);
    Ok(Rendered { width, height, channels, samples, profile: image.rendered_icc() })
}
