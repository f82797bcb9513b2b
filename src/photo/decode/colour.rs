//! Converts colours from a file's profile to sRGB.
//!
//! The decoded picture is converted, which may already have been decoded at reduced size. Profiles map each pixel
//! independently, so converting before or after shrinking differs by less than rounding.

use std::sync::{Arc, Mutex, PoisonError};

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use base::pixels::Pixels;

/// The conversion of 8-bit colours by a profile.
#[derive(Clone)]
enum Conversion {
    /// The profile is sRGB (no level would change by more than one), or it is broken.
    None,
    Rgb(Arc<Transform8BitExecutor>),
    /// The sRGB colour of each grey level.
    Gray(Arc<[[u8; 3]; 256]>),
    Cmyk(Arc<Transform8BitExecutor>),
}

/// Converts a picture to sRGB; `None` if it is sRGB already. A broken or unsuitable profile is ignored, since slightly
/// wrong colours are better than no photo. Once `go_on` returns false, the rest stays black.
pub fn to_srgb(pixels: &Pixels, profile: &[u8], go_on: &dyn Fn() -> bool) -> Option<Pixels> {
    let data = match conversion(profile) {
        Conversion::None | Conversion::Cmyk(_) => return None,
        Conversion::Rgb(transform) => {
            let mut data = vec![0; pixels.data().len()];
            for (row, out) in pixels.data().chunks(ROW).zip(data.chunks_mut(ROW)).take_while(|_| go_on()) {
                transform.transform(row, out).ok()?;
            }
            data
        }
        // Grey pictures have three equal channels here; a grey profile does not apply to coloured pixels.
        Conversion::Gray(levels) => {
            let mut data = pixels.data().to_vec();
            for row in data.chunks_mut(ROW).take_while(|_| go_on()) {
                for pixel in row.chunks_exact_mut(3).filter(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]) {
                    pixel.copy_from_slice(&levels[usize::from(pixel[0])]);
                }
            }
            data
        }
    };
    Pixels::new(pixels.width(), pixels.height(), data)
}

/// Converts CMYK (255 is full ink) to sRGB: by the profile if it is for CMYK, else by the simple formula for ideal
/// inks, as Pillow does. Once `go_on` returns false, the rest stays black.
pub fn cmyk_to_srgb(inks: &[u8], profile: Option<&[u8]>, go_on: &dyn Fn() -> bool) -> Vec<u8> {
    let mut rgb = vec![0; inks.len() / 4 * 3];
    let transform = match profile.map(conversion) {
        Some(Conversion::Cmyk(transform)) => Some(transform),
        _ => None,
    };
    for (inks, rgb) in inks.chunks(ROW / 3 * 4).zip(rgb.chunks_mut(ROW)).take_while(|_| go_on()) {
        if transform.as_ref().is_none_or(|transform| transform.transform(inks, rgb).is_err()) {
            ideal_inks_to_srgb(inks, rgb);
        }
    }
    rgb
}

fn ideal_inks_to_srgb(inks: &[u8], rgb: &mut [u8]) {
    for (inks, rgb) in inks.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        let paper = u32::from(255 - inks[3]);
        for (ink, out) in inks.iter().zip(rgb) {
            *out = ((u32::from(255 - ink) * paper + 127) / 255) as u8;
        }
    }
}

const ROW: usize = 3 * 4096;

/// Photos of one camera have the same profile, so the most recent conversions are cached.
fn conversion(profile: &[u8]) -> Conversion {
    static RECENT: Mutex<Vec<(blake3::Hash, Conversion)>> = Mutex::new(Vec::new());
    const MAX_CACHED: usize = 16;
    let key = blake3::hash(profile);
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = recent.iter().find(|(hash, _)| *hash == key) {
        return known.clone();
    }
    let made = make(profile).unwrap_or(Conversion::None);
    if recent.len() == MAX_CACHED {
        recent.remove(0);
    }
    recent.push((key, made.clone()));
    made
}

fn make(profile: &[u8]) -> Option<Conversion> {
    let source = ColorProfile::new_from_slice(profile).ok()?;
    let srgb = ColorProfile::new_srgb();
    let through = |layout| source.create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default()).ok();
    match source.color_space {
        DataColorSpace::Rgb => {
            let transform = through(Layout::Rgb)?;
            Some(if changes_nothing(transform.as_ref())? { Conversion::None } else { Conversion::Rgb(transform) })
        }
        DataColorSpace::Gray => {
            let ramp: Vec<u8> = (0..=255).collect();
            let mut levels = [[0; 3]; 256];
            through(Layout::Gray)?.transform(&ramp, levels.as_flattened_mut()).ok()?;
            Some(Conversion::Gray(Arc::new(levels)))
        }
        DataColorSpace::Cmyk => Some(Conversion::Cmyk(through(Layout::Rgba)?)),
        _ => None,
    }
}

/// Whether the transform changes no level by more than one, tested on a grid over the RGB cube.
fn changes_nothing(transform: &Transform8BitExecutor) -> Option<bool> {
    let steps = || (0..=255).step_by(17);
    let cube: Vec<u8> = steps().flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b]))).collect();
    let mut converted = vec![0; cube.len()];
    transform.transform(&cube, &mut converted).ok()?;
    Some(cube.iter().zip(&converted).all(|(before, after)| before.abs_diff(*after) <= 1))
}

/// A profile for colours given by the code points of ISO/IEC 23091-2; `None` for sRGB primaries. The transfer curve is
/// sRGB's unless a plain gamma is stated.
pub fn coded_profile(primaries: u16, transfer: u16) -> Option<Vec<u8>> {
    use moxcms::{CicpColorPrimaries, CicpProfile, MatrixCoefficients, TransferCharacteristics};
    let color_primaries = match primaries {
        9 => CicpColorPrimaries::Bt2020,
        11 => CicpColorPrimaries::Smpte431,
        12 => CicpColorPrimaries::Smpte432,
        _ => return None,
    };
    let transfer_characteristics = match transfer {
        4 => TransferCharacteristics::Bt470M,
        5 => TransferCharacteristics::Bt470Bg,
        _ => TransferCharacteristics::Srgb,
    };
    let stated = CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    };
    ColorProfile::new_from_cicp(stated).encode().ok()
}
