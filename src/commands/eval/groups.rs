//! Groups found by embeddings, against given ones.

use rayon::prelude::*;

use super::{DRAWS, DataArgs, Judgement, figure, groups_of, medium};
use crate::commands::open_models::Networks;
use crate::context::Context;
use crate::error::CommandError;
use crate::report::records::EvalRecord;
use base::pixels::Pixels;
use hub::{Embedder, Network as _};
use judge::cluster::{self, Embeddings, Input, Method, Noise, agglomerative, hdbscan, scene_layout};
use photo::resize;
use train::eval::bootstrap;
use train::eval::grouping::{Agreement, Counted};
use train::photos::Label;

pub fn judge(
    data: &DataArgs,
    labels: &[Label],
    networks: &Networks<'_>,
    context: &Context,
) -> Result<Judgement, CommandError> {
    let truth = groups_of(labels)?;
    let file = context.settings().album.clustering.feature_checkpoint.as_deref();
    let model: Embedder = networks.open(data.network.which(file, hub::MINI))?;
    let photos: Vec<Pixels> = data.decoded(labels)?.iter().map(|photo| medium(photo, context)).collect();
    let learned =
        |photo: &Pixels| -> Result<Vec<f32>, CommandError> { Ok(model.embed(std::slice::from_ref(photo))?.concat()) };
    let described: [(String, Box<dyn Fn(&Pixels) -> Result<Vec<f32>, CommandError> + Sync>); 4] = [
        (model.reference(), Box::new(learned)),
        (
            format!("{}@{}", scene_layout::NAME, scene_layout::VERSION),
            Box::new(|photo| Ok(scene_layout::describe(photo))),
        ),
        ("colour histogram".into(), Box::new(|photo| Ok(histogram(photo)))),
        ("pixels".into(), Box::new(|photo| Ok(plain_pixels(photo)))),
    ];
    let mut figures = Vec::new();
    for (subject, describe) in &described {
        let rows: Vec<Vec<f32>> = photos.par_iter().map(describe).collect::<Result<_, _>>()?;
        let dim = rows.first().map_or(0, Vec::len);
        let embeddings = Embeddings::new(&rows.concat(), dim).map_err(CommandError::failed)?;
        let times = vec![None; labels.len()];
        // The defaults fit albums, in which most scenes have one take or two; bursts have many.
        let many = hdbscan::Params { min_cluster_size: 5, min_samples: Some(1), epsilon: 0.0 };
        let methods = [
            ("hdbscan", Method::Hdbscan(hdbscan::Params::default())),
            ("hdbscan, size 5", Method::Hdbscan(many)),
            ("agglomerative", Method::Agglomerative(agglomerative::Params::default())),
        ];
        for (name, method) in methods {
            let input = Input::new(&embeddings, &times);
            let found = cluster::cluster(&input, &method, Noise::AsIndividualClusters).map_err(CommandError::failed)?;
            figures.extend(agreeing("groups", subject, name, &truth, &found.labels));
        }
    }
    Ok(Judgement { figures, ..Judgement::default() })
}

/// How far found groups agree with given ones; intervals by drawing given groups again.
pub fn agreeing<T: PartialEq>(task: &str, subject: &str, part: &str, truth: &[usize], found: &[T]) -> Vec<EvalRecord> {
    let counted = Counted::new(truth, found);
    let whole = counted.agreement();
    let groups: Vec<usize> = (0..counted.groups()).collect();
    let metrics: [(&str, fn(&Agreement) -> f64); 4] = [
        ("f1", |agreement| agreement.f1),
        ("precision", |agreement| agreement.precision),
        ("recall", |agreement| agreement.recall),
        ("ari", |agreement| agreement.adjusted_rand),
    ];
    let of_metric = |(name, metric): (&str, fn(&Agreement) -> f64)| {
        let [low, high] = bootstrap::interval(&groups, DRAWS, 1, |drawn| {
            let mut times = vec![0.0; groups.len()];
            drawn.iter().for_each(|&&group| times[group] += 1.0);
            metric(&counted.drawn(&times))
        });
        let mut row = figure(task, subject, part, name);
        (row.value, row.low, row.high, row.count) = (metric(&whole), Some(low), Some(high), truth.len());
        row
    };
    metrics.into_iter().map(of_metric).collect()
}

/// Eight levels a channel, as shares under a root.
fn histogram(photo: &Pixels) -> Vec<f32> {
    let mut bins = vec![0.0f32; 512];
    for p in photo.data().as_chunks::<3>().0 {
        bins[usize::from(p[0] >> 5) << 6 | usize::from(p[1] >> 5) << 3 | usize::from(p[2] >> 5)] += 1.0;
    }
    let count = (photo.data().len() / 3) as f32;
    bins.iter().map(|bin| (bin / count).sqrt()).collect()
}

/// Sixteen pixels a side around their mean.
fn plain_pixels(photo: &Pixels) -> Vec<f32> {
    let small = resize::resize(photo, 16, 16, resize::Filter::Lanczos3);
    let mean = small.data().iter().map(|v| f32::from(*v)).sum::<f32>() / small.data().len() as f32;
    small.data().iter().map(|v| f32::from(*v) - mean).collect()
}
