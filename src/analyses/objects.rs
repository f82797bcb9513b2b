//! The objects in a photo.

use crate::photo_report::{PhotoObjects, PhotoReport};
use crate::pipeline::{Analysis, Picture};
use crate::store::Fingerprint;
use hub::ObjectModel;

/// A network for objects as an analysis of the pipeline.
#[derive(Debug)]
pub struct ObjectAnalysis {
    pub model: ObjectModel,
}

impl Analysis for ObjectAnalysis {
    fn name(&self) -> &'static str {
        "find_objects"
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.model.identity().iter().map(String::as_str))
    }

    fn analyse(&self, picture: &Picture, report: &mut PhotoReport) -> anyhow::Result<()> {
        // The networks were trained on colours as files have them.
        let objects = self.model.find(picture.medium_as_stored())?;
        report.objects = Some(Box::new(PhotoObjects { objects, model: self.model.reference().to_owned() }));
        Ok(())
    }

    fn runs_on_card(&self) -> bool {
        self.model.runs_on_card()
    }

    fn encode(&self, report: &PhotoReport) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&report.objects.as_ref().map(|found| &found.objects))?)
    }

    fn restore(&self, finding: &[u8], report: &mut PhotoReport) -> Option<()> {
        let objects = serde_json::from_slice::<Option<_>>(finding).ok()??;
        report.objects = Some(Box::new(PhotoObjects { objects, model: self.model.reference().to_owned() }));
        Some(())
    }
}
