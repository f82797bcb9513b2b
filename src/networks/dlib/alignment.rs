//! The positions of eyes and nose by regression trees: `shape_predictor_5_face_landmarks.dat`.
//!
//! Starting from a mean face, each of fifteen steps moves the points by the sum of five hundred trees. A tree compares the
//! brightness of pairs of pixels near the current points.

use super::DlibError;
use super::chip::{POINTS, Point, Similarity};
use super::stream::Stream;
use base::pixels::Pixels;

type Result<T> = std::result::Result<T, DlibError>;

const NUMBERS: usize = 2 * POINTS;
const STEPS: usize = 15;
const TREES: usize = 500;
const SPLITS: usize = 15;
const LEAVES: usize = SPLITS + 1;
/// Number of pixels that the trees of a step compare.
const PIXELS: usize = 800;

/// The box of a face in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    pub left: i64,
    pub top: i64,
    pub right: i64,
    pub bottom: i64,
}

#[derive(Debug)]
struct Split {
    pixels: [u16; 2],
    threshold: f32,
}

#[derive(Debug)]
struct Tree {
    splits: Vec<Split>,
    /// [`NUMBERS`] of each leaf.
    leaves: Vec<f32>,
}

/// A pixel beside a point of the face.
#[derive(Debug)]
struct Neighbour {
    point: u8,
    delta: [f32; 2],
}

#[derive(Debug)]
struct Step {
    trees: Vec<Tree>,
    neighbours: Vec<Neighbour>,
}

#[derive(Debug)]
pub struct Alignment {
    mean: [f32; NUMBERS],
    steps: Vec<Step>,
}

impl Alignment {
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut file = Stream::new(bytes);
        file.expect("version of the file", 1)?;
        let mean = numbers(&mut file, "mean face")?;
        file.expect("steps", STEPS as i64)?;
        let forests = (0..STEPS).map(|_| forest(&mut file)).collect::<Result<Vec<_>>>()?;
        file.expect("steps", STEPS as i64)?;
        let mut points = Vec::with_capacity(STEPS);
        for _ in 0..STEPS {
            file.expect("pixels of a step", PIXELS as i64)?;
            points.push((0..PIXELS).map(|_| file.below("point of a pixel", POINTS)).collect::<Result<Vec<_>>>()?);
        }
        file.expect("steps", STEPS as i64)?;
        let mut steps = Vec::with_capacity(STEPS);
        for (trees, points) in forests.into_iter().zip(points) {
            file.expect("pixels of a step", PIXELS as i64)?;
            let mut neighbour = |point: usize| {
                let mut delta = || file.float("place of a pixel").map(|v| v as f32);
                Ok(Neighbour { point: point as u8, delta: [delta()?, delta()?] })
            };
            let neighbours = points.into_iter().map(&mut neighbour).collect::<Result<_>>()?;
            steps.push(Step { trees, neighbours });
        }
        file.finish()?;
        Ok(Self { mean, steps })
    }

    /// The approximate memory.
    pub fn bytes(&self) -> usize {
        STEPS * (TREES * (SPLITS * size_of::<Split>() + LEAVES * NUMBERS * 4) + PIXELS * size_of::<Neighbour>())
    }

    /// Finds the points of the face in a box of an upright photo, in whole pixels: outer and inner corner of the eye on the
    /// right, the same on the left, and the base of the nose.
    pub fn points(&self, pixels: &Pixels, face: Rectangle) -> [Point; POINTS] {
        let (width, height) = ((face.right - face.left) as f64, (face.bottom - face.top) as f64);
        let in_photo = |x: f32, y: f32| {
            let whole = |v: f64| (v + 0.5).floor();
            [whole(face.left as f64 + f64::from(x) * width), whole(face.top as f64 + f64::from(y) * height)]
        };
        let mut shape = self.mean;
        let mut grey = vec![0.0f32; PIXELS];
        for step in &self.steps {
            let [turn, skew] = Similarity::between(&places(&self.mean), &places(&shape)).matrix().map(|v| v as f32);
            for (grey, Neighbour { point, delta: [x, y] }) in grey.iter_mut().zip(&step.neighbours) {
                let at = 2 * usize::from(*point);
                let [x, y] = [turn * x - skew * y + shape[at], skew * x + turn * y + shape[at + 1]];
                *grey = brightness(pixels, in_photo(x, y));
            }
            for tree in &step.trees {
                shape.iter_mut().zip(tree.leaf(&grey)).for_each(|(shape, by)| *shape += by);
            }
        }
        std::array::from_fn(|point| in_photo(shape[2 * point], shape[2 * point + 1]))
    }
}

impl Tree {
    fn leaf(&self, grey: &[f32]) -> &[f32] {
        let mut at = 0;
        while let Some(Split { pixels: [a, b], threshold }) = self.splits.get(at) {
            let brighter = grey[usize::from(*a)] - grey[usize::from(*b)] > *threshold;
            at = 2 * at + if brighter { 1 } else { 2 };
        }
        &self.leaves[(at - SPLITS) * NUMBERS..][..NUMBERS]
    }
}

fn numbers(file: &mut Stream<'_>, what: &'static str) -> Result<[f32; NUMBERS]> {
    let column = file.column(what, NUMBERS)?;
    column.try_into().map_err(|_| DlibError::Truncated(what))
}

fn forest(file: &mut Stream<'_>) -> Result<Vec<Tree>> {
    file.expect("trees of a step", TREES as i64)?;
    (0..TREES).map(|_| tree(file)).collect()
}

fn tree(file: &mut Stream<'_>) -> Result<Tree> {
    file.expect("splits of a tree", SPLITS as i64)?;
    let mut splits = Vec::with_capacity(SPLITS);
    for _ in 0..SPLITS {
        let mut pixel = || file.below("pixel of a split", PIXELS).map(|pixel| pixel as u16);
        let pixels = [pixel()?, pixel()?];
        splits.push(Split { pixels, threshold: file.float("threshold of a split")? as f32 });
    }
    file.expect("leaves of a tree", LEAVES as i64)?;
    let mut leaves = Vec::with_capacity(LEAVES * NUMBERS);
    for _ in 0..LEAVES {
        leaves.extend(numbers(file, "leaf")?);
    }
    Ok(Tree { splits, leaves })
}

fn places(shape: &[f32; NUMBERS]) -> [Point; POINTS] {
    std::array::from_fn(|point| [f64::from(shape[2 * point]), f64::from(shape[2 * point + 1])])
}

/// The integer mean of the colours; zero outside the photo.
fn brightness(pixels: &Pixels, [x, y]: Point) -> f32 {
    let (width, height) = (f64::from(pixels.width()), f64::from(pixels.height()));
    if !((0.0..width).contains(&x) && (0.0..height).contains(&y)) {
        return 0.0;
    }
    let at = (y as usize * pixels.width() as usize + x as usize) * 3;
    let sum: u32 = pixels.data()[at..at + 3].iter().map(|colour| u32::from(*colour)).sum();
    (sum / 3) as f32
}
