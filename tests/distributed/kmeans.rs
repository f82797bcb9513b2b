//! Two engines, one answer.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use scale::Source;
use scale::distributed::MESSAGE;
use scale::distributed::client::{self, Client};
use scale::distributed::engine;
use scale::distributed::trust::Trust;
use scale::fit::{Event, fit_on};
use scale::pass::Engine as _;
use scale::sample::Sample;

use super::features::{Form, bits, formula, options, plain, rows, write, write_as};
use super::nodes::Cluster;
use super::world::World;

const CLUSTERS: &str = "12";

/// Arguments of a fit, to `model`, on the engine that is named.
pub fn fit(model: &str, more: &[&str]) -> Vec<String> {
    let args = ["kmeans", "fit", "--data", "d/*.parquet", "-k", CLUSTERS, "--tolerance", "0", "--max-iterations", "8"];
    args.iter().chain(&["--model", model]).chain(more).map(|&arg| arg.to_owned()).collect()
}

/// Rows over several files in no order of theirs, of two types.
fn data(world: &World) {
    fs::create_dir(world.path("d")).unwrap();
    let all = rows(2600, 17);
    for part in 0..5 {
        let some: Vec<_> = (0..2600).rev().filter(|i| i * 31 % 5 == part).map(|i| all[i].clone()).collect();
        let path = world.path(format!("d/{}.parquet", (part * 3) % 5));
        if part == 3 {
            let properties = plain().set_max_row_group_row_count(Some(90)).build();
            write_as(&path, &some, Form::Double, properties);
        } else {
            write(&path, &some, 0, 50 + part * 40);
        }
    }
}

#[test]
fn rows_that_were_drawn_may_be_more_than_a_message_holds() {
    // Long rows, as many as there are clusters: what seeding many clusters of usual rows comes to.
    const DIM: usize = 20_000;
    let world = World::new();
    let count = MESSAGE / (4 * DIM) + 60;
    // Nothing that can be compressed, but for the number of the row at its end.
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let mut row = |number: usize| (1..DIM).map(|_| noise()).chain([number as f32]).collect::<Vec<f32>>();
    let files = [0, 1].map(|part| {
        let some: Vec<_> = (0..count).filter(|number| number % 2 == part).map(&mut row).collect();
        write(&world.path(format!("{part}.parquet")), &some, 0, 100)
    });
    let source = Source::open(&files).unwrap();
    let nodes = Cluster::of(&world, 2);
    let client = client_options(&world, &nodes);
    let stop = AtomicBool::new(false);
    let connected = Client::connect(&client, &stop, &|told| panic!("{told}")).unwrap();
    let engine = engine::Cluster::new(&source, false, 1, connected).unwrap();
    let survey = Sample::Uniform { wanted: count, seed: 1 };
    let drawn = engine.sample(&survey, &source.groups()).unwrap().into_rows();
    let mut numbers: Vec<f32> = drawn.iter().map(|drawn| drawn.row[DIM - 1]).collect();
    numbers.sort_by(f32::total_cmp);
    assert_eq!(numbers, (0..count).map(|number| number as f32).collect::<Vec<_>>());
}

fn client_options(world: &World, nodes: &Cluster) -> client::Options {
    fs::create_dir(world.path("share")).unwrap();
    client::Options {
        address: nodes.address.clone(),
        share: world.path("share").to_string_lossy().into_owned(),
        deadline: Duration::from_secs(60),
        attempts: 2,
        task_rows: Some(100),
        trust: Trust::default(),
    }
}

fn iterations(work: &Path) -> Vec<Vec<u8>> {
    (0..).map_while(|n| fs::read(work.join(format!("iter_{n}/centroids.npy"))).ok()).collect()
}

#[test]
fn one_two_and_four_executors_give_the_bits_of_this_machine() {
    let world = World::new();
    data(&world);
    let forms: [&[&str]; 4] = [&[], &["--init", "random"], &["--normalize"], &["--mini-batch", "500"]];
    for (number, form) in forms.iter().enumerate() {
        world.run(fit(&format!("local{number}.safetensors"), form)).expect(0);
    }
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    for executors in [1, 2, 4] {
        while cluster.executors.len() < executors {
            cluster.join(&world);
        }
        for (number, form) in forms.iter().enumerate() {
            let task_rows = if executors == 1 { "1000000" } else { "150" };
            let model = format!("{executors}-{number}.safetensors");
            let engine = cluster.engine();
            let more: Vec<&str> = form.iter().copied().chain(["--engine", &engine, "--task-rows", task_rows]).collect();
            world.run(fit(&model, &more)).expect(0);
            let local = format!("local{number}.safetensors");
            assert!(
                fs::read(world.path(&model)).unwrap() == fs::read(world.path(&local)).unwrap(),
                "{executors} executors, {form:?}: another model"
            );
            let work = |model: &str| world.path(format!("{model}.work"));
            assert_eq!(iterations(&work(&model)), iterations(&work(&local)), "{executors} executors, {form:?}");
            let left = fs::read_dir(work(&model)).unwrap().flatten().map(|entry| entry.file_name());
            assert!(
                left.into_iter().all(|name| !name.to_string_lossy().starts_with("pass-")),
                "passes are cleared away"
            );
        }
    }
    for executor in &mut cluster.executors {
        executor.signal("TERM");
        assert_eq!(executor.wait().code(), Some(0), "{}", executor.said());
        let line = executor.wait_for("it looked at");
        assert!(!line.contains("looked at 0 rows"), "every executor had its share: {line}");
    }
    cluster.scheduler.signal("TERM");
    assert_eq!(cluster.scheduler.wait().code(), Some(0), "{}", cluster.scheduler.said());
}

#[test]
fn empty_clusters_are_given_the_same_new_place_and_a_share_may_lie_elsewhere() {
    let world = World::new();
    let file = write(&world.path("f.parquet"), &rows(700, 6), 0, 100);
    let source = Source::open(std::slice::from_ref(&file)).unwrap();
    // Three of the five lie where no row will ever be nearest.
    let far = |x: f32| vec![x; 6];
    let given = [formula(0, 6), formula(1, 6), far(1e4), far(2e4), far(3e4)].concat();
    let mut local = options(&world.path("local"), 5);
    local.given = Some(given);
    let (expected, lines) = super::features::fit(std::slice::from_ref(&file), &local).unwrap();
    assert_eq!(lines[0].reseeded, 3);
    let nodes = Cluster::of(&world, 2);
    let client = client_options(&world, &nodes);
    let stop = AtomicBool::new(false);
    let connected = Client::connect(&client, &stop, &|told| panic!("{told}")).unwrap();
    let engine = engine::Cluster::new(&source, false, 1, connected).unwrap();
    let mut far_away = options(&world.path("far"), 5);
    far_away.given = local.given.clone();
    let mut told = Vec::new();
    let model = fit_on(&engine, &far_away, &mut |event| {
        if let Event::Iterated(line) = event {
            told.push((line.inertia.to_bits(), line.reseeded));
        }
    });
    assert_eq!(bits(&model.unwrap()), bits(&expected));
    assert_eq!(told, lines.iter().map(|line| (line.inertia.to_bits(), line.reseeded)).collect::<Vec<_>>());
}

#[test]
fn an_array_is_read_by_executors_as_parquet_is() {
    let world = World::new();
    let all = rows(900, 6);
    write(&world.path("a.parquet"), &all, 0, 100);
    let numbers: Vec<u8> = all.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    fs::write(world.path("a.npy"), [base::npy::header("<f4", &[900, 6]), numbers].concat()).unwrap();
    let cluster = Cluster::of(&world, 1);
    let engine = cluster.engine();
    for data in ["a.parquet", "a.npy"] {
        let model = format!("{data}.safetensors");
        world.run(["kmeans", "fit", "--data", data, "-k", "5", "--model", &model, "--engine", &engine]).expect(0);
    }
    let model = |data: &str| fs::read(world.path(format!("{data}.safetensors"))).unwrap();
    assert!(model("a.npy") == model("a.parquet"), "another model");
}
