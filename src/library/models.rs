//! Managing models: listing, fetching, verifying, removing.

use std::path::Path;

use super::{ModelHub, ModelHubError, record};
use crate::config::UserFolder;
use crate::report::records::ModelRecord;
use base::reading;
use hub::availability::Status;
use hub::cache::{Collection, Usage, Verdict};
use hub::device::{self, Candidate, Card};
use hub::digest::Digest;
use hub::fetch::{Client, Event, NetworkSettings, Pulled, Puller, Settings, read_text};
use hub::manifest::{Manifest, ManifestFile};

/// The progress of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes of this model that are on disk.
    pub have: u64,
    /// Bytes of all its files, if every size is known.
    pub total: Option<u64>,
}

/// The state of the folder of model files.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheInfo {
    pub usage: Usage,
    /// The used share of the size limit; 0 without a limit.
    pub utilization: f64,
    /// Models with files on disk.
    pub models: Vec<ModelRecord>,
}

/// The devices on which networks can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    pub devices: [Candidate; 2],
    /// `cpu` or `cuda`.
    pub recommended: &'static str,
    /// GPUs that the driver reports, whether or not this build can use them.
    pub cards: Vec<Card>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanedUp {
    pub removed: usize,
    pub bytes: u64,
}

impl ModelHub {
    /// Lists the known models by name, newest version first, for one task (`aesthetics`, `comparison`, `embedding`, `face`,
    /// `detection`, …) or for all. Models that can be fetched but not run have `runs` false.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let raters = hub.list(Some("aesthetics"));
    /// assert!(raters.iter().any(|model| model.name == "ava-resnet50" && model.status == "not_downloaded"));
    /// assert!(hub.list(Some("detection")).iter().all(|model| model.runs));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn list(&self, task: Option<&str>) -> Vec<ModelRecord> {
        self.records(|manifest| task.is_none_or(|task| manifest.does(task)))
    }

    fn records(&self, fitting: impl Fn(&Manifest) -> bool) -> Vec<ModelRecord> {
        let hub = self.hub();
        let blobs = hub.cache().blobs().unwrap_or_default();
        let manifests = hub.catalogue().manifests().iter().filter(|manifest| fitting(manifest));
        manifests.map(|manifest| record(manifest, hub.cache(), &blobs)).collect()
    }

    /// Returns the record of one model, `name` or `name@version`.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let info = hub.info("ava-resnet50@1")?;
    /// assert_eq!((info.bytes, info.files[0].sha256_from), (Some(96_454_336), Some("manifest")));
    /// println!("licence: {} ({})", info.license, info.terms);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn info(&self, model: &str) -> Result<ModelRecord, ModelHubError> {
        let hub = self.hub();
        let blobs = hub.cache().blobs()?;
        Ok(record(hub.catalogue().find(model)?, hub.cache(), &blobs))
    }

    /// Returns whether a model is on disk and in memory. The files are inspected at every call.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// use hub::availability::Status;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// assert_eq!(hub.status("dinov2-s")?, Status::NotDownloaded);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn status(&self, model: &str) -> Result<Status, ModelHubError> {
        let hub = self.hub();
        let manifest = hub.catalogue().find(model)?;
        Ok(match hub.memory_status(manifest) {
            Some(status) => status,
            None => manifest.status(hub.cache()),
        })
    }

    /// Fetches and verifies the missing files of a model; an interrupted pull is continued.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # use std::io::{Read, Write};
    /// # let folder = tempfile::tempdir()?;
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = listener.local_addr()?;
    /// # std::thread::spawn(move || {
    /// #     let mut connection = listener.accept().unwrap().0;
    /// #     let _ = connection.read(&mut [0; 4096]);
    /// #     let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    /// # });
    /// let manifest = format!(
    ///     "name: mine\nversion: 1\ntask: embedding\nlicense: MIT\nsources: [\"http://{address}/weights.bin\"]\n\
    ///      file: {{name: weights.bin, size: 3, sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}}\n"
    /// );
    /// # let (models_dir, own_manifests) = (Some(folder.path().join("models")), Some(folder.path().join("mine")));
    /// let hub = ModelHub::open(Options { models_dir, own_manifests, ..Options::built_in()? })?;
    /// # std::fs::write(folder.path().join("mine.yaml"), &manifest)?;
    /// hub.add(folder.path().join("mine.yaml").to_str().unwrap())?;
    /// let pulled = hub.pull("mine@1", |progress| assert_eq!(progress.total, Some(3)))?;
    /// assert_eq!((pulled[0].bytes, pulled[0].transferred), (3, 3));
    /// assert!(hub.validate("mine")?);
    /// assert!(hub.remove("mine")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pull(&self, model: &str, progress: impl Fn(PullProgress) + Sync) -> Result<Vec<Pulled>, ModelHubError> {
        let hub = self.hub();
        let manifest = hub.catalogue().find(model)?;
        self.policy.check(&manifest.reference(), &manifest.license)?;
        let wanted = manifest.wanted(hub.cache())?;
        let client = self.client().map_err(|source| self.io(source))?;
        let have = std::sync::Mutex::new(vec![0; wanted.len()]);
        let report = |index: usize, event| {
            let bytes = match event {
                Event::Begun { from, .. } => from,
                Event::Bytes { have, .. } => have,
                Event::Done => wanted[index].size.unwrap_or(0),
                _ => return,
            };
            let mut have = have.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            have[index] = bytes;
            progress(PullProgress { have: have.iter().sum(), total: manifest.bytes() });
        };
        let outcomes = Puller::new(&client, hub.cache(), self.stop()).pull(&wanted, &report);
        let mut pulled = Vec::new();
        for (wanted, outcome) in wanted.iter().zip(outcomes) {
            let failed = |source| ModelHubError::Pull { model: manifest.reference(), source };
            let got: Pulled = outcome.map_err(failed)?;
            hub.library().remember(manifest, wanted, &got)?;
            pulled.push(got);
        }
        let kept: Vec<_> = pulled.iter().map(|got| got.digest).collect();
        hub.library().make_room(&kept)?;
        Ok(pulled)
    }

    /// Unloads a model and deletes its files except those shared with other models. A model that is in use is an error.
    /// Returns whether there were any files.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// assert!(!hub.remove("dinov2-s")?, "nothing of it was here");
    /// assert!(hub.remove("no-such-model").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, model: &str) -> Result<bool, ModelHubError> {
        let hub = self.hub();
        self.remove_all(&[hub.catalogue().find(model)?])
    }

    /// Removes all versions of a model, like [`remove`](Self::remove).
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// assert!(!hub.remove_all_versions("mobilenet-v2")?, "nothing of its two versions was here");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_all_versions(&self, model: &str) -> Result<bool, ModelHubError> {
        let hub = self.hub();
        self.remove_all(&hub.catalogue().versions_of(&[hub.catalogue().find(model)?]))
    }

    fn remove_all(&self, manifests: &[&Manifest]) -> Result<bool, ModelHubError> {
        let hub = self.hub();
        for manifest in manifests {
            hub.unload(manifest);
        }
        let mut removed = false;
        for digest in hub.library().own_files(manifests)?.into_values().flatten() {
            removed |= hub.cache().remove(&digest)?;
        }
        Ok(removed)
    }

    /// Verifies the hashes of a model's files. Files with a wrong hash are set aside, so that the next pull replaces them.
    pub fn validate(&self, model: &str) -> Result<bool, ModelHubError> {
        let hub = self.hub();
        let manifest = hub.catalogue().find(model)?;
        let good = |file: &ManifestFile| {
            let Some(sha256) = manifest.wanted_file(file, hub.cache())?.sha256 else { return Ok(false) };
            match manifest.built_in_weights(file) {
                Some(content) => Ok(Digest::of(content) == sha256),
                None => Ok(hub.cache().verify(&sha256)? == Verdict::Good),
            }
        };
        let all: Result<Vec<bool>, ModelHubError> = manifest.files.iter().map(good).collect();
        Ok(all?.into_iter().all(|good| good))
    }

    /// Adds a model to the user's own by its manifest, a YAML file or a URL. A different manifest of the same name and
    /// version is an error; another version is added beside it.
    pub fn add(&self, manifest: &str) -> Result<ModelRecord, ModelHubError> {
        let yaml = if manifest.starts_with("https://") || manifest.starts_with("http://") {
            let address = || manifest.to_owned();
            let client = self.client().map_err(|source| self.io(source))?;
            let text = read_text(&client, manifest, reading::TEXT);
            text.map_err(|source| ModelHubError::Address { address: address(), source })?
        } else {
            let io = |source| ModelHubError::Io { path: manifest.into(), source };
            reading::read_text(Path::new(manifest), reading::TEXT).map_err(io)?
        };
        let hub = self.hub();
        let no_folder = ModelHubError::NoFolder { what: "manifests of your own", folder: UserFolder::Config };
        let folder = self.options.own_manifests.as_deref().ok_or(no_folder)?;
        let manifest = hub.library().add(folder, manifest, &yaml, false)?;
        self.reload_manifests()?;
        Ok(record(&manifest, hub.cache(), &[]))
    }

    /// Returns the state of the folder of model files.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let info = hub.cache_info()?;
    /// assert_eq!((info.usage.files, info.utilization), (0, 0.0));
    /// assert_eq!(hub.cleanup()?.removed, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache_info(&self) -> Result<CacheInfo, ModelHubError> {
        let usage = self.hub().cache().usage()?;
        let utilization = usage.max_bytes.map_or(0.0, |max| usage.bytes as f64 / max as f64);
        let in_folder =
            |manifest: &Manifest| manifest.files.iter().any(|file| manifest.built_in_weights(file).is_none());
        let models = self.records(in_folder).into_iter().filter(|model| model.bytes_here > 0).collect();
        Ok(CacheInfo { usage, utilization, models })
    }

    /// Returns the devices on which networks can run, which one is chosen, and why.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let mut options = Options { models_dir: Some(folder.path().into()), ..Options::built_in()? };
    /// # options.settings.device = "cpu".into();
    /// # let hub = ModelHub::open(options)?;
    /// let info = hub.device_info()?;
    /// assert!(info.devices[0].available);
    /// println!("networks run on {}: {}", info.recommended, info.devices[0].why);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn device_info(&self) -> Result<DeviceInfo, ModelHubError> {
        let devices = device::survey(self.settings().device.parse()?);
        let recommended = devices.iter().find(|device| device.chosen).map_or("cpu", |device| device.kind);
        Ok(DeviceInfo { devices, recommended, cards: device::cards() })
    }

    /// Verifies every model file and deletes the damaged ones, leftovers of pulls, and what exceeds the size limit.
    ///
    /// ```
    /// # use albumctl::ModelHub;
    /// # use albumctl::library::Options;
    /// # let folder = tempfile::tempdir()?;
    /// # let hub = ModelHub::open(Options { models_dir: Some(folder.path().into()), ..Options::built_in()? })?;
    /// let cleaned = hub.cleanup()?;
    /// println!("{} files of {} bytes cleared away", cleaned.removed, cleaned.bytes);
    /// assert_eq!(cleaned.removed, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cleanup(&self) -> Result<CleanedUp, ModelHubError> {
        let hub = self.hub();
        for blob in hub.cache().blobs()? {
            // A damaged file is set aside here and deleted below with those set aside earlier.
            hub.cache().verify(&blob.digest)?;
        }
        let gone = hub.cache().collect(&Collection { leftovers: true, ..Collection::default() })?;
        Ok(CleanedUp { removed: gone.len(), bytes: gone.iter().map(|one| one.bytes).sum() })
    }

    fn client(&self) -> std::io::Result<Client> {
        let settings =
            Settings { offline: self.options.offline, trust_first: self.options.trust_first, ..Settings::default() };
        Client::new(NetworkSettings::from_environment(std::env::vars_os()), settings)
    }

    fn io(&self, source: std::io::Error) -> ModelHubError {
        ModelHubError::Io { path: self.hub().cache().root().to_owned(), source }
    }
}
