//! WebP: the last chunk of an extended file. A plain file becomes an extended one, its picture as it was.

use super::NoPlace;

const HAS_XMP: u8 = 0x04;
const HAS_ALPHA: u8 = 0x10;
const EXTENDED: usize = 10;

pub fn with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let told = bytes.get(4..8).and_then(<[u8]>::first_chunk).ok_or(NoPlace::Damaged)?;
    let end = (u32::from_le_bytes(*told) as usize).saturating_add(8);
    let inside = bytes.get(12..end).ok_or(NoPlace::Damaged)?;
    let mut chunks = chunks(inside)?;
    chunks.retain(|(name, _)| name != b"XMP ");
    let first = chunks.first().ok_or(NoPlace::Damaged)?;
    let head = if &first.0 == b"VP8X" { first.1.to_vec() } else { extended(first)? };
    chunks.retain(|(name, _)| name != b"VP8X");
    let mut head: [u8; EXTENDED] = head.try_into().map_err(|_| NoPlace::Damaged)?;
    head[0] |= HAS_XMP;
    let mut body = b"WEBP".to_vec();
    for (name, data) in [(*b"VP8X", &head[..])].into_iter().chain(chunks).chain([(*b"XMP ", packet)]) {
        body.extend(name);
        body.extend(u32::try_from(data.len()).map_err(|_| NoPlace::TooLong)?.to_le_bytes());
        body.extend_from_slice(data);
        body.extend(std::iter::repeat_n(0, data.len() & 1));
    }
    let length = u32::try_from(body.len()).map_err(|_| NoPlace::TooLong)?;
    Ok([b"RIFF", &length.to_le_bytes()[..], &body, &bytes[end..]].concat())
}

type Chunk<'a> = ([u8; 4], &'a [u8]);

fn chunks(mut rest: &[u8]) -> Result<Vec<Chunk<'_>>, NoPlace> {
    let mut found = Vec::new();
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = rest.first_chunk() {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let data = rest.get(8..length.saturating_add(8)).ok_or(NoPlace::Damaged)?;
        found.push(([a, b, c, d], data));
        rest = rest.get(8 + length + (length & 1)..).unwrap_or_default();
    }
    Ok(found)
}

/// The head of an extended file around one plain picture.
fn extended((name, data): &Chunk) -> Result<Vec<u8>, NoPlace> {
    let (flags, width, height) = match (name, *data) {
        // A key frame: three bytes of tag, a start code, 14 bits of width and of height.
        (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
            let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            (0, side(*w0, *w1), side(*h0, *h1))
        }
        // A signature, 14 bits each of width and height less one, a bit for alpha.
        (b"VP8L", [0x2f, b0, b1, b2, b3, ..]) => {
            let bits = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
            (if bits >> 28 & 1 == 1 { HAS_ALPHA } else { 0 }, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
        }
        _ => return Err(NoPlace::Damaged),
    };
    let less_one = |side: u32| side.checked_sub(1).map(u32::to_le_bytes).ok_or(NoPlace::Damaged);
    Ok([&[flags, 0, 0, 0], &less_one(width)?[..3], &less_one(height)?[..3]].concat())
}
