//! Text in pictures: finding and reading lines with networks of the PP-OCR family.

mod find;
mod read;
mod region;

use base::pixels::Pixels;
use kernels::Cpu;
use serde::{Deserialize, Serialize};

use crate::graph::{GraphError, Network};
use crate::onnx;

/// The minimum confidence of a line; lines below it are mostly patterns mistaken for text.
const LEAST_SURE: f32 = 0.5;

/// A line of text in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextLine {
    pub text: String,
    /// The mean confidence of its characters, 0 to 1.
    pub confidence: f32,
    /// Its corners, clockwise from the start at the top, relative to the width and height of the picture.
    pub corners: [[f32; 2]; 4],
}

/// Two networks that find and read lines.
#[derive(Debug)]
pub struct TextReader {
    finder: Network,
    reader: Network,
    characters: Vec<String>,
}

impl TextReader {
    /// Loads the contents of two ONNX files. The reading one contains its characters.
    pub fn load(finder: &[u8], reader: &[u8], cpu: Cpu) -> Result<Self, GraphError> {
        let finder = Network::new(onnx::parse(finder)?, cpu)?;
        let graph = onnx::parse(reader)?;
        let problem = "it names no characters in its metadata".to_owned();
        let characters =
            read::characters(&graph).ok_or(GraphError::Tensor { name: "character".to_owned(), problem })?;
        Ok(Self { finder, reader: Network::new(graph, cpu)?, characters })
    }

    /// The approximate memory of the weights.
    pub fn bytes(&self) -> usize {
        self.finder.bytes() + self.reader.bytes()
    }

    /// The lines of a picture in reading order.
    pub fn read(&self, picture: &Pixels) -> Result<Vec<TextLine>, GraphError> {
        let mut lines = Vec::new();
        for region in find::lines(&self.finder, picture)? {
            let (text, confidence) = read::line(&self.reader, &self.characters, picture, &region)?;
            let text = text.trim();
            if confidence >= LEAST_SURE && !text.is_empty() {
                let size = [picture.width() as f32, picture.height() as f32];
                let corners = region.corners().map(|[x, y]| [x / size[0], y / size[1]]);
                lines.push(TextLine { text: text.to_owned(), confidence, corners });
            }
        }
        Ok(lines)
    }
}
