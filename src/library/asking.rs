//! Which models are asked: the configured file, else the named model, else what is built in.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{ModelHub, ModelHubError};
use crate::analyses::{
    Classifying, Comparing, Embedding, FaceFinding, Features, Layout, OnePass, Rating, Scoring, asked,
};
use crate::pipeline::Analysis;
use hub::faces::Landmarks;
use hub::{HubError, ModelChoice, Network};
use judge::portrait::Thresholds;
use networks::weights::WeightsFile;

/// The model whose ratings are those of the original system.
pub const AESTHETIC_MODEL: &str = "ava-resnet50";
/// The model that compares as the original system did.
pub const COMPARISON_MODEL: &str = "siamese-resnet50";
/// What the built-in model does in the place of either, and of one that embeds.
pub const RATES: &str = "rates";
pub const COMPARES: &str = "compares";

/// What becomes of a model that is not here.
pub trait Absent {
    type Error: From<ModelHubError>;

    /// Whether it is worth asking for it again. If not, `instead` says what happens in its place.
    fn absent(&mut self, missing: HubError, instead: &Instead) -> Result<bool, Self::Error>;
}

/// What happens in the place of a model that is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// Another one does its work.
    Other(String),
    /// Nobody does: a part of the score is missing.
    Nobody(String),
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Other(text) | Self::Nobody(text)) = self;
        f.write_str(text)
    }
}

/// Goes on without it, and remembers that.
#[derive(Debug, Default)]
pub struct LeftOut(pub Vec<HubError>);

impl Absent for LeftOut {
    type Error = ModelHubError;

    fn absent(&mut self, missing: HubError, _: &Instead) -> Result<bool, ModelHubError> {
        self.0.push(missing);
        Ok(false)
    }
}

/// The models that take part in making an album, as far as they are here.
#[derive(Debug)]
pub struct AlbumModels {
    scoring: Scoring,
    pub rating: Option<Rating>,
    pub faces: Option<FaceFinding>,
    pub features: Option<Features>,
    /// In the place of `rating` and `features` where one network answers both.
    one_pass: Option<OnePass>,
    /// What tells classes, for what is said of a photo; no choice depends on it.
    pub classifying: Option<Classifying>,
    /// The configured file that decides between takes; any other network for that is opened when one is to be decided.
    pub comparing: Option<Arc<Comparing>>,
}

impl AlbumModels {
    /// All that they are asked of a photo.
    pub fn analyses(&self) -> Vec<&dyn Analysis> {
        let one_pass = self.one_pass.as_ref().filter(|_| self.features.is_some());
        let apart = one_pass.is_none();
        asked([
            Some(&self.scoring),
            one_pass.map(|both| both as &dyn Analysis),
            self.features.as_ref().filter(|_| apart).map(Features::analysis),
            self.rating.as_ref().filter(|_| apart).map(|rating| rating as &dyn Analysis),
            self.faces.as_ref().map(|faces| faces as &dyn Analysis),
            self.classifying.as_ref().map(|classifying| classifying as &dyn Analysis),
        ])
    }
}

impl ModelHub {
    pub fn scoring(&self) -> Scoring {
        Scoring { weights: self.settings().quality_assessment.weights }
    }

    /// For an album: what rates, what finds faces, and what photos are grouped and compared by.
    pub fn album_models<A: Absent>(&self, absent: &mut A) -> Result<AlbumModels, A::Error> {
        let rating = self.rating(absent)?;
        let models = self.choice_models(absent)?;
        let one_pass = match &models.features {
            Some(Features::Network(embedding)) => OnePass::of(&rating, embedding).map_err(ModelHubError::from)?,
            _ => None,
        };
        Ok(AlbumModels { rating: Some(rating), one_pass, faces: self.faces_or_without(absent)?, ..models })
    }

    /// What tells classes, where it is here: a photo is told of all the same without it.
    pub fn classifying_if_here(&self) -> Result<Option<Classifying>, ModelHubError> {
        match self.network(ModelChoice::Name(hub::CLASSIFIER)) {
            Err(ModelHubError::Hub(HubError::Missing { .. } | HubError::NotOnDevice { .. })) => Ok(None),
            network => Ok(Some(Classifying::new(network?)?)),
        }
    }

    /// For photos that are rated already: what they are grouped and compared by.
    pub fn choice_models<A: Absent>(&self, absent: &mut A) -> Result<AlbumModels, A::Error> {
        let models = self.group_models(absent)?;
        let configured = self.settings().quality_assessment.siamese_checkpoint.as_deref();
        let open =
            |file| Comparing::new(self.network(ModelChoice::Path(file))?).map(Arc::new).map_err(ModelHubError::from);
        Ok(AlbumModels { comparing: configured.map(open).transpose()?, ..models })
    }

    /// Only what photos are grouped by.
    pub fn group_models<A: Absent>(&self, absent: &mut A) -> Result<AlbumModels, A::Error> {
        let features = Some(self.features_model(absent)?);
        Ok(AlbumModels {
            scoring: self.scoring(),
            rating: None,
            faces: None,
            features,
            one_pass: None,
            classifying: None,
            comparing: None,
        })
    }

    pub fn rating<A: Absent>(&self, absent: &mut A) -> Result<Rating, A::Error> {
        let configured = self.settings().quality_assessment.ava_checkpoint.as_deref();
        let network = self.configured_or_built_in(configured, AESTHETIC_MODEL, RATES, absent)?;
        Ok(Rating::new(network).map_err(ModelHubError::from)?)
    }

    pub fn comparing<A: Absent>(&self, absent: &mut A) -> Result<Comparing, A::Error> {
        let configured = self.settings().quality_assessment.siamese_checkpoint.as_deref();
        let network = self.configured_or_built_in(configured, COMPARISON_MODEL, COMPARES, absent)?;
        Ok(Comparing::new(network).map_err(ModelHubError::from)?)
    }

    /// What photos are grouped by. The built-in model stands in for one that is not here.
    pub fn features_model<A: Absent>(&self, absent: &mut A) -> Result<Features, A::Error> {
        let settings = &self.settings().album.clustering;
        let network = match settings.feature_checkpoint.as_deref() {
            Some(file) => Some(self.network(ModelChoice::Path(file))?),
            None => match Features::network(&settings.feature_method) {
                Some(name) => {
                    let built_in = || self.network(ModelChoice::Name(hub::MINI));
                    let instead = Instead::Other(format!("photos are grouped by the built-in {}", hub::MINI));
                    let named = open_or_without(|| self.network(ModelChoice::Name(name)), &instead, absent)?;
                    Some(named.map_or_else(built_in, Ok)?)
                }
                None => None,
            },
        };
        let network = network.map(Embedding::new).transpose().map_err(ModelHubError::from)?;
        Ok(network.map_or(Features::Layout(Layout), Features::Network))
    }

    fn faces_or_without<A: Absent>(&self, absent: &mut A) -> Result<Option<FaceFinding>, A::Error> {
        let instead = Instead::Nobody("faces are not looked at, the other parts share their weight".to_owned());
        let finding = open_or_without(|| self.face_finding(Landmarks::Attention), &instead, absent)?;
        finding.map(|finding| self.with_expressions(finding, Landmarks::Attention, absent)).transpose()
    }

    /// The same with the expression network, where that can be had; without it landmarks alone tell of eyes and smiles.
    pub fn with_expressions<A: Absent>(
        &self,
        finding: FaceFinding,
        mode: Landmarks,
        absent: &mut A,
    ) -> Result<FaceFinding, A::Error> {
        let Some(missing) = finding.faces.lacks().cloned() else { return Ok(finding) };
        let instead = Instead::Other("eyes and smiles are told from landmarks alone".to_owned());
        let is_here = absent.absent(HubError::Missing { models: vec![missing] }, &instead)?;
        if is_here { Ok(self.face_finding(mode)?) } else { Ok(finding) }
    }

    pub fn face_finding(&self, mode: Landmarks) -> Result<FaceFinding, ModelHubError> {
        let thresholds = Thresholds::from(self.settings());
        Ok(FaceFinding { faces: self.hub().faces(mode, thresholds)? })
    }

    /// The network of a model. Nothing is fetched: the error says how to get it.
    pub fn network<N: Network>(&self, which: ModelChoice<'_>) -> Result<N, ModelHubError> {
        Ok(self.hub().open(which)?)
    }

    /// The file of a model's weights, as it is.
    pub fn weights(&self, which: ModelChoice<'_>) -> Result<WeightsFile, ModelHubError> {
        Ok(self.hub().weights(which)?)
    }

    /// A configured file must be there. In the place of a model that is merely not here stands the built-in one.
    fn configured_or_built_in<N: Network, A: Absent>(
        &self,
        configured: Option<&Path>,
        name: &str,
        does: &str,
        absent: &mut A,
    ) -> Result<N, A::Error> {
        match configured {
            Some(file) => Ok(self.network(ModelChoice::Path(file))?),
            None => self.open_or_built_in(ModelChoice::Name(name), does, absent),
        }
    }

    pub fn open_or_built_in<N: Network, A: Absent>(
        &self,
        which: ModelChoice<'_>,
        does: &str,
        absent: &mut A,
    ) -> Result<N, A::Error> {
        let instead = Instead::Other(format!("the built-in {} {does} instead", hub::MINI));
        match open_or_without(|| self.network(which), &instead, absent)? {
            Some(network) => Ok(network),
            None => Ok(self.network(ModelChoice::Name(hub::MINI))?),
        }
    }
}

fn open_or_without<T, A: Absent>(
    open: impl Fn() -> Result<T, ModelHubError>,
    instead: &Instead,
    absent: &mut A,
) -> Result<Option<T>, A::Error> {
    match open() {
        Err(ModelHubError::Hub(missing @ HubError::Missing { .. })) => {
            if absent.absent(missing, instead)? {
                Ok(Some(open()?))
            } else {
                Ok(None)
            }
        }
        opened => Ok(Some(opened?)),
    }
}
