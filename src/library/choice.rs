//! Which photos are picked, and which of two is better.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::asking::{AlbumModels, LeftOut};
use super::groups::Groups;
use super::photos::named;
use super::{ModelHub, ModelHubError, PhotoInput};
use crate::analyses::Comparing;
use crate::photo_report::PhotoReport;
use crate::pipeline::Analysis;
use crate::telemetry::TIE_BREAK;
use hub::Network as _;
use judge::portrait::Face;
use judge::select::{self, Comparator, Decision, DecisionSource, MissingReason, Photo, Portrait, Rules, Verdict};
use photo::scan;

/// Which of two photos is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    /// The probability that the first is the better one; 0.5 is a tie.
    pub first_is_better: f64,
    /// `name@version` of the network that said so.
    pub model: String,
}

/// What a choice asks for when it meets photos that are too close to call.
pub trait Referee {
    type Error: From<ModelHubError>;

    /// The network that compares, if one is to.
    fn comparing(&mut self) -> Result<Option<Comparing>, Self::Error>;

    /// Has photos looked at. Those that fail are left out, and are the caller's to report.
    fn look_at(&mut self, photos: &[scan::Photo], analysis: &dyn Analysis) -> Result<Vec<PhotoReport>, Self::Error>;
}

/// What a person decided about a photo, and where that was found.
pub type FoundDecision = (Decision, DecisionSource);

/// The photos as the choice sees them, each with the decision of a person about it.
pub fn candidates(photos: &[PhotoReport], groups: &Groups, decisions: &[Option<FoundDecision>]) -> Vec<Photo> {
    let labelled = photos.iter().zip(&groups.clustering.labels).zip(decisions);
    labelled.map(|((photo, &label), decision)| candidate(photo, usize::try_from(label).ok(), *decision)).collect()
}

/// One photo as the choice sees it, in a group and with a person's decision where there are these.
pub fn candidate(photo: &PhotoReport, group: Option<usize>, decision: Option<FoundDecision>) -> Photo {
    Photo {
        path: photo.path.clone(),
        group,
        aesthetic: photo.aesthetic.as_ref().map(|rated| rated.score).ok_or(MissingReason::ModelMissing),
        iqa: photo.quality.as_ref().map(|quality| quality.overall).ok_or(MissingReason::NotMeasured),
        portrait: photo.portrait.as_ref().map(faces).ok_or(MissingReason::ModelMissing),
        sharpness: photo.quality.as_ref().map(|quality| quality.sharpness),
        taken_ms: photo.taken_ms(),
        decision: decision.map(|(decision, _)| decision),
        decision_source: decision.map(|(_, source)| source),
        content: photo.content.map(|content| content.0),
    }
}

/// What the choice asks of the faces.
fn faces(found: &judge::portrait::Portrait) -> Portrait {
    let mut people: Vec<&Face> = found.faces.iter().filter(|face| face.is_prominent).collect();
    people.sort_by(|a, b| a.bbox[0].total_cmp(&b.bbox[0]));
    let are_judged = people.iter().all(|face| face.eyes_open.is_some());
    let blinks = people.iter().position(|face| face.eyes_open == Some(false));
    Portrait {
        score: found.portrait_score,
        is_portrait: found.is_portrait || !people.is_empty(),
        eyes_open: found.eyes_open,
        is_smiling: found.is_smiling,
        people: if are_judged { people.len() } else { 0 },
        blinks: blinks.map(|index| index + 1),
    }
}

impl ModelHub {
    /// Which of two photos is better: by the network trained to compare, or without it by the built-in one.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let preference = hub.compare("fixtures/album/DSC_0102.jpg", "fixtures/album/DSC_0101.jpg")?;
    /// assert!(preference.first_is_better > 0.5 && preference.model.starts_with("album-mini@"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compare<'a>(
        &self,
        first: impl Into<PhotoInput<'a>>,
        second: impl Into<PhotoInput<'a>>,
    ) -> Result<Preference, ModelHubError> {
        let comparing = self.comparing(&mut LeftOut::default())?;
        let features =
            |photo| self.ask_one(photo, self.medium(), &[&comparing])?.comparison.ok_or(ModelHubError::Unanswered);
        let (first, second) = (features(first.into())?, features(second.into())?);
        let first_is_better = comparing.network.prefer(&first, &second)?.into();
        Ok(Preference { first_is_better, model: comparing.network.reference() })
    }

    /// Ranks the photos and says of each why it was picked or not.
    pub fn choose<R: Referee>(
        &self,
        photos: &[PhotoReport],
        candidates: &[Photo],
        rules: &Rules,
        groups: &Groups,
        models: &AlbumModels,
        referee: &mut R,
    ) -> Result<Vec<Verdict>, R::Error> {
        let close = select::needs_comparison(candidates, rules).map_err(ModelHubError::from)?;
        let begun = Instant::now();
        let tiebreaker = if close.is_empty() { None } else { Tiebreaker::compare(photos, &close, models, referee)? };
        if tiebreaker.is_some() {
            self.telemetry().add(TIE_BREAK, begun.elapsed(), close.len() as u64);
        }
        self.unless_stopped()?;
        let distance = |a: usize, b: usize| Some(1.0 - groups.embeddings.cosine(a, b));
        let prefer = tiebreaker.as_ref().map(|tiebreaker| move |a: usize, b: usize| tiebreaker.prefer(a, b));
        let better = prefer.as_ref().map(|prefer| prefer as &dyn Fn(usize, usize) -> Option<f64>);
        let comparator = Comparator { better, distance: &distance };
        let verdicts = self.telemetry().time("select_best", || select::select(candidates, rules, comparator));
        Ok(verdicts.map_err(ModelHubError::from)?)
    }
}

/// The comparison model with the features of the photos in a tie-break.
struct Tiebreaker {
    comparing: Arc<Comparing>,
    features: HashMap<usize, Vec<f32>>,
}

impl Tiebreaker {
    /// Each photo passes the network once, and not again where the model that rated it is the one that compares. A
    /// photo that fails is a coin flip against everybody.
    fn compare<R: Referee>(
        photos: &[PhotoReport],
        close: &[usize],
        models: &AlbumModels,
        referee: &mut R,
    ) -> Result<Option<Self>, R::Error> {
        let comparing = match &models.comparing {
            Some(comparing) => Some(Arc::clone(comparing)),
            None => referee.comparing()?.map(Arc::new),
        };
        let Some(comparing) = comparing else { return Ok(None) };
        let is_also = |rating: &crate::analyses::Rating| rating.network.is_also(&comparing.network);
        let rated_by_it = models.rating.as_ref().map_or(Ok(false), is_also).map_err(ModelHubError::from)?;
        let strength = |photo: usize| photos[photo].aesthetic.as_ref()?.strength.filter(|_| rated_by_it);
        let mut features: HashMap<usize, Vec<f32>> =
            close.iter().filter_map(|&photo| Some((photo, vec![strength(photo)?]))).collect();
        let unseen: Vec<usize> = close.iter().copied().filter(|photo| !features.contains_key(photo)).collect();
        if !unseen.is_empty() {
            let paths: Vec<_> = unseen.iter().map(|&photo| photos[photo].path.as_path()).collect();
            let index: HashMap<_, usize> = paths.iter().copied().zip(unseen.iter().copied()).collect();
            for report in referee.look_at(&named(&paths), &*comparing)? {
                let photo = index.get(report.path.as_path());
                features.extend(photo.and_then(|&photo| Some((photo, report.comparison?))));
            }
        }
        Ok(Some(Self { comparing, features }))
    }

    fn prefer(&self, a: usize, b: usize) -> Option<f64> {
        let (a, b) = (self.features.get(&a)?, self.features.get(&b)?);
        self.comparing.network.prefer(a, b).ok().map(f64::from)
    }
}
