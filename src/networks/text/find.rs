//! Finds lines of text: a network gives the probability of text for every pixel, and connected pixels form a line.

use base::pixels::Pixels;

use super::region::Region;
use crate::graph::{GraphError, Network, Tensor};

/// The probability from which a pixel counts as text.
const LIKELY: f32 = 0.3;
/// The minimum mean probability of a line.
const LINE: f32 = 0.5;
/// The network marks the core of a line; the line is larger by area times this factor divided by circumference.
const GROWTH: f32 = 1.6;
/// Maximum number of lines.
const MOST_LINES: usize = 1000;
/// Sides must be multiples of this, because the network halves sizes five times.
const STEP: u32 = 32;
/// Shorter sides are enlarged to this, longer ones reduced to that.
const SHORT: u32 = 736;
const LONG: u32 = 1984;

/// The lines in reading order.
pub(super) fn lines(network: &Network, picture: &Pixels) -> Result<Vec<Region>, GraphError> {
    let [width, height] = seen_at(picture.width(), picture.height());
    let whole = Region {
        centre: [picture.width() as f32 / 2.0, picture.height() as f32 / 2.0],
        along: [1.0, 0.0],
        half: [picture.width() as f32 / 2.0, picture.height() as f32 / 2.0],
    };
    let (width, height) = (width as usize, height as usize);
    let pixels = whole.resized(picture, width, height).into_iter().flat_map(scaled).collect();
    let input = Tensor::picture(height, width, 3, pixels).ok_or(GraphError::TooLarge { what: "a picture" })?;
    let likely = network.run(input)?.swap_remove(0);
    if likely.shape != [1, 1, height, width] {
        let problem = format!("{:?} where a map of the picture belongs", likely.shape);
        return Err(GraphError::Tensor { name: "output".into(), problem });
    }
    let scale = [picture.width() as f32 / width as f32, picture.height() as f32 / height as f32];
    let mut found = in_map(&likely.data, width, height, scale);
    in_reading_order(&mut found);
    Ok(found)
}

/// The size at which the network sees a picture.
fn seen_at(width: u32, height: u32) -> [u32; 2] {
    let (short, long) = (f64::from(width.min(height)), f64::from(width.max(height)));
    let scale = (f64::from(SHORT) / short).max(1.0).min(f64::from(LONG) / long);
    [width, height].map(|side| ((f64::from(side) * scale / f64::from(STEP)).round() as u32).max(1) * STEP)
}

/// Normalises colours for the networks: blue first, from −1 to 1.
pub(super) fn scaled([red, green, blue]: [f32; 3]) -> [f32; 3] {
    [blue, green, red].map(|colour| colour / 127.5 - 1.0)
}

fn in_map(likely: &[f32], width: usize, height: usize, scale: [f32; 2]) -> Vec<Region> {
    // A pixel and its neighbours to the right and below, so that thin gaps close.
    let is_text = |x: usize, y: usize| {
        let near = |dx: usize, dy: usize| x >= dx && y >= dy && likely[(y - dy) * width + x - dx] > LIKELY;
        near(0, 0) || near(1, 0) || near(0, 1) || near(1, 1)
    };
    let mut seen = vec![false; width * height];
    let mut found = Vec::new();
    for start in 0..width * height {
        if seen[start] || !is_text(start % width, start / width) || found.len() >= MOST_LINES {
            continue;
        }
        let (mut open, mut edge) = (vec![start], Vec::new());
        seen[start] = true;
        while let Some(at) = open.pop() {
            let (x, y) = (at % width, at / width);
            let mut inside = 0;
            for (nx, ny) in neighbours(x, y, width, height) {
                if is_text(nx, ny) {
                    inside += 1;
                    if !std::mem::replace(&mut seen[ny * width + nx], true) {
                        open.push(ny * width + nx);
                    }
                }
            }
            if inside < 8 {
                edge.push([x as f32, y as f32]);
            }
        }
        found.extend(line_around(&edge, likely, width, height, scale));
    }
    found
}

fn neighbours(x: usize, y: usize, width: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    let rows = y.saturating_sub(1)..(y + 2).min(height);
    rows.flat_map(move |ny| (x.saturating_sub(1)..(x + 2).min(width)).map(move |nx| (nx, ny)))
        .filter(move |at| *at != (x, y))
}

fn line_around(edge: &[[f32; 2]], likely: &[f32], width: usize, height: usize, scale: [f32; 2]) -> Option<Region> {
    let kernel = Region::around(edge)?;
    if kernel.half[0].min(kernel.half[1]) < 1.5 {
        return None;
    }
    let [left, top, right, bottom] = kernel.bounds();
    let (mut sum, mut count) = (0.0, 0);
    for y in top.max(0.0) as usize..=(bottom as usize).min(height - 1) {
        for x in left.max(0.0) as usize..=(right as usize).min(width - 1) {
            let [along, across] = kernel.place([x as f32, y as f32]);
            if along.abs() <= kernel.half[0] && across.abs() <= kernel.half[1] {
                sum += likely[y * width + x];
                count += 1;
            }
        }
    }
    let score = sum / count.max(1) as f32;
    if score < LINE {
        return None;
    }
    let [long, short] = kernel.half;
    let growth = GROWTH * long * short / (long + short);
    let half = [long + growth, short + growth];
    // The scales of the map may differ slightly across and along.
    let corners = Region { half, ..kernel }.corners().map(|[x, y]| [(x + 0.5) * scale[0], (y + 0.5) * scale[1]]);
    Region::around(&corners).filter(|region| region.half[0].min(region.half[1]) > 1.5)
}

/// Sorts from top to bottom, and side by side from left to right.
fn in_reading_order(found: &mut [Region]) {
    found.sort_by(|a, b| a.centre[1].total_cmp(&b.centre[1]));
    let mut start = 0;
    while start < found.len() {
        let first = found[start];
        let beside = |region: &&Region| (region.centre[1] - first.centre[1]).abs() < first.half[1].min(region.half[1]);
        let end = start + found[start..].iter().take_while(beside).count().max(1);
        found[start..end].sort_by(|a, b| a.centre[0].total_cmp(&b.centre[0]));
        start = end;
    }
}
