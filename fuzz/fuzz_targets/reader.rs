//! Bytes of a stranger for one of our readers, chosen by `ALBUMCTL_READER`: whatever they are, reading them ends in an
//! error or an answer, soon, without much memory. `make fuzz READER=png` builds and runs it; tflite.rs says how by hand.
#![no_main]

use std::io::Read;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use base::zip_directory as zip;
use hub::fetch::unpacked;
use hub::manifest::Manifest;
use networks::weights::WeightsFile;
use kernels::Cpu;
use networks::checkpoint::Checkpoint;
use networks::dlib::{Alignment, FaceDescriptor};
use networks::graph::{Network, Tensor};
use networks::tesseract;
use photo::resize::{self, Filter};
use photo::{self, FileFormat, Limits, Scale};
use base::pixels::Pixels;
use albumctl::report::records::AnalyzeRecord;
use albumctl::report::xmp::{self, Faces, SidecarValues};
use scale::dedup::{self, Keep, Rules, StoredDivision};
use scale::output::Output;
use scale::dedup::Rows;
use scale::{Centroids, Init, ScaleError, Source, fit};
use libfuzzer_sys::fuzz_target;

/// One after the other; `seeds` writes files to start from for those that cannot take a photo's.
const READERS: &[(&str, fn(&[u8]))] = &[
    ("jpeg", |bytes| photo(bytes, |kind| kind == FileFormat::Jpeg)),
    ("png", |bytes| photo(bytes, |kind| kind == FileFormat::Png)),
    ("webp", |bytes| photo(bytes, |kind| kind == FileFormat::Webp)),
    ("tiff", |bytes| photo(bytes, |kind| kind == FileFormat::Tiff)),
    ("gif", |bytes| photo(bytes, |kind| kind == FileFormat::Gif)),
    ("bmp", |bytes| photo(bytes, |kind| kind == FileFormat::Bmp)),
    ("avif", |bytes| photo(bytes, |kind| kind == FileFormat::Avif)),
    ("heic", |bytes| photo(bytes, |kind| kind == FileFormat::Heic)),
    ("jxl", |bytes| photo(bytes, |kind| kind == FileFormat::JpegXl)),
    ("raw", |bytes| photo(bytes, |kind| matches!(kind, FileFormat::Raw(_)))),
    ("resize", resized),
    ("xmp", sidecar),
    ("weights", weights),
    ("features", features),
    ("outputs", outputs),
    ("divisions", divisions),
    ("records", records),
    ("manifest", manifest),
    ("wheel", wheel),
    ("dlib", dlib),
    ("onnx", onnx),
    ("traineddata", traineddata),
    ("tensorflow", tensorflow),
];

static READER: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("ALBUMCTL_READER").unwrap_or_default();
    let names = READERS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let found = READERS.iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("ALBUMCTL_READER is one of {names}")).1
});

static GO_ON: AtomicBool = AtomicBool::new(false);

fuzz_target!(|bytes: &[u8]| READER(bytes));

fn photo(bytes: &[u8], meant: fn(FileFormat) -> bool) {
    if !photo::sniff(bytes).is_some_and(meant) {
        return;
    }
    let limits = Limits { max_pixels: 1 << 20, max_seconds: 2.0, max_alloc: 128 << 20, ..Limits::default() };
    for scale in [Scale::Full, Scale::AtLeast(20)] {
        if let Ok(decoded) = photo::decode(bytes, scale, &limits) {
            let small = resize::within(&decoded.pixels, 64);
            assert!(small.long_side() <= 64 && decoded.width > 0 && decoded.height > 0);
            assert!(matches!(decoded.format, FileFormat::Raw(_)) || decoded.picture == photo::picture_of(bytes, &limits));
        }
    }
}

/// Two sides, a filter, and the pixels; what is missing is grey.
fn resized(bytes: &[u8]) {
    let [a, b, c, d, filter, rest @ ..] = bytes else { return };
    let [width, height, wide, high] = [a, b, c, d].map(|side| u32::from(*side) + 1);
    let mut data = rest.to_vec();
    data.resize((width * height * 3) as usize, 128);
    let Some(pixels) = Pixels::new(width, height, data) else { return };
    let filter = if filter % 2 == 0 { Filter::Lanczos3 } else { Filter::Bilinear };
    let resized = resize::resize(&pixels, wide, high, filter);
    assert_eq!((resized.width(), resized.height()), (wide, high));
}

/// Merging the same values again changes nothing.
fn sidecar(bytes: &[u8]) {
    let values = SidecarValues {
        rating: Some(4),
        label: Some("Keep".into()),
        decision: Some("keep".into()),
        score: Some(0.5),
        model: Some("a & b".into()),
        version: "1".into(),
        keywords: Some(vec!["a & b".into()]),
        faces: Some(Faces::default()),
    };
    let Ok(once) = xmp::merge(Some(bytes), &values) else { return };
    let twice = xmp::merge(Some(&once.bytes), &values).expect("what was written can be read");
    assert_eq!(once.bytes, twice.bytes);
}

/// A file of this process with these bytes, in memory where the system has such a folder.
fn file(bytes: &[u8], name: &str) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = folder.join(format!("albumctl-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    });
    let path = FOLDER.join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

fn weights(bytes: &[u8]) {
    let Ok(weights) = WeightsFile::open(&file(bytes, "weights")) else { return };
    let _ = (weights.metadata(), weights.config(), weights.blake3());
    for name in weights.names() {
        let shape = weights.shape(&name).expect("a tensor that is named has a shape");
        if let Ok(values) = weights.read(&name) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
        }
    }
}

fn features(bytes: &[u8]) {
    let path = file(bytes, "features.parquet");
    let Ok(source) = Source::open(&[path.clone()]) else { return };
    let _ = source.each_id(|_, _| Ok::<_, ScaleError>(()));
    let _ = source.scores("score");
    let work = path.with_file_name("work");
    let fitting = fit::Options {
        clusters: 2,
        init: Init::KMeansPlusPlus,
        given: None,
        max_iterations: 2,
        tolerance: 1e-4,
        seed: 1,
        normalize: false,
        mini_batch: None,
        work: work.clone(),
        threads: 1,
        write_assignments: false,
        batch_rows: None,
    };
    let _ = fit::fit(&source, &fitting, &GO_ON, &mut |_| ());
    let _ = std::fs::remove_dir_all(&work);
    let options = dedup::Options {
        clusters: None,
        rules: Rules { similarity: 0.9, keep: Keep::First, scores: Vec::new() },
        seed: 1,
        threads: 1,
        memory: 1 << 20,
        spill: path.with_file_name(""),
        sample: 2,
    };
    let _ = dedup::dedup(&source, &options, &GO_ON);
}

/// What another machine of a cluster says that it has computed.
fn outputs(bytes: &[u8]) {
    let Some(output) = Output::from_bytes(bytes) else { return };
    let written = output.to_bytes();
    let again = Output::from_bytes(&written).expect("what was written can be read");
    assert_eq!(again.to_bytes(), written);
    for piece in 0..2 {
        let piece = output.piece_to_bytes(piece, 2);
        assert!(piece.is_none_or(|piece| Output::from_bytes(&piece).is_some()));
    }
    let _ = output.rows();
}

fn divisions(bytes: &[u8]) {
    let Ok(division) = StoredDivision::read(bytes) else { return };
    let Centroids { dim, .. } = *division.nearest().centroids();
    let rows = Rows { dim, numbers: vec![0, 7, u64::MAX], values: vec![0.5; 3 * dim] };
    let _ = (division.is_gone(3), division.duplicates_in(0, &rows));
}

fn records(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for line in text.lines() {
        if let Ok(record) = serde_json::from_str::<AnalyzeRecord>(line) {
            let _ = record.score.path.to_path();
            let written = serde_json::to_string(&record).expect("what was read can be written");
            serde_json::from_str::<AnalyzeRecord>(&written).expect("what was written can be read");
        }
    }
}

fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(manifest) = Manifest::parse("fuzz", text) else { return };
    let _ = (manifest.network(), manifest.mend(), manifest.bytes(), manifest.reference());
}

/// A sound graph is run on a small picture.
fn onnx(bytes: &[u8]) {
    let Ok(graph) = networks::onnx::parse(bytes) else { return };
    let Ok(network) = Network::new(graph, Cpu::best()) else { return };
    let picture = Tensor::picture(16, 20, 3, vec![0.5; 16 * 20 * 3]).expect("as many numbers as pixels");
    let _ = network.run(picture);
}

/// The same, of what lies between a picture and a map.
fn tensorflow(bytes: &[u8]) {
    let Ok(graph) = networks::tensorflow::parse(bytes, "Preprocessor/sub", &["dark"]) else { return };
    let Ok(network) = Network::new(graph, Cpu::best()) else { return };
    let picture = Tensor::picture(16, 20, 3, vec![0.5; 16 * 20 * 3]).expect("as many numbers as pixels");
    let _ = network.run(picture);
}

/// The directory of an archive: what it says lies inside the file.
fn wheel(bytes: &[u8]) {
    let tail = &bytes[bytes.len().saturating_sub(zip::TAIL as usize)..];
    let Ok((offset, length)) = zip::place(tail, bytes.len() as u64) else { return };
    let directory = &bytes[offset as usize..(offset + length) as usize];
    for entry in zip::entries(directory, offset).unwrap_or_default() {
        let start = bytes.get(entry.offset as usize..).expect("an entry begins inside the file");
        if let Ok(unpacked) = unpacked(start, &entry) {
            let _ = std::io::copy(&mut Read::take(unpacked, 1 << 20), &mut std::io::sink());
        }
    }
}

/// What recognises faces: its network and its aligner.
fn dlib(bytes: &[u8]) {
    use kernels::{Cpu, Engine, Precision};
    let engine = Engine { cpu: Cpu::best(), precision: Precision::Full };
    let _ = (FaceDescriptor::read(bytes, engine).is_ok(), Alignment::read(bytes).is_ok());
}

/// A network of Tesseract's, and a grey line for it.
fn traineddata(bytes: &[u8]) {
    if let Ok(reader) = tesseract::LineReader::load(bytes, Cpu::best()) {
        let line: Vec<f32> = (0..reader.height() * 40).map(|at| (at * 37 % 256) as f32).collect();
        let _ = reader.read(&line, None);
    }
}
