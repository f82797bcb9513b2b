//! What photos are grouped by.

use super::network::{Embedding, numbers, to_bytes};
use crate::photo_report::{Embedded, PhotoReport};
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::Network;
use judge::cluster::scene_layout;

#[derive(Debug)]
pub enum Features {
    Layout(Layout),
    Network(Embedding),
}

impl Features {
    /// The network that a name in `album.clustering.feature_method` asks for; `None` for the layout, which is none.
    pub fn network(method: &str) -> Option<&str> {
        match method {
            "auto" => Some(hub::MINI),
            scene_layout::NAME => None,
            name => Some(name),
        }
    }

    pub fn analysis(&self) -> &dyn Analysis {
        match self {
            Self::Layout(layout) => layout,
            Self::Network(embedding) => embedding,
        }
    }

    /// `name@version`.
    pub fn reference(&self) -> String {
        match self {
            Self::Layout(_) => Layout::reference(),
            Self::Network(embedding) => embedding.network.reference(),
        }
    }
}

/// What lies where, which takes no network, as an analysis of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct Layout;

impl Layout {
    pub fn reference() -> String {
        format!("{}@{}", scene_layout::NAME, scene_layout::VERSION)
    }
}

impl Analysis for Layout {
    fn name(&self) -> &'static str {
        "extract_features"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([Self::reference().as_str()])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let vector = scene_layout::describe(picture.medium());
        report.embedding = Some(Embedded { vector, model: Self::reference() });
        Ok(())
    }

    fn keep(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(report.embedding.as_ref().map(|embedded| to_bytes(&embedded.vector)).unwrap_or_default())
    }

    fn recall(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        let vector = numbers(finding).filter(|vector| vector.len() == scene_layout::DIM)?;
        report.embedding = Some(Embedded { vector, model: Self::reference() });
        Some(())
    }
}
