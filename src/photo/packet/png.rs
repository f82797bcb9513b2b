//! PNG: an international text chunk behind the header.

use super::NoPlace;

const KEYWORD: &[u8] = b"XML:com.adobe.xmp\0";
/// Uncompressed, and without a language or a translated keyword.
const PLAIN: &[u8] = b"\0\0\0\0";
const SIGNATURE: usize = 8;

pub fn with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let mut copy = bytes.get(..SIGNATURE).ok_or(NoPlace::Damaged)?.to_vec();
    let mut at = SIGNATURE;
    while let Some(&[l3, l2, l1, l0, name @ ..]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let end = at.saturating_add(u32::from_be_bytes([l3, l2, l1, l0]) as usize).saturating_add(12);
        let chunk = bytes.get(at..end).ok_or(NoPlace::Damaged)?;
        at = end;
        if &name == b"iTXt" && chunk[8..].starts_with(KEYWORD) {
            if chunk.get(8 + KEYWORD.len()) == Some(&1) {
                return Err(NoPlace::Layout("the packet that it has is compressed"));
            }
            continue;
        }
        copy.extend_from_slice(chunk);
        if &name == b"IHDR" {
            copy.extend(chunk_of(packet)?);
        }
        if &name == b"IEND" {
            break;
        }
    }
    copy.extend_from_slice(bytes.get(at..).unwrap_or_default());
    Ok(copy)
}

fn chunk_of(packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let data = [b"iTXt", KEYWORD, PLAIN, packet].concat();
    let length = u32::try_from(data.len() - 4).map_err(|_| NoPlace::TooLong)?;
    let mut sum = flate2::Crc::new();
    sum.update(&data);
    Ok([&length.to_be_bytes()[..], &data, &sum.sum().to_be_bytes()].concat())
}
