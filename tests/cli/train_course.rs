//! What a training run keeps: predictions, results, its terms; and the labels and recipes of the original.

use std::fs;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::world::World;

/// Eighteen photos with scores, and a recipe that takes seconds.
fn school(world: &World, more: &str) {
    let mut labels = String::from("file,score\n");
    for n in 0..18 {
        world.photo(format!("photo_{n}.png"), n);
        labels += &format!("photo_{n}.png,{:.2}\n", 0.2 + 0.04 * f64::from(n));
    }
    fs::write(world.path("labels.csv"), labels).unwrap();
    let recipe = format!(
        "name: small\nbackbone: resnet18\nresize: 36\ncrop: 32\n\
         augment: {{ random_crop: true, flip: 0.5, brightness: 0.1, contrast: 0.1, saturation: 0.1 }}\n\
         learning_rate: 0.001\nhead_factor: 1\nweight_decay: 0\nbatch: 4\nepochs: 2\npatience: 9\nseed: 1\nheld_out: 0.3\n{more}"
    );
    fs::write(world.path("small.yaml"), recipe).unwrap();
}

fn train<'a>(task: &'a str, labels: &'a str, recipe: &'a str, run: &'a str) -> [&'a str; 9] {
    ["train", task, labels, "--photos", "photos", "--recipe", recipe, "--run", run]
}

/// A column of a Parquet file.
fn column(world: &World, path: &str, name: &str) -> Vec<f64> {
    let file = fs::File::open(world.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let rows = reader.next().unwrap().unwrap();
    let column = rows.column_by_name(name).unwrap_or_else(|| panic!("{path}: {:?}", rows.schema()));
    column.as_primitive::<Float64Type>().values().to_vec()
}

#[test]
fn what_was_said_of_photos_held_out_is_kept_and_the_errors_are_of_it() {
    let world = World::new();
    school(&world, "output_mode: distribution\n");
    let lines = world.run(train("aesthetics", "labels.csv", "small.yaml", "run")).expect(0).lines();
    for (at, line) in lines.iter().enumerate() {
        let path = format!("run/predictions/val_epoch_{at:03}.parquet");
        let (said, truth) = (column(&world, &path, "pred_mean"), column(&world, &path, "gt_mean"));
        assert_eq!(said.len(), 5);
        let squares: f64 = said.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / said.len() as f64;
        assert!((line["metrics"]["mse"].as_f64().unwrap() - squares).abs() < 1e-6, "{line}");
        let shares: f64 = (1..=10).map(|k| column(&world, &path, &format!("pred_dist_{k}"))[0]).sum();
        assert!((shares - 1.0).abs() < 1e-6 && column(&world, &path, "gt_dist_10")[0] >= 0.0);
    }
    let results: Value = serde_json::from_slice(&fs::read(world.path("run/results.json")).unwrap()).unwrap();
    assert_eq!((&results["final_epoch"], &results["test"]), (&2.into(), &Value::Null));
}

#[test]
fn a_test_is_judged_once_by_the_best_and_by_nothing_learned_or_chosen() {
    let world = World::new();
    school(&world, "test: 0.2\n");
    let seen = world.run(train("aesthetics", "labels.csv", "small.yaml", "run")).expect(0);
    assert_eq!(seen.stderr.matches("test on 4 items that nothing was chosen by").count(), 1, "{}", seen.stderr);
    let results: Value = serde_json::from_slice(&fs::read(world.path("run/results.json")).unwrap()).unwrap();
    assert!(results["test"]["mse"].is_f64() && results["test_items"] == 4, "{results}");
    assert_eq!(column(&world, "run/predictions/test.parquet", "pred_mean").len(), 4);
    let names = |path: &str| {
        let file = fs::File::open(world.path(path)).unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
        let column = rows.column_by_name("image_id").unwrap().clone();
        column.as_string::<i32>().iter().map(|name| name.unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (test, held) = (names("run/predictions/test.parquet"), names("run/predictions/val_epoch_000.parquet"));
    assert!(test.iter().all(|name| !held.contains(name)), "{test:?} {held:?}");
    // The written model says the same of them.
    let rated = world.run(["aesthetics", "--model", "run/best.safetensors", "--no-cache", "photos"]).expect(0).lines();
    assert_eq!(rated.len(), 18);
    assert!(!world.run(train("aesthetics", "labels.csv", "small.yaml", "run")).expect(0).stderr.contains("test on"));
}

#[test]
fn the_recipe_in_force_and_the_command_are_kept() {
    let world = World::new();
    school(&world, "");
    let args = train("aesthetics", "labels.csv", "small.yaml", "a run");
    world.run(args.iter().chain(&["--epochs", "1", "--lr", "0.0005"])).expect(0);
    let command = fs::read_to_string(world.path("a run/command.txt")).unwrap();
    assert!(command.trim_end().ends_with("--run 'a run' --epochs 1 --lr 0.0005"), "{command}");
    let recipe = fs::read_to_string(world.path("a run/recipe.yaml")).unwrap();
    assert!(recipe.contains("epochs: 1\n") && recipe.contains("learning_rate: 0.0005"), "{recipe}");
    // It makes the same run again.
    fs::copy(world.path("a run/recipe.yaml"), world.path("again.yaml")).unwrap();
    world.run(train("aesthetics", "labels.csv", "again.yaml", "again")).expect(0);
    let model = |run: &str| fs::read(world.path(format!("{run}/best.safetensors"))).unwrap();
    assert!(model("a run") == model("again"));
}

/// The original's training file of pairs, at a size for tests.
const SIAMESE: &str = "batch_comparison_interval: 100000\ncompare_with_reference: false\n\
    data:\n  image_root: D:\\Similar Images\\train_val_imgs\n  min_agreement: 0.7\n  min_reviewers: 2\n  \
    quick_experiment: null\n  root_dir: D:\\Similar Images\n  split_mode: series_based\ndevice: cpu\n\
    model:\n  activation: relu\n  cnn_backbone: resnet50\n  dropout: 0.0\n  mlp_hidden_dims: []\n  \
    padding_mean_color:\n  - 0.485\n  - 0.456\n  - 0.406\n  pretrained: true\n  use_paper_preprocessing: true\n\
    model_type: siamese_cnn\nname: siamese_e2e_resnet50\noutput_dir: null\nseed: 42\n\
    telemetry:\n  collect_every_n: 200\n  enabled: true\n\
    training:\n  batch_size: 4\n  differential_lr: true\n  early_stop_patience: 10\n  learning_rate: 1.0e-05\n  \
    max_epochs: 1\n  momentum: 0.9\n  optimizer: sgd\n  weight_decay: 0.0005\n\
    transform:\n  crop_size: 32\ntransform_type: auto\nuse_external_dataloader: false\n";

#[test]
fn the_originals_reviews_and_training_file_make_a_model_that_compares() {
    let world = World::new();
    let mut table =
        String::from("series_id,compareID1,compareID2,compareFile1,compareFile2,LEFT,RIGHT,num_reviewers\n");
    for series in 0..6 {
        for number in 1..=2 {
            world.photo(format!("{series:06}-{number:02}.JPG"), series * 10 + number);
        }
        table += &format!("{series:06},0,1,{series}-1.JPG,{series}-2.JPG,1,4,5\n");
    }
    fs::write(world.path("photo_triage_pairs_embedding_labels.csv"), table).unwrap();
    fs::write(world.path("siamese_training_config.yaml"), SIAMESE).unwrap();
    let labels = "photo_triage_pairs_embedding_labels.csv";
    let seen = world.run(train("siamese", labels, "siamese_training_config.yaml", "run")).expect(0);
    assert!(seen.stderr.contains("`training.optimizer: sgd`: AdamW is used here"), "{}", seen.stderr);
    let line = seen.lines().remove(0);
    let metrics = &line["metrics"];
    let sure = metrics["confidence"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&sure) && metrics["confidence_deviation"].is_f64(), "{line}");
    let [p0, p1] = ["p0", "p1"].map(|p| column(&world, "run/predictions/val_epoch_000.parquet", p)[0]);
    assert!((p0 + p1 - 1.0).abs() < 1e-6 && (p0.max(p1) - sure).abs() < 1e-6, "{p0} {p1} {sure}");
    let pair = ["compare", "--model", "run/best.safetensors", "photos/000000-01.JPG", "photos/000001-01.JPG"];
    assert_eq!(world.run(pair).expect(0).lines()[0]["method"], "siamese");
    // Of what is not understood nothing is guessed.
    fs::write(world.path("odd.yaml"), SIAMESE.replace("max_epochs", "max_epoch")).unwrap();
    let refused = world.run(train("siamese", labels, "odd.yaml", "odd")).expect(2);
    assert!(
        refused.stderr.contains("odd.yaml") && refused.stderr.contains("`training.max_epoch`"),
        "{}",
        refused.stderr
    );
    // A list without counts cannot keep to them.
    fs::write(world.path("pairs.txt"), "0 1 2 0.2 2 1\n1 1 2 0.9 1 2\n2 1 2 0.9 1 2\n3 1 2 0.9 1 2\n").unwrap();
    let refused = world.run(train("siamese", "pairs.txt", "siamese_training_config.yaml", "list")).expect(2);
    assert!(
        refused.stderr.contains("pairs.txt") && refused.stderr.contains("counts no reviewers"),
        "{}",
        refused.stderr
    );
}
