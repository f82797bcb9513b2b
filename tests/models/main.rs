//! The model hub as commands use it, on small networks written to files.

#[path = "../parity/formula.rs"]
mod formula;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use formula::Formula;
use hub::cache::Cache;
use hub::{Aesthetic, Comparator, Embedder, Hub, HubConfig, HubError, ModelChoice, TaskNetwork};
use safetensors::tensor::{Dtype, TensorView};

/// Name, shape and values.
type Tensor = (String, Vec<usize>, Vec<f32>);

fn tensors(formula: &Formula, rename: impl Fn(&str) -> String) -> Vec<Tensor> {
    formula.shapes.iter().map(|(name, shape)| (rename(name), shape.clone(), formula.values(name))).collect()
}

/// A ResNet-18 under the original's positional names, and a head of the given layers behind it.
fn original(part: &str, widths: &[usize]) -> Vec<Tensor> {
    let positional = |name: &str| {
        let mut name = name.to_owned();
        for (from, to) in [("layer1", "4"), ("layer2", "5"), ("layer3", "6"), ("layer4", "7")] {
            name = name.replace(from, to);
        }
        let stem = name.strip_prefix("conv1.").map(|rest| format!("0.{rest}"));
        let stem = stem.or_else(|| name.strip_prefix("bn1.").map(|rest| format!("1.{rest}")));
        format!("backbone.{}", stem.unwrap_or(name))
    };
    let mut all = tensors(&Formula::recorded("resnet18"), positional);
    for (i, pair) in widths.windows(2).enumerate() {
        let values = |count: usize, step: f32| (0..count).map(|k| (k as f32 * step).sin() * 0.05).collect::<Vec<f32>>();
        all.push((format!("{part}.{}.weight", 3 * i), vec![pair[1], pair[0]], values(pair[0] * pair[1], 0.7)));
        all.push((format!("{part}.{}.bias", 3 * i), vec![pair[1]], vec![2.0; pair[1]]));
    }
    all
}

fn write(path: &Path, tensors: &[Tensor], config: &str) {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let metadata = HashMap::from([("config".to_owned(), config.to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), path).unwrap();
}

struct World {
    folder: tempfile::TempDir,
    hub: Hub,
    notes: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> Self {
        Self::with_memory(usize::MAX)
    }

    fn with_memory(memory: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = HubConfig { memory, ..HubConfig::new(Cache::new(folder.path(), None)) };
        let notes = Arc::new(Mutex::new(Vec::new()));
        let heard = notes.clone();
        let hub = Hub::new(config, move |note| heard.lock().unwrap().push(note.to_owned())).unwrap();
        Self { folder, hub, notes }
    }

    fn open<N: TaskNetwork>(&self, path: &Path) -> Result<N, HubError> {
        self.hub.open(ModelChoice::Path(path))
    }

    fn file(&self, name: &str, tensors: &[Tensor], config: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        write(&path, tensors, config);
        path
    }

    fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }
}

#[test]
fn a_missing_model_names_file_size_hash_place_and_the_way_out() {
    let world = World::new();
    let error = world.hub.aesthetic("ava-resnet50").unwrap_err().to_string();
    let folder = world.folder.path().display().to_string();
    for part in [
        "model `ava-resnet50` is not here",
        "ava_resnet50.pt (96454336 bytes, sha256 1f07083de8a382142122e7007173d228191e5956c976b8b9fdbe5b542b90ddc7)",
        &folder,
        "albumctl models import FILE",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let error = world.hub.embedder("dinov2").unwrap_err().to_string();
    assert!(error.contains("albumctl models pull dinov2-b"), "{error}");
}

#[test]
fn names_that_do_not_fit_are_refused_with_those_that_do() {
    let world = World::new();
    let error = world.hub.embedder("dinov3").unwrap_err().to_string();
    assert!(error.contains("no model is called `dinov3`") && error.contains("dinov2-b, dinov2-l"), "{error}");
    assert!(matches!(world.hub.aesthetic("resnet50"), Err(HubError::WrongTask { .. })));
}

#[test]
fn a_file_that_is_not_the_pinned_one_is_refused_when_it_is_loaded() {
    let world = World::new();
    std::fs::rename(
        world.file("x.safetensors", &original("head", &[512, 1]), "{}"),
        world.folder.path().join("ava_resnet50.pt"),
    )
    .unwrap();
    let error = match world.hub.aesthetic("ava-resnet50") {
        Err(error) => error,
        Ok(aesthetic) => aesthetic.score(&[formula::picture(0)]).unwrap_err(),
    };
    let said = error.to_string();
    assert!(said.contains("1f07083de8a382142122e7007173d228191e5956c976b8b9fdbe5b542b90ddc7"), "{said}");
}

#[test]
fn vectors_have_length_one_and_do_not_depend_on_company() {
    let world = World::new();
    let path = world.file("tiny.safetensors", &tensors(&Formula::recorded("dinov2_gated"), str::to_owned), "{}");
    let embedder = world.open::<Embedder>(&path).unwrap();
    assert_eq!(world.notes(), [""; 0], "nothing is loaded before a photo needs it");
    let photos: Vec<_> = (0..3).map(formula::picture).collect();
    let together = embedder.embed(&photos).unwrap();
    let alone: Vec<_> =
        photos.iter().map(|photo| embedder.embed(std::slice::from_ref(photo)).unwrap().remove(0)).collect();
    assert_eq!(together, alone);
    assert_eq!(embedder.dim().unwrap(), 128);
    for vector in &together {
        let length: f32 = vector.iter().map(|v| v * v).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    assert_ne!(together[0], together[1]);
    assert_eq!(embedder.reference(), "tiny@file");
    assert!(embedder.identity().unwrap().contains("blake3:"));
    assert!(embedder.embed(&[]).unwrap().is_empty());
}

#[test]
fn a_network_is_loaded_once_for_all_threads() {
    let world = World::new();
    let path = world.file("tiny.safetensors", &tensors(&Formula::recorded("dinov2_gated"), str::to_owned), "{}");
    std::thread::scope(|scope| {
        for i in 0..4 {
            let embedder = world.open::<Embedder>(&path).unwrap();
            scope.spawn(move || embedder.embed(&[formula::picture(i)]).unwrap());
        }
    });
    let notes = world.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("Loaded feature extractor tiny (") && notes[0].ends_with(" ms)"), "{notes:?}");
}

#[test]
fn networks_leave_when_memory_is_short() {
    let world = World::with_memory(1);
    let all = tensors(&Formula::recorded("dinov2_gated"), str::to_owned);
    let [first, second] = ["one.safetensors", "two.safetensors"].map(|name| {
        let path = world.file(name, &all, "{}");
        world.open::<Embedder>(&path).unwrap()
    });
    for embedder in [&first, &second, &first] {
        embedder.embed(&[formula::picture(0)]).unwrap();
    }
    assert_eq!(world.notes().len(), 3, "one, two, and one again");
}

#[test]
fn ratings_follow_the_configuration_in_the_file() {
    let world = World::new();
    let config = r#"{"model": {"mlp_hidden_dims": [16], "output_mode": "distribution", "activation": "tanh"}}"#;
    let path = world.file("mine.safetensors", &original("head", &[512, 16, 10]), config);
    let aesthetic = world.open::<Aesthetic>(&path).unwrap();
    let scores = aesthetic.score(&[formula::picture(0), formula::picture(1)]).unwrap();
    assert!(scores.iter().all(|score| (1.0..=10.0).contains(score)), "{scores:?}");
    assert_ne!(scores[0], scores[1]);

    let config = r#"{"model": {"mlp_hidden_dims": [0]}}"#;
    let path = world.file("none.safetensors", &original("head", &[512, 16, 10]), config);
    let error = world.open::<Aesthetic>(&path).unwrap().score(&[formula::picture(0)]).unwrap_err().to_string();
    assert!(error.contains("none.safetensors: a head of [0] hidden"), "{error}");

    let config = r#"{"model": {"mlp_hidden_dims": [16], "output_mode": "regression"}}"#;
    let path = world.file("odd.safetensors", &original("head", &[512, 16, 10]), config);
    let error = world.open::<Aesthetic>(&path).unwrap().score(&[formula::picture(0)]).unwrap_err().to_string();
    assert!(error.contains("odd.safetensors") && error.contains("wants 1 outputs, the head has 10"), "{error}");
}

#[test]
fn comparisons_mirror_and_a_photo_ties_with_itself() {
    let world = World::new();
    let path = world.file("pairs.safetensors", &original("mlp", &[512, 2]), "{}");
    let comparator = world.open::<Comparator>(&path).unwrap();
    let features = comparator.features(&[formula::picture(0), formula::picture(1)]).unwrap();
    let (there, back) = (comparator.prefer(&features[0], &features[1]), comparator.prefer(&features[1], &features[0]));
    assert_eq!(there.unwrap(), 1.0 - back.unwrap());
    assert_eq!(comparator.prefer(&features[0], &features[0]).unwrap(), 0.5);
    assert!(matches!(comparator.prefer(&features[0], &[0.0; 3]), Err(HubError::Features { .. })));
}

#[test]
fn a_tensor_that_belongs_to_nothing_is_named() {
    let world = World::new();
    let mut all = original("mlp", &[512, 2]);
    all.push(("mlp.extra".into(), vec![1], vec![0.0]));
    let path = world.file("extra.safetensors", &all, "{}");
    let error = world.open::<Comparator>(&path).unwrap().features(&[formula::picture(0)]).unwrap_err().to_string();
    assert!(error.contains("tensor `mlp.extra` is not part of the network"), "{error}");
}

#[test]
fn a_file_of_no_known_network_is_refused() {
    let world = World::new();
    let path = world.file("odd.safetensors", &[("weights".into(), vec![1], vec![0.0])], "{}");
    let error = world.open::<Embedder>(&path).unwrap_err().to_string();
    assert!(error.contains("odd.safetensors: a file of no known network for embedding"), "{error}");
    let error = world.open::<Embedder>(&world.folder.path().join("none.pt")).unwrap_err().to_string();
    assert!(error.contains("none.pt"), "{error}");
}
