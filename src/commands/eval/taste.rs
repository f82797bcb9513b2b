//! Simulated people with a taste: how many decisions it takes until what is learned from them helps, and that it never harms.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{Judgement, figure};
use crate::arguments::PhotoArgs;
use crate::commands::album::{Budget, EmbeddingsRead, Gathered, Sought};
use crate::commands::learning::{self, Lessons};
use crate::commands::open_models::Networks;
use crate::commands::people::PeopleNeed;
use crate::commands::photos::{self, Tally};
use crate::commands::query::QueryArgs;
use crate::commands::select::{ChoiceArgs, choose};
use crate::commands::sequences::Sequences;
use crate::context::Context;
use crate::error::CommandError;
use crate::journal::TasteExample;
use crate::library::choice::candidates;
use crate::photo_report::PhotoReport;
use crate::report::html::thumbnail_budget;
use crate::report::records::EvalRecord;
use judge::select::{Decision, Photo, Rules, ScoreParts};
use judge::taste::Features;
use photo::Scale;
use train::rng::Rng;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    photos: PhotoArgs,

    /// People of each kind
    #[arg(long, value_name = "N", default_value_t = 20)]
    draws: u64,

    /// Part of the decisions that are mistakes
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    mistakes: f64,
}

/// Numbers of decisions after which people are evaluated.
const DECISIONS: [usize; 8] = [5, 10, 15, 20, 30, 50, 80, 120];
/// A person who decides at random.
const RANDOM: &str = "random";

/// Classes of ImageNet that are landscapes.
const LANDSCAPES: [&str; 8] = ["alp", "cliff", "lakeside", "promontory", "sandbar", "seashore", "valley", "volcano"];

pub(super) fn judge(args: &Args, context: &Context) -> Result<Judgement, CommandError> {
    if !(0.0..=0.5).contains(&args.mistakes) {
        return Err(CommandError::usage(anyhow::anyhow!("--mistakes must be a number from 0 to 0.5")));
    }
    let networks = Networks::configured(context)?;
    let classification = networks.hub.classification_if_here()?;
    let scan = photos::find(&args.photos, context)?;
    let Gathered { mut reports, models, .. } = Gathered::from_photos(
        &scan,
        Sought {
            people: PeopleNeed::None,
            query: &QueryArgs::default(),
            sequences: Sequences::Ignore,
            embeddings: EmbeddingsRead::AtOnce,
        },
        Some(thumbnail_budget as Budget),
        &networks,
        context,
    )?;
    if let Some(classification) = &classification {
        // Classes are computed separately, so that the choice has the same inputs as in `select`.
        let mut classes = BTreeMap::new();
        photos::analyse(&scan, &[classification], networks.hub.medium(), &networks.hub, context, |_, report| {
            classes.insert(report.path, report.classified);
            Ok(())
        })?;
        reports.iter_mut().for_each(|report| report.classified = classes.remove(&report.path).flatten());
    }
    photos::unless_interrupted(context)?;
    let groups = networks.hub.cluster(&reports)?;
    let photos = candidates(&reports, &groups, &vec![None; reports.len()]);
    let rules = ChoiceArgs::default().rules(context);
    let mut tally = Tally::default();
    let verdicts = choose(&reports, &photos, &rules, &groups, &models, &networks, &mut tally, context)?;
    let mut picked = vec![false; reports.len()];
    verdicts.iter().for_each(|verdict| picked[verdict.photo] = verdict.selected());
    let album = Album::of(&reports, &photos, &rules);
    let mut figures = Vec::new();
    for (person, likes) in people(&reports, context) {
        figures.extend(album.figures(person, likes.as_deref(), args));
        if let Some(likes) = likes {
            figures.extend(false_demotions(person, &likes, &photos, &picked));
        }
    }
    Ok(Judgement { figures, ..Judgement::default() })
}

/// The people, each with the value of every photo to them; `None` for the random one.
fn people(reports: &[PhotoReport], context: &Context) -> Vec<(&'static str, Option<Vec<f64>>)> {
    let faces = |report: &PhotoReport| {
        let portrait = report.portrait.as_ref()?;
        Some(portrait.num_faces.min(3) as f64 + portrait.face_ratio.unwrap_or(0.0))
    };
    let landscapes = |report: &PhotoReport| {
        let classified = report.classified.as_ref()?;
        let named = classified.classes.iter().zip(&classified.likely);
        let are = named.filter(|(name, _)| LANDSCAPES.iter().any(|word| name.split(", ").any(|it| it == *word)));
        Some(are.map(|(_, likely)| f64::from(*likely)).sum())
    };
    let colour = |report: &PhotoReport| report.quality.as_ref().map(|quality| quality.colorfulness_raw);
    let wide: Vec<Option<f64>> = reports.par_iter().map(horizon).collect();
    let by_report = |of: &dyn Fn(&PhotoReport) -> Option<f64>| reports.iter().map(of).collect();
    let all: [(&'static str, Vec<Option<f64>>); 4] = [
        ("faces", by_report(&faces)),
        ("landscapes", by_report(&landscapes)),
        ("colour", by_report(&colour)),
        ("wide views", wide),
    ];
    let mut people = Vec::new();
    for (person, values) in all {
        let mut sorted: Vec<f64> = values.iter().copied().flatten().collect();
        sorted.sort_by(f64::total_cmp);
        if sorted.first() == sorted.last() {
            context.ui.note(&format!("nobody who likes {person}: a model for it is missing, or no photo has any"));
            continue;
        }
        // The middle of equal values, so that those without any are below one half.
        let below = |value: f64| {
            let (less, not_more) =
                (sorted.partition_point(|other| *other < value), sorted.partition_point(|other| *other <= value));
            (less + not_more) as f64 / 2.0 / sorted.len() as f64
        };
        people.push((person, Some(values.into_iter().map(|value| value.map_or(0.0, below)).collect())));
    }
    people.push((RANDOM, None));
    people
}

/// How much less detail the upper third has than the lower: wide views have sky above and ground below.
fn horizon(report: &PhotoReport) -> Option<f64> {
    let jpeg = &report.thumbnail.as_ref()?.jpeg;
    let pixels = photo::decode(jpeg, Scale::Full, &photo::Limits::default()).ok()?.pixels;
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let light = |x: usize, y: usize| f64::from(pixels.data()[3 * (y * width + x) + 1]);
    let restless = |from: usize, to: usize| {
        let changes = (from..to).flat_map(|y| (1..width).map(move |x| (light(x, y) - light(x - 1, y)).abs()));
        changes.sum::<f64>() / ((to - from) * width).max(1) as f64
    };
    Some(((restless(2 * height / 3, height) + 1.0) / (restless(0, height / 3) + 1.0)).ln())
}

/// The photos with what a taste is learned from.
struct Album<'a> {
    reports: &'a [PhotoReport],
    examples: Vec<TasteExample>,
    /// Photos of one scene have the same; a photo in no scene is one of its own.
    scenes: Vec<usize>,
}

/// A person after some decisions.
struct Outcome {
    default: f64,
    gain: f64,
    counts: bool,
}

impl<'a> Album<'a> {
    fn of(reports: &'a [PhotoReport], photos: &[Photo], rules: &Rules) -> Self {
        let scenes = photos.iter().enumerate().map(|(at, photo)| photo.group.unwrap_or(photos.len() + at)).collect();
        let described = |(report, photo): (&PhotoReport, &Photo)| {
            let composite = ScoreParts::of(photo, &rules.weights).composite();
            Some(learning::described(report.id()?, report, composite))
        };
        let examples = reports.iter().zip(photos).filter_map(described).collect();
        Self { reports, examples, scenes }
    }

    fn figures(&self, person: &str, likes: Option<&[f64]>, args: &Args) -> Vec<EvalRecord> {
        let mut figures = Vec::new();
        for count in DECISIONS {
            let draws: Vec<u64> = (0..args.draws).collect();
            let outcomes: Vec<Outcome> =
                draws.par_iter().filter_map(|&draw| self.outcome(likes, count, args.mistakes, draw)).collect();
            if outcomes.is_empty() {
                continue;
            }
            let mut of = |metric: &str, value: &dyn Fn(&Outcome) -> f64| {
                let mut values: Vec<f64> = outcomes.iter().map(value).collect();
                values.sort_by(f64::total_cmp);
                let mut row = figure("taste", person, &format!("{count} decisions"), metric);
                row.value = values.iter().sum::<f64>() / values.len() as f64;
                (row.low, row.high) = (values.first().copied(), values.last().copied());
                row.count = values.len();
                figures.push(row);
            };
            if likes.is_some() {
                of("default_auc", &|outcome| outcome.default);
                of("gain_on", &|outcome| outcome.gain);
                of("gain_auto", &|outcome| if outcome.counts { outcome.gain } else { 0.0 });
            }
            of("counts", &|outcome| f64::from(u8::from(outcome.counts)));
        }
        figures
    }

    /// Half of the scenes are decided about, one photo each; the other half is ordered. `None` where there are too few.
    fn outcome(&self, likes: Option<&[f64]>, count: usize, mistakes: f64, draw: u64) -> Option<Outcome> {
        let mut rng = Rng::at(draw, [0, 0]);
        let mut scenes: Vec<usize> = self.scenes.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        rng.shuffle(&mut scenes);
        let (decided, unseen) = scenes.split_at(scenes.len() / 2);
        let mut photos: Vec<usize> = (0..self.scenes.len()).collect();
        rng.shuffle(&mut photos);
        let mut open: BTreeSet<usize> = decided.iter().copied().collect();
        let chosen: Vec<usize> =
            photos.iter().copied().filter(|&photo| open.remove(&self.scenes[photo])).take(count).collect();
        if chosen.len() < count {
            return None;
        }
        let is_liked = |photo: usize, rng: &mut Rng| {
            let coin = f64::from(rng.unit());
            likes.map_or(coin < 0.5, |likes| (likes[photo] > 0.5) != (coin < mistakes))
        };
        let mut examples: Vec<_> = chosen
            .iter()
            .map(|&photo| {
                let word = if is_liked(photo, &mut rng) { Decision::Keep } else { Decision::Reject };
                TasteExample { decision: Some(word), ..self.examples[photo].clone() }
            })
            .collect();
        examples.sort_by_key(|example| example.photo.content);
        let model = examples[0].model.clone();
        let learned = Lessons { examples, ..Lessons::default() }.learn(&model)?;
        let unseen: BTreeSet<usize> = unseen.iter().copied().collect();
        let unseen: Vec<usize> = (0..self.scenes.len()).filter(|&photo| unseen.contains(&self.scenes[photo])).collect();
        let score = |photo: usize| self.examples[photo].facts.composite.unwrap_or(0.5);
        let with_taste = |photo: usize| {
            let features: Features = learning::features_of(&self.reports[photo], &model);
            (score(photo) + learned.taste.adds(&features)).clamp(0.0, 1.0)
        };
        let likes = |photo: usize| likes.is_some_and(|likes| likes[photo] > 0.5);
        let default = auc(&unseen, &likes, &score);
        Some(Outcome { default, gain: auc(&unseen, &likes, &with_taste) - default, counts: learned.helps() })
    }
}

/// The probability that a liked photo is scored higher than another one.
fn auc(photos: &[usize], likes: &dyn Fn(usize) -> bool, score: &dyn Fn(usize) -> f64) -> f64 {
    let mut scored: Vec<(f64, bool)> = photos.iter().map(|&photo| (score(photo), likes(photo))).collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut others, mut liked, mut sum) = (0.0, 0.0, 0.0);
    for equal in scored.chunk_by(|a, b| a.0 == b.0) {
        let here = equal.iter().filter(|(_, is_liked)| *is_liked).count() as f64;
        let not = equal.len() as f64 - here;
        sum += here * (others + not / 2.0);
        (others, liked) = (others + not, liked + here);
    }
    if others * liked > 0.0 { sum / (others * liked) } else { 0.5 }
}

/// Of the photos that a person would keep, in scenes with several: how many the default choice did not pick, though it
/// picked another of the scene that she would not keep.
fn false_demotions(person: &str, likes: &[f64], photos: &[Photo], picked: &[bool]) -> Option<EvalRecord> {
    let mut scenes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, photo) in photos.iter().enumerate() {
        scenes.entry(photo.group?).or_default().push(at);
    }
    let (mut kept, mut demoted) = (0_usize, 0_usize);
    for members in scenes.values().filter(|members| members.len() > 1) {
        let best = members.iter().map(|&photo| likes[photo]).fold(0.0, f64::max);
        // Of each scene she keeps what she likes best.
        for &photo in members.iter().filter(|&&photo| likes[photo] == best && best > 0.5) {
            kept += 1;
            let is_demoted = !picked[photo] && members.iter().any(|&other| picked[other] && likes[other] < best);
            demoted += usize::from(is_demoted);
        }
    }
    let mut row = figure("taste", person, "default choice", "false_demotions");
    (row.value, row.count) = (demoted as f64 / kept.max(1) as f64, kept);
    (kept > 0).then_some(row)
}
