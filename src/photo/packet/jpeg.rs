//! JPEG: an APP1 segment behind those of JFIF and EXIF.

use super::NoPlace;
use crate::ifd::Tiff;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// A segment's length counts itself, in two bytes.
const MAX_PAYLOAD: usize = 0xffff - 2;
/// The list of the pictures in a file of several.
const PICTURES: u16 = 0xb002;

pub fn with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    if XMP.len() + packet.len() > MAX_PAYLOAD {
        return Err(NoPlace::TooLong);
    }
    let mut copy = bytes.get(..2).ok_or(NoPlace::Damaged)?.to_vec();
    let (mut at, mut others, mut several) = (2, Vec::new(), None);
    let mut segment = vec![0xff, 0xe1];
    segment.extend(((XMP.len() + packet.len() + 2) as u16).to_be_bytes());
    segment.extend_from_slice(XMP);
    segment.extend_from_slice(packet);
    // Stray or fill bytes between segments end this list: what follows stays as it is, and an older packet in it is seen
    // by the check of the copy.
    while let Some(&[0xff, marker @ (0xe0..=0xef | 0xfe), high, low]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        let payload = bytes.get(at + 4..end).ok_or(NoPlace::Damaged)?;
        let is_first = marker == 0xe0 || (marker == 0xe1 && payload.starts_with(b"Exif\0"));
        if is_first && others.is_empty() {
            copy.extend_from_slice(&bytes[at..end]);
        } else if !(marker == 0xe1 && payload.starts_with(XMP)) {
            if marker == 0xe2 && payload.starts_with(b"MPF\0") {
                several = Some(others.len() + 8);
            }
            others.extend_from_slice(&bytes[at..end]);
        }
        at = end;
    }
    copy.extend(segment);
    let several = several.map(|block| copy.len() + block);
    copy.extend(others);
    let grown = (copy.len() as i64) - (at as i64);
    copy.extend_from_slice(&bytes[at..]);
    if let Some(block) = several {
        lengthen_first(&mut copy, block, grown);
    }
    Ok(copy)
}

/// Files of several pictures, such as those with a gain map, tell the length of the first. The places of the others count
/// from this very block, so they hold.
fn lengthen_first(copy: &mut [u8], block: usize, grown: i64) {
    let Some(tiff) = copy.get(block..) else { return };
    let is_little = tiff.starts_with(b"II");
    let Some(list) = Tiff::new(tiff).and_then(|tiff| tiff.first()).and_then(|ifd| ifd.bytes(PICTURES)) else { return };
    let at = block + (list.as_ptr() as usize - tiff.as_ptr() as usize) + 4;
    let Some(field) = copy.get_mut(at..at + 4).and_then(|field| field.first_chunk_mut::<4>()) else { return };
    let length = if is_little { u32::from_le_bytes(*field) } else { u32::from_be_bytes(*field) };
    let Ok(longer) = u32::try_from(i64::from(length) + grown) else { return };
    *field = if is_little { longer.to_le_bytes() } else { longer.to_be_bytes() };
}
