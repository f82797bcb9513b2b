//! Reads a line of text: a network gives the probability of each character at every step along the line.

use base::pixels::Pixels;

use super::find::scaled;
use super::region::Region;
use crate::graph::{Graph, GraphError, Network, Tensor};
use crate::languages::{Language, likeliest, may_stand};
use crate::tesseract;

/// Height of the network's input.
const HEIGHT: usize = 48;
/// Minimum width of the input; shorter lines are padded with grey.
const NARROWEST: usize = 320;
const WIDEST: usize = 3200;

/// The characters of a network, from its file: the first output stands for none, the last for a space.
pub(super) fn characters(graph: &Graph) -> Option<Vec<String>> {
    let list = graph.metadata.get("character")?;
    Some(list.lines().map(str::to_owned).chain([" ".to_owned()]).collect())
}

/// Which outputs may be in a text of these languages.
pub(super) fn outputs(characters: &[String], languages: &[&Language]) -> Vec<bool> {
    std::iter::once(true).chain(characters.iter().map(|character| may_stand(character, languages))).collect()
}

/// Reads the text of a region, with the mean confidence of its characters; `may_be` tells which outputs count.
pub(super) fn line(
    network: &Network,
    (characters, may_be): (&[String], Option<&[bool]>),
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
    Ok(spelled(&told.data, characters, may_be))
}

/// Reads the text of a region with Tesseract's network, which sees grey.
pub(super) fn grey_line(
    (network, may_be): (&tesseract::LineReader, Option<&[bool]>),
    picture: &Pixels,
    region: &Region,
) -> Result<(String, f32), GraphError> {
    let height = network.height();
    let fitting = |ratio: f32| ((ratio * height as f32).round() as usize).min(WIDEST);
    let (_, cut) = region.cut(picture, height, fitting);
    let grey: Vec<f32> = cut.iter().map(|[red, green, blue]| 0.3 * red + 0.5 * green + 0.2 * blue).collect();
    network.read(&grey, may_be)
}

/// Takes the likeliest character at every step; repetitions without a gap are one character.
fn spelled(told: &[f32], characters: &[String], may_be: Option<&[bool]>) -> (String, f32) {
    let (mut text, mut sure, mut count, mut before) = (String::new(), 0.0, 0, 0);
    for step in told.chunks_exact(characters.len() + 1) {
        let (best, likely) = likeliest(step, may_be);
        if best != before && best > 0 {
            text.push_str(&characters[best - 1]);
            sure += likely;
            count += 1;
        }
        before = best;
    }
    (text, if count == 0 { 0.0 } else { sure / count as f32 })
}
