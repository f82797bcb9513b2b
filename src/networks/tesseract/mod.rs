//! Tesseract's networks that read a line of text, from `.traineddata` files of version 4 and later.
//!
//! The likeliest characters are taken step by step. Tesseract's own search through a dictionary is not repeated, and neither
//! are its older methods without a network.

mod characters;
mod file;
mod layer;
#[cfg(test)]
mod tests;

use kernels::{Cpu, Engine, Precision};

use self::characters::Characters;
use self::file::Bytes;
use self::layer::{Layer, Map};
use crate::graph::GraphError;
use crate::languages::Language;

/// A line that is read with less confidence may be light on dark, and is read again in reverse.
const SURE: f32 = 0.7;

/// A network that reads lines.
#[derive(Debug)]
pub struct LineReader {
    layers: Layer,
    height: usize,
    /// Whether the network was made for whole numbers, which reach from −1 to 1.
    bounded: bool,
    characters: Characters,
}

impl LineReader {
    /// Loads the content of a `.traineddata` file.
    pub fn load(file: &[u8], cpu: Cpu) -> Result<Self, GraphError> {
        let part = |number, what: &str| {
            let problem = "the file has none: it is older than version 4, or not Tesseract's".to_owned();
            file::part(file, number)?.ok_or(GraphError::Tensor { name: what.to_owned(), problem })
        };
        let mut bytes = Bytes::new(part(file::NETWORK, "network")?);
        let network = layer::read(&mut bytes, Engine { cpu, precision: Precision::Full })?;
        // The network in words, then the flags of its training and how far that went.
        bytes.text()?;
        bytes.skip(12)?;
        let none = bytes.i32()?;
        let codes = (part(file::CODES, "codes")?, network.outputs, none);
        let characters = Characters::read(part(file::CHARACTERS, "characters")?, codes)?;
        Ok(Self { layers: network.layer, height: network.height, bounded: network.integers, characters })
    }

    /// The memory of the weights.
    pub fn bytes(&self) -> usize {
        self.layers.bytes()
    }

    /// The height of a line in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The characters that it knows.
    pub fn characters(&self) -> impl Iterator<Item = &str> {
        self.characters.all()
    }

    /// Which outputs may be in a text of these languages.
    pub fn outputs(&self, languages: &[&Language]) -> Vec<bool> {
        self.characters.outputs(languages)
    }

    /// Reads rows of grey pixels (0 to 255), with the mean confidence of the characters; `may_be` tells which outputs
    /// count.
    pub fn read(&self, grey: &[f32], may_be: Option<&[bool]>) -> Result<(String, f32), GraphError> {
        let plain = self.read_as_is(grey, may_be)?;
        if plain.1 >= SURE {
            return Ok(plain);
        }
        let reversed: Vec<f32> = grey.iter().map(|v| 255.0 - v).collect();
        let reversed = self.read_as_is(&reversed, may_be)?;
        Ok(if reversed.1 > plain.1 { reversed } else { plain })
    }

    fn read_as_is(&self, grey: &[f32], may_be: Option<&[bool]>) -> Result<(String, f32), GraphError> {
        let (height, width) = (self.height, grey.len() / self.height);
        let (black, half) = levels(&grey[height / 2 * width..][..width]);
        let level = |v: &f32| (v - black) / half - 1.0;
        let level = |v: &f32| if self.bounded { level(v).clamp(-1.0, 1.0) } else { level(v) };
        let line = Map { height, width, depth: 1, data: grey.iter().map(level).collect() };
        let told = self.layers.apply(line)?;
        if told.height > 1 {
            let problem = format!("{} rows where one of steps belongs", told.height);
            return Err(GraphError::Tensor { name: "output".into(), problem });
        }
        Ok(self.characters.spelled(&told.data, may_be))
    }
}

/// Black, and half the contrast, of a row through the middle of the line: the quartiles of its valleys and peaks.
fn levels(row: &[f32]) -> (f32, f32) {
    let (mut valleys, mut peaks) = (Vec::new(), Vec::new());
    for three in row.windows(3) {
        let &[before, here, after] = three else { continue };
        if (here < before && here <= after) || (here <= before && here < after) {
            valleys.push(here);
        }
        if (here > before && here >= after) || (here >= before && here > after) {
            peaks.push(here);
        }
    }
    let quartile = |values: &mut Vec<f32>, share: usize, otherwise: f32| {
        values.sort_by(f32::total_cmp);
        values.get(values.len() * share / 4).copied().unwrap_or(otherwise)
    };
    let (black, white) = (quartile(&mut valleys, 1, 0.0), quartile(&mut peaks, 3, 255.0));
    (black, ((white - black) / 2.0).max(1.0))
}
