//! Drawing what was found into a copy of a photo: faces with their verdicts, or objects.

use super::lettering;
use base::pixels::Pixels;
use judge::portrait::landmarks::{LEFT_EYE, LIPS, MOUTH_CORNERS, RIGHT_EYE};
use judge::portrait::{Eyes, Face, Portrait, Unclear};
use networks::objects::Object;

type Colour = [u8; 3];

const GOOD: Colour = [60, 200, 90];
const BAD: Colour = [235, 70, 60];
const UNKNOWN: Colour = [190, 190, 190];
const EYES: Colour = [70, 190, 255];
const MOUTH: Colour = [255, 120, 200];
/// A class has always the same colour.
const OF_CLASSES: [Colour; 7] =
    [[235, 90, 70], [60, 200, 90], [70, 190, 255], [255, 200, 60], [255, 120, 200], [150, 130, 255], [120, 220, 210]];
const BACKGROUND: Colour = [20, 20, 20];

/// Draws a box, the points of eyes and mouth and a line of text for each face, and the verdict at the top.
pub fn annotate(pixels: Pixels, portrait: &Portrait) -> Pixels {
    let mut canvas = Canvas::new(pixels);
    for face in &portrait.faces {
        canvas.face(face);
    }
    let verdict = match portrait {
        Portrait { is_portrait: true, portrait_score, .. } => format!("portrait {portrait_score:.2}"),
        Portrait { has_face: false, .. } => "no face".to_owned(),
        Portrait { num_faces: 1, .. } => "no portrait".to_owned(),
        Portrait { num_faces, .. } => format!("{num_faces} faces"),
    };
    canvas.line_of_text(&verdict, canvas.unit, canvas.unit, 3, UNKNOWN);
    canvas.finish()
}

/// Draws a box for each object, with its label and score; the surest on top.
pub fn annotate_objects(pixels: Pixels, objects: &[&Object]) -> Pixels {
    let mut canvas = Canvas::new(pixels);
    for object in objects.iter().rev() {
        let colour = OF_CLASSES[object.class_id as usize % OF_CLASSES.len()];
        let words = format!("{} {:.2}", object.label, object.score);
        canvas.labelled(object.bbox.map(f64::from), &words, colour);
    }
    canvas.finish()
}

fn words(face: &Face) -> String {
    match (face.unclear, face.eyes_open) {
        (Some(Unclear::TooSmall), _) => "can't tell: too small".into(),
        (Some(Unclear::NotFoundClose), _) => "can't tell: no landmarks".into(),
        (Some(Unclear::LowPresence), _) => "can't tell: not surely a face".into(),
        (Some(Unclear::Profile), _) => "can't tell: from the side".into(),
        (Some(Unclear::DarkGlasses), _) => "can't tell: dark glasses".into(),
        (None, open) => {
            let eyes = match face.eyes {
                Some(Eyes::Laughing) => "eyes laughing",
                Some(Eyes::LookingDown) => "eyes look down",
                _ if open == Some(true) => "eyes open",
                _ => "eyes closed",
            };
            let ear = |ear: Option<f64>| ear.map_or_else(String::new, |ear| format!("{ear:.2}"));
            let smile = if face.is_smiling == Some(true) { "smile" } else { "no smile" };
            format!("{eyes} {}/{}, {smile}", ear(face.left_ear), ear(face.right_ear))
        }
    }
}

struct Canvas {
    width: i64,
    height: i64,
    data: Vec<u8>,
    /// The thickness of lines, proportional to the size of the picture.
    unit: i64,
}

impl Canvas {
    fn new(pixels: Pixels) -> Self {
        let (width, height) = (i64::from(pixels.width()), i64::from(pixels.height()));
        Self { width, height, unit: (width.max(height) / 400).max(1), data: pixels.into_data() }
    }

    fn finish(self) -> Pixels {
        Pixels::new(self.width as u32, self.height as u32, self.data).expect("drawing keeps the size")
    }

    /// The pixel at relative coordinates; it may lie outside the picture, as the boxes of faces may.
    fn at(&self, [x, y]: [f64; 2]) -> (i64, i64) {
        let pixel = |v: f64, size: i64| (v * size as f64).round().clamp(-1e6, 1e6) as i64;
        (pixel(x, self.width), pixel(y, self.height))
    }

    fn face(&mut self, face: &Face) {
        let colour = match face.eyes_open {
            Some(true) => GOOD,
            Some(false) => BAD,
            None => UNKNOWN,
        };
        let [left, top, right, bottom] = self.frame(face.bbox, colour);
        let unit = self.unit;
        if let Some(points) = &face.landmarks {
            let eyes = LEFT_EYE.iter().chain(&RIGHT_EYE).map(|&index| (index, EYES));
            let mouth = MOUTH_CORNERS.iter().chain(&LIPS).map(|&index| (index, MOUTH));
            // Dots small enough not to hide the eyes.
            let radius = ((right - left).max(bottom - top) / 120).clamp(0, 2 * unit);
            for (index, colour) in eyes.chain(mouth) {
                let centre = self.at([points[index][0], points[index][1]]);
                self.disc(centre, radius, colour);
            }
        }
        self.caption(&words(face), left, top, colour);
    }

    fn labelled(&mut self, bbox: [f64; 4], words: &str, colour: Colour) {
        let [left, top, ..] = self.frame(bbox, colour);
        self.caption(words, left, top, colour);
    }

    /// Draws the edges of a box, and returns where they lie.
    fn frame(&mut self, [x, y, width, height]: [f64; 4], colour: Colour) -> [i64; 4] {
        let ((left, top), (right, bottom)) = (self.at([x, y]), self.at([x + width, y + height]));
        let unit = self.unit;
        self.fill(left, top, right, top + unit, colour);
        self.fill(left, bottom - unit, right, bottom, colour);
        self.fill(left, top, left + unit, bottom, colour);
        self.fill(right - unit, top, right, bottom, colour);
        [left, top, right, bottom]
    }

    /// Text above a box, or below its upper edge where there is no space.
    fn caption(&mut self, words: &str, left: i64, top: i64, colour: Colour) {
        let scale = 2;
        let line = self.line_height(scale);
        let above = if top >= line { top - line } else { top + self.unit };
        self.line_of_text(words, left.max(0), above.max(0), scale, colour);
    }

    fn line_height(&self, scale: i64) -> i64 {
        (lettering::SIZE.1 as i64 + 2) * self.letter_pixel(scale)
    }

    /// The side of one pixel of a letter.
    fn letter_pixel(&self, scale: i64) -> i64 {
        (self.unit * scale / 2).max(1)
    }

    /// Draws text on a dark background, moved left where it would not fit.
    fn line_of_text(&mut self, text: &str, x: i64, y: i64, scale: i64, colour: Colour) {
        let pixel = self.letter_pixel(scale);
        let advance = (lettering::SIZE.0 as i64 + 1) * pixel;
        let width = advance * text.chars().count() as i64 + pixel;
        let x = x.min(self.width - width).max(0);
        self.fill(x, y, x + width, y + self.line_height(scale), BACKGROUND);
        for (i, letter) in text.chars().enumerate() {
            for (column, bits) in lettering::columns(letter).into_iter().enumerate() {
                for row in (0..lettering::SIZE.1).filter(|row| bits >> row & 1 == 1) {
                    let left = x + pixel + i as i64 * advance + column as i64 * pixel;
                    let top = y + pixel + row as i64 * pixel;
                    self.fill(left, top, left + pixel, top + pixel, colour);
                }
            }
        }
    }

    fn disc(&mut self, (x, y): (i64, i64), radius: i64, colour: Colour) {
        for dy in -radius..=radius {
            let half = ((radius * radius - dy * dy) as f64).sqrt().round() as i64;
            self.fill(x - half, y + dy, x + half + 1, y + dy + 1, colour);
        }
    }

    /// Fills a rectangle, clipped to the picture.
    fn fill(&mut self, left: i64, top: i64, right: i64, bottom: i64, colour: Colour) {
        let (left, right) = (left.clamp(0, self.width), right.clamp(0, self.width));
        let (top, bottom) = (top.clamp(0, self.height), bottom.clamp(0, self.height));
        for y in top..bottom {
            let row = (y * self.width) as usize * 3;
            if let Some(run) = self.data.get_mut(row + left as usize * 3..row + right as usize * 3) {
                run.as_chunks_mut().0.fill(colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use judge::portrait::Thresholds;
    use judge::portrait::{Detection, Mesh};

    fn portrait(edges: [f64; 4], landmark: [f64; 3]) -> Portrait {
        let face = Detection { score: 0.9, edges, keypoints: [[0.0; 2]; 6] };
        let mesh = Mesh { presence: 1.0, landmarks: vec![landmark; 468], expressed: None };
        Portrait::judge(&[face], vec![Ok(mesh)], 200, 200, &Thresholds::default(), "faces@1")
    }

    fn grey() -> Pixels {
        Pixels::new(200, 200, vec![100; 200 * 200 * 3]).unwrap()
    }

    #[test]
    fn a_box_its_points_and_words_are_drawn_and_the_rest_stays() {
        let drawn = annotate(grey(), &portrait([0.3, 0.4, 0.7, 0.8], [0.5, 0.6, 0.0]));
        assert_eq!(drawn.get(60, 120), BAD, "left edge; landmarks on one point are closed eyes");
        assert_eq!(drawn.get(100, 80), BAD, "upper edge");
        assert_eq!(drawn.get(100, 120), MOUTH, "the last point drawn");
        assert_eq!(drawn.get(80, 120), [100; 3], "inside the box nothing else");
        assert_eq!(drawn.get(62, 72), BACKGROUND, "words above the box");
        assert_eq!(drawn.get(190, 190), [100; 3]);
    }

    #[test]
    fn an_object_is_framed_and_named() {
        let dog = Object { label: "dog".into(), class_id: 18, score: 0.9, bbox: [0.3, 0.4, 0.4, 0.4] };
        let drawn = annotate_objects(grey(), &[&dog]);
        let colour = OF_CLASSES[18 % OF_CLASSES.len()];
        assert_eq!((drawn.get(60, 120), drawn.get(100, 80)), (colour, colour), "left and upper edge");
        assert_eq!(drawn.get(60, 71), BACKGROUND, "words above the box");
        assert_eq!((drawn.get(80, 120), drawn.get(190, 190)), ([100; 3], [100; 3]));
    }

    #[test]
    fn boxes_outside_the_picture_do_no_harm() {
        for edges in [[-0.5, -0.5, 1.5, 1.5], [2.0, 2.0, 3.0, 3.0], [-1e300, 0.0, 1e300, 1.0]] {
            let drawn = annotate(grey(), &portrait(edges, [9.0, -9.0, 0.0]));
            assert_eq!((drawn.width(), drawn.height()), (200, 200));
        }
        let tiny = Pixels::new(1, 1, vec![0; 3]).unwrap();
        assert_eq!(annotate(tiny, &portrait([0.0, 0.0, 1.0, 1.0], [0.5; 3])).long_side(), 1);
    }

    #[test]
    fn every_letter_of_the_words_can_be_drawn() {
        let texts = [
            "portrait 0.85",
            "no face",
            "12 faces",
            "can't tell: from the side",
            "eyes closed 0.19/0.20, no smile",
            "eyes laughing",
            "eyes look down",
            "dark glasses",
        ];
        for letter in texts.iter().flat_map(|text| text.chars()).filter(|&letter| letter != ' ') {
            assert_ne!(lettering::columns(letter), [0; 5], "{letter}");
        }
    }
}
