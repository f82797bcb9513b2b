//! `albumctl compare`: compares two photos, or ranks more.

use std::path::{Path, PathBuf};

use super::open_models::{NetworkArgs, Networks};
use super::photos::{self, Tally};
use super::select::ChoiceArgs;
use crate::analyses::ComparisonAnalysis;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::model_selection::{COMPARES, COMPARISON_MODEL};
use crate::library::{ModelHubError, choice};
use crate::report::records::{Method, PairRecord, RankRecord};
use hub::{Comparator, HubError, ModelChoice, TaskNetwork as _};
use judge::select::ScoreParts;
use photo::scan::Scan;

/// Compare photos: which is better; of more than two, a ranking
///
/// Every photo is compared with every other one, in both orders, and the photo with the most wins comes first. If the
/// configured model for pairs is missing, the built-in model compares, and a note says so.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,

    /// The comparison: the configured model for pairs or else the built-in one (auto), one of them alone, or the album score
    #[arg(long, value_enum, value_name = "WHAT", default_value = "auto", conflicts_with = "model")]
    pub comparer: Comparer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Comparer {
    Auto,
    Siamese,
    AlbumMini,
    Composite,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&args.network, context)?;
    let scan = photos::find(&args.photos, context)?;
    if scan.photos.len() + scan.unreadable.len() < 2 && args.photos.paths.len() < 2 {
        return Err(CommandError::usage(anyhow::anyhow!("comparison takes two photos at least")));
    }
    let (contest, tally) = match args.comparer {
        Comparer::Composite => Contest::of_scores(&scan, &networks, context)?,
        comparer => Contest::of_pairs(args.comparator(comparer, &networks, context)?, &scan, &networks, context)?,
    };
    photos::unless_interrupted(context)?;
    // The same photo named twice is found once; compared with itself it ties.
    let twice = contest.paths.len() == 1 && args.photos.paths.len() == 2 && tally.failed == 0;
    if contest.paths.len() == 2 || twice {
        contest.write_pair([0, usize::from(!twice)], context)?;
    } else if contest.paths.len() > 2 {
        contest.write_ranking(context)?;
    }
    Ok(tally.end("compare", context))
}

impl Args {
    fn comparator(
        &self,
        comparer: Comparer,
        networks: &Networks<'_>,
        context: &Context,
    ) -> Result<Comparator, CommandError> {
        let configured = context.settings().quality_assessment.siamese_checkpoint.as_deref();
        let which = self.network.which(configured, COMPARISON_MODEL);
        match comparer {
            Comparer::AlbumMini => networks.open(ModelChoice::Name(hub::MINI)),
            Comparer::Siamese => networks.open(which),
            _ => networks.open_or_built_in(self.network.model.is_some(), which, COMPARES),
        }
    }
}

/// Photos with the function that compares them.
struct Contest {
    method: Method,
    paths: Vec<PathBuf>,
    /// The scores of the photos, where they are compared by one number each.
    scores: Option<Vec<f64>>,
    /// The probability that the first index is the better photo.
    better: Box<dyn Fn(usize, usize) -> Result<f64, HubError>>,
}

impl Contest {
    fn of_pairs(
        comparator: Comparator,
        scan: &Scan,
        networks: &Networks<'_>,
        context: &Context,
    ) -> Result<(Self, Tally), CommandError> {
        let comparison = ComparisonAnalysis::new(comparator)?;
        let (mut paths, mut features) = (Vec::new(), Vec::new());
        let hub = &networks.hub;
        let tally = photos::analyse(scan, &[&comparison], hub.medium(), hub, context, |_, report| {
            features.push(report.comparison.ok_or(ModelHubError::Unanswered)?);
            paths.push(report.path);
            Ok(())
        })?;
        let comparator = comparison.network;
        let reference = comparator.reference();
        let name = if reference.split('@').next() == Some(hub::MINI) { hub::MINI } else { "siamese" };
        let single = |features: &Vec<f32>| if let [one] = features[..] { Some(f64::from(one)) } else { None };
        let scores = features.iter().map(single).collect();
        // The larger probability is computed from the smaller one, so that both orders give matching digits.
        let better = move |a: usize, b: usize| {
            let ahead = f64::from(comparator.prefer(&features[a], &features[b])?);
            let behind = f64::from(comparator.prefer(&features[b], &features[a])?);
            Ok(if ahead > behind { 1.0 - behind } else { ahead })
        };
        let method = Method { name, model: Some(reference) };
        Ok((Self { method, paths, scores, better: Box::new(better) }, tally))
    }

    /// Compares by the composite score, like the original system without a comparison model: the confidence grows with the
    /// relative lead of the better photo.
    fn of_scores(scan: &Scan, networks: &Networks<'_>, context: &Context) -> Result<(Self, Tally), CommandError> {
        let hub = &networks.hub;
        let models = hub.album_models(&mut &*networks)?;
        let weights = ChoiceArgs::default().rules(context).weights;
        let (mut paths, mut scores) = (Vec::new(), Vec::new());
        let tally = photos::analyse(scan, &models.analyses(), hub.medium(), hub, context, |_, report| {
            let parts = ScoreParts::of(&choice::candidate(&report, None, None), &weights);
            scores.push(parts.composite().ok_or(ModelHubError::Unanswered)?);
            paths.push(report.path);
            Ok(())
        })?;
        let of = scores.clone();
        let better = move |a: usize, b: usize| {
            let (a, b) = (of[a], of[b]);
            let lead = ((a - b).abs() / a.max(b).max(0.001)).min(1.0);
            Ok(0.5 + if a > b { lead / 2.0 } else { -lead / 2.0 })
        };
        let method = Method { name: "composite", model: None };
        Ok((Self { method, paths, scores: Some(scores), better: Box::new(better) }, tally))
    }

    fn write_pair(&self, [first, second]: [usize; 2], context: &Context) -> Result<(), CommandError> {
        let probability = (self.better)(first, second)?;
        let paths = [first, second].map(|index| Path::new(&self.paths[index]));
        let mut output = context.output::<PairRecord>()?;
        let scores = self.scores.as_ref().map(|scores| [scores[first], scores[second]]);
        output.write(&context.ui, &PairRecord::new(paths, probability, &self.method, scores))?;
        Ok(output.finish(&context.ui)?)
    }

    fn write_ranking(&self, context: &Context) -> Result<(), CommandError> {
        let count = self.paths.len();
        let mut results: Vec<ContestResult> =
            (0..count).map(|photo| ContestResult { photo, wins: 0, sum: 0.0 }).collect();
        for a in 0..count {
            for b in a + 1..count {
                let probability = (self.better)(a, b)?;
                results[a].add(probability);
                results[b].add(1.0 - probability);
            }
        }
        results.sort_by(|a, b| {
            let by_wins = b.wins.cmp(&a.wins).then(b.sum.total_cmp(&a.sum));
            by_wins.then_with(|| self.paths[a.photo].cmp(&self.paths[b.photo]))
        });
        let mut output = context.output::<RankRecord>()?;
        for (place, ContestResult { photo, wins, sum }) in results.into_iter().enumerate() {
            let confidence = sum / (count - 1) as f64;
            let record = RankRecord::new(place + 1, &self.paths[photo], wins, confidence, &self.method);
            output.write(&context.ui, &record)?;
        }
        Ok(output.finish(&context.ui)?)
    }
}

/// A photo's result against all others: its wins and the sum of its win probabilities.
struct ContestResult {
    photo: usize,
    wins: usize,
    sum: f64,
}

impl ContestResult {
    fn add(&mut self, probability: f64) {
        self.wins += usize::from(probability > 0.5);
        self.sum += probability;
    }
}
