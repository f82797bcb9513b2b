//! Where faces of people with a name are, as the Metadata Working Group writes regions. Regions of other programs stay as
//! they are; those of this program are known again by a checksum of their text.

use std::fmt::Write as _;
use std::ops::Range;

use quick_xml::escape::escape;

use photo::xmp::{Found, OURS, RDF, REGIONS};

/// The property that holds the checksum.
pub const REMEMBERED: &str = "Regions";

const DIMENSIONS: &str = "http://ns.adobe.com/xap/1.0/sType/Dimensions#";
const AREA: &str = "http://ns.adobe.com/xmp/sType/Area#";

/// The faces of a photo, as its file stores the picture: not turned upright.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faces {
    pub width: u32,
    pub height: u32,
    pub regions: Vec<Region>,
}

/// A face with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    pub name: String,
    /// Left, top, width and height as shares of the picture's.
    pub bbox: [f64; 4],
}

impl Faces {
    /// Faces of an upright picture of this size, whose file asks for this EXIF orientation.
    pub fn stored(upright: (u32, u32), orientation: u8, faces: Vec<Region>) -> Self {
        let (width, height) = if orientation >= 5 { (upright.1, upright.0) } else { upright };
        let turned = |region: Region| Region { bbox: stored(region.bbox, orientation), ..region };
        Self { width, height, regions: faces.into_iter().map(turned).collect() }
    }

    fn text(&self) -> String {
        let Self { width, height, regions } = self;
        let mut text = format!(
            "\n   <mwg-rs:Regions rdf:parseType=\"Resource\">\n    \
             <mwg-rs:AppliedToDimensions stDim:w=\"{width}\" stDim:h=\"{height}\" stDim:unit=\"pixel\"/>\n    \
             <mwg-rs:RegionList>\n     <rdf:Bag>"
        );
        for Region { name, bbox: [left, top, width, height] } in regions {
            let (x, y) = (left + width / 2.0, top + height / 2.0);
            let _ = write!(
                text,
                "\n      <rdf:li>\n       <rdf:Description mwg-rs:Name=\"{}\" mwg-rs:Type=\"Face\">\n        \
                 <mwg-rs:Area stArea:x=\"{x:.5}\" stArea:y=\"{y:.5}\" stArea:w=\"{width:.5}\" stArea:h=\"{height:.5}\" \
                 stArea:unit=\"normalized\"/>\n       </rdf:Description>\n      </rdf:li>",
                escape(name)
            );
        }
        text + "\n     </rdf:Bag>\n    </mwg-rs:RegionList>\n   </mwg-rs:Regions>"
    }
}

/// The box before the picture is turned upright, within the picture.
fn stored([x, y, width, height]: [f64; 4], orientation: u8) -> [f64; 4] {
    let (left, top) = (x.clamp(0.0, 1.0), y.clamp(0.0, 1.0));
    let (width, height) = ((x + width).clamp(left, 1.0) - left, (y + height).clamp(top, 1.0) - top);
    let (right, bottom) = (1.0 - left - width, 1.0 - top - height);
    match orientation {
        2 => [right, top, width, height],
        3 => [right, bottom, width, height],
        4 => [left, bottom, width, height],
        5 => [top, left, height, width],
        6 => [top, right, height, width],
        7 => [bottom, right, height, width],
        8 => [bottom, left, height, width],
        _ => [left, top, width, height],
    }
}

fn checksum(text: &str) -> String {
    blake3::hash(text.trim().as_bytes()).to_hex()[..16].to_owned()
}

/// The changes to a sidecar's regions.
#[derive(Debug, Default)]
pub struct Change {
    pub cut: Option<(Range<usize>, String)>,
    /// A description to add, where the sidecar has no regions.
    pub description: Option<String>,
    /// The checksum to remember.
    pub remembered: Option<String>,
}

pub fn change(text: &str, found: &Found, faces: &Faces) -> Change {
    let new = faces.text();
    let remembered = (!faces.regions.is_empty()).then(|| checksum(&new));
    let Some(range) = &found.regions else {
        let description = remembered.is_some().then(|| {
            format!(
                "\n  <rdf:Description rdf:about=\"\"\n    xmlns:rdf=\"{RDF}\"\n    xmlns:mwg-rs=\"{REGIONS}\"\n    \
                 xmlns:stDim=\"{DIMENSIONS}\"\n    xmlns:stArea=\"{AREA}\">{new}\n  </rdf:Description>"
            )
        });
        return Change { cut: None, description, remembered };
    };
    let there = checksum(&text[range.clone()]);
    if found.value(OURS, REMEMBERED) != Some(&there) {
        // Another program's, or changed by one.
        return Change { remembered: found.value(OURS, REMEMBERED).map(str::to_owned), ..Change::default() };
    }
    let with = if remembered.is_some() { new } else { String::new() };
    Change { cut: Some((range.clone(), with)), description: None, remembered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_told_as_the_file_stores_the_picture() {
        let upright = [0.1, 0.2, 0.3, 0.4];
        let close = |a: [f64; 4], b: [f64; 4]| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12);
        // Turned by 90 degrees clockwise when shown: what is at the left when shown is at the bottom of the file.
        assert!(close(stored(upright, 6), [0.2, 0.6, 0.4, 0.3]), "{:?}", stored(upright, 6));
        assert!(close(stored(upright, 8), [0.4, 0.1, 0.4, 0.3]), "{:?}", stored(upright, 8));
        assert!(close(stored(upright, 3), [0.6, 0.4, 0.3, 0.4]));
        assert!(close(stored([-0.1, 0.0, 0.3, 2.0], 1), [0.0, 0.0, 0.2, 1.0]));
        assert_eq!(Faces::stored((300, 400), 6, Vec::new()).width, 400);
    }
}
