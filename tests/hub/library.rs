//! The hub as a program holds it: every operation, and many threads at once.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use albumctl::ModelHub;
use albumctl::library::{Batch, Extras, ModelHubError, Options};
use hub::availability::Status;
use hub::cache::{Cache, CacheError};
use hub::digest::Digest;
use hub::{Hub, HubConfig, TaskNetwork};
use tempfile::TempDir;

use crate::place::noise;
use crate::runs::{manifest, tiny_weights};
use crate::server::{Served, Server};
use crate::world::{png, shared_data};

struct Here {
    folder: TempDir,
    server: Server,
    bytes: Vec<u8>,
}

impl Here {
    fn new() -> Self {
        let (folder, server, bytes) = (tempfile::tempdir().unwrap(), Server::start(), tiny_weights("1"));
        let url = server.serve("/mine.safetensors", Served::file(&bytes));
        fs::write(folder.path().join("mine.yaml"), manifest(1, &bytes, &url)).unwrap();
        for seed in 0..6 {
            fs::write(folder.path().join(format!("{seed}.png")), png(48, 36, seed)).unwrap();
        }
        Self { folder, server, bytes }
    }

    fn options(&self) -> Options {
        let mut options = Options::built_in().unwrap();
        options.settings.album.clustering.feature_method = "mine".into();
        options.settings.device = "cpu".into();
        let below = |name: &str| Some(self.folder.path().join(name));
        Options { models_dir: below("models"), own_manifests: below("manifests"), ..options }
    }

    fn hub(&self) -> ModelHub {
        let hub = ModelHub::open(self.options()).unwrap();
        hub.add(self.folder.path().join("mine.yaml").to_str().unwrap()).unwrap();
        hub
    }

    fn photo(&self, seed: u32) -> PathBuf {
        self.folder.path().join(format!("{seed}.png"))
    }
}

#[test]
fn every_operation_in_turn() {
    let here = Here::new();
    let hub = here.hub();
    assert_eq!(hub.info("mine").unwrap().status, "not_downloaded");
    assert!(matches!(hub.load("mine"), Err(ModelHubError::Hub(_))), "loading fetches nothing");
    assert_eq!(here.server.log().len(), 0);
    let heard = Mutex::new(Vec::new());
    let loaded = hub.ensure_ready("mine", |progress| heard.lock().unwrap().push(progress)).unwrap();
    let last = *heard.lock().unwrap().last().unwrap();
    assert_eq!((last.have, last.total), (here.bytes.len() as u64, Some(here.bytes.len() as u64)));
    assert_eq!(loaded.reference(), "mine@1");
    assert_eq!(hub.status("mine").unwrap(), Status::Loaded);
    assert!(hub.validate("mine@1").unwrap());
    // Who holds it keeps it.
    let error = hub.remove("mine").unwrap_err();
    assert!(matches!(error, ModelHubError::Cache(CacheError::InUse { .. })), "{error}");
    assert!(hub.validate("album-mini").unwrap(), "what is part of the binary is checked where it is");
    let info = hub.cache_info().unwrap();
    assert_eq!((info.usage.files, info.models.len(), info.models[0].status), (1, 1, "loaded"));
    let photos: Vec<PathBuf> = (0..6).map(|seed| here.photo(seed)).collect();
    let features = hub.features(&photos).unwrap();
    for report in &features.photos {
        let embedded = report.as_ref().unwrap().embedding.as_ref().unwrap();
        assert_eq!((embedded.model.as_str(), embedded.vector.len()), ("mine@1", 128));
    }
    let extras = Extras { groups: true, degradations: true, ..Extras::default() };
    let batch = hub.analyse_batch(&photos, extras, |_| ()).unwrap();
    let reports: Vec<_> = batch.photos.into_iter().map(Result::unwrap).collect();
    assert!(reports.iter().map(|report| &report.path).eq(&photos), "in the order asked for");
    let groups: Vec<i64> = reports.iter().map(|report| report.cluster_id.unwrap()).collect();
    assert_eq!(hub.cluster(&reports).unwrap().clustering.labels, groups);
    let alone = hub.predict_from_bytes("album-mini", &fs::read(&photos[0]).unwrap()).unwrap();
    let strengths: Vec<f32> = alone.degradations.into_iter().map(|(_, strength)| strength).collect();
    assert_eq!(reports[0].degradations.as_ref(), Some(&strengths));
    let plain = hub.analyse_batch(&photos[..1], Extras::default(), |_| ()).unwrap().photos.remove(0).unwrap();
    assert!(plain.embedding.is_none() && plain.cluster_id.is_none() && plain.degradations.is_none());
    let missing: String = batch.left_out.iter().map(|error| error.to_string() + "\n").collect();
    assert!(missing.contains("ava_resnet50.pt") && missing.contains("face_landmark_with_attention"), "{missing}");
    drop(loaded);
    assert!(hub.unload("mine").unwrap());
    assert!(!hub.unload("mine").unwrap());
    assert_eq!(hub.status("mine").unwrap(), Status::Ready);
    // Rotten bytes are found, set aside, cleared away and fetched again.
    let blob = PathBuf::from(hub.info("mine").unwrap().files[0].path.clone().unwrap());
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, noise(here.bytes.len(), 1)).unwrap();
    assert_eq!(hub.status("mine").unwrap(), Status::Unverified);
    assert!(!hub.validate("mine").unwrap());
    assert_eq!(hub.status("mine").unwrap(), Status::NotDownloaded);
    let cleaned = hub.cleanup().unwrap();
    assert_eq!((cleaned.removed, cleaned.bytes), (1, here.bytes.len() as u64));
    let pulled = hub.pull("mine", |_| ()).unwrap();
    assert_eq!(pulled[0].digest, Digest::of(&here.bytes));
    assert!(hub.remove("mine").unwrap() && !hub.remove("mine").unwrap());
    // Another manifest of that name and version is not slipped in.
    let yaml = manifest(1, &here.bytes, "http://example.org/other");
    fs::write(here.folder.path().join("mine.yaml"), yaml).unwrap();
    assert!(hub.add(here.folder.path().join("mine.yaml").to_str().unwrap()).is_err());
}

#[test]
fn a_refused_licence_and_no_network() {
    let here = Here::new();
    here.hub();
    let mut options = here.options();
    options.settings.license_policy = "no-unknown".into();
    let offline = ModelHub::open(Options { offline: true, ..options }).unwrap();
    let error = offline.pull("mine", |_| ()).unwrap_err().to_string();
    assert!(error.contains("offline"), "{error}");
    let error = offline.pull("siamese-resnet50", |_| ()).unwrap_err();
    assert!(matches!(error, ModelHubError::Pull { .. } | ModelHubError::Licence(_)), "{error}");
    assert!(matches!(offline.load("yolov8n"), Err(ModelHubError::Hub(_))));
    assert_eq!(here.server.log().len(), 0);
}

#[test]
fn faces_through_the_hub() {
    let Some(golden) = shared_data("faces_golden/png/n04591157_Windsor_tie.png") else { return };
    let weights = golden.ancestors().nth(4).unwrap().join("weights/mediapipe");
    if !weights.exists() {
        return crate::world::skipped("no ../shared/weights/mediapipe");
    }
    let mut options = Options::built_in().unwrap();
    options.settings.device = "cpu".into();
    let hub = ModelHub::open(Options { models_dir: Some(weights), ..options }).unwrap();
    let portrait = hub.portrait(&golden).unwrap();
    assert!(portrait.is_portrait && portrait.eyes_open == Some(true));
    assert_eq!(hub.status("mediapipe-face-mesh-attention").unwrap(), Status::Loaded);
    assert!(hub.unload("mediapipe-face-mesh-attention").unwrap());
}

/// Removed after we found it, before anybody could see that we use it.
#[test]
fn a_model_removed_at_the_wrong_moment_is_one_that_is_not_here() {
    let here = Here::new();
    let hub = here.hub();
    hub.pull("mine", |_| ()).unwrap();
    let cache = Cache::new(here.folder.path().join("models"), None);
    let config = HubConfig { own_manifests: Some(here.folder.path().join("manifests")), ..HubConfig::new(cache) };
    let network = Hub::new(config, drop_note).unwrap().embedder("mine").unwrap();
    fs::remove_file(hub.info("mine").unwrap().files[0].path.as_ref().unwrap()).unwrap();
    let error = network.load().unwrap_err().to_string();
    assert!(error.contains("is not here") && error.contains("albumctl models pull mine"), "{error}");
}

fn drop_note(_: &str) {}

/// Eight threads do everything at once, each in an order of its own. Nothing may panic or block; an answer is right, or
/// an error that says what another thread has just done.
#[test]
fn eight_threads_do_everything_at_once() {
    let here = Here::new();
    let (hub, second) = (here.hub(), ModelHub::open(here.options()).unwrap());
    let expected: Vec<f32> = {
        let loaded = hub.ensure_ready("mine", |_| ()).unwrap();
        let expected = embedding(&hub.features(&[here.photo(0)]).unwrap());
        drop(loaded);
        expected
    };
    let answers = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (hub, here, expected, answers) =
                (if thread % 2 == 0 { &hub } else { &second }, &here, &expected, &answers);
            scope.spawn(move || {
                let turns = (0..50).flat_map(|round| noise(60, 1000 + 8 * round + thread));
                for (count, turn) in turns.enumerate() {
                    // More than sixty each only where the others left no moment in which the model was here.
                    if count >= 60 && answers.load(Ordering::Relaxed) > 10 {
                        break;
                    }
                    match turn % 10 {
                        0 => drop(hub.pull("mine", |_| ())),
                        1 => drop(hub.ensure_ready("mine", |_| ())),
                        2 => drop(hub.unload("mine")),
                        3 if turn > 128 => drop(hub.remove("mine")),
                        4 => assert!(hub.list(None).iter().any(|model| model.name == "mine")),
                        5 => drop(hub.score(here.photo(1)).unwrap()),
                        6 => drop(hub.cleanup()),
                        7 => drop(hub.status("mine").unwrap()),
                        8 => drop(hub.add(here.folder.path().join("mine.yaml").to_str().unwrap()).unwrap()),
                        _ => match hub.features(&[here.photo(0)]) {
                            Ok(batch) if batch.left_out.is_empty() => match &batch.photos[0] {
                                Ok(_) => {
                                    assert_eq!(embedding(&batch), *expected);
                                    answers.fetch_add(1, Ordering::Relaxed);
                                }
                                // Removed between being found and being loaded.
                                Err(failure) => assert!(failure.cause.contains("is not here"), "{failure}"),
                            },
                            Ok(batch) => assert!(batch.left_out[0].to_string().contains("is not here")),
                            Err(error) => panic!("{error}"),
                        },
                    }
                }
            });
        }
    });
    assert!(answers.load(Ordering::Relaxed) > 10, "{answers:?}");
    hub.ensure_ready("mine", |_| ()).unwrap();
    assert!(hub.validate("mine").unwrap());
    assert_eq!(hub.cache_info().unwrap().usage.quarantined_bytes, 0, "no good file was taken for a bad one");
}

/// Of the first photo.
fn embedding(batch: &Batch) -> Vec<f32> {
    batch.photos[0].as_ref().unwrap().embedding.as_ref().unwrap().vector.to_vec()
}

/// Two hubs over one folder share networks: the process holds each once.
#[test]
fn a_network_is_in_memory_once_a_process() {
    let here = Here::new();
    let (first, second) = (here.hub(), ModelHub::open(here.options()).unwrap());
    let loaded = first.ensure_ready("mine", |_| ()).unwrap();
    assert_eq!(second.status("mine").unwrap(), Status::Loaded);
    let again = second.load("mine").unwrap();
    drop((loaded, again));
    assert!(second.unload("mine").unwrap());
    assert!(!first.unload("mine").unwrap(), "it was one and the same");
}
