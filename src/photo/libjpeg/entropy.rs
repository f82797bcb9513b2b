//! Decodes the coefficients of a block: of sequential scans, and of the four kinds of progressive scans.

use super::huffman::{Bits, Table};
use super::transform::Block;

/// The position in a block of each coefficient in zigzag order.
const ORDER: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

pub fn place(coded: usize) -> usize {
    usize::from(ORDER[coded & 63])
}

/// The coefficients and bits that a scan contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    pub first: usize,
    pub last: usize,
    /// The previous lowest bit, one above `low`; 0 in a first scan.
    pub high: u32,
    pub low: u32,
}

/// Decodes all coefficients of a block. `mean` is the DC value of the previous block.
#[inline(always)]
pub fn sequential(bits: &mut Bits<'_>, dc: &Table, ac: &Table, mean: &mut i32, block: &mut Block) -> Option<()> {
    let mut own = *bits;
    let (_, difference) = own.symbol_and_number(dc)?;
    *mean = mean.wrapping_add(difference);
    block[0] = *mean as i16;
    let mut at = 1;
    while at < 64 {
        let (symbol, number) = own.symbol_and_number(ac)?;
        let (run, size) = (usize::from(symbol >> 4), symbol & 15);
        if size == 0 {
            if run < 15 {
                break;
            }
            at += 16;
            continue;
        }
        at += run;
        if at > 63 {
            return None;
        }
        block[place(at)] = number as i16;
        at += 1;
    }
    *bits = own;
    Some(())
}

pub fn first_mean(bits: &mut Bits<'_>, dc: &Table, low: u32, mean: &mut i32, block: &mut Block) -> Option<()> {
    let (_, difference) = bits.symbol_and_number(dc)?;
    *mean = mean.wrapping_add(difference);
    block[0] = (*mean << low) as i16;
    Some(())
}

pub fn refined_mean(bits: &mut Bits<'_>, low: u32, block: &mut Block) {
    block[0] |= (bits.raw(1) << low) as i16;
}

/// `ended` is the number of remaining blocks without coefficients in this band.
pub fn first_band(bits: &mut Bits<'_>, ac: &Table, band: Band, ended: &mut u32, block: &mut Block) -> Option<()> {
    if *ended > 0 {
        *ended -= 1;
        return Some(());
    }
    let mut at = band.first;
    while at <= band.last {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (symbol >> 4, u32::from(symbol & 15));
        if size == 0 {
            if run < 15 {
                *ended = blocks_ended(bits, run) - 1;
                break;
            }
            at += 16;
            continue;
        }
        at += usize::from(run);
        if at > band.last {
            return None;
        }
        let raw = bits.raw(size) as i32;
        let number = if raw >> (size - 1) == 0 { raw - ((1 << size) - 1) } else { raw };
        block[place(at)] = (number << band.low) as i16;
        at += 1;
    }
    Some(())
}

fn blocks_ended(bits: &mut Bits<'_>, run: u8) -> u32 {
    (1 << run) + bits.raw(u32::from(run))
}

/// Refines the nonzero coefficients by one bit, and adds new ones.
pub fn refined_band(bits: &mut Bits<'_>, ac: &Table, band: Band, ended: &mut u32, block: &mut Block) -> Option<()> {
    let (plus, minus) = (1_i16 << band.low, -1_i16 << band.low);
    let mut at = band.first;
    if *ended == 0 {
        while at <= band.last {
            let symbol = bits.symbol(ac)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            let mut new = 0;
            match size {
                0 if run < 15 => {
                    *ended = blocks_ended(bits, run);
                    break;
                }
                0 => {}
                1 => new = if bits.raw(1) == 1 { plus } else { minus },
                _ => return None,
            }
            while at <= band.last {
                let coefficient = &mut block[place(at)];
                if *coefficient != 0 {
                    refine(bits, plus, minus, coefficient);
                } else if run == 0 {
                    *coefficient = new;
                    at += 1;
                    break;
                } else {
                    run -= 1;
                }
                at += 1;
            }
        }
    }
    if *ended > 0 {
        for at in at..=band.last {
            let coefficient = &mut block[place(at)];
            if *coefficient != 0 {
                refine(bits, plus, minus, coefficient);
            }
        }
        *ended -= 1;
    }
    Some(())
}

fn refine(bits: &mut Bits<'_>, plus: i16, minus: i16, coefficient: &mut i16) {
    if bits.raw(1) == 1 && *coefficient & plus == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient > 0 { plus } else { minus });
    }
}
