//! What reaches the terminal: nothing that steers it, and nothing of others.

use std::fs;
use std::process::{Command, Stdio};

use base::escape::steers;

use crate::world::{SHORT_FILES, World, png, skipped};

/// Clears the screen, colours by a C1 control, rings, turns the text around, hides a character.
const EVIL: &str = "\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2066}\u{200b}";

/// Holds text against what a terminal may be given: lines, tabs and our own colours.
#[track_caller]
fn assert_harmless(source: &str, text: &str) {
    let mut rest = text.replace("\r\n", "\n");
    while let Some(at) = rest.find("\u{1b}[") {
        let end = rest[at + 2..].find(|c: char| !c.is_ascii_digit() && c != ';').map_or(rest.len(), |end| at + 2 + end);
        assert!(rest[end..].starts_with('m'), "{source}: an escape that is no colour: {:?}", &rest[at..]);
        rest.replace_range(at..=end, "");
    }
    let bad: Vec<char> = rest.chars().filter(|&c| steers(c) && c != '\n' && c != '\t').collect();
    assert!(bad.is_empty(), "{source}: {bad:?} in {text:?}");
}

fn evil(name: &str) -> String {
    format!("{name}{EVIL}.png")
}

/// Runs on a terminal of its own; `None` where `script` is not here.
fn on_terminal(world: &World, command_line: &str) -> Option<String> {
    let there = Command::new("script").arg("--version").output().is_ok_and(|out| out.status.success());
    let output = there.then(|| {
        let mut script = Command::new("script");
        script.args(["-qec", command_line, "/dev/null"]).env_clear();
        script.env("HOME", world.path("home")).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        script.env("ALBUMCTL", env!("CARGO_BIN_EXE_albumctl")).env("TERM", "xterm-256color");
        script.current_dir(world.path("")).stdin(Stdio::null()).output().unwrap()
    })?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The same in YAML, where escapes are those of JSON.
fn escaped() -> String {
    EVIL.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
}

fn evil_manifest(address: &str) -> String {
    let words = escaped();
    format!(
        "name: mine\nversion: \"1\"\ntask: embedding\nlicense: \"Odd {words}\"\ntitle: \"Title {words}\"\n\
         file: {{name: w.bin, sha256: {}}}\nsources: [\"https://example.org/{address}w.bin\"]\n",
        "0".repeat(64)
    )
}

#[test]
fn evil_words_on_stderr() {
    let world = World::new();
    world.photo(evil("fine"), 1);
    fs::write(world.photos().join(evil("broken")), "x").unwrap();
    fs::write(world.photos().join(format!("fine{EVIL}.xmp")), format!("<x:xmpmeta><{EVIL}></b>")).unwrap();
    fs::write(world.path("config.yaml"), format!("\"limits{}\": 3\n", escaped())).unwrap();
    fs::write(world.path("odd.yaml"), format!("{{a: [{EVIL}\n")).unwrap();
    fs::write(world.path("mine.yaml"), evil_manifest("")).unwrap();
    fs::write(world.path("address.yaml"), evil_manifest(&escaped())).unwrap();
    fs::write(world.path("lines.jsonl"), format!("{{\"image_path\": \"{EVIL}\"\n")).unwrap();
    fs::write(world.path(format!("weights{EVIL}.bin")), "x").unwrap();
    fs::write(world.path("weights.safetensors"), evil_tensors()).unwrap();
    let key = format!("limits.{EVIL}=3");
    let checkpoint = "quality_assessment.ava_checkpoint=./weights.safetensors";
    let gone = format!("gone{EVIL}/out.jsonl");
    let weights = format!("weights{EVIL}.bin");
    let (option, folder) = (format!("--{EVIL}"), format!("photos/{EVIL}"));
    let mut marked = 0;
    let table: &[(&str, &[&str])] = &[
        ("a photo's name", &["score", "photos"]),
        ("a folder's name", &["score", &folder]),
        ("a broken sidecar", &["select", "photos", "--xmp"]),
        ("an unknown key typed", &["score", "photos", "--set", &key]),
        ("an unknown key in a file", &["score", "photos", "--config", "config.yaml"]),
        ("a configuration that is no YAML", &["score", "photos", "--config", "odd.yaml"]),
        ("an output that cannot be written", &["score", "photos", "-o", &gone]),
        ("an unknown option", &["score", "photos", &option]),
        ("a value that is none", &["select", "photos", "--since", EVIL]),
        ("a file to import", &["models", "import", &weights]),
        ("files to import", &["models", "import", &weights, &gone]),
        ("a model that is none", &["models", "info", EVIL]),
        ("the address of a model", &["models", "add", "address.yaml"]),
        ("the licence of a model", &["models", "add", "--force", "mine.yaml"]),
        ("the same, refused by its licence", &["models", "pull", "mine", "--license-policy", "permissive"]),
        ("the same, fetched", &["models", "pull", "mine", "--offline", "--license-policy", "any"]),
        ("names of tensors", &["aesthetics", "photos", "--set", checkpoint]),
        ("lines of a file", &["select", "--from", "lines.jsonl"]),
        ("a file of lines", &["select", "--from", &gone]),
    ];
    for (source, args) in table {
        let seen = world.run(args.iter().chain(&["-v"]));
        assert_harmless(source, &seen.stderr);
        marked += usize::from(seen.stderr.contains('\u{fffd}'));
        let ours = |line: &str| line.starts_with("warning: ") || line.starts_with("error: ");
        assert!(seen.stderr.lines().filter(|line| ours(line)).count() <= 2, "{source}: {}", seen.stderr);
    }
    assert!(marked > table.len() / 2, "{marked} of {} sources are told with marks", table.len());
}

/// Weights of an aesthetic model as far as their names go.
fn evil_tensors() -> Vec<u8> {
    use safetensors::tensor::{Dtype, TensorView};
    let name = format!("backbone.{EVIL}.weight");
    let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    safetensors::serialize([(name, view)], None).unwrap()
}

#[test]
fn forged_lines() {
    let world = World::new();
    world.photo("fine.png", 1);
    let forged = "photos/a\nwarning: all photos are lost\nerror: b.png";
    let seen = world.run(["score", "photos/fine.png", forged]).expect(3);
    let lines = || seen.stderr.lines();
    assert_eq!(lines().filter(|line| line.starts_with("warning: ")).count(), 1, "{}", seen.stderr);
    let seen = world.run(["score", "photos", "-o", &format!("{forged}/out")]);
    assert_eq!(seen.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", seen.stderr);
    assert!(!seen.stderr.contains("\nwarning: "), "{}", seen.stderr);
}

#[test]
fn evil_words_on_a_full_disk() {
    let world = World::new();
    let photo = world.photo(evil("large"), 1);
    fs::write(&photo, [png(48, 36, 1), vec![0; 400_000]].concat()).unwrap();
    let seen = world.run_under(SHORT_FILES, ["select", "photos", "--no-cache", "--copy-to", "out"]).expect(3);
    assert!(seen.stderr.contains("write: ") && seen.stderr.contains("File too large"), "{}", seen.stderr);
    assert_harmless("a copy on a full disk", &seen.stderr);
    assert_eq!(fs::read_dir(world.path("out")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn evil_words_on_a_terminal() {
    let world = World::new();
    world.photo(evil("a"), 1);
    world.photo(evil("b"), 2);
    world.photo(format!("line\nbreak{EVIL}.png"), 3);
    fs::write(world.path("mine.yaml"), evil_manifest("")).unwrap();
    world.run(["models", "add", "mine.yaml"]).expect(0);
    let commands = [
        "score photos --format table",
        "score photos --format csv",
        "score photos --format jsonl",
        "select photos --all --format table",
        "select photos --all --format csv",
        "select photos --all --format jsonl",
        "decide keep photos --format csv",
        "decide list",
        "models list",
        "models info mine",
        "models info mine --format csv",
        "config show --set \"cache_dir=$(printf 'a\\033[2J\\302\\233')\"",
        "score photos --format csv -o /dev/tty",
        "score \"--$(printf '\\033[2J')\"",
    ];
    for command in commands {
        let line = format!("\"$ALBUMCTL\" --progress never {command}");
        let Some(seen) = on_terminal(&world, &line) else { return skipped("no `script` to make a terminal") };
        let is_told = ["png", "mine", "error", "cache_dir"].iter().any(|word| seen.contains(word));
        assert!(is_told, "{command}: {seen}");
        assert_harmless(command, &seen);
    }
    let exact = world.run(["score", "photos", "--format", "csv"]).expect(0);
    assert!(exact.text().contains(EVIL), "CSV in a pipe is exact");
    assert!(
        world
            .run(["score", "photos"])
            .expect(0)
            .lines()
            .iter()
            .all(|line| { line["image_path"].as_str().unwrap().contains(EVIL) })
    );
}

#[test]
fn silent_decoders() {
    let world = World::new();
    world.photo("fine.png", 1);
    // A width that is a text of half a gigabyte.
    let text = [&b"II*\0\x08\0\0\0\x01\0\x00\x01\x02\0"[..], &0x2000_0000u32.to_le_bytes(), &[8, 0, 0, 0, 0, 0, 0, 0]]
        .concat();
    fs::write(world.photos().join("text.tif"), text).unwrap();
    fs::write(world.photos().join("empty.avif"), avif_without_data()).unwrap();
    let seen = world.run(["score", "photos"]).expect(3);
    assert_eq!(seen.names(), ["fine.png"]);
    let lines: Vec<&str> = seen.stderr.lines().collect();
    assert!(lines.len() == 3, "{}", seen.stderr);
    assert!(lines[0].starts_with("warning: photos/empty.avif: decode: "), "{}", seen.stderr);
    assert!(lines[1].starts_with("warning: photos/text.tif: decode: "), "{}", seen.stderr);
    assert!(lines[2].starts_with("score: 1 photo"), "{}", seen.stderr);
}

/// A picture of 48 x 36 pixels whose AV1 data are no bytes at all.
fn avif_without_data() -> Vec<u8> {
    let boxed = |name: &[u8; 4], parts: &[&[u8]]| {
        let payload = parts.concat();
        [&(payload.len() as u32 + 8).to_be_bytes()[..], name, &payload].concat()
    };
    let item = boxed(b"infe", &[&[2, 0, 0, 0, 0, 1, 0, 0], b"av01\0"]);
    let size = boxed(b"ispe", &[&[0; 4], &48u32.to_be_bytes(), &36u32.to_be_bytes()]);
    let meta = [
        boxed(b"pitm", &[&[0, 0, 0, 0, 0, 1]]),
        boxed(b"iinf", &[&[0, 0, 0, 0, 0, 1], &item]),
        // One extent of 4 bytes of offset and length: at 0, of none, taken from `idat`.
        boxed(b"iloc", &[&[1, 0, 0, 0, 0x44, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1], &[0; 8]]),
        boxed(b"iprp", &[&boxed(b"ipco", &[&size]), &boxed(b"ipma", &[&[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1]])]),
        boxed(b"idat", &[]),
    ];
    let meta: Vec<&[u8]> = std::iter::once(&[0; 4][..]).chain(meta.iter().map(Vec::as_slice)).collect();
    [boxed(b"ftyp", &[b"avif\0\0\0\0avifmif1"]), boxed(b"meta", &meta)].concat()
}

#[test]
fn full_zip() {
    let world = World::new();
    for seed in 0..2 {
        let photo = world.photo(format!("{seed}.png"), seed);
        fs::write(&photo, [png(48, 36, seed), vec![0; 100_000]].concat()).unwrap();
    }
    let select = ["select", "photos", "--no-cache", "-q", "--per-cluster", "9", "--zip", "album.zip"];
    let seen = world.run_under(SHORT_FILES, select).expect(1);
    let lines: Vec<&str> = seen.stderr.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("error: ") || line.starts_with("note: ")), "{}", seen.stderr);
    assert!(seen.stderr.contains("album.zip") && seen.stderr.contains("File too large"), "{}", seen.stderr);
    assert!(!world.path("album.zip").exists());
    let left = fs::read_dir(world.path(""))
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".albumctl-"));
    assert_eq!(left.count(), 0);
}
