//! The marker segments of a JPEG up to its first scan, and the scans of a progressive one.

/// The header, as far as it could be read before any damage.
#[derive(Debug, Default)]
pub struct Header<'a> {
    pub frame: Option<Frame>,
    /// The TIFF block of the EXIF segment.
    pub exif: Option<&'a [u8]>,
    /// The first packet of XMP.
    pub xmp: Option<&'a [u8]>,
    pub jfif: bool,
    /// The colour transform of Adobe's segment: 0 none, 1 YCbCr, 2 YCCK.
    pub adobe: Option<u8>,
    /// Where the first scan header begins.
    pub scan_at: Option<usize>,
    profile_parts: Vec<(u8, u8, &'a [u8])>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub width: u32,
    pub height: u32,
    pub precision: u8,
    /// The number in the SOF marker: 0 baseline, 2 progressive, 9 and up arithmetic.
    pub process: u8,
    pub component_ids: Vec<u8>,
}

impl Frame {
    pub fn progressive(&self) -> bool {
        self.process == 2
    }
}

/// Whether every browser shows it: baseline or progressive, of 8 bits, grey or in colours of three parts.
pub fn is_for_browsers(bytes: &[u8]) -> bool {
    let common =
        |frame: Frame| frame.process <= 2 && frame.precision == 8 && matches!(frame.component_ids.len(), 1 | 3);
    bytes.starts_with(b"\xff\xd8\xff") && header(bytes).frame.is_some_and(common)
}

const SOS: u8 = 0xda;
const EOI: u8 = 0xd9;

pub fn header(bytes: &[u8]) -> Header<'_> {
    let mut header = Header::default();
    let mut at = 2;
    while let Some((marker, start)) = next_marker(bytes, at) {
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            at = start;
            continue;
        }
        if marker == SOS {
            header.scan_at = Some(start - 2);
        }
        if marker == SOS || marker == EOI {
            break;
        }
        let Some((payload, next)) = payload(bytes, start) else { break };
        header.take(marker, payload);
        at = next;
    }
    header
}

/// The next marker, and the start of its payload. Stray bytes between segments are skipped, as libjpeg does.
fn next_marker(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let mut at = from + bytes.get(from..)?.iter().position(|byte| *byte == 0xff)?;
    while *bytes.get(at)? == 0xff {
        at += 1;
    }
    match bytes[at] {
        0 => next_marker_after_stuffing(bytes, at + 1),
        marker => Some((marker, at + 1)),
    }
}

fn next_marker_after_stuffing(bytes: &[u8], from: usize) -> Option<(u8, usize)> {
    let pairs = bytes.get(from..)?.windows(2);
    let at = from + pairs.into_iter().position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some((bytes[at + 1], at + 2))
}

fn payload(bytes: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let length = usize::from(u16::from_be_bytes(*bytes.get(start..)?.first_chunk()?)).max(2);
    let end = (start + length).min(bytes.len());
    Some((&bytes[start + 2..end.max(start + 2)], start + length))
}

impl<'a> Header<'a> {
    fn take(&mut self, marker: u8, payload: &'a [u8]) {
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                self.frame = self.frame.take().or_else(|| frame(marker - 0xc0, payload));
            }
            0xe0 if payload.starts_with(b"JFIF\0") => self.jfif = true,
            0xe1 if payload.starts_with(b"Exif\0") => self.exif = self.exif.or(payload.get(6..)),
            0xe1 => self.xmp = self.xmp.or(payload.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0")),
            0xe2 => {
                // The part number is a byte.
                if let Some([number, of, data @ ..]) = payload.strip_prefix(b"ICC_PROFILE\0")
                    && self.profile_parts.len() < 256
                {
                    self.profile_parts.push((*number, *of, data));
                }
            }
            0xee if payload.starts_with(b"Adobe") => self.adobe = payload.get(11).copied().or(self.adobe),
            _ => {}
        }
    }

    /// The colour profile put together from its segments; `None` unless every part is there once.
    pub fn profile(&self) -> Option<Vec<u8>> {
        let mut parts = self.profile_parts.clone();
        parts.sort_by_key(|(number, ..)| *number);
        let of = parts.first()?.1;
        let in_order =
            parts.iter().zip(1..).all(|((number, each_of, _), expected)| *number == expected && *each_of == of);
        (in_order && parts.len() == usize::from(of))
            .then(|| parts.iter().flat_map(|(.., data)| *data).copied().collect())
    }
}

/// The segments needed for decoding, and the coded data up to the end marker, without application segments, comments
/// and anything after the picture.
pub fn picture(bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = 2;
    while let Some((marker, start)) = next_marker(bytes, at) {
        if marker == SOS {
            let coded = &bytes[start..];
            let end = coded.windows(2).position(|pair| pair == [0xff, EOI]).unwrap_or(coded.len());
            found.push(&coded[..end]);
            break;
        }
        at = if matches!(marker, 0x01 | 0xd0..=0xd8) {
            start
        } else {
            let Some((payload, next)) = payload(bytes, start) else { break };
            if !matches!(marker, 0xe0..=0xef | 0xfe) {
                found.push(&bytes[start - 1..start + 2 + payload.len()]);
            }
            next
        };
    }
    found
}

fn frame(process: u8, payload: &[u8]) -> Option<Frame> {
    let [precision, h1, h0, w1, w0, count, components @ ..] = payload else { return None };
    let ids = components.chunks_exact(3).take(usize::from(*count)).map(|component| component[0]);
    Some(Frame {
        width: u32::from(u16::from_be_bytes([*w1, *w0])),
        height: u32::from(u16::from_be_bytes([*h1, *h0])),
        precision: *precision,
        process,
        component_ids: ids.collect(),
    })
}

/// A summary of the scans of a progressive file.
#[derive(Debug, PartialEq, Eq)]
pub struct Scans {
    pub count: usize,
    /// Whether every coefficient of every component is complete to its last bit.
    pub complete: bool,
}

pub fn scans(bytes: &[u8], frame: &Frame, first: usize) -> Scans {
    let mut finished = vec![0_u64; frame.component_ids.len()];
    let mut count = 0;
    let mut at = first;
    while let Some((marker, start)) = next_marker(bytes, at) {
        at = start;
        if marker == EOI {
            break;
        }
        if marker == SOS {
            count += 1;
            if let Some((payload, _)) = payload(bytes, start) {
                mark_finished(payload, frame, &mut finished);
            }
        }
    }
    Scans { count, complete: finished.iter().all(|bits| *bits == u64::MAX) }
}

fn mark_finished(scan: &[u8], frame: &Frame, finished: &mut [u64]) {
    let Some((&count, rest)) = scan.split_first() else { return };
    let (components, tail) = rest.split_at((usize::from(count) * 2).min(rest.len()));
    let [first, last, approximation, ..] = tail else { return };
    if approximation & 0x0f != 0 {
        return;
    }
    for component in components.chunks_exact(2) {
        if let Some(index) = frame.component_ids.iter().position(|id| *id == component[0]) {
            (*first..=(*last).min(63)).for_each(|bit| finished[index] |= 1 << bit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff, marker];
        bytes.extend((payload.len() as u16 + 2).to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn profile_segments_are_joined_in_their_order_and_only_when_complete() {
        let part = |number: u8, data: &[u8]| segment(0xe2, &[b"ICC_PROFILE\0", &[number, 2][..], data].concat());
        let whole = [&[0xff, 0xd8][..], &part(2, b"world"), &part(1, b"hello ")].concat();
        assert_eq!(header(&whole).profile().as_deref(), Some(&b"hello world"[..]));
        assert_eq!(header(&[&[0xff, 0xd8][..], &part(2, b"world")].concat()).profile(), None);
    }

    #[test]
    fn stray_bytes_and_fill_between_segments_are_stepped_over() {
        let bytes = [&[0xff, 0xd8, 0, 7, 0xff, 0, 9, 0xff][..], &segment(0xe1, b"Exif\0\0II*\0")].concat();
        assert_eq!(header(&bytes).exif, Some(&b"II*\0"[..]));
    }

    #[test]
    fn every_cut_of_a_header_is_survived() {
        let bytes =
            [&[0xff, 0xd8][..], &segment(0xc2, &[8, 1, 0, 2, 0, 1, 7, 0x11, 0]), &segment(0xda, &[1, 7, 0, 0, 63, 0])]
                .concat();
        for end in 0..bytes.len() {
            let _ = header(&bytes[..end]);
        }
        let read = header(&bytes);
        let frame = read.frame.expect("a frame");
        assert_eq!((frame.width, frame.height, frame.progressive()), (512, 256, true));
        assert_eq!(scans(&bytes, &frame, read.scan_at.expect("a scan")), Scans { count: 1, complete: true });
    }
}
