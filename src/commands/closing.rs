//! The line that closes a choice of photos: what was picked, and where it is now.

use std::path::Path;

use super::album_export::DeliverArgs;
use super::photos::counted;
use crate::report::records::select::Written;

/// What was picked from how many photos and delivered, in the words of one line; `results` is the file of `-o`.
pub fn told(
    args: &DeliverArgs,
    (picks, photos): (usize, usize),
    written: &[Vec<Written>],
    results: Option<&Path>,
) -> String {
    let count = |actions: &[&str]| {
        written.iter().flatten().filter(|written| actions.contains(&written.action.as_str())).count()
    };
    let verb = |done: &str, would: &str| if args.dry_run { format!("would {would}") } else { done.to_owned() };
    let mut parts = vec![format!("picked {picks} of {}", counted(photos, "photo"))];
    if let Some(folder) = &args.folder.copy_to {
        parts.push(format!("{} {} to {}", verb("copied", "copy"), count(&["copy"]), folder.display()));
    }
    if let Some(folder) = &args.folder.link_to {
        let links = count(&["soft_link", "hard_link"]);
        parts.push(format!("{} {links} in {}", verb("linked", "link"), folder.display()));
    }
    if let Some(file) = &args.zip {
        parts.push(format!("{} {} into {}", verb("zipped", "zip"), count(&["zip"]), file.display()));
    }
    if args.xmp.is_some() {
        parts.push(format!("{} {}", verb("wrote", "write"), counted(count(&["xmp"]), "sidecar")));
    }
    if let Some(file) = &args.report {
        parts.push(format!("{} {}", verb("report in", "write the report to"), file.display()));
    }
    if let Some(file) = results {
        parts.push(format!("results in {}", file.display()));
    }
    parts.join(", ")
}
