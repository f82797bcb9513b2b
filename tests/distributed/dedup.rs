//! The duplicates that one machine finds, found by several.

use std::fs;

use super::features::{rows, write};
use super::nodes::Cluster;
use super::world::World;

const DIM: usize = 24;

/// Rows over four files: some thousand that differ, and every third again, a little changed.
fn data(world: &World) {
    fs::create_dir(world.path("d")).unwrap();
    let mut all = rows(3000, DIM);
    for i in (0..3000).step_by(3) {
        let mut near = all[i].clone();
        near[i % DIM] *= 1.02;
        all.push(near);
    }
    for part in 0..4 {
        let some: Vec<_> = all.iter().skip(part).step_by(4).cloned().collect();
        write(&world.path(format!("d/{part}.parquet")), &some, 1000 * part, 90 + 50 * part);
    }
    let score =
        |i: i32| format!("{{\"image_path\": \"r{i}\", \"composite_score\": {}}}", f64::from(i * 37 % 101) / 100.0);
    let scores: Vec<String> = (0..4000).filter(|i| i % 7 > 0).map(score).collect();
    fs::write(world.path("scores.jsonl"), scores.join("\n")).unwrap();
}

fn dedup<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["dedup", "--data", "d/*.parquet", "--sample", "60", "--similarity", "0.999"], more].concat()
}

#[test]
fn the_same_list_as_alone() {
    let world = World::new();
    data(&world);
    fs::create_dir(world.path("share")).unwrap();
    let forms: [&[&str]; 5] = [
        &["-k", "9"],
        &["-k", "9", "--scores", "scores.jsonl"],
        &["-k", "7", "--keep", "nearest"],
        &["-k", "7", "--keep", "farthest"],
        // Groups are split until they fit into a megabyte.
        &["--memory", "1", "--threads", "2"],
    ];
    let alone: Vec<_> = forms.iter().map(|form| world.run(dedup(form)).expect(0)).collect();
    let removed = alone[0].lines().iter().filter(|line| line["kept"] == false).count();
    assert!((500..3000).contains(&removed), "{removed} rows are removed");
    assert!(alone[4].stderr.contains("split to fit in memory"), "{}", alone[4].stderr);
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    for task_rows in ["1000000", "150"] {
        cluster.join(&world);
        for (form, alone) in forms.iter().zip(&alone) {
            let engine = cluster.engine();
            let more = [form, &["--engine", &engine, "--share", "share", "--task-rows", task_rows][..]].concat();
            let seen = world.run(dedup(&more)).expect(0);
            assert!(seen.stdout == alone.stdout, "{form:?}: another list");
            let recall = |text: &str| text.lines().find(|line| line.contains("recall")).map(str::to_owned);
            assert_eq!(recall(&seen.stderr), recall(&alone.stderr));
            let left = fs::read_dir(world.path("share")).unwrap().count();
            assert_eq!(left, 0, "nothing is left on the share");
        }
    }
    for executor in &mut cluster.executors {
        executor.signal("TERM");
        executor.wait();
        let line = executor.wait_for("it looked at");
        assert!(!line.contains("looked at 0 rows"), "every executor had its share: {line}");
    }
}

#[test]
fn without_a_share_nothing_begins() {
    let world = World::new();
    data(&world);
    let seen = world.run(dedup(&["--engine", "ballista://127.0.0.1:1"])).expect(2);
    assert!(seen.stderr.contains("--share DIR|URL"), "{}", seen.stderr);
    let photos = ["dedup", "photos", "--method", "phash", "--engine", "ballista://127.0.0.1:1"];
    assert!(world.run(photos).expect(2).stderr.contains("--engine is for features"));
}
