//! De-duplication against duplicates that were planted, and against trying all pairs.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use scale::Source;
use scale::dedup::{Duplicates, Keep, Options, Rules, dedup};

use super::features::{rows, write};

const DIM: usize = 32;
const SIMILARITY: f64 = 0.95;

fn options(folder: &std::path::Path) -> Options {
    Options {
        clusters: None,
        rules: Rules { similarity: SIMILARITY, keep: Keep::First, scores: Vec::new() },
        seed: 1,
        threads: 2,
        memory: 64 << 20,
        spill: folder.to_owned(),
        sample: 300,
    }
}

fn run(files: &[PathBuf], options: &Options) -> Duplicates {
    dedup(&Source::open(files).unwrap(), options, &AtomicBool::new(false)).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// From -1 to 1, evenly, and without a pattern.
fn number(i: usize, j: usize) -> f32 {
    let mut x = (i * 1000 + j + 1) as u64;
    for _ in 0..3 {
        x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (x >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}

fn direction(i: usize) -> Vec<f32> {
    let row: Vec<f32> = (0..DIM).map(|j| number(i, j)).collect();
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter().map(|x| x / length).collect()
}

/// Rows around sixteen directions, cosine 0.6 with others of theirs, and every third followed at the end by one close
/// to it, twice as long.
fn planted(count: usize) -> (Vec<Vec<f32>>, Vec<(u64, u64)>) {
    let add = |x: &[f32], y: &[f32], share: f32| x.iter().zip(y).map(|(x, y)| x + share * y).collect::<Vec<f32>>();
    let mut all: Vec<_> = (0..count).map(|i| add(&direction(1_000_000 + i % 16), &direction(i), 0.8)).collect();
    let mut pairs = Vec::new();
    for i in (0..count).step_by(3) {
        let near = add(&all[i], &direction(500_000 + i), 0.2);
        pairs.push((all.len() as u64, i as u64));
        all.push(near.iter().map(|x| 2.0 * x).collect());
    }
    (all, pairs)
}

#[test]
fn planted_duplicates_are_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (all, pairs) = planted(3000);
    let (first, second) = all.split_at(2500);
    let files = [
        write(&folder.path().join("a.parquet"), first, 0, 400),
        write(&folder.path().join("b.parquet"), second, 2500, 400),
    ];
    let found = run(&files, &options(folder.path()));
    let planted = |removed: &(u64, u64)| pairs.contains(removed);
    let told: Vec<(u64, u64)> = found.removed.iter().map(|r| (r.row, r.duplicate_of)).collect();
    assert!(told.iter().all(planted), "precision is 1");
    // What borders cut apart both times is missed; the estimate must tell as much.
    let share = told.len() as f64 / pairs.len() as f64;
    assert!(share >= 0.99, "recall: {} of {}", told.len(), pairs.len());
    for removed in &found.removed {
        let exact = cosine(&all[removed.row as usize], &all[removed.duplicate_of as usize]);
        assert!((removed.cosine - exact).abs() < 1e-5 && exact >= SIMILARITY - 1e-6);
    }
    let recall = found.recall.unwrap();
    assert!(recall.pairs > 50 && (recall.share().unwrap() - share).abs() < 0.04, "{recall:?}, in truth {share}");
}

#[test]
fn within_one_cluster_the_answer_is_that_of_trying_all_pairs() {
    let folder = tempfile::tempdir().unwrap();
    // Rows with chains of neighbours: who stays decides who goes.
    let all = rows(900, 6);
    let file = write(&folder.path().join("a.parquet"), &all, 0, 100);
    let scores: Vec<Option<f32>> = (0..900).map(|i| (i % 5 > 0).then_some((i * 37 % 101) as f32)).collect();
    for keep in [Keep::First, Keep::Best] {
        let options = Options {
            clusters: Some(1),
            rules: Rules { keep, scores: scores.clone(), similarity: 0.99 },
            ..options(folder.path())
        };
        let mut order: Vec<usize> = (0..900).collect();
        if keep == Keep::Best {
            order.sort_by(|&a, &b| scores[b].unwrap_or(-1.0).total_cmp(&scores[a].unwrap_or(-1.0)));
        }
        let mut stay: Vec<usize> = Vec::new();
        let mut gone: Vec<u64> = Vec::new();
        for i in order {
            if stay.iter().any(|&other| cosine(&all[i], &all[other]) >= 0.99) {
                gone.push(i as u64);
            } else {
                stay.push(i);
            }
        }
        gone.sort_unstable();
        assert!(gone.len() > 100);
        let found = run(std::slice::from_ref(&file), &options);
        assert_eq!(found.removed.iter().map(|r| r.row).collect::<Vec<_>>(), gone, "{keep:?}");
        assert!(found.removed.iter().all(|r| !gone.contains(&r.duplicate_of)), "what a row duplicates stays");
    }
}

#[test]
fn farthest_and_nearest_keep_opposite_ends() {
    let folder = tempfile::tempdir().unwrap();
    // Three rows on a line of directions: the middle one is the centre.
    let all = vec![vec![1.0, 0.1, 0.0], vec![1.0, 0.0, 0.0], vec![1.0, -0.13, 0.0]];
    let file = write(&folder.path().join("a.parquet"), &all, 0, 10);
    let kept = |keep| {
        let options = Options {
            clusters: Some(1),
            rules: Rules { keep, similarity: 0.95, scores: Vec::new() },
            ..options(folder.path())
        };
        let gone: Vec<u64> = run(std::slice::from_ref(&file), &options).removed.iter().map(|r| r.row).collect();
        (0..3).filter(|row| !gone.contains(row)).collect::<Vec<u64>>()
    };
    assert_eq!(kept(Keep::Nearest), [1]);
    assert_eq!(kept(Keep::Farthest), [2]);
    assert_eq!(kept(Keep::First), [0]);
}

#[test]
fn the_answer_does_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (all, _) = planted(1200);
    let file = write(&folder.path().join("a.parquet"), &all, 0, 90);
    let with =
        |threads| run(std::slice::from_ref(&file), &Options { threads, clusters: Some(6), ..options(folder.path()) });
    let expected = with(1).removed;
    assert!(expected.len() > 300);
    for threads in [2, 4] {
        assert_eq!(with(threads).removed, expected);
    }
}

#[test]
fn clusters_that_do_not_fit_in_memory_are_split_and_piles_of_equal_rows_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (mut all, pairs) = planted(2400);
    let planted = all.len();
    let file = write(&folder.path().join("a.parquet"), &all, 0, 400);
    // NearestScratch for 256 rows a thread, the least there is.
    let small = Options { clusters: Some(2), memory: 1, ..options(folder.path()) };
    let found = run(&[file], &small);
    assert!(found.split > 0 && found.cut == 0 && found.clusters > 4, "{} split, {} cut", found.split, found.cut);
    assert!(found.removed.len() as f64 >= 0.8 * pairs.len() as f64, "{} of {}", found.removed.len(), pairs.len());
    // Rows that are all the same cannot be split.
    all.extend(std::iter::repeat_n(vec![1.0; DIM], 700));
    let file = write(&folder.path().join("b.parquet"), &all, 0, 400);
    let found = run(&[file], &small);
    assert!(found.cut > 0);
    let same = found.removed.iter().filter(|r| r.row >= planted as u64).count();
    assert!((690..700).contains(&same), "all but one of each piece go: {same}");
}
