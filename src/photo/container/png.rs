//! The chunks of a PNG that are needed to decode the picture, and its metadata.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::MAX_PROFILE;

const SIGNATURE: usize = 8;

#[derive(Debug, Default)]
pub struct Chunks<'a> {
    pub width: u32,
    pub height: u32,
    /// Stored bits per pixel.
    pub bits: u32,
    /// The signature and the chunks needed to draw the still picture, nothing else.
    pub picture: Vec<&'a [u8]>,
    /// Bytes of compressed picture data.
    pub data_length: u64,
    pub exif: Option<&'a [u8]>,
    /// Uncompressed XMP, as programs write it.
    pub xmp: Option<&'a [u8]>,
    pub ended: bool,
    srgb: bool,
    profile: Option<&'a [u8]>,
}

pub fn chunks(bytes: &[u8]) -> Chunks<'_> {
    let mut chunks = Chunks { picture: vec![&bytes[..SIGNATURE.min(bytes.len())]], ..Chunks::default() };
    let mut at = SIGNATURE;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let end = at.saturating_add(length).saturating_add(12);
        let data = &bytes[at + 8..(at + 8).saturating_add(length).min(bytes.len())];
        let chunk = &bytes[at..end.min(bytes.len())];
        chunks.take([head[4], head[5], head[6], head[7]], data, chunk);
        if chunks.ended || end >= bytes.len() {
            break;
        }
        at = end;
    }
    chunks
}

impl<'a> Chunks<'a> {
    fn take(&mut self, name: [u8; 4], data: &'a [u8], chunk: &'a [u8]) {
        match &name {
            b"IHDR" => self.header(data),
            b"IDAT" => self.data_length += data.len() as u64,
            b"eXIf" => self.exif = self.exif.or(Some(data.strip_prefix(b"Exif\0\0").unwrap_or(data))),
            b"iTXt" => self.xmp = self.xmp.or(data.strip_prefix(b"XML:com.adobe.xmp\0\0\0\0\0")),
            b"iCCP" => self.profile = self.profile.or(Some(data)),
            b"sRGB" => self.srgb = true,
            b"IEND" => self.ended = true,
            _ => {}
        }
        // Critical chunks begin with an upper-case letter; of the others, only transparency changes the still picture.
        if name[0].is_ascii_uppercase() || &name == b"tRNS" {
            self.picture.push(chunk);
        }
    }

    fn header(&mut self, data: &[u8]) {
        if let Some(&[w3, w2, w1, w0, h3, h2, h1, h0, depth, colour]) = data.first_chunk() {
            self.width = u32::from_be_bytes([w3, w2, w1, w0]);
            self.height = u32::from_be_bytes([h3, h2, h1, h0]);
            let channels = match colour {
                2 => 3,
                4 => 2,
                6 => 4,
                _ => 1,
            };
            self.bits = u32::from(depth) * channels;
        }
    }

    /// The inflated colour profile; `None` also if the file states sRGB or the profile exceeds the limit.
    pub fn profile(&self) -> Option<Vec<u8>> {
        let data = self.profile.filter(|_| !self.srgb)?;
        let name_end = data.iter().take(80).position(|byte| *byte == 0)?;
        let mut profile = Vec::new();
        ZlibDecoder::new(data.get(name_end + 2..)?).take(MAX_PROFILE as u64 + 1).read_to_end(&mut profile).ok()?;
        (profile.len() <= MAX_PROFILE).then_some(profile)
    }
}
