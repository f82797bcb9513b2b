//! A fit that is killed again and again comes to the model of one that was left alone.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::features::{rows, write};
use super::world::World;

fn iterations(work: &Path) -> usize {
    let Ok(entries) = fs::read_dir(work) else { return 0 };
    entries.flatten().filter(|entry| entry.path().join("centroids.npy").exists()).count()
}

#[test]
fn killed_twenty_times_a_fit_of_all_rows_still_ends_with_the_same_model() {
    // Rows without clusters: centroids wander for long before they rest.
    killed_twenty_times(&["--max-iterations", "60"], &shapeless(9000, 24));
}

#[test]
fn killed_twenty_times_a_fit_in_mini_batches_still_ends_with_the_same_model() {
    killed_twenty_times(&["--mini-batch", "1000", "--max-iterations", "400"], &rows(7000, 40));
}

fn shapeless(count: usize, dim: usize) -> Vec<Vec<f32>> {
    let mut state = 1u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| (0..dim).map(|_| number()).collect()).collect()
}

fn killed_twenty_times(how: &[&str], all: &[Vec<f32>]) {
    let world = World::new();
    write(&world.path("f.parquet"), all, 0, 1000);
    let fit = |model: &str| {
        let args = ["kmeans", "fit", "--data", "f.parquet", "-k", "90", "--tolerance", "0", "--init", "random"];
        args.iter().chain(how).chain(&["--model", model]).map(|&arg| arg.to_owned()).collect::<Vec<_>>()
    };
    let started = Instant::now();
    world.run(fit("whole.safetensors")).expect(0);
    let whole_run = started.elapsed();
    let whole_work = world.path("whole.safetensors.work");
    let one = whole_run / iterations(&whole_work).max(1) as u32;
    let (model, work) = (world.path("cut.safetensors"), world.path("cut.safetensors.work"));
    let lines = |work: &Path| fs::read_to_string(work.join("telemetry.jsonl")).unwrap().lines().count();
    let assert_same = || {
        assert!(fs::read(&model).unwrap() == fs::read(world.path("whole.safetensors")).unwrap(), "another model");
        assert_eq!(lines(&work), lines(&whole_work));
    };
    let (mut kills, mut resumed) = (0, 0);
    while kills < 20 {
        let before = iterations(&work);
        let mut child =
            world.command(fit("cut.safetensors")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        // The first few while it still looks the rows through; then whenever an iteration or two are done.
        let enough = |done: usize| if kills < 4 { begun.elapsed() > one * (2 << kills) } else { done > before };
        while !enough(iterations(&work)) && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it came to nothing");
            std::thread::sleep(Duration::from_micros(300));
        }
        std::thread::sleep(one * (kills * 7 % 11) / 11);
        child.kill().unwrap();
        let ended = child.wait().unwrap().success();
        kills += u32::from(!ended);
        resumed += u32::from(!ended && before > 0);
        // A model is the whole one, whether its fit was still to say so or had said it: the next begins anew.
        if ended || model.exists() {
            assert_same();
            fs::remove_file(&model).unwrap();
            fs::remove_dir_all(&work).unwrap();
        }
    }
    assert!(resumed >= 8, "only {resumed} of 20 kills fell upon a fit that had something behind it");
    world.run(fit("cut.safetensors")).expect(0);
    assert_same();
}
