use std::path::Path;

use super::*;
use judge::select::Decision;
use photo::identity::{ContentId, PictureId};

/// A photo whose picture is known and whose metadata was edited `edits` times.
fn edited(n: u8, edits: u8) -> PhotoId {
    PhotoId { content: ContentId([n ^ (edits << 4); 32]), picture: Some(PictureId([n; 32])) }
}

fn photo(n: u8) -> PhotoId {
    edited(n, 0)
}

fn of(decisions: &Decisions, photo: PhotoId) -> Option<Decision> {
    decisions.of(Some(photo.content), photo.picture)
}

fn new_decision(n: u8, decision: Option<Decision>) -> NewDecision<'static> {
    NewDecision { photo: photo(n), decision, path: Path::new("/photos/a.jpg") }
}

#[test]
fn the_latest_decision_is_in_force_and_no_decision_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Journal::open_to_read(folder.path()).unwrap().is_none());
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.decide(&[new_decision(1, Some(Decision::Keep)), new_decision(2, Some(Decision::Reject))]).unwrap();
    journal.decide(&[new_decision(1, Some(Decision::Keep)), new_decision(2, None), new_decision(3, None)]).unwrap();
    let again = Journal::open_to_read(folder.path()).unwrap().unwrap();
    let decisions = again.decisions().unwrap();
    assert_eq!([1, 2, 3].map(|n| of(&decisions, photo(n))), [Some(Decision::Keep), None, None]);
    assert_eq!(again.decisions_in_force().unwrap().len(), 1);
    let count: u32 = again.connection.query_row("SELECT count(*) FROM decision", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 3, "two decisions and one taken back; what was in force already is not written again");
}

#[test]
fn a_decision_about_a_picture_is_in_force_after_every_edit_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    // As an older albumctl wrote it: by the bytes alone.
    let old = PhotoId { picture: None, ..photo(1) };
    journal.decide(&[NewDecision { photo: old, ..new_decision(1, Some(Decision::Keep)) }]).unwrap();
    let decisions = journal.decisions().unwrap();
    assert_eq!(of(&decisions, photo(1)), Some(Decision::Keep));
    assert_eq!(of(&decisions, edited(1, 1)), None);
    assert!(decisions.lacks_picture(photo(1)) && !decisions.lacks_picture(photo(2)));
    // With the picture known, the same decision is written once more and then survives edits.
    journal.decide(&[new_decision(1, Some(Decision::Keep))]).unwrap();
    let decisions = journal.decisions().unwrap();
    assert_eq!(of(&decisions, edited(1, 1)), Some(Decision::Keep));
    assert!(!decisions.lacks_picture(photo(1)));
    // A later decision about the edited file is the latest one about the first file, too.
    journal.decide(&[NewDecision { photo: edited(1, 1), ..new_decision(1, None) }]).unwrap();
    assert_eq!(of(&journal.decisions().unwrap(), photo(1)), None);
    assert!(journal.decisions_in_force().unwrap().is_empty());
}

#[test]
fn a_failing_change_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.decide(&[new_decision(1, Some(Decision::Keep))]).unwrap();
    let failed = journal.change(|transaction, _| {
        transaction.execute("DELETE FROM decision", [])?;
        transaction.execute("INSERT INTO nowhere VALUES (1)", [])
    });
    assert!(failed.unwrap_err().to_string().contains(FILE_NAME));
    assert_eq!(journal.decisions_in_force().unwrap().len(), 1);
}

#[test]
fn each_key_remembers_the_photos_its_runs_saw() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.last_run("a").unwrap(), None);
    journal.finish_run("a", "photos", &[photo(1), photo(2)]).unwrap();
    journal.finish_run("a", "photos", &[photo(2), photo(3)]).unwrap();
    journal.finish_run("b", "photos", &[]).unwrap();
    let last = journal.last_run("a").unwrap().unwrap();
    assert!((1..4).all(|n| last.seen.has_content(photo(n).content) && last.seen.has_picture(PictureId([n; 32]))));
    assert!(last.finished_ms > 1_700_000_000_000);
    assert_eq!(journal.last_run("b").unwrap().unwrap().seen, SeenPhotos::default());
}

#[test]
fn one_run_of_a_key_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let lock = RunLock::take(folder.path(), "a").unwrap();
    assert!(lock.is_some() && RunLock::take(folder.path(), "a").unwrap().is_none());
    assert!(RunLock::take(folder.path(), "b").unwrap().is_some());
    drop(lock);
    assert!(RunLock::take(folder.path(), "a").unwrap().is_some());
}

#[test]
fn damage_and_newer_layouts_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    fs::write(&file, [b'x'; 4096]).unwrap();
    for refused in [Journal::open(folder.path()).map(|_| ()), Journal::open_to_read(folder.path()).map(|_| ())] {
        assert!(refused.unwrap_err().to_string().contains(FILE_NAME));
    }
    assert_eq!(fs::read(&file).unwrap(), [b'x'; 4096], "it is left as it is");
    fs::remove_file(&file).unwrap();
    Journal::open(folder.path()).unwrap().connection.pragma_update(None, "user_version", LAYOUT + 1).unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(JournalError::Newer { found: 5, .. })));
}

#[test]
fn half_a_transaction_without_its_rollback_log_is_damage() {
    let (folder, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut journal = Journal::open(folder.path()).unwrap();
    let many: Vec<_> = (0..200).map(|n| new_decision(n, Some(Decision::Keep))).collect();
    journal.decide(&many).unwrap();
    // With so small a cache, pages reach the file before the commit, as in a long transaction.
    journal.connection.pragma_update(None, "cache_size", 5).unwrap();
    let transaction = journal.connection.transaction().unwrap();
    transaction.execute("UPDATE decision SET word = 'reject', path = zeroblob(3000)", []).unwrap();
    fs::copy(folder.path().join(FILE_NAME), copied.path().join(FILE_NAME)).unwrap();
    drop(transaction);
    let opened = Journal::open_to_read(copied.path()).and_then(|half| half.unwrap().decisions());
    assert!(matches!(opened, Err(JournalError::Damaged { .. })), "{opened:?}");
    assert_eq!(journal.decisions_in_force().unwrap().len(), 200);
}

#[test]
fn a_lost_row_or_a_lost_seal_is_damage() {
    for loss in ["DELETE FROM decision WHERE id = 3", "DELETE FROM decision WHERE id = 1", "DELETE FROM seal"] {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.decide(&[1, 2, 3].map(|n| new_decision(n, Some(Decision::Keep)))).unwrap();
        journal.connection.execute(loss, []).unwrap();
        assert!(matches!(journal.decisions(), Err(JournalError::Damaged { .. })), "{loss}");
        assert!(matches!(journal.decide(&[new_decision(4, None)]), Err(JournalError::Damaged { .. })), "{loss}");
    }
}

#[test]
fn processes_that_make_the_journal_at_once_share_it() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let folder = folder.path();
            scope.spawn(move || {
                Journal::open(folder).unwrap().decide(&[new_decision(n, Some(Decision::Keep))]).unwrap();
            });
        }
    });
    assert_eq!(Journal::open_to_read(folder.path()).unwrap().unwrap().decisions_in_force().unwrap().len(), 8);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
}

fn example(n: u8, decision: Option<Decision>) -> TasteExample {
    let facts = Facts { composite: Some(0.5), kind: None, scores: [("sharpness".to_owned(), 0.25)].into() };
    TasteExample { photo: photo(n), scene: [7; 32], decision, facts, model: "m@1".into(), embedding: vec![0.1, -2.5] }
}

#[test]
fn what_a_taste_is_learned_from_is_kept_until_it_is_reset() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.taste_memory().unwrap(), TasteMemory::default());
    let kept = [example(1, Some(Decision::Keep)), example(2, None)];
    journal.remember(&kept).unwrap();
    journal.remember(&kept).unwrap();
    assert_eq!(journal.contents().unwrap().examples.len(), 2, "known ones are not stored again");
    journal.remember(&[example(1, Some(Decision::Reject))]).unwrap();
    journal.prefer((photo(1), photo(2)), false).unwrap();
    journal.prefer((photo(3), photo(1)), false).unwrap();
    journal.prefer((photo(1), photo(2)), true).unwrap();
    journal.prefer((photo(1), photo(3)), false).unwrap();
    drop(journal);
    let mut journal = Journal::open(folder.path()).unwrap();
    let memory = journal.taste_memory().unwrap();
    assert_eq!(memory.examples, [example(2, None), example(1, Some(Decision::Reject))]);
    assert_eq!(memory.pairs, [(photo(1), photo(3))], "the latest word about a pair counts");
    // Decisions stay in force after a reset, and teach nothing any more.
    journal.decide(&[new_decision(4, Some(Decision::Keep))]).unwrap();
    assert_eq!(journal.decisions().unwrap().lesson(photo(4)), Some(Some(Decision::Keep)));
    journal.reset_taste().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    let decisions = journal.decide(&[new_decision(5, Some(Decision::Reject))]).unwrap();
    assert_eq!(journal.taste_memory().unwrap(), TasteMemory::default());
    assert_eq!(of(&decisions, photo(4)), Some(Decision::Keep));
    assert_eq!(decisions.lesson(photo(4)), Some(None));
    assert_eq!(decisions.lesson(photo(5)), Some(Some(Decision::Reject)));
    assert_eq!(decisions.lesson(photo(6)), None);
}

#[test]
fn a_journal_of_the_third_layout_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.decide(&[new_decision(1, Some(Decision::Keep))]).unwrap();
    let before = "DROP TABLE example; DROP TABLE preference; PRAGMA user_version = 3;";
    journal.connection.execute_batch(before).unwrap();
    drop(journal);
    let old = Journal::open_to_read(folder.path()).unwrap().unwrap();
    assert_eq!(of(&old.decisions().unwrap(), photo(1)), Some(Decision::Keep));
    assert_eq!(old.taste_memory().unwrap(), TasteMemory::default());
    drop(old);
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.remember(&[example(1, Some(Decision::Keep))]).unwrap();
    assert_eq!(of(&journal.decisions().unwrap(), photo(1)), Some(Decision::Keep));
    assert_eq!(journal.taste_memory().unwrap().examples.len(), 1);
}
