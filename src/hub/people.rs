//! Face recognition as models of the hub: MediaPipe finds the faces, and dlib's aligner and network describe each by 128
//! numbers, which are similar for faces of one person.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::face_network::FacesError;
use super::faces::Landmarks;
use super::loaded_networks::{Key, Weight};
use super::model::LoadedGuard;
use super::portraits::Faces;
use super::verified_file::VerifiedFile;
use super::{Hub, HubError, Shared};
use base::pixels::Pixels;
use judge::portrait::{Portrait, Thresholds};
use kernels::Engine;
use networks::dlib::{Alignment, DESCRIPTOR, FaceDescriptor, Rectangle, face_chip};
use networks::fused::Runner;

/// Changes when the descriptors of a photo change.
const REVISION: &str = "people/1";
const MODEL: &str = "face-recognition-dlib";
/// The word that pulls all its models.
const WORD: &str = "people";

/// dlib's own detector boxes a face from brow to chin; MediaPipe's box is placed differently. Centre and side of dlib's box in
/// it, as shares of its longer side. Chosen by eye; with them all pairs of tests/bench/results/people.md are found.
const CENTRE_BELOW: f64 = 0.03;
const SIDE: f64 = 1.0;

/// A face with its descriptor.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedFace {
    /// Left, top, width and height relative to the photo.
    pub bbox: [f64; 4],
    pub confidence: f64,
    /// The descriptor; those of one person are near each other.
    pub descriptor: [f32; DESCRIPTOR],
}

/// Finds and describes faces; can be used from several threads.
#[derive(Clone, Debug)]
pub struct People {
    pub faces: Faces,
    shared: Arc<Shared>,
    folder: PathBuf,
    /// The network, and the aligner.
    files: [VerifiedFile; 2],
    reference: String,
    key: Key,
}

/// dlib's networks in memory.
#[derive(Debug)]
pub(super) struct Recognition {
    alignment: Alignment,
    runner: Runner,
}

impl Weight for Recognition {
    fn bytes(&self) -> usize {
        self.alignment.bytes() + self.runner.network().bytes()
    }
}

impl Hub {
    /// Opens face recognition if all its models are here.
    pub fn people(&self, thresholds: Thresholds) -> Result<People, HubError> {
        let (faces, mut missing) = match self.faces(Landmarks::Attention, thresholds) {
            Err(HubError::Missing { models }) => (None, models),
            faces => (Some(faces?), Vec::new()),
        };
        let manifest = self.catalogue().find(MODEL)?;
        let files = match self.files_of(manifest) {
            Err(HubError::Missing { models }) => {
                missing.extend(models);
                Vec::new()
            }
            files => files?,
        };
        let Some(faces) = faces.filter(|_| missing.is_empty()) else {
            // One word pulls them all.
            missing.iter_mut().for_each(|one| WORD.clone_into(&mut one.pulled_by));
            return Err(HubError::Missing { models: missing });
        };
        let reference = manifest.reference();
        let Ok(files) = <[VerifiedFile; 2]>::try_from(files) else { return Err(HubError::DoesNotRun { reference }) };
        let shared = self.shared.clone();
        let lie = files.iter().map(VerifiedFile::stamp);
        let built_from = lie.chain([shared.engine.cpu.name().to_owned()]).collect();
        let key = Key { reference: reference.clone(), built_from };
        Ok(People { faces, shared, folder: self.cache().root().to_owned(), files, reference, key })
    }
}

impl People {
    /// `name@version` of the descriptor network.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The key of stored descriptors: everything that affects them.
    pub fn identity(&self) -> String {
        let hashes = self.files.iter().map(VerifiedFile::hash);
        let faces = self.faces.identity();
        let all: Vec<String> =
            [REVISION.to_owned(), self.reference.clone()].into_iter().chain(hashes).chain(faces).collect();
        all.join(" ")
    }

    /// Describes the faces found on an upright photo.
    pub fn describe(&self, pixels: &Pixels, portrait: &Portrait) -> Result<Vec<DescribedFace>, HubError> {
        if portrait.faces.is_empty() {
            return Ok(Vec::new());
        }
        let recognition = self.recognition()?;
        let size = [f64::from(pixels.width()), f64::from(pixels.height())];
        let describe = |face: &judge::portrait::Face| {
            let points = recognition.alignment.points(pixels, beneath(face.bbox, size));
            let found = recognition
                .runner
                .run(&FaceDescriptor::batch(&face_chip(pixels, &points)))
                .ok()
                .and_then(|found| found.try_into().ok());
            let descriptor = found.unwrap_or([0.0; DESCRIPTOR]);
            DescribedFace { bbox: face.bbox, confidence: face.confidence, descriptor }
        };
        Ok(portrait.faces.iter().map(describe).collect())
    }

    /// Loads the networks now. They stay in memory while the guard lives.
    pub fn load(&self) -> Result<LoadedGuard, HubError> {
        Ok(LoadedGuard::of(self.recognition()?))
    }

    fn recognition(&self) -> Result<Arc<Recognition>, HubError> {
        let leases = || -> Arc<dyn std::fmt::Debug + Send + Sync> { Arc::new(self.files.to_vec()) };
        self.shared.loaded.people.get(&self.key, self.shared.memory, leases, || self.build())
    }

    fn build(&self) -> Result<Recognition, HubError> {
        let started = Instant::now();
        let [network, aligner] = self.files.each_ref().map(VerifiedFile::read);
        let recognition = recognition(&network?, &aligner?, self.shared.engine);
        let recognition = recognition.map_err(|source| HubError::Faces { folder: self.folder.clone(), source })?;
        let (megabytes, milliseconds) = (recognition.bytes() as f64 / 1e6, started.elapsed().as_millis());
        (self.shared.note)(&format!("Loaded face recognition {MODEL} ({megabytes:.0} MB, {milliseconds} ms)"));
        Ok(recognition)
    }
}

fn recognition(network: &[u8], aligner: &[u8], engine: Engine) -> Result<Recognition, FacesError> {
    let dlib = |network| move |source| FacesError::Dlib { network, source };
    let descriptor = FaceDescriptor::read(network, engine).map_err(dlib("face recognition network"))?;
    let alignment = Alignment::read(aligner).map_err(dlib("face aligner"))?;
    Ok(Recognition { alignment, runner: Runner::new(Box::new(descriptor)) })
}

/// The box that dlib's detector would give.
fn beneath(bbox: [f64; 4], size: [f64; 2]) -> Rectangle {
    let [left, top, width, height] = [0, 1, 2, 3].map(|at| bbox[at] * size[at % 2]);
    let long = width.max(height);
    let half = SIDE * long / 2.0;
    let (x, y) = (left + width / 2.0, top + height / 2.0 + CENTRE_BELOW * long);
    let whole = |v: f64| v.round() as i64;
    Rectangle { left: whole(x - half), top: whole(y - half), right: whole(x + half), bottom: whole(y + half) }
}
