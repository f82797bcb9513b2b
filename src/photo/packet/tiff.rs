//! TIFF: the packet goes to the end of the file, and where it is the first, a new list of tags behind it. Nothing else
//! moves, because every place in a TIFF counts from its beginning.

use super::{NoPlace, TAG};

const BYTES: u16 = 1;

pub fn with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let order = Order { is_little: bytes.starts_with(b"II") };
    if order.u16(bytes, 2)? != 42 {
        return Err(NoPlace::Layout("files of this kind with addresses of 64 bits take none"));
    }
    let list = order.u32(bytes, 4)? as usize;
    let count = usize::from(order.u16(bytes, list)?);
    let entries = bytes.get(list + 2..list + 2 + 12 * count).ok_or(NoPlace::Damaged)?;
    let next = order.u32(bytes, list + 2 + 12 * count)?;
    let mut copy = bytes.to_vec();
    copy.extend(std::iter::repeat_n(0, copy.len() & 1));
    let place = u32::try_from(copy.len()).map_err(|_| NoPlace::TooLong)?;
    copy.extend_from_slice(packet);
    // A value of up to four bytes would stand in the entry itself.
    let length = u32::try_from(packet.len()).ok().filter(|length| *length > 4).ok_or(NoPlace::TooLong)?;
    let entry = [&order.two(TAG)[..], &order.two(BYTES), &order.four(length), &order.four(place)].concat();
    let tags = entries.chunks_exact(12).map(|entry| order.u16(entry, 0)).collect::<Result<Vec<_>, _>>()?;
    if let Some(there) = tags.iter().position(|tag| *tag == TAG) {
        copy[list + 2 + 12 * there..][..12].copy_from_slice(&entry);
        return Ok(copy);
    }
    // Tags stand in ascending order.
    let before = tags.iter().position(|tag| *tag > TAG).unwrap_or(count);
    copy.extend(std::iter::repeat_n(0, copy.len() & 1));
    let list = u32::try_from(copy.len()).map_err(|_| NoPlace::TooLong)?;
    copy.extend(order.two(u16::try_from(count + 1).map_err(|_| NoPlace::TooLong)?));
    copy.extend_from_slice(&entries[..12 * before]);
    copy.extend(entry);
    copy.extend_from_slice(&entries[12 * before..]);
    copy.extend(order.four(next));
    copy[4..8].copy_from_slice(&order.four(list));
    Ok(copy)
}

struct Order {
    is_little: bool,
}

impl Order {
    fn two(&self, number: u16) -> [u8; 2] {
        if self.is_little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    fn four(&self, number: u32) -> [u8; 4] {
        if self.is_little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    fn u16(&self, bytes: &[u8], at: usize) -> Result<u16, NoPlace> {
        let raw = *bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(NoPlace::Damaged)?;
        Ok(if self.is_little { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
    }

    fn u32(&self, bytes: &[u8], at: usize) -> Result<u32, NoPlace> {
        let raw = *bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(NoPlace::Damaged)?;
        Ok(if self.is_little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }
}
