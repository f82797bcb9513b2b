//! Parses the boxes of AVIF, HEIC, JPEG XL and Canon's CR3 (ISO/IEC 14496-12 and 23008-12). Every offset and count is
//! checked against the length of the data.

use std::borrow::Cow;

/// A box: its type and payload.
type Child<'a> = ([u8; 4], &'a [u8]);

/// Iterates over the boxes in `bytes`; a box that is longer than the data is cut and is the last.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = Child<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let short = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let name = *rest.get(4..)?.first_chunk()?;
        let (head, length) = match short {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(*rest.get(8..)?.first_chunk()?)).ok()?),
            length => (8, length),
        };
        let payload = rest.get(head..length.min(rest.len()))?;
        rest = &rest[length.min(rest.len())..];
        Some((name, payload))
    })
}

/// The payload of the first box of this type.
pub fn child(bytes: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    boxes(bytes).find(|(it, _)| *it == name).map(|(_, payload)| payload)
}

/// Reads big-endian numbers off the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    /// A number of 0 to 8 bytes; 0 bytes give zero.
    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn id(&mut self, wide: bool) -> Option<u32> {
        self.number(if wide { 4 } else { 2 }).map(|id| id as u32)
    }

    /// The version of a full box, its flags skipped.
    fn version(&mut self) -> Option<u8> {
        self.take(4).map(|head| head[0])
    }
}

#[derive(Debug)]
struct Item {
    id: u32,
    kind: [u8; 4],
}

#[derive(Debug)]
struct Location {
    id: u32,
    /// 0: in the file; 1: in the `idat` box.
    method: u64,
    extents: Vec<(u64, u64)>,
}

/// The description of a still picture: its items, their locations and properties.
#[derive(Debug, Default)]
pub struct Meta<'a> {
    pub primary: u32,
    items: Vec<Item>,
    locations: Vec<Location>,
    properties: Vec<Child<'a>>,
    /// Item and property number, counted from one, in the order in which properties apply.
    associations: Vec<(u32, usize)>,
    /// Type, from, to.
    references: Vec<([u8; 4], u32, u32)>,
    data: &'a [u8],
}

/// The largest size of a description, which has about 16 bytes per item; a grid has at most 65,536 tiles.
const MAX_META: usize = 4 << 20;
/// The largest size of a fragmented EXIF block; in a JPEG it cannot exceed 64 KiB.
pub const MAX_EXIF: usize = 16 << 20;
/// A limit; a CR3 has a few tracks of pictures and metadata.
const MAX_TRACKS: usize = 16;
const NO_PICTURE: &str = "it describes no still picture";

impl<'a> Meta<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let meta = child(bytes, *b"meta").and_then(|meta| meta.get(4..)).ok_or(NO_PICTURE)?;
        if child(meta, *b"idat").map_or(meta.len(), |data| meta.len() - data.len()) > MAX_META {
            return Err("its description takes more than 4 MiB");
        }
        let mut read = Self { data: child(meta, *b"idat").unwrap_or_default(), ..Self::default() };
        let primary = child(meta, *b"pitm").and_then(|pitm| {
            let mut cursor = Cursor(pitm);
            let version = cursor.version()?;
            cursor.id(version > 0)
        });
        read.primary = primary.ok_or(NO_PICTURE)?;
        child(meta, *b"iinf").and_then(|iinf| read.take_items(iinf)).ok_or("its list of items is broken")?;
        child(meta, *b"iloc").and_then(|iloc| read.take_locations(iloc)).ok_or("its list of places is broken")?;
        if let Some(properties) = child(meta, *b"iprp") {
            read.properties = child(properties, *b"ipco").map(|ipco| boxes(ipco).collect()).unwrap_or_default();
            for (_, ipma) in boxes(properties).filter(|(name, _)| name == b"ipma") {
                read.take_associations(ipma).ok_or("its list of properties is broken")?;
            }
        }
        child(meta, *b"iref").map(|iref| read.take_references(iref));
        Ok(read)
    }

    fn take_items(&mut self, iinf: &[u8]) -> Option<()> {
        let mut cursor = Cursor(iinf);
        let wide = cursor.version()? > 0;
        cursor.id(wide)?;
        for (_, infe) in boxes(cursor.0).filter(|(name, _)| name == b"infe") {
            let mut cursor = Cursor(infe);
            let version = cursor.version()?;
            if version < 2 {
                continue;
            }
            let id = cursor.id(version > 2)?;
            cursor.take(2)?;
            self.items.push(Item { id, kind: *cursor.0.first_chunk()? });
        }
        Some(())
    }

    fn take_locations(&mut self, iloc: &[u8]) -> Option<()> {
        let mut cursor = Cursor(iloc);
        let version = cursor.version()?;
        let sizes = cursor.number(2)?;
        let size = |shift: u32| ((sizes >> shift) & 0xf) as usize;
        let (offset, length, base, index) = (size(12), size(8), size(4), if version > 0 { size(0) } else { 0 });
        if [offset, length, base, index].iter().any(|size| *size > 8) {
            return None;
        }
        for _ in 0..cursor.id(version > 1)? {
            let id = cursor.id(version > 1)?;
            let method = if version > 0 { cursor.number(2)? & 0xf } else { 0 };
            cursor.take(2)?;
            let from = cursor.number(base)?;
            let mut extents = Vec::new();
            for _ in 0..cursor.number(2)? {
                cursor.take(index)?;
                extents.push((from.checked_add(cursor.number(offset)?)?, cursor.number(length)?));
                // If all sizes are zero, a few bytes could describe any number of extents.
                if offset + length + index == 0 {
                    break;
                }
            }
            self.locations.push(Location { id, method, extents });
        }
        Some(())
    }

    fn take_associations(&mut self, ipma: &[u8]) -> Option<()> {
        let mut cursor = Cursor(ipma);
        let head = cursor.take(4)?;
        let (wide_item, wide_index) = (head[0] > 0, head[3] & 1 == 1);
        for _ in 0..cursor.number(4)? {
            let item = cursor.id(wide_item)?;
            for _ in 0..cursor.number(1)? {
                let index = if wide_index { cursor.number(2)? & 0x7fff } else { cursor.number(1)? & 0x7f };
                self.associations.push((item, index as usize));
            }
        }
        Some(())
    }

    fn take_references(&mut self, iref: &[u8]) -> Option<()> {
        let mut cursor = Cursor(iref);
        let wide = cursor.version()? > 0;
        for (kind, payload) in boxes(cursor.0) {
            let mut cursor = Cursor(payload);
            let from = cursor.id(wide)?;
            for _ in 0..cursor.number(2)? {
                self.references.push((kind, from, cursor.id(wide)?));
            }
        }
        Some(())
    }

    pub fn kind(&self, item: u32) -> Option<[u8; 4]> {
        self.items.iter().find(|it| it.id == item).map(|it| it.kind)
    }

    /// The items that `from` refers to.
    pub fn referenced(&self, kind: [u8; 4], from: u32) -> impl Iterator<Item = u32> {
        self.references.iter().filter(move |(it, of, _)| *it == kind && *of == from).map(|(.., to)| *to)
    }

    /// The items that refer to `to`.
    pub fn referring(&self, kind: [u8; 4], to: u32) -> impl Iterator<Item = u32> {
        self.references.iter().filter(move |(it, _, of)| *it == kind && *of == to).map(|(_, from, _)| *from)
    }

    pub fn properties(&self, item: u32) -> impl Iterator<Item = Child<'a>> {
        let of_item = self.associations.iter().filter(move |(of, _)| *of == item);
        of_item.filter_map(|(_, index)| self.properties.get(index.checked_sub(1)?).copied())
    }

    pub fn property(&self, item: u32, name: [u8; 4]) -> Option<&'a [u8]> {
        self.properties(item).find(|(it, _)| *it == name).map(|(_, payload)| payload)
    }

    /// The stated width and height of an item.
    pub fn size(&self, item: u32) -> Option<(u32, u32)> {
        let mut cursor = Cursor(self.property(item, *b"ispe")?);
        cursor.version()?;
        Some((cursor.number(4)? as u32, cursor.number(4)? as u32))
    }

    /// An item's bytes; `None` if an extent is outside the file or they add up to more than the file.
    pub fn data(&self, bytes: &'a [u8], item: u32) -> Option<Cow<'a, [u8]>> {
        let location = self.locations.iter().find(|location| location.id == item)?;
        let source = match location.method {
            0 => bytes,
            1 => self.data,
            _ => return None,
        };
        let part = |&(at, length): &(u64, u64)| {
            let at = usize::try_from(at).ok()?;
            // A length of zero means all the rest.
            let end = if length == 0 { source.len() } else { at.checked_add(usize::try_from(length).ok()?)? };
            source.get(at..end)
        };
        if let [only] = location.extents.as_slice() {
            return part(only).map(Cow::Borrowed);
        }
        let mut joined = Vec::new();
        for extent in &location.extents {
            joined.extend_from_slice(part(extent)?);
            if joined.len() > bytes.len() {
                return None;
            }
        }
        Some(Cow::Owned(joined))
    }

    /// The bytes of every item other than metadata.
    pub fn pictures(&self, bytes: &'a [u8]) -> Vec<Cow<'a, [u8]>> {
        let is_metadata = |kind: &[u8; 4]| matches!(kind, b"Exif" | b"mime" | b"uri ");
        self.items.iter().filter(|item| !is_metadata(&item.kind)).filter_map(|item| self.data(bytes, item.id)).collect()
    }

    /// The TIFF block of the EXIF item.
    pub fn exif(&self, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let item = self.items.iter().find(|item| &item.kind == b"Exif")?;
        let data =
            self.data(bytes, item.id).filter(|data| matches!(data, Cow::Borrowed(_)) || data.len() <= MAX_EXIF)?;
        let skipped = u32::from_be_bytes(*data.first_chunk()?) as usize;
        let start = skipped.checked_add(4).filter(|start| *start <= data.len())?;
        Some(match data {
            Cow::Borrowed(data) => Cow::Borrowed(&data[start..]),
            Cow::Owned(data) => Cow::Owned(data[start..].to_vec()),
        })
    }

    /// The XMP of the picture.
    pub fn xmp(&self, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let item = self.items.iter().find(|item| &item.kind == b"mime")?;
        self.data(bytes, item.id).filter(|data| data.len() <= MAX_EXIF)
    }

    /// The orientation of an item as an EXIF number: its rotations and mirrorings combined in order.
    pub fn orientation(&self, item: u32) -> u8 {
        self.properties(item).fold(1, |orientation, (name, payload)| match (&name, payload.first()) {
            (b"irot", Some(quarters)) => (0..quarters & 3).fold(orientation, |it, _| TURNED_LEFT[usize::from(it)]),
            (b"imir", Some(axis)) if axis & 1 == 0 => FLIPPED_TOP_DOWN[usize::from(orientation)],
            (b"imir", Some(_)) => FLIPPED_SIDEWAYS[usize::from(orientation)],
            _ => orientation,
        })
    }
}

/// Maps an EXIF orientation to the one after a further quarter turn anticlockwise, or a further mirroring.
const TURNED_LEFT: [u8; 9] = [0, 8, 5, 6, 7, 4, 1, 2, 3];
const FLIPPED_TOP_DOWN: [u8; 9] = [0, 4, 3, 2, 1, 8, 7, 6, 5];
const FLIPPED_SIDEWAYS: [u8; 9] = [0, 2, 1, 4, 3, 6, 5, 8, 7];

/// The metadata of a JPEG XL file, and the parts of its codestream.
#[derive(Debug, Default)]
pub struct JxlParts<'a> {
    pub exif: Option<&'a [u8]>,
    pub xmp: Option<&'a [u8]>,
    pub picture: Vec<&'a [u8]>,
}

/// Splits a JPEG XL file; one without boxes is a bare codestream.
pub fn jxl_parts(bytes: &[u8]) -> JxlParts<'_> {
    if bytes.starts_with(&[0xff, 0x0a]) {
        return JxlParts { picture: vec![bytes], ..JxlParts::default() };
    }
    let mut parts = JxlParts::default();
    for (name, payload) in boxes(bytes) {
        match &name {
            // The number is the distance from its end to the TIFF block.
            b"Exif" => {
                let skipped = payload.first_chunk().map(|number| u32::from_be_bytes(*number) as usize);
                parts.exif = skipped.and_then(|skipped| payload.get(skipped.checked_add(4)?..));
            }
            b"xml " => parts.xmp = Some(payload),
            b"jxlc" | b"jxlp" => parts.picture.push(payload),
            _ => {}
        }
    }
    parts
}

/// The three EXIF blocks of a CR3.
#[derive(Debug, Default)]
pub struct CanonBlocks<'a> {
    pub main: Option<&'a [u8]>,
    pub exif: Option<&'a [u8]>,
    pub gps: Option<&'a [u8]>,
}

const CANON_UUID: [u8; 16] = *b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48";
const PREVIEW_UUID: [u8; 16] = *b"\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16";

fn uuid(bytes: &[u8], wanted: [u8; 16]) -> Option<&[u8]> {
    let mut found = boxes(bytes).filter(|(name, _)| name == b"uuid");
    found.find_map(|(_, payload)| payload.strip_prefix(&wanted))
}

pub fn canon_blocks(bytes: &[u8]) -> CanonBlocks<'_> {
    let canon = child(bytes, *b"moov").and_then(|moov| uuid(moov, CANON_UUID)).unwrap_or_default();
    CanonBlocks { main: child(canon, *b"CMT1"), exif: child(canon, *b"CMT2"), gps: child(canon, *b"CMT4") }
}

/// The JPEGs of a CR3: the full-size one in the first track, the preview, the thumbnail.
pub fn canon_previews(bytes: &[u8]) -> Vec<&[u8]> {
    let start = |data: &[u8]| data.windows(3).take(64).position(|it| it == [0xff, 0xd8, 0xff]);
    let mut found = Vec::new();
    let moov = child(bytes, *b"moov").unwrap_or_default();
    for (_, track) in boxes(moov).filter(|(name, _)| name == b"trak").take(MAX_TRACKS) {
        found.extend(first_sample(bytes, track));
    }
    let preview = uuid(bytes, PREVIEW_UUID).and_then(|it| child(it.get(8..)?, *b"PRVW"));
    let thumbnail = uuid(moov, CANON_UUID).and_then(|canon| child(canon, *b"THMB"));
    found.extend([preview, thumbnail].into_iter().flatten());
    found.into_iter().filter_map(|data| start(data).map(|at| &data[at..])).collect()
}

fn first_sample<'a>(bytes: &'a [u8], track: &[u8]) -> Option<&'a [u8]> {
    let table = [*b"mdia", *b"minf", *b"stbl"].into_iter().try_fold(track, child)?;
    let mut sizes = Cursor(child(table, *b"stsz")?.get(4..)?);
    let length = match sizes.number(4)? {
        0 => Cursor(sizes.0.get(4..)?).number(4)?,
        shared => shared,
    };
    let offset = match (child(table, *b"co64"), child(table, *b"stco")) {
        (Some(wide), _) => Cursor(wide.get(8..)?).number(8)?,
        (None, narrow) => Cursor(narrow?.get(8..)?).number(4)?,
    };
    let at = usize::try_from(offset).ok()?;
    bytes.get(at..at.checked_add(usize::try_from(length).ok()?)?)
}
