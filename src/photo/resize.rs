//! Resizes pictures, bit for bit like Pillow with 8-bit channels, because the networks were trained on its output.
//!
//! `fast_image_resize` (ported from Pillow-SIMD) uses 16-bit weights where Pillow uses 32-bit ones and differs by a
//! level in places, so the two passes are implemented here.

mod crop;
mod passes;
mod weights;

use std::borrow::Cow;

use base::pixels::Pixels;

use crop::middle;
use passes::part;

pub use crop::{centre_crop, crop};
pub use weights::Filter;

/// Pillow's `Image.resize` of versions 10.2 to 12.0: horizontal pass first. (13.0 runs the vertical one first for some
/// shapes, which changes single pixels by a level; the networks were trained before that.) A side of zero counts as
/// one.
pub fn resize(source: &Pixels, width: u32, height: u32, filter: Filter) -> Pixels {
    let (width, height) = (width.max(1), height.max(1));
    part(source, (width, height), filter, 0..width, 0..height, &|| true).expect("nobody says stop")
}

/// Pillow's `thumbnail` with Lanczos and no reducing gap: the long side at most `long_side`, never enlarged.
pub fn within(source: &Pixels, long_side: u32) -> Cow<'_, Pixels> {
    within_while(source, long_side, &|| true).expect("nobody says stop")
}

/// Like [`within`]; aborts with `None` soon after `go_on` returns false.
pub fn within_while<'a>(source: &'a Pixels, long_side: u32, go_on: &dyn Fn() -> bool) -> Option<Cow<'a, Pixels>> {
    let (width, height) = size_within(source.width(), source.height(), long_side);
    if (width, height) == (source.width(), source.height()) {
        return Some(Cow::Borrowed(source));
    }
    part(source, (width, height), Filter::Lanczos3, 0..width, 0..height, go_on).map(Cow::Owned)
}

/// The size [`within`] gives to a picture of `width` x `height`.
fn size_within(width: u32, height: u32, long_side: u32) -> (u32, u32) {
    let long_side = long_side.max(1);
    if long_side >= width.max(height) {
        return (width, height);
    }
    let (limit, aspect) = (f64::from(long_side), f64::from(width) / f64::from(height));
    if aspect <= 1.0 {
        (nearest(limit * aspect, |n| (aspect - n / limit).abs()), long_side)
    } else {
        (long_side, nearest(limit / aspect, |n| if n == 0.0 { 0.0 } else { (aspect - limit / n).abs() }))
    }
}

/// The neighbouring integer of lower cost, the lower one if equal; at least one.
fn nearest(number: f64, cost: impl Fn(f64) -> f64) -> u32 {
    let (low, high) = (number.floor(), number.ceil());
    let chosen = if cost(high) < cost(low) { high } else { low };
    chosen.max(1.0) as u32
}

/// torchvision's `Resize(side)`: the short side becomes `side`, the long side `trunc(side * long / short)`.
pub fn short_side(source: &Pixels, side: u32, filter: Filter) -> Cow<'_, Pixels> {
    let (width, height) = size_by_short_side(source, side);
    if (width, height) == (source.width(), source.height()) {
        return Cow::Borrowed(source);
    }
    Cow::Owned(resize(source, width, height, filter))
}

/// [`short_side`] followed by [`centre_crop`], computing only the cropped part: for a strip of 1024 x 1 the rest would
/// take 200 MB.
pub fn short_side_cropped(source: &Pixels, side: u32, filter: Filter, crop: u32) -> Pixels {
    let (width, height) = size_by_short_side(source, side);
    let (x, y) = (middle(width, crop), middle(height, crop));
    part(source, (width, height), filter, x, y, &|| true).expect("nobody says stop")
}

fn size_by_short_side(source: &Pixels, side: u32) -> (u32, u32) {
    let side = side.max(1);
    let (width, height) = (source.width(), source.height());
    let along =
        |long: u32, short: u32| u32::try_from(u64::from(side) * u64::from(long) / u64::from(short)).unwrap_or(u32::MAX);
    if width <= height { (side, along(height, width)) } else { (along(width, height), side) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::crop::whole;
    use super::passes::{WEIGHTS_AT_ONCE, to_byte};
    use super::weights::{Axis, HALF};
    use super::*;

    /// The same picture as `picture` in `tests/reference/resize.py`.
    fn picture(width: u32, height: u32) -> Pixels {
        let mut data = Vec::new();
        for y in 0..height {
            for x in 0..width {
                for c in 0..3_u32 {
                    let hash = x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ c.wrapping_mul(83_492_791);
                    let hash = (hash ^ (hash >> 13)).wrapping_mul(0x5bd1_e995);
                    let edge = if (x / 7 + y / 5 + c).is_multiple_of(3) { 255 } else { 0 };
                    data.push(((((hash >> 15) & 255) + edge + (x * 3 + y * 2) % 256) / 3) as u8);
                }
            }
        }
        whole(width, height, data)
    }

    fn fnv1a(data: &[u8]) -> String {
        let hash = data
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        format!("{hash:016x}")
    }

    fn recorded() -> Value {
        serde_json::from_str(include_str!("../../tests/reference/resize.json")).expect("the recorded values are JSON")
    }

    fn side(value: &Value, at: usize) -> u32 {
        value[at].as_u64().expect("a size") as u32
    }

    fn assert_recorded(result: &Pixels, case: &Value) {
        assert_eq!((result.width(), result.height()), (side(&case["to"], 0), side(&case["to"], 1)), "{case}");
        let head: Vec<u64> = result.data().iter().take(12).map(|byte| u64::from(*byte)).collect();
        assert_eq!(Value::from(head), case["head"], "{case}");
        assert_eq!(fnv1a(result.data()), case["fnv1a"].as_str().expect("a digest"), "{case}");
    }

    #[test]
    fn resize_equals_pillow_bit_for_bit() {
        for case in recorded()["resized"].as_array().expect("cases") {
            let filter = match case["filter"].as_str() {
                Some("bilinear") => Filter::Bilinear,
                Some("bicubic") => Filter::Bicubic,
                _ => Filter::Lanczos3,
            };
            let source = picture(side(&case["from"], 0), side(&case["from"], 1));
            assert_recorded(&resize(&source, side(&case["to"], 0), side(&case["to"], 1), filter), case);
        }
    }

    #[test]
    fn within_equals_pillows_thumbnail() {
        for case in recorded()["thumbnails"].as_array().expect("cases") {
            let source = picture(side(&case["from"], 0), side(&case["from"], 1));
            let long_side = case["side"].as_u64().expect("a side") as u32;
            assert_recorded(&within(&source, long_side), case);
        }
    }

    /// Both passes one after the other over all of the picture, with the same weights.
    fn plainly(source: &Pixels, size: (u32, u32), filter: Filter) -> Pixels {
        let weighed = |axis: &Axis, at: u32, value: &dyn Fn(usize) -> u8| {
            let mut weights = Vec::new();
            let input = axis.weigh(at, &mut Vec::new(), &mut weights);
            to_byte(HALF + input.zip(weights).map(|(from, weight)| i32::from(value(from)) * weight).sum::<i32>())
        };
        let (stored, rows) = (source.width() as usize, source.height());
        let across = Axis::new(source.width(), size.0, filter);
        let mut narrow = Vec::new();
        for (y, x, c) in (0..rows as usize).flat_map(|y| (0..size.0).flat_map(move |x| (0..3).map(move |c| (y, x, c))))
        {
            let value = |from: usize| source.data()[(y * stored + from) * 3 + c];
            narrow.push(if size.0 == source.width() { value(x as usize) } else { weighed(&across, x, &value) });
        }
        let (down, line) = (Axis::new(rows, size.1, filter), size.0 as usize * 3);
        let mut data = Vec::new();
        for (y, at) in (0..size.1).flat_map(|y| (0..line).map(move |at| (y, at))) {
            let value = |from: usize| narrow[from * line + at];
            data.push(if size.1 == rows { value(y as usize) } else { weighed(&down, y, &value) });
        }
        whole(size.0, size.1, data)
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_part_equals_that_part_of_the_whole(
            from in (1_u32..90, 1_u32..90),
            to in (1_u32..70, 1_u32..70),
            (left, top) in (0.0..1.0_f64, 0.0..1.0_f64),
            filter in proptest::sample::select(vec![Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3]),
        ) {
            let source = picture(from.0, from.1);
            let expected = plainly(&source, to, filter);
            proptest::prop_assert_eq!(&resize(&source, to.0, to.1, filter), &expected);
            let (x, y) = ((f64::from(to.0) * left) as u32, (f64::from(to.1) * top) as u32);
            let shown = part(&source, to, filter, x..to.0, y..to.1, &|| true);
            proptest::prop_assert_eq!(shown, crop(&expected, x, y, to.0 - x, to.1 - y));
        }
    }

    #[test]
    fn strips_of_columns_join_without_a_seam() {
        let source = picture(700_000, 2);
        for (size, filter) in [((5, 2), Filter::Lanczos3), ((7, 1), Filter::Bilinear)] {
            assert!(WEIGHTS_AT_ONCE / Axis::new(source.width(), size.0, filter).window() < size.0 as usize);
            assert_eq!(resize(&source, size.0, size.1, filter), plainly(&source, size, filter));
        }
    }

    #[test]
    fn a_crop_of_an_enlarged_strip_costs_only_itself() {
        let strip = picture(1024, 1);
        let all = centre_crop(&short_side(&strip, 64, Filter::Bicubic), 60);
        assert_eq!(short_side_cropped(&strip, 64, Filter::Bicubic, 60), all);
        // The whole would be 75,000,000 x 250.
        let long = picture(300_000, 1);
        assert_eq!(short_side_cropped(&long, 250, Filter::Bilinear, 224).width(), 224);
        for (width, height, side, crop) in
            [(300, 200, 256, 224), (200, 301, 256, 224), (40, 30, 30, 24), (64, 64, 64, 70)]
        {
            let photo = picture(width, height);
            let expected = centre_crop(&short_side(&photo, side, Filter::Bilinear), crop);
            assert_eq!(short_side_cropped(&photo, side, Filter::Bilinear, crop), expected);
        }
    }

    #[test]
    fn whoever_says_stop_is_heard() {
        assert!(within_while(&picture(300, 200), 100, &|| false).is_none());
    }

    #[test]
    fn within_never_enlarges_nor_copies_without_need() {
        assert!(matches!(within(&picture(90, 60), 90), Cow::Borrowed(_)));
        assert!(matches!(within(&picture(90, 60), 4000), Cow::Borrowed(_)));
    }

    #[test]
    fn short_side_truncates_the_long_one() {
        let size = |pixels: Cow<'_, Pixels>| (pixels.width(), pixels.height());
        assert_eq!(size(short_side(&picture(500, 375), 256, Filter::Bilinear)), (341, 256));
        assert_eq!(size(short_side(&picture(375, 500), 256, Filter::Bilinear)), (256, 341));
        assert_eq!(size(short_side(&picture(100, 300), 256, Filter::Bicubic)), (256, 768));
        assert!(matches!(short_side(&picture(300, 256), 256, Filter::Bilinear), Cow::Borrowed(_)));
    }

    #[test]
    fn centre_crop_rounds_its_offset_half_to_even() {
        // (11 - 6) / 2 = 2.5 -> 2 and (13 - 6) / 2 = 3.5 -> 4.
        let source = picture(11, 13);
        let middle = centre_crop(&source, 6);
        assert_eq!((middle.width(), middle.height()), (6, 6));
        assert_eq!(middle.get(0, 0), source.get(2, 4));
        assert_eq!(middle.get(5, 5), source.get(7, 9));
        let small = centre_crop(&source, 12);
        assert_eq!((small.width(), small.height()), (11, 12));
    }

    #[test]
    fn crop_refuses_what_leaves_the_picture() {
        let source = picture(8, 6);
        assert_eq!(crop(&source, 2, 3, 4, 2).expect("inside").get(1, 1), source.get(3, 4));
        assert!(crop(&source, 5, 0, 4, 1).is_none());
        assert!(crop(&source, 0, 0, 0, 1).is_none());
        assert!(crop(&source, u32::MAX, 0, 2, 1).is_none());
    }
}
