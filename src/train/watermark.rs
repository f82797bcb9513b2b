//! Draws grey watermark texts over photos, as stock agencies do.

use super::rng::Rng;
use base::pixels::Pixels;

const TEXTS: [&str; 10] =
    ["SAMPLE", "PROOF", "PREVIEW", "DRAFT", "STOCK", "COPYRIGHT", "DO NOT COPY", "WATERMARK", "DEMO", "PHOTOGRAPHY"];
const GREY: f32 = 128.0;

/// Columns and rows of a letter, and the width of a letter with the gap after it.
const LETTER: (usize, usize) = (5, 7);
const STEP: usize = 6;

/// Bitmaps of the letters: five columns, the leftmost in the highest bit.
#[rustfmt::skip]
const LETTERS: [(u8, [u8; LETTER.1]); 22] = [
    (b'A', [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001]),
    (b'B', [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110]),
    (b'C', [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110]),
    (b'D', [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110]),
    (b'E', [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111]),
    (b'F', [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000]),
    (b'G', [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01110]),
    (b'H', [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001]),
    (b'I', [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110]),
    (b'K', [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001]),
    (b'L', [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111]),
    (b'M', [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001]),
    (b'N', [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001]),
    (b'O', [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110]),
    (b'P', [0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000]),
    (b'R', [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001]),
    (b'S', [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110]),
    (b'T', [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100]),
    (b'U', [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110]),
    (b'V', [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b00100]),
    (b'W', [0b10001, 0b10001, 0b10001, 0b10101, 0b10101, 0b11011, 0b10001]),
    (b'Y', [0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100]),
];

/// The position of the text.
enum Position {
    Centre,
    Diagonal,
    Tiled,
    Corner,
}

/// Draws a random text, 20 to 100 pixels high on a photo of 224; `opacity` is the share of grey where it covers the
/// photo.
pub fn apply(photo: &Pixels, opacity: f32, rng: &mut Rng) -> Pixels {
    let text = TEXTS[rng.below(TEXTS.len())].as_bytes();
    let (width, height) = (photo.width() as f32, photo.height() as f32);
    let unit = photo.width().min(photo.height()) as f32 / 224.0;
    let size = rng.between(20.0, 100.0) * unit;
    let position = [Position::Centre, Position::Diagonal, Position::Tiled, Position::Corner];
    let position = &position[rng.below(position.len())];
    let right = rng.chance(0.5);
    let low = rng.chance(0.5);
    // The size of a dot in pixels, and of the text in dots.
    let dot = size / LETTER.1 as f32;
    let (wide, high) = ((text.len() * STEP - 1) as f32, LETTER.1 as f32);
    let spacing = 50.0 * unit / dot;
    let covered = |x: f32, y: f32| -> bool {
        let (x, y) = match position {
            Position::Centre => ((x - width / 2.0) / dot + wide / 2.0, (y - height / 2.0) / dot + high / 2.0),
            Position::Diagonal => {
                let (x, y) = ((x - width / 2.0) / dot, (y - height / 2.0) / dot);
                let turned = std::f32::consts::FRAC_1_SQRT_2;
                ((x - y) * turned + wide / 2.0, (x + y) * turned + high / 2.0)
            }
            Position::Tiled => ((x / dot).rem_euclid(wide + spacing), (y / dot).rem_euclid(high + spacing)),
            Position::Corner => {
                let margin = 10.0 * unit;
                let left = if right { (width - margin - wide * dot).max(margin) } else { margin };
                let top = if low { (height - margin - size).max(margin) } else { margin };
                ((x - left) / dot, (y - top) / dot)
            }
        };
        x >= 0.0 && y >= 0.0 && inked(text, x as usize, y as usize)
    };
    let mut data = photo.data().to_vec();
    for (at, pixel) in data.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (x, y) = ((at % photo.width() as usize) as f32, (at / photo.width() as usize) as f32);
        let corners = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
        let share = corners.iter().filter(|(dx, dy)| covered(x + dx, y + dy)).count() as f32 / corners.len() as f32;
        let cover = share * opacity;
        for value in pixel {
            *value = (f32::from(*value) * (1.0 - cover) + GREY * cover).round() as u8;
        }
    }
    Pixels::new(photo.width(), photo.height(), data).unwrap_or_else(|| photo.clone())
}

/// Whether a dot of the text is inked.
fn inked(text: &[u8], x: usize, y: usize) -> bool {
    let (at, column) = (x / STEP, x % STEP);
    if column >= LETTER.0 || y >= LETTER.1 {
        return false;
    }
    let letter = text.get(at).and_then(|letter| LETTERS.iter().find(|(known, _)| known == letter));
    letter.is_some_and(|(_, rows)| rows[y] >> (LETTER.0 - 1 - column) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_lies_on_part_of_the_photo_and_covers_as_much_as_it_says() {
        let white = Pixels::new(224, 224, vec![255; 224 * 224 * 3]).expect("pixels");
        for seed in 0..12 {
            let marked = apply(&white, 0.5, &mut Rng::at(seed, [1, 1]));
            let inked = marked.data().iter().filter(|v| **v < 255).count() as f32 / marked.data().len() as f32;
            assert!(inked > 0.005 && inked < 0.7, "{seed}: {inked}");
            // Half white and half grey.
            assert_eq!(marked.data().iter().min(), Some(&192), "{seed}");
        }
    }

    #[test]
    fn every_letter_of_every_text_is_there() {
        let known = |letter: u8| letter == b' ' || LETTERS.iter().any(|(there, _)| *there == letter);
        assert!(TEXTS.iter().all(|text| text.bytes().all(known)));
        assert!(inked(b"T", 2, 6) && !inked(b"T", 0, 6) && !inked(b"T", 5, 0));
    }
}
