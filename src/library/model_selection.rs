//! The choice of models: the configured file, otherwise the named model, otherwise the built-in one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::{ModelHub, ModelHubError};
use crate::analyses::{
    ClassificationAnalysis, ComparisonAnalysis, DescriptionAnalysis, EmbeddingAnalysis, FaceAnalysis, Features,
    KindAnalysis, ObjectAnalysis, OnePassAnalysis, PeopleAnalysis, QualityAnalysis, RatingAnalysis,
    SceneLayoutAnalysis, SketchAnalysis, TextAnalysis, present,
};
use crate::pipeline::Analysis;
use hub::faces::Landmarks;
use hub::{HubError, ModelChoice, TaskNetwork};
use judge::portrait::Thresholds;
use networks::weights::WeightsFile;

/// The model whose ratings equal those of the original system.
pub const AESTHETIC_MODEL: &str = "ava-resnet50";
/// The model that compares like the original system.
pub const COMPARISON_MODEL: &str = "siamese-resnet50";
/// The verbs for what the built-in model does in place of a missing one, for messages.
pub const RATES: &str = "rates";
pub const COMPARES: &str = "compares";

/// The reaction to a missing model, such as fetching it or going on without it.
pub trait OnMissingModel {
    type Error: From<ModelHubError>;

    /// Returns whether the model is there now and is to be opened again. If not, the run goes on as `fallback` describes.
    fn on_missing(&mut self, missing: HubError, fallback: &Fallback) -> Result<bool, Self::Error>;
}

/// How a run goes on without a missing model, with a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// Another model or method does its work.
    Substitute(String),
    /// A part of the score is missing.
    PartMissing(String),
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Substitute(text) | Self::PartMissing(text)) = self;
        f.write_str(text)
    }
}

/// Goes on without missing models and collects them.
#[derive(Debug, Default)]
pub struct SkipMissing(pub Vec<HubError>);

impl OnMissingModel for SkipMissing {
    type Error = ModelHubError;

    fn on_missing(&mut self, missing: HubError, _: &Fallback) -> Result<bool, ModelHubError> {
        self.0.push(missing);
        Ok(false)
    }
}

/// The models for making an album that are available.
#[derive(Debug)]
pub struct AlbumModels {
    scoring: QualityAnalysis,
    pub rating: Option<RatingAnalysis>,
    pub faces: Option<FaceAnalysis>,
    pub features: Option<Features>,
    /// Tells what kind of picture it is.
    pub kind: Option<KindAnalysis>,
    /// Runs in place of `rating` and `kind` where one network computes both and the features.
    one_pass: Option<OnePassAnalysis>,
    /// The classifier, for labels; the selection takes photos of different subjects for less alike.
    pub classification: Option<ClassificationAnalysis>,
    /// Tells whose faces are on photos, where that is asked for.
    pub people: Option<PeopleAnalysis>,
    /// The model that reads text, likewise.
    pub text: Option<TextAnalysis>,
    /// The model that compares photos with whole texts, likewise.
    pub description: Option<DescriptionAnalysis>,
    /// The model that finds objects, likewise.
    pub objects: Option<ObjectAnalysis>,
    /// Whether photos are also examined as frames of sequences.
    pub sketching: Option<SketchAnalysis>,
    /// The configured comparison model. Without a configured one, it is opened only when there is a tie to break.
    pub comparing: Option<Arc<ComparisonAnalysis>>,
}

impl AlbumModels {
    /// Returns the analyses of these models for each photo.
    pub fn analyses(&self) -> Vec<&dyn Analysis> {
        let features = self.features.as_ref().map(Features::analysis);
        let sketching = self.sketching.as_ref().map(|sketching| sketching as &dyn Analysis);
        [self.analyses_for_scores(), present([features, sketching])].concat()
    }

    /// The same without features and sketches, which compare photos with each other.
    pub fn analyses_for_scores(&self) -> Vec<&dyn Analysis> {
        let one_pass = self.one_pass.as_ref().filter(|_| self.features.is_some());
        let separate = one_pass.is_none();
        present([
            Some(&self.scoring),
            one_pass.map(|both| both as &dyn Analysis),
            self.rating.as_ref().filter(|_| separate).map(|rating| rating as &dyn Analysis),
            self.kind.as_ref().filter(|_| separate).map(|kind| kind as &dyn Analysis),
            self.faces.as_ref().map(|faces| faces as &dyn Analysis),
            self.classification.as_ref().map(|classification| classification as &dyn Analysis),
            self.text.as_ref().map(|text| text as &dyn Analysis),
            self.description.as_ref().map(|description| description as &dyn Analysis),
            self.objects.as_ref().map(|objects| objects as &dyn Analysis),
            // After the faces, which it takes from the report.
            self.people.as_ref().map(|people| people as &dyn Analysis),
        ])
    }
}

impl ModelHub {
    pub fn scoring(&self) -> QualityAnalysis {
        QualityAnalysis { weights: self.settings().quality_assessment.weights }
    }

    /// The models for an album: for rating, faces, grouping and comparing.
    pub fn album_models<A: OnMissingModel>(&self, on_missing: &mut A) -> Result<AlbumModels, A::Error> {
        let rating = self.rating(on_missing)?;
        let models = self.choice_models(on_missing)?;
        let one_pass = match &models.features {
            Some(Features::Network(embedding)) => {
                OnePassAnalysis::of(&rating, embedding).map_err(ModelHubError::from)?
            }
            _ => None,
        };
        Ok(AlbumModels {
            rating: Some(rating),
            kind: Some(self.kind_model()?),
            one_pass,
            faces: self.faces_or_without(on_missing)?,
            classification: self.classification_if_here()?,
            ..models
        })
    }

    /// The built-in model, for what kind of picture it is.
    pub fn kind_model(&self) -> Result<KindAnalysis, ModelHubError> {
        Ok(KindAnalysis::new(self.network(ModelChoice::Name(hub::MINI))?)?)
    }

    /// The classifier, if it is here. Nothing is said where it is missing: a report goes without labels.
    pub fn classification_if_here(&self) -> Result<Option<ClassificationAnalysis>, ModelHubError> {
        match self.network(ModelChoice::Name(hub::CLASSIFIER)) {
            Err(ModelHubError::Hub(HubError::Missing { .. } | HubError::NotOnDevice { .. })) => Ok(None),
            network => Ok(Some(ClassificationAnalysis::new(network?)?)),
        }
    }

    /// The model that reads text, if it is here.
    pub fn text_if_here(&self) -> Result<Option<TextAnalysis>, ModelHubError> {
        match self.text_reading(hub::TEXT_READER, &[]) {
            Err(ModelHubError::Hub(HubError::Missing { .. })) => Ok(None),
            reading => reading.map(Some),
        }
    }

    /// The model that finds objects, if it is here.
    pub fn objects_if_here(&self) -> Result<Option<ObjectAnalysis>, ModelHubError> {
        match self.object_finding(hub::OBJECT_FINDER) {
            Err(ModelHubError::Hub(HubError::Missing { .. })) => Ok(None),
            finding => finding.map(Some),
        }
    }

    pub fn object_finding(&self, model: &str) -> Result<ObjectAnalysis, ModelHubError> {
        Ok(ObjectAnalysis { model: self.hub().objects(model)? })
    }

    /// A model that reads text, held to the letters of `languages` if there are any.
    pub fn text_reading(&self, model: &str, languages: &[&str]) -> Result<TextAnalysis, ModelHubError> {
        let model = self.hub().text(model)?;
        Ok(TextAnalysis { model: if languages.is_empty() { model } else { model.reading(languages)? } })
    }

    /// A model that compares photos with whole texts. The error for a missing one says how to get it.
    pub fn description(&self, model: &str) -> Result<DescriptionAnalysis, ModelHubError> {
        Ok(DescriptionAnalysis { model: self.hub().describer(model)? })
    }

    /// The models for photos that are rated already: for grouping and comparing.
    pub fn choice_models<A: OnMissingModel>(&self, on_missing: &mut A) -> Result<AlbumModels, A::Error> {
        let models = self.group_models(on_missing)?;
        let configured = self.settings().quality_assessment.siamese_checkpoint.as_deref();
        let open = |file| {
            ComparisonAnalysis::new(self.network(ModelChoice::Path(file))?).map(Arc::new).map_err(ModelHubError::from)
        };
        Ok(AlbumModels { comparing: configured.map(open).transpose()?, ..models })
    }

    /// The model for grouping only.
    pub fn group_models<A: OnMissingModel>(&self, on_missing: &mut A) -> Result<AlbumModels, A::Error> {
        let features = Some(self.features_model(on_missing)?);
        Ok(AlbumModels {
            scoring: self.scoring(),
            rating: None,
            faces: None,
            features,
            kind: None,
            one_pass: None,
            classification: None,
            people: None,
            text: None,
            description: None,
            objects: None,
            sketching: None,
            comparing: None,
        })
    }

    pub fn rating<A: OnMissingModel>(&self, on_missing: &mut A) -> Result<RatingAnalysis, A::Error> {
        let configured = self.settings().quality_assessment.ava_checkpoint.as_deref();
        let network = self.configured_or_built_in(configured, AESTHETIC_MODEL, RATES, on_missing)?;
        Ok(RatingAnalysis::new(network).map_err(ModelHubError::from)?)
    }

    pub fn comparing<A: OnMissingModel>(&self, on_missing: &mut A) -> Result<ComparisonAnalysis, A::Error> {
        let configured = self.settings().quality_assessment.siamese_checkpoint.as_deref();
        let network = self.configured_or_built_in(configured, COMPARISON_MODEL, COMPARES, on_missing)?;
        Ok(ComparisonAnalysis::new(network).map_err(ModelHubError::from)?)
    }

    /// The features for grouping. The built-in model replaces a missing one.
    pub fn features_model<A: OnMissingModel>(&self, on_missing: &mut A) -> Result<Features, A::Error> {
        let settings = &self.settings().album.clustering;
        let network = match settings.feature_checkpoint.as_deref() {
            Some(file) => Some(self.network(ModelChoice::Path(file))?),
            None => match Features::network(&settings.feature_method) {
                Some(name) => {
                    let built_in = || self.network(ModelChoice::Name(hub::MINI));
                    let fallback = Fallback::Substitute(format!("photos are grouped by the built-in {}", hub::MINI));
                    let named = open_or_without(|| self.network(ModelChoice::Name(name)), &fallback, on_missing)?;
                    Some(named.map_or_else(built_in, Ok)?)
                }
                None => None,
            },
        };
        let network = network.map(EmbeddingAnalysis::new).transpose().map_err(ModelHubError::from)?;
        Ok(network.map_or(Features::SceneLayout(SceneLayoutAnalysis), Features::Network))
    }

    fn faces_or_without<A: OnMissingModel>(&self, on_missing: &mut A) -> Result<Option<FaceAnalysis>, A::Error> {
        let fallback = Fallback::PartMissing("faces are not analysed, the other parts share their weight".to_owned());
        let finding = open_or_without(|| self.face_finding(Landmarks::Attention), &fallback, on_missing)?;
        finding.map(|finding| self.with_expressions(finding, Landmarks::Attention, on_missing)).transpose()
    }

    /// Adds the expression network where it is available; without it eyes and smiles are judged by landmarks alone.
    pub fn with_expressions<A: OnMissingModel>(
        &self,
        finding: FaceAnalysis,
        mode: Landmarks,
        on_missing: &mut A,
    ) -> Result<FaceAnalysis, A::Error> {
        let Some(missing) = finding.faces.lacks().cloned() else { return Ok(finding) };
        let fallback = Fallback::Substitute("eyes and smiles are judged by landmarks alone".to_owned());
        let is_here = on_missing.on_missing(HubError::Missing { models: vec![missing] }, &fallback)?;
        if is_here { Ok(self.face_finding(mode)?) } else { Ok(finding) }
    }

    pub fn face_finding(&self, mode: Landmarks) -> Result<FaceAnalysis, ModelHubError> {
        let thresholds = Thresholds::from(self.settings());
        Ok(FaceAnalysis { faces: self.hub().faces(mode, thresholds)? })
    }

    /// What recognises people. The error for missing models says how to get them.
    pub fn people(&self) -> Result<hub::People, ModelHubError> {
        Ok(self.hub().people(Thresholds::from(self.settings()))?)
    }

    /// Opens the network of a model. Nothing is fetched: the error for a missing model says how to get it.
    pub fn network<N: TaskNetwork>(&self, which: ModelChoice<'_>) -> Result<N, ModelHubError> {
        Ok(self.hub().open(which)?)
    }

    /// The file of a model's weights.
    pub fn weights(&self, which: ModelChoice<'_>) -> Result<WeightsFile, ModelHubError> {
        Ok(self.hub().weights(which)?)
    }

    /// A configured file must exist. The built-in model replaces a missing named model.
    fn configured_or_built_in<N: TaskNetwork, A: OnMissingModel>(
        &self,
        configured: Option<&Path>,
        name: &str,
        does: &str,
        on_missing: &mut A,
    ) -> Result<N, A::Error> {
        match configured {
            Some(file) => Ok(self.network(ModelChoice::Path(file))?),
            None => self.open_or_built_in(ModelChoice::Name(name), does, on_missing),
        }
    }

    pub fn open_or_built_in<N: TaskNetwork, A: OnMissingModel>(
        &self,
        which: ModelChoice<'_>,
        does: &str,
        on_missing: &mut A,
    ) -> Result<N, A::Error> {
        let fallback = Fallback::Substitute(format!("the built-in {} {does} instead", hub::MINI));
        match open_or_without(|| self.network(which), &fallback, on_missing)? {
            Some(network) => Ok(network),
            None => Ok(self.network(ModelChoice::Name(hub::MINI))?),
        }
    }
}

fn open_or_without<T, A: OnMissingModel>(
    open: impl Fn() -> Result<T, ModelHubError>,
    fallback: &Fallback,
    on_missing: &mut A,
) -> Result<Option<T>, A::Error> {
    match open() {
        Err(ModelHubError::Hub(missing @ HubError::Missing { .. })) => {
            if on_missing.on_missing(missing, fallback)? {
                Ok(Some(open()?))
            } else {
                Ok(None)
            }
        }
        opened => Ok(Some(opened?)),
    }
}
