//! A small raw file, for whoever changes its bytes.

/// A raw file's structure: a TIFF of a maker, with sensor data that nobody reads and a preview.
pub fn raw(preview: &[u8]) -> Vec<u8> {
    let maker = b"NIKON CORPORATION\0";
    let after = 8 + 2 + 5 * 12 + 4;
    let fields = [
        (0x103, 3, 1, 34713),
        (0x106, 3, 1, 32803),
        (0x10f, 2, maker.len() as u32, after),
        (0x201, 4, 1, after + maker.len() as u32),
        (0x202, 4, 1, preview.len() as u32),
    ];
    let mut bytes = b"II*\0\x08\0\0\0\x05\0".to_vec();
    for (tag, kind, count, value) in fields {
        bytes.extend([u16::to_le_bytes(tag), u16::to_le_bytes(kind)].concat());
        bytes.extend([u32::to_le_bytes(count), u32::to_le_bytes(value)].concat());
    }
    [&bytes[..], &[0; 4], maker, preview].concat()
}
