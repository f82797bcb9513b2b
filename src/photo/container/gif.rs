//! The blocks of a GIF: the size of its first frame, and the blocks that belong to pictures.

const HEADER: usize = 13;

/// Width and height of the first frame, which may differ from those of the logical screen.
pub fn first_frame(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut at = HEADER + table(*bytes.get(10)?);
    loop {
        match bytes.get(at)? {
            // An extension: its label, then blocks.
            0x21 => at = past_blocks(bytes, at + 2)?,
            0x2c => {
                let side = |from: usize| Some(u64::from(u16::from_le_bytes(*bytes.get(at + from..)?.first_chunk()?)));
                return Some((side(5)?, side(7)?));
            }
            _ => return None,
        }
    }
}

/// All blocks other than comments and application extensions; empty if the blocks are broken.
pub fn picture(bytes: &[u8]) -> Vec<&[u8]> {
    blocks(bytes).unwrap_or_default()
}

fn blocks(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    const COMMENT: u8 = 0xfe;
    const APPLICATION: u8 = 0xff;
    let mut at = HEADER + table(*bytes.get(10)?);
    let mut found = vec![bytes.get(..at)?];
    loop {
        let from = at;
        let is_metadata = match bytes.get(at)? {
            0x21 => {
                let label = *bytes.get(at + 1)?;
                at = past_blocks(bytes, at + 2)?;
                matches!(label, COMMENT | APPLICATION)
            }
            0x2c => {
                at = past_blocks(bytes, at + 11 + table(*bytes.get(at + 9)?))?;
                false
            }
            _ => return Some(found),
        };
        if !is_metadata {
            found.push(&bytes[from..at]);
        }
    }
}

/// The position after a chain of sub-blocks, which ends with an empty one.
fn past_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    while *bytes.get(at)? != 0 {
        at += 1 + usize::from(bytes[at]);
    }
    Some(at + 1)
}

/// The size in bytes of the colour table given by the flags.
fn table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

#[cfg(test)]
mod tests {
    use super::first_frame;

    #[test]
    fn the_frame_is_found_behind_tables_and_extensions() {
        let head = b"GIF89a\x0a\0\x0a\0\x80\0\0\0\0\0\xff\xff\xff";
        let file = [&head[..], b"!\xfe\x03abc\x01d\0", b"!\xf9\x04\0\0\0\0\0", b",\0\0\0\0\x05\x01\x07\0\0"].concat();
        assert_eq!(first_frame(&file), Some((261, 7)));
        for end in 0..file.len() - 1 {
            assert_eq!(first_frame(&file[..end]), None);
        }
    }
}
