//! Rotates and mirrors pictures upright, in one pass.

use base::pixels::Pixels;

/// Undoes EXIF orientations 1 to 8; any other number leaves the picture unchanged. Once `go_on` returns false, the rest
/// stays black.
pub fn upright(pixels: Pixels, orientation: u8, go_on: &dyn Fn() -> bool) -> Pixels {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    // The orientation is spelled out so that each loop is compiled for one.
    match orientation {
        2 => place(&pixels, width, height, |x, y| source(2, width, height, x, y), go_on),
        3 => place(&pixels, width, height, |x, y| source(3, width, height, x, y), go_on),
        4 => place(&pixels, width, height, |x, y| source(4, width, height, x, y), go_on),
        5 => place(&pixels, height, width, |x, y| source(5, width, height, x, y), go_on),
        6 => place(&pixels, height, width, |x, y| source(6, width, height, x, y), go_on),
        7 => place(&pixels, height, width, |x, y| source(7, width, height, x, y), go_on),
        8 => place(&pixels, height, width, |x, y| source(8, width, height, x, y), go_on),
        _ => pixels,
    }
}

/// The place in a stored picture of `width` × `height` pixels that the pixel (x, y) of the upright one comes from.
#[inline(always)]
pub fn source(orientation: u8, width: usize, height: usize, x: usize, y: usize) -> (usize, usize) {
    match orientation {
        2 => (width - 1 - x, y),
        3 => (width - 1 - x, height - 1 - y),
        4 => (x, height - 1 - y),
        5 => (y, x),
        6 => (y, height - 1 - x),
        7 => (width - 1 - y, height - 1 - x),
        8 => (width - 1 - y, x),
        _ => (x, y),
    }
}

/// The side of the tiles, by which both the rows read and the columns written stay in the cache.
const TILE: usize = 32;

fn place(
    source: &Pixels,
    width: usize,
    height: usize,
    from: impl Fn(usize, usize) -> (usize, usize),
    go_on: &dyn Fn() -> bool,
) -> Pixels {
    let (data, stride) = (source.data(), source.width() as usize);
    let mut out = vec![0; data.len()];
    for top in (0..height).step_by(TILE).take_while(|_| go_on()) {
        for left in (0..width).step_by(TILE) {
            for y in top..(top + TILE).min(height) {
                let right = (left + TILE).min(width);
                let row = &mut out[(y * width + left) * 3..(y * width + right) * 3];
                for (x, pixel) in (left..right).zip(row.chunks_exact_mut(3)) {
                    let (from_x, from_y) = from(x, y);
                    let at = (from_y * stride + from_x) * 3;
                    pixel.copy_from_slice(&data[at..at + 3]);
                }
            }
        }
    }
    Pixels::new(width as u32, height as u32, out).expect("turning keeps the number of pixels")
}

/// The size of the upright picture.
pub fn upright_size(width: u32, height: u32, orientation: u8) -> (u32, u32) {
    if (5..=8).contains(&orientation) { (height, width) } else { (width, height) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters stand for pixels; the upright picture is `ab / cd / ef`.
    fn turned(stored: &[&str], orientation: u8) -> Vec<String> {
        let data = stored.concat().bytes().flat_map(|letter| [letter; 3]).collect();
        let pixels = Pixels::new(stored[0].len() as u32, stored.len() as u32, data).expect("whole");
        let upright = upright(pixels, orientation, &|| true);
        upright.rows().map(|row| row.chunks(3).map(|pixel| char::from(pixel[0])).collect()).collect()
    }

    #[test]
    fn each_of_the_eight_orientations_ends_upright() {
        let stored: [&[&str]; 8] = [
            &["ab", "cd", "ef"],
            &["ba", "dc", "fe"],
            &["fe", "dc", "ba"],
            &["ef", "cd", "ab"],
            &["ace", "bdf"],
            &["bdf", "ace"],
            &["fdb", "eca"],
            &["eca", "fdb"],
        ];
        for (stored, orientation) in stored.into_iter().zip(1..) {
            assert_eq!(turned(stored, orientation), ["ab", "cd", "ef"], "orientation {orientation}");
        }
    }
}
