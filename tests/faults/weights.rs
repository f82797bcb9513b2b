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

#[test]
fn lying_arrays() {
    let world = World::new();
    let save = |name: &str, kind: &str, shape: &[usize], data: &[u8]| {
        fs::write(world.path(name), [base::npy::header(kind, shape), data.to_vec()].concat()).unwrap();
    };
    save("giant.npy", "<f4", &[1 << 40, 512], &[0; 64]);
    save("wide.npy", "<f4", &[1, 1 << 40], &[0; 64]);
    save("none.npy", "<f4", &[usize::MAX, usize::MAX], &[]);
    save("objects.npy", "|O", &[8], b"cos\nsystem\n(S'touch owned'\ntR.");
    save("labels.npy", "<f4", &[4], &[0; 16]);
    save("pictures.npy", "|u1", &[4, 1 << 20, 1 << 20, 3], &[0; 64]);
    fs::write(world.path("header.npy"), b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'").unwrap();
    for name in ["giant.npy", "wide.npy", "none.npy", "objects.npy", "pictures.npy", "header.npy"] {
        for args in [
            &["kmeans", "fit", "-k", "2", "--data", name][..],
            &["dedup", "--data", name],
            &["train", "quality", "--images", name, "--labels", "labels.npy", "--run", "run"],
        ] {
            let seen = world.run(args).expect(1);
            assert!(seen.stderr.contains(name) && seen.stderr.lines().count() <= 2, "{args:?}: {}", seen.stderr);
        }
    }
    assert!(!world.path("owned").exists(), "nothing in a file is run");
}
