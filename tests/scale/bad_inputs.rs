//! Features that are not what they should be: the error names the place, and nothing is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::builder::{Float32Builder, Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, Int64Array, StringArray};
use scale::{ScaleError, expand, read_list};

use super::features::{Form, column, fit, options, plain, rows, write, write_columns};

fn refused(folder: &Path, files: &[PathBuf]) -> String {
    let work = folder.join("work");
    let error = fit(files, &options(&work, 3)).unwrap_err();
    assert!(!work.exists() || fs::read_dir(&work).unwrap().next().is_none(), "something was written");
    error.to_string()
}

fn ids(count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|i| format!("r{i}"))))
}

#[test]
fn a_number_that_is_none_is_told_with_file_row_group_and_row() {
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let folder = tempfile::tempdir().unwrap();
        let good = write(&folder.path().join("a.parquet"), &rows(100, 5), 0, 40);
        let mut spoiled = rows(100, 5);
        spoiled[87][3] = wrong;
        let bad = write(&folder.path().join("b.parquet"), &spoiled, 0, 40);
        let error = refused(folder.path(), &[good, bad]);
        assert!(error.ends_with(&format!("b.parquet: row group 2, row 7: {wrong} at position 3")), "{error}");
    }
}

#[test]
fn the_first_wrong_place_is_told_whichever_thread_finds_one_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut spoiled = rows(1000, 5);
    for row in [999, 730, 411, 402] {
        spoiled[row][0] = f32::NAN;
    }
    let bad = write(&folder.path().join("a.parquet"), &spoiled, 0, 50);
    for _ in 0..10 {
        let error = refused(folder.path(), std::slice::from_ref(&bad));
        assert!(error.contains("row group 8, row 2:"), "{error}");
    }
}

#[test]
fn a_row_of_another_length_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut ragged = rows(90, 5);
    ragged[61].push(1.0);
    let bad = write(&folder.path().join("a.parquet"), &ragged, 0, 30);
    let error = refused(folder.path(), &[bad]);
    assert!(error.contains("row group 2, row 1: 6 numbers where the first row of the data has 5"), "{error}");
    // Lengths that even out must not pass for whole rows.
    ragged[62].pop();
    let bad = write(&folder.path().join("b.parquet"), &ragged, 0, 30);
    assert!(refused(folder.path(), &[bad]).contains("row group 2, row 1: 6 numbers"));
}

#[test]
fn a_file_of_another_dimension_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let five = write(&folder.path().join("a.parquet"), &rows(50, 5), 0, 30);
    let four = write(&folder.path().join("b.parquet"), &rows(50, 4), 0, 30);
    let error = refused(folder.path(), &[five, four]);
    assert!(
        error.contains("b.parquet: row group 0, row 0: 4 numbers where the first row of the data has 5"),
        "{error}"
    );
}

#[test]
fn nulls_are_told_be_it_a_list_or_a_number() {
    for whole in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut list = ListBuilder::new(Float32Builder::new());
        for row in 0..20 {
            for i in 0..3 {
                let missing = row == 13 && !whole && i == 1;
                list.values().append_option((!missing).then_some(1.0 + (row * i) as f32));
            }
            list.append(!(row == 13 && whole));
        }
        let path = folder.path().join("a.parquet");
        write_columns(&path, vec![("id", ids(20)), ("feature", Arc::new(list.finish()))], plain().build());
        let error = refused(folder.path(), &[path]);
        assert!(error.ends_with("row group 0, row 13: no feature (null)"), "{error}");
    }
}

#[test]
fn wrong_or_missing_columns_are_told_with_their_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let feature = || column(&rows(20, 4), Form::List);
    let mut whole = ListBuilder::new(Int32Builder::new());
    (0..20).for_each(|i| whole.append_value([Some(i), Some(i)]));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20));
    let whole: ArrayRef = Arc::new(whole.finish());
    let cases = [
        (vec![("id", ids(20)), ("feature", numbers.clone())], "column `feature` is Int64; wanted a list of f32"),
        (vec![("id", ids(20)), ("feature", whole)], "column `feature` is List(Int32"),
        (vec![("id", numbers), ("feature", feature())], "column `id` is Int64; wanted a string"),
        (vec![("name", ids(20)), ("feature", feature())], "no column `id`; it has `name`, `feature`"),
        (vec![("id", ids(20)), ("vector", feature())], "no column `feature`; it has `id`, `vector`"),
    ];
    for (columns, expected) in cases {
        write_columns(&path, columns, plain().build());
        let error = refused(folder.path(), std::slice::from_ref(&path));
        assert!(error.contains(expected) && error.contains("a.parquet"), "{error}");
    }
}

#[test]
fn files_that_are_none_or_broken_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder.path().join("a.parquet"), &rows(2000, 40), 0, 500);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(refused(folder.path(), std::slice::from_ref(&path)).contains("a.parquet: not a readable Parquet file"));
    // Damage in the middle, where only reading a page finds it; whatever it turns the page into, no panic.
    let mut refusals = 0;
    for at in (100..whole.len() - 3000).step_by(whole.len() / 60) {
        let mut damaged = whole.clone();
        damaged[at..at + 24].fill(0xff);
        fs::write(&path, &damaged).unwrap();
        // A fit does not read the ids, and so finds no damage there.
        if let Err(error) = fit(std::slice::from_ref(&path), &options(&folder.path().join(format!("work{at}")), 3)) {
            assert!(error.to_string().contains("a.parquet: row group "), "{at}: {error}");
            refusals += 1;
        }
    }
    assert!(refusals > 45, "{refusals}");
    let empty = write(&folder.path().join("empty.parquet"), &[], 0, 10);
    assert!(matches!(fit(&[empty], &options(&folder.path().join("w"), 2)), Err(ScaleError::Empty)));
}

#[test]
fn more_clusters_than_rows_or_than_different_rows_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder.path().join("a.parquet"), &rows(2, 4), 0, 50);
    assert!(refused(folder.path(), &[path]).contains("3 clusters were asked for, but the data has only 2"));
    let same = write(&folder.path().join("b.parquet"), &vec![vec![1.0, 2.0]; 50], 0, 50);
    assert!(refused(folder.path(), &[same]).contains("only 1 different rows"));
}

#[test]
fn patterns_and_lists_name_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("x/y")).unwrap();
    for name in ["b.parquet", "a.parquet", "c.txt", "x/d.parquet", "x/y/e.parquet", "odd[1].parquet"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let pattern = |below: &str| folder.path().join(below).to_str().unwrap().to_owned();
    let names = |patterns: &[&str]| -> Vec<String> {
        let found = expand(&patterns.iter().map(|p| pattern(p)).collect::<Vec<_>>()).unwrap();
        found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["?.parquet"]), ["a.parquet", "b.parquet"]);
    assert_eq!(names(&["x/**/*.parquet"]), ["x/d.parquet", "x/y/e.parquet"]);
    assert_eq!(names(&["odd[1].parquet"]), ["odd[1].parquet"], "a file that is there needs no pattern");
    let list = folder.path().join("list");
    fs::write(&list, format!("{}\n\n# more\n  {}  \n", pattern("b.parquet"), pattern("x/*.parquet"))).unwrap();
    assert_eq!(
        read_list(&list, &AtomicBool::new(false)).unwrap(),
        [folder.path().join("b.parquet"), folder.path().join("x/d.parquet")]
    );
    assert!(matches!(expand(&[pattern("z*.parquet")]), Err(ScaleError::NoFile { .. })));
    assert!(matches!(expand(&["s3://bucket/f.parquet".into()]), Err(ScaleError::ObjectStore { .. })));
}
