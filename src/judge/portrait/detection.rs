//! Decodes the detectors' output to faces with a score, a box and six key points.

/// One of MediaPipe's two face detectors, which differ in input size and anchor grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// For faces within about two metres; gives the boxes in which landmarks are searched.
    ShortRange,
    /// For faces up to five metres away; gives the list of faces.
    FullRange,
}

impl Detector {
    /// The side of the square input, in pixels.
    pub fn side(self) -> usize {
        match self {
            Self::ShortRange => 128,
            Self::FullRange => 192,
        }
    }

    /// For each grid, the number of cells along a side and of rows per cell, in the order of the network's output.
    fn grids(self) -> &'static [(usize, usize)] {
        match self {
            Self::ShortRange => &[(16, 2), (8, 6)],
            Self::FullRange => &[(48, 1)],
        }
    }

    /// The number of rows in the network's output.
    pub fn rows(self) -> usize {
        self.grids().iter().map(|(cells, each)| cells * cells * each).sum()
    }

    /// The anchor of each row, which its offsets start from, in shares of the input's side.
    fn anchors(self) -> impl Iterator<Item = [f64; 2]> {
        self.grids().iter().flat_map(|&(cells, each)| {
            let centre = move |i: usize| (i as f64 + 0.5) / cells as f64;
            (0..cells * cells * each).map(move |i| [centre(i / each % cells), centre(i / each / cells)])
        })
    }
}

/// The length of a row: centre, size, and six points.
pub const ROW: usize = 16;

/// A detected face. Coordinates are shares of the picture's width and height and may lie outside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    pub score: f32,
    /// Left, top, right, bottom.
    pub edges: [f64; 4],
    /// Eye on the picture's left, eye on its right, tip of the nose, mouth, ear on the left, ear on the right.
    pub keypoints: [[f64; 2]; 6],
}

impl Detection {
    pub fn width(&self) -> f64 {
        self.edges[2] - self.edges[0]
    }

    pub fn height(&self) -> f64 {
        self.edges[3] - self.edges[1]
    }

    pub fn centre(&self) -> [f64; 2] {
        [f64::midpoint(self.edges[0], self.edges[2]), f64::midpoint(self.edges[1], self.edges[3])]
    }

    /// Intersection over union of the boxes.
    pub fn overlap(&self, other: &Self) -> f64 {
        let [left, top] = [0, 1].map(|i| self.edges[i].max(other.edges[i]));
        let [right, bottom] = [2, 3].map(|i| self.edges[i].min(other.edges[i]));
        if right <= left || bottom <= top {
            return 0.0;
        }
        let shared = (right - left) * (bottom - top);
        let either = self.width() * self.height() + other.width() * other.height() - shared;
        if either > 0.0 { shared / either } else { 0.0 }
    }

    /// Applies `f(value, axis)` to every coordinate.
    fn map(mut self, f: impl Fn(f64, usize) -> f64) -> Self {
        for (i, edge) in self.edges.iter_mut().enumerate() {
            *edge = f(*edge, i % 2);
        }
        for (axis, v) in self.keypoints.iter_mut().flat_map(|point| point.iter_mut().enumerate()) {
            *v = f(*v, axis);
        }
        self
    }
}

/// The overlap that two boxes of the same face must exceed.
const SAME_FACE: f64 = 0.3;

/// Returns the faces in a picture of `width` × `height` pixels, best first, from the network's output for the square
/// around it. `rows` holds [`ROW`] numbers for each of the `logits`.
pub fn decode(detector: Detector, rows: &[f32], logits: &[f32], least: f32, width: u32, height: u32) -> Vec<Detection> {
    let side = detector.side() as f64;
    let mut found: Vec<Detection> = rows
        .as_chunks::<ROW>()
        .0
        .iter()
        .zip(logits)
        .zip(detector.anchors())
        .filter_map(|((row, &logit), anchor)| {
            let score = 1.0 / (1.0 + (-logit.clamp(-100.0, 100.0)).exp());
            (score >= least).then(|| face(row, score, anchor, side)).flatten()
        })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    // Boxes are merged in coordinates of the square, before they are converted to those of the picture.
    let long = f64::from(width.max(height));
    let size = [f64::from(width), f64::from(height)];
    let out_of_square = |v: f64, axis: usize| (v * long - (long - size[axis]) / 2.0) / size[axis];
    merge(found).into_iter().map(|face| face.map(out_of_square)).collect()
}

/// `None` for a box of negative size.
fn face(row: &[f32; ROW], score: f32, anchor: [f64; 2], side: f64) -> Option<Detection> {
    let [x, y, width, height, points @ ..] = row.map(|v| f64::from(v) / side);
    let (x, y) = (x + anchor[0], y + anchor[1]);
    let mut keypoints = [[0.0; 2]; 6];
    for (point, from) in keypoints.iter_mut().zip(points.as_chunks::<2>().0) {
        *point = [from[0] + anchor[0], from[1] + anchor[1]];
    }
    let edges = [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0];
    // This form of the comparison also drops NaN.
    (width >= 0.0 && height >= 0.0).then_some(Detection { score, edges, keypoints })
}

/// Merges boxes of the same face: coordinates are averaged by score, and the best score is kept. `found` is sorted.
fn merge(mut found: Vec<Detection>) -> Vec<Detection> {
    let mut faces = Vec::new();
    while let Some(best) = found.first().cloned() {
        let (same, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|d| d.overlap(&best) > SAME_FACE);
        // A box without area overlaps nothing, not even itself; without this, the loop would not end.
        found = if same.is_empty() { others.into_iter().skip(1).collect() } else { others };
        let total: f64 = same.iter().map(|d| f64::from(d.score)).sum();
        if same.is_empty() {
            faces.push(best);
            continue;
        }
        let mut mean = Detection { edges: [0.0; 4], keypoints: [[0.0; 2]; 6], ..best };
        for d in &same {
            let weight = f64::from(d.score) / total;
            mean.edges.iter_mut().zip(d.edges).for_each(|(sum, v)| *sum += weight * v);
            let points = mean.keypoints.as_flattened_mut().iter_mut();
            points.zip(d.keypoints.as_flattened()).for_each(|(sum, v)| *sum += weight * v);
        }
        faces.push(mean);
    }
    faces
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "exact by construction")]
mod tests {
    use super::*;

    fn at(score: f32, edges: [f64; 4]) -> Detection {
        Detection { score, edges, keypoints: [[edges[0], edges[1]]; 6] }
    }

    #[test]
    fn grids_have_as_many_anchors_as_the_networks_have_rows() {
        for (detector, rows) in [(Detector::ShortRange, 896), (Detector::FullRange, 2304)] {
            assert_eq!(detector.rows(), rows);
            assert_eq!(detector.anchors().count(), rows);
        }
        let short: Vec<_> = Detector::ShortRange.anchors().collect();
        assert_eq!(short[..3], [[0.03125, 0.03125], [0.03125, 0.03125], [0.09375, 0.03125]]);
        assert_eq!(short[895], [0.9375, 0.9375]);
    }

    #[test]
    fn boxes_of_one_face_are_averaged_by_score() {
        let faces =
            merge(vec![at(0.9, [0.0, 0.0, 0.5, 0.5]), at(0.6, [0.5, 0.5, 0.9, 0.9]), at(0.3, [0.1, 0.0, 0.6, 0.5])]);
        assert_eq!(faces.len(), 2);
        assert!((faces[0].score - 0.9).abs() < 1e-6, "the score is the best one's");
        assert!((faces[0].edges[0] - 0.025).abs() < 1e-6, "a quarter of the way to the second");
        assert!((faces[0].keypoints[5][0] - 0.025).abs() < 1e-6);
        assert!((faces[1].edges[0] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn an_overlap_of_exactly_the_limit_is_another_face() {
        // Two boxes of width 1 that share 6/13 have an overlap of 0.3.
        let shared = 6.0 / 13.0;
        let faces = merge(vec![at(0.9, [0.0, 0.0, 1.0, 1.0]), at(0.8, [1.0 - shared + 1e-9, 0.0, 2.0 - shared, 1.0])]);
        assert_eq!(faces.len(), 2);
    }

    #[test]
    fn a_box_without_area_is_kept_once() {
        assert_eq!(merge(vec![at(0.9, [0.5; 4]), at(0.8, [0.5; 4])]).len(), 2);
    }

    #[test]
    fn a_face_in_a_wide_picture_loses_the_bars_above_and_below() {
        let mut rows = vec![0.0; Detector::FullRange.rows() * ROW];
        let mut logits = vec![-100.0; Detector::FullRange.rows()];
        let middle = 24 * 48 + 24;
        logits[middle] = 3.0;
        rows[middle * ROW + 2..][..2].copy_from_slice(&[19.2, 19.2]);
        let faces = decode(Detector::FullRange, &rows, &logits, 0.6, 200, 100);
        assert_eq!(faces.len(), 1);
        assert!((faces[0].width() - 0.1).abs() < 1e-6);
        assert!((faces[0].height() - 0.2).abs() < 1e-6, "a tenth of the square is a fifth of the height");
        assert!((faces[0].centre()[1] - (24.5 / 48.0 * 200.0 - 50.0) / 100.0).abs() < 1e-9);
    }

    #[test]
    fn rows_that_are_not_boxes_are_dropped() {
        let mut rows = vec![0.0; Detector::FullRange.rows() * ROW];
        rows[2] = -1.0;
        rows[ROW + 3] = f32::NAN;
        let mut logits = vec![-100.0; Detector::FullRange.rows()];
        logits[..3].copy_from_slice(&[5.0, 5.0, f32::NAN]);
        assert!(decode(Detector::FullRange, &rows, &logits, 0.6, 10, 10).is_empty());
    }
}
