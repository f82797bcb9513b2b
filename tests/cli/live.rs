//! Live Photos: the film goes with the photo that has its identifier, whatever the two are called.

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
    assert_eq!(seen.lines().len(), 4);
    let mut names: Vec<_> = fs::read_dir(world.path("album")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    let expected =
        ["IMG_0002.jpg", "IMG_0003.MOV", "IMG_0003.jpg", "IMG_0004.jpg", "IMG_0004.mp4", "beach.MOV", "beach.jpg"];
    assert_eq!(names, expected);
    assert_eq!(fs::read(world.path("album/beach.MOV")).unwrap(), film("ID-1"));
}
