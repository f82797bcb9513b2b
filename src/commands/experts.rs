//! The models that take part in making an album, as far as they are there.

use anyhow::Context as _;

use super::aesthetics::{self, Rating};
use super::compare::{self, Comparing};
use super::embed::Embedding;
use super::networks::{self, NetworkArgs, Networks, PrecisionArg};
use super::portrait::FaceFinding;
use super::score::Scoring;
use crate::cluster::scene_layout;
use crate::context::Context;
use crate::error::CommandError;
use crate::hub::HubError;
use crate::pipeline::{Analysis, Picture};
use crate::quality::Quality;
use crate::select::{Portrait, Why};
use crate::store::Fingerprint;

#[derive(Debug)]
pub struct Experts {
    networks: Option<Networks>,
    pub rating: Option<Rating>,
    pub faces: Option<FaceFinding>,
    pub features: Features,
}

/// What photos are grouped by.
#[derive(Debug)]
pub enum Features {
    Layout(Layout),
    Network(Embedding),
}

/// Names in `album.clustering.feature_method` that ask for the built-in embedding.
const BUILT_IN: [&str; 2] = ["auto", scene_layout::NAME];

impl Experts {
    pub fn new(context: &Context) -> Result<Self, CommandError> {
        Self::gathered(context, true, true)
    }

    /// Only what photos are grouped by.
    pub fn for_groups(context: &Context) -> Result<Self, CommandError> {
        Self::gathered(context, false, true)
    }

    /// Only what photos are scored by.
    pub fn for_scores(context: &Context) -> Result<Self, CommandError> {
        Self::gathered(context, true, false)
    }

    /// A model that is configured by path must be there. One that is merely not installed is done without, which is
    /// said, or with `--strict` ends the run.
    fn gathered(context: &Context, rate: bool, group: bool) -> Result<Self, CommandError> {
        let settings = context.settings();
        // Without any folder for models there are none.
        let networks = match context.models_dir() {
            Some(_) => {
                let args = NetworkArgs { model: None, precision: PrecisionArg::Full };
                Some(Networks::new(&args, context)?)
            }
            None => None,
        };
        let Some(hub) = networks.as_ref().map(|networks| &networks.hub) else {
            return Ok(Self { networks, rating: None, faces: None, features: Features::Layout(Layout) });
        };
        let aesthetic = match settings.quality_assessment.ava_checkpoint.as_deref() {
            _ if !rate => None,
            Some(file) => Some(hub.aesthetic_file(file).map_err(networks::refused)?),
            None => or_without(hub.aesthetic(aesthetics::MODEL), "the other parts share its weight", context)?,
        };
        let clustering = &settings.album.clustering;
        let embedder = match clustering.feature_checkpoint.as_deref() {
            _ if !group => None,
            Some(file) => Some(hub.embedder_file(file).map_err(networks::refused)?),
            None if BUILT_IN.contains(&clustering.feature_method.as_str()) => None,
            None => {
                let instead = format!("photos are grouped by the built-in {}", scene_layout::NAME);
                or_without(hub.embedder(&clustering.feature_method), &instead, context)?
            }
        };
        let faces = if rate { FaceFinding::load_or_without(context)? } else { None };
        let rating = aesthetic.map(Rating::new).transpose().map_err(networks::refused)?;
        let features = match embedder.map(Embedding::new).transpose().map_err(networks::refused)? {
            Some(embedding) => Features::Network(embedding),
            None => Features::Layout(Layout),
        };
        Ok(Self { networks, rating, faces, features })
    }

    /// The analyses that score a photo, in the order in which [`Experts::read_scores`] takes their findings.
    pub fn scoring<'a>(&'a self, technical: &'a Scoring) -> Vec<&'a dyn Analysis> {
        let mut analyses: Vec<&dyn Analysis> = vec![technical];
        analyses.extend(self.rating.as_ref().map(|rating| rating as &dyn Analysis));
        analyses.extend(self.faces.as_ref().map(|faces| faces as &dyn Analysis));
        analyses
    }

    pub fn read_scores<'a>(&self, findings: &mut impl Iterator<Item = &'a [u8]>) -> anyhow::Result<Scores> {
        let mut next = || findings.next().context("a finding is missing");
        Ok(Scores {
            quality: Scoring::read(next()?)?,
            aesthetic: match &self.rating {
                Some(_) => Ok(as_written(Rating::read(next()?)?)),
                None => Err(Why::ModelMissing),
            },
            faces: self.faces.as_ref().map(|_| FaceFinding::read(next()?)).transpose()?,
        })
    }

    /// The model for the tie-break. Asked only when there is one to be played.
    pub fn comparing(&self, context: &Context) -> Result<Option<Comparing>, CommandError> {
        let settings = context.settings();
        let Some(networks) = self.networks.as_ref().filter(|_| settings.album.selection.use_siamese_tiebreaker) else {
            return Ok(None);
        };
        let comparator = if let Some(file) = settings.quality_assessment.siamese_checkpoint.as_deref() {
            Some(networks.hub.comparator_file(file).map_err(networks::refused)?)
        } else {
            let instead = "close calls go by composite, then sharpness, then path";
            or_without(networks.hub.comparator(compare::MODEL), instead, context)?
        };
        comparator.map(Comparing::new).transpose().map_err(networks::refused)
    }

    pub fn tell(&self, context: &Context) {
        if let Some(networks) = &self.networks {
            networks.tell(context);
        }
    }
}

/// What the experts say about one photo.
#[derive(Debug)]
pub struct Scores {
    pub quality: Quality,
    /// On 1–10.
    pub aesthetic: Result<f64, Why>,
    pub faces: Option<crate::portrait::Portrait>,
}

impl Scores {
    /// What selection asks of the faces.
    pub fn portrait(&self) -> Result<Portrait, Why> {
        let faces = self.faces.as_ref().ok_or(Why::ModelMissing)?;
        Ok(Portrait {
            is_portrait: faces.is_portrait,
            eyes_open: faces.eyes_open,
            is_smiling: faces.is_smiling,
            smile_score: faces.smile_score,
        })
    }
}

/// The number that a 32-bit one is written as: the same digits come out of every command.
fn as_written(score: f32) -> f64 {
    score.to_string().parse().unwrap_or(f64::from(score))
}

fn or_without<T>(model: Result<T, HubError>, instead: &str, context: &Context) -> Result<Option<T>, CommandError> {
    match model {
        Ok(model) => Ok(Some(model)),
        Err(missing @ HubError::Missing { .. }) if !context.strict => {
            context.ui.note(&format!("{missing}; {instead}"));
            Ok(None)
        }
        Err(error) => Err(networks::refused(error)),
    }
}

impl Features {
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
            Self::Network(embedding) => embedding.embedder.reference(),
        }
    }
}

/// The built-in embedding as an analysis of the pipeline.
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

    fn analyse(&self, picture: &Picture) -> anyhow::Result<Vec<u8>> {
        Ok(scene_layout::describe(picture.medium()).iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}
