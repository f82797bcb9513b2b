//! The frame header and the tables of a JPEG.

use super::colour::Plane;
use super::huffman::Table;

#[derive(Debug)]
pub struct Frame {
    pub width: usize,
    pub height: usize,
    pub progressive: bool,
    /// The number of MCUs (units of interleaved blocks), across and down.
    pub units_across: usize,
    pub units_down: usize,
    /// The largest sampling factors, and the side in samples of a decoded block of that component.
    most: (usize, usize),
    side: usize,
    pub components: Vec<Component>,
}

#[derive(Debug)]
pub struct Component {
    pub id: u8,
    /// Blocks per MCU: the sampling factors.
    pub across: usize,
    pub down: usize,
    pub table: usize,
    /// In natural order; set by the first scan that contains the component.
    pub quantisation: [u16; 64],
    /// Number of blocks, including padding of the last MCUs.
    pub blocks_across: usize,
    pub blocks_down: usize,
    /// Number of blocks within the picture; a scan of this component alone contains only these.
    pub own_across: usize,
    pub own_down: usize,
    /// The side of a decoded block, in samples.
    pub side: usize,
}

impl Frame {
    /// Parses the payload of a frame header.
    pub fn read(progressive: bool, payload: &[u8], side: usize) -> Option<Self> {
        let [8, h1, h0, w1, w0, count, described @ ..] = payload else { return None };
        let side_of = |high, low| usize::from(u16::from_be_bytes([high, low]));
        let (width, height) = (side_of(*w1, *w0), side_of(*h1, *h0));
        let count = usize::from(*count);
        if width == 0 || height == 0 || !matches!(count, 1 | 3) || described.len() != count * 3 {
            return None;
        }
        // A single component is never interleaved, whatever its sampling factors.
        let sampling = |both: u8| if count == 1 { (1, 1) } else { (usize::from(both >> 4), usize::from(both & 15)) };
        let samplings: Vec<_> = described.chunks_exact(3).map(|it| sampling(it[1])).collect();
        let most = (samplings.iter().map(|it| it.0).max()?, samplings.iter().map(|it| it.1).max()?);
        let divides = |part: usize, most: usize| (1..=4).contains(&part) && most.is_multiple_of(part);
        if !samplings.iter().all(|it| divides(it.0, most.0) && divides(it.1, most.1)) {
            return None;
        }
        let (units_across, units_down) = (width.div_ceil(8 * most.0), height.div_ceil(8 * most.1));
        let component = |(described, (across, down)): (&[u8], (usize, usize))| Component {
            id: described[0],
            across,
            down,
            table: usize::from(described[2]),
            quantisation: [0; 64],
            blocks_across: units_across * across,
            blocks_down: units_down * down,
            own_across: (width * across).div_ceil(8 * most.0),
            own_down: (height * down).div_ceil(8 * most.1),
            side: larger_side(side, (across, down), most),
        };
        let components = described.chunks_exact(3).zip(samplings).map(component).collect();
        Some(Self { width, height, progressive, units_across, units_down, most, side, components })
    }

    /// The size of an MCU in pixels of the original.
    pub fn unit(&self) -> (usize, usize) {
        (8 * self.most.0, 8 * self.most.1)
    }
}

/// A subsampled component is shrunk less, so that it need not be enlarged afterwards.
fn larger_side(side: usize, sampling: (usize, usize), most: (usize, usize)) -> usize {
    let mut own = side;
    while own < 8
        && (most.0 * side).is_multiple_of(sampling.0 * own * 2)
        && (most.1 * side).is_multiple_of(sampling.1 * own * 2)
    {
        own *= 2;
    }
    own
}

impl Component {
    pub fn stride(&self) -> usize {
        self.blocks_across * self.side
    }

    pub fn samples(&self) -> usize {
        self.stride() * self.blocks_down * self.side
    }

    pub fn plane(&self, frame: &Frame, data: Vec<u8>) -> Plane {
        Plane {
            data,
            stride: self.stride(),
            width: (frame.width * self.across * self.side).div_ceil(frame.most.0 * 8),
            height: (frame.height * self.down * self.side).div_ceil(frame.most.1 * 8),
            across: frame.most.0 * frame.side / (self.across * self.side),
            down: frame.most.1 * frame.side / (self.down * self.side),
        }
    }
}

/// The tables defined by the segments before a scan.
#[derive(Debug, Default)]
pub struct Tables {
    pub quantisation: [Option<[u16; 64]>; 4],
    pub dc: [Option<Table>; 4],
    pub ac: [Option<Table>; 4],
    /// MCUs between restart markers; 0 without restarts.
    pub restart: usize,
}

impl Tables {
    /// Reads the tables of a segment; `None` if it is broken.
    pub fn define(&mut self, marker: u8, mut payload: &[u8]) -> Option<()> {
        match marker {
            0xdb => {
                while let Some((&head, rest)) = payload.split_first() {
                    let wide = usize::from(head >> 4) + 1;
                    let (coded, rest) = rest.split_at_checked(64 * wide)?;
                    let table = self.quantisation.get_mut(usize::from(head & 15))?.insert([0; 64]);
                    for (at, factor) in coded.chunks_exact(wide).enumerate() {
                        let factor = factor.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte));
                        table[super::entropy::place(at)] = factor;
                    }
                    payload = rest;
                }
            }
            0xc4 => {
                while let Some((&head, rest)) = payload.split_first() {
                    let (counts, rest) = rest.split_first_chunk::<16>()?;
                    let (symbols, rest) =
                        rest.split_at_checked(counts.iter().map(|count| usize::from(*count)).sum())?;
                    let kind = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
                    *kind.get_mut(usize::from(head & 15))? = Some(Table::new(counts, symbols)?);
                    payload = rest;
                }
            }
            0xdd => self.restart = usize::from(u16::from_be_bytes(payload.try_into().ok()?)),
            _ => {}
        }
        Some(())
    }
}
