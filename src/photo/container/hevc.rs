//! Parses the configuration and the NAL units of an HEVC picture (ISO/IEC 14496-15 and ITU-T H.265), for what the
//! decoder does not report.

use super::bits::Bits;

/// The `hvcC` property of an item.
#[derive(Debug)]
pub struct Configuration<'a> {
    /// Size in bytes of the length field before each unit.
    length: usize,
    /// The units with their types, in the order of the file.
    units: Vec<(u8, &'a [u8])>,
}

const VIDEO_PARAMETERS: u8 = 32;
const SEQUENCE_PARAMETERS: u8 = 33;
const PICTURE_PARAMETERS: u8 = 34;
/// A limit; most files have three.
const MAX_UNITS: usize = 64;

/// The range and the matrix of luma and chroma, by the code points of ISO/IEC 23091-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    pub full_range: bool,
    pub matrix: u16,
}

impl<'a> Configuration<'a> {
    pub fn read(property: &'a [u8]) -> Option<Self> {
        let mut read = Self { length: usize::from(property.get(21)? & 3) + 1, units: Vec::new() };
        let (arrays, mut rest) = property.get(22..)?.split_first()?;
        for _ in 0..*arrays {
            let (head, behind) = rest.split_first_chunk::<3>()?;
            rest = behind;
            for _ in 0..u16::from_be_bytes([head[1], head[2]]) {
                let (unit, behind) = unit(rest, 2)?;
                read.units.push((head[0] & 0x3f, unit));
                rest = behind;
                if read.units.len() > MAX_UNITS {
                    return None;
                }
            }
        }
        Some(read)
    }

    /// The parameter sets that a decoder needs before the first picture.
    pub fn parameters(&self) -> Vec<&'a [u8]> {
        let of = |kind| self.units.iter().filter(move |unit| unit.0 == kind).map(|unit| unit.1);
        [VIDEO_PARAMETERS, SEQUENCE_PARAMETERS, PICTURE_PARAMETERS].into_iter().flat_map(of).collect()
    }

    /// Splits a coded picture into its units; `None` if one is cut short.
    pub fn split<'b>(&self, mut data: &'b [u8]) -> Option<Vec<&'b [u8]>> {
        let mut units = Vec::new();
        while !data.is_empty() {
            let (unit, rest) = unit(data, self.length)?;
            units.extend((!unit.is_empty()).then_some(unit));
            data = rest;
        }
        Some(units)
    }

    /// The video signal type; `None` if the stream does not state it.
    pub fn signal(&self) -> Option<Signal> {
        let parameters = self.units.iter().find(|unit| unit.0 == SEQUENCE_PARAMETERS)?.1;
        signal(&without_emulation(parameters.get(2..)?))
    }
}

/// The unit after a length field of `length` bytes, and the rest.
fn unit(data: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (number, rest) = data.split_at_checked(length)?;
    rest.split_at_checked(number.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// Removes the emulation prevention bytes: a 3 after two zeros.
fn without_emulation(unit: &[u8]) -> Vec<u8> {
    let is_put_in = |at: usize| at >= 2 && unit[at - 2..=at] == [0, 0, 3];
    (0..unit.len()).filter(|at| !is_put_in(*at)).map(|at| unit[at]).collect()
}

/// The video signal type in the sequence parameter set (H.265, 7.3.2.2 and E.2.1).
fn signal(parameters: &[u8]) -> Option<Signal> {
    let bits = &mut Bits::new(parameters);
    bits.take(4)?;
    let more_layers = bits.take(3)?;
    bits.take(1)?;
    profile_and_level(bits, more_layers)?;
    bits.golomb()?;
    if bits.golomb()? == 3 {
        bits.flag()?;
    }
    numbers(bits, 2)?;
    if bits.flag()? {
        numbers(bits, 4)?;
    }
    numbers(bits, 2)?;
    let bits_of_count = bits.golomb()?.checked_add(4).filter(|bits| *bits <= 16)?;
    let of_each_layer = bits.flag()?;
    numbers(bits, if of_each_layer { 3 * (more_layers + 1) } else { 3 })?;
    numbers(bits, 6)?;
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.take(2)?;
    if bits.flag()? {
        bits.take(8)?;
        numbers(bits, 2)?;
        bits.flag()?;
    }
    reference_sets(bits)?;
    if bits.flag()? {
        for _ in 0..bits.golomb().filter(|pictures| *pictures <= 32)? {
            bits.take(bits_of_count + 1)?;
        }
    }
    bits.take(2)?;
    if !bits.flag()? {
        return None;
    }
    if bits.flag()? && bits.take(8)? == 255 {
        bits.take(32)?;
    }
    if bits.flag()? {
        bits.flag()?;
    }
    if !bits.flag()? {
        return None;
    }
    bits.take(3)?;
    let full_range = bits.flag()?;
    let matrix = if bits.flag()? {
        bits.take(16)?;
        bits.take(8)? as u16
    } else {
        UNSPECIFIED
    };
    Some(Signal { full_range, matrix })
}

const UNSPECIFIED: u16 = 2;

fn numbers(bits: &mut Bits, count: u32) -> Option<()> {
    (0..count).try_for_each(|_| bits.golomb().map(drop))
}

fn profile_and_level(bits: &mut Bits, more_layers: u32) -> Option<()> {
    const PROFILE: usize = 88;
    const LEVEL: usize = 8;
    bits.skip(PROFILE + LEVEL)?;
    let mut sub_layers = Vec::new();
    for _ in 0..more_layers {
        sub_layers.push((bits.flag()?, bits.flag()?));
    }
    if more_layers > 0 {
        bits.take(2 * (8 - more_layers))?;
    }
    for (profile, level) in sub_layers {
        bits.skip(if profile { PROFILE } else { 0 } + if level { LEVEL } else { 0 })?;
    }
    Some(())
}

fn scaling_lists(bits: &mut Bits) -> Option<()> {
    for size in 0..4_u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if bits.flag()? {
                let first = u32::from(size > 1);
                numbers(bits, first + (1_u32 << (4 + 2 * size)).min(64))?;
            } else {
                bits.golomb()?;
            }
        }
    }
    Some(())
}

/// Skips the reference picture sets; a set may be coded as the difference to the previous one.
fn reference_sets(bits: &mut Bits) -> Option<()> {
    const MOST: u32 = 16;
    let mut pictures = 0;
    for set in 0..bits.golomb().filter(|sets| *sets <= 64)? {
        if set > 0 && bits.flag()? {
            bits.flag()?;
            bits.golomb()?;
            let mut kept = 0;
            for _ in 0..=pictures {
                kept += u32::from(bits.flag()? || bits.flag()?);
            }
            pictures = kept;
        } else {
            let (before, behind) = (bits.golomb()?, bits.golomb()?);
            pictures = before.checked_add(behind).filter(|pictures| *pictures <= MOST)?;
            for _ in 0..pictures {
                bits.golomb()?;
                bits.flag()?;
            }
        }
    }
    Some(())
}
