//! All networks that are loaded from a model folder, by what they are asked.

use std::time::Duration;

use networks::objects::ObjectFinder;
use networks::siglip::SiglipPictures;
use networks::text::TextReader;

use super::faces::FaceAnalyzer;
use super::loaded_networks::LoadedNetworks;
use super::people::Recognition;
use super::registry::LoadedNetwork;

/// All hubs of a process over the same folder share them.
#[derive(Debug, Default)]
pub(super) struct LoadedModels {
    pub photos: LoadedNetworks<LoadedNetwork>,
    pub faces: LoadedNetworks<FaceAnalyzer>,
    pub text: LoadedNetworks<TextReader>,
    pub objects: LoadedNetworks<ObjectFinder>,
    pub people: LoadedNetworks<Recognition>,
    pub describers: LoadedNetworks<SiglipPictures>,
}

impl LoadedModels {
    /// Whether any network of this model is being built.
    pub fn builds(&self, reference: &str) -> bool {
        self.photos.builds(reference)
            || self.faces.builds(reference)
            || self.text.builds(reference)
            || self.objects.builds(reference)
            || self.people.builds(reference)
            || self.describers.builds(reference)
    }

    /// Whether any network of this model is in memory.
    pub fn holds(&self, reference: &str) -> bool {
        self.photos.holds(reference)
            || self.faces.holds(reference)
            || self.text.holds(reference)
            || self.objects.holds(reference)
            || self.people.holds(reference)
            || self.describers.holds(reference)
    }

    /// Forgets the networks of a model. Returns whether there was any.
    pub fn forget(&self, reference: &str) -> bool {
        let gone = [
            self.photos.forget(reference),
            self.faces.forget(reference),
            self.text.forget(reference),
            self.objects.forget(reference),
            self.people.forget(reference),
            self.describers.forget(reference),
        ];
        gone.contains(&true)
    }

    /// Drops networks that nobody uses and that were not asked for this long.
    pub fn forget_idle(&self, since: Duration) {
        self.photos.forget_idle(since);
        self.faces.forget_idle(since);
        self.text.forget_idle(since);
        self.objects.forget_idle(since);
        self.people.forget_idle(since);
        self.describers.forget_idle(since);
    }
}
