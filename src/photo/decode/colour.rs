//! From the colours a file was written in to sRGB.
//!
//! Conversion runs on the decoded picture, which a scaled JPEG has already made small: profiles bend each pixel by
//! itself, so doing it before or after shrinking differs by less than rounding does.

use std::sync::{Arc, Mutex, PoisonError};

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use base::pixels::Pixels;

/// What a profile does to 8-bit colours.
#[derive(Clone)]
enum Conversion {
    /// It is sRGB, or close enough that no level would change by more than one; or it is broken.
    None,
    Rgb(Arc<Transform8BitExecutor>),
    /// For each grey level its sRGB colour.
    Gray(Arc<[[u8; 3]; 256]>),
    Cmyk(Arc<Transform8BitExecutor>),
}

/// The picture in sRGB, or `None` where it is that already. A profile that is broken or made for other inks is passed
/// over: colours slightly off are better than no photo. When `go_on` comes to be false the rest stays black.
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
        // Grey files reach here with three equal channels; a coloured pixel cannot be meant by a grey profile.
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

/// Ink amounts, 255 being full ink, to sRGB: through the profile if it has one for four inks, else as printers' inks
/// were perfect, which is what Pillow does. When `go_on` comes to be false the rest stays black.
pub fn cmyk_to_srgb(inks: &[u8], profile: Option<&[u8]>, go_on: &dyn Fn() -> bool) -> Vec<u8> {
    let mut rgb = vec![0; inks.len() / 4 * 3];
    let transform = match profile.map(conversion) {
        Some(Conversion::Cmyk(transform)) => Some(transform),
        _ => None,
    };
    for (inks, rgb) in inks.chunks(ROW / 3 * 4).zip(rgb.chunks_mut(ROW)).take_while(|_| go_on()) {
        if transform.as_ref().is_none_or(|transform| transform.transform(inks, rgb).is_err()) {
            plainly_to_srgb(inks, rgb);
        }
    }
    rgb
}

fn plainly_to_srgb(inks: &[u8], rgb: &mut [u8]) {
    for (inks, rgb) in inks.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
        let paper = u32::from(255 - inks[3]);
        for (ink, out) in inks.iter().zip(rgb) {
            *out = ((u32::from(255 - ink) * paper + 127) / 255) as u8;
        }
    }
}

const ROW: usize = 3 * 4096;

/// Photos of one camera carry one profile: the last few are remembered.
fn conversion(profile: &[u8]) -> Conversion {
    static RECENT: Mutex<Vec<(blake3::Hash, Conversion)>> = Mutex::new(Vec::new());
    const REMEMBERED: usize = 16;
    let key = blake3::hash(profile);
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = recent.iter().find(|(hash, _)| *hash == key) {
        return known.clone();
    }
    let made = make(profile).unwrap_or(Conversion::None);
    if recent.len() == REMEMBERED {
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

/// Looks at what the transform does to colours from all over the cube, which judges curves, primaries and tables alike.
fn changes_nothing(transform: &Transform8BitExecutor) -> Option<bool> {
    let steps = || (0..=255).step_by(17);
    let cube: Vec<u8> = steps().flat_map(|r| steps().flat_map(move |g| steps().flat_map(move |b| [r, g, b]))).collect();
    let mut converted = vec![0; cube.len()];
    transform.transform(&cube, &mut converted).ok()?;
    Some(cube.iter().zip(&converted).all(|(before, after)| before.abs_diff(*after) <= 1))
}

/// A profile for colours stated by the numbers of ISO/IEC 23091-2, where they are not sRGB's own. Curves are taken for
/// sRGB's unless a plain gamma is named.
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
