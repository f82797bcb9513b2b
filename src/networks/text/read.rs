//! What a line of text says: a network tells of every step along the line how likely each character is.

use base::pixels::Pixels;

use super::find::scaled;
use super::region::Region;
use crate::graph::{Graph, GraphError, Network, Tensor};

/// Rows of pixels that the network takes.
const HEIGHT: usize = 48;
/// Lines are at least so wide, and grey behind their end.
const NARROWEST: usize = 320;
const WIDEST: usize = 3200;

/// The characters a network knows, from its file: the first output stands for none, the last for a space.
pub(super) fn characters(graph: &Graph) -> Option<Vec<String>> {
    let list = graph.metadata.get("character")?;
    Some(list.lines().map(str::to_owned).chain([" ".to_owned()]).collect())
}

/// The text under a region, and how sure the network is of its characters on the average.
pub(super) fn line(
    network: &Network,
    characters: &[String],
    picture: &Pixels,
    region: &Region,
) -> Result<(String, f32), GraphError> {
    let fitting = |ratio: f32| ((ratio * HEIGHT as f32).ceil() as usize).min(WIDEST);
    let (width, cut) = region.cut(picture, HEIGHT, fitting);
    let padded = width.max(NARROWEST);
    let mut data = Vec::with_capacity(3 * HEIGHT * padded);
    for row in cut.chunks_exact(width) {
        data.extend(row.iter().copied().flat_map(scaled));
        data.extend(std::iter::repeat_n(0.0, 3 * (padded - width)));
    }
    let input = Tensor::picture(HEIGHT, padded, 3, data).ok_or(GraphError::TooLarge { what: "a line" })?;
    let told = network.run(input)?.swap_remove(0);
    let known = characters.len() + 1;
    if told.shape.len() != 3 || told.shape[2] != known {
        let problem = format!("{:?} where {known} characters belong", told.shape);
        return Err(GraphError::Tensor { name: "output".into(), problem });
    }
    Ok(spelled(&told.data, characters))
}

/// The likeliest at every step; what is told twice without a break is one character.
fn spelled(told: &[f32], characters: &[String]) -> (String, f32) {
    let (mut text, mut sure, mut count, mut before) = (String::new(), 0.0, 0, 0);
    for step in told.chunks_exact(characters.len() + 1) {
        let (best, likely) =
            step.iter().enumerate().fold((0, f32::MIN), |most, (at, &v)| if v > most.1 { (at, v) } else { most });
        if best != before && best > 0 {
            text.push_str(&characters[best - 1]);
            sure += likely;
            count += 1;
        }
        before = best;
    }
    (text, if count == 0 { 0.0 } else { sure / count as f32 })
}
