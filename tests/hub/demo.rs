//! What `examples/model_hub.rs` shows is so.

#[allow(dead_code, reason = "its `main` is not run here")]
#[path = "../../examples/model_hub.rs"]
mod example;

use crate::world::fixture_album;

#[test]
fn the_example_shows_every_step_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let told = example::demonstrate(folder.path(), &fixture_album()).unwrap().join("\n");
    for part in [
        "ava-resnet50@1: ",
        "(not_downloaded)",
        "album-mini@5 and album-mini@5: Loaded",
        "out of bytes: [(\"blur\", ",
        "added my-detector@1.0.0: needs ultralytics and torch, not_downloaded",
        "given back: true",
        "valid: true",
        "0 files in the model folder, 0 % of its room",
        "cleared away: 0",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.matches("quality 0.").count(), 3, "{told}");
}
