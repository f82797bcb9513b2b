//! Reads intact and damaged files of `torch.save` and safetensors from `fixtures/checkpoints`.

use std::fs;

use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints").join(name)
}

/// The values that the generator wrote to every tensor.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| i as f32 / 8.0 - 1.0).collect()
}

fn check_state(file: &WeightsFile) {
    assert_eq!(file.names().len(), 8);
    assert_eq!(file.shape("backbone.0.weight"), Some(vec![4, 3]));
    assert_eq!(file.read("backbone.0.weight").unwrap(), numbers(12));
    assert_eq!(file.read("backbone.1.num_batches_tracked").unwrap(), [7.0]);
    assert_eq!(file.read("half").unwrap(), numbers(5));
    assert_eq!(file.read("brain").unwrap(), numbers(5));
    assert_eq!(file.read("double").unwrap(), numbers(4));
    assert_eq!(file.read("empty").unwrap(), Vec::<f32>::new());
    // Columns 1 to 4 of the transpose of six rows of four.
    let all = numbers(24);
    let expected: Vec<f32> =
        (0..4).flat_map(|row| (1..5).map(move |column| column * 4 + row)).map(|i| all[i]).collect();
    assert_eq!(file.shape("head.0.weight"), Some(vec![4, 4]));
    assert_eq!(file.read("head.0.weight").unwrap(), expected);
}

#[test]
fn checkpoints_of_all_shapes_hold_the_same_tensors() {
    for name in ["nested.pt", "windows.pt", "bare.pth", "parallel.pth", "foreign.pt", "legacy.pt", "plain.safetensors"]
    {
        let file = WeightsFile::open(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        check_state(&file);
    }
}

#[test]
fn metadata_of_training_is_read() {
    for name in ["nested.pt", "legacy.pt"] {
        let file = WeightsFile::open(&fixture(name)).unwrap();
        assert_eq!(file.metadata()["epoch"], 11);
        assert_eq!(file.metadata()["val_spearman"], 0.637);
        assert_eq!(file.metadata()["val_acc"], 0.5);
        let config = file.config().unwrap();
        assert_eq!(config["model"]["mlp_hidden_dims"], serde_json::json!([256]));
        assert_eq!(config["model"]["output_mode"], "regression");
        assert_eq!(config["output_dir"], "outputs/ava");
        assert_eq!(config["pretrained"], true);
        assert_eq!(config["cached"], Value::Null);
        assert_eq!(config["unicode"], "Bäume");
    }
}

#[test]
fn a_path_pickled_on_windows_is_a_text() {
    let file = WeightsFile::open(&fixture("windows.pt")).unwrap();
    assert_eq!(file.config().unwrap()["output_dir"], "D:\\runs\\siamese");
}

#[test]
fn metadata_of_safetensors_may_carry_a_configuration() {
    let file = WeightsFile::open(&fixture("plain.safetensors")).unwrap();
    assert_eq!(file.config().unwrap()["activation"], "tanh");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    for (name, why) in
        [("no_tensors.pt", "it holds no tensors"), ("../../Cargo.toml", "neither safetensors nor a file of torch.save")]
    {
        let error = WeightsFile::open(&fixture(name)).unwrap_err().to_string();
        assert!(error.contains(why), "{name}: {error}");
    }
    let error = WeightsFile::open(&fixture("nowhere.pt")).unwrap_err();
    assert!(matches!(&error, WeightsError::Io { file, .. } if file.ends_with("nowhere.pt")), "{error}");
}

/// Writes `bytes` and reads everything in them.
fn read_all(bytes: &[u8]) -> Result<(), WeightsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pt");
    fs::write(&path, bytes).unwrap();
    let file = WeightsFile::open(&path)?;
    file.names().iter().try_for_each(|name| file.read(name).map(drop))
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for name in ["nested.pt", "legacy.pt", "plain.safetensors"] {
        let whole = fs::read(fixture(name)).unwrap();
        read_all(&whole).unwrap();
        for len in (0..whole.len()).step_by(7) {
            assert!(read_all(&whole[..len]).is_err(), "{name} cut to {len} bytes");
        }
        let error = read_all(&whole[..whole.len() - 1]).unwrap_err();
        assert!(matches!(error, WeightsError::Truncated { .. }), "{name}: {error}");
    }
}

/// A pickle in a zip as torch.save lays it out, with one storage of `storage` bytes.
fn archive(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let members: [(&str, &[u8]); 2] = [("x/data.pkl", pickle), ("x/data/0", storage)];
    for (name, body) in members {
        let (start, size, len) = (out.len() as u32, body.len() as u32, name.len() as u16);
        let sizes = [0u32.to_le_bytes(), size.to_le_bytes(), size.to_le_bytes()].concat();
        let head = [&[0u8; 10][..], &sizes, &len.to_le_bytes(), &[0, 0]].concat();
        out.extend([b"PK\x03\x04".as_slice(), &head, name.as_bytes(), body].concat());
        directory
            .extend([b"PK\x01\x02\0\0".as_slice(), &head, &[0; 10], &start.to_le_bytes(), name.as_bytes()].concat());
    }
    let (start, len) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(
        [b"PK\x05\x06\0\0\0\0\x02\0\x02\0".as_slice(), &len.to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat(),
    );
    out
}

/// `{"w": tensor}` with the given storage length, offset, shape and strides, as protocol 2 writes it.
fn one_tensor(len: u32, offset: u32, shape: [u32; 2], strides: [u32; 2]) -> Vec<u8> {
    let int = |v: u32| [b"J".as_slice(), &v.to_le_bytes()].concat();
    [
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n".to_vec(),
        b"X\x01\0\0\x000X\x03\0\0\0cpu".to_vec(),
        int(len),
        b"tQ".to_vec(),
        int(offset),
        [int(shape[0]), int(shape[1]), b"\x86".to_vec()].concat(),
        [int(strides[0]), int(strides[1]), b"\x86".to_vec()].concat(),
        b"\x89}tRs.".to_vec(),
    ]
    .concat()
}

#[test]
fn a_tensor_stays_inside_its_storage() {
    let storage: Vec<u8> = numbers(6).iter().flat_map(|v| v.to_le_bytes()).collect();
    read_all(&archive(&one_tensor(6, 0, [2, 3], [3, 1]), &storage)).unwrap();
    for (len, offset, shape, strides, why) in [
        (6, 1, [2, 3], [3, 1], "reaches beyond its storage"),
        (6, 0, [2, 3], [4, 1], "reaches beyond its storage"),
        (6, 0, [60_000, 60_000], [0, 0], "beyond any storage"),
        (6, 0, [0x7fff_ffff, 0x7fff_ffff], [0x7fff_ffff, 1], "beyond any storage"),
        (60, 0, [2, 30], [30, 1], "cut short"),
    ] {
        let error = read_all(&archive(&one_tensor(len, offset, shape, strides), &storage)).unwrap_err().to_string();
        assert!(error.contains(why), "{shape:?} {strides:?}: {error}");
    }
}

/// A file in the format of torch.save before the zip: object, system information, keys, and each storage with its count.
fn stream(object: &[u8], machine: &[u8], keys: &[&str], storages: &[(u64, &[u8])]) -> Vec<u8> {
    let listed = keys.iter().map(|key| [b"U", [key.len() as u8].as_slice(), key.as_bytes(), b"a"].concat());
    let mut out = [
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".as_slice(),
        machine,
        object,
        b"\x80\x02]",
        &listed.collect::<Vec<_>>().concat(),
        b".",
    ]
    .concat();
    for (count, numbers) in storages {
        out.extend([&count.to_le_bytes(), *numbers].concat());
    }
    out
}

#[test]
fn storages_of_a_stream_are_where_it_says_or_refused() {
    let numbers: Vec<u8> = numbers(6).iter().flat_map(|v| v.to_le_bytes()).collect();
    let object = one_tensor(6, 0, [2, 3], [3, 1]);
    let (little, big) = (b"\x80\x02}.".as_slice(), b"\x80\x02}U\x0dlittle_endian\x89s.".as_slice());
    let whole = (6, numbers.as_slice());
    read_all(&stream(&object, little, &["0"], &[whole])).unwrap();
    for (bytes, why) in [
        (stream(&object, little, &["0"], &[(5, &numbers)]), "has 5 numbers, its tensors say 6"),
        (stream(&object, little, &["0"], &[(u64::MAX, &numbers)]), "its tensors say 6"),
        (stream(&object, little, &["0"], &[(6, &numbers[..20])]), "passes the end"),
        (stream(&object, little, &["0"], &[]), "cut short"),
        (stream(&object, little, &["0", "0"], &[whole, whole]), "listed twice"),
        (stream(&object, little, &["0", "1"], &[whole, whole]), "belongs to no tensor"),
        (stream(&object, little, &[], &[]), "it has no storage `0`"),
        (stream(&object, big, &["0"], &[whole]), "big-endian"),
        (stream(&one_tensor(6, 1, [2, 3], [3, 1]), little, &["0"], &[whole]), "reaches beyond its storage"),
        (stream(&one_tensor(0x7fff_ffff, 0, [2, 3], [3, 1]), little, &["0"], &[(0x7fff_ffff, &numbers)]), "passes"),
        (object.clone(), "a pickle, but not one of torch.save"),
    ] {
        let error = read_all(&bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error} for {why}");
    }
    let other = stream(&object, little, &["0"], &[whole])
        .iter()
        .map(|b| if *b == 0xe9 { 0xe8 } else { *b })
        .collect::<Vec<_>>();
    assert!(read_all(&other).unwrap_err().to_string().contains("its protocol is not 1001"));
    // An object that does not end where it should.
    assert!(read_all(&stream(&object[..object.len() - 1], little, &["0"], &[whole])).is_err());
}

#[test]
fn nothing_is_executed_and_cycles_end() {
    // os.system("touch …"), and a list inside itself, beside a tensor.
    let storage = [0u8; 24];
    let tensor = one_tensor(6, 0, [2, 3], [3, 1]);
    let hostile = [
        b"\x80\x02}X\x04\0\0\0evilcos\nsystem\nX\x04\0\0\0true\x85RsX\x04\0\0\0loop]q\x00h\x00as".as_slice(),
        &tensor[3..],
    ]
    .concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.pt");
    fs::write(&path, archive(&hostile, &storage)).unwrap();
    let file = WeightsFile::open(&path).unwrap();
    assert_eq!(file.metadata()["evil"], Value::Null);
    assert_eq!(file.read("w").unwrap(), [0.0; 6]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_never_panic(at in 0usize..4000, byte: u8, cut in 0usize..4200) {
        for name in ["nested.pt", "legacy.pt", "plain.safetensors"] {
            let mut bytes = fs::read(fixture(name)).unwrap();
            let place = at % bytes.len();
            bytes[place] = byte;
            bytes.truncate(cut.max(1));
            drop(read_all(&bytes));
        }
    }
}
