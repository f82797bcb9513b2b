//! What `cluster` puts together, on photos whose scenes are known.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::{World, fixture_album, shared_data};

/// How many photos each group has.
fn sizes(lines: &[Value]) -> Vec<usize> {
    let mut sizes: BTreeMap<i64, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *sizes.entry(line["cluster_id"].as_i64().unwrap()).or_default() += 1);
    sizes.into_values().collect()
}

/// Good photographs that have nothing to do with each other.
fn strangers(count: usize) -> Option<Vec<PathBuf>> {
    let folder = shared_data("biq2021/train")?;
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let single = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("ss03_");
    let mut all: Vec<PathBuf> = entries.filter(single).collect();
    all.sort();
    let step = all.len() / count;
    Some(all.into_iter().step_by(step).take(count).collect())
}

#[test]
fn times_come_from_exif_else_from_names_else_from_nowhere() {
    let world = World::new();
    for (at, name) in ["IMG-20260501-WA0007.jpg", "PXL_20260101_101112345.jpg", "IMG_4711.jpg"].iter().enumerate() {
        world.photo(name, at as u32);
    }
    // What the camera wrote counts, whatever the name says.
    fs::copy(fixture_album().join("DSC_0101.jpg"), world.photos().join("Screenshot_20260504-183011.jpg")).unwrap();
    let lines = world.run(["cluster", "photos"]).expect(0).lines();
    let told: BTreeMap<String, (&Value, &Value)> = lines
        .iter()
        .map(|line| {
            let name = Path::new(line["image_path"].as_str().unwrap()).file_name().unwrap();
            (name.to_str().unwrap().to_owned(), (&line["taken_at"], &line["taken_from"]))
        })
        .collect();
    assert_eq!(told["IMG-20260501-WA0007.jpg"], (&"2026-05-01".into(), &"file_name".into()));
    assert_eq!(told["PXL_20260101_101112345.jpg"], (&"2026-01-01T10:11:12.345+00:00".into(), &"file_name".into()));
    assert_eq!(told["IMG_4711.jpg"], (&Value::Null, &Value::Null));
    let camera = told["Screenshot_20260504-183011.jpg"];
    assert_eq!(camera.1, "exif");
    assert!(!camera.0.as_str().unwrap().starts_with("2026-05-04T18:30"), "{camera:?}");
    // The same when the results come from the store, under another name.
    fs::rename(world.photos().join("IMG_4711.jpg"), world.photos().join("20260504_143806.jpg")).unwrap();
    let again = world.run(["cluster", "photos"]).expect(0).lines();
    assert!(again.iter().any(|line| line["taken_at"] == "2026-05-04T14:38:06"), "{again:?}");
}

#[test]
fn strangers_without_times_stay_alone() {
    let Some(photos) = strangers(300) else { return };
    let world = World::new();
    let mut arguments = vec![PathBuf::from("cluster")];
    arguments.extend(photos);
    let lines = world.run(arguments).expect(0).lines();
    let sizes = sizes(&lines);
    let alone = sizes.iter().filter(|size| **size == 1).count();
    assert!(alone * 100 >= 95 * lines.len(), "{alone} of {} are alone", lines.len());
    assert!(*sizes.iter().max().unwrap() <= 3, "{sizes:?}");
}

#[test]
fn fifty_scenes_an_hour_apart_are_fifty_groups() {
    let Some(photos) = strangers(50) else { return };
    let world = World::new();
    for (hour, photo) in photos.iter().enumerate() {
        let name = format!("202605{:02}_{:02}0000.jpg", 1 + hour / 24, hour % 24);
        fs::copy(photo, world.photos().join(name)).unwrap();
    }
    let lines = world.run(["cluster", "photos"]).expect(0).lines();
    assert!(lines.iter().all(|line| line["taken_from"] == "file_name"));
    assert_eq!(sizes(&lines), vec![1; 50]);
}

#[test]
fn two_cameras_in_one_folder_join_no_strangers() {
    let Some(photos) = strangers(60) else { return };
    let world = World::new();
    // Two people, each with thirty scenes, press the button within the same second, one scene every five minutes.
    for (at, photo) in photos.iter().enumerate() {
        let (scene, camera) = (at / 2, at % 2);
        let name = format!("20260501_{:02}{:02}0{camera}.jpg", 9 + scene / 12, scene % 12 * 5);
        fs::copy(photo, world.photos().join(name)).unwrap();
    }
    let lines = world.run(["cluster", "photos"]).expect(0).lines();
    let joined = lines.iter().filter(|line| line["cluster_size"] != 1).count();
    assert!(joined <= 2, "{joined} of 60 strangers were joined for the clock's sake: {:?}", sizes(&lines));
}
