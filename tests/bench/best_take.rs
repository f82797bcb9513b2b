//! How often the best take of a burst is found, beside simpler ways: `cargo bench --bench best_take`.
//!
//! The judges are the 30 people a photo of BIQ2021 whose mean opinion comes with the bursts in `../shared/data`. Models
//! take part as they are on the machine (ALBUMCTL_MODELS_DIR); which did is told.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Photos nearer in opinion are no pair anybody could be wrong about.
const APART: f64 = 0.15;
const DRAWS: usize = 4000;

/// One take: what people think of it, and what each way of choosing does.
struct Take {
    opinion: f64,
    /// By way, in the order of [`WAYS`].
    scores: [f64; 5],
}

const WAYS: [&str; 5] =
    ["composite of `select`", "technical quality", "sharpness", "first of the burst", "largest file"];

fn main() {
    let Some(bursts) = load() else {
        eprintln!("skipped: no ../shared/data");
        return;
    };
    let takes: usize = bursts.iter().map(Vec::len).sum();
    println!("{} bursts, {takes} takes, pairs at least {APART} apart in mean opinion\n", bursts.len());
    println!("| chosen by | best take first | of pairs right |\n|---|---|---|");
    let whole: Vec<usize> = (0..bursts.len()).collect();
    for (way, told) in WAYS.iter().enumerate() {
        tell(told, &bursts, |burst| burst.iter().map(|take| take.scores[way]).collect());
    }
    let by_chance = bursts.iter().map(|burst| 1.0 / burst.len() as f64).sum::<f64>() / bursts.len() as f64;
    println!("| chance | {by_chance:.2} | 0.50 |");
    println!("\nComposite minus sharpness, 95 % of {DRAWS} draws of bursts:");
    for (told, judge) in [("best take first", top as Judge), ("of pairs right", pairs as Judge)] {
        let difference = |chosen: &[usize]| {
            let of = |way: usize| judge(&bursts, chosen, &|burst| burst.iter().map(|take| take.scores[way]).collect());
            of(0) - of(2)
        };
        let (low, high) = interval(bursts.len(), &difference);
        println!("{told}: {:+.3} ({low:+.3} to {high:+.3})", difference(&whole));
    }
}

type Scores<'a> = &'a dyn Fn(&[Take]) -> Vec<f64>;
type Judge = fn(&[Vec<Take>], &[usize], Scores) -> f64;

fn tell(way: &str, bursts: &[Vec<Take>], scores: impl Fn(&[Take]) -> Vec<f64>) {
    let whole: Vec<usize> = (0..bursts.len()).collect();
    let cells = [top as Judge, pairs as Judge].map(|judge| {
        let (low, high) = interval(bursts.len(), &|chosen| judge(bursts, chosen, &scores));
        format!("{:.2} ({low:.2}–{high:.2})", judge(bursts, &whole, &scores))
    });
    println!("| {way} | {} | {} |", cells[0], cells[1]);
}

/// The share of bursts whose best take, to people, scores highest.
fn top(bursts: &[Vec<Take>], chosen: &[usize], scores: Scores) -> f64 {
    let right = |&burst: &usize| {
        let takes = &bursts[burst];
        let scores = scores(takes);
        let best = (0..takes.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a))).expect("a take");
        let favourite = takes.iter().map(|take| take.opinion).fold(f64::NEG_INFINITY, f64::max);
        f64::from(u8::from(takes[best].opinion >= favourite))
    };
    chosen.iter().map(right).sum::<f64>() / chosen.len() as f64
}

/// The share of pairs within bursts that are put in the order people put them; a tie is half right.
fn pairs(bursts: &[Vec<Take>], chosen: &[usize], scores: Scores) -> f64 {
    let (mut right, mut all) = (0.0, 0.0);
    for &burst in chosen {
        let takes = &bursts[burst];
        let scores = scores(takes);
        for a in 0..takes.len() {
            for b in 0..a {
                let difference = takes[a].opinion - takes[b].opinion;
                if difference.abs() < APART {
                    continue;
                }
                let (better, worse) = if difference > 0.0 { (a, b) } else { (b, a) };
                all += 1.0;
                right += match scores[better].total_cmp(&scores[worse]) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
    }
    right / all
}

/// The middle 95 % over draws of whole bursts with replacement.
fn interval(bursts: usize, figure: &dyn Fn(&[usize]) -> f64) -> (f64, f64) {
    let mut state = 7_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bursts
    };
    let mut figures: Vec<f64> = (0..DRAWS).map(|_| figure(&(0..bursts).map(|_| draw()).collect::<Vec<_>>())).collect();
    figures.retain(|figure| figure.is_finite());
    figures.sort_by(f64::total_cmp);
    (figures[figures.len() / 40], figures[figures.len() - 1 - figures.len() / 40])
}

fn load() -> Option<Vec<Vec<Take>>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("ALBUMCTL_SHARED").map_or_else(beside, PathBuf::from).join("data/biq2021");
    let list = fs::read_to_string(folder.join("bursts.csv")).ok()?;
    let analysed = analysed(&folder.join("bursts"));
    let mut bursts: BTreeMap<String, Vec<Take>> = BTreeMap::new();
    for line in list.lines().skip(1) {
        let mut cells = line.split(',');
        let (file, group, opinion) = (cells.next()?, cells.next()?, cells.next()?);
        let line = &analysed[file];
        let number = |key: &str| line[key].as_f64().unwrap_or(f64::NAN);
        let size = fs::metadata(folder.join("bursts").join(file)).expect("a take").len() as f64;
        let takes = bursts.entry(group.to_owned()).or_default();
        let scores =
            [number("composite_score"), number("iqa_score"), number("sharpness_raw"), -(takes.len() as f64), size];
        takes.push(Take { opinion: opinion.parse().expect("an opinion"), scores });
    }
    Some(bursts.into_values().collect())
}

/// The lines of `analyze`, by file name.
fn analysed(folder: &Path) -> BTreeMap<String, Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_albumctl"))
        .args(["analyze", "--no-cache"])
        .arg(folder)
        .output()
        .expect("albumctl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let of = |line: &str| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let path = PathBuf::from(value["image_path"].as_str().expect("a path"));
        (path.file_name().expect("a name").to_string_lossy().into_owned(), value)
    };
    let lines: BTreeMap<String, Value> = lines.lines().map(of).collect();
    let first = lines.values().next().expect("a take");
    println!("models: {}, {}, {}", first["aesthetic_model"], first["portrait_model"], first["model"]);
    lines
}
