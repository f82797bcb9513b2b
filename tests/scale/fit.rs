//! What a fit gives, and what it does not depend on.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use scale::assign::assign;
use scale::fit::Event;
use scale::{Init, Model, ScaleError, Source};
use serde_json::Value;

use super::features::{Form, bits, fit, formula, options, plain, rows, version_2, write, write_as};

fn labels(path: &std::path::Path) -> Vec<(String, i32, f64)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let mut all = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let (ids, clusters) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int32Type>());
        let distances = batch.column(2).as_primitive::<Float64Type>();
        all.extend((0..batch.num_rows()).map(|i| (ids.value(i).to_owned(), clusters.value(i), distances.value(i))));
    }
    all
}

#[test]
fn labels_and_inertia_are_those_of_scikit_learn_from_the_same_centroids() {
    let reference: Value = serde_json::from_str(include_str!("../reference/kmeans.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(600, 12), 0, 100);
    for run in reference["runs"].as_array().unwrap() {
        let iterations = run["iterations"].as_u64().unwrap();
        let mut options = options(&folder.path().join(format!("work{iterations}")), 9);
        options.given = Some((0..9).flat_map(|i| formula(i * 61, 12)).collect());
        options.max_iterations = iterations;
        let (model, _) = fit(std::slice::from_ref(&file), &options).unwrap();
        let expected = run["inertia"].as_f64().unwrap();
        assert!((model.inertia / expected - 1.0).abs() < 1e-6, "{iterations}: {} {expected}", model.inertia);
        let target = folder.path().join("labels.parquet");
        let centroids = model.centroids.values.clone();
        let source = Source::open(std::slice::from_ref(&file)).unwrap();
        assert_eq!(assign(&source, model, &target, 2, &AtomicBool::new(false)).unwrap(), 600);
        let expected: Vec<i64> = run["labels"].as_array().unwrap().iter().map(|l| l.as_i64().unwrap()).collect();
        for (i, (id, cluster, distance)) in labels(&target).into_iter().enumerate() {
            assert_eq!((id, i64::from(cluster)), (format!("r{i}"), expected[i]), "after {iterations}");
            let centroid = &centroids[cluster as usize * 12..][..12];
            let row = formula(i, 12);
            let plain: f64 = row.iter().zip(centroid).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            assert!((plain.sqrt() - distance).abs() < 1e-5);
        }
    }
}

#[test]
fn inertia_falls_every_iteration_and_the_last_centroids_are_returned() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(2000, 10), 0, 300);
    for init in [Init::KMeansPlusPlus, Init::Random] {
        let mut options = options(&folder.path().join(format!("work-{init:?}")), 12);
        options.init = init;
        let (model, lines) = fit(std::slice::from_ref(&file), &options).unwrap();
        assert!(model.converged && lines.len() > 3, "{} iterations", lines.len());
        for pair in lines.windows(2) {
            assert!(pair[1].inertia <= pair[0].inertia, "{init:?}: {} after {}", pair[1].inertia, pair[0].inertia);
        }
        assert!(model.inertia <= lines.last().unwrap().inertia);
        assert_eq!(model.sizes.iter().sum::<u64>(), 2000);
        let last = options.work.join(format!("iter_{}", model.iterations)).join("centroids.npy");
        let bytes: Vec<u8> = model.centroids.values.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert!(fs::read(last).unwrap().ends_with(&bytes));
        let told = fs::read_to_string(options.work.join("telemetry.jsonl")).unwrap();
        assert_eq!(told.lines().count() as u64, model.iterations);
    }
}

#[test]
fn centroids_are_the_same_to_the_bit_for_any_threads_batches_files_and_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let all = rows(3000, 17);
    let one = vec![write(&folder.path().join("one.parquet"), &all, 0, 4000)];
    // The rows shuffled over seven files whose names are in no order of theirs.
    let mut many = Vec::new();
    for part in 0..7 {
        let some: Vec<_> = (0..3000).rev().filter(|i| i * 31 % 7 == part).map(|i| all[i].clone()).collect();
        many.push(write(&folder.path().join(format!("{}.parquet", (part * 3) % 7)), &some, 0, 50 + part * 40));
    }
    for init in [Init::KMeansPlusPlus, Init::Random] {
        let mut expected = None;
        for (number, (threads, batch_rows)) in [(1, None), (2, Some(7)), (4, Some(333))].into_iter().enumerate() {
            for (name, files) in [("one", &one), ("many", &many)] {
                let mut options = options(&folder.path().join(format!("work-{init:?}-{number}-{name}")), 11);
                (options.init, options.threads, options.batch_rows) = (init, threads, batch_rows);
                let mut files = files.clone();
                let turn = number % files.len();
                files.rotate_left(turn);
                let (model, lines) = fit(&files, &options).unwrap();
                let inertias: Vec<u64> = lines.iter().map(|line| line.inertia.to_bits()).collect();
                let found = (bits(&model), inertias, model.sizes.clone());
                assert_eq!(*expected.get_or_insert(found.clone()), found, "{threads} threads, {batch_rows:?}, {name}");
            }
        }
    }
}

#[test]
fn every_form_of_the_column_is_read_to_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    // Numbers that f16 holds exactly.
    let all: Vec<Vec<f32>> =
        rows(500, 9).iter().map(|row| row.iter().map(|x| (x * 16.0).round() / 16.0).collect()).collect();
    let mut expected = None;
    let forms = [Form::List, Form::LargeList, Form::Fixed, Form::Half, Form::Double];
    let pages = || plain().set_data_page_row_count_limit(37).set_write_batch_size(10);
    for (name, properties) in [("plain", pages()), ("dictionary", WriterProperties::builder()), ("v2", version_2())] {
        for form in forms {
            let properties = properties.clone().set_max_row_group_row_count(Some(170)).build();
            let file = write_as(&folder.path().join("f.parquet"), &all, form, properties);
            let work = folder.path().join(format!("work-{name}-{form:?}"));
            let (model, _) = fit(&[file], &options(&work, 5)).unwrap();
            assert_eq!(*expected.get_or_insert(bits(&model)), bits(&model), "{name} {form:?}");
        }
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(2000, 10), 0, 200);
    let source = Source::open(std::slice::from_ref(&file)).unwrap();
    for mini_batch in [None, Some(500)] {
        let mut whole = options(&folder.path().join(format!("whole{mini_batch:?}")), 12);
        (whole.mini_batch, whole.max_iterations) = (mini_batch, 9);
        let (expected, lines) = fit(std::slice::from_ref(&file), &whole).unwrap();
        let mut cut = whole.clone();
        cut.work = folder.path().join(format!("cut{mini_batch:?}"));
        let mut told = 0;
        let model = loop {
            let stop = AtomicBool::new(false);
            let mut steps = 0;
            let ended = scale::fit::fit(&source, &cut, &stop, &mut |event| {
                if matches!(event, Event::Iterated(_)) {
                    steps += 1;
                    stop.store(steps == 2, Ordering::Relaxed);
                }
            });
            told += steps;
            match ended {
                Ok(model) => break model,
                Err(ScaleError::Stopped) => assert!(steps > 0),
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(bits(&model), bits(&expected));
        assert_eq!((model.sizes, told), (expected.sizes, lines.len()), "no iteration was done twice");
    }
}

#[test]
fn what_a_kill_may_leave_behind_does_not_stand_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(1000, 8), 0, 200);
    let options = options(&folder.path().join("work"), 8);
    let (expected, lines) = fit(std::slice::from_ref(&file), &options).unwrap();
    let last = options.work.join(format!("iter_{}", expected.iterations));
    // A folder without its file, a file cut short, a line cut short.
    fs::create_dir(options.work.join("iter_99")).unwrap();
    let bytes = fs::read(last.join("centroids.npy")).unwrap();
    fs::write(last.join("centroids.npy"), &bytes[..bytes.len() / 2]).unwrap();
    let telemetry = options.work.join("telemetry.jsonl");
    let text = fs::read_to_string(&telemetry).unwrap();
    fs::write(&telemetry, &text[..text.len() - 20]).unwrap();
    let (model, again) = fit(&[file], &options).unwrap();
    assert_eq!(bits(&model), bits(&expected));
    assert_eq!(again.len(), 1, "only the iteration that was spoiled is done again");
    assert_eq!(fs::read_to_string(&telemetry).unwrap().lines().count(), lines.len());
}

#[test]
fn a_work_folder_of_another_fit_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(300, 8), 0, 200);
    let mut options = options(&folder.path().join("work"), 4);
    fit(std::slice::from_ref(&file), &options).unwrap();
    let plan = fs::read(options.work.join("fit.json")).unwrap();
    options.seed = 7;
    let error = fit(&[file], &options).unwrap_err().to_string();
    assert!(error.contains("another fit") && error.contains("seed 42, not 7"), "{error}");
    assert_eq!(fs::read(options.work.join("fit.json")).unwrap(), plan);
}

#[test]
fn empty_clusters_are_given_a_new_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(700, 6), 0, 100);
    let mut expected = None;
    for threads in [1, 4] {
        let mut options = options(&folder.path().join(format!("work{threads}")), 5);
        // Three of the five lie where no row will ever be nearest.
        let far = |x: f32| vec![x; 6];
        options.given = Some([formula(0, 6), formula(1, 6), far(1e4), far(2e4), far(3e4)].concat());
        options.threads = threads;
        let (model, lines) = fit(std::slice::from_ref(&file), &options).unwrap();
        assert_eq!(lines[0].reseeded, 3);
        assert!(model.sizes.iter().all(|&size| size > 0), "{:?}", model.sizes);
        assert!(lines[1].inertia < lines[0].inertia);
        assert_eq!(*expected.get_or_insert(bits(&model)), bits(&model));
    }
}

#[test]
fn scalable_seeding_finds_clusters_that_random_rows_miss() {
    let folder = tempfile::tempdir().unwrap();
    // Twenty far clusters of very unequal size: most random rows fall into the largest few.
    let all: Vec<Vec<f32>> = (0..4000)
        .map(|i| {
            let cluster = if i < 3800 { i % 2 } else { 2 + i % 18 };
            let centre = |j: usize| if j == cluster % 8 { 100.0 * (1 + cluster / 8) as f32 } else { 0.0 };
            formula(i, 8).iter().enumerate().map(|(j, x)| centre(j) + 0.1 * x).collect()
        })
        .collect();
    let file = write(&folder.path().join("f.parquet"), &all, 0, 500);
    let seeded = fit(std::slice::from_ref(&file), &options(&folder.path().join("a"), 20)).unwrap().0;
    let mut at_random = options(&folder.path().join("b"), 20);
    at_random.init = Init::Random;
    let random = fit(&[file], &at_random).unwrap().0;
    assert!(seeded.inertia * 20.0 < random.inertia, "{} against {}", seeded.inertia, random.inertia);
}

#[test]
fn mini_batches_come_near_the_whole_fit() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(4000, 10), 0, 100);
    let whole = fit(std::slice::from_ref(&file), &options(&folder.path().join("whole"), 7)).unwrap().0;
    let mut small = options(&folder.path().join("small"), 7);
    (small.mini_batch, small.max_iterations) = (Some(400), 30);
    let (model, lines) = fit(&[file], &small).unwrap();
    assert!(lines.iter().all(|line| line.rows == 400));
    assert!(model.inertia < whole.inertia * 1.1, "{} against {}", model.inertia, whole.inertia);
}

#[test]
fn a_model_survives_its_file_and_a_spoiled_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("f.parquet"), &rows(300, 8), 0, 200);
    let mut options = options(&folder.path().join("work"), 4);
    options.normalize = true;
    let model = fit(&[file], &options).unwrap().0;
    let path = folder.path().join("m.safetensors");
    model.save(&path).unwrap();
    let read = Model::load(&path).unwrap();
    assert_eq!((bits(&read), &read.sizes, read.normalize), (bits(&model), &model.sizes, true));
    assert_eq!((read.inertia, read.iterations, read.converged), (model.inertia, model.iterations, model.converged));
    let bytes = fs::read(&path).unwrap();
    for spoiled in [&bytes[..bytes.len() - 3], &bytes[..4], b"not a model at all"] {
        fs::write(&path, spoiled).unwrap();
        assert!(matches!(Model::load(&path), Err(ScaleError::Model { .. })));
    }
}
