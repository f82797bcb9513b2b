//! Parses the units (OBUs) of an AV1 stream as far as needed to know the cost of decoding it.

use super::bits::Bits;

/// The largest picture size stated in the stream, and the number of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    pub width: u32,
    pub height: u32,
    pub frames: u64,
}

const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;

/// `None` if no sequence header can be read; then the stream cannot be decoded either.
pub fn stream(data: &[u8]) -> Option<Stream> {
    let mut found: Option<Stream> = None;
    let mut frames = 0;
    let mut rest = data;
    while let Some((kind, payload, next)) = unit(rest) {
        match kind {
            SEQUENCE_HEADER => {
                let (width, height) = largest(payload)?;
                let known = found.get_or_insert(Stream { width, height, frames: 0 });
                (known.width, known.height) = (known.width.max(width), known.height.max(height));
            }
            FRAME_HEADER | FRAME => frames += 1,
            _ => {}
        }
        rest = next;
    }
    found.map(|stream| Stream { frames, ..stream })
}

/// The first unit: its type, its payload, and the rest.
fn unit(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&head, rest) = data.split_first()?;
    let (extended, sized) = (head & 4 != 0, head & 2 != 0);
    let rest = if extended { rest.get(1..)? } else { rest };
    let (length, rest) = if sized { number(rest)? } else { (rest.len(), rest) };
    let (payload, next) = rest.split_at_checked(length)?;
    Some((head >> 3 & 15, payload, next))
}

/// A LEB128 number, and the rest.
fn number(data: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u64;
    for (at, &byte) in data.iter().take(8).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, &data[at + 1..]));
        }
    }
    None
}

/// Width and height of the largest frame (AV1 specification, 5.5).
fn largest(header: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(header);
    bits.take(4)?;
    if bits.flag()? {
        // A still picture with the reduced header has only its level here.
        bits.take(5)?;
    } else {
        operating_points(&mut bits)?;
    }
    let (across, down) = (bits.take(4)? + 1, bits.take(4)? + 1);
    Some((bits.take(across)? + 1, bits.take(down)? + 1))
}

fn operating_points(bits: &mut Bits) -> Option<()> {
    let mut delays = None;
    if bits.flag()? {
        bits.take(32)?;
        bits.take(32)?;
        if bits.flag()? {
            let zeros = (0..32).find(|_| bits.flag() != Some(false)).unwrap_or(32);
            bits.take(zeros)?;
        }
        if bits.flag()? {
            delays = Some(bits.take(5)? + 1);
            bits.take(32)?;
            bits.take(10)?;
        }
    }
    let shown_late = bits.flag()?;
    for _ in 0..=bits.take(5)? {
        bits.take(12)?;
        if bits.take(5)? > 7 {
            bits.take(1)?;
        }
        if let Some(length) = delays
            && bits.flag()?
        {
            bits.take(length)?;
            bits.take(length)?;
            bits.take(1)?;
        }
        if shown_late && bits.flag()? {
            bits.take(4)?;
        }
    }
    Some(())
}
