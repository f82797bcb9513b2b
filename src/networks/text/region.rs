//! Rotated rectangles, and the pixels inside them.

use base::pixels::Pixels;

use crate::bilinear::blended;

/// A rectangle around a line of text, in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Region {
    pub centre: [f32; 2],
    /// The unit vector along the line, to its right.
    pub along: [f32; 2],
    /// Half of its size along the line and across.
    pub half: [f32; 2],
}

impl Region {
    /// The point at an offset along the line and across from the centre.
    pub fn at(&self, along: f32, across: f32) -> [f32; 2] {
        let [x, y] = self.along;
        [self.centre[0] + along * x - across * y, self.centre[1] + along * y + across * x]
    }

    /// The corners, clockwise from the start at the top.
    pub fn corners(&self) -> [[f32; 2]; 4] {
        [[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]].map(|[a, b]| self.at(a * self.half[0], b * self.half[1]))
    }

    /// The position of a point along the line and across, relative to the centre.
    pub fn place(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
        [dx * self.along[0] + dy * self.along[1], dy * self.along[0] - dx * self.along[1]]
    }

    /// Left, top, right and bottom of the upright box around it.
    pub fn bounds(&self) -> [f32; 4] {
        let [x, y] = self.along.map(f32::abs);
        let (dx, dy) = (self.half[0] * x + self.half[1] * y, self.half[0] * y + self.half[1] * x);
        [self.centre[0] - dx, self.centre[1] - dy, self.centre[0] + dx, self.centre[1] + dy]
    }

    /// The smallest rectangle around points; its longer side is the text direction.
    pub fn around(points: &[[f32; 2]]) -> Option<Self> {
        let hull = hull(points);
        let edges = hull.iter().zip(hull.iter().cycle().skip(1));
        let boxes = edges.filter_map(|(a, b)| {
            let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
            let length = dx.hypot(dy);
            (length > 0.0).then(|| Self::spanning(&hull, [dx / length, dy / length]))
        });
        let level = Self::spanning(points.first().map(|_| hull.as_slice())?, [1.0, 0.0]);
        let smallest =
            boxes.chain([level]).min_by(|a, b| (a.half[0] * a.half[1]).total_cmp(&(b.half[0] * b.half[1])))?;
        Some(smallest.levelled())
    }

    fn spanning(points: &[[f32; 2]], along: [f32; 2]) -> Self {
        let frame = Self { centre: [0.0; 2], along, half: [0.0; 2] };
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for point in points {
            for (axis, v) in frame.place(*point).into_iter().enumerate() {
                low[axis] = low[axis].min(v);
                high[axis] = high[axis].max(v);
            }
        }
        let middle = frame.at(f32::midpoint(low[0], high[0]), f32::midpoint(low[1], high[1]));
        Self { centre: middle, along, half: [(high[0] - low[0]) / 2.0, (high[1] - low[1]) / 2.0] }
    }

    /// The same with the line running to the right.
    fn levelled(self) -> Self {
        let [x, y] = self.along;
        let (along, half) =
            if x.abs() >= y.abs() { (self.along, self.half) } else { ([-y, x], [self.half[1], self.half[0]]) };
        let along = if along[0] < 0.0 { [-along[0], -along[1]] } else { along };
        Self { along, half, ..self }
    }

    /// The pixels inside it as `height` rows, with columns of text rotated; the width follows from the aspect ratio.
    pub fn cut(&self, picture: &Pixels, height: usize, width: impl Fn(f32) -> usize) -> (usize, Vec<[f32; 3]>) {
        // Columns are read from top to bottom.
        let lies = if self.half[1] >= 1.5 * self.half[0] {
            let [x, y] = self.along;
            Self { along: [-y, x], half: [self.half[1], self.half[0]], ..*self }
        } else {
            *self
        };
        let width = width(lies.half[0] / lies.half[1].max(1e-3)).max(1);
        (width, lies.resized(picture, width, height))
    }

    /// The pixels inside it, each the mean of its area.
    pub fn resized(&self, picture: &Pixels, width: usize, height: usize) -> Vec<[f32; 3]> {
        let step = [2.0 * self.half[0] / width as f32, 2.0 * self.half[1] / height as f32];
        let samples = step.map(|step| (step.round() as usize).clamp(1, 8));
        let mut cut = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let mut sum = [0.0; 3];
                for sample in 0..samples[0] * samples[1] {
                    let (i, j) = (sample % samples[0], sample / samples[0]);
                    let along = (column as f32 + (i as f32 + 0.5) / samples[0] as f32) * step[0] - self.half[0];
                    let across = (row as f32 + (j as f32 + 0.5) / samples[1] as f32) * step[1] - self.half[1];
                    let [x, y] = self.at(along, across);
                    let colour = blended(picture, x - 0.5, y - 0.5);
                    sum.iter_mut().zip(colour).for_each(|(sum, v)| *sum += v);
                }
                cut.push(sum.map(|sum| sum / (samples[0] * samples[1]) as f32));
            }
        }
        cut
    }
}

/// The convex hull of points, in order.
fn hull(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    points.dedup();
    let turns = |a: [f32; 2], b: [f32; 2], c: [f32; 2]| (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    let half = |points: &mut dyn Iterator<Item = [f32; 2]>| {
        let mut half: Vec<[f32; 2]> = Vec::new();
        for point in points {
            while half.len() >= 2 && turns(half[half.len() - 2], half[half.len() - 1], point) <= 0.0 {
                half.pop();
            }
            half.push(point);
        }
        half
    };
    let mut lower = half(&mut points.iter().copied());
    let upper = half(&mut points.iter().rev().copied());
    lower.pop();
    lower.extend(&upper[..upper.len().saturating_sub(1)]);
    if lower.is_empty() { points } else { lower }
}
