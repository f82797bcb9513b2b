//! Photos embedded by executors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::nodes::Cluster;
use super::world::World;

fn vectors(files: &[PathBuf]) -> BTreeMap<String, Vec<u32>> {
    let mut all = BTreeMap::new();
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap().build().unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let (ids, features) = (batch.column(0).as_string::<i32>(), batch.column(1).as_list::<i32>());
            for row in 0..batch.num_rows() {
                let vector = features.value(row);
                let bits = vector.as_primitive::<Float32Type>().values().iter().map(|x| x.to_bits()).collect();
                assert!(all.insert(ids.value(row).to_owned(), bits).is_none(), "a photo twice");
            }
        }
    }
    all
}

fn parts(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_to_string(folder.join("parts.txt")).unwrap();
    list.lines().map(PathBuf::from).collect()
}

#[test]
fn parts_hold_what_this_machine_computes_and_are_not_made_twice() {
    let world = World::new();
    world.many_photos(24);
    fs::write(world.photos().join("broken.png"), b"\x89PNG\r\n\x1a\nno more").unwrap();
    world.run(["embed", "photos", "-o", "local.parquet", "--no-cache"]).expect(3);
    let cluster = Cluster::of(&world, 2);
    let engine = cluster.engine();
    let embed = ["embed", "photos", "-o", "features", "--engine", &engine, "--part-photos", "4", "--no-cache"];
    let seen = world.run(embed).expect(3);
    assert!(seen.stderr.contains("photos/broken.png: decode"), "{}", seen.stderr);
    let made = parts(&world.path("features"));
    assert!(made.len() > 2, "{made:?}");
    assert_eq!(vectors(&made), vectors(&[world.path("local.parquet")]));
    // Asked again: nothing is made, the broken photo is told again.
    let times = |parts: &[PathBuf]| {
        parts.iter().map(|part| fs::metadata(part).unwrap().modified().unwrap()).collect::<Vec<_>>()
    };
    let before = times(&made);
    let seen = world.run(embed).expect(3);
    assert!(seen.stderr.contains(&format!("{0} of {0} parts are there already", made.len())), "{}", seen.stderr);
    assert!(seen.stderr.contains("photos/broken.png: decode"), "{}", seen.stderr);
    assert_eq!(times(&made), before);
    // A part that is missing is made again, and only it; a photo that went takes its old part along.
    fs::remove_file(&made[1]).unwrap();
    world.run(embed).expect(3);
    let again = times(&made);
    let other = (0..made.len()).filter(|&part| again[part] != before[part]).collect::<Vec<_>>();
    assert_eq!(other, [1]);
    fs::remove_file(world.photos().join("0005.png")).unwrap();
    world.run(embed).expect(3);
    let fewer = parts(&world.path("features"));
    assert_eq!(vectors(&fewer).len(), 23);
    let lying = fs::read_dir(world.path("features")).unwrap().flatten().map(|entry| entry.path());
    assert_eq!(lying.filter(|path| path.extension().is_some_and(|e| e == "parquet")).count(), fewer.len());
    // What the parts are for.
    world.run(["kmeans", "fit", "--data-file", "features/parts.txt", "-k", "3", "--engine", &engine]).expect(0);
}

#[test]
fn parts_need_a_folder_and_the_same_model_everywhere() {
    let world = World::new();
    world.many_photos(2);
    let cluster = Cluster::of(&world, 1);
    let engine = cluster.engine();
    let seen = world.run(["embed", "photos", "--engine", &engine]).expect(2);
    assert!(seen.stderr.contains("-o features/"), "{}", seen.stderr);
}
