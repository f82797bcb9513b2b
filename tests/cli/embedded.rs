//! Ratings inside copies.

use std::fs;
use std::path::Path;

use photo::xmp::{Found, XMP, find};
use photo::{Limits, Scale};

use crate::world::{World, shared_data};

/// A photo of each format with a place for a rating, and one of a format without.
const PHOTOS: [&str; 9] = [
    "jpeg/420.jpg",
    "photo/interlaced.png",
    "photo/lossy.webp",
    "photo/animated.webp",
    "photo/lzw.tif",
    "photo/grid-turned.heic",
    "photo/alpha.avif",
    "photo/lossless.jxl",
    "photo/animated.gif",
];

fn delivered(world: &World, more: &[&str]) -> crate::world::Seen {
    let select = ["select", "photos", "--per-cluster", "99", "--copy-to", "album", "--xmp-embed"];
    world.run(select.iter().chain(more))
}

fn found(copy: &Path) -> Option<Found> {
    let bytes = fs::read(copy).unwrap();
    let packet = photo::packet(&bytes)?.into_owned();
    find(std::str::from_utf8(&packet).unwrap()).ok()
}

fn assert_same_picture(source: &Path, copy: &Path) {
    let (source, copy) = (fs::read(source).unwrap(), fs::read(copy).unwrap());
    let limits = Limits::default();
    assert_eq!(photo::picture_of(&source, &limits), photo::picture_of(&copy, &limits));
    let pixels = |bytes: &[u8]| photo::decode(bytes, Scale::Full, &limits).unwrap().pixels;
    assert!(pixels(&source) == pixels(&copy));
}

#[test]
fn copies_carry_the_stars_and_the_picture_stays_byte_for_byte() {
    let world = World::new();
    for photo in PHOTOS {
        let place = world.path("photos").join(Path::new(photo).file_name().unwrap());
        fs::copy(Path::new("fixtures").join(photo), place).unwrap();
    }
    let planned = delivered(&world, &["--dry-run"]).expect(0).text();
    assert!(!world.path("album").exists());
    let seen = delivered(&world, &["--xmp-label", "Album"]).expect(0);
    assert_eq!(planned.replace("\"applied\":false", "\"applied\":true"), seen.text());
    assert!(
        seen.stderr.contains("1 photo copied without a rating inside, the first photos/animated.gif: files of this"),
        "{}",
        seen.stderr
    );
    assert!(seen.stderr.contains("rated 8 of them inside"), "{}", seen.stderr);
    for photo in PHOTOS {
        let name = Path::new(photo).file_name().unwrap();
        let (source, copy) = (world.path("photos").join(name), world.path("album").join(name));
        assert_same_picture(&source, &copy);
        if photo.ends_with("gif") {
            assert_eq!(fs::read(source).unwrap(), fs::read(copy).unwrap());
            continue;
        }
        let found = found(&copy).unwrap_or_else(|| panic!("{photo} has no packet"));
        assert_eq!(found.value(XMP, "Rating"), Some("4"), "{photo}");
        assert_eq!(found.value(XMP, "Label"), Some("Album"), "{photo}");
        let times = [&source, &copy].map(|path| path.metadata().unwrap().modified().unwrap());
        assert_eq!(times[0], times[1], "{photo}");
    }
    // Copies of an earlier run stay, and no second ones join them.
    let files = || fs::read_dir(world.path("album")).unwrap().count();
    assert_eq!(delivered(&world, &["--xmp-label", "Album"]).expect(0).text(), seen.text());
    world.run(["select", "photos", "--per-cluster", "99", "--copy-to", "album"]).expect(0);
    assert_eq!(files(), PHOTOS.len());
    // What albumctl wrote is no word of a person.
    let again = world.run(["select", "album", "--all"]).expect(0).lines();
    assert!(again.iter().all(|line| line["decision"].is_null()));
}

#[test]
fn what_others_wrote_inside_stays_and_a_persons_rating_is_never_another() {
    let world = World::new();
    let write = |name: &str, of: &str, properties: &str| {
        let photo = fs::read(format!("fixtures/jpeg/{of}.jpg")).unwrap();
        let packet = format!(
            "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
             <rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' {properties}/></rdf:RDF></x:xmpmeta>"
        );
        let marked = photo::with_packet(&photo, packet.as_bytes()).unwrap();
        fs::write(world.path("photos").join(name), marked).unwrap();
    };
    write("tool.jpg", "420", "xmp:CreatorTool='Camera 1.0'");
    write("rated.jpg", "422", "xmp:Rating='2'");
    write("beside.jpg", "444", "xmp:CreatorTool='Camera 1.0'");
    fs::write(
        world.path("photos/beside.xmp"),
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
         <rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='3'/></rdf:RDF></x:xmpmeta>",
    )
    .unwrap();
    let seen = delivered(&world, &["--xmp-rating", "5"]).expect(0);
    assert!(seen.stderr.contains("the copies of 2 picked photos keep the rating of a person"), "{}", seen.stderr);
    let copy = fs::read(world.path("album/tool.jpg")).unwrap();
    let packet = String::from_utf8(photo::packet(&copy).unwrap().into_owned()).unwrap();
    assert!(packet.contains("xmp:CreatorTool='Camera 1.0'") && packet.contains("xmp:Rating=\"5\""), "{packet}");
    for name in ["rated.jpg", "beside.jpg"] {
        assert_eq!(
            fs::read(world.path("photos").join(name)).unwrap(),
            fs::read(world.path("album").join(name)).unwrap()
        );
    }
    world.run(["select", "photos", "--xmp-embed"]).expect(2);
    world.run(["select", "photos", "--copy-to", "album", "--xmp-rating", "5"]).expect(2);
}

#[test]
fn files_of_cameras_take_a_packet_and_lose_nothing() {
    let Some(data) = shared_data("") else { return };
    let mut taken = 0;
    for entry in walkdir::WalkDir::new(data).max_depth(3).sort_by_file_name().into_iter().flatten() {
        let is_small = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() < 6_000_000);
        let Some(bytes) = is_small.then(|| fs::read(entry.path()).unwrap()) else { continue };
        let packet = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>a packet of a test</x:xmpmeta>";
        // Whatever the file, there is an answer, and a copy is the same picture.
        let Ok(copy) = photo::with_packet(&bytes, packet) else { continue };
        assert_eq!(photo::packet(&copy).as_deref(), Some(&packet[..]), "{}", entry.path().display());
        let mut facts = [photo::facts(&bytes), photo::facts(&copy)];
        facts.iter_mut().for_each(|facts| facts.rating = None);
        let [before, after] = facts;
        assert_eq!(before, after, "{}", entry.path().display());
        taken += 1;
    }
    assert!(taken > 50, "{taken}");
}
