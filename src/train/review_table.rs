//! Reads the original system's table of PhotoTriage's reviews, `photo_triage_pairs_embedding_labels.csv`: one pair per
//! row, with the votes for each side.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::TrainError;
use super::labels::{Item, RequiredAgreement, Target, majority};
use base::reading;

/// The columns by which the table is recognised.
const SIDES: [&str; 4] = ["compareFile1", "compareFile2", "LEFT", "RIGHT"];

/// Whether a file is such a table of reviews.
pub fn is_review_table(file: &Path) -> bool {
    let Ok(text) = reading::read(file, reading::LIST) else { return false };
    let headers = csv::Reader::from_reader(&text[..]).headers().cloned().unwrap_or_default();
    SIDES.iter().all(|side| headers.iter().any(|header| header == *side))
}

/// Returns the pairs on which enough reviewers agree. Both orders of a pair are merged, and ties are left out.
pub fn pairs(file: &Path, photos: &Path, agreement: RequiredAgreement) -> Result<Vec<Item>, TrainError> {
    let bad = |why: String| TrainError::Labels { file: file.to_owned(), why };
    let text = reading::read(file, reading::LIST).map_err(|error| bad(error.to_string()))?;
    let mut reader = csv::Reader::from_reader(&text[..]);
    let headers = reader.headers().map_err(|error| bad(error.to_string()))?.clone();
    let column =
        |name: &str| headers.iter().position(|header| header == name).ok_or_else(|| bad(format!("no column `{name}`")));
    let [first, second, left, right] = [column(SIDES[0])?, column(SIDES[1])?, column(SIDES[2])?, column(SIDES[3])?];
    let series = column("series_id")?;
    // By series and pair (sorted by name): the votes for the first photo, and all votes.
    let mut votes: BTreeMap<(String, String, String), (usize, usize)> = BTreeMap::new();
    for (at, row) in reader.records().enumerate() {
        let row = row.map_err(|error| bad(error.to_string()))?;
        let text = |column: usize| row.get(column).unwrap_or_default().trim();
        let count = |column: usize| -> Result<usize, TrainError> {
            // Tables written by pandas may contain `3.0`.
            let number = text(column).parse::<f64>().ok().filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n < 1e9);
            number.map(|n| n as usize).ok_or_else(|| bad(format!("line {}: `{}` votes", at + 2, text(column))))
        };
        let (left, right) = (count(left)?, count(right)?);
        let (a, b) = (text(first).to_owned(), text(second).to_owned());
        let (pair, for_first) = if a < b { ((a, b), left) } else { ((b, a), right) };
        let counts = votes.entry((text(series).to_owned(), pair.0, pair.1)).or_default();
        counts.0 += for_first;
        counts.1 += left + right;
    }
    let item = |((series, first, second), (for_first, all)): ((String, String, String), (usize, usize))| {
        let second_is_better = majority(for_first, all, agreement)?;
        let files = vec![path_of(photos, &first), path_of(photos, &second)];
        Some(Item { files, target: Target::Class(usize::from(second_is_better)), row: None, series })
    };
    Ok(votes.into_iter().filter_map(item).collect())
}

/// The path of a photo; tables may name the photo `000012-03.JPG` as `12-3.JPG`.
fn path_of(photos: &Path, name: &str) -> PathBuf {
    let padded = || -> Option<String> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (series, number) = stem.split_once('-')?;
        Some(format!("{:06}-{:02}.{extension}", series.parse::<u64>().ok()?, number.parse::<u64>().ok()?))
    };
    let as_named = photos.join(name);
    if as_named.is_file() {
        return as_named;
    }
    padded().map_or(as_named, |padded| photos.join(padded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_of_both_orders_are_one_and_names_are_filled_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pairs.csv");
        let head =
            "series_id,compareID1,compareID2,compareFile1,compareFile2,LEFT,RIGHT,Agreement,MaxVote,num_reviewers\n";
        let rows = "000012,0,1,12-1.JPG,12-2.JPG,1,4,0.8,1,5\n\
                    000012,1,0,12-2.JPG,12-1.JPG,3,0,1.0,1,3\n\
                    000012,0,2,12-1.JPG,12-3.JPG,2,2,0.5,2,4\n\
                    000013,0,1,13-1.JPG,13-2.JPG,1.0,0.0,1.0,0,1\n";
        std::fs::write(&file, format!("{head}{rows}")).expect("written");
        assert!(is_review_table(&file));
        let agreement = RequiredAgreement { min_share: 0.7, reviewers: 2 };
        let items = pairs(&file, Path::new("p"), agreement).expect("read");
        assert_eq!(items.len(), 1, "a tie and a lone reviewer do not count");
        assert_eq!(items[0].files, [Path::new("p/000012-01.JPG"), Path::new("p/000012-02.JPG")]);
        assert_eq!((&items[0].target, items[0].series.as_str()), (&Target::Class(1), "000012"));
        std::fs::write(&file, format!("{head}000012,0,1,12-1.JPG,12-2.JPG,few,4,0.8,1,5\n")).expect("written");
        assert!(pairs(&file, Path::new("p"), agreement).is_err_and(|e| e.to_string().contains("line 2: `few` votes")));
        std::fs::write(&file, "file,score\na,1\n").expect("written");
        assert!(!is_review_table(&file));
    }
}
