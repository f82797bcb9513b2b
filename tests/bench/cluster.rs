//! How fast the photos are grouped, and how well: `cargo bench --bench cluster -- [speed|bursts|times|strangers]`.
//!
//! `speed` times HDBSCAN beside the `hdbscan` crate on the same raw points (`tests/bench/peers/hdbscan_speed.py` times
//! scikit-learn on them); `bursts` judges the methods on photos of known scenes where `../shared/data` is.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use base::pixels::Pixels;
use base::random::SplitMix;
use judge::cluster::agreement::{adjusted_rand, pairwise};
use judge::cluster::{
    Calibration, Embeddings, Input, Method, Moment, Noise, agglomerative, burst, cluster, dbscan, hdbscan, hybrid,
    scene_layout,
};

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wants = |what: &str| asked.is_empty() || asked.iter().any(|arg| arg == what);
    if wants("speed") {
        speed();
    }
    if wants("bursts") {
        bursts();
    }
    if wants("times") {
        times();
    }
    if wants("strangers") {
        strangers();
    }
}

/// Takes of `n / 8` scenes: centres uniform in a cube, takes near them.
fn takes(n: usize, dim: usize) -> Vec<f32> {
    let mut chance = SplitMix(7);
    let centres: Vec<f64> = (0..n / 8 * dim).map(|_| chance.fraction() - 0.5).collect();
    (0..n)
        .flat_map(|i| (0..dim).map(move |k| (i % (n / 8)) * dim + k))
        .map(|at| (centres[at] + 0.6 * (chance.fraction() - 0.5)) as f32)
        .collect()
}

fn speed() {
    let dim = 384;
    let params = hdbscan::Params { min_cluster_size: 3, min_samples: Some(2), epsilon: 0.0 };
    println!(
        "| photos x {dim} | averages | hdbscan | peak above the rows | crate, raw points | crate / hdbscan |\n\
         |---|---|---|---|---|---|"
    );
    for n in [1_000, 5_000, 20_000] {
        let raw = takes(n, dim);
        let rows = Embeddings::new(&raw, dim).expect("finite rows");
        let before = peak_mb();
        let (averages, _) = timed(&rows, &Method::by_name("agglomerative").expect("a method of that name"));
        let (seconds, labels) = timed(&rows, &Method::Hdbscan(params));
        let peak = peak_mb() - before;
        // Beyond this the crate takes minutes.
        let theirs = (n <= 5_000).then(|| time_the_crate(&rows, &labels));
        let cells =
            theirs.map_or(("–".into(), "–".into()), |s| (format!("{s:.2} s"), format!("{:.0}x", s / seconds)));
        println!("| {n} | {averages:.3} s | {seconds:.3} s | {peak:.0} MB | {} | {} |", cells.0, cells.1);
    }
}

/// The median of three, and the labels.
fn timed(rows: &Embeddings, method: &Method) -> (f64, Vec<i64>) {
    let times = vec![None; rows.len()];
    let mut seconds = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        labels = cluster(&Input::new(rows, &times), method, Noise::Exclude).expect("groups").labels;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    (seconds[1], labels)
}

fn time_the_crate(rows: &Embeddings, ours: &[i64]) -> f64 {
    let nested: Vec<Vec<f32>> = (0..rows.len()).map(|i| rows.row(i).to_vec()).collect();
    let params = ::hdbscan::HdbscanHyperParams::builder().min_cluster_size(3).min_samples(3).build();
    let start = Instant::now();
    let theirs = ::hdbscan::Hdbscan::new(&nested, params).cluster().expect("the crate's labels");
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{} photos: adjusted Rand with the crate {:.4}", rows.len(), adjusted_rand(ours, &theirs));
    seconds
}

/// Highest resident memory so far.
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("0 0");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn calibration() -> Calibration {
    Calibration::of(&format!("{}@{}", scene_layout::NAME, scene_layout::VERSION))
}

fn default_of(name: &str) -> Method {
    Method::calibrated(name, &calibration()).expect("a method of that name")
}

struct Photos {
    rows: Vec<f32>,
    scene: Vec<String>,
    framing_changes: Vec<bool>,
}

fn shared() -> PathBuf {
    std::env::var_os("ALBUMCTL_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from)
        .join("data")
}

fn decode(path: &Path) -> Option<Pixels> {
    let mut decoder = jpeg_decoder::Decoder::new(fs::File::open(path).ok()?);
    decoder.scale(512, 512).ok()?;
    let data = decoder.decode().ok()?;
    let info = decoder.info()?;
    Pixels::new(info.width.into(), info.height.into(), data)
}

fn load() -> Option<Photos> {
    let folder = shared().join("biq2021");
    let list = fs::read_to_string(folder.join("bursts.csv")).ok()?;
    let mut photos = Photos { rows: Vec::new(), scene: Vec::new(), framing_changes: Vec::new() };
    for line in list.lines().skip(1) {
        let mut cells = line.split(',');
        let (file, scene) = (cells.next()?, cells.next()?);
        photos.rows.extend(scene_layout::describe(&decode(&folder.join("bursts").join(file))?));
        photos.scene.push(scene.to_owned());
        photos.framing_changes.push(cells.nth(1) == Some("ambiguous"));
    }
    Some(photos)
}

impl Photos {
    /// The photos whose scene is in `keep`.
    fn of(&self, keep: impl Fn(usize) -> bool) -> (Embeddings, Vec<String>) {
        let chosen: Vec<usize> = (0..self.scene.len()).filter(|&i| keep(i)).collect();
        let whole = Embeddings::new(&self.rows, scene_layout::DIM).expect("finite rows");
        (whole.subset(&chosen), chosen.iter().map(|&i| self.scene[i].clone()).collect())
    }
}

fn score(rows: &Embeddings, truth: &[String], method: &Method) -> (f64, f64) {
    let times = vec![None; rows.len()];
    let told = cluster(&Input::new(rows, &times), method, Noise::AsIndividualClusters).expect("groups");
    (pairwise(truth, &told.labels).f1, adjusted_rand(truth, &told.labels))
}

/// Each method with the values it was tried at.
fn grid() -> BTreeMap<&'static str, Vec<(String, Method)>> {
    let steps = |from: f64, to: f64, step: f64| {
        (0..=((to - from) / step).round() as usize).map(move |i| from + i as f64 * step).collect::<Vec<_>>()
    };
    let mut grid: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for t in steps(0.4, 0.8, 0.02) {
        let agglomerative =
            Method::Agglomerative(agglomerative::Params { distance_threshold: t, ..agglomerative::Params::default() });
        grid.entry("agglomerative").or_default().push((format!("threshold {t:.3}"), agglomerative));
        let similarity = 1.0 - t;
        let burst = burst::Params { untimed_similarity: similarity, ..burst::Params::default() };
        grid.entry("burst, no times").or_default().push((format!("similarity {similarity:.3}"), Method::Burst(burst)));
    }
    for eps in steps(0.3, 0.7, 0.02) {
        for min_samples in [2, 3] {
            let dbscan = Method::Dbscan(dbscan::Params { eps, min_samples });
            grid.entry("dbscan").or_default().push((format!("eps {eps:.2}, min_samples {min_samples}"), dbscan));
        }
    }
    for epsilon in [0.0].into_iter().chain(steps(0.7, 1.2, 0.05)) {
        for min_cluster_size in [2, 3, 5] {
            for min_samples in [1, 2, 3, 5] {
                let params = hdbscan::Params { min_cluster_size, min_samples: Some(min_samples), epsilon };
                let told = format!("size {min_cluster_size}, samples {min_samples}, epsilon {epsilon:.2}");
                grid.entry("hdbscan").or_default().push((told, Method::Hdbscan(params)));
            }
        }
        for (threshold_floor, threshold_ceiling) in [(0.5, 0.9), (0.7, 0.9), (0.8, 1.0), (0.9, 1.1)] {
            let params = hybrid::Params {
                cluster_selection_epsilon: epsilon,
                threshold_floor,
                threshold_ceiling,
                ..hybrid::Params::default()
            };
            let told = format!("epsilon {epsilon:.2}, thresholds {threshold_floor}–{threshold_ceiling}");
            grid.entry("hybrid").or_default().push((told, Method::Hybrid(params)));
        }
    }
    grid
}

/// The original's values, whatever they do on this embedding.
fn originals() -> [(&'static str, Method); 4] {
    [
        (
            "hdbscan, size 3 (original's file)",
            Method::Hdbscan(hdbscan::Params { min_cluster_size: 3, min_samples: None, epsilon: 0.0 }),
        ),
        (
            "hdbscan, size 5 (original's code)",
            Method::Hdbscan(hdbscan::Params { min_cluster_size: 5, min_samples: None, epsilon: 0.0 }),
        ),
        ("dbscan, eps 0.3, min_samples 4", Method::Dbscan(dbscan::Params { eps: 0.3, min_samples: 4 })),
        ("hybrid, the original's values", Method::Hybrid(hybrid::Params::default())),
    ]
}

fn bursts() {
    let Some(photos) = load() else {
        eprintln!("skipped: no ../shared/data");
        return;
    };
    let mut scenes: Vec<&String> = photos.scene.iter().collect();
    scenes.sort();
    scenes.dedup();
    println!("\n{} photos of {} scenes, {}", photos.scene.len(), scenes.len(), scene_layout::NAME);
    let all = photos.of(|_| true);
    let steady = photos.of(|i| !photos.framing_changes[i]);
    println!("\nWhole bursts (4–19 takes a scene)");
    println!("\n| method | chosen on all | F1 | Rand | F1, steady framing | Rand | held-out F1 | held-out Rand |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, candidates) in grid() {
        let (told, method) = best(std::slice::from_ref(&all), &candidates);
        let (f1, rand) = score(&all.0, &all.1, method);
        let clear = score(&steady.0, &steady.1, method);
        let (out_f1, out_rand) = cross_validated(&photos, &scenes, &candidates);
        println!(
            "| {name} | {told} | {f1:.3} | {rand:.3} | {:.3} | {:.3} | {out_f1:.3} | {out_rand:.3} |",
            clear.0, clear.1
        );
    }
    for (told, method) in originals() {
        let (of_all, clear) = (score(&all.0, &all.1, &method), score(&steady.0, &steady.1, &method));
        println!("| {told} | – | {:.3} | {:.3} | {:.3} | {:.3} | – | – |", of_all.0, of_all.1, clear.0, clear.1);
    }
    albums(&photos, &scenes);
    println!("\n| default of | F1 | Rand | F1, steady framing | Rand |\n|---|---|---|---|---|");
    for name in Method::NAMES {
        let method = default_of(name);
        let (of_all, clear) = (score(&all.0, &all.1, &method), score(&steady.0, &steady.1, &method));
        println!("| {name} | {:.3} | {:.3} | {:.3} | {:.3} |", of_all.0, of_all.1, clear.0, clear.1);
    }
    walk();
}

/// Folders as people have them: of each scene one to six photos, most often one or two.
fn albums(photos: &Photos, scenes: &[&String]) {
    let mut chance = SplitMix(23);
    let mut drawn = |scenes: &[&String]| -> Vec<(Embeddings, Vec<String>)> {
        let mut album = || {
            let mut keep = vec![false; photos.scene.len()];
            for scene in scenes {
                let mut takes: Vec<usize> = (0..keep.len()).filter(|&i| photos.scene[i] == **scene).collect();
                for _ in 0..[1, 1, 2, 2, 3, 4, 6][(chance.fraction() * 7.0) as usize].min(takes.len()) {
                    keep[takes.swap_remove((chance.fraction() * takes.len() as f64) as usize)] = true;
                }
            }
            photos.of(|i| keep[i])
        };
        (0..12).map(|_| album()).collect()
    };
    let (first, second) = scenes.split_at(scenes.len() / 2);
    let halves = [drawn(first), drawn(second)];
    let whole = drawn(scenes);
    println!("\nAlbums (12 drawn: 1–6 photos a scene); F1 and Rand are means over the albums");
    println!("\n| method | chosen on all | F1 | Rand | held-out F1 |\n|---|---|---|---|---|");
    for (name, candidates) in grid() {
        let (told, method) = best(&whole, &candidates);
        let (f1, rand) = mean_score(&whole, method);
        let held_out = [(0, 1), (1, 0)].map(|(on, at)| mean_score(&halves[at], &best(&halves[on], &candidates).1).0);
        println!("| {name} | {told} | {f1:.3} | {rand:.3} | {:.3} |", held_out.iter().sum::<f64>() / 2.0);
    }
    let defaults = Method::NAMES.map(|name| (name, default_of(name)));
    let wide = |min_cluster_size, min_samples, epsilon| {
        Method::Hdbscan(hdbscan::Params { min_cluster_size, min_samples: Some(min_samples), epsilon })
    };
    let variants = [
        ("hdbscan, size 2, samples 1, epsilon 1.00", wide(2, 1, 1.0)),
        ("hdbscan, size 2, samples 2, epsilon 1.00", wide(2, 2, 1.0)),
        ("hdbscan, size 3, samples 1, epsilon 1.00", wide(3, 1, 1.0)),
        ("hdbscan, size 5, samples 1, epsilon 0.00", wide(5, 1, 0.0)),
    ];
    for (told, method) in variants.into_iter().chain(originals()).chain(defaults) {
        let (f1, rand) = mean_score(&whole, &method);
        println!("| {told} | – | {f1:.3} | {rand:.3} | – |");
    }
}

/// What heeding the clock is worth. The bursts carry no times, so they are dealt out: takes 0.3 to 3 s apart, and between
/// one scene and the next a pause between two bounds, all lengths of pause equally likely on a logarithmic scale.
fn times() {
    let Some(photos) = load() else {
        eprintln!("skipped: no ../shared/data");
        return;
    };
    likeness(&photos);
    let clock = calibration().clock;
    let mut scenes: Vec<&String> = photos.scene.iter().collect();
    scenes.sort();
    scenes.dedup();
    println!("\n| pauses between scenes | likeness alone | and the clock | burst |\n|---|---|---|---|");
    for (told, shortest, longest) in [
        ("2 s to 10 s: a party", 2.0, 10.0),
        ("2 s to 10 min: a walk", 2.0, 600.0),
        ("10 s to 4 h: a day out", 10.0, 14_400.0),
        ("5 min to 24 h: a journey", 300.0, 86_400.0),
    ] {
        let mut chance = SplitMix(41);
        let mut sums = [0.0; 3];
        for _ in 0..ALBUMS {
            let (rows, truth, times) = timed_album(&photos, &scenes, [shortest, longest], &mut chance);
            let [averages, burst] = ["agglomerative", "burst"].map(default_of);
            for (sum, (method, clock)) in sums.iter_mut().zip([(&averages, None), (&averages, clock), (&burst, None)]) {
                let input = Input { clock, ..Input::new(&rows, &times) };
                let told = cluster(&input, method, Noise::AsIndividualClusters).expect("groups");
                *sum += pairwise(&truth, &told.labels).f1;
            }
        }
        let [alone, heeded, burst] = sums.map(|sum| sum / ALBUMS as f64);
        println!("| {told} | {alone:.3} | {heeded:.3} | {burst:.3} |");
    }
}

const ALBUMS: usize = 20;

/// One to six takes a scene, scenes in any order.
fn timed_album(
    photos: &Photos,
    scenes: &[&String],
    [shortest, longest]: [f64; 2],
    chance: &mut SplitMix,
) -> (Embeddings, Vec<String>, Vec<Option<Moment>>) {
    let (mut chosen, mut times, mut now) = (Vec::new(), Vec::new(), 0.0);
    let mut order = scenes.to_vec();
    for at in (1..order.len()).rev() {
        order.swap(at, (chance.fraction() * (at + 1) as f64) as usize);
    }
    for scene in order {
        now += shortest * (longest / shortest).powf(chance.fraction());
        let mut takes: Vec<usize> = (0..photos.scene.len()).filter(|&i| photos.scene[i] == *scene).collect();
        for _ in 0..[1, 1, 2, 2, 3, 4, 6][(chance.fraction() * 7.0) as usize].min(takes.len()) {
            now += 0.3 + 2.7 * chance.fraction();
            chosen.push(takes.swap_remove((chance.fraction() * takes.len() as f64) as usize));
            times.push(Some(Moment::at((now * 1000.0) as i64)));
        }
    }
    let whole = Embeddings::new(&photos.rows, scene_layout::DIM).expect("finite rows");
    (whole.subset(&chosen), chosen.iter().map(|&i| photos.scene[i].clone()).collect(), times)
}

/// Which likeness tells takes of a scene from photos that have nothing to do with each other: the share of pairs of takes
/// that stay above the cosine which so few pairs of single photographs reach.
fn strangers() {
    const PHOTOS: usize = 2_500;
    let Some(photos) = load() else {
        eprintln!("skipped: no ../shared/data");
        return;
    };
    let folder = shared().join("biq2021");
    let files = fs::read_dir(folder.join("train")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut singles: Vec<PathBuf> =
        files.filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ss03_"))).collect();
    singles.sort();
    let singles: Vec<Pixels> = singles.chunks(singles.len() / PHOTOS).filter_map(|few| decode(&few[0])).collect();
    let list = fs::read_to_string(folder.join("bursts.csv")).expect("it was read before");
    let names = list.lines().skip(1).filter_map(|line| line.split(',').next());
    let takes: Vec<Pixels> = names.filter_map(|name| decode(&folder.join("bursts").join(name))).collect();
    println!("\n{} photographs, {} takes\n", singles.len(), takes.len());
    println!("| described by | 1 in 100 | 1 in 1,000 | 1 in 10,000 |\n|---|---|---|---|");
    let described: [(&str, fn(&Pixels) -> Vec<f32>); 2] =
        [("measured", scene_layout::measure), ("whitened", scene_layout::describe)];
    for (told, describe) in described {
        let rows = |photos: &[Pixels]| {
            let rows: Vec<Vec<f32>> = photos.iter().map(describe).collect();
            Embeddings::new(&rows.concat(), rows[0].len()).expect("finite rows")
        };
        let (singles, takes) = (rows(&singles), rows(&takes));
        let mut apart = cosines(&singles, |_, _| true);
        let same = cosines(&takes, |a, b| photos.scene[a] == photos.scene[b]);
        apart.sort_by(f64::total_cmp);
        let cells = [100.0, 1_000.0, 10_000.0].map(|one_in| {
            let least = apart[(apart.len() as f64 * (1.0 - 1.0 / one_in)) as usize];
            let kept = same.iter().filter(|cosine| **cosine > least).count() as f64 / same.len() as f64;
            format!("{kept:.3} (above {least:.3})")
        });
        println!("| {told} | {} |", cells.join(" | "));
    }
}

/// Of all pairs that count.
fn cosines(rows: &Embeddings, counts: impl Fn(usize, usize) -> bool) -> Vec<f64> {
    let pairs = (0..rows.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    pairs.filter(|&(a, b)| counts(a, b)).map(|(a, b)| rows.cosine(a, b)).collect()
}

/// How alike takes of one scene and of two are: what the values of the clock come from.
fn likeness(photos: &Photos) {
    let rows = Embeddings::new(&photos.rows, scene_layout::DIM).expect("finite rows");
    let (mut same, mut other) = ([0.0_f64; 20], [0.0_f64; 20]);
    for a in 0..rows.len() {
        for b in 0..a {
            let bin = (rows.cosine(a, b).clamp(0.0, 0.999) * 20.0) as usize;
            let counts = if photos.scene[a] == photos.scene[b] { &mut same } else { &mut other };
            counts[bin] += 1.0;
        }
    }
    let totals = [same.iter().sum::<f64>(), other.iter().sum::<f64>()];
    println!(
        "\n{:.0} pairs of one scene, {:.0} of two\n\n| cosine | of one | of two | odds |\n|---|---|---|---|",
        totals[0], totals[1]
    );
    for bin in 0..20 {
        let (one, two) = (same[bin] / totals[0], other[bin] / totals[1]);
        println!("| {:.2} | {one:.4} | {two:.4} | {:.2} |", bin as f64 / 20.0, one / two);
    }
}

fn mean_score(photos: &[(Embeddings, Vec<String>)], method: &Method) -> (f64, f64) {
    let scores: Vec<(f64, f64)> = photos.iter().map(|(rows, truth)| score(rows, truth, method)).collect();
    let mean = |pick: fn(&(f64, f64)) -> f64| scores.iter().map(pick).sum::<f64>() / scores.len() as f64;
    (mean(|score| score.0), mean(|score| score.1))
}

fn best<'a>(photos: &[(Embeddings, Vec<String>)], candidates: &'a [(String, Method)]) -> &'a (String, Method) {
    let judged = candidates.iter().map(|candidate| (mean_score(photos, &candidate.1).0, candidate));
    judged.reduce(|best, next| if next.0 > best.0 { next } else { best }).expect("a candidate").1
}

/// Mean over ten splits of the scenes in two halves, values chosen on one and judged on the other, both ways.
fn cross_validated(photos: &Photos, scenes: &[&String], candidates: &[(String, Method)]) -> (f64, f64) {
    let mut chance = SplitMix(11);
    let (mut f1, mut rand, mut count) = (0.0, 0.0, 0.0);
    for _ in 0..10 {
        let mut shuffled = scenes.to_vec();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, (chance.fraction() * (at + 1) as f64) as usize);
        }
        let half = &shuffled[..shuffled.len() / 2];
        let parts = [true, false].map(|side| photos.of(|i| half.contains(&&photos.scene[i]) == side));
        for (chosen_on, judged_on) in [(&parts[0], &parts[1]), (&parts[1], &parts[0])] {
            let chosen = &best(std::slice::from_ref(chosen_on), candidates).1;
            let told = score(&judged_on.0, &judged_on.1, chosen);
            f1 += told.0;
            rand += told.1;
            count += 1.0;
        }
    }
    (f1 / count, rand / count)
}

/// Six photos of a walk; their likeness, for the eye.
fn walk() {
    let folder = shared().join("exif_burst_album");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    let described: Vec<f32> =
        files.iter().filter_map(|file| decode(file)).flat_map(|p| scene_layout::describe(&p)).collect();
    let Ok(rows) = Embeddings::new(&described, scene_layout::DIM) else { return };
    println!("\nexif_burst_album, cosines:");
    for (i, file) in files.iter().enumerate().take(rows.len()) {
        let line: Vec<String> = (0..rows.len()).map(|j| format!("{:5.2}", rows.cosine(i, j))).collect();
        println!("{} {}", file.file_name().unwrap_or_default().display(), line.join(" "));
    }
}
