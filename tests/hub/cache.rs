//! The model folder: what is kept, what goes, and what is believed.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use hub::cache::{Cache, CacheError, Collection, Leftover, Origin, Presence, Verdict};
use hub::digest::Digest;
use tempfile::TempDir;

use crate::place::noise;

/// A cache with these files in it, added at once.
fn cache_of(max_bytes: Option<u64>, files: &[&[u8]]) -> (TempDir, Cache, Vec<Digest>) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("models"), max_bytes);
    let digests = files.iter().map(|bytes| add(&cache, folder.path(), bytes)).collect();
    (folder, cache, digests)
}

fn add(cache: &Cache, folder: &Path, bytes: &[u8]) -> Digest {
    let file = folder.join("file-to-import");
    fs::write(&file, bytes).unwrap();
    cache.import(&file, &AtomicBool::new(false), |_| true).unwrap().unwrap()
}

/// As if added and last used so many hours ago.
fn age(cache: &Cache, digest: &Digest, hours: u64) {
    let path = cache.root().join(format!("notes/sha256-{digest}.json"));
    let mut note: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let then = SystemTime::now() - Duration::from_secs(3600 * hours);
    for field in ["added", "last_used"] {
        note[field] = serde_json::to_value(then).unwrap();
    }
    fs::write(&path, note.to_string()).unwrap();
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn blobs(collected: &[hub::cache::Collected]) -> Vec<Digest> {
    let blob = |one: &hub::cache::Collected| match one.what {
        Leftover::Blob(digest) => Some(digest),
        Leftover::File(_) => None,
    };
    collected.iter().filter_map(blob).collect()
}

#[test]
fn nothing_is_made_until_something_is_kept() {
    let (folder, cache, _) = cache_of(None, &[]);
    assert_eq!(cache.presence(&Digest::of(b""), None), Presence::Missing);
    assert_eq!(cache.usage().unwrap().files, 0);
    assert!(cache.collect(&Collection { leftovers: true, ..Collection::default() }).unwrap().is_empty());
    assert!(!folder.path().join("models").exists());
}

#[test]
fn a_file_put_there_by_hand_is_read_through_once() {
    let (_folder, cache, _) = cache_of(None, &[]);
    let (bytes, digest) = (noise(1000, 1), Digest::of(&noise(1000, 1)));
    fs::create_dir_all(cache.root().join("blobs")).unwrap();
    fs::write(cache.blob_path(&digest), &bytes).unwrap();
    assert_eq!(cache.presence(&digest, Some(1000)), Presence::Unverified);
    assert_eq!(cache.presence(&digest, Some(999)), Presence::Wrong(1000));
    assert_eq!(cache.ready(&digest).unwrap(), Some(cache.blob_path(&digest)));
    assert_eq!(cache.presence(&digest, Some(1000)), Presence::Ready);
}

#[test]
fn a_file_that_was_touched_is_not_believed() {
    let (_folder, cache, digests) = cache_of(None, &[&noise(1000, 2), &noise(1000, 3)]);
    let path = cache.blob_path(&digests[0]);
    // Same size, and the time set back to what it was.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    overwrite(&path, &noise(1000, 4));
    fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(cache.presence(&digests[0], Some(1000)), Presence::Unverified);
    let error = cache.ready(&digests[0]).unwrap_err();
    let CacheError::Corrupt { expected, found, fate, .. } = &error else { panic!("{error}") };
    assert_eq!((*expected, *found), (digests[0], Digest::of(&noise(1000, 4))));
    assert!(fate.contains("quarantine"), "{fate}");
    assert_eq!(cache.presence(&digests[0], None), Presence::Missing, "it is out of the way");
    assert!(cache.ready(&digests[1]).unwrap().is_some(), "the other one is fine");
}

#[test]
fn verify_reads_what_ready_would_believe() {
    let (_folder, cache, digests) = cache_of(None, &[&noise(1000, 5)]);
    let path = cache.blob_path(&digests[0]);
    assert_eq!(cache.verify(&digests[0]).unwrap(), Verdict::Good);
    overwrite(&path, b"rotten");
    assert!(matches!(cache.verify(&digests[0]).unwrap(), Verdict::Bad { found, .. } if found == Digest::of(b"rotten")));
    assert_eq!(cache.verify(&digests[0]).unwrap(), Verdict::Missing);
}

#[test]
fn damaged_notes_are_made_again() {
    let (_folder, cache, digests) = cache_of(None, &[&noise(1000, 6), &noise(1000, 7)]);
    let note = cache.root().join(format!("notes/sha256-{}.json", digests[0]));
    for damage in [&b""[..], b"{\"stamp\":", b"\0\0\0\0"] {
        fs::write(&note, damage).unwrap();
        assert_eq!(cache.presence(&digests[0], None), Presence::Unverified);
        assert_eq!(cache.blobs().unwrap().len(), 2);
        cache.ready(&digests[0]).unwrap().unwrap();
        assert_eq!(cache.presence(&digests[0], None), Presence::Ready);
    }
    fs::remove_dir_all(cache.root().join("notes")).unwrap();
    assert_eq!(cache.usage().unwrap().bytes, 2000);
    cache.ready(&digests[1]).unwrap().unwrap();
    assert_eq!(cache.presence(&digests[1], None), Presence::Ready);
}

#[test]
fn the_longest_unused_goes_first() {
    let files: Vec<Vec<u8>> = (0..4).map(|n| noise(1000, 10 + n)).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let (_folder, cache, digests) = cache_of(Some(2500), &files);
    for (digest, hours) in digests.iter().zip([3, 9, 1, 5]) {
        age(&cache, digest, hours);
    }
    let dry = cache.collect(&Collection { dry_run: true, ..Collection::default() }).unwrap();
    assert_eq!(blobs(&dry), [digests[1], digests[3]]);
    assert_eq!(cache.usage().unwrap().files, 4);
    // Using one makes it young again.
    cache.ready(&digests[1]).unwrap().unwrap();
    let gone = cache.collect(&Collection::default()).unwrap();
    assert_eq!(blobs(&gone), [digests[3], digests[0]]);
    assert_eq!(cache.usage().unwrap().bytes, 2000);
}

#[test]
fn what_is_in_use_or_new_or_kept_stays_whatever_the_limit() {
    let files: Vec<Vec<u8>> = (0..4).map(|n| noise(1000, 20 + n)).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let (_folder, cache, digests) = cache_of(Some(10), &files);
    for digest in &digests[..3] {
        age(&cache, digest, 5);
    }
    let lease = cache.lease(&digests[0]);
    let keep = [digests[1]];
    let collection = Collection { keep: &keep, ..Collection::default() };
    assert_eq!(blobs(&cache.collect(&collection).unwrap()), [digests[2]]);
    assert!(matches!(cache.remove(&digests[0]), Err(CacheError::InUse { .. })));
    drop(lease);
    assert_eq!(blobs(&cache.collect(&collection).unwrap()), [digests[0]]);
    assert_eq!(cache.usage().unwrap().files, 2, "the one just added and the one to keep");
}

#[test]
fn a_lease_of_a_dead_process_counts_no_more() {
    let (_folder, cache, digests) = cache_of(None, &[&noise(1000, 30)]);
    drop(cache.lease(&digests[0]));
    let lease = cache.lease(&digests[0]);
    let name = fs::read_dir(cache.root().join("leases")).unwrap().next().unwrap().unwrap().file_name();
    let name = name.into_string().unwrap();
    let pid = format!("-{}-", std::process::id());
    assert!(name.contains(&pid));
    // The same place, a process number that cannot be.
    fs::write(cache.root().join("leases").join(name.replace(&pid, "-4194304999-")), "").unwrap_or_default();
    fs::write(cache.root().join("leases").join(name.replace(&pid, "-4194303-")), "").unwrap();
    assert!(matches!(cache.remove(&digests[0]), Err(CacheError::InUse { .. })));
    drop(lease);
    assert!(cache.remove(&digests[0]).unwrap());
    assert!(!cache.remove(&digests[0]).unwrap(), "there was none");
}

#[test]
fn leftovers_are_collected_and_running_pulls_are_not() {
    let (_folder, cache, digests) = cache_of(None, &[&noise(1000, 40)]);
    let key = Digest::of(b"coming").hex();
    let mut running = cache.new_part(&key, Origin::default()).unwrap();
    running.append(&[1; 500]).unwrap();
    let mut given_up = cache.new_part(&Digest::of(b"never").hex(), Origin::default()).unwrap();
    given_up.append(&[2; 300]).unwrap();
    drop(given_up);
    overwrite(&cache.blob_path(&digests[0]), b"rotten");
    cache.verify(&digests[0]).unwrap();
    let usage = cache.usage().unwrap();
    assert_eq!((usage.files, usage.partial_bytes, usage.quarantined_bytes), (0, 800, 6));
    let all = Collection { leftovers: true, ..Collection::default() };
    let mut sizes: Vec<u64> = cache.collect(&all).unwrap().iter().map(|one| one.bytes).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [6, 300]);
    assert_eq!(cache.usage().unwrap().partial_bytes, 500);
    running.append(&[1; 500]).unwrap();
    cache.adopt(running, &Digest::of(&[1; 1000])).unwrap();
}

#[test]
fn a_whole_file_takes_with_it_what_killed_pulls_of_it_left() {
    let (_folder, cache, _) = cache_of(None, &[&noise(1000, 41)]);
    let (key, other) = (Digest::of(&[3; 900]).hex(), Digest::of(b"other").hex());
    let parts = || fs::read_dir(cache.root().join("parts")).unwrap().count();
    for key in [&key, &other] {
        // Killed before its first byte; killed between the rename and the removal of the note.
        drop(cache.new_part(key, Origin::default()).unwrap());
        let renamed = cache.new_part(key, Origin::default()).unwrap();
        fs::remove_file(renamed.path()).unwrap();
    }
    assert_eq!(parts(), 6);
    let mut whole = cache.new_part(&key, Origin::default()).unwrap();
    whole.append(&[3; 900]).unwrap();
    cache.adopt(whole, &Digest::of(&[3; 900])).unwrap();
    assert_eq!(parts(), 3, "what is left of another file may still be taken up");
    cache.collect(&Collection { leftovers: true, ..Collection::default() }).unwrap();
    assert_eq!(parts(), 0);
}

#[test]
fn files_no_manifest_names_go_only_when_asked() {
    let (_folder, cache, digests) = cache_of(None, &[&noise(1000, 50), &noise(1000, 51)]);
    for digest in &digests {
        age(&cache, digest, 5);
    }
    assert!(cache.collect(&Collection { leftovers: true, ..Collection::default() }).unwrap().is_empty());
    let listed = [digests[1]].into();
    let gone = cache.collect(&Collection { listed: Some(&listed), ..Collection::default() }).unwrap();
    assert_eq!(blobs(&gone), [digests[0]]);
}

#[test]
fn parts_of_a_machine_that_cannot_be_seen_are_copied_when_long_quiet() {
    let (_folder, cache, _) = cache_of(None, &[]);
    let bytes = noise(5000, 60);
    let key = Digest::of(&bytes).hex();
    let mut left = cache.new_part(&key, Origin::default()).unwrap();
    left.append(&bytes[..3000]).unwrap();
    let ours = left.path().to_owned();
    drop(left);
    let name = ours.file_name().unwrap().to_str().unwrap();
    let (key_part, owner) = name.split_once('.').unwrap();
    let elsewhere = ours.with_file_name(format!("{key_part}.00000000{}", &owner[8..]));
    fs::rename(&ours, &elsewhere).unwrap();
    assert_eq!(cache.take_part(&key).unwrap().bytes(), 0, "it may still grow");
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().append(true).open(&elsewhere).unwrap().set_modified(hour_ago).unwrap();
    let mut taken = cache.take_part(&key).unwrap();
    assert_eq!(taken.bytes(), 3000);
    // Should the other one live after all, what it writes does not reach us.
    fs::write(&elsewhere, noise(3000, 61)).unwrap();
    taken.append(&bytes[3000..]).unwrap();
    let place = cache.adopt(taken, &Digest::of(&bytes)).unwrap();
    assert!(fs::read(place).unwrap() == bytes);
}

#[test]
fn accepted_hashes_are_kept_and_names_stay_in_their_folder() {
    let (_folder, cache, _) = cache_of(None, &[]);
    let digest = Digest::of(b"x");
    for (model, file) in [("dinov2-b@1", "weights.pth"), ("../../evil", ".."), ("a/b", ""), (".", ".hidden")] {
        assert_eq!(cache.trusted(model, file).unwrap(), None);
        cache.trust(model, file, &digest).unwrap();
        assert_eq!(cache.trusted(model, file).unwrap(), Some(digest));
    }
    assert!(cache.root().join("trusted/dinov2-b@1/weights.pth").is_file());
    assert_eq!(cache.root().join("trusted").read_dir().unwrap().count(), 4);
    fs::write(cache.root().join("trusted/dinov2-b@1/weights.pth"), "torn").unwrap();
    assert!(cache.trusted("dinov2-b@1", "weights.pth").is_err(), "an unreadable pin is not no pin");
    cache.distrust("dinov2-b@1", "weights.pth").unwrap();
    assert_eq!(cache.trusted("dinov2-b@1", "weights.pth").unwrap(), None);
}
