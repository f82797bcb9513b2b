//! The trunk of the built-in network.

use crate::checkpoint::{InMemory, Names, WeightsError};
use crate::mobile::{self, Family};
use crate::preprocess::{Preprocess, Resize};
use photo::resize::Filter;

use super::SIDE;

pub const FAMILY: Family = Family::EfficientNetLite;
/// The prefix of the trunk's tensors in files of the built-in network.
pub const TRUNK: &str = "trunk";

/// The names of the trunk's tensors in a file of the family or of the built-in network.
pub fn trunk_names<'a>(names: &Names<'a>) -> Names<'a> {
    let own = names.under(TRUNK);
    if own.has("_conv_stem.weight") { own } else { names.clone() }
}

/// The trunk from a file of the family or of the built-in network, with normalisations folded in, under the names of the
/// built-in network's files.
pub fn folded(names: &Names<'_>) -> Result<InMemory, WeightsError> {
    let names = &trunk_names(names);
    let plan = mobile::Plan::trunk(FAMILY, names)?;
    let mut all = InMemory::default();
    for (conv, folded) in plan.convs.iter().zip(plan.folded(names)?) {
        all.tensors.insert(format!("{TRUNK}.{}.weight", conv.conv), (conv.shape().to_vec(), folded.weight));
        all.tensors.insert(format!("{TRUNK}.{}.bias", conv.conv), (vec![conv.outputs], folded.bias));
    }
    Ok(all)
}

/// The preprocessing of the trunk's training: (v - 127) / 128 on bytes.
pub fn preprocess() -> Preprocess {
    Preprocess {
        resize: Resize::Square(SIDE as u32),
        filter: Filter::Lanczos3,
        crop: None,
        mean: [127.0 / 255.0; 3],
        std: [128.0 / 255.0; 3],
    }
}
