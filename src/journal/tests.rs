use std::path::Path;

use super::*;
use crate::photo::identity::ContentId;
use crate::select::Decision;

fn content(n: u8) -> ContentId {
    ContentId([n; 32])
}

fn entry(n: u8, decision: Option<Decision>) -> Entry<'static> {
    Entry { content: content(n), decision, path: Path::new("/photos/a.jpg") }
}

#[test]
fn the_last_word_holds_and_no_word_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Journal::open_to_read(folder.path()).unwrap().is_none());
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.decide(&[entry(1, Some(Decision::Keep)), entry(2, Some(Decision::Reject))]).unwrap();
    journal.decide(&[entry(1, Some(Decision::Keep)), entry(2, None), entry(3, None)]).unwrap();
    let again = Journal::open_to_read(folder.path()).unwrap().unwrap();
    assert_eq!(again.decisions().unwrap(), [(content(1), Decision::Keep)].into());
    let count: u32 = again.connection.query_row("SELECT count(*) FROM decision", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 3, "two decisions and one clearing; what held already, or never was, is not written");
}

#[test]
fn a_failing_change_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.decide(&[entry(1, Some(Decision::Keep))]).unwrap();
    let failed = journal.change(|transaction| {
        transaction
            .execute("INSERT INTO decision (content, word, decided_ms, path) VALUES (x'00', 'keep', 0, x'')", [])?;
        transaction.execute("INSERT INTO nowhere VALUES (1)", [])
    });
    assert!(failed.unwrap_err().to_string().contains(FILE_NAME));
    assert_eq!(journal.decided().unwrap().len(), 1);
}

#[test]
fn runs_remember_what_they_saw_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.last_run("a").unwrap(), None);
    journal.finish_run("a", "photos", &[content(1), content(2)]).unwrap();
    journal.finish_run("a", "photos", &[content(2), content(3)]).unwrap();
    journal.finish_run("b", "photos", &[]).unwrap();
    let last = journal.last_run("a").unwrap().unwrap();
    assert_eq!(last.seen, [content(1), content(2), content(3)].into());
    assert!(last.finished_ms > 1_700_000_000_000);
    assert!(journal.last_run("b").unwrap().unwrap().seen.is_empty());
}

#[test]
fn one_run_of_a_key_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let held = RunLock::take(folder.path(), "a").unwrap();
    assert!(held.is_some() && RunLock::take(folder.path(), "a").unwrap().is_none());
    assert!(RunLock::take(folder.path(), "b").unwrap().is_some());
    drop(held);
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
    Journal::open(folder.path()).unwrap().connection.pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(JournalError::Newer { found: 2, .. })));
}
