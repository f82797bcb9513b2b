//! The feature vectors that photos are grouped by.

use super::network::{EmbeddingAnalysis, numbers, to_bytes};
use crate::photo_report::{PhotoEmbedding, PhotoReport};
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::TaskNetwork;
use judge::cluster::scene_layout;

#[derive(Debug)]
pub enum Features {
    SceneLayout(SceneLayoutAnalysis),
    Network(EmbeddingAnalysis),
}

impl Features {
    /// The network named by `album.clustering.feature_method`; `None` for the scene layout, which needs no network.
    pub fn network(method: &str) -> Option<&str> {
        match method {
            "auto" => Some(hub::MINI),
            scene_layout::NAME => None,
            name => Some(name),
        }
    }

    pub fn analysis(&self) -> &dyn Analysis {
        match self {
            Self::SceneLayout(layout) => layout,
            Self::Network(embedding) => embedding,
        }
    }

    /// `name@version`.
    pub fn reference(&self) -> String {
        match self {
            Self::SceneLayout(_) => SceneLayoutAnalysis::reference(),
            Self::Network(embedding) => embedding.network.reference(),
        }
    }
}

/// The scene layout, a feature vector computed without a network, as an analysis of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct SceneLayoutAnalysis;

impl SceneLayoutAnalysis {
    pub fn reference() -> String {
        format!("{}@{}", scene_layout::NAME, scene_layout::VERSION)
    }
}

impl Analysis for SceneLayoutAnalysis {
    fn name(&self) -> &'static str {
        "extract_features"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([Self::reference().as_str()])
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let vector = scene_layout::describe(picture.medium()).into();
        report.embedding = Some(PhotoEmbedding { vector, model: Self::reference() });
        Ok(())
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(report.embedding.as_ref().map(|embedded| to_bytes(&embedded.vector)).unwrap_or_default())
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        let vector = numbers(finding).filter(|vector| vector.len() == scene_layout::DIM)?.into();
        report.embedding = Some(PhotoEmbedding { vector, model: Self::reference() });
        Some(())
    }
}
