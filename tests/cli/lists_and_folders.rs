//! Which photos are looked at, and in which order.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::world::{World, png};

#[test]
fn folders_are_walked_in_order_of_names() {
    let world = World::new();
    for name in ["b/2.png", "a.png", "b/10.png", "B.png"] {
        world.photo(name, 1);
    }
    assert_eq!(world.run(["score", "photos"]).expect(0).names(), ["B.png", "a.png", "10.png", "2.png"]);
}

#[test]
fn a_photo_named_twice_is_analysed_once() {
    let world = World::new();
    world.photo("a.png", 1);
    world.photo("b.png", 2);
    symlink(world.photos().join("a.png"), world.photos().join("z.png")).unwrap();
    let seen = world.run(["score", "photos/b.png", "./photos/b.png", "photos", "photos/a.png"]).expect(0);
    assert_eq!(seen.names(), ["b.png", "a.png"]);
}

#[test]
fn what_counts_is_the_content_not_the_extension() {
    let world = World::new();
    fs::write(world.photos().join("no-extension"), png(20, 20, 1)).unwrap();
    fs::write(world.photos().join("png-named.jpg"), png(20, 20, 2)).unwrap();
    fs::write(world.photos().join("notes.txt"), "no photo").unwrap();
    fs::write(world.photos().join("movie.mov"), [0; 4000]).unwrap();
    let seen = world.run(["score", "-v", "photos"]).expect(0);
    assert_eq!(seen.names(), ["no-extension", "png-named.jpg"]);
    assert!(seen.stderr.contains("2 files passed over"), "{}", seen.stderr);
}

#[test]
fn a_broken_photo_by_name_fails_and_so_does_anything_named_outright() {
    let world = World::new();
    world.photo("good.png", 1);
    fs::write(world.photos().join("broken.jpg"), "no photo").unwrap();
    fs::write(world.photos().join("notes.txt"), "no photo").unwrap();
    let seen = world.run(["score", "photos"]).expect(3);
    assert_eq!(seen.names(), ["good.png"]);
    assert!(seen.stderr.contains("warning: photos/broken.jpg: decode: "), "{}", seen.stderr);
    assert!(seen.stderr.contains("1 failed"), "{}", seen.stderr);
    let seen = world.run(["score", "photos/notes.txt", "photos/good.png", "photos/missing.jpg"]).expect(3);
    assert!(seen.stderr.contains("warning: photos/notes.txt: decode: "), "{}", seen.stderr);
    assert!(seen.stderr.contains("warning: photos/missing.jpg: read: no such file"), "{}", seen.stderr);
}

#[test]
fn lists_come_on_standard_input() {
    let world = World::new();
    world.photo("a.png", 1);
    world.photo("with\nnewline.png", 2);
    let seen = world.run_with_stdin(["score", "-"], b"photos/a.png\r\n\n").expect(0);
    assert_eq!(seen.names(), ["a.png"]);
    let seen = world.run_with_stdin(["score", "-0", "-"], b"photos/with\nnewline.png\0photos/a.png\0").expect(0);
    assert_eq!(seen.names(), ["with\nnewline.png", "a.png"]);
}

#[test]
fn an_empty_list_or_folder_is_no_failure() {
    let world = World::new();
    let seen = world.run_with_stdin(["score", "-"], b"").expect(0);
    assert_eq!((seen.text().as_str(), seen.stderr.contains("no photos found")), ("", true));
    world.run(["score", "photos"]).expect(0);
}

#[test]
fn patterns_are_left_out() {
    let world = World::new();
    for name in ["a.png", "old/b.png", "keep/old/c.png", "x.bak.png"] {
        world.photo(name, 1);
    }
    assert_eq!(world.run(["score", "photos"]).expect(0).names().len(), 4);
    let seen = world.run(["score", "photos", "--exclude", "old/", "--exclude", "*.bak.*"]).expect(0);
    assert_eq!(seen.names(), ["a.png"]);
    let seen = world.run(["score", "photos", "--exclude", "/old"]).expect(0);
    assert!(seen.names().contains(&"c.png".to_owned()) && !seen.names().contains(&"b.png".to_owned()));
    world.run(["score", "photos", "--exclude", "a{b"]).expect(2);
}

#[test]
fn what_is_hidden_or_kept_by_other_programs_is_passed_over_unless_it_is_meant() {
    let world = World::new();
    let hidden = [
        ".hidden.png",
        ".thumbnails/t.png",
        "@eaDir/IMG_1.JPG/SYNOPHOTO_THUMB_XL.jpg",
        "$RECYCLE.BIN/r.png",
        "2026/.Trash-1000/files/d.png",
        "2026/Trash/e.png",
        "Album Previews.lrdata/A/p.png",
    ];
    for (seed, name) in hidden.iter().enumerate() {
        world.photo(name, seed as u32);
    }
    let seen = world.run(["score", "photos"]).expect(0);
    assert_eq!(seen.text(), "");
    assert!(seen.stderr.contains("passed over: 7 (--hidden"), "why nothing was found: {}", seen.stderr);
    world.photo("2026/a.png", 10);
    let seen = world.run(["score", "photos"]).expect(0);
    assert_eq!((seen.names(), seen.stderr.as_str()), (vec!["a.png".to_owned()], ""));
    assert!(world.run(["score", "photos", "-v"]).expect(0).stderr.contains("passed over: 7 (--hidden"));
    assert_eq!(world.run(["score", "photos", "--hidden"]).expect(0).names().len(), 8);
    let named = ["score", "photos/.thumbnails", "photos/.hidden.png", "photos/2026/Trash"];
    assert_eq!(world.run(named).expect(0).names(), ["t.png", ".hidden.png", "e.png"]);
    assert_eq!(world.run_with_stdin(["score", "-"], b"photos/.hidden.png\n").expect(0).names(), [".hidden.png"]);
}

#[test]
fn the_same_failure_of_many_files_is_one_line_with_a_count() {
    let world = World::new();
    world.photo("good.png", 1);
    for name in 0..60 {
        fs::write(world.photos().join(format!("IMG_{name:04}.HEIC")), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    }
    fs::write(world.photos().join("broken.jpg"), "no photo").unwrap();
    let seen = world.run(["score", "photos"]).expect(3);
    let warnings: Vec<&str> = seen.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warnings.len(), 2, "{}", seen.stderr);
    assert!(warnings[0].starts_with("warning: 60 files, the first photos/IMG_0000.HEIC: decode: "), "{}", warnings[0]);
    assert!(warnings[1].starts_with("warning: photos/broken.jpg: decode: "), "{}", warnings[1]);
    assert!(seen.stderr.contains("61 failed"), "{}", seen.stderr);
    let all = world.run(["score", "photos", "-v"]).expect(3).stderr;
    assert_eq!(all.lines().filter(|line| line.starts_with("warning: photos/")).count(), 61, "{all}");
}

#[test]
fn linked_folders_are_entered_only_when_asked_and_loops_end() {
    let world = World::new();
    world.photo("a.png", 1);
    fs::create_dir(world.path("elsewhere")).unwrap();
    fs::write(world.path("elsewhere/b.png"), png(20, 20, 2)).unwrap();
    symlink(world.path("elsewhere"), world.photos().join("linked")).unwrap();
    symlink(world.photos(), world.photos().join("loop")).unwrap();
    symlink("nowhere", world.photos().join("dangling")).unwrap();
    assert_eq!(world.run(["score", "photos"]).expect(0).names(), ["a.png"]);
    assert_eq!(world.run(["score", "--follow", "photos"]).expect(0).names(), ["a.png", "b.png"]);
    assert_eq!(world.run(["score", "photos/linked"]).expect(0).names(), ["b.png"], "a link named outright is meant");
}

#[test]
fn a_raw_beside_its_jpeg_is_the_same_photo() {
    let world = World::new();
    fs::write(world.photos().join("IMG_1.JPG"), png(20, 20, 1)).unwrap();
    fs::write(world.photos().join("IMG_1.CR2"), "never opened").unwrap();
    assert_eq!(world.run(["score", "photos"]).expect(0).names(), ["IMG_1.JPG"]);
}

#[test]
fn names_that_are_not_utf8_are_given_exactly() {
    let world = World::new();
    let name = OsStr::from_bytes(b"caf\xe9.png");
    world.photo(Path::new(name), 1);
    let line = world.run(["score", "photos"]).expect(0).lines().remove(0);
    assert_eq!(line["image_path"], "photos/caf\u{fffd}.png");
    assert_eq!(line["image_path_b64"], "cGhvdG9zL2NhZukucG5n");
}
