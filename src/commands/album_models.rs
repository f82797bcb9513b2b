//! The models that take part in making an album, as far as they are there.

use super::open_models::{self, NetworkArgs, Networks, PrecisionArg};
use super::{aesthetics, compare, portrait};
use crate::analyses::{Comparing, Embedding, FaceFinding, Features, Layout, Panel, Rating, Scoring};
use crate::config::Settings;
use crate::context::Context;
use crate::error::CommandError;
use hub::Which;
use judge::cluster::scene_layout;

#[derive(Debug)]
pub struct AlbumModels {
    networks: Networks,
    pub rating: Option<Rating>,
    pub faces: Option<FaceFinding>,
    pub features: Features,
}

impl AlbumModels {
    pub fn new(context: &Context) -> Result<Self, CommandError> {
        Self::gathered(context, true)
    }

    /// Only what photos are grouped by.
    pub fn for_groups(context: &Context) -> Result<Self, CommandError> {
        Self::gathered(context, false)
    }

    /// A model that is configured by path must be there. In the place of one that is merely not installed
    /// stands what is built in, which is said, or with `--strict` ends the run.
    fn gathered(context: &Context, rate: bool) -> Result<Self, CommandError> {
        let settings = context.settings();
        let networks = Networks::new(&NetworkArgs { model: None, precision: PrecisionArg::Full }, context)?;
        let here = &networks;
        let aesthetic = match settings.quality_assessment.ava_checkpoint.as_deref() {
            _ if !rate => None,
            Some(file) => Some(here.open(Which::File(file), context)?),
            None => {
                let model = Which::Named(aesthetics::MODEL);
                Some(here.open_or_built_in(model, aesthetics::RATES, context)?)
            }
        };
        let clustering = &settings.album.clustering;
        let embedder = match clustering.feature_checkpoint.as_deref() {
            Some(file) => Some(here.open(Which::File(file), context)?),
            None if Features::is_built_in(&clustering.feature_method) => None,
            None => {
                let instead = format!("photos are grouped by the built-in {}", scene_layout::NAME);
                here.open_or_without(Which::Named(&clustering.feature_method), &instead, context)?
            }
        };
        let faces = if rate { portrait::open_or_without(here, context)? } else { None };
        let rating = aesthetic.map(Rating::new).transpose().map_err(open_models::refused)?;
        let features = match embedder.map(Embedding::new).transpose().map_err(open_models::refused)? {
            Some(embedding) => Features::Network(embedding),
            None => Features::Layout(Layout),
        };
        Ok(Self { networks, rating, faces, features })
    }

    /// What scores a photo.
    pub fn panel(&self, settings: &Settings) -> Panel<'_> {
        let scoring = Scoring { weights: settings.quality_assessment.weights };
        Panel { scoring, features: None, rating: self.rating.as_ref(), faces: self.faces.as_ref() }
    }

    /// The model for the tie-break. Asked only when there is one to be played.
    pub fn comparing(&self, context: &Context) -> Result<Option<Comparing>, CommandError> {
        let settings = context.settings();
        if !settings.album.selection.use_siamese_tiebreaker {
            return Ok(None);
        }
        let networks = &self.networks;
        let comparator = if let Some(file) = settings.quality_assessment.siamese_checkpoint.as_deref() {
            networks.open(Which::File(file), context)?
        } else {
            networks.open_or_built_in(Which::Named(compare::MODEL), compare::COMPARES, context)?
        };
        Comparing::new(comparator).map(Some).map_err(open_models::refused)
    }

    pub fn tell(&self, context: &Context) {
        self.networks.tell(context);
    }
}
