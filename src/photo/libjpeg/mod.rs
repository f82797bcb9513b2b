//! Decodes JPEG bit for bit like libjpeg-turbo, at full size or at a half, a quarter or an eighth of each side.
//!
//! Pillow and OpenCV decode with libjpeg-turbo, and reference scores were computed from its pixels. The JPEG decoders
//! in Rust differ from it by a level or two, and this one is faster (`cargo bench --bench decode`). It accepts
//! undamaged files only: 8 bits, Huffman coded, grey or three components, with all data. For anything else it returns
//! `None`, and the caller's tolerant decoders are used.

mod areas;
mod colour;
mod entropy;
mod frame;
mod huffman;
mod means;
mod scan;
mod transform;

use pulp::{Simd, WithSimd};

pub use areas::{Area, decode_areas};
pub use colour::Colours;
use colour::{Interleave, Plane};
use frame::Component;
use means::Means;
use scan::Reader;
use transform::inverse;

use crate::identity::PictureId;
use base::pixels::Pixels;

/// Number of rows between two calls of `go_on`.
const ROWS_BETWEEN_CHECKS: usize = 64;

/// Returns the picture and its identity. `go_on` is called after every row of blocks; when it returns false, decoding
/// is aborted.
pub fn decode(bytes: &[u8], shrink: u32, colours: Colours, go_on: impl Fn() -> bool) -> Option<(Pixels, PictureId)> {
    let side = 8_usize.checked_div(shrink as usize).filter(|side| side.is_power_of_two())?;
    let (mut reader, mut frame) = Reader::open(bytes, side)?;
    if frame.components.len() != colours.count() {
        return None;
    }
    let mut samples: Vec<Vec<u8>> = frame.components.iter().map(|it| vec![0; it.samples()]).collect();
    let mut means = Means::of(&frame);
    let rows = frame.units_down;
    each_row(&mut reader, &mut frame, rows, &go_on, |component, at, row, blocks| {
        means.row(component, at, row, blocks);
        transform_row(component, row, blocks, &mut samples[at]);
    })?;
    let picture = means.picture(&frame);
    let (width, height) = (frame.width.div_ceil(shrink as usize), frame.height.div_ceil(shrink as usize));
    let planes: Vec<Plane> =
        frame.components.iter().zip(samples).map(|(component, data)| component.plane(&frame, data)).collect();
    let out = interleaved(&planes, colours, (width, height), side > 1, &go_on)?;
    Pixels::new(width as u32, height as u32, out).map(|pixels| (pixels, picture))
}

/// The pixels of planes, row by row.
fn interleaved(
    planes: &[Plane],
    colours: Colours,
    (width, height): (usize, usize),
    smooth: bool,
    go_on: &impl Fn() -> bool,
) -> Option<Vec<u8>> {
    let mut out = vec![0; width * height * 3];
    let arch = pulp::Arch::new();
    for (at, out) in out.chunks_mut(ROWS_BETWEEN_CHECKS * width * 3).enumerate().take_while(|_| go_on()) {
        let first = at * ROWS_BETWEEN_CHECKS;
        arch.dispatch(Interleave { planes, colours, width, smooth, first, out });
    }
    go_on().then_some(out)
}

/// The identity of a supported, undamaged file, without decoding its pixels.
pub fn picture(bytes: &[u8], go_on: impl Fn() -> bool) -> Option<PictureId> {
    let (mut reader, mut frame) = Reader::open(bytes, 1)?;
    let mut means = Means::of(&frame);
    let rows = frame.units_down;
    each_row(&mut reader, &mut frame, rows, &go_on, |component, at, row, blocks| {
        means.row(component, at, row, blocks);
    })?;
    go_on().then(|| means.picture(&frame))
}

/// Calls `take` with every row of blocks in the first `rows` of MCUs, its component and its number; rows of a component
/// come in order.
fn each_row(
    reader: &mut Reader<'_>,
    frame: &mut frame::Frame,
    rows: usize,
    go_on: &impl Fn() -> bool,
    mut take: impl FnMut(&Component, usize, usize, &[transform::Block]),
) -> Option<()> {
    if reader.is_one_scan(frame) {
        return reader.stream(frame, rows, go_on, take);
    }
    let coefficients = reader.collect(frame, go_on)?;
    for ((at, component), blocks) in frame.components.iter().enumerate().zip(&coefficients) {
        let wanted = blocks.chunks_exact(component.blocks_across).take(rows * component.down);
        for (row, blocks) in wanted.enumerate().take_while(|_| go_on()) {
            take(component, at, row, blocks);
        }
    }
    Some(())
}

/// Transforms a row of blocks into samples of a plane as wide as these blocks.
fn transform_row(component: &Component, row: usize, blocks: &[transform::Block], samples: &mut [u8]) {
    let band = blocks.len() * component.side * component.side;
    let out = &mut samples[row * band..(row + 1) * band];
    pulp::Arch::new().dispatch(Transform { component, blocks, out });
}

struct Transform<'a> {
    component: &'a Component,
    blocks: &'a [transform::Block],
    out: &'a mut [u8],
}

impl WithSimd for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        inverse(self.blocks, &self.component.quantisation, self.component.side, self.out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Colours, decode};
    use crate::container::jpeg::{Frame, header};

    fn files() -> Vec<Vec<u8>> {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/jpeg")).unwrap();
        let files: Vec<_> = folder.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
        assert!(files.len() > 20);
        files
    }

    #[test]
    fn whoever_says_stop_is_heard() {
        for file in files() {
            assert!(
                [Colours::Grey, Colours::YCbCr].iter().all(|colours| decode(&file, 1, *colours, || false).is_none())
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn damaged_files_never_panic(
            mut file in prop::sample::select(files()),
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
            shrink in 0_u32..10,
        ) {
            for (place, value) in hits {
                let at = place.index(file.len());
                file[at] = value;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()));
            }
            let small = |frame: &Frame| frame.width * frame.height < 4_000_000;
            prop_assume!(header(&file).frame.as_ref().is_some_and(small));
            for colours in [Colours::Grey, Colours::YCbCr, Colours::Rgb] {
                let _ = decode(&file, shrink, colours, || true);
            }
        }
    }
}
