//! `.npy` files instead of Parquet, and assignments as `.npy`: what scripts around NumPy hold.

use std::fs;
use std::path::Path;

use arrow_array::Array as _;
use serde_json::json;

use super::features::{formula, rows, write};
use super::world::World;

/// A matrix as NumPy saves it.
pub fn save(path: &Path, kind: &str, shape: &[usize], data: &[u8]) {
    fs::write(path, [base::npy::header(kind, shape), data.to_vec()].concat()).unwrap();
}

fn floats(rows: &[Vec<f32>]) -> Vec<u8> {
    rows.iter().flatten().flat_map(|v| v.to_le_bytes()).collect()
}

/// The items behind the header.
fn items(path: &Path, kind: &str, count: usize, size: usize) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header = base::npy::header(kind, &[count]);
    assert!(bytes.starts_with(&header), "{}", String::from_utf8_lossy(&bytes[..128]));
    assert_eq!(bytes.len(), header.len() + count * size);
    bytes[header.len()..].to_vec()
}

#[test]
fn a_matrix_gives_the_clusters_of_the_same_rows_in_parquet() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(700, 6), 0, 200);
    save(&world.path("features.npy"), "<f4", &[700, 6], &floats(&rows(700, 6)));
    let wide: Vec<u8> = rows(700, 6).iter().flatten().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    save(&world.path("wide.npy"), "<f8", &[700, 6], &wide);
    let fit = |data: &str, model: &str| {
        world.run(["kmeans", "fit", "--data", data, "-k", "7", "-m", model]).expect(0).lines().remove(0)
    };
    let parquet = fit("a.parquet", "a.safetensors");
    for (data, model) in [("features.npy", "b.safetensors"), ("wide.npy", "c.safetensors")] {
        let array = fit(data, model);
        assert_eq!((&array["rows"], &array["sizes"]), (&json!(700), &parquet["sizes"]));
        assert!(fs::read(world.path("a.safetensors")).unwrap() == fs::read(world.path(model)).unwrap());
    }
}

#[test]
fn ids_come_from_an_array_of_their_own_or_are_row_numbers() {
    let world = World::new();
    save(&world.path("features.npy"), "<f4", &[40, 6], &floats(&rows(40, 6)));
    let names: Vec<u8> = (0..40)
        .flat_map(|row| format!("photo {row}").chars().chain("\0\0\0\0".chars()).take(10).collect::<Vec<char>>())
        .flat_map(|c| u32::from(c).to_le_bytes())
        .collect();
    save(&world.path("ids.npy"), "<U10", &[40], &names);
    save(&world.path("few.npy"), "<i8", &[39], &[0; 39 * 8]);
    world.run(["kmeans", "fit", "--data", "features.npy", "-k", "3"]).expect(0);
    let ids = |more: &[&str]| {
        let args = ["kmeans", "assign", "--data", "features.npy", "-o", "labels.parquet"];
        world.run(args.iter().chain(more)).expect(0);
        let labels = fs::File::open(world.path("labels.parquet")).unwrap();
        let mut reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(labels).unwrap().build().unwrap();
        let batch = reader.next().unwrap().unwrap();
        let column = batch.column_by_name("id").unwrap().clone();
        let texts = column.as_any().downcast_ref::<arrow_array::StringArray>().unwrap();
        [0, 39].map(|row| texts.value(row).to_owned())
    };
    assert_eq!(ids(&[]), ["0", "39"]);
    assert_eq!(ids(&["--ids", "ids.npy"]), ["photo 0", "photo 39"]);
    let refused = |args: &[&str], code: i32| world.run(args).expect(code).stderr;
    let few = refused(&["kmeans", "fit", "--data", "features.npy", "--ids", "few.npy", "-k", "3"], 1);
    assert!(few.contains("few.npy") && few.contains("ids are a list of 40"), "{few}");
    write(&world.path("a.parquet"), &rows(50, 6), 0, 20);
    let parquet = refused(&["kmeans", "fit", "--data", "a.parquet", "--ids", "ids.npy", "-k", "3"], 2);
    assert!(parquet.contains("--ids goes with one .npy file"), "{parquet}");
}

#[test]
fn assignments_of_each_iteration_are_kept_when_asked_for() {
    let world = World::new();
    write(&world.path("a.parquet"), &rows(300, 6), 0, 100);
    save(&world.path("b.npy"), "<f4", &[400, 6], &floats(&rows(400, 6)));
    let fit = ["kmeans", "fit", "--data", "a.parquet", "b.npy", "-k", "7", "--work", "work"];
    world.run(fit.iter().chain(&["--max-iterations", "3"])).expect(0);
    let kept =
        || fs::read_dir(world.path("work")).unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    assert!(!kept().iter().any(|name| name.to_string_lossy().contains("shard")), "{:?}", kept());
    fs::remove_dir_all(world.path("work")).unwrap();
    let line =
        world.run(fit.iter().chain(&["--max-iterations", "3", "--write-assignments"])).expect(0).lines().remove(0);
    let iterations = line["iterations"].as_u64().unwrap();
    assert!(iterations > 0);
    for iteration in 0..iterations {
        for (shard, count) in [(0, 300), (1, 400)] {
            let path = |what: &str| world.path(format!("work/iter_{iteration}_shard_{shard}_{what}.npy"));
            let clusters = items(&path("assignments"), "<i8", count, 8);
            let clusters: Vec<i64> = clusters.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word)).collect();
            let distances = items(&path("distances"), "<f4", count, 4);
            let distances: Vec<f32> = distances.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
            // The centroids that iteration began with give the same answer.
            let centroids = fs::read(world.path(format!("work/iter_{iteration}/centroids.npy"))).unwrap();
            let centroids: Vec<f32> = centroids[centroids.len() - 7 * 6 * 4..]
                .as_chunks()
                .0
                .iter()
                .map(|word| f32::from_le_bytes(*word))
                .collect();
            for row in (0..count).step_by(37) {
                let of = |c: usize| {
                    let pairs = centroids[c * 6..][..6].iter().zip(formula(row, 6));
                    pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
                };
                let nearest = (0..7).min_by(|a, b| of(*a).total_cmp(&of(*b))).unwrap();
                assert_eq!(clusters[row], nearest as i64, "iteration {iteration}, shard {shard}, row {row}");
                assert!((f64::from(distances[row]) - of(nearest)).abs() < 1e-3);
            }
        }
    }
    let ids = fs::read(world.path("work/iter_0_shard_1_ids.npy")).unwrap();
    assert!(String::from_utf8_lossy(&ids[..128]).contains("'<U3'") && ids.ends_with(&u32::from('9').to_le_bytes()));
}

#[test]
fn a_vector_of_an_array_gives_its_cluster() {
    let world = World::new();
    save(&world.path("features.npy"), "<f4", &[700, 6], &floats(&rows(700, 6)));
    world.run(["kmeans", "fit", "--data", "features.npy", "-k", "7"]).expect(0);
    let text = formula(3, 6).iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
    let line = world.run_with_stdin(["kmeans", "assign"], text.as_bytes()).expect(0).lines().remove(0);
    save(&world.path("one.npy"), "<f4", &[6], &floats(&[formula(3, 6)]));
    let only = std::slice::from_ref(&line);
    assert_eq!(world.run(["kmeans", "assign", "--vector", "one.npy"]).expect(0).lines(), only);
    let piped = world.run_with_stdin(["kmeans", "assign"], &fs::read(world.path("one.npy")).unwrap()).expect(0).lines();
    assert_eq!(piped, only);
    save(&world.path("two.npy"), "<f4", &[2, 6], &floats(&[formula(3, 6), formula(4, 6)]));
    let two = world.run(["kmeans", "assign", "--vector", "two.npy"]).expect(0).lines();
    assert_eq!((two.len(), &two[0]), (2, &line));
    fs::write(world.path("one.txt"), text).unwrap();
    assert_eq!(world.run(["kmeans", "assign", "--vector", "one.txt"]).expect(0).lines(), [line]);
}

#[test]
fn an_array_that_cannot_be_read_says_why() {
    let world = World::new();
    let told = |name: &str, code: i32| world.run(["kmeans", "fit", "-k", "2", "--data", name]).expect(code).stderr;
    save(&world.path("objects.npy"), "|O", &[4], b"pickle");
    assert!(told("objects.npy", 1).contains("objects.npy: items of type `|O` are Python objects"));
    save(&world.path("list.npy"), "<f4", &[4], &[0; 16]);
    assert!(told("list.npy", 1).contains("list.npy: an array of shape [4]; features are numbers, a row each"));
    save(&world.path("short.npy"), "<f4", &[4, 6], &[0; 90]);
    assert!(told("short.npy", 1).contains("cut short"));
    let mut bad = rows(40, 6);
    bad[33][2] = f32::NAN;
    save(&world.path("nan.npy"), "<f4", &[40, 6], &floats(&bad));
    assert!(told("nan.npy", 1).contains("row 33: NaN at position 2"));
}
