//! Decodes areas of a picture at full size: all coefficients up to their last row are read, but only the blocks of the
//! areas become samples.

use std::ops::Range;

use super::colour::Plane;
use super::frame::{Component, Frame};
use super::scan::Reader;
use super::{Colours, each_row, interleaved, transform_row};
use base::pixels::Pixels;

/// An area of the stored picture, in pixels; right and bottom are the first ones outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub left: usize,
    pub top: usize,
    pub right: usize,
    pub bottom: usize,
}

/// The MCUs that an area is decoded from.
struct Units {
    across: Range<usize>,
    down: Range<usize>,
}

/// Returns the areas, pixel for pixel as in the whole picture. `None` as for [`decode`](super::decode), and for areas that
/// do not lie inside.
pub fn decode_areas(bytes: &[u8], colours: Colours, areas: &[Area], go_on: impl Fn() -> bool) -> Option<Vec<Pixels>> {
    let (mut reader, mut frame) = Reader::open(bytes, 8)?;
    let is_inside = |area: &Area| {
        area.left < area.right && area.top < area.bottom && area.right <= frame.width && area.bottom <= frame.height
    };
    if frame.components.len() != colours.count() || !areas.iter().all(is_inside) {
        return None;
    }
    let units: Vec<Units> = areas.iter().map(|area| Units::around(area, &frame)).collect();
    let empty = |units: &Units| frame.components.iter().map(|it| vec![0; units.samples(it)]).collect();
    let mut samples: Vec<Vec<Vec<u8>>> = units.iter().map(empty).collect();
    let rows = units.iter().map(|units| units.down.end).max()?;
    each_row(&mut reader, &mut frame, rows, &go_on, |component, at, row, blocks| {
        for (units, samples) in units.iter().zip(&mut samples) {
            if units.rows(component).contains(&row) {
                let row = row - units.rows(component).start;
                transform_row(component, row, &blocks[units.columns(component)], &mut samples[at]);
            }
        }
    })?;
    let cut = |((area, units), samples): ((&Area, Units), Vec<Vec<u8>>)| {
        let planes: Vec<Plane> = frame
            .components
            .iter()
            .zip(samples)
            .map(|(component, data)| units.plane(component, &frame, data))
            .collect();
        let (unit_width, unit_height) = frame.unit();
        let (left, top) = (units.across.start * unit_width, units.down.start * unit_height);
        let width = (units.across.end * unit_width).min(frame.width) - left;
        let height = area.bottom - top;
        let around = interleaved(&planes, colours, (width, height), true, &go_on)?;
        let rows = around.chunks_exact(width * 3).skip(area.top - top);
        let data = rows.flat_map(|row| &row[(area.left - left) * 3..(area.right - left) * 3]).copied().collect();
        Pixels::new((area.right - area.left) as u32, (area.bottom - area.top) as u32, data)
    };
    areas.iter().zip(units).zip(samples).map(cut).collect()
}

impl Units {
    /// One more on each side, because chroma is interpolated between neighbours.
    fn around(area: &Area, frame: &Frame) -> Self {
        let (width, height) = frame.unit();
        let range = |from: usize, to: usize, unit: usize, all: usize| {
            (from / unit).saturating_sub(1)..(to.div_ceil(unit) + 1).min(all)
        };
        Self {
            across: range(area.left, area.right, width, frame.units_across),
            down: range(area.top, area.bottom, height, frame.units_down),
        }
    }

    fn columns(&self, component: &Component) -> Range<usize> {
        self.across.start * component.across..self.across.end * component.across
    }

    fn rows(&self, component: &Component) -> Range<usize> {
        self.down.start * component.down..self.down.end * component.down
    }

    fn samples(&self, component: &Component) -> usize {
        self.columns(component).len() * self.rows(component).len() * component.side * component.side
    }

    /// The plane of these MCUs; only at the picture's own edges does padding follow.
    fn plane(&self, component: &Component, frame: &Frame, data: Vec<u8>) -> Plane {
        let whole = component.plane(frame, Vec::new());
        let (columns, rows, side) = (self.columns(component), self.rows(component), component.side);
        let stride = columns.len() * side;
        Plane {
            data,
            stride,
            width: (whole.width - columns.start * side).min(stride),
            height: (whole.height - rows.start * side).min(rows.len() * side),
            ..whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libjpeg::decode;

    #[test]
    fn parts_are_those_of_the_whole_picture() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/jpeg")).unwrap();
        let mut compared = 0;
        for file in folder.map(|entry| entry.unwrap().path()) {
            let bytes = std::fs::read(&file).unwrap();
            for colours in [Colours::Grey, Colours::YCbCr] {
                let Some((whole, _)) = decode(&bytes, 1, colours, || true) else { continue };
                let (width, height) = (whole.width() as usize, whole.height() as usize);
                let area = |left: usize, top: usize, right: usize, bottom: usize| Area { left, top, right, bottom };
                let areas = [
                    area(0, 0, width, height),
                    area(width / 3, height / 2, width / 3 + 1, height / 2 + 1),
                    area(width / 4, height / 5, width.div_ceil(2), height.div_ceil(2)),
                    area(width / 2, 0, width, height.div_ceil(3)),
                    area(0, height * 2 / 3, width.div_ceil(5), height),
                ];
                let found = decode_areas(&bytes, colours, &areas, || true).unwrap();
                for (area, found) in areas.iter().zip(found) {
                    for y in area.top..area.bottom {
                        for x in area.left..area.right {
                            let own = found.get((x - area.left) as u32, (y - area.top) as u32);
                            assert_eq!(own, whole.get(x as u32, y as u32), "{} {area:?} {x} {y}", file.display());
                        }
                    }
                    compared += 1;
                }
                assert!(decode_areas(&bytes, colours, &[area(0, 0, width + 1, 1)], || true).is_none());
                assert!(decode_areas(&bytes, colours, &areas, || false).is_none());
            }
        }
        assert!(compared > 80, "{compared}");
    }
}
