//! HEIC and AVIF: the packet goes into a data box at the end of the file, and an item in the description tells of it. The
//! description grows, so the places of all that lies behind it are moved by as much. JPEG XL: a box at the end.

use super::NoPlace;

const TYPE: &[u8] = b"application/rdf+xml\0";
/// How a container of JPEG XL begins: its signature, and its type.
const JXL: &[u8] = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ";
const UNUSUAL: NoPlace = NoPlace::Layout("its description is written in an unusual way");

/// The boxes of a file or of another box: where each begins, its type, and where it ends.
fn boxes(bytes: &[u8], mut at: usize) -> Result<Vec<(usize, [u8; 4], usize)>, NoPlace> {
    let mut found = Vec::new();
    while at < bytes.len() {
        let short = number(bytes, at, 4)?;
        let name = *bytes.get(at + 4..).and_then(<[u8]>::first_chunk).ok_or(NoPlace::Damaged)?;
        let length = match short {
            0 => (bytes.len() - at) as u64,
            1 => number(bytes, at + 8, 8)?,
            length => length,
        };
        let end = usize::try_from(length).ok().filter(|length| *length >= 8).and_then(|length| at.checked_add(length));
        let end = end.filter(|end| *end <= bytes.len()).ok_or(NoPlace::Damaged)?;
        found.push((at, name, end));
        at = end;
    }
    Ok(found)
}

fn number(bytes: &[u8], at: usize, size: usize) -> Result<u64, NoPlace> {
    let raw = at.checked_add(size).and_then(|end| bytes.get(at..end)).ok_or(NoPlace::Damaged)?;
    Ok(raw.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Writes a number of `size` bytes; it must fit.
fn put(bytes: &mut [u8], at: usize, size: usize, value: u64) -> Result<(), NoPlace> {
    if size < 8 && value >> (8 * size) != 0 {
        return Err(NoPlace::TooLong);
    }
    bytes.get_mut(at..at + size).ok_or(NoPlace::Damaged)?.copy_from_slice(&value.to_be_bytes()[8 - size..]);
    Ok(())
}

fn boxed(name: [u8; 4], payload: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let length = u32::try_from(payload.len() + 8).map_err(|_| NoPlace::TooLong)?;
    Ok([&length.to_be_bytes(), &name[..], payload].concat())
}

pub fn jxl_with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    if bytes.starts_with(&[0xff, 0x0a]) {
        // A bare stream is put into a container, which has room beside it.
        return Ok([JXL, &boxed(*b"jxlc", bytes)?, &boxed(*b"xml ", packet)?].concat());
    }
    let mut copy = Vec::with_capacity(bytes.len() + packet.len() + 8);
    for (start, name, end) in boxes(bytes, 0)? {
        if &name == b"brob" && bytes.get(start + 8..start + 12) == Some(b"xml ") {
            return Err(NoPlace::Layout("the packet that it has is compressed"));
        }
        if &name != b"xml " {
            let at = copy.len();
            copy.extend_from_slice(&bytes[start..end]);
            // A length of zero means all the rest, of which there is more now.
            if number(bytes, start, 4)? == 0 {
                put(&mut copy, at, 4, (end - start) as u64)?;
            }
        }
    }
    copy.extend(boxed(*b"xml ", packet)?);
    Ok(copy)
}

pub fn with_packet(bytes: &[u8], packet: &[u8]) -> Result<Vec<u8>, NoPlace> {
    let outer = boxes(bytes, 0)?;
    if outer.iter().any(|(_, name, _)| name == b"moov") {
        return Err(NoPlace::Layout("it holds a film, whose places would move"));
    }
    let is_open = |(start, ..): &(usize, [u8; 4], usize)| number(bytes, *start, 4) == Ok(0);
    let (start, _, end) = *outer.iter().find(|(_, name, _)| name == b"meta").ok_or(NoPlace::Damaged)?;
    if outer.iter().any(|one| is_open(one) && one.0 <= start) || number(bytes, start, 4)? < 8 {
        return Err(UNUSUAL);
    }
    let mut description = Description::read(&bytes[start..end])?;
    let mut copy = bytes[..start].to_vec();
    let behind = &bytes[end..];
    let place = |description: &Description| (start + description.bytes.len() + behind.len() + 8) as u64;
    if let Some(item) = description.packet_item()? {
        let place = place(&description);
        description.move_item(item, place, packet.len() as u64)?;
    } else {
        let item = description.add_item()?;
        let grown = description.bytes.len() as u64 - (end - start) as u64;
        description.shift(end as u64, grown, item)?;
        let place = place(&description);
        description.move_item(item, place, packet.len() as u64)?;
    }
    copy.extend(&description.bytes);
    let at = copy.len();
    copy.extend_from_slice(behind);
    // A last box that reaches to the end of the file is given its length, before another follows.
    if let Some((open, _, close)) = outer.last().filter(|one| is_open(one)) {
        put(&mut copy, at + open - end, 4, (close - open) as u64)?;
    }
    copy.extend(boxed(*b"mdat", packet)?);
    Ok(copy)
}

/// The `meta` box, as bytes that are edited.
struct Description {
    bytes: Vec<u8>,
    primary: u64,
}

/// One item's entry in the `iloc` box.
struct ItemLocation {
    item: u64,
    in_file: bool,
    /// Where its base and its extents stand.
    base: usize,
    extents: Vec<usize>,
}

/// The `iloc` box: where each item of the file is.
struct ItemLocations {
    /// How many bytes an offset, a length and a base take.
    sizes: [usize; 3],
    locations: Vec<ItemLocation>,
}

impl Description {
    fn read(bytes: &[u8]) -> Result<Self, NoPlace> {
        let mut read = Self { bytes: bytes.to_vec(), primary: 0 };
        let (pitm, _) = read.child(*b"pitm")?.ok_or(NoPlace::Damaged)?;
        read.primary = number(bytes, pitm + 12, if number(bytes, pitm + 8, 1)? == 0 { 2 } else { 4 })?;
        Ok(read)
    }

    fn child(&self, name: [u8; 4]) -> Result<Option<(usize, usize)>, NoPlace> {
        let found = boxes(&self.bytes, 12)?.into_iter().find(|(_, it, _)| *it == name);
        Ok(found.map(|(start, _, end)| (start, end)))
    }

    /// The items: number, and whether it is an XMP packet.
    fn items(&self) -> Result<Vec<(u64, bool)>, NoPlace> {
        let (iinf, end) = self.child(*b"iinf")?.ok_or(NoPlace::Damaged)?;
        let head = if number(&self.bytes, iinf + 8, 1)? == 0 { 14 } else { 16 };
        let item = |(at, name, end): (usize, [u8; 4], usize)| {
            let version = *self.bytes.get(at + 8).ok_or(NoPlace::Damaged)?;
            if &name != b"infe" || version < 2 {
                return Err(UNUSUAL);
            }
            let wide = if version == 2 { 2 } else { 4 };
            let rest = self.bytes.get(at + 12 + wide + 2..end).ok_or(NoPlace::Damaged)?;
            // Behind the type stands a name, and behind that the type of content.
            let content = rest.get(4..).and_then(|rest| rest.splitn(2, |byte| *byte == 0).nth(1)).unwrap_or_default();
            let is_packet = rest.starts_with(b"mime") && content.starts_with(&TYPE[..TYPE.len() - 1]);
            Ok((number(&self.bytes, at + 12, wide)?, is_packet))
        };
        boxes(&self.bytes[..end], iinf + head)?.into_iter().map(item).collect()
    }

    fn packet_item(&self) -> Result<Option<u64>, NoPlace> {
        Ok(self.items()?.into_iter().find(|(_, is_packet)| *is_packet).map(|(item, _)| item))
    }

    fn item_locations(&self) -> Result<ItemLocations, NoPlace> {
        let (iloc, _) = self.child(*b"iloc")?.ok_or(NoPlace::Damaged)?;
        let version = number(&self.bytes, iloc + 8, 1)?;
        let [first, second] = *self.bytes.get(iloc + 12..).and_then(<[u8]>::first_chunk).ok_or(NoPlace::Damaged)?;
        let sizes = [first >> 4, first & 15, second >> 4].map(usize::from);
        let index = if version > 0 { usize::from(second & 15) } else { 0 };
        if sizes.iter().chain([&index]).any(|size| *size > 8) {
            return Err(NoPlace::Damaged);
        }
        let wide = if version < 2 { 2 } else { 4 };
        let mut at = iloc + 14 + wide;
        let mut locations = Vec::new();
        for _ in 0..number(&self.bytes, iloc + 14, wide)? {
            let item = number(&self.bytes, at, wide)?;
            at += wide;
            let method = if version > 0 { number(&self.bytes, at, 2)? & 15 } else { 0 };
            at += if version > 0 { 4 } else { 2 };
            let (base, count) = (at, number(&self.bytes, at + sizes[2], 2)?);
            at += sizes[2] + 2;
            let mut extents = Vec::new();
            for _ in 0..count {
                extents.push(at + index);
                at += index + sizes[0] + sizes[1];
                if at > self.bytes.len() {
                    return Err(NoPlace::Damaged);
                }
            }
            locations.push(ItemLocation { item, in_file: method == 0, base, extents });
        }
        Ok(ItemLocations { sizes, locations })
    }

    /// Puts bytes into a child at its end, and counts one more of its entries where `count` says at which byte of the child
    /// their number stands, and in how many bytes.
    fn grow(&mut self, name: [u8; 4], more: &[u8], count: Option<(usize, usize)>) -> Result<(), NoPlace> {
        let (start, end) = self.child(name)?.ok_or(NoPlace::Damaged)?;
        if number(&self.bytes, start, 4)? < 8 {
            return Err(UNUSUAL);
        }
        if let Some((at, size)) = count {
            let counted = number(&self.bytes, start + at, size)?;
            put(&mut self.bytes, start + at, size, counted + 1)?;
        }
        self.bytes.splice(end..end, more.iter().copied());
        put(&mut self.bytes, start, 4, (end - start + more.len()) as u64)?;
        let whole = self.bytes.len() as u64;
        put(&mut self.bytes, 0, 4, whole)
    }

    /// Adds an item for the packet, which describes the primary one; its place is yet to be told.
    fn add_item(&mut self) -> Result<u64, NoPlace> {
        let item = self.items()?.iter().map(|(item, _)| *item).max().unwrap_or(0) + 1;
        // Numbers of two bytes are what every list has room for.
        let short = u16::try_from(item).map_err(|_| UNUSUAL)?.to_be_bytes();
        let infe = boxed(*b"infe", &[&[2, 0, 0, 0], &short[..], &[0, 0], b"mime", &[0], TYPE].concat())?;
        let (iinf, _) = self.child(*b"iinf")?.ok_or(NoPlace::Damaged)?;
        let size = if number(&self.bytes, iinf + 8, 1)? == 0 { 2 } else { 4 };
        self.grow(*b"iinf", &infe, Some((12, size)))?;

        let sizes = self.item_locations()?.sizes;
        let (iloc, _) = self.child(*b"iloc")?.ok_or(NoPlace::Damaged)?;
        let version = number(&self.bytes, iloc + 8, 1)?;
        let index = if version > 0 { (number(&self.bytes, iloc + 13, 1)? & 15) as usize } else { 0 };
        let wide = if version < 2 { 2 } else { 4 };
        let mut entry = vec![0; wide - 2];
        entry.extend(short);
        // The method, where there is one, and the number of the file.
        entry.extend(std::iter::repeat_n(0, if version > 0 { 4 } else { 2 } + sizes[2]));
        entry.extend([0, 1]);
        entry.extend(std::iter::repeat_n(0, index + sizes[0] + sizes[1]));
        self.grow(*b"iloc", &entry, Some((14, wide)))?;

        let is_wide = if let Some((iref, _)) = self.child(*b"iref")? {
            number(&self.bytes, iref + 8, 1)? > 0
        } else {
            let whole = self.bytes.len();
            self.bytes.splice(whole..whole, boxed(*b"iref", &[0; 4])?);
            false
        };
        let id = |item: u64| {
            let bytes = item.to_be_bytes();
            if is_wide { bytes[4..].to_vec() } else { bytes[6..].to_vec() }
        };
        if !is_wide && self.primary > u64::from(u16::MAX) {
            return Err(UNUSUAL);
        }
        let describes = boxed(*b"cdsc", &[&id(item)[..], &[0, 1], &id(self.primary)].concat())?;
        self.grow(*b"iref", &describes, None)?;
        Ok(item)
    }

    /// Moves the places of all other items behind `from` by `grown`.
    fn shift(&mut self, from: u64, grown: u64, new: u64) -> Result<(), NoPlace> {
        let ItemLocations { sizes: [offset, _, base], locations } = self.item_locations()?;
        for location in locations.iter().filter(|location| location.in_file && location.item != new) {
            let based = number(&self.bytes, location.base, base)?;
            let mut offsets = Vec::new();
            for at in &location.extents {
                offsets.push((*at, number(&self.bytes, *at, offset)?));
            }
            let is_behind = |told: u64| based.saturating_add(told) >= from;
            match offsets.iter().filter(|(_, told)| is_behind(*told)).count() {
                0 => {}
                moved if moved == offsets.len() && based > 0 => {
                    put(&mut self.bytes, location.base, base, based + grown)?;
                }
                _ => {
                    for (at, told) in offsets.into_iter().filter(|(_, told)| is_behind(*told)) {
                        put(&mut self.bytes, at, offset, told + grown)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn move_item(&mut self, item: u64, to: u64, length: u64) -> Result<(), NoPlace> {
        let ItemLocations { sizes: [offset, length_size, base], locations } = self.item_locations()?;
        let location = locations.iter().find(|location| location.item == item).ok_or(NoPlace::Damaged)?;
        let [extent] = location.extents[..] else { return Err(UNUSUAL) };
        if !location.in_file || length_size == 0 {
            return Err(UNUSUAL);
        }
        let based = number(&self.bytes, location.base, base)?;
        if offset > 0 {
            put(&mut self.bytes, extent, offset, to.checked_sub(based).ok_or(UNUSUAL)?)?;
        } else {
            put(&mut self.bytes, location.base, base, to)?;
        }
        put(&mut self.bytes, extent + offset, length_size, length)
    }
}
