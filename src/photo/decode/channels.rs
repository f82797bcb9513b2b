//! Converts grey and transparent pixels to three opaque channels over white.

/// Converts interleaved 8-bit channels: grey, grey and alpha, RGB, or RGB and alpha.
pub fn on_white(data: Vec<u8>, channels: u8) -> Vec<u8> {
    match channels {
        1 => data.iter().flat_map(|grey| [*grey; 3]).collect(),
        2 => data.chunks_exact(2).flat_map(|pixel| [over_white(pixel[0], pixel[1]); 3]).collect(),
        4 => {
            let blend = |pixel: &[u8]| [0, 1, 2].map(|channel| over_white(pixel[channel], pixel[3]));
            data.chunks_exact(4).flat_map(blend).collect()
        }
        _ => data,
    }
}

pub fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
