//! Sequences drawn frame by frame, and runs of photos that are none.

use super::*;
use base::pixels::Pixels;

/// Frames with these exposures in stops, `gap_ms` apart, compensated by the same stops.
fn frames(stops: &[f64], gap_ms: i64) -> Vec<Frame<'static>> {
    let frame = |(at, &stops): (usize, &f64)| Frame {
        path: format!("photos/IMG_{at:04}.jpg").into(),
        taken_ms: Some(at as i64 * gap_ms),
        width: 6000,
        height: 4000,
        exposure: Exposure {
            bias: Some(stops),
            seconds: Some(0.01 * stops.exp2()),
            aperture: Some(8.0),
            iso: Some(100.0),
            ..Exposure::default()
        },
        sketch: None,
    };
    stops.iter().enumerate().map(frame).collect()
}

fn found(frames: &[Frame]) -> Vec<(SequenceKind, Vec<usize>)> {
    find(frames).into_iter().map(|sequence| (sequence.kind, sequence.frames)).collect()
}

#[test]
fn brackets_are_recognised_in_the_order_of_any_camera() {
    for (camera, stops, expected) in [
        ("Canon", &[0.0, -2.0, 2.0][..], &[0, 1, 2][..]),
        ("Nikon", &[-1.0, 0.0, 1.0], &[1, 0, 2]),
        ("Nikon, five", &[0.0, -1.4, -0.7, 0.7, 1.4], &[0, 2, 3, 1, 4]),
        ("Sony", &[0.0, -0.3, 0.3, -0.7, 0.7], &[0, 1, 2, 3, 4]),
        ("Fuji", &[0.0, 1.0, -1.0], &[0, 2, 1]),
        ("downwards", &[2.0, 0.0, -2.0], &[1, 2, 0]),
        ("all of them over-exposed", &[1.0, 0.0, 2.0], &[0, 1, 2]),
    ] {
        assert_eq!(found(&frames(stops, 300)), [(SequenceKind::Bracket, expected.to_vec())], "{camera}");
    }
    // Two in a row are two, and what comes before and after is none of them.
    let two = found(&frames(&[0.0, 0.0, -1.0, 1.0, 0.0, -1.0, 1.0, 0.0], 500));
    assert_eq!(two.iter().map(|(_, frames)| frames[0]).collect::<Vec<_>>(), [1, 4]);
    let long = frames(&[0.0, -3.0, 3.0], 2_500);
    assert_eq!(found(&long).len(), 0, "too far apart");
    let exposed =
        long.iter().map(|frame| Exposure { seconds: frame.exposure.seconds.map(|s| 100.0 * s), ..frame.exposure });
    let exposed: Vec<_> =
        long.iter().zip(exposed).map(|(frame, exposure)| Frame { exposure, ..frame.clone() }).collect();
    assert_eq!(found(&exposed).len(), 1, "but not where each exposure takes seconds");
}

#[test]
fn bursts_and_exposures_that_only_look_like_a_bracket_are_none() {
    let with = |frames: Vec<Frame<'static>>, change: fn(usize, Exposure) -> Exposure| -> Vec<Frame<'static>> {
        let change = |(at, frame): (usize, Frame<'static>)| Frame { exposure: change(at, frame.exposure), ..frame };
        frames.into_iter().enumerate().map(change).collect()
    };
    let even = || frames(&[0.0, -1.0, 1.0], 300);
    // The camera follows the light: other times, nothing asked for.
    let auto = with(even(), |_, exposure| Exposure { bias: Some(0.0), ..exposure });
    assert_eq!(found(&auto).len(), 0);
    assert_eq!(found(&with(auto, |_, exposure| Exposure { is_bracketed: true, ..exposure })).len(), 1, "set by hand");
    assert_eq!(found(&with(even(), |_, exposure| Exposure { seconds: Some(0.01), ..exposure })).len(), 0);
    assert_eq!(found(&with(even(), |_, exposure| Exposure { seconds: None, ..exposure })).len(), 1, "bias alone");
    assert_eq!(found(&with(even(), |_, _| Exposure::default())).len(), 0);
    assert_eq!(found(&frames(&[0.0, -1.0, 1.5], 300)).len(), 0, "uneven");
    assert_eq!(found(&frames(&[0.0, 0.1, -0.1], 300)).len(), 0, "hardly apart");
    let mut elsewhere = even();
    elsewhere[2].path = "others/IMG_0002.jpg".into();
    assert_eq!(found(&elsewhere).len(), 0, "of two folders");
    let mut untimed = even();
    untimed[1].taken_ms = None;
    assert_eq!(found(&untimed).len(), 0);
}

/// A field of blobs of all sizes, seen from `x`, blurred by `blur(u)` pixels at a share of its width.
fn picture(x: f64, blur: impl Fn(f64) -> f64) -> FrameSketch {
    let (width, height) = (240_u32, 160_u32);
    let corner = |x: i64, y: i64| {
        let mixed = (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (y as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x2545_f491_4f6c_dd1d);
        (mixed >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    let blobs = |x: f64, y: f64, size: f64| {
        let (x, y) = (x / size, y / size);
        let (left, top) = (x.floor(), y.floor());
        let [s, t] = [x - left, y - top].map(|v| v * v * (3.0 - 2.0 * v));
        let (left, top) = (left as i64, top as i64);
        let row = |y: i64| corner(left, y) * (1.0 - s) + corner(left + 1, y) * s;
        row(top) * (1.0 - t) + row(top + 1) * t
    };
    let level = |px: f64, py: f64, blur: f64| {
        // A blur takes the small ones away.
        let kept = (-0.5 * (blur / 1.2).powi(2)).exp();
        120.0 + 90.0 * blobs(px, py, 37.0) + 110.0 * blobs(px, py, 15.0) + kept * 90.0 * blobs(px, py, 2.0)
    };
    let places = (0..height).flat_map(|py| (0..width).map(move |px| (f64::from(px), f64::from(py))));
    let data = places.flat_map(|(px, py)| [level(px + x, py, blur(px / f64::from(width))).clamp(0.0, 255.0) as u8; 3]);
    FrameSketch::of(&Pixels::new(width, height, data.collect()).unwrap()).unwrap()
}

fn with_sketches(sketches: &[FrameSketch], gap_ms: i64) -> Vec<Frame<'_>> {
    let same = frames(&vec![0.0; sketches.len()], gap_ms);
    same.into_iter().zip(sketches).map(|(frame, sketch)| Frame { sketch: Some(sketch), ..frame }).collect()
}

#[test]
fn a_focus_that_moves_through_the_picture_is_a_stack() {
    let focused = |at: f64| move |u: f64| 8.0 * (u - at).abs();
    let sketches: Vec<_> = (0..5).map(|step| picture(0.0, focused(0.1 + 0.2 * f64::from(step)))).collect();
    assert_eq!(found(&with_sketches(&sketches, 500)), [(SequenceKind::Stack, vec![2, 1, 3, 0, 4])]);
    // Takes of which one is out of focus as a whole, or all alike, are no stack.
    let shaken: Vec<_> = [0.0, 2.0, 0.5, 0.0, 1.0].iter().map(|&blur| picture(0.0, move |_| blur)).collect();
    assert_eq!(found(&with_sketches(&shaken, 500)).len(), 0);
    // Unless the camera says where it focused.
    let mut told = with_sketches(&shaken, 500);
    told.iter_mut().enumerate().for_each(|(at, frame)| frame.exposure.focus_distance = Some(1.0 + at as f64));
    assert_eq!(found(&told), [(SequenceKind::Stack, vec![2, 1, 3, 0, 4])]);
}

#[test]
fn a_steady_turn_is_a_sweep() {
    let seen = |xs: &[f64]| -> Vec<FrameSketch> { xs.iter().map(|&x| picture(x, |_| 0.0)).collect() };
    let right = seen(&[0.0, 110.0, 225.0, 330.0]);
    assert_eq!(found(&with_sketches(&right, 1_500)), [(SequenceKind::Sweep, vec![2, 1, 3, 0])]);
    let left = seen(&[330.0, 220.0, 115.0]);
    assert_eq!(found(&with_sketches(&left, 1_500)), [(SequenceKind::Sweep, vec![1, 0, 2])]);
    assert_eq!(found(&with_sketches(&right, 100)).len(), 0, "a burst that follows something");
    assert_eq!(found(&with_sketches(&seen(&[0.0, 110.0, 0.0, 110.0]), 1_500)).len(), 0, "there and back");
    assert_eq!(found(&with_sketches(&seen(&[0.0, 3.0, 6.0, 9.0]), 1_500)).len(), 0, "a hand that is not quite still");
    let mut other = with_sketches(&right, 1_500);
    other[1].exposure.iso = Some(200.0);
    assert_eq!(found(&other).len(), 0, "of several exposures");
}

#[test]
fn sketches_of_photos_that_cannot_be_frames_decide_nothing() {
    let sketches: Vec<_> = [0.0, 110.0, 225.0, 330.0, 440.0].map(|x| picture(x, |_| 0.0)).to_vec();
    let mut all = with_sketches(&sketches, 1_500);
    // A pause, and another exposure: three frames are left, and two photos beside them.
    all[4].taken_ms = Some(60_000);
    all[3].exposure.iso = Some(200.0);
    assert_eq!(may_be_frames(&all), [0, 1, 2]);
    assert_eq!(found(&all), [(SequenceKind::Sweep, vec![1, 0, 2])]);
    let (few, needed) = (all.clone(), may_be_frames(&all));
    let few: Vec<Frame> = few
        .into_iter()
        .enumerate()
        .map(|(at, frame)| Frame { sketch: frame.sketch.filter(|_| needed.contains(&at)), ..frame })
        .collect();
    assert_eq!(found(&few), found(&all));
    all.truncate(2);
    assert_eq!(may_be_frames(&all), [0; 0], "two are no sequence");
}

#[test]
fn a_sketch_survives_storage() {
    let sketch = picture(0.0, |_| 0.0);
    let bytes = sketch.to_bytes();
    assert_eq!(FrameSketch::from_bytes(&bytes), Some(sketch));
    assert_eq!(FrameSketch::from_bytes(&bytes[1..]), None);
    assert_eq!(FrameSketch::of(&Pixels::new(47, 90, vec![0; 47 * 90 * 3]).unwrap()), None);
}
