//! Live and motion photos: the film goes with the photo that has its identifier, whatever the two are called.

use std::fs;

use crate::world::World;

fn boxed(name: &[u8], payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 8).to_be_bytes(), name, payload].concat()
}

/// A film as a phone writes it, as far as its identifier goes.
fn film(identifier: &str) -> Vec<u8> {
    let key = boxed(b"mdta", b"com.apple.quicktime.content.identifier");
    let data = boxed(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], identifier.as_bytes()].concat());
    let list = boxed(b"ilst", &boxed(&1_u32.to_be_bytes(), &data));
    let meta =
        [boxed(b"hdlr", &[0; 24]), boxed(b"keys", &[&[0, 0, 0, 0, 0, 0, 0, 1], &key[..]].concat()), list].concat();
    [boxed(b"ftyp", b"qt  "), boxed(b"mdat", identifier.as_bytes()), boxed(b"moov", &boxed(b"meta", &meta))].concat()
}

/// A JPEG with the notes of an iPhone.
fn photo(of: &str, identifier: &str) -> Vec<u8> {
    let text = format!("{identifier}\0");
    let head: &[u8] = b"Apple iOS\0\0\x01MM\0\x01\0\x11\0\x02";
    let note = [head, &(text.len() as u32).to_be_bytes(), &32_u32.to_be_bytes(), &[0; 4], text.as_bytes()].concat();
    let block = [
        &b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0"[..],
        &[0, 1, 0x92, 0x7c, 0, 7],
        &(note.len() as u32).to_be_bytes(),
        &44_u32.to_be_bytes(),
        &[0; 4],
        &note,
    ]
    .concat();
    let jpeg = fs::read(format!("fixtures/jpeg/{of}.jpg")).unwrap();
    let length = (block.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &block, &jpeg[2..]].concat()
}

#[test]
fn a_film_goes_with_the_photo_of_its_identifier() {
    let world = World::new();
    let write = |name: &str, content: Vec<u8>| fs::write(world.path("photos").join(name), content).unwrap();
    write("beach.jpg", photo("420", "ID-1"));
    write("IMG_0001.MOV", film("ID-1"));
    // Numbers began anew: the film of this name is another photo's.
    write("IMG_0002.jpg", photo("422", "ID-2"));
    write("IMG_0002.MOV", film("ID-9"));
    // Where the photo or the film tells nothing, the name counts.
    write("IMG_0003.jpg", photo("444", "ID-3"));
    write("IMG_0003.MOV", b"no identifier".to_vec());
    write("IMG_0004.jpg", fs::read("fixtures/jpeg/440.jpg").unwrap());
    write("IMG_0004.mp4", film("ID-4"));
    let seen = world.run(["select", "photos", "--per-cluster", "9", "--copy-to", "album"]).expect(0);
    let mut units: Vec<String> = seen
        .lines()
        .iter()
        .map(|line| format!("{} {} {}", line["image_path"], line["unit"], line["companions"]))
        .collect();
    units.sort();
    let expected = [
        r#""photos/IMG_0002.jpg" "single" []"#,
        r#""photos/IMG_0003.jpg" "live" ["photos/IMG_0003.MOV"]"#,
        r#""photos/IMG_0004.jpg" "live" ["photos/IMG_0004.mp4"]"#,
        r#""photos/beach.jpg" "live" ["photos/IMG_0001.MOV"]"#,
    ];
    assert_eq!(units, expected);
    let mut names: Vec<_> = fs::read_dir(world.path("album")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    let expected =
        ["IMG_0002.jpg", "IMG_0003.MOV", "IMG_0003.jpg", "IMG_0004.jpg", "IMG_0004.mp4", "beach.MOV", "beach.jpg"];
    assert_eq!(names, expected);
    assert_eq!(fs::read(world.path("album/beach.MOV")).unwrap(), film("ID-1"));
}

#[test]
fn a_line_tells_of_the_film_inside_a_photo_and_of_the_files_beside_it() {
    let world = World::new();
    let jpeg = fs::read("fixtures/jpeg/420.jpg").unwrap();
    let photo = |name: &str, property: &str| {
        let packet = format!(
            "http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF \
             xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description rdf:about='' \
             xmlns:GCamera='http://ns.google.com/photos/1.0/camera/' {property}/></rdf:RDF></x:xmpmeta>"
        );
        let length = (packet.len() as u16 + 2).to_be_bytes();
        let bytes = [&jpeg[..2], &[0xff, 0xe1], &length, packet.as_bytes(), &jpeg[2..]].concat();
        fs::write(world.path("photos").join(name), bytes).unwrap();
    };
    photo("motion.jpg", "GCamera:MotionPhoto='1'");
    photo("micro.jpg", "GCamera:MicroVideo='1'");
    photo("still.jpg", "GCamera:MotionPhoto='0'");
    photo("pair.jpg", "");
    for beside in ["pair.CR3", "pair.xmp", "still.jpg.xmp"] {
        fs::write(world.path("photos").join(beside), "").unwrap();
    }
    let units = |seen: crate::world::Seen| {
        let lines = seen.lines().into_iter();
        lines.map(|line| format!("{} {} {}", line["image_path"], line["unit"], line["companions"])).collect::<Vec<_>>()
    };
    let expected = [
        r#""photos/micro.jpg" "live" []"#,
        r#""photos/motion.jpg" "live" []"#,
        r#""photos/pair.jpg" "pair" ["photos/pair.CR3","photos/pair.xmp"]"#,
        r#""photos/still.jpg" "single" ["photos/still.jpg.xmp"]"#,
    ];
    assert_eq!(units(world.run(["analyze", "photos"]).expect(0)), expected);
    let mut picked = units(world.run(["select", "photos", "--all"]).expect(0));
    picked.sort();
    assert_eq!(picked, expected);
}
