//! What cameras wrote: known, absent or unreadable, and never a reason to lose the photo.

use exif::{Rational, Tag, Value};
use photo::{Camera, Fact, TakenAt, facts};

use crate::shared::{ascii, data, exif_block, files, fixture, full, jpeg, quarters, read, with_segment};

fn photo_with(block: &[u8]) -> Vec<u8> {
    with_segment(&jpeg(&quarters(32, 24)), 0xe1, &[b"Exif\0\0", block].concat())
}

fn taken(fields: &[(Tag, Value)]) -> Fact<TakenAt> {
    facts(&photo_with(&exif_block(fields, true))).taken_at
}

fn text(fact: &Fact<TakenAt>) -> String {
    fact.known().unwrap_or_else(|| panic!("{fact:?}")).text()
}

#[test]
fn time_with_fraction_and_distance_from_utc() {
    let fields = [
        (Tag::DateTime, ascii("2027:01:01 00:00:00")),
        (Tag::DateTimeOriginal, ascii("2026:05:01 10:12:13")),
        (Tag::SubSecTimeOriginal, ascii("25")),
        (Tag::OffsetTimeOriginal, ascii("+02:00")),
    ];
    for little_endian in [true, false] {
        let fact = facts(&photo_with(&exif_block(&fields, little_endian))).taken_at;
        assert_eq!(text(&fact), "2026-05-01T10:12:13.250+02:00");
        assert_eq!(fact.known().map(TakenAt::sort_key), Some(1_777_630_333_250));
    }
    assert_eq!(text(&taken(&fields[1..2])), "2026-05-01T10:12:13");
    let finer = [(Tag::DateTimeOriginal, ascii("2026:05:01 10:12:13")), (Tag::SubSecTimeOriginal, ascii("123456"))];
    assert_eq!(text(&taken(&finer)), "2026-05-01T10:12:13.123456");
    let west = [(Tag::DateTimeOriginal, ascii("1969:12:31 23:59:59")), (Tag::OffsetTimeOriginal, ascii("-03:30"))];
    assert_eq!(text(&taken(&west)), "1969-12-31T23:59:59-03:30");
    assert_eq!(taken(&west).known().map(TakenAt::sort_key), Some(-1000));
}

#[test]
fn a_time_that_is_not_set_gives_way_to_the_next_best() {
    let unset = (Tag::DateTimeOriginal, ascii("0000:00:00 00:00:00"));
    assert_eq!(taken(std::slice::from_ref(&unset)), Fact::Absent);
    assert_eq!(taken(&[(Tag::DateTimeOriginal, ascii("    :  :     :  :  "))]), Fact::Absent);
    assert_eq!(taken(&[(Tag::Make, ascii("X"))]), Fact::Absent);
    let digitised = (Tag::DateTimeDigitized, ascii("2020:02:29 23:59:59"));
    assert_eq!(text(&taken(&[unset.clone(), digitised])), "2020-02-29T23:59:59");
    let garbage = (Tag::DateTimeOriginal, ascii("2026:13:45 99:99:99"));
    let changed = (Tag::DateTime, ascii("2021:03:04 05:06:07"));
    assert_eq!(text(&taken(&[garbage.clone(), changed])), "2021-03-04T05:06:07");
    for wrong in [
        "2026:13:01 00:00:00",
        "2026:02:30 00:00:00",
        "2026:02:03 24:00:00",
        "yesterday",
        "2026:02",
        "99999:01:01 00:00:00",
    ] {
        assert!(matches!(taken(&[(Tag::DateTimeOriginal, ascii(wrong))]), Fact::Unreadable(_)), "{wrong}");
    }
}

#[test]
fn camera_and_position() {
    let degrees = |parts: [u32; 3]| Value::Rational(parts.map(|num| Rational { num, denom: 1 }).to_vec());
    let block = exif_block(
        &[
            (Tag::Make, ascii("Nikon ")),
            (Tag::Model, ascii("D750")),
            (Tag::GPSLatitudeRef, ascii("S")),
            (Tag::GPSLatitude, degrees([33, 30, 36])),
            (Tag::GPSLongitudeRef, ascii("E")),
            (Tag::GPSLongitude, degrees([151, 15, 0])),
        ],
        false,
    );
    let facts = facts(&photo_with(&block));
    assert_eq!(facts.camera, Fact::Known(Camera { make: "Nikon".to_owned(), model: "D750".to_owned() }));
    let (latitude, longitude) = *facts.gps.known().expect("a position");
    assert!((latitude + 33.51).abs() < 1e-9 && (longitude - 151.25).abs() < 1e-9, "{latitude} {longitude}");
}

#[test]
fn a_receiver_without_reception_knows_no_position() {
    let nothing = Value::Rational(vec![Rational { num: 0, denom: 0 }; 3]);
    let block = exif_block(&[(Tag::GPSLatitude, nothing.clone()), (Tag::GPSLongitude, nothing)], true);
    assert_eq!(facts(&photo_with(&block)).gps, Fact::Absent);
    let far = Value::Rational(vec![Rational { num: 91, denom: 1 }; 3]);
    let block = exif_block(&[(Tag::GPSLatitude, far.clone()), (Tag::GPSLongitude, far)], true);
    assert!(matches!(facts(&photo_with(&block)).gps, Fact::Unreadable(_)));
}

#[test]
fn a_broken_block_is_told_from_none_and_never_hides_the_photo() {
    let whole = exif_block(
        &[(Tag::Make, ascii("A maker with a long name")), (Tag::DateTimeOriginal, ascii("2026:05:01 10:12:13"))],
        true,
    );
    for end in 0..whole.len() {
        let bytes = photo_with(&whole[..end]);
        let photo = full(&bytes).unwrap_or_else(|error| panic!("cut at {end}: {error}"));
        assert!(
            !matches!(photo.facts.taken_at, Fact::Known(_)) || end + 4 >= whole.len(),
            "cut at {end}: {:?}",
            photo.facts
        );
    }
    assert!(matches!(facts(&photo_with(b"II*\0\xff\xff\xff\xff")).taken_at, Fact::Unreadable(_)));
    assert!(matches!(facts(&photo_with(b"garbage instead")).camera, Fact::Unreadable(_)));
    assert_eq!(facts(&jpeg(&quarters(32, 24))).taken_at, Fact::Absent);
}

#[test]
fn directories_that_name_each_other_without_end_are_left_soon() {
    // 5,000 entries, each naming this very directory as that of the shooting data.
    let mut block = b"II*\0\x08\0\0\0\x88\x13".to_vec();
    for _ in 0..5000 {
        block.extend([0x69, 0x87, 4, 0, 1, 0, 0, 0, 8, 0, 0, 0]);
    }
    let begun = std::time::Instant::now();
    let _ = facts(&photo_with(&block));
    assert!(begun.elapsed().as_secs_f64() < 0.5);
}

#[test]
fn facts_lie_in_avif_too() {
    let facts = facts(&fixture("orientation-6.avif"));
    assert_eq!(text(&facts.taken_at), "2026-05-01T10:12:13");
    assert_eq!(facts.orientation, 1, "turning is the container's business");
}

#[test]
fn cameras_agree_with_another_reader() {
    let mut compared = 0;
    for folder in ["cameras", "exif", "exif_burst_album"].iter().filter_map(|folder| data(folder)) {
        for path in files(&folder) {
            let bytes = read(&path);
            let Ok(theirs) = exif::Reader::new().read_from_container(&mut std::io::Cursor::new(&bytes)) else {
                continue;
            };
            let ours = facts(&bytes);
            let field = |tag| theirs.get_field(tag, exif::In::PRIMARY);
            if let Some(Value::Ascii(model)) = field(Tag::Model).map(|field| &field.value) {
                let model = String::from_utf8_lossy(&model[0]).trim().to_owned();
                assert_eq!(ours.camera.known().map(|camera| camera.model.clone()), Some(model), "{}", path.display());
            }
            if let Some(Value::Ascii(time)) = field(Tag::DateTimeOriginal).map(|field| &field.value) {
                let time = exif::DateTime::from_ascii(&time[0]).expect("a time").to_string().replace(' ', "T");
                assert_eq!(text(&ours.taken_at)[..19], time, "{}", path.display());
            }
            let turned = field(Tag::Orientation).and_then(|field| field.value.get_uint(0)).unwrap_or(1);
            assert_eq!(u32::from(ours.orientation), turned, "{}", path.display());
            compared += 1;
        }
    }
    crate::shared::say(&format!("{compared} files compared"));
}
