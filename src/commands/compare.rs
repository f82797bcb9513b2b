//! `albumctl compare`: which of two photos is better; of more, a ranking.

use std::path::{Path, PathBuf};

use super::experts::Experts;
use super::networks::{self, NetworkArgs, Networks};
use super::photos::{self, Tally};
use crate::analyses::Comparing;
use crate::cli::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::hub::{Comparator, HubError, Network as _};
use crate::library::comparing::{self, weights};
use crate::photo::scan::Scan;
use crate::report::records::{Method, PairRecord, RankRecord};

pub const MODEL: &str = "siamese-resnet50";

/// Which photo is better; of more than two, a ranking
///
/// Every photo meets every other one, each pair is asked both ways round, and most wins comes first. Without a model for
/// comparing, the composite of `select` decides, which is said: aesthetic, technical and portrait part, as far as their
/// models are there.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    #[command(flatten)]
    pub network: NetworkArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::new(&args.network, context)?;
    let scan = photos::find(&args.photos, context)?;
    if scan.photos.len() + scan.unreadable.len() < 2 && args.photos.paths.len() < 2 {
        return Err(CommandError::usage(anyhow::anyhow!("comparing takes two photos at least")));
    }
    let configured = context.settings().quality_assessment.siamese_checkpoint.as_deref();
    let which = args.network.which(configured, MODEL);
    let comparator = match &args.network.model {
        Some(_) => Some(networks.open(which, context)?),
        None => networks.open_or_without(which, "comparing by composite score", context)?,
    };
    let (contest, tally) = match comparator {
        Some(comparator) => Contest::of_pairs(comparator, &scan, &networks, context)?,
        None => Contest::of_scores(&scan, context)?,
    };
    networks.tell(context);
    // The same photo named twice is one photo; compared with itself it ties.
    let twice = contest.paths.len() == 1 && args.photos.paths.len() == 2 && tally.failed == 0;
    if contest.paths.len() == 2 || twice {
        contest.write_pair([0, usize::from(!twice)], context)?;
    } else if contest.paths.len() > 2 {
        contest.write_ranking(context)?;
    }
    Ok(tally.end("compare", context))
}

/// What photos are compared by, photo by photo.
struct Contest {
    method: Method,
    paths: Vec<PathBuf>,
    /// The probability that the first index is the better photo.
    better: Box<dyn Fn(usize, usize) -> Result<f64, HubError>>,
    scores: Option<Vec<f64>>,
}

impl Contest {
    fn of_pairs(
        comparator: Comparator,
        scan: &Scan,
        networks: &Networks,
        context: &Context,
    ) -> Result<(Self, Tally), CommandError> {
        let comparing = Comparing::new(comparator).map_err(networks::refused)?;
        let (mut paths, mut features) = (Vec::new(), Vec::new());
        let medium = Some(context.settings().thumbnail_sizes.medium);
        let tally = photos::analyse(scan, &[&comparing], medium, context, |photo, analysed| {
            networks.tell(context);
            paths.push(photo.path.clone());
            features.push(Comparing::read(&analysed.findings[0]));
            Ok(())
        })?;
        let method = Method { name: "siamese", model: Some(comparing.network.reference()) };
        let comparator = comparing.network;
        let better = move |a: usize, b: usize| comparator.prefer(&features[a], &features[b]).map(f64::from);
        Ok((Self { method, paths, better: Box::new(better), scores: None }, tally))
    }

    /// Without a model for pairs: what `select` ranks by.
    fn of_scores(scan: &Scan, context: &Context) -> Result<(Self, Tally), CommandError> {
        let settings = context.settings();
        let experts = Experts::for_scores(context)?;
        let weights = weights(&settings.album.selection);
        weights.check().map_err(CommandError::usage)?;
        let panel = experts.panel(settings);
        let (mut paths, mut scores) = (Vec::new(), Vec::new());
        let medium = Some(settings.thumbnail_sizes.medium);
        let tally = photos::analyse(scan, &panel.analyses(), medium, context, |photo, analysed| {
            experts.tell(context);
            let (found, _) = panel.read(&analysed.findings)?;
            paths.push(photo.path.clone());
            scores.push(comparing::composite(&found, &weights));
            Ok(())
        })?;
        let method = Method { name: "composite", model: None };
        let by_score = scores.clone();
        let better = move |a: usize, b: usize| Ok(comparing::likelihood(by_score[a], by_score[b]));
        Ok((Self { method, paths, better: Box::new(better), scores: Some(scores) }, tally))
    }

    fn write_pair(&self, [first, second]: [usize; 2], context: &Context) -> Result<(), CommandError> {
        let probability = (self.better)(first, second).map_err(networks::refused)?;
        let paths = [first, second].map(|index| Path::new(&self.paths[index]));
        let scores = self.scores.as_ref().map(|scores| [scores[first], scores[second]]);
        let mut output = context.output::<PairRecord>()?;
        output.write(&context.ui, &PairRecord::new(paths, probability, &self.method, scores))?;
        Ok(output.finish(&context.ui)?)
    }

    fn write_ranking(&self, context: &Context) -> Result<(), CommandError> {
        let count = self.paths.len();
        let mut standing: Vec<Standing> = (0..count).map(|photo| Standing { photo, wins: 0, sum: 0.0 }).collect();
        for a in 0..count {
            for b in a + 1..count {
                let probability = (self.better)(a, b).map_err(networks::refused)?;
                standing[a].meet(probability);
                standing[b].meet(1.0 - probability);
            }
        }
        standing.sort_by(|a, b| {
            let by_wins = b.wins.cmp(&a.wins).then(b.sum.total_cmp(&a.sum));
            by_wins.then_with(|| self.paths[a.photo].cmp(&self.paths[b.photo]))
        });
        let mut output = context.output::<RankRecord>()?;
        for (place, Standing { photo, wins, sum }) in standing.into_iter().enumerate() {
            let confidence = sum / (count - 1) as f64;
            let record = RankRecord::new(place + 1, &self.paths[photo], wins, confidence, &self.method);
            output.write(&context.ui, &record)?;
        }
        Ok(output.finish(&context.ui)?)
    }
}

/// How a photo did against all others.
struct Standing {
    photo: usize,
    wins: usize,
    sum: f64,
}

impl Standing {
    fn meet(&mut self, probability: f64) {
        self.wins += usize::from(probability > 0.5);
        self.sum += probability;
    }
}
