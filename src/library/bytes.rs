//! Technical flaws of a photo given as bytes.

use super::{ModelHub, ModelHubError, PhotoInput};
use crate::analyses::DegradationAnalysis;
use hub::{Degradations, DegradationsKind, ModelChoice, TaskNetwork as _};
use networks::{mini, multihead};

/// A quality model's result for one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityPrediction {
    /// The strength of each flaw from 0 (none) to 1; empty for a network that gives only an overall value.
    pub degradations: Vec<(&'static str, f32)>,
    /// 1 for a photo without flaws; `None` for `album-mini`, which gives no overall value.
    pub overall_quality: Option<f32>,
    /// `name@version` of the model.
    pub model: String,
}

impl ModelHub {
    /// Predicts the flaws of a photo from its bytes with a quality model, given by name or by path.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let photo = std::fs::read("fixtures/album/DSC_0102.jpg")?;
    /// let predicted = hub.predict_from_bytes("album-mini", &photo)?;
    /// assert_eq!(predicted.degradations[0].0, "blur");
    /// assert!(hub.predict_from_bytes("album-mini", b"no photo").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn predict_from_bytes(&self, model: &str, photo: &[u8]) -> Result<QualityPrediction, ModelHubError> {
        let analysis = DegradationAnalysis::new(self.network::<Degradations>(ModelChoice::typed(model))?)?;
        let report = self.ask_one(PhotoInput::Bytes(photo), self.medium(), &[&analysis])?;
        let strengths = report.degradations.ok_or(ModelHubError::Unanswered)?;
        let flaws: &[&str] = match analysis.network.kind() {
            DegradationsKind::Mini => &mini::DEGRADATIONS,
            DegradationsKind::MultiHead => &multihead::DEGRADATIONS,
            DegradationsKind::SingleHead => &[],
        };
        Ok(QualityPrediction {
            degradations: flaws.iter().copied().zip(strengths.iter().copied()).collect(),
            overall_quality: strengths.get(flaws.len()).copied(),
            model: analysis.network.reference(),
        })
    }
}
