//! Comparing the whole selection with labels: its groups, its picks, its order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::groups::agreeing;
use super::{DRAWS, DataArgs, Judgement, baselines, figure, groups_of, medium, order};
use crate::commands::album::{self, EmbeddingsRead};
use crate::commands::open_models::Networks;
use crate::commands::photos::Tally;
use crate::commands::select::{ChoiceArgs, choose};
use crate::context::Context;
use crate::error::CommandError;
use crate::library::Groups;
use crate::library::choice::candidates;
use crate::library::model_selection::AlbumModels;
use crate::photo_report::PhotoReport;
use base::pixels::Pixels;
use photo::scan::{self, Scan};
use train::eval::bootstrap;
use train::photos::Label;

const SUBJECT: &str = "select";

pub fn judge(data: &DataArgs, labels: &[Label], context: &Context) -> Result<Judgement, CommandError> {
    let truth = groups_of(labels)?;
    let networks = Networks::configured(context)?;
    let models = networks.hub.album_models(&mut &networks)?;
    let reports = gather(data, labels, &models, &networks, context)?;
    let found = networks.hub.cluster(&reports)?;
    let mut figures = agreeing("selection", SUBJECT, "groups", &truth, &found.clustering.labels);
    let alone: Vec<usize> = (0..labels.len()).collect();
    figures.extend(agreeing("selection", "each photo alone", "groups", &truth, &alone));
    figures.extend(agreeing("selection", "all together", "groups", &truth, &vec![0; labels.len()]));

    let picks = Picks::of(&reports, &found, &models, &networks, context)?;
    figures.extend(album_figures(labels, &truth, &picks));

    // The order is evaluated within the given groups, so that a missed group does not count twice.
    let mut given = found;
    given.clustering.labels = truth.iter().map(|&group| group as i64).collect();
    let picks = Picks::of(&reports, &given, &models, &networks, context)?;
    let photos: Vec<Pixels> = data.decoded(labels)?.iter().map(|photo| medium(photo, context)).collect();
    let mut orders = vec![(SUBJECT.to_owned(), picks.order())];
    orders.extend(baselines::orders(data, labels, &photos, context)?);
    let mut judgement = order::judge("selection", &orders, labels, &truth, data.margin);
    figures.append(&mut judgement.figures);
    Ok(Judgement { figures, ..judgement })
}

/// Analyses the photos like `select`, in the order of the labels.
fn gather(
    data: &DataArgs,
    labels: &[Label],
    models: &AlbumModels,
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Vec<PhotoReport>, CommandError> {
    let paths: Vec<PathBuf> = labels.iter().map(|label| data.folder().join(&label.file)).collect();
    let photos = paths.iter().map(|path| scan::Photo { path: path.clone(), raws: Vec::new() }).collect();
    let scan = Scan { photos, ..Scan::default() };
    let (reports, _) = album::gather(&scan, models, EmbeddingsRead::AtOnce, None, &networks.hub, context)?;
    let mut by_path: HashMap<PathBuf, PhotoReport> =
        reports.into_iter().map(|photo| (photo.path.clone(), photo)).collect();
    let found = |path: &PathBuf| {
        by_path.remove(path).ok_or_else(|| {
            CommandError::failed(anyhow::anyhow!("{}: it cannot be judged with the others", Path::display(path)))
        })
    };
    paths.iter().map(found).collect()
}

/// A selection of one photo per group, with the composite scores.
struct Picks {
    picked: Vec<bool>,
    composite: Vec<f64>,
}

impl Picks {
    fn of(
        reports: &[PhotoReport],
        groups: &Groups,
        models: &AlbumModels,
        networks: &Networks<'_>,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let photos = candidates(reports, groups, &vec![None; reports.len()]);
        let rules = ChoiceArgs { per_cluster: Some(1), ..ChoiceArgs::default() }.rules(context);
        let mut tally = Tally::default();
        let verdicts = choose(reports, &photos, &rules, groups, models, networks, &mut tally, context)?;
        let mut picks = Self { picked: vec![false; reports.len()], composite: vec![0.0; reports.len()] };
        for verdict in verdicts {
            picks.picked[verdict.photo] = verdict.selected();
            picks.composite[verdict.photo] = verdict.composite.unwrap_or(0.0);
        }
        Ok(picks)
    }

    /// Values that order photos: the pick first, the others by their composite score.
    fn order(&self) -> Vec<f64> {
        // A composite score is at most 1.
        self.picked
            .iter()
            .zip(&self.composite)
            .map(|(&picked, composite)| f64::from(u8::from(picked)) * 2.0 + composite)
            .collect()
    }
}

/// The photos picked from one given group, whatever groups were found.
struct GroupCoverage {
    /// Whether the best take was picked.
    best: f64,
    /// The difference between the score of the group's best photo and that of its best pick, or 0 without a pick.
    short: f64,
    picks: f64,
}

fn album_figures(labels: &[Label], truth: &[usize], picks: &Picks) -> Vec<crate::report::records::EvalRecord> {
    let groups = truth.iter().max().map_or(0, |most| most + 1);
    let shown: Vec<GroupCoverage> = (0..groups)
        .map(|group| {
            let members: Vec<usize> = (0..labels.len()).filter(|&i| truth[i] == group).collect();
            let score = |i: &usize| f64::from(labels[*i].score);
            let best = members.iter().map(score).fold(f64::MIN, f64::max);
            let of_picked: Vec<f64> = members.iter().filter(|&&i| picks.picked[i]).map(score).collect();
            let most = of_picked.iter().copied().fold(0.0, f64::max);
            GroupCoverage {
                best: f64::from(u8::from(!of_picked.is_empty() && most >= best)),
                short: best - most,
                picks: of_picked.len() as f64,
            }
        })
        .collect();
    let metrics: [(&str, fn(&GroupCoverage) -> f64); 3] = [
        ("best_picked", |shown| shown.best),
        ("falls_short", |shown| shown.short),
        ("picks_per_group", |shown| shown.picks),
    ];
    let of_metric = |(name, metric): (&str, fn(&GroupCoverage) -> f64)| {
        let mean = |groups: &[&GroupCoverage]| {
            groups.iter().map(|shown| metric(shown)).sum::<f64>() / groups.len().max(1) as f64
        };
        let [low, high] = bootstrap::interval(&shown, DRAWS, 1, mean);
        let mut row = figure("selection", SUBJECT, "album", name);
        row.value = mean(&shown.iter().collect::<Vec<_>>());
        (row.low, row.high, row.count) = (Some(low), Some(high), shown.len());
        row
    };
    metrics.into_iter().map(of_metric).collect()
}
