//! Weights files that are not what they claim.

use std::fs;

use crate::world::World;

fn older() -> Vec<u8> {
    fs::read(format!("{}/fixtures/checkpoints/legacy.pt", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn lying_storages() {
    let world = World::new();
    world.photo("a.png", 1);
    let whole = older();
    // The first storage's count stands where the pickled list of keys ends: make it claim more than the file has.
    let count = 12u64.to_le_bytes();
    let at = whole.windows(8).rposition(|bytes| bytes == count).expect("a storage of twelve numbers");
    let mut lying = whole.clone();
    lying[at..at + 8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    for (bytes, why) in [(&whole[..whole.len() - 9], "cut short"), (&lying[..], "its tensors say 12")] {
        let file = world.path("weights.pth");
        fs::write(&file, bytes).unwrap();
        let seen = world.run(["embed", "photos", "--model", file.to_str().unwrap()]);
        assert!(seen.stdout.is_empty() && matches!(seen.code, Some(1 | 2)), "exit {:?}", seen.code);
        assert!(seen.stderr.contains("weights.pth") && seen.stderr.contains(why), "{}", seen.stderr);
    }
}
