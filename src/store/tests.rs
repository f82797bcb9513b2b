use super::*;
use std::fs;

fn stamp(size: u64) -> Stamp {
    Stamp { size, modified_ns: 1, changed_ns: 2, inode: 3 }
}

fn keep_one(store: &Store, path: &str, content: ContentId, analysis: Fingerprint, payload: &[u8]) {
    store.keep(&[StoreEntry {
        path: Path::new(path),
        stamp: Some(stamp(9)),
        content,
        findings: vec![(analysis, payload)],
    }]);
}

#[test]
fn what_is_kept_is_found_by_another_store_on_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (content, analysis) = (ContentId::of(b"photo"), Fingerprint::of(["score", "1"]));
    keep_one(&Store::open(folder.path()), "/a.jpg", content, analysis, b"result");
    let store = Store::open(folder.path());
    assert_eq!(store.content(Path::new("/a.jpg"), &stamp(9)), Some(content));
    assert_eq!(store.content(Path::new("/a.jpg"), &stamp(8)), None, "another size is another file");
    assert_eq!(store.finding(&content, &analysis).as_deref(), Some(&b"result"[..]));
    assert_eq!(store.finding(&content, &Fingerprint::of(["score1"])), None, "parts are not run together");
    assert_eq!(store.take_warnings(), [""; 0]);
}

#[test]
fn results_of_the_layout_before_are_taken_over() {
    let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (content, analysis) = (ContentId::of(b"photo"), Fingerprint::of(["score"]));
    keep_one(&Store::open(folder.path()), "/a.jpg", content, analysis, &[7; 3000]);
    let connection = rusqlite::Connection::open(older.path().join(OLDER_NAME)).unwrap();
    connection.execute("ATTACH ? AS new", [folder.path().join(FILE_NAME).to_str().unwrap()]).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE file (path BLOB PRIMARY KEY, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL,
                 changed_ns INTEGER NOT NULL, inode INTEGER NOT NULL, content BLOB NOT NULL) WITHOUT ROWID;
             CREATE TABLE finding (content BLOB NOT NULL, analysis BLOB NOT NULL, payload BLOB NOT NULL,
                 PRIMARY KEY (content, analysis)) WITHOUT ROWID;
             INSERT INTO file SELECT * FROM new.file;
             INSERT INTO finding SELECT * FROM new.finding;",
        )
        .unwrap();
    drop(connection);
    let store = Store::open(older.path());
    assert_eq!(store.content(Path::new("/a.jpg"), &stamp(9)), Some(content));
    assert_eq!(store.finding(&content, &analysis), Some(vec![7; 3000]));
    assert_eq!(store.take_warnings(), [""; 0]);
    // An older file that is no store costs its results alone.
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join(OLDER_NAME), b"not a database, but long enough".repeat(99)).unwrap();
    let store = Store::open(broken.path());
    keep_one(&store, "/a.jpg", content, analysis, b"result");
    assert!(store.finding(&content, &analysis).is_some());
    assert_eq!(store.take_warnings(), [""; 0]);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE_NAME), b"not a database, but long enough to be taken for one".repeat(40))
        .unwrap();
    let store = Store::open(folder.path());
    let warnings = store.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("set aside"), "{warnings:?}");
    let (content, analysis) = (ContentId::of(b"photo"), Fingerprint::of(["score"]));
    keep_one(&store, "/a.jpg", content, analysis, b"result");
    assert!(store.finding(&content, &analysis).is_some());
    let kept = fs::read_dir(folder.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains(".damaged-"));
    assert_eq!(kept.count(), 1, "the damaged file is kept for whoever wants to look");
}

#[test]
fn damage_found_in_the_middle_of_a_run_costs_only_the_old_results() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    let analysis = Fingerprint::of(["score"]);
    {
        let store = Store::open(folder.path());
        for n in 0..400u32 {
            let content = ContentId::of(&n.to_le_bytes());
            keep_one(&store, &format!("/{n}.jpg"), content, analysis, &[7; 500]);
        }
    }
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[4096..end].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    let store = Store::open(folder.path());
    let content = ContentId::of(&7u32.to_le_bytes());
    assert_eq!(store.finding(&content, &analysis), None);
    keep_one(&store, "/new.jpg", content, analysis, b"result");
    assert_eq!(store.finding(&content, &analysis).as_deref(), Some(&b"result"[..]));
    assert!(store.take_warnings().iter().any(|warning| warning.contains("set aside")));
}

#[test]
fn above_its_limit_the_oldest_results_make_room_for_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let analysis = Fingerprint::of(["score"]);
    let content = |n: u32| ContentId::of(&n.to_le_bytes());
    let add = |store: &Store, numbers: std::ops::Range<u32>| {
        numbers.for_each(|n| keep_one(store, &format!("/{n}.jpg"), content(n), analysis, &vec![n as u8; 20_000]));
    };
    let store = Store::open(folder.path());
    add(&store, 0..200);
    let size = |store: Store| {
        drop(store);
        fs::metadata(folder.path().join(FILE_NAME)).unwrap().len()
    };
    let full = size(store);
    // Of four megabytes, two are allowed.
    let store = Store::open(folder.path()).trimmed_to(Some(2_000_000));
    let there: Vec<u32> = (0..200).filter(|&n| store.finding(&content(n), &analysis).is_some()).collect();
    assert!(
        (80..=100).contains(&there.len()) && *there == (200 - there.len() as u32..200).collect::<Vec<_>>(),
        "{there:?}"
    );
    add(&store, 200..300);
    assert_eq!(store.take_warnings(), [""; 0]);
    assert!(size(store) <= full, "what was removed is used again");
    // Without a limit, and below it, nothing is removed.
    let store = Store::open(folder.path()).trimmed_to(None).trimmed_to(Some(8_000_000));
    assert_eq!((0..300).filter(|&n| store.finding(&content(n), &analysis).is_some()).count(), there.len() + 100);
}

#[test]
fn a_flipped_bit_in_a_payload_is_a_miss_not_a_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (content, analysis) = (ContentId::of(b"photo"), Fingerprint::of(["score"]));
    keep_one(&Store::open(folder.path()), "/a.jpg", content, analysis, b"a result that is easy to find");
    let file = folder.path().join(FILE_NAME);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(8).position(|w| w == b"a result").unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(Store::open(folder.path()).finding(&content, &analysis), None);
}

#[test]
fn a_folder_that_cannot_be_made_means_no_store_and_one_warning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let store = Store::open(&file.path().join("below-a-file"));
    assert!(store.file().is_none());
    assert_eq!(store.take_warnings().len(), 1);
    keep_one(&store, "/a.jpg", ContentId::of(b"photo"), Fingerprint::of(["score"]), b"result");
    assert_eq!(store.take_warnings().len(), 0);
}

#[test]
fn a_sound_value_in_another_row_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let analysis = Fingerprint::of(["score"]);
    let store = Store::open(folder.path());
    let [a, b] = [&b"a"[..], b"b"].map(ContentId::of);
    keep_one(&store, "/a.jpg", a, analysis, b"result of a");
    keep_one(&store, "/b.jpg", b, analysis, b"result of b");
    let other = rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap();
    other.execute("UPDATE finding SET payload = (SELECT max(payload) FROM finding)", []).unwrap();
    other.execute("UPDATE file SET content = (SELECT max(content) FROM file)", []).unwrap();
    let found = [a, b].map(|content| store.finding(&content, &analysis));
    assert_eq!(found, [None, Some(b"result of b".to_vec())]);
    let known = ["/a.jpg", "/b.jpg"].map(|path| store.content(Path::new(path), &stamp(9)));
    assert_eq!(known.iter().flatten().count(), 1);
    keep_one(&store, "/a.jpg", a, analysis, b"result of a");
    assert_eq!(store.finding(&a, &analysis).as_deref(), Some(&b"result of a"[..]));
    assert_eq!(store.take_warnings(), [""; 0]);
}

#[test]
fn many_files_are_looked_up_at_once_as_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let [wanted, other] = ["score", "thumbnail"].map(|name| Fingerprint::of([name]));
    let name = |n: u32| PathBuf::from(format!("/{n}.jpg"));
    let content = |n: u32| ContentId::of(&n.to_le_bytes());
    for n in 0..600_u32 {
        let result = n.to_le_bytes();
        let findings = vec![(wanted, &result[..]), (other, &[7; 3000][..])];
        store.keep(&[StoreEntry { path: &name(n), stamp: Some(stamp(9)), content: content(n), findings }]);
    }
    let damaged = rusqlite::Connection::open(folder.path().join(FILE_NAME)).unwrap();
    damaged.execute("UPDATE file SET content = x'00' WHERE path = CAST('/3.jpg' AS BLOB)", []).unwrap();
    damaged.execute("UPDATE finding SET payload = x'00' WHERE content = ?1", [&content(4).0[..]]).unwrap();
    let names: Vec<PathBuf> = (0..700).map(name).collect();
    // One file was changed since, and a hundred were never seen.
    let files: Vec<(&Path, Stamp)> =
        names.iter().enumerate().map(|(n, path)| (path.as_path(), stamp(if n == 5 { 8 } else { 9 }))).collect();
    let contents = store.contents(&files);
    let findings = store.findings(&(0..700).map(content).collect::<Vec<_>>(), &[wanted]);
    for (n, (path, stamp)) in (0..700).zip(&files) {
        assert_eq!(contents.get(path).copied(), store.content(path, stamp), "{n}");
        assert_eq!(contents.contains_key(path), n < 600 && ![3, 5].contains(&n), "{n}");
        let found = findings.get(&content(n));
        assert_eq!(found.and_then(|of| of.get(&wanted).cloned()), store.finding(&content(n), &wanted), "{n}");
        assert_eq!(found.map_or(0, HashMap::len), usize::from(n < 600 && n != 4), "the wanted one alone, {n}");
    }
    assert_eq!((store.contents(&[]).len(), store.findings(&[], &[wanted]).len()), (0, 0));
    assert_eq!(store.take_warnings(), [""; 0]);
}

#[test]
fn photos_are_looked_up_in_whatever_order_they_were_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let [early, late] = ["score", "faces"].map(|name| Fingerprint::of([name]));
    let content = |n: u32| ContentId::of(&n.to_le_bytes());
    let keep = |n: u32, analysis: Fingerprint| store.keep_finding(content(n), analysis, &n.to_le_bytes());
    // Neighbours in another order, the last ones long after the others, and a second finding of each third one later.
    (0..88).for_each(|n| keep(n ^ 3, early));
    (1_000..3_000).for_each(|n| keep(n, early));
    (88..100).for_each(|n| keep(n, early));
    (0..100).step_by(3).for_each(|n| keep(n, late));
    for asked in [0..60, 0..100, 30..110, 95..96] {
        let findings = store.findings(&asked.clone().map(content).collect::<Vec<_>>(), &[early, late]);
        assert_eq!(findings.len(), asked.clone().filter(|n| *n < 100).count(), "no others, {asked:?}");
        for n in asked {
            let found = |analysis: Fingerprint| findings.get(&content(n))?.get(&analysis).map(Vec::as_slice);
            let number = n.to_le_bytes();
            assert_eq!(found(early), (n < 100).then_some(&number[..]), "{n}");
            assert_eq!(found(late), (n < 100 && n % 3 == 0).then_some(&number[..]), "{n}");
        }
    }
}

#[test]
fn photos_are_looked_up_while_another_thread_uses_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let (content, analysis) = (ContentId::of(b"photo"), Fingerprint::of(["score"]));
    keep_one(&store, "/a.jpg", content, analysis, b"result");
    let path = Path::new("/a.jpg");
    let is_looked_up = || {
        let contents = store.contents(&[(path, stamp(9))]);
        let findings = store.findings(&[content], &[analysis]);
        contents.get(path) == Some(&content) && findings[&content][&analysis] == b"result"
    };
    let in_use = store.lock();
    assert!(is_looked_up());
    drop(in_use);
    assert!(is_looked_up());
    assert_eq!(store.take_warnings(), [""; 0]);
}
