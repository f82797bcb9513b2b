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
fn killed_twenty_times_it_still_ends_with_the_same_model() {
    let world = World::new();
    write(&world.path("f.parquet"), &rows(7000, 40), 0, 1000);
    let fit = |model: &str| {
        let args = [
            "kmeans",
            "fit",
            "--data",
            "f.parquet",
            "-k",
            "90",
            "--tolerance",
            "0",
            "--init",
            "random",
            "--mini-batch",
            "1000",
            "--max-iterations",
            "400",
        ];
        args.into_iter().chain(["--model", model]).map(str::to_owned).collect::<Vec<_>>()
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
