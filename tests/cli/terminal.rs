//! What a person sees in a terminal: whole names, where things went, few words.

use std::path::Path;

use crate::world::{World, fixture_album};

#[test]
fn eighty_columns_show_every_file_name_whole() {
    let world = World::new();
    let album = fixture_album();
    let args = ["select", "--top", "8", "--format", "table", "fixtures/album"];
    let run = |columns: Option<&str>, args: &[&str]| {
        let mut command = world.command(args);
        command.current_dir(album.parent().unwrap().parent().unwrap());
        columns.into_iter().for_each(|columns| _ = command.env("COLUMNS", columns));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let narrow = run(Some("80"), &args);
    assert_eq!(narrow.lines().count(), 9, "{narrow}");
    for line in narrow.lines().skip(1) {
        assert!(line.contains(" fixtures/album/DSC_01") && line.contains(".jpg  "), "{narrow}");
        assert!(line.chars().count() <= 80 && line.ends_with('…'), "{narrow}");
    }
    let whole = run(None, &args);
    assert!(whole.lines().skip(1).all(|line| line.ends_with('.')), "a pipe has room for every reason: {whole}");
    let file = world.path("album.txt");
    run(Some("40"), &[&args[..], &["-o", file.to_str().unwrap()]].concat());
    assert_eq!(std::fs::read_to_string(file).unwrap(), whole, "so has a file");
}

#[test]
fn the_last_line_says_what_was_picked_and_where_it_went() {
    let world = World::new();
    world.many_photos(3);
    let last = |args: &[&str]| {
        let seen = world.run([&["select", "photos", "--top", "2"], args].concat()).expect(0);
        seen.stderr.lines().last().unwrap_or_default().to_owned()
    };
    let everything = ["--copy-to", "x", "--zip", "a.zip", "--xmp", "--report", "r.html"];
    assert_eq!(
        last(&[&everything[..], &["--dry-run"]].concat()),
        "picked 2 of 3 photos, would copy 2 to x, would zip 2 into a.zip, would write 2 sidecars, would write the report \
         to r.html"
    );
    assert!(!world.path("x").exists());
    let told = "picked 2 of 3 photos, copied 2 to x, zipped 2 into a.zip, wrote 2 sidecars, report in r.html";
    assert_eq!(last(&everything), told);
    // The sidecars that were written go along.
    assert_eq!(
        last(&["--link-to", "y", "-o", "o.jsonl"]),
        "picked 2 of 3 photos, linked 2 (and 2 files of theirs) in y, results in o.jsonl"
    );
    assert_eq!(world.run(["select", "photos", "-q", "--link-to", "z"]).expect(0).stderr.matches("linked").count(), 0);
    std::fs::write(world.photos().join("broken.jpg"), "x").unwrap();
    let seen = world.run(["select", "photos", "--top", "1"]).expect(3);
    assert_eq!(seen.stderr.lines().last(), Some("picked 1 of 3 photos, 1 failed"));
    let seen = world.run(["select", "photos"]).expect(3);
    let told = ["picked ", " of 3 photos, the best of each scene (--top N picks N), 1 failed"];
    let last = seen.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with(told[0]) && last.ends_with(told[1]), "{last}");
}

#[test]
fn a_dry_run_names_every_target_in_the_table() {
    let world = World::new();
    world.many_photos(2);
    let args = ["select", "photos", "--top", "2", "--copy-to", "x", "--zip", "a.zip", "--dry-run", "--format", "table"];
    let text = world.run(args).expect(0).text();
    for name in ["0000.png", "0001.png"] {
        assert!(text.contains(&format!("  would be copied to x/{name}\n")), "{text}");
        assert!(text.contains(&format!("  would go into the zip as a.zip/{name}\n")), "{text}");
    }
    assert!(!Path::new(&world.path("x")).exists());
}
