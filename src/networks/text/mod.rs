//! Text in pictures: finding lines with a network of the PP-OCR family, reading them with another or with Tesseract's.

mod find;
mod read;
mod region;

use base::pixels::Pixels;
use serde::{Deserialize, Serialize};

use crate::graph::{GraphError, Network, Place};
use crate::languages::Language;
use crate::onnx;
use crate::tesseract;

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
    reader: LineReader,
}

#[derive(Debug)]
enum LineReader {
    PpOcr { network: Network, characters: Vec<String> },
    Tesseract(tesseract::LineReader),
}

impl TextReader {
    /// Loads the contents of two ONNX files. The reading one contains its characters.
    pub fn pp_ocr(finder: &[u8], reader: &[u8], place: Place) -> Result<Self, GraphError> {
        let finder = Network::new(onnx::parse(finder)?, place.clone())?;
        let graph = onnx::parse(reader)?;
        let problem = "it names no characters in its metadata".to_owned();
        let characters =
            read::characters(&graph).ok_or(GraphError::Tensor { name: "character".to_owned(), problem })?;
        Ok(Self { finder, reader: LineReader::PpOcr { network: Network::new(graph, place)?, characters } })
    }

    /// Loads the contents of an ONNX file that finds lines and of a `.traineddata` file, which reads them on the processor: a
    /// step of its network needs the one before.
    pub fn tesseract(finder: &[u8], traineddata: &[u8], place: Place) -> Result<Self, GraphError> {
        let reader = LineReader::Tesseract(tesseract::LineReader::load(traineddata, place.cpu)?);
        Ok(Self { finder: Network::new(onnx::parse(finder)?, place)?, reader })
    }

    /// The approximate memory of the weights.
    pub fn bytes(&self) -> usize {
        let reader = match &self.reader {
            LineReader::PpOcr { network, .. } => network.bytes(),
            LineReader::Tesseract(network) => network.bytes(),
        };
        self.finder.bytes() + reader
    }

    /// The characters that it knows.
    pub fn characters(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.reader {
            LineReader::PpOcr { characters, .. } => Box::new(characters.iter().map(String::as_str)),
            LineReader::Tesseract(network) => Box::new(network.characters()),
        }
    }

    /// The lines of a picture in reading order, with the letters of these languages alone if there are any.
    pub fn read(&self, picture: &Pixels, languages: &[&Language]) -> Result<Vec<TextLine>, GraphError> {
        let may_be = (!languages.is_empty()).then(|| match &self.reader {
            LineReader::PpOcr { characters, .. } => read::outputs(characters, languages),
            LineReader::Tesseract(network) => network.outputs(languages),
        });
        let may_be = may_be.as_deref();
        let mut lines = Vec::new();
        for region in find::lines(&self.finder, picture)? {
            let (text, confidence) = match &self.reader {
                LineReader::PpOcr { network, characters } => {
                    read::line(network, (characters, may_be), picture, &region)?
                }
                LineReader::Tesseract(network) => read::grey_line((network, may_be), picture, &region)?,
            };
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
