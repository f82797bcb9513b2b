//! The commands whose calls fail, each in a world where it has something older to lose.

use std::fs;

use hub::digest::Digest;

use super::injector::run_alone;
use crate::world::{World, shared};

pub struct Case {
    pub name: &'static str,
    pub args: Vec<&'static str>,
    /// Makes the world before the run.
    pub prepare: fn(&World),
    /// A command that only looks; what it prints is part of what the run did.
    pub probe: &'static [&'static str],
    /// Files that a run leaves to go on from begin with this.
    pub keeps: Option<&'static str>,
    /// Each photo is told once, in whichever run.
    pub news: bool,
    /// Points of each class and mode, where a run takes long.
    pub at_most: usize,
    /// How it ends when nothing fails.
    pub ends: &'static str,
}

fn case(name: &'static str, line: &'static str, prepare: fn(&World)) -> Case {
    let args = line.split(' ').collect();
    Case { name, args, prepare, probe: &[], keeps: None, news: false, at_most: usize::MAX, ends: "exit 0" }
}

const SCORE: &str = "score photos --threads 1 -o scores.jsonl";
const TWO_THREADS: &str = "score photos --threads 2";
const TELEMETRY: &str = "score photos --threads 1 --no-cache --format csv -o scores.csv --telemetry telemetry.json";
const ANALYZE: &str = "analyze photos --threads 1 -o facts.jsonl";
const SELECT: &str = "select photos --threads 1 -q -o picks.jsonl --report page.html --xmp --copy-to album";
const ZIP: &str = "select photos --threads 1 -q --zip album.zip";
const LINK: &str = "select photos --threads 1 -q --all --link-to album --link hard";
const FROM: &str = "select --from facts.jsonl -q -o picks.jsonl --link-to album";
const SINCE: &str = "select photos --threads 1 -q --all --since last-run --copy-to album";
const PARQUET: &str = "embed photos --threads 1 -o vectors.parquet";
const NPY: &str = "embed photos --threads 1 -o vectors.npy";
const FIT: &str = "kmeans fit --threads 1 --data vectors.parquet -k 2 -m means.safetensors";
const ASSIGN: &str = "kmeans assign --threads 1 --data vectors.parquet -m means.safetensors -o labels.parquet";
const DEDUP: &str = "dedup --threads 1 --data vectors.parquet --similarity 1 --copy-to kept";
const PHASH: &str = "dedup --threads 1 --method phash photos --link-to kept -o hashes.jsonl";
const PORTRAIT: &str = "portrait photos --threads 1 --models-dir models --annotate drawn -o faces.jsonl";
const TRAIN: &str = "train mini --threads 1 --data . --recipe recipe.yaml --run run";

pub fn all() -> Vec<Case> {
    let mut cases = albums();
    cases.extend(kept_for_good());
    cases.extend(numbers());
    cases
}

fn albums() -> Vec<Case> {
    let mut cases = vec![
        case("score", SCORE, |world| older(world, SCORE)),
        case("score_two_threads", TWO_THREADS, |world| world.many_photos(6)),
        case("score_telemetry", TELEMETRY, |world| older(world, TELEMETRY)),
        // A refusal, whatever cannot be looked at.
        Case {
            ends: "exit 2",
            ..case("score_onto_a_photo", "score photos -o photos/0001.png", |world| world.many_photos(2))
        },
        case("analyze", ANALYZE, |world| older(world, ANALYZE)),
        case("select", SELECT, |world| {
            let folder = world.path("home/.config/albumctl");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("config.yaml"), "album: { selection: { images_per_cluster: 2 } }\n").unwrap();
            older(world, SELECT);
        }),
        case("select_zip", ZIP, |world| world.many_photos(5)),
        case("select_link", LINK, |world| older(world, LINK)),
        case("select_from", FROM, |world| {
            older(world, ANALYZE);
            run(world, FROM);
            world.photo("new.png", 9);
            run(world, ANALYZE);
        }),
        Case {
            probe: &["select", "photos", "--dry-run", "-q", "--since", "last-run:other"],
            news: true,
            ..case("select_since", SINCE, |world| older(world, SINCE))
        },
        case("completions", "completions bash -o words.bash", |world| {
            fs::write(world.path("words.bash"), "complete -F _older albumctl\n").unwrap();
        }),
    ];
    if shared("weights/mediapipe").is_some() {
        cases.push(Case {
            at_most: 20,
            ..case("portrait", PORTRAIT, |world| {
                let weights = shared("weights/mediapipe").unwrap();
                fs::create_dir(world.path("models")).unwrap();
                for name in
                    ["face_detection_full_range_sparse", "face_detection_short_range", "face_landmark_with_attention"]
                {
                    let name = format!("{name}.tflite");
                    fs::copy(weights.join(&name), world.path("models").join(&name)).unwrap();
                }
                older(world, PORTRAIT);
            })
        });
    }
    cases
}

/// Decisions and models.
fn kept_for_good() -> Vec<Case> {
    let decided = &["decide", "list"];
    let listed = &["models", "list"];
    vec![
        Case { probe: decided, ..case("decide_first", "decide keep photos --threads 1", |world| world.many_photos(4)) },
        Case {
            probe: decided,
            ..case("decide_more", "decide reject photos --threads 1 -o decided.jsonl", |world| {
                older(world, "decide keep photos --threads 1 -o decided.jsonl");
            })
        },
        Case {
            probe: decided,
            ..case("decide_clear", "decide clear photos --threads 1", |world| older(world, "decide keep photos"))
        },
        Case { probe: listed, ..case("models_add", "models add net.yaml", manifest) },
        Case {
            probe: listed,
            keeps: Some("home/.local/share/albumctl/models/parts"),
            ..case("models_import", "models import net.bin", |world| {
                manifest(world);
                run(world, "models add net.yaml");
            })
        },
        Case { probe: listed, ..case("models_rm", "models rm net --forget", imported) },
        Case {
            probe: listed,
            ..case("models_gc", "models gc --unlisted", |world| {
                imported(world);
                run(world, "models rm net --forget");
                run(world, "models add net.yaml");
                run(world, "models import net.bin");
                fs::remove_file(world.path("home/.config/albumctl/models/net@1.yaml")).unwrap();
                let aside = world.path("home/.local/share/albumctl/models/quarantine");
                fs::create_dir(&aside).unwrap();
                (0..2).for_each(|n| fs::write(aside.join(format!("wrong.{n}")), "set aside").unwrap());
            })
        },
    ]
}

/// Features and what is made of them.
fn numbers() -> Vec<Case> {
    vec![
        case("embed_parquet", PARQUET, |world| older(world, PARQUET)),
        case("embed_npy", NPY, |world| older(world, NPY)),
        Case {
            keeps: Some("means.safetensors.work"),
            ..case("kmeans_fit", FIT, |world| {
                older(world, PARQUET);
                run(world, FIT);
                fs::remove_dir_all(world.path("means.safetensors.work")).unwrap();
                run(world, PARQUET);
            })
        },
        case("kmeans_assign", ASSIGN, |world| {
            older(world, PARQUET);
            run(world, FIT);
            run(world, ASSIGN);
            run(world, PARQUET);
        }),
        case("dedup", DEDUP, |world| {
            older(world, PARQUET);
            run(world, DEDUP);
            run(world, PARQUET);
        }),
        case("dedup_hashes", PHASH, |world| older(world, PHASH)),
        Case { at_most: 12, keeps: Some("run"), ..case("train", TRAIN, school) },
    ]
}

fn run(world: &World, line: &str) {
    let args: Vec<&str> = line.split(' ').collect();
    let ended = run_alone(world, &args);
    assert_eq!(ended.how, "exit 0", "{line}: {}", ended.stderr);
}

/// Four photos of which a run has been, and one that came since.
fn older(world: &World, line: &str) {
    world.many_photos(4);
    run(world, line);
    world.photo("new.png", 9);
}

/// A model of one's own: a manifest, and the file it names.
fn manifest(world: &World) {
    let bytes: Vec<u8> = (0..30_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(world.path("net.bin"), &bytes).unwrap();
    let digest = Digest::of(&bytes);
    let text = format!(
        "name: net\nversion: '1'\ntask: embedding\nlicense: MIT\norigin: here\n\
         file: {{name: net.bin, size: {}, sha256: {digest}}}\nsources: [\"http://127.0.0.1:9/net.bin\"]\n",
        bytes.len()
    );
    fs::write(world.path("net.yaml"), text).unwrap();
}

fn imported(world: &World) {
    manifest(world);
    run(world, "models add net.yaml");
    run(world, "models import net.bin");
}

/// Labelled photos and a recipe that takes no time.
fn school(world: &World) {
    let mut labels = String::from("file,mos,group\n");
    for n in 0..10 {
        let (name, group) = if n < 6 { (format!("photo_{n}.png"), "") } else { (format!("take_{n}.png"), "scene") };
        world.photo(&name, n);
        labels += &format!("{name},{:.2},{group}\n", 0.2 + 0.04 * f64::from(n));
    }
    fs::write(world.path("labels.csv"), labels).unwrap();
    let takes: Vec<String> =
        (6..10).map(|n| format!("take_{n}.png,{:.2},s{}", 0.2 + 0.04 * f64::from(n), n / 2)).collect();
    fs::write(world.path("takes.csv"), format!("file,mos,group\n{}\n", takes.join("\n"))).unwrap();
    let recipe = "name: tiny\nversion: '0'\n\
        data: { labels: labels.csv, photos: photos, bursts: { labels: takes.csv, photos: photos }, series: take_ }\n\
        folds: 2\nheld_out: 0\nseed: 1\nepochs: 1\ndecay_epochs: 0\npatience: 9\nlearning_rate: 0.001\nweight_decay: 0.01\n\
        warmup_steps: 1\nmean_keep: 0.9\nlongest_gradient: 4.0\ndropout: [0.1, 0.1]\ncrop: 64\nlooks: 1\ndrawn: 2\n\
        batch: { singles: 2, runs: 1, run: 2, variants: 2, drawn: 1 }\n\
        losses: { opinion: 1, correlation: 1, order: 1, preference: 1, degraded_order: 1, degradation: 1, kind: 1 }\n\
        checkpoint_steps: 1\n\
        referee: { steps: 1, learning_rate: 0.01, weight_decay: 0, dropout: [0, 0], singles: 2, copies: 2, framed: 2, \
        losses: { takes: 1, series: 1, degraded_takes: 1, degraded: 1, tilted: 1, off_centre: 1 } }\n";
    fs::write(world.path("recipe.yaml"), recipe).unwrap();
}
