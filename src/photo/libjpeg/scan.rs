//! Reads segments and scans, and decodes coefficients.

use super::entropy::{self, Band};
use super::frame::{Component, Frame, Tables};
use super::huffman::Bits;
use super::transform::Block;

const EMPTY: Block = [0; 64];

/// Reads a file scan by scan.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    /// Whether it is progressive, and the payload of the frame header.
    header: Option<(bool, &'a [u8])>,
    /// The header of the scan whose data start at `at`.
    scan: &'a [u8],
}

/// A parsed scan header.
struct Scan {
    /// For each component its index and the numbers of its DC and AC tables.
    parts: Vec<(usize, usize, usize)>,
    band: Band,
}

/// The decoder state between blocks, which a restart resets.
#[derive(Default)]
struct DecoderState {
    means: [i32; 3],
    ended: u32,
}

impl<'a> Reader<'a> {
    /// Reads up to the first scan; each block will be decoded to `side` x `side` samples.
    pub fn open(bytes: &'a [u8], side: usize) -> Option<(Self, Frame)> {
        bytes.strip_prefix(&[0xff, 0xd8])?;
        let mut reader = Self { bytes, at: 2, tables: Tables::default(), header: None, scan: &[] };
        reader.next_scan()?;
        let (progressive, header) = reader.header?;
        Some((reader, Frame::read(progressive, header, side)?))
    }

    /// Reads all segments up to the next scan. Broken or unusual segments and a second frame are left to other
    /// decoders.
    fn next_scan(&mut self) -> Option<()> {
        loop {
            let (marker, payload) = self.segment()?;
            match marker {
                0xda => {
                    self.scan = payload;
                    return Some(());
                }
                0xc0..=0xc2 if self.header.is_none() => self.header = Some((marker == 0xc2, payload)),
                0xc4 | 0xdb | 0xdd => self.tables.define(marker, payload)?,
                0xe0..=0xef | 0xfe => {}
                _ => return None,
            }
        }
    }

    fn segment(&mut self) -> Option<(u8, &'a [u8])> {
        let rest = self.bytes.get(self.at..)?;
        let filler = rest.iter().take_while(|byte| **byte == 0xff).count();
        let marker = *rest.get(filler).filter(|_| filler > 0)?;
        let start = self.at + filler + 1;
        let length = usize::from(u16::from_be_bytes(*self.bytes.get(start..)?.first_chunk()?));
        let payload = self.bytes.get(start + 2..start + length)?;
        self.at = start + length;
        Some((marker, payload))
    }

    fn scan(&self, frame: &mut Frame) -> Option<Scan> {
        let (&count, rest) = self.scan.split_first()?;
        let (listed, [first, last, approximation]) = rest.split_at_checked(usize::from(count) * 2)? else {
            return None;
        };
        let mut parts = Vec::with_capacity(3);
        for part in listed.chunks_exact(2) {
            let index = frame.components.iter().position(|component| component.id == part[0])?;
            let component = &mut frame.components[index];
            if component.quantisation[0] == 0 {
                component.quantisation = (*self.tables.quantisation.get(component.table)?)?;
            }
            parts.push((index, usize::from(part[1] >> 4), usize::from(part[1] & 15)));
        }
        let in_order = parts.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let band = Band {
            first: usize::from(*first),
            last: usize::from(*last),
            high: u32::from(approximation >> 4),
            low: u32::from(approximation & 15),
        };
        let whole = band == Band { first: 0, last: 63, high: 0, low: 0 };
        let part_of_it = band.last <= 63
            && band.low <= 13
            && (band.high == 0 || band.high == band.low + 1)
            && if band.first == 0 { band.last == 0 } else { band.first <= band.last && parts.len() == 1 };
        let legal = if frame.progressive { part_of_it } else { whole };
        (in_order && !parts.is_empty() && legal).then_some(Scan { parts, band })
    }

    /// Whether the first scan contains the whole picture, so that rows of blocks can be processed while decoding.
    pub fn is_one_scan(&self, frame: &Frame) -> bool {
        !frame.progressive && self.scan.first().copied().map(usize::from) == Some(frame.components.len())
    }

    /// Decodes the first `rows` of MCUs of the only scan and calls `show` with each row of blocks, its component and its
    /// number.
    pub fn stream(
        &mut self,
        frame: &mut Frame,
        rows: usize,
        go_on: &impl Fn() -> bool,
        mut show: impl FnMut(&Component, usize, usize, &[Block]),
    ) -> Option<()> {
        let scan = self.scan(frame)?;
        let mut bits = Bits::new(self.bytes, self.at);
        let mut state = DecoderState::default();
        let mut row: Vec<Vec<Block>> =
            frame.components.iter().map(|it| vec![EMPTY; it.blocks_across * it.down]).collect();
        for unit_row in 0..rows.min(frame.units_down) {
            row.iter_mut().for_each(|blocks| blocks.fill(EMPTY));
            for unit in 0..frame.units_across {
                self.restart(&mut bits, unit_row * frame.units_across + unit, &mut state)?;
                for &(index, dc, ac) in &scan.parts {
                    let component = &frame.components[index];
                    let (dc, ac) = (self.tables.dc.get(dc)?.as_ref()?, self.tables.ac.get(ac)?.as_ref()?);
                    for y in 0..component.down {
                        let start = y * component.blocks_across + unit * component.across;
                        for block in &mut row[index][start..start + component.across] {
                            entropy::sequential(&mut bits, dc, ac, &mut state.means[index], block)?;
                        }
                    }
                }
            }
            if bits.overrun() || !go_on() {
                return None;
            }
            for (at, (component, blocks)) in frame.components.iter().zip(&row).enumerate() {
                for (y, blocks) in blocks.chunks_exact(component.blocks_across).enumerate() {
                    show(component, at, unit_row * component.down + y, blocks);
                }
            }
        }
        Some(())
    }

    /// Decodes a picture of several scans and returns all its coefficients, once every bit was read.
    pub fn collect(&mut self, frame: &mut Frame, go_on: &impl Fn() -> bool) -> Option<Vec<Vec<Block>>> {
        let mut blocks: Vec<Vec<Block>> =
            frame.components.iter().map(|it| vec![EMPTY; it.blocks_across * it.blocks_down]).collect();
        // The number of missing bits of each coefficient.
        let mut missing = vec![[u32::MAX; 64]; frame.components.len()];
        loop {
            let scan = self.scan(frame)?;
            let band = scan.band;
            for (index, ..) in &scan.parts {
                for missing in &mut missing[*index][band.first..=band.last] {
                    let due = if band.high == 0 { u32::MAX } else { band.high };
                    if *missing != due {
                        return None;
                    }
                    *missing = band.low;
                }
            }
            let mut bits = Bits::new(self.bytes, self.at);
            self.one_of_many(frame, &scan, &mut bits, &mut blocks, go_on)?;
            if missing.iter().flatten().all(|bits| *bits == 0) {
                return Some(blocks);
            }
            self.at = bits.marker()?;
            self.next_scan()?;
        }
    }

    fn one_of_many(
        &self,
        frame: &Frame,
        scan: &Scan,
        bits: &mut Bits<'_>,
        blocks: &mut [Vec<Block>],
        go_on: &impl Fn() -> bool,
    ) -> Option<()> {
        let mut state = DecoderState::default();
        if let [(index, dc, ac)] = scan.parts[..] {
            let component = &frame.components[index];
            for y in 0..component.own_down {
                for x in 0..component.own_across {
                    self.restart(bits, y * component.own_across + x, &mut state)?;
                    let block = &mut blocks[index][y * component.blocks_across + x];
                    self.block(frame, scan.band, (index, dc, ac), bits, &mut state, block)?;
                }
                if bits.overrun() || !go_on() {
                    return None;
                }
            }
            return Some(());
        }
        for unit_row in 0..frame.units_down {
            for unit in 0..frame.units_across {
                self.restart(bits, unit_row * frame.units_across + unit, &mut state)?;
                for &part in &scan.parts {
                    let component = &frame.components[part.0];
                    for y in 0..component.down {
                        let row = (unit_row * component.down + y) * component.blocks_across;
                        let start = row + unit * component.across;
                        for block in &mut blocks[part.0][start..start + component.across] {
                            self.block(frame, scan.band, part, bits, &mut state, block)?;
                        }
                    }
                }
            }
            if bits.overrun() || !go_on() {
                return None;
            }
        }
        Some(())
    }

    #[inline]
    fn block(
        &self,
        frame: &Frame,
        band: Band,
        (index, dc, ac): (usize, usize, usize),
        bits: &mut Bits<'_>,
        state: &mut DecoderState,
        block: &mut Block,
    ) -> Option<()> {
        let dc = || self.tables.dc.get(dc)?.as_ref();
        let ac = || self.tables.ac.get(ac)?.as_ref();
        let mean = &mut state.means[index];
        match (frame.progressive, band.first, band.high) {
            (false, ..) => entropy::sequential(bits, dc()?, ac()?, mean, block),
            (true, 0, 0) => entropy::first_mean(bits, dc()?, band.low, mean, block),
            (true, 0, _) => {
                entropy::refined_mean(bits, band.low, block);
                Some(())
            }
            (true, _, 0) => entropy::first_band(bits, ac()?, band, &mut state.ended, block),
            (true, ..) => entropy::refined_band(bits, ac()?, band, &mut state.ended, block),
        }
    }

    /// Reads the restart marker that is due before the MCU of this number, if any.
    #[inline]
    fn restart(&self, bits: &mut Bits<'_>, unit: usize, state: &mut DecoderState) -> Option<()> {
        let every = self.tables.restart;
        if every == 0 || unit == 0 || !unit.is_multiple_of(every) {
            return Some(());
        }
        *state = DecoderState::default();
        bits.restart((unit / every - 1) as u8)
    }
}
