//! The summary line of `select`: how many photos were picked, and where they were written.

use std::path::Path;

use super::album_export::DeliverArgs;
use super::photos::counted;
use crate::report::records::select::Written;

/// Words the summary: picks, photos, how they were picked, and what was delivered. `results` is the file of `-o`.
pub fn summary(
    args: &DeliverArgs,
    (picks, photos, how): (usize, usize, &str),
    written: &[Vec<Written>],
    results: Option<&Path>,
) -> String {
    let of = |actions: &[&str], companion: bool| {
        let wanted = |it: &&Written| it.companion == companion && actions.contains(&it.action.as_str());
        written.iter().flatten().filter(wanted).count()
    };
    // The photos, and their companions.
    let count = |actions: &[&str]| match of(actions, true) {
        0 => of(actions, false).to_string(),
        along => format!("{} (and {} of theirs)", of(actions, false), counted(along, "file")),
    };
    let verb = |done: &str, would: &str| if args.dry_run { format!("would {would}") } else { done.to_owned() };
    let mut parts = vec![format!("picked {picks} of {}{how}", counted(photos, "photo"))];
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
    if args.ratings.xmp_embed {
        parts.push(format!("{} {} of them inside", verb("rated", "rate"), of(&["xmp_embed"], false)));
    }
    if args.ratings.xmp.is_some() {
        parts.push(format!("{} {}", verb("wrote", "write"), counted(of(&["xmp"], false), "sidecar")));
    }
    if let Some(file) = &args.report {
        parts.push(format!("{} {}", verb("report in", "write the report to"), file.display()));
    }
    if let Some(file) = results {
        parts.push(format!("results in {}", file.display()));
    }
    parts.join(", ")
}
