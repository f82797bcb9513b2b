//! What is said of eyes: of recorded faces, of copies of them that show the same, and of faces that were drawn over.

use base::pixels::Pixels;
use hub::faces::{FaceAnalyzer, Landmarks};
use judge::portrait::landmarks::{LEFT_EYE, RIGHT_EYE};
use judge::portrait::{Eyes, EyesBy, Face, Portrait, Thresholds, Unclear};

use crate::expressions::picture;
use crate::golden;

pub const FACES: [&str; 10] = [
    "n02669723_academic_gown",
    "n03124170_cowboy_hat",
    "n03325584_feather_boa",
    "n03710721_maillot",
    "n03763968_military_uniform",
    "n03877472_pajama",
    "n03929855_pickelhaube",
    "n04235860_sleeping_bag",
    "n04591157_Windsor_tie",
    "portrait_02",
];

fn analyzer() -> Option<FaceAnalyzer> {
    let thresholds = Thresholds { eyes: EyesBy::States, groups: true, ..Thresholds::default() };
    golden::analyzer(Landmarks::Attention, thresholds)
}

/// A picture of the same size, each pixel from a place of the old one.
fn redrawn(pixels: &Pixels, from: impl Fn(f64, f64) -> (f64, f64), tint: impl Fn(u8) -> u8) -> Pixels {
    let (width, height) = (pixels.width(), pixels.height());
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (x, y) = from(f64::from(x), f64::from(y));
            let inside = |v: f64, size: u32| v.round().clamp(0.0, f64::from(size - 1)) as u32;
            data.extend(pixels.get(inside(x, width), inside(y, height)).map(&tint));
        }
    }
    Pixels::new(width, height, data).unwrap()
}

/// Corner to corner of each eye, pixels, and whether it is hit by `hits` of a place in halves of its width from its
/// middle: what is hit gets the colour.
fn drawn_on_eyes(
    pixels: &Pixels,
    portrait: &Portrait,
    mut colour: impl FnMut(&Pixels, [f64; 2], [f64; 2], [f64; 2]) -> Option<[u8; 3]>,
) -> Pixels {
    let (width, height) = (pixels.width(), pixels.height());
    let mut data = pixels.data().to_vec();
    for points in portrait.faces.iter().filter_map(|face| face.landmarks.as_ref()) {
        for eye in [LEFT_EYE, RIGHT_EYE] {
            let place = |index: usize| [points[index][0] * f64::from(width), points[index][1] * f64::from(height)];
            let (a, b) = (place(eye[0]), place(eye[3]));
            let middle = [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])];
            let half = [(b[0] - a[0]) / 2.0, (b[1] - a[1]) / 2.0];
            let length = half[0].hypot(half[1]);
            let (reach_x, reach_y) = (3.0 * length, 3.0 * length);
            for y in (middle[1] - reach_y).max(0.0) as u32..((middle[1] + reach_y) as u32).min(height) {
                for x in (middle[0] - reach_x).max(0.0) as u32..((middle[0] + reach_x) as u32).min(width) {
                    let (dx, dy) = (f64::from(x) - middle[0], f64::from(y) - middle[1]);
                    let along = (dx * half[0] + dy * half[1]) / (length * length);
                    let across = (dy * half[0] - dx * half[1]) / (length * length);
                    if let Some(rgb) = colour(pixels, [along, across], middle, half) {
                        let at = (y as usize * width as usize + x as usize) * 3;
                        data[at..at + 3].copy_from_slice(&rgb);
                    }
                }
            }
        }
    }
    Pixels::new(width, height, data).unwrap()
}

/// Lenses of a pair of dark glasses.
fn with_glasses(pixels: &Pixels, portrait: &Portrait, grey: u8) -> Pixels {
    let lens = |_: &Pixels, [s, t]: [f64; 2], _: [f64; 2], _: [f64; 2]| {
        ((s / 1.35).powi(2) + ((t - 0.1) / 1.0).powi(2) <= 1.0).then_some([grey, grey, grey + 4])
    };
    drawn_on_eyes(pixels, portrait, lens)
}

/// Lids of skin from below the eye, and a line of lashes where they meet.
pub fn with_closed_eyes(pixels: &Pixels, portrait: &Portrait) -> Pixels {
    let lid = |pixels: &Pixels, [s, t]: [f64; 2], middle: [f64; 2], half: [f64; 2]| {
        let sag = 0.28 * (1.0 - s * s);
        if s.abs() > 1.1 || t < -0.75 || t > sag + 0.12 {
            return None;
        }
        let side = if half[0] < 0.0 { -1.0 } else { 1.0 };
        let under = side * (0.75 + 0.1 * (t + 0.75));
        let (x, y) = (middle[0] + s * half[0] - under * half[1], middle[1] + s * half[1] + under * half[0]);
        let inside = |v: f64, size: u32| v.round().clamp(0.0, f64::from(size - 1)) as u32;
        let skin = pixels.get(inside(x, pixels.width()), inside(y, pixels.height()));
        let is_lash = s.abs() < 1.0 && (t - sag).abs() < 0.07;
        Some(if is_lash { skin.map(|v| v / 3) } else { skin })
    };
    drawn_on_eyes(pixels, portrait, lid)
}

fn one(portrait: &Portrait) -> &Face {
    assert_eq!(portrait.num_faces, 1);
    &portrait.faces[0]
}

#[test]
fn a_laughing_face_is_not_closed_nor_are_its_copies() {
    let (Some(analyzer), Some(pixels)) = (analyzer(), picture("portrait_02.png")) else { return };
    let (width, height) = (f64::from(pixels.width()), f64::from(pixels.height()));
    let turned = |degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        move |x: f64, y: f64| {
            let (x, y) = (x - width / 2.0, y - height / 2.0);
            (x * cos - y * sin + width / 2.0, x * sin + y * cos + height / 2.0)
        }
    };
    let (same, bright) = (|x: f64, y: f64| (x, y), |v: u8| v);
    for (what, copy) in [
        ("itself", redrawn(&pixels, same, bright)),
        ("mirrored", redrawn(&pixels, |x, y| (width - 1.0 - x, y), bright)),
        ("turned", redrawn(&pixels, turned(20.0), bright)),
        ("turned back", redrawn(&pixels, turned(-20.0), bright)),
        ("darkened", redrawn(&pixels, same, |v| (f64::from(v) * 0.45) as u8)),
    ] {
        let portrait = analyzer.analyse(&copy);
        let face = one(&portrait);
        assert_eq!(face.eyes, Some(Eyes::Laughing), "{what}: {face:?}");
        assert_eq!((portrait.eyes_open, portrait.is_smiling), (Some(true), Some(true)), "{what}");
        assert!(face.left_ear.unwrap() < 0.2, "{what}: the aspect ratio alone says closed");
        assert!(portrait.portrait_score > 0.9, "{what}: {}", portrait.portrait_score);
        assert!(face.smile.unwrap() > 0.8 && face.eyes_confidence.unwrap() > 0.8, "{what}: {face:?}");
    }
}

#[test]
fn eyes_behind_dark_glasses_cannot_be_told() {
    let Some(analyzer) = analyzer() else { return };
    for name in FACES {
        let Some(pixels) = picture(&format!("{name}.png")) else { return };
        let bare = analyzer.analyse(&pixels);
        for face in &bare.faces {
            assert_eq!(face.eyes.and_then(Eyes::are_open), Some(true), "{name}: {face:?}");
        }
        for grey in [8, 25, 40] {
            let worn = analyzer.analyse(&with_glasses(&pixels, &bare, grey));
            assert_eq!((worn.num_faces, worn.eyes_open), (bare.num_faces, None), "{name} {grey}");
            for face in &worn.faces {
                assert_eq!((face.eyes, face.unclear), (Some(Eyes::CannotTell), Some(Unclear::DarkGlasses)), "{name}");
                assert!(face.smile.is_some() && face.eyes_confidence.is_none(), "the mouth is seen all the same");
            }
        }
    }
}

/// Of the recorded faces three wear glasses or lie so that lids cannot be drawn on them.
#[test]
fn eyes_with_drawn_lids_are_closed() {
    let Some(analyzer) = analyzer() else { return };
    let (mut closed, mut all) = (0, 0);
    for name in FACES {
        let Some(pixels) = picture(&format!("{name}.png")) else { return };
        let open = analyzer.analyse(&pixels);
        let drawn = analyzer.analyse(&with_closed_eyes(&pixels, &open));
        let states: Vec<_> = drawn.faces.iter().map(|face| (face.eyes, face.eyes_confidence)).collect();
        println!("{name}: {states:?}");
        closed += drawn.faces.iter().filter(|face| face.eyes == Some(Eyes::Closed)).count();
        all += drawn.num_faces;
    }
    assert!(closed >= 9 && all == 12, "{closed} of {all}");
}
