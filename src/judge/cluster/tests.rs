//! Tests of all methods on photos with known groups.

use std::collections::HashSet;
use std::sync::Arc;

use super::agreement::adjusted_rand;
use super::references::blobs;
use super::*;

pub(super) fn labels_of(rows: &Embeddings, method: &Method, noise: Noise) -> Vec<i64> {
    let times = vec![None; rows.len()];
    cluster(&Input::new(rows, &times), method, noise).unwrap().labels
}

/// Asserts that two groupings are equal, including their noise, which counts as a group.
pub(super) fn same_grouping(ours: &[i64], theirs: &[i64], what: &str) {
    let rand = adjusted_rand(ours, theirs);
    assert!(rand > 1.0 - 1e-9, "{what}: adjusted Rand {rand}\nours   {ours:?}\ntheirs {theirs:?}");
}

#[test]
fn every_method_finds_well_separated_blobs() {
    let rows = blobs(6, 9, 48, 0.08, 3);
    let truth: Vec<usize> = (0..rows.len()).map(|i| i % 6).collect();
    let kmeans = Method::Kmeans(kmeans::Params { n_clusters: 6, ..kmeans::Params::default() });
    let methods = Method::NAMES.iter().filter(|name| **name != "kmeans").map(|name| Method::by_name(name).unwrap());
    for method in methods.chain([kmeans]) {
        let labels = labels_of(&rows, &method, Noise::AsIndividualClusters);
        assert!(adjusted_rand(&truth, &labels) > 0.999, "{}: {labels:?}", method.name());
    }
}

#[test]
fn every_name_makes_the_method_of_that_name() {
    for name in Method::NAMES {
        assert_eq!(Method::by_name(name).unwrap().name(), name);
    }
    assert!(Method::by_name("mean-shift").is_none());
}

#[test]
fn no_photo_and_one_photo_work_with_every_method() {
    let none = Embeddings::new(&[], 0).unwrap();
    let one = Embeddings::new(&[0.6, 0.8], 2).unwrap();
    for name in Method::NAMES {
        let method = Method::by_name(name).unwrap();
        assert!(labels_of(&none, &method, Noise::default()).is_empty(), "{name}");
        assert_eq!(labels_of(&one, &method, Noise::default()), [0], "{name}");
    }
}

#[test]
fn one_tight_scene_is_one_group_and_unrelated_photos_are_none() {
    let method = Method::by_name("hdbscan").unwrap();
    for n in [2, 3, 8, 40] {
        let tight = blobs(1, n, 32, 0.02, n as u64);
        assert_eq!(labels_of(&tight, &method, Noise::Exclude), vec![0; n], "{n} takes");
    }
    // Unit vectors along the axes are all equally far from each other.
    let axes: Vec<f32> = (0..64).map(|i| f32::from(u8::from(i % 9 == 0))).collect();
    let apart = Embeddings::new(&axes, 8).unwrap();
    assert_eq!(labels_of(&apart, &method, Noise::Exclude), [-1; 8]);
}

#[test]
fn min_cluster_size_one_leaves_no_photo_without_a_group() {
    let rows = blobs(3, 5, 16, 0.9, 11);
    let method = Method::Hdbscan(hdbscan::Params { min_cluster_size: 1, ..hdbscan::Params::default() });
    assert!(labels_of(&rows, &method, Noise::Exclude).iter().all(|&label| label >= 0));
}

#[test]
fn noise_is_treated_as_configured() {
    // Two pairs and two unrelated photos, one of which comes first.
    let rows = [
        [0.0, 0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 0.0],
        [1.0, 0.01, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0],
        [0.01, 1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ];
    let rows = Embeddings::new(&rows.concat(), 4).unwrap();
    let method = Method::Dbscan(dbscan::Params { eps: 0.1, min_samples: 2 });
    assert_eq!(labels_of(&rows, &method, Noise::AsIndividualClusters), [0, 1, 1, 2, 2, 3]);
    assert_eq!(labels_of(&rows, &method, Noise::GroupTogether), [0, 1, 1, 2, 2, 0]);
    assert_eq!(labels_of(&rows, &method, Noise::Exclude), [-1, 0, 0, 1, 1, -1]);
    let clustering = cluster(&Input::new(&rows, &[None; 6]), &method, Noise::Exclude).unwrap();
    assert_eq!(clustering.is_noise, [true, false, false, false, false, true]);
    assert_eq!((clustering.size_of(0), clustering.size_of(1)), (1, 2));
}

#[test]
fn copies_of_one_photo_are_finite_and_together() {
    let mut rows: Vec<f32> = Vec::new();
    for i in 0..12 {
        rows.extend(if i % 2 == 0 { [1.0, 0.2, 0.0] } else { [0.0, 0.1, 1.0] });
    }
    let rows = Embeddings::new(&rows, 3).unwrap();
    for name in ["hdbscan", "dbscan", "agglomerative", "hybrid", "burst"] {
        let labels = labels_of(&rows, &Method::by_name(name).unwrap(), Noise::Exclude);
        assert_eq!(labels, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], "{name}");
    }
}

#[test]
fn shared_rows_give_the_groups_of_copied_ones() {
    let rows = blobs(6, 9, 48, 0.08, 3);
    let row = |index: usize| -> Arc<[f32]> { rows.row(index).into() };
    let units: Vec<Arc<[f32]>> = (0..rows.len()).map(row).collect();
    // Rows that are not of unit length are normalised into a copy.
    let long = units.iter().map(|row| row.iter().map(|value| value * 3.0).collect()).collect();
    for shared in [units, long].map(|rows| Embeddings::shared(rows, 48).unwrap()) {
        for method in Method::NAMES.map(|name| Method::by_name(name).unwrap()) {
            let [ours, theirs] = [&shared, &rows].map(|rows| labels_of(rows, &method, Noise::Exclude));
            assert_eq!(ours, theirs, "{}", method.name());
        }
    }
    let odd = |row: [f32; 2]| Embeddings::shared(vec![[1.0, 0.0].into(), row.into()], 2);
    assert_eq!(odd([f32::NAN, 0.0]), Err(ClusterError::NotANumber { row: 1 }));
    assert_eq!(odd([0.0, 0.0]).unwrap().row(1), [0.0, 0.0]);
    assert_eq!(Embeddings::shared(vec![[0.0, 0.0].into()], 2), Err(ClusterError::AllZero));
}

#[test]
fn hostile_embeddings_are_refused_by_row() {
    assert_eq!(Embeddings::new(&[1.0, 2.0, f32::NAN, 0.0], 2), Err(ClusterError::NotANumber { row: 1 }));
    assert_eq!(Embeddings::new(&[f32::INFINITY, 2.0], 2), Err(ClusterError::Infinite { row: 0 }));
    assert_eq!(Embeddings::new(&[0.0; 6], 2), Err(ClusterError::AllZero));
    assert_eq!(Embeddings::new(&[1.0; 5], 2), Err(ClusterError::Ragged { numbers: 5, dim: 2 }));
    let rows = Embeddings::new(&[1.0, 0.0], 2).unwrap();
    let missing = cluster(&Input::new(&rows, &[]), &Method::by_name("burst").unwrap(), Noise::default());
    assert_eq!(missing, Err(ClusterError::Times { times: 0, photos: 1 }));
}

#[test]
fn threads_do_not_change_the_labels() {
    let rows = blobs(30, 25, 64, 0.5, 9);
    for name in Method::NAMES {
        let method = Method::by_name(name).unwrap();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| labels_of(&rows, &method, Noise::default()))
        };
        assert_eq!(with(1), with(7), "{name}");
    }
}

#[test]
fn dbscan_counts_the_bound_and_the_photo_itself() {
    // The cosine of 60 degrees is one half, so the distance of 0.5 is exactly at the bound.
    let rows = Embeddings::new(&[1.0, 0.0, 0.5, 0.866_025_4], 2).unwrap();
    let at = |eps, min_samples| labels_of(&rows, &Method::Dbscan(dbscan::Params { eps, min_samples }), Noise::Exclude);
    assert_eq!(at(0.500_001, 2), [0, 0]);
    assert_eq!(at(0.49, 2), [-1, -1]);
    assert_eq!(at(0.49, 1), [0, 1]);
    assert_eq!(at(0.500_001, 3), [-1, -1]);
}

#[test]
fn average_linkage_equals_the_definition() {
    let rows = blobs(5, 7, 6, 0.7, 21);
    for threshold in [0.1, 0.3, 0.6, 0.9, 1.2] {
        let method =
            Method::Agglomerative(agglomerative::Params { distance_threshold: threshold, min_cluster_size: 1 });
        let ours = labels_of(&rows, &method, Noise::Exclude);
        same_grouping(&ours, &average_linkage_by_definition(&rows, threshold), &format!("threshold {threshold}"));
    }
}

/// Each photo is very similar to the one before it, and the last is the opposite of the first.
#[test]
fn average_linkage_does_not_chain_dissimilar_photos() {
    let count = 32;
    let row = |i: usize| [(i as f32 * 0.1).cos(), (i as f32 * 0.1).sin()];
    let rows = Embeddings::new(&(0..count).flat_map(row).collect::<Vec<f32>>(), 2).unwrap();
    let chained = labels_of(&rows, &Method::by_name("hdbscan").unwrap(), Noise::default());
    assert!(chained.iter().all(|&label| label == 0), "single links chain: {chained:?}");
    let labels = labels_of(&rows, &Method::by_name("agglomerative").unwrap(), Noise::default());
    assert_ne!(labels[0], labels[count - 1]);
    for group in 0..=*labels.iter().max().unwrap() {
        let members: Vec<usize> = (0..count).filter(|&i| labels[i] == group).collect();
        let others = |&a: &usize| members.iter().filter(move |&&b| a != b).map(move |&b| (a, b));
        let pairs: Vec<(usize, usize)> = members.iter().flat_map(others).collect();
        let sum: f64 = pairs.iter().map(|&(a, b)| rows.cosine(a, b)).sum();
        assert!(sum >= 0.6 * pairs.len() as f64, "{members:?} are alike by {} only", sum / pairs.len() as f64);
    }
}

#[test]
fn average_linkage_leaves_small_groups_as_noise() {
    let rows = blobs(3, 4, 16, 0.05, 17).subset(&[0, 1, 2, 3, 4, 6, 7]);
    let method = |min_cluster_size| {
        Method::Agglomerative(agglomerative::Params { min_cluster_size, ..agglomerative::Params::default() })
    };
    assert_eq!(labels_of(&rows, &method(1), Noise::Exclude), [0, 1, 2, 0, 1, 0, 1]);
    assert_eq!(labels_of(&rows, &method(2), Noise::Exclude), [0, 1, -1, 0, 1, 0, 1]);
}

/// Always merges the pair of groups with the smallest average distance, found among all pairs.
fn average_linkage_by_definition(rows: &Embeddings, threshold: f64) -> Vec<i64> {
    let mut groups: Vec<Vec<usize>> = (0..rows.len()).map(|i| vec![i]).collect();
    loop {
        let mut best = (f64::INFINITY, 0, 0);
        for a in 0..groups.len() {
            for b in a + 1..groups.len() {
                let sum: f64 =
                    groups[a].iter().flat_map(|&i| groups[b].iter().map(move |&j| 1.0 - rows.cosine(i, j))).sum();
                let average = sum / (groups[a].len() * groups[b].len()) as f64;
                if average < best.0 {
                    best = (average, a, b);
                }
            }
        }
        if best.0 >= threshold {
            break;
        }
        let gone = groups.remove(best.2);
        groups[best.1].extend(gone);
    }
    let mut labels = vec![0; rows.len()];
    for (label, members) in groups.iter().enumerate() {
        for &member in members {
            labels[member] = label as i64;
        }
    }
    labels
}

#[test]
fn kmeans_asked_for_more_groups_than_photos_gives_each_its_own() {
    let rows = blobs(1, 4, 8, 0.5, 2);
    let labels = labels_of(&rows, &Method::by_name("kmeans").unwrap(), Noise::default());
    assert_eq!(labels.iter().collect::<HashSet<_>>().len(), 4);
}

#[test]
fn a_burst_needs_nearness_in_time_and_similarity() {
    let (beach, hill) = ([1.0, 0.0, 0.1], [0.0, 1.0, 0.1]);
    let rows = [beach, beach, hill, beach, beach, hill, beach];
    let rows = Embeddings::new(&rows.concat(), 3).unwrap();
    let at = |ms| Some(Moment::at(ms));
    let times = [at(0), at(400), at(800), at(1200), at(60_000), None, None];
    let clustering = cluster(&Input::new(&rows, &times), &Method::by_name("burst").unwrap(), Noise::default()).unwrap();
    // An unrelated photo within the burst does not split it, and a minute later is another moment. Photos without a
    // time join the most similar moment, and one that is similar to two moments does not join them.
    assert_eq!(clustering.labels, [0, 0, 1, 0, 2, 1, 0]);
}

#[test]
fn two_levels_divide_scenes_and_keep_their_noise() {
    let rows = blobs(4, 6, 24, 0.05, 13);
    let scenes = Method::Agglomerative(agglomerative::Params { distance_threshold: 1.9, min_cluster_size: 1 });
    let takes = Method::Agglomerative(agglomerative::Params { distance_threshold: 0.2, min_cluster_size: 1 });
    let both = Method::Hierarchical(hierarchical::Params { level1: Box::new(scenes), level2: Box::new(takes.clone()) });
    let times = vec![None; rows.len()];
    let clustering = cluster(&Input::new(&rows, &times), &both, Noise::Exclude).unwrap();
    same_grouping(&clustering.labels, &labels_of(&rows, &takes, Noise::Exclude), "one scene divided");
    assert_eq!(clustering.stats.to_json()["n_clusters_level1"], 1);
}

#[test]
fn hybrid_attaches_the_outlier_and_logs_its_decisions() {
    let mut rows = Vec::new();
    for i in 0..8 {
        rows.extend([1.0, 0.01 * i as f32, 0.0, 0.0]);
    }
    rows.extend([1.0, 0.35, 0.0, 0.0]);
    for i in 0..8 {
        rows.extend([0.0, 0.0, 1.0, 0.01 * i as f32]);
    }
    let rows = Embeddings::new(&rows, 4).unwrap();
    let params = hybrid::Params { cluster_selection_epsilon: 0.05, debug: true, ..hybrid::Params::default() };
    let times = [None; 17];
    let clustering = cluster(&Input::new(&rows, &times), &Method::Hybrid(params), Noise::Exclude).unwrap();
    assert_eq!(clustering.labels[8], 0, "{:?}", clustering.labels);
    let stats = clustering.stats.to_json();
    for key in ["cluster_thresholds", "cluster_exemplars", "cluster_d3_stats", "merge_decisions", "attach_decisions"] {
        assert!(!stats["debug"][key].is_null(), "{key}");
    }
}

#[test]
fn statistics_have_the_keys_of_the_original() {
    let rows = blobs(2, 5, 16, 0.05, 1);
    let times = [None; 10];
    let clustering = cluster(&Input::new(&rows, &times), &Method::by_name("hdbscan").unwrap(), Noise::Exclude).unwrap();
    let stats = clustering.stats.to_json();
    assert_eq!(stats["algorithm"], "hdbscan");
    assert_eq!((&stats["n_clusters"], &stats["n_noise"]), (&2.into(), &0.into()));
    assert_eq!(stats["cluster_sizes"], serde_json::json!({ "0": 5, "1": 5 }));
    assert_eq!(stats["params"]["min_cluster_size"], 2);
    assert!(stats["cluster_persistence"]["0"].as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)));
}
