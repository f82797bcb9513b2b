//! What the configuration and the units of an HEVC picture say (ISO/IEC 14496-15 and ITU-T H.265), as far as a decoder of
//! planes does not tell it.

use super::bits::Bits;

/// The `hvcC` property of an item.
#[derive(Debug)]
pub struct Configuration<'a> {
    /// Bytes of the number before each unit.
    length: usize,
    /// By kind of unit, in the order of the file.
    units: Vec<(u8, &'a [u8])>,
}

const VIDEO_PARAMETERS: u8 = 32;
const SEQUENCE_PARAMETERS: u8 = 33;
const PICTURE_PARAMETERS: u8 = 34;
/// Few files have more than three.
const MOST_UNITS: usize = 64;

/// What luma and chroma mean, by the numbers of ISO/IEC 23091-2.
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
                if read.units.len() > MOST_UNITS {
                    return None;
                }
            }
        }
        Some(read)
    }

    /// What a decoder must know before the first picture.
    pub fn parameters(&self) -> Vec<&'a [u8]> {
        let of = |kind| self.units.iter().filter(move |unit| unit.0 == kind).map(|unit| unit.1);
        [VIDEO_PARAMETERS, SEQUENCE_PARAMETERS, PICTURE_PARAMETERS].into_iter().flat_map(of).collect()
    }

    /// The units of a coded picture; `None` where one is cut short.
    pub fn split<'b>(&self, mut data: &'b [u8]) -> Option<Vec<&'b [u8]>> {
        let mut units = Vec::new();
        while !data.is_empty() {
            let (unit, rest) = unit(data, self.length)?;
            units.extend((!unit.is_empty()).then_some(unit));
            data = rest;
        }
        Some(units)
    }

    /// `None` where the stream does not say.
    pub fn signal(&self) -> Option<Signal> {
        let parameters = self.units.iter().find(|unit| unit.0 == SEQUENCE_PARAMETERS)?.1;
        signal(&without_emulation(parameters.get(2..)?))
    }
}

/// What follows a number of so many bytes, and what follows that.
fn unit(data: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (number, rest) = data.split_at_checked(length)?;
    rest.split_at_checked(number.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// A three behind two zeros is there so that no start code appears.
fn without_emulation(unit: &[u8]) -> Vec<u8> {
    let is_put_in = |at: usize| at >= 2 && unit[at - 2..=at] == [0, 0, 3];
    (0..unit.len()).filter(|at| !is_put_in(*at)).map(|at| unit[at]).collect()
}

/// The video signal type, deep in the sequence parameters (H.265, 7.3.2.2 and E.2.1).
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
        UNSAID
    };
    Some(Signal { full_range, matrix })
}

const UNSAID: u16 = 2;

fn numbers(bits: &mut Bits, count: u32) -> Option<()> {
    (0..count).try_for_each(|_| bits.golomb().map(drop))
}

fn profile_and_level(bits: &mut Bits, more_layers: u32) -> Option<()> {
    const PROFILE: usize = 88;
    const LEVEL: usize = 8;
    bits.skip(PROFILE + LEVEL)?;
    let mut told = Vec::new();
    for _ in 0..more_layers {
        told.push((bits.flag()?, bits.flag()?));
    }
    if more_layers > 0 {
        bits.take(2 * (8 - more_layers))?;
    }
    for (profile, level) in told {
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

/// Pictures that others refer to; a set may be told by what it has more than the one before.
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
