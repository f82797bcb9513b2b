//! Photos embedded by executors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::bucket::{Bucket, Door};
use super::nodes::Cluster;
use super::world::World;

type Vectors = BTreeMap<String, Vec<u32>>;

fn vectors(files: &[PathBuf]) -> Vectors {
    vectors_of(files.iter().map(|file| fs::read(file).unwrap()))
}

fn vectors_of(files: impl Iterator<Item = Vec<u8>>) -> Vectors {
    let mut all = BTreeMap::new();
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap().build().unwrap();
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

/// An album here and in a bucket, with two photos that cannot be read and what is no photo.
fn album(world: &World) -> (Bucket, Door) {
    world.many_photos(24);
    fs::write(world.photos().join("broken.png"), b"\x89PNG\r\n\x1a\nno more").unwrap();
    fs::write(world.photos().join("huge.png"), vec![0; 2_000_000]).unwrap();
    fs::write(world.photos().join("notes.txt"), "no photo").unwrap();
    let bucket = Bucket::default();
    for photo in fs::read_dir(world.photos()).unwrap().flatten() {
        let name = photo.file_name().into_string().unwrap();
        bucket.put(&format!("b/album 1/{name}"), fs::read(photo.path()).unwrap());
    }
    bucket.put("b/album 1/Trash/0000.png", b"left out".to_vec());
    bucket.put("b/album 10/0000.png", b"another album".to_vec());
    let door = bucket.door(0);
    (bucket, door)
}

/// Photos are told by their place in the album.
fn by_name(vectors: Vectors) -> Vectors {
    vectors.into_iter().map(|(id, vector)| (id.rsplit('/').next().unwrap().to_owned(), vector)).collect()
}

const ALBUM: [&str; 6] = ["embed", "s3://b/album 1", "--exclude", "Trash/", "--set", "limits.max_file_mb=1"];

#[test]
fn photos_in_a_bucket_are_those_of_a_folder() {
    let world = World::new();
    let (bucket, door) = album(&world);
    let limit = ["--set", "limits.max_file_mb=1", "--no-cache"];
    let here = world.run([&["embed", "photos", "-o", "here.parquet"][..], &limit].concat()).expect(3);
    let there = door.run(&world, &[&ALBUM[..], &["-o", "there.parquet", "--no-cache"]].concat()).expect(3);
    // The same lines, but for the places.
    let told = |text: &str, place: &str| {
        let lines = text.lines().filter(|line| line.contains(".png"));
        let mut lines: Vec<String> = lines.map(|line| line.replace(place, "PLACE/")).collect();
        lines.sort();
        lines
    };
    assert_eq!(told(&there.stderr, "s3://b/album 1/"), told(&here.stderr, "photos/"), "{}", there.stderr);
    assert_eq!(told(&there.stderr, "s3://b/album 1/").len(), 2);
    let there = vectors(&[world.path("there.parquet")]);
    assert!(there.keys().all(|id| id.starts_with("s3://b/album 1/")));
    assert_eq!(by_name(there.clone()), by_name(vectors(&[world.path("here.parquet")])));
    // The table may go to the bucket as well, and single photos be named, on web servers too.
    door.run(&world, &[&ALBUM[..], &["-o", "s3://b/all.parquet"]].concat()).expect(3);
    assert_eq!(vectors_of(std::iter::once(bucket.get("b/all.parquet"))), there);
    let web = format!("http://{}/b/album%201/0003.png", door.address);
    let lines = door.run(&world, &["embed", "s3://b/album 1/0003.png", &web]).expect(0).lines();
    assert_eq!(lines[0]["image_path"], "s3://b/album 1/0003.png");
    assert_eq!(lines[0]["embedding"], lines[1]["embedding"]);
    let seen = door.run(&world, &["embed", "s3://b/nothing"]).expect(2);
    assert!(seen.stderr.contains("`s3://b/nothing` names no file"), "{}", seen.stderr);
    let seen = door.run(&world, &["embed", "s3://b/album 1/none.png"]).expect(1);
    assert!(seen.stderr.contains("s3://b/album 1/none.png: read: no such file"), "{}", seen.stderr);
}

#[test]
fn a_cluster_reads_photos_from_a_bucket_and_writes_its_parts_there() {
    let world = World::new();
    let (bucket, door) = album(&world);
    door.run(&world, &[&ALBUM[..], &["-o", "here.parquet", "--no-cache"]].concat()).expect(3);
    let here = vectors(&[world.path("here.parquet")]);
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    for _ in 0..2 {
        let more = ["--threads", "1", "--no-cache", "--set", "limits.max_file_mb=1"];
        cluster.join_with(&world, |command| door.lead(command), &more);
    }
    let engine = cluster.engine();
    let more = ["-o", "s3://b/parts", "--engine", &engine, "--part-photos", "4"];
    let embed = || door.run(&world, &[&ALBUM[..], &more].concat());
    let parts = || {
        let list = String::from_utf8(bucket.get("b/parts/parts.txt")).unwrap();
        list.lines().map(|part| part.strip_prefix("s3://").unwrap().to_owned()).collect::<Vec<_>>()
    };
    let made = || vectors_of(parts().iter().map(|part| bucket.get(part)));
    // A store that does not answer for a photo is no fault of the photo: its part is made again the next time.
    bucket.refused.lock().unwrap().insert("b/album 1/0007.png".to_owned());
    let seen = embed().expect(3);
    assert!(seen.stderr.contains("s3://b/album 1/0007.png: read: "), "{}", seen.stderr);
    assert_eq!(made().len(), here.len() - 1);
    bucket.refused.lock().unwrap().clear();
    let seen = embed().expect(3);
    let all = parts().len();
    assert!(all > 2, "{all} parts");
    assert!(seen.stderr.contains(&format!("{} of {all} parts are there already", all - 1)), "{}", seen.stderr);
    assert_eq!(made(), here);
    for told in ["broken.png: decode: ", "huge.png: read: 2 MB, more than the limit of 1 MB"] {
        assert!(seen.stderr.contains(told), "{}", seen.stderr);
    }
    let seen = embed().expect(3);
    assert!(seen.stderr.contains(&format!("{all} of {all} parts are there already")), "{}", seen.stderr);
    assert_eq!(bucket.keys("b/parts/lists"), [""; 0]);
    // A photo that changed remakes its part, one that went takes it along.
    bucket.put("b/album 1/0005.png", fs::read(world.photo("other.png", 77)).unwrap());
    bucket.remove("b/album 1/0006.png");
    embed().expect(3);
    let now = made();
    let id = |name: &str| format!("s3://b/album 1/{name}");
    assert!(now[&id("0005.png")] != here[&id("0005.png")] && !now.contains_key(&id("0006.png")));
    assert_eq!(now.len(), here.len() - 1);
    let lying = bucket.keys("b/parts/part-").into_iter().filter(|key| key.ends_with(".parquet"));
    assert_eq!(lying.count(), parts().len(), "no part is left over");
    let fit = ["kmeans", "fit", "--data-file", "s3://b/parts/parts.txt", "-k", "3", "--share", "s3://b/share"];
    door.run(&world, &[&fit[..], &["--engine", &engine]].concat()).expect(0);
}

#[test]
fn an_executor_killed_among_photos_costs_no_photo() {
    let world = World::new();
    let (bucket, _) = album(&world);
    let client = bucket.door(9);
    client.run(&world, &[&ALBUM[..], &["-o", "here.parquet", "--no-cache"]].concat()).expect(3);
    let mut cluster = Cluster::without_executors(&world, "127.0.0.1:0");
    for number in 1..3 {
        let door = bucket.door(number);
        let more = ["--threads", "1", "--no-cache", "--set", "limits.max_file_mb=1"];
        cluster.join_with(&world, |command| door.lead(command), &more);
    }
    let engine = cluster.engine();
    let more = ["-o", "s3://b/parts", "--engine", &engine, "--part-photos", "4"];
    // Both are held at a photo of theirs when one of them is killed.
    bucket.gate.close(("album 1/", 5), "album 1/", &[1, 2], 1);
    let mut command = client.lead(world.command([&ALBUM[..], &more].concat()));
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    bucket.gate.wait_for(1, 1);
    bucket.gate.wait_for(2, 1);
    cluster.executors[0].signal("KILL");
    cluster.executors[0].wait();
    bucket.gate.open();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    let list = String::from_utf8(bucket.get("b/parts/parts.txt")).unwrap();
    let made = vectors_of(list.lines().map(|part| bucket.get(part.strip_prefix("s3://").unwrap())));
    assert_eq!(made, vectors(&[world.path("here.parquet")]));
}
