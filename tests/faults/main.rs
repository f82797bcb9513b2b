//! What breaks in practice, and what albumctl promises then. The table is README.md in this folder.

#[path = "../world/mod.rs"]
mod world;

#[cfg(target_os = "linux")]
mod bombs;
mod calls;
mod edited;
mod files;
mod graphs;
mod interrupted;
#[cfg(target_os = "linux")]
mod isolated;
mod journal;
mod killed;
#[cfg(target_os = "linux")]
mod mutations;
mod outputs;
mod places;
mod reading;
mod store;
mod strays;
mod weights;
mod words;

use std::collections::BTreeSet;

#[test]
fn every_row_has_its_test() {
    let (table, _) = include_str!("README.md").split_once("## Complete runs").expect("what follows the table");
    let sources = [
        include_str!("bombs.rs"),
        include_str!("calls.rs"),
        include_str!("edited.rs"),
        include_str!("files.rs"),
        include_str!("graphs.rs"),
        include_str!("interrupted.rs"),
        include_str!("isolated.rs"),
        include_str!("journal.rs"),
        include_str!("killed.rs"),
        include_str!("mutations.rs"),
        include_str!("outputs.rs"),
        include_str!("places.rs"),
        include_str!("reading.rs"),
        include_str!("store.rs"),
        include_str!("strays.rs"),
        include_str!("weights.rs"),
        include_str!("words.rs"),
    ]
    .concat();
    let promised: BTreeSet<&str> =
        table.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.split('`').nth(1)).collect();
    let held: BTreeSet<&str> =
        sources.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next()).collect();
    assert_eq!(promised, held);
    assert!(held.len() > 15);
}
