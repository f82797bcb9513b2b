//! Sharpness and exposure of faces, measured as large as the file has them.

use std::fs;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, RgbImage, imageops};
use serde_json::Value;

use crate::world::{World, shared, shared_data};

/// Of 1920 × 2880 pixels: as a JPEG it is looked at by half of its sides, and so are its turned copies.
fn portrait() -> Option<RgbImage> {
    let file = shared_data("faces_golden/png/portrait_02.png")?;
    Some(image::open(file).unwrap().to_rgb8())
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(picture).unwrap();
    bytes
}

/// The file with an EXIF block of these fields after its first marker.
pub fn with_exif(jpeg: &[u8], fields: &[(exif::Tag, exif::Value)], little_endian: bool) -> Vec<u8> {
    let fields: Vec<exif::Field> = fields
        .iter()
        .map(|(tag, value)| exif::Field { tag: *tag, ifd_num: exif::In::PRIMARY, value: value.clone() })
        .collect();
    let mut writer = exif::experimental::Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut tiff = std::io::Cursor::new(Vec::new());
    writer.write(&mut tiff, little_endian).unwrap();
    let payload = [&b"Exif\0\0"[..], &tiff.into_inner()].concat();
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &payload, &jpeg[2..]].concat()
}

fn run(world: &World, models: &Path, args: &[&str]) -> Vec<Value> {
    let models = ["--models-dir", models.to_str().unwrap()];
    world.run([args, &models].concat()).expect(0).lines()
}

fn of_face(line: &Value, field: &str) -> f64 {
    line["faces"][0][field].as_f64().unwrap_or_else(|| panic!("no {field}: {line}"))
}

#[test]
fn faces_are_measured_at_full_size_however_the_photo_is_decoded() {
    let (Some(models), Some(portrait)) = (shared("weights/mediapipe"), portrait()) else { return };
    let world = World::new();
    let soft = imageops::blur(&portrait, 1.5);
    fs::write(world.photos().join("a.jpg"), jpeg(&portrait)).unwrap();
    fs::write(world.photos().join("b-soft.jpg"), jpeg(&soft)).unwrap();
    // Stored on its side, with the tag that turns it back.
    let aside = jpeg(&imageops::rotate270(&portrait));
    let turned = [(exif::Tag::Orientation, exif::Value::Short(vec![6]))];
    fs::write(world.photos().join("c-turned.jpg"), with_exif(&aside, &turned, true)).unwrap();
    portrait.save(world.photos().join("d.png")).unwrap();
    soft.save(world.photos().join("f-soft.png")).unwrap();
    let dark = DynamicImage::from(portrait.clone()).brighten(-150);
    fs::write(world.photos().join("e-dark.jpg"), jpeg(&dark.to_rgb8())).unwrap();

    let lines = run(&world, &models, &["portrait", "photos"]);
    let [sharp, soft_jpeg, turned, png, dark, soft_png] = &lines[..] else { panic!("{lines:?}") };
    // PNG is always decoded in full.
    for (what, line, whole) in [("sharp", sharp, png), ("turned", turned, png), ("soft", soft_jpeg, soft_png)] {
        let (own, whole) = (of_face(line, "sharpness"), of_face(whole, "sharpness"));
        assert!((own - whole).abs() < 0.04, "{what}: {own}, of the picture that was decoded in full {whole}");
        assert!((of_face(line, "sharpness_confidence") - 1.0).abs() < 1e-9, "{line}");
        assert!(of_face(line, "exposure") > 0.95, "{line}");
    }
    assert!(of_face(soft_png, "sharpness") < of_face(png, "sharpness") - 0.1, "{soft_png}");
    assert!(of_face(dark, "exposure") < 0.7, "{dark}");
    // By half of its sides the soft face would look sharper than it is.
    let half = imageops::resize(&soft, 960, 1440, imageops::FilterType::Triangle);
    half.save(world.path("half.png")).unwrap();
    let half = run(&world, &models, &["portrait", "half.png"]).remove(0);
    assert!(of_face(&half, "sharpness") > of_face(soft_jpeg, "sharpness") + 0.03, "{half}");

    // Worker processes or not, and from the store, the numbers are the same.
    for more in [&["--isolate", "off", "--no-cache"][..], &["--isolate", "on", "--no-cache"], &[]] {
        let again = run(&world, &models, &[&["portrait", "photos"], more].concat());
        assert_eq!(again, lines, "{more:?}");
    }
}

#[test]
fn the_score_takes_the_quality_of_faces_only_as_far_as_it_is_told() {
    let (Some(models), Some(portrait)) = (shared("weights/mediapipe"), portrait()) else { return };
    let world = World::new();
    fs::write(world.photos().join("a.jpg"), jpeg(&imageops::blur(&portrait, 2.0))).unwrap();
    let ask = |more: &[&str]| run(&world, &models, &[&["portrait", "photos"], more].concat()).remove(0);
    let plain = ask(&[]);
    let expected = 0.75 + 0.25 * of_face(&plain, "smile");
    assert!((plain["portrait_score"].as_f64().unwrap() - expected).abs() < 1e-9, "{plain}");
    let weighed = ask(&["--set", "album.portrait.face_quality_weight=0.5"]);
    let quality = (of_face(&weighed, "sharpness") / 0.5).min(1.0) * of_face(&weighed, "exposure");
    let score = weighed["portrait_score"].as_f64().unwrap();
    assert!((score - f64::midpoint(expected, quality)).abs() < 1e-9 && score < expected - 0.1, "{weighed}");
    let seen = world.run(["select", "photos", "--set", "album.portrait.face_quality_weight=2"]).expect(2);
    assert!(seen.stderr.contains("`album.portrait.face_quality_weight` is 2"), "{}", seen.stderr);
}

#[test]
fn of_two_takes_the_one_with_the_sharper_face_wins_and_says_so() {
    let (Some(models), Some(portrait)) = (shared("weights/mediapipe"), portrait()) else { return };
    let world = World::new();
    let soft = jpeg(&imageops::blur(&portrait, 1.5));
    for (name, bytes) in [("DSC_1.jpg", soft), ("DSC_2.jpg", jpeg(&portrait))] {
        fs::write(world.photos().join(name), bytes).unwrap();
    }
    let lines = run(&world, &models, &["select", "photos", "--all"]);
    let of =
        |name: &str| lines.iter().find(|line| line["image_path"].as_str().unwrap().ends_with(name)).unwrap().clone();
    let (soft, sharp) = (of("DSC_1.jpg"), of("DSC_2.jpg"));
    assert_eq!((&sharp["rank"], &soft["selected"], &sharp["cluster_size"]), (&1.into(), &false.into(), &2.into()));
    let reason = sharp["reason"].as_str().unwrap();
    assert!(reason.contains("the face is sharper than in DSC_1.jpg"), "{reason}");
    assert!(soft["reason"].as_str().unwrap().contains("the face is sharper in DSC_2.jpg"), "{soft}");
    assert_eq!(sharp["tiebreak"], Value::Null, "the faces have decided");
}
