//! Reads labels in the formats of public data sets: AVA's votes, PhotoTriage's pairs, one folder per class.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::TrainError;
use super::flaws::Strengths;
use super::photos::Label;
use base::reading;

/// A labelled photo, or a labelled pair of photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// One photo, or the two of a pair.
    pub files: Vec<PathBuf>,
    pub target: Target,
    /// The row of the photo, if the file is an array of photos.
    pub row: Option<usize>,
    /// Items of one series must not be split between the training, validation and test sets.
    pub series: String,
}

impl Item {
    /// The name of the photo in tables: the file name without extension, or the row number in an array.
    pub fn name(&self) -> String {
        let stem = self.files.first().and_then(|file| file.file_stem());
        self.row.map_or_else(|| stem.unwrap_or_default().to_string_lossy().into_owned(), |row| row.to_string())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// A rating from 1 to 10.
    Rating(f32),
    /// Shares of the votes for 1 to 10.
    Votes([f32; 10]),
    /// The index of the class; for a pair, 1 if the second photo is better.
    Class(usize),
    /// A clean photo; flaws are added during training, and their strengths are the label.
    Faults,
    /// The strength of each flaw, 0 to 1.
    Strengths(Strengths),
    /// The overall quality, 0 to 1.
    Quality(f32),
}

fn labels_error(file: &Path, why: String) -> TrainError {
    TrainError::Labels { file: file.to_owned(), why }
}

/// Reads `AVA.txt`: a running index, the photo's number, the votes for 1 to 10, two tags, the challenge. Photos that
/// are missing in the folder are skipped, and their number is returned.
pub fn ava(file: &Path, photos: &Path) -> Result<(Vec<Item>, usize), TrainError> {
    let text = reading::read_text(file, reading::LIST).map_err(|error| labels_error(file, error.to_string()))?;
    let (mut items, mut missing) = (Vec::new(), 0);
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        let numbers = numbers.map_err(|_| labels_error(file, format!("line {}: not fifteen whole numbers", at + 1)))?;
        if numbers.len() != 15 {
            return Err(labels_error(
                file,
                format!("line {}: {} numbers, fifteen are expected", at + 1, numbers.len()),
            ));
        }
        let votes = &numbers[2..12];
        let total: u64 = votes.iter().sum();
        if total == 0 {
            return Err(labels_error(file, format!("line {}: no votes", at + 1)));
        }
        let path = photos.join(format!("{}.jpg", numbers[1]));
        if !path.is_file() {
            missing += 1;
            continue;
        }
        let shares = std::array::from_fn(|k| votes[k] as f32 / total as f32);
        let series = numbers[1].to_string();
        items.push(Item { files: vec![path], target: Target::Votes(shares), row: None, series });
    }
    Ok((items, missing))
}

/// Turns scores from 0 to 1 (or from 1 to 10, if any is above 1) into ratings.
pub fn rated(labels: &[Label], photos: &Path) -> Vec<Item> {
    let on_ten = labels.iter().any(|label| label.score > 1.0);
    let rating = |score: f32| if on_ten { score } else { 1.0 + 9.0 * score };
    let item = |label: &Label| Item {
        files: vec![photos.join(&label.file)],
        target: Target::Rating(rating(label.score)),
        row: None,
        series: label.group.clone().unwrap_or_else(|| label.file.clone()),
    };
    labels.iter().map(item).collect()
}

/// The agreement of reviewers that a pair needs to be used.
#[derive(Debug, Clone, Copy)]
pub struct RequiredAgreement {
    /// The smallest share of the reviewers that must agree.
    pub min_share: f64,
    pub reviewers: usize,
}

/// Whether the second photo of a pair is better, from the votes for the first and the number of all votes; `None` if
/// they are too few or agree too little.
pub fn majority(for_first: usize, all: usize, agreement: RequiredAgreement) -> Option<bool> {
    let majority_votes = for_first.max(all - for_first);
    let is_usable = all >= agreement.reviewers
        && 2 * majority_votes != all
        && (majority_votes as f64) >= agreement.min_share * all as f64;
    is_usable.then_some(2 * for_first < all)
}

/// Reads PhotoTriage's official list: `series first second preference rank rank`, where the preference is the share of
/// people who preferred the first photo. (The last columns are ranks, although the original system read them as names.)
pub fn pair_list(file: &Path, photos: &Path, agreement: RequiredAgreement) -> Result<Vec<Item>, TrainError> {
    let text = reading::read_text(file, reading::LIST).map_err(|error| labels_error(file, error.to_string()))?;
    let mut items = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let numbers = || -> Option<(u64, u64, u64, f64)> {
            let [series, first, second, preference, ..] = fields[..] else { return None };
            Some((series.parse().ok()?, first.parse().ok()?, second.parse().ok()?, preference.parse().ok()?))
        };
        let Some((series, first, second, preference)) = numbers().filter(|n| (0.0..=1.0).contains(&n.3)) else {
            return Err(labels_error(file, format!("line {}: not `series first second preference …`", at + 1)));
        };
        if preference.max(1.0 - preference) < agreement.min_share || preference == 0.5 {
            continue;
        }
        let path = |number: u64| photos.join(format!("{series:06}-{number:02}.JPG"));
        items.push(Item {
            files: vec![path(first), path(second)],
            target: Target::Class(usize::from(preference < 0.5)),
            row: None,
            series: series.to_string(),
        });
    }
    Ok(items)
}

#[derive(Deserialize)]
struct Reviews {
    reviews: Vec<Review>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    compare_file1: String,
    compare_file2: String,
    user_choice: String,
}

/// Reads a folder of review files, one per series: `{reviews: [{compareFile1, compareFile2, userChoice}]}`.
pub fn reviews(folder: &Path, photos: &Path, agreement: RequiredAgreement) -> Result<Vec<Item>, TrainError> {
    let entries = std::fs::read_dir(folder).map_err(|error| labels_error(folder, error.to_string()))?;
    let json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(json).collect();
    files.sort();
    let mut items = Vec::new();
    for file in files {
        let text = reading::read_text(&file, reading::LIST).map_err(|error| labels_error(&file, error.to_string()))?;
        let Reviews { reviews } =
            serde_json::from_str(&text).map_err(|error| labels_error(&file, error.to_string()))?;
        // Both orders of a pair are merged. Counts the votes for the file that comes first by name, and all votes.
        let mut votes: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
        for Review { compare_file1: a, compare_file2: b, user_choice } in reviews {
            let left = match user_choice.as_str() {
                "LEFT" => true,
                "RIGHT" => false,
                other => return Err(labels_error(&file, format!("userChoice `{other}` is neither LEFT nor RIGHT"))),
            };
            let (pair, for_first) = if a < b { ((a, b), left) } else { ((b, a), !left) };
            let count = votes.entry(pair).or_default();
            count.0 += usize::from(for_first);
            count.1 += 1;
        }
        for ((first, second), (for_first, all)) in votes {
            let Some(second_is_better) = majority(for_first, all, agreement) else { continue };
            items.push(Item {
                files: vec![photos.join(first), photos.join(second)],
                target: Target::Class(usize::from(second_is_better)),
                row: None,
                series: file.display().to_string(),
            });
        }
    }
    Ok(items)
}

/// Makes pairs of the photos of each group whose scores differ by at least `margin`.
pub fn pairs_of_groups(labels: &[Label], photos: &Path, margin: f32) -> Vec<Item> {
    let mut items = Vec::new();
    for (at, first) in labels.iter().enumerate() {
        for second in &labels[at + 1..] {
            let Some(series) = first.group.clone().filter(|group| Some(group) == second.group.as_ref()) else {
                continue;
            };
            if (first.score - second.score).abs() < margin {
                continue;
            }
            items.push(Item {
                files: vec![photos.join(&first.file), photos.join(&second.file)],
                target: Target::Class(usize::from(second.score > first.score)),
                row: None,
                series,
            });
        }
    }
    items
}

/// Reads a folder with one folder of photos per class; returns the items and the class names, both sorted by name.
pub fn classes(folder: &Path) -> Result<(Vec<Item>, Vec<String>), TrainError> {
    let listed = |folder: &Path| -> Result<Vec<PathBuf>, TrainError> {
        let entries = std::fs::read_dir(folder).map_err(|error| labels_error(folder, error.to_string()))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        Ok(paths)
    };
    let folders: Vec<PathBuf> = listed(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    if folders.len() < 2 {
        return Err(labels_error(folder, format!("{} folders of classes; at least two are needed", folders.len())));
    }
    let mut items = Vec::new();
    let mut names = Vec::new();
    for (class, folder) in folders.iter().enumerate() {
        names.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let photos = listed(folder)?.into_iter();
        for path in photos.filter(|path| path.file_name().is_some_and(photo::is_photo_name)) {
            let series = path.display().to_string();
            items.push(Item { files: vec![path], target: Target::Class(class), row: None, series });
        }
    }
    Ok((items, names))
}

/// Lists the photos of a folder as clean photos, to which flaws will be added.
pub fn clean(folder: &Path) -> Result<Vec<Item>, TrainError> {
    let entries = std::fs::read_dir(folder).map_err(|error| labels_error(folder, error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(photo::is_photo_name));
    paths.sort();
    let item = |path: PathBuf| {
        let series = path.display().to_string();
        Item { series, files: vec![path], target: Target::Faults, row: None }
    };
    Ok(paths.into_iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: RequiredAgreement = RequiredAgreement { min_share: 0.7, reviewers: 2 };

    #[test]
    fn votes_of_ava_become_shares_and_absent_photos_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("953619.jpg"), b"x").expect("written");
        let file = folder.path().join("AVA.txt");
        std::fs::write(&file, "1 953619 0 1 5 17 38 36 15 6 5 1 1 22 1396\n2 1 1 0 0 0 0 0 0 0 0 1 0 0 1\n")
            .expect("written");
        let (items, missing) = ava(&file, folder.path()).expect("read");
        assert_eq!((items.len(), missing), (1, 1));
        let Target::Votes(shares) = items[0].target else { panic!("votes") };
        assert!((shares[4] - 38.0 / 124.0).abs() < 1e-6);
        std::fs::write(&file, "1 2 3\n").expect("written");
        assert!(ava(&file, folder.path()).is_err_and(|error| error.to_string().contains("line 1: 3 numbers")));
    }

    #[test]
    fn pairs_say_which_of_the_two_is_better() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("train_pairlist.txt");
        std::fs::write(&file, "7 1 2 0.2 2 1\n7 1 3 0.55 1 2\n8 1 2 0.9 1 2\n").expect("written");
        let items = pair_list(&file, Path::new("p"), ANY).expect("read");
        let seen: Vec<_> = items.iter().map(|item| (item.files[0].clone(), item.target.clone())).collect();
        let path = |name: &str| Path::new("p").join(name);
        assert_eq!(seen, [(path("000007-01.JPG"), Target::Class(1)), (path("000008-01.JPG"), Target::Class(0))]);
        let review = |a: &str, b: &str, choice: &str| {
            format!(r#"{{"compareFile1":"{a}","compareFile2":"{b}","userChoice":"{choice}"}}"#)
        };
        let all = [review("a", "b", "LEFT"), review("b", "a", "RIGHT"), review("a", "c", "LEFT")].join(",");
        let reviewed = tempfile::tempdir().expect("a folder");
        std::fs::write(reviewed.path().join("1.json"), format!(r#"{{"reviews":[{all}]}}"#)).expect("written");
        let items = reviews(reviewed.path(), Path::new("p"), ANY).expect("read");
        assert_eq!(items.len(), 1, "one reviewer is too few for a and c");
        assert_eq!((&items[0].files[1], &items[0].target), (&path("b"), &Target::Class(0)));
        let label = |file: &str, score, group: &str| Label { file: file.into(), score, group: Some(group.into()) };
        let labels = [label("a", 0.2, "g"), label("b", 0.9, "g"), label("c", 0.1, "h")];
        let items = pairs_of_groups(&labels, Path::new(""), 0.15);
        assert_eq!((items.len(), &items[0].target), (1, &Target::Class(1)));
    }
}
