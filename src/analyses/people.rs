//! Recognition of people. Its results are stored with the known people, never in the results store.

use std::collections::HashMap;

use crate::journal::PersonFace;
use crate::photo_report::PhotoReport;
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::{DescribedFace, People};
use photo::identity::ContentId;

/// The recognition of faces as an analysis of the pipeline.
#[derive(Debug)]
pub struct PeopleAnalysis {
    people: People,
    identity: String,
    /// The faces of photos that were analysed before.
    known: HashMap<ContentId, Vec<PersonFace>>,
}

impl PeopleAnalysis {
    pub fn new(people: People, known: HashMap<ContentId, Vec<PersonFace>>) -> Self {
        let identity = people.identity();
        Self { people, identity, known }
    }

    /// The key of descriptors: everything that affects them.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// `name@version` of the recognition model.
    pub fn reference(&self) -> &str {
        self.people.reference()
    }
}

impl From<DescribedFace> for PersonFace {
    fn from(face: DescribedFace) -> Self {
        let DescribedFace { bbox, confidence, descriptor } = face;
        Self { bbox, confidence, descriptor: descriptor.to_vec(), person: None, name: None }
    }
}

impl Analysis for PeopleAnalysis {
    fn name(&self) -> &'static str {
        "recognise_people"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([self.identity.as_str()])
    }

    fn needs_decoded_size(&self) -> bool {
        true
    }

    fn is_stored(&self) -> bool {
        false
    }

    fn recall(&self, content: &ContentId, report: &mut PhotoReport) -> Option<()> {
        report.people = Some(self.known.get(content)?.clone());
        Some(())
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        let pixels = &picture.decoded;
        let found = match &report.portrait {
            Some(portrait) => self.people.describe(pixels, portrait)?,
            None => self.people.describe(pixels, &self.people.faces.analyse(pixels)?)?,
        };
        report.people = Some(found.into_iter().map(PersonFace::from).collect());
        Ok(())
    }

    fn encode(&self, _: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn restore(&self, _: &[u8], _: &mut PhotoReport) -> Option<()> {
        None
    }
}
