//! SSD over MobileNet v2, from the frozen graph of TensorFlow's detection API.
//!
//! Of the graph only the network runs, between the scaled picture and the predictors of six grids. Anchors, decoding and
//! the suppression of overlapping boxes are loops in the graph and our own code here. The anchors follow the configuration
//! that was published with the network; the graph has the same numbers as constants of its `MultipleGridAnchorGenerator`.

use std::sync::Arc;

use base::pixels::Pixels;

use super::suppression::{Candidate, kept};
use super::{Class, LEAST_SCORE, Object, named};
use crate::bilinear::stretched;
use crate::graph::{GraphError, Network, Place, Tensor};
use crate::tensorflow;

/// The side of the square in which the network sees a picture.
const SIDE: usize = 300;
/// The tensor of the picture with colours from −1 to 1.
const PICTURE: &str = "Preprocessor/sub";
const GRIDS: usize = 6;

/// The sizes of anchors grow evenly from the first grid to the last.
const SMALLEST: f32 = 0.2;
const LARGEST: f32 = 0.95;
/// The smallest anchor of the first grid.
const EXTRA_SMALL: f32 = 0.1;
/// Width divided by height.
const RATIOS: [f32; 5] = [1.0, 2.0, 0.5, 3.0, 0.3333];
/// By these the network divides the shifts of centres, and the logarithms of sizes.
const SHIFT: f32 = 10.0;
const GROWTH: f32 = 5.0;

/// As the graph: boxes of a class that overlap by more than this are one object.
const OVERLAP: f32 = 0.6;
const MOST: usize = 100;

#[derive(Debug)]
pub struct Ssd {
    network: Network,
    /// Of the outputs after the first, which is none.
    classes: Arc<[Class]>,
}

impl Ssd {
    /// Loads the content of a frozen graph that tells classes from 1 to the highest number of these.
    pub fn load(file: &[u8], classes: Arc<[Class]>, place: impl Into<Place>) -> Result<Self, GraphError> {
        let parts = ["BoxEncodingPredictor", "ClassPredictor"];
        let outputs: Vec<String> = parts
            .into_iter()
            .flat_map(|part| (0..GRIDS).map(move |grid| format!("BoxPredictor_{grid}/{part}/BiasAdd")))
            .collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        Ok(Self { network: Network::new(tensorflow::parse(file, PICTURE, &outputs)?, place)?, classes })
    }

    pub fn bytes(&self) -> usize {
        self.network.bytes()
    }

    pub fn find(&self, picture: &Pixels) -> Result<Vec<Object>, GraphError> {
        let pixels = stretched(picture, SIDE, SIDE).flat_map(|colours| colours.map(|colour| colour / 127.5 - 1.0));
        let input =
            Tensor::picture(SIDE, SIDE, 3, pixels.collect()).ok_or(GraphError::TooLarge { what: "a picture" })?;
        let outputs = self.network.run(input)?;
        let (boxes, scores) = outputs.split_at(GRIDS);
        let mut candidates = Vec::new();
        for (grid, (boxes, scores)) in boxes.iter().zip(scores).enumerate() {
            self.collect(grid, boxes, scores, &mut candidates)?;
        }
        let class = |class: u32| self.classes.iter().find(|(number, _)| *number == class);
        Ok(named(kept(candidates, OVERLAP, MOST), class))
    }

    /// Adds the likely boxes of a grid.
    fn collect(&self, grid: usize, boxes: &Tensor, scores: &Tensor, to: &mut Vec<Candidate>) -> Result<(), GraphError> {
        let (anchors, classes) = (anchors(grid), self.classes.last().map_or(1, |(last, _)| *last as usize + 1));
        let &[1, rows, columns, channels] = boxes.shape.as_slice() else { return Err(misshapen(grid, boxes)) };
        if channels != 4 * anchors.len() {
            return Err(misshapen(grid, boxes));
        }
        if scores.shape != [1, rows, columns, classes * anchors.len()] {
            return Err(misshapen(grid, scores));
        }
        let least = (LEAST_SCORE / (1.0 - LEAST_SCORE)).ln();
        let cells = boxes.data.as_chunks::<4>().0.iter().zip(scores.data.chunks_exact(classes)).enumerate();
        for (at, (encoded, scores)) in cells {
            // The first class is none.
            for (class, &score) in scores.iter().enumerate().skip(1).filter(|&(_, &score)| score >= least) {
                let (cell, anchor) = (at / anchors.len(), anchors[at % anchors.len()]);
                let centre = [(cell % columns) as f32 + 0.5, (cell / columns) as f32 + 0.5];
                let centre = [centre[0] / columns as f32, centre[1] / rows as f32];
                let score = 1.0 / (1.0 + (-score).exp());
                to.push(Candidate { class: class as u32, score, edges: decoded(*encoded, centre, anchor) });
            }
        }
        Ok(())
    }
}

fn misshapen(grid: usize, found: &Tensor) -> GraphError {
    GraphError::Tensor {
        name: format!("BoxPredictor_{grid}"),
        problem: format!("{:?} does not fit its grid", found.shape),
    }
}

/// Widths and heights of the anchors of a grid.
fn anchors(grid: usize) -> Vec<[f32; 2]> {
    let anchor = |scale: f32, ratio: f32| [scale * ratio.sqrt(), scale / ratio.sqrt()];
    let scale = |grid: usize| match grid {
        GRIDS => 1.0,
        grid => SMALLEST + (LARGEST - SMALLEST) * grid as f32 / (GRIDS - 1) as f32,
    };
    if grid == 0 {
        return vec![anchor(EXTRA_SMALL, 1.0), anchor(scale(0), 2.0), anchor(scale(0), 0.5)];
    }
    let between = (scale(grid) * scale(grid + 1)).sqrt();
    RATIOS.iter().map(|&ratio| anchor(scale(grid), ratio)).chain([anchor(between, 1.0)]).collect()
}

/// The edges of a box that is told by shifts and growths of an anchor, vertical ones first.
fn decoded([y, x, height, width]: [f32; 4], centre: [f32; 2], anchor: [f32; 2]) -> [f32; 4] {
    let centre = [centre[0] + x / SHIFT * anchor[0], centre[1] + y / SHIFT * anchor[1]];
    let half = [anchor[0] * (width / GROWTH).exp() / 2.0, anchor[1] * (height / GROWTH).exp() / 2.0];
    [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]]
}
