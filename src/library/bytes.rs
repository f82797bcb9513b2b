//! What is wrong with a photo that is no file: its bytes, however they came.

use super::{ModelHub, ModelHubError, PhotoInput};
use crate::analyses::Degrading;
use hub::{Degradations, DegradationsKind, ModelChoice, Network as _};
use networks::{mini, multihead};

/// What a quality model says of a photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// How strong each flaw is, 0 (none) to 1; none of a network that tells no flaws apart.
    pub degradations: Vec<(&'static str, f32)>,
    /// 1 for a photo without flaws; `album-mini` does not sum up.
    pub overall_quality: Option<f32>,
    /// `name@version` of what said so.
    pub model: String,
}

impl ModelHub {
    /// What a quality model, by name or by path, says is wrong with a photo out of its bytes.
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
    pub fn predict_from_bytes(&self, model: &str, photo: &[u8]) -> Result<Predicted, ModelHubError> {
        let degrading = Degrading::new(self.network::<Degradations>(ModelChoice::typed(model))?)?;
        let report = self.ask_one(PhotoInput::Bytes(photo), self.medium(), &[&degrading])?;
        let said = report.degradations.ok_or(ModelHubError::Unanswered)?;
        let flaws: &[&str] = match degrading.network.kind() {
            DegradationsKind::Mini => &mini::DEGRADATIONS,
            DegradationsKind::MultiHead => &multihead::FLAWS,
            DegradationsKind::SingleHead => &[],
        };
        Ok(Predicted {
            degradations: flaws.iter().copied().zip(said.iter().copied()).collect(),
            overall_quality: said.get(flaws.len()).copied(),
            model: degrading.network.reference(),
        })
    }
}
