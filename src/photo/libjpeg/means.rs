//! The identity of a JPEG picture, independent of Huffman tables and scans: the mean of every block of the picture.

use super::frame::{Component, Frame};
use super::transform::Block;
use crate::identity::PictureId;

/// The block means of all components, collected row by row.
#[derive(Debug)]
pub struct Means(Vec<Vec<i16>>);

impl Means {
    pub fn of(frame: &Frame) -> Self {
        let room = |it: &Component| Vec::with_capacity(it.own_across * it.own_down);
        Self(frame.components.iter().map(room).collect())
    }

    /// Padding blocks beyond the picture are left out, because their content depends on the encoder.
    pub fn row(&mut self, component: &Component, at: usize, row: usize, blocks: &[Block]) {
        if row < component.own_down {
            self.0[at].extend(blocks[..component.own_across].iter().map(|block| block[0]));
        }
    }

    pub fn picture(self, frame: &Frame) -> PictureId {
        let size = [frame.width, frame.height].map(|side| (side as u64).to_le_bytes()).concat();
        let coding: Vec<Vec<u8>> = frame.components.iter().map(coding).collect();
        let means: Vec<Vec<u8>> = self.0.iter().map(|means| bytes(means)).collect();
        let mut parts: Vec<&[u8]> = vec![b"jpeg means", &size];
        for (coding, means) in coding.iter().zip(&means) {
            parts.extend([coding.as_slice(), means]);
        }
        PictureId::of_parts(&parts)
    }
}

fn bytes(means: &[i16]) -> Vec<u8> {
    let mut bytes = vec![0; means.len() * 2];
    bytes.chunks_exact_mut(2).zip(means).for_each(|(bytes, mean)| bytes.copy_from_slice(&mean.to_le_bytes()));
    bytes
}

/// The sampling factors and quantisation table of a component.
fn coding(component: &Component) -> Vec<u8> {
    let sampling = [component.across as u16, component.down as u16];
    sampling.iter().chain(&component.quantisation).flat_map(|number| number.to_le_bytes()).collect()
}
