//! The content of sidecars besides the rating: keywords, and regions of named people.

use crate::context::Context;
use crate::photo_report::PhotoReport;
use crate::report::xmp::{Faces, Region};
use judge::select::PictureKind;
use photo::identity;

/// Keywords for `dc:subject`: confident classes, the kind if it is not a photograph, and named people.
pub fn keywords(report: &PhotoReport) -> Vec<String> {
    let subject = report.classified.as_ref().and_then(|classified| classified.subject()).map(str::to_owned);
    let kind = report.kind.map(|kind| kind.what).filter(|what| *what != PictureKind::Photo);
    let names = report.people.iter().flatten().filter_map(|face| face.name.clone());
    subject.into_iter().chain(kind.map(|what| what.word().to_owned())).chain(names).collect()
}

/// The faces of named people, in the file's own orientation. `None` if faces were not analysed or the file is gone.
pub fn faces(report: &PhotoReport, context: &Context) -> Option<Faces> {
    let faces = report.people.as_ref()?.iter();
    let regions: Vec<Region> =
        faces.filter_map(|face| Some(Region { name: face.name.clone()?, bbox: face.bbox })).collect();
    if regions.is_empty() {
        return Some(Faces::default());
    }
    let bytes = identity::read(&report.path, context.limits().max_file_bytes).ok()?.bytes;
    Some(Faces::stored((report.width, report.height), photo::facts(&bytes).orientation, regions))
}
