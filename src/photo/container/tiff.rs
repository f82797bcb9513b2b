//! Checks the first directory of a TIFF or BigTIFF for tags of the wrong type.

/// Tags that the decoder reads as numbers or bytes.
const NUMBERS: [u16; 21] =
    [256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339, 347, 530, 34675];
const TEXT: u64 = 2;

/// The first tag with text in place of numbers or bytes. Such a file cannot be decoded, and the decoder would print its
/// own message about a long text.
pub fn text_for_numbers(bytes: &[u8]) -> Option<u16> {
    let little_endian = bytes.starts_with(b"II");
    let number = |at: usize, size: usize| {
        let raw = bytes.get(at..at.checked_add(size)?)?;
        let append = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if little_endian { raw.iter().rev().fold(0, append) } else { raw.iter().fold(0, append) })
    };
    let is_big = number(2, 2)? == 43;
    let (first, count_size, entry_size) = if is_big { (number(8, 8)?, 8, 20) } else { (number(4, 4)?, 2, 12) };
    let first = usize::try_from(first).ok()?;
    let count = usize::try_from(number(first, count_size)?).ok()?;
    let entry = |index: usize| {
        let at = first.checked_add(count_size)?.checked_add(index.checked_mul(entry_size)?)?;
        Some((number(at, 2)? as u16, number(at.checked_add(2)?, 2)?))
    };
    let found = (0..count).map_while(entry).find(|(tag, format)| *format == TEXT && NUMBERS.contains(tag));
    found.map(|(tag, _)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_in_both_layouts_and_only_where_numbers_belong() {
        let classic = |tag: u8, format: u8| [b"II*\0\x08\0\0\0\x01\0", &[tag, 1, format, 0, 9, 0, 0, 0][..]].concat();
        assert_eq!(text_for_numbers(&classic(0, 2)), Some(256));
        assert_eq!(text_for_numbers(&classic(0, 3)), None);
        assert_eq!(text_for_numbers(&classic(14, 2)), None, "a description is text");
        let big = b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x02\x01\x0f\0\x02\0\0\0\0\0\0\0\x01aaaaaaaa\x01\x01\0\x02";
        assert_eq!(text_for_numbers(big), Some(257));
        assert_eq!(text_for_numbers(b"II*\0\xff\xff\xff\xff"), None);
    }
}
