//! The part of FlexBuffers that the attributes of custom operators use: one map of numbers and integer vectors. Checked like
//! [`super::flatbuffer`].

use super::TfliteError;

type Result<T> = std::result::Result<T, TfliteError>;

const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const MAP: u8 = 9;
const VECTOR_INT: u8 = 11;
const VECTOR_UINT: u8 = 12;

/// Maximum length of an attribute vector; the lists of landmarks have 80.
const MOST_ELEMENTS: usize = 4096;

fn malformed(what: &'static str) -> TfliteError {
    TfliteError::Attributes { what }
}

/// A value: its position, byte width and type.
#[derive(Clone, Copy, Debug)]
struct Value {
    at: usize,
    width: usize,
    kind: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'a> {
    bytes: &'a [u8],
    /// Position of the map's first value, and the byte width of values.
    values: usize,
    width: usize,
    len: usize,
}

impl<'a> Attributes<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let [.., packed, width] = *bytes else { return Err(malformed("too short")) };
        let width = checked_width(width)?;
        let at = (bytes.len() - 2).checked_sub(width).ok_or(malformed("too short"))?;
        let root = Value { at, width, kind: packed >> 2 };
        if root.kind != MAP {
            return Err(malformed("not a map"));
        }
        let width = 1 << (packed & 3);
        let values = indirect(bytes, root)?;
        let len = length(bytes, values, width)?;
        Ok(Self { bytes, values, width, len })
    }

    fn get(&self, name: &'static str) -> Result<Value> {
        // Stored before the values: their count, the width of the keys, the offset back to the keys.
        let before = |count: usize| self.values.checked_sub(count * self.width).ok_or(malformed("cut map"));
        let key_width = unsigned(self.bytes, before(2)?, self.width)?;
        let key_width = checked_width(u8::try_from(key_width).unwrap_or(u8::MAX))?;
        let keys = indirect(self.bytes, Value { at: before(3)?, width: self.width, kind: MAP })?;
        for i in 0..self.len {
            let key = indirect(self.bytes, Value { at: keys + i * key_width, width: key_width, kind: MAP })?;
            let rest = self.bytes.get(key..).ok_or(malformed("key outside"))?;
            if rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0)) {
                let kind = *self.bytes.get(self.values + self.len * self.width + i).ok_or(malformed("cut map"))?;
                return Ok(Value { at: self.values + i * self.width, width: self.width, kind });
            }
        }
        Err(TfliteError::Attributes { what: name })
    }

    /// Reads an integer that is not negative.
    pub fn index(&self, name: &'static str) -> Result<usize> {
        let value = self.get(name)?;
        match value.kind >> 2 {
            kind @ (INT | UINT) => index(self.bytes, value.at, value.width, kind == INT),
            _ => Err(malformed(name)),
        }
    }

    pub fn number(&self, name: &'static str) -> Result<f32> {
        let value = self.get(name)?;
        match (value.kind >> 2, value.width) {
            (kind @ (INT | UINT), width) => index(self.bytes, value.at, width, kind == INT).map(|v| v as f32),
            (FLOAT, 4) => Ok(f32::from_bits(unsigned(self.bytes, value.at, 4)? as u32)),
            (FLOAT, 8) => Ok(f64::from_bits(unsigned(self.bytes, value.at, 8)?) as f32),
            _ => Err(malformed(name)),
        }
    }

    pub fn indices(&self, name: &'static str) -> Result<Vec<usize>> {
        let value = self.get(name)?;
        let signed = match value.kind >> 2 {
            VECTOR_INT => true,
            VECTOR_UINT => false,
            _ => return Err(malformed(name)),
        };
        let width = 1 << (value.kind & 3);
        let start = indirect(self.bytes, value)?;
        let len = length(self.bytes, start, width)?;
        (0..len).map(|i| index(self.bytes, start + i * width, width, signed)).collect()
    }
}

fn checked_width(width: u8) -> Result<usize> {
    if matches!(width, 1 | 2 | 4 | 8) { Ok(usize::from(width)) } else { Err(malformed("width")) }
}

fn unsigned(bytes: &[u8], at: usize, width: usize) -> Result<u64> {
    let found = at.checked_add(width).and_then(|end| bytes.get(at..end)).ok_or(malformed("value outside"))?;
    Ok(found.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// The target of the backward offset stored in `value`.
fn indirect(bytes: &[u8], value: Value) -> Result<usize> {
    let back = unsigned(bytes, value.at, value.width)?;
    usize::try_from(back).ok().and_then(|back| value.at.checked_sub(back)).ok_or(malformed("offset outside"))
}

/// Reads the length stored before the elements at `start`.
fn length(bytes: &[u8], start: usize, width: usize) -> Result<usize> {
    let at = start.checked_sub(width).ok_or(malformed("cut vector"))?;
    let len = unsigned(bytes, at, width)?;
    if len > MOST_ELEMENTS as u64 { Err(malformed("too long")) } else { Ok(len as usize) }
}

/// Reads an integer that is neither negative nor absurdly large.
fn index(bytes: &[u8], at: usize, width: usize, signed: bool) -> Result<usize> {
    let value = unsigned(bytes, at, width)?;
    let negative = signed && (value >> (8 * width - 1)) & 1 == 1;
    if negative || value > u64::from(u32::MAX) { Err(malformed("number out of range")) } else { Ok(value as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": 7, "s": 1.5, "v": [3, 300]}`, written by the reference implementation.
    const MAP_OF_THREE: &[u8] = &[
        97, 0, 115, 0, 118, 0, 2, 0, 3, 0, 44, 1, 3, 13, 12, 11, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0,
        192, 63, 28, 0, 0, 0, 6, 14, 45, 15, 38, 1,
    ];

    #[test]
    fn attributes_are_found_by_name() {
        let map = Attributes::read(MAP_OF_THREE).unwrap();
        assert_eq!(map.index("a").unwrap(), 7);
        assert!((map.number("s").unwrap() - 1.5).abs() < f32::EPSILON);
        assert_eq!(map.indices("v").unwrap(), [3, 300]);
        assert!(map.index("b").unwrap_err().to_string().contains('b'));
        assert!(map.index("s").is_err(), "a fraction is no index");
    }

    #[test]
    fn every_cut_and_every_wild_byte_is_an_error_or_a_value() {
        let read = |bytes: &[u8]| -> Result<()> {
            let map = Attributes::read(bytes)?;
            map.index("a")?;
            map.number("s")?;
            map.indices("v").map(drop)
        };
        for start in 1..MAP_OF_THREE.len() {
            let _ = read(&MAP_OF_THREE[start..]);
        }
        for at in 0..MAP_OF_THREE.len() {
            for value in 0..=255 {
                let mut broken = MAP_OF_THREE.to_vec();
                broken[at] = value;
                let _ = read(&broken);
            }
        }
    }
}
