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
    world.run(fit("whole.safetensors")).expect(0);
    let work = world.path("cut.safetensors.work");
    let mut kills = 0;
    while kills < 20 {
        let before = iterations(&work);
        let mut child =
            world.command(fit("cut.safetensors")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        // The first few while it still looks the rows through; then whenever an iteration or two are done.
        let enough = |done: usize| if kills < 4 { begun.elapsed().as_millis() > 8 << kills } else { done > before };
        while !enough(iterations(&work)) {
            assert!(child.try_wait().unwrap().is_none(), "it ended after {kills} kills");
            assert!(begun.elapsed() < Duration::from_secs(60), "it came to nothing");
            std::thread::sleep(Duration::from_micros(300));
        }
        std::thread::sleep(Duration::from_micros(700 * (kills * 7 % 11)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!world.path("cut.safetensors").exists(), "no model before the end");
        kills += 1;
    }
    world.run(fit("cut.safetensors")).expect(0);
    assert_eq!(fs::read(world.path("cut.safetensors")).unwrap(), fs::read(world.path("whole.safetensors")).unwrap());
    let lines = |work: &Path| fs::read_to_string(work.join("telemetry.jsonl")).unwrap().lines().count();
    assert_eq!(lines(&work), lines(&world.path("whole.safetensors.work")));
}
