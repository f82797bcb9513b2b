//! Faults of files that are no photos: sidecars, models, lists, records, features.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{Seen, World, set_mode, skipped};

/// What a run may take that has next to nothing to do, on a machine that has much to do.
const SOON: Duration = Duration::from_secs(60);

#[track_caller]
fn soon(mut command: Command) -> Seen {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    ended_within(&mut child, SOON);
    child.wait_with_output().unwrap().into()
}

#[track_caller]
fn ended_within(child: &mut Child, most: Duration) {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > most {
            child.kill().unwrap();
            panic!("it hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pipe(world: &World, below: &str) -> PathBuf {
    let path = world.path(below);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

fn megabytes(command: &mut Command, most: u32) -> Command {
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--as={}", u64::from(most) << 20))
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    limited.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    limited
}

#[test]
fn sidecar_that_is_no_file() {
    let world = World::new();
    world.many_photos(4);
    pipe(&world, "photos/0000.xmp");
    symlink("/dev/zero", world.photos().join("0001.xmp")).unwrap();
    let sparse = fs::File::create(world.photos().join("0002.xmp")).unwrap();
    sparse.set_len(900 << 20).unwrap();
    let command = &mut world.command(["select", "photos", "--all", "--top", "4", "--threads", "1", "--xmp"]);
    let seen = soon(megabytes(command, 900)).expect(3);
    for refused in ["0000.png", "0001.png", "0002.png"] {
        assert!(seen.stderr.contains(&format!("warning: photos/{refused}: ")), "{}", seen.stderr);
    }
    for why in ["not a regular file but a pipe", "not a regular file but a device", "longer than 16 MB"] {
        assert!(seen.stderr.contains(why), "{why}: {}", seen.stderr);
    }
    assert_eq!(seen.lines().len(), 4);
    assert!(fs::read_to_string(world.photos().join("0003.xmp")).unwrap().contains("xmp:Rating"));
}

#[test]
fn model_that_is_no_file() {
    let world = World::new();
    world.photo("good.png", 1);
    pipe(&world, "model.pt");
    let seen = soon(world.command(["models", "import", "model.pt"])).expect(1);
    assert!(seen.stderr.contains("model.pt: not a regular file but a pipe"), "{}", seen.stderr);
    let args = ["aesthetics", "photos", "--set", "quality_assessment.ava_checkpoint=model.pt"];
    let seen = soon(world.command(args));
    assert!(
        matches!(seen.code, Some(1 | 2)) && seen.stderr.contains("not a regular file but a pipe"),
        "{}",
        seen.stderr
    );
    fs::create_dir_all(world.path("home/.config/albumctl")).unwrap();
    pipe(&world, "home/.config/albumctl/config.yaml");
    let seen = soon(world.command(["score", "photos"])).expect(2);
    assert!(seen.stderr.contains("config.yaml: not a regular file but a pipe"), "{}", seen.stderr);
}

#[test]
fn stopped_while_nothing_comes() {
    let world = World::new();
    pipe(&world, "silent");
    // Whoever holds it open for writing says nothing and keeps it from ending.
    let silent = fs::OpenOptions::new().read(true).write(true).open(world.path("silent")).unwrap();
    let runs = [
        &["score", "-"][..],
        &["select", "--from", "-"],
        &["select", "--from", "silent"],
        &["dedup", "--data-file", "silent"],
        &["kmeans", "fit", "--data-file", "silent"],
    ];
    for args in runs {
        for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
            let mut command = world.command(args);
            command.stdin(silent.try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(500));
            assert!(child.try_wait().unwrap().is_none(), "{args:?} does not wait");
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
            ended_within(&mut child, Duration::from_secs(20));
            let seen = Seen::from(child.wait_with_output().unwrap());
            assert_eq!((seen.code, seen.text().as_str()), (Some(130), ""), "{args:?}: {}", seen.stderr);
        }
    }
}

#[test]
fn what_comes_through_pipes() {
    let world = World::new();
    world.many_photos(3);
    let records = world.run(["analyze", "photos"]).expect(0);
    fs::write(world.path("records.jsonl"), &records.stdout).unwrap();
    let expected = world.run(["select", "--from", "records.jsonl", "--all"]).expect(0);
    let binary = env!("CARGO_BIN_EXE_albumctl");
    let script = format!(
        "'{binary}' select --all --from <(sleep 0.3; cat records.jsonl) && \
         cat records.jsonl | '{binary}' select --all --from - && \
         '{binary}' select --all --from /dev/stdin < records.jsonl && \
         '{binary}' select --all --config <(echo 'num_workers: 1') --from records.jsonl"
    );
    let mut command = world.command([""; 0]);
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.stdin(Stdio::null()).get_current_dir().unwrap()).stdin(Stdio::null());
    assert_eq!(soon(shell).expect(0).stdout, expected.stdout.repeat(4));
    let seen = world.run(["select", "--from", "/dev/null", "--config", "/dev/null"]).expect(0);
    assert_eq!(seen.text(), "");
}

#[test]
fn endless_line() {
    let world = World::new();
    let mut command = world.command(["select", "--from", "/dev/zero", "--threads", "1"]);
    let seen = soon(megabytes(&mut command, 900)).expect(1);
    assert!(seen.stderr.contains("cannot read /dev/zero: longer than 16 MB"), "{}", seen.stderr);
}

/// The zip of `torch.save` around a pickle.
fn checkpoint(pickle: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("archive/data.pkl", stored).unwrap();
    archive.write_all(pickle).unwrap();
    archive.finish().unwrap().into_inner()
}

#[test]
fn deep_weights() {
    let world = World::new();
    world.photo("good.png", 1);
    // `()` and two hundred thousand tuples of one around it.
    let pickle = [&b"\x80\x02)"[..], &vec![0x85; 200_000], b"."].concat();
    fs::write(world.path("deep.pt"), checkpoint(&pickle)).unwrap();
    let args = ["aesthetics", "photos", "--set", "quality_assessment.ava_checkpoint=deep.pt"];
    let seen = soon(world.command(args));
    assert!(matches!(seen.code, Some(1 | 2)), "{:?}: {}", seen.code, seen.stderr);
    assert!(seen.stderr.contains("deep.pt") && seen.stderr.contains("nested too deeply"), "{}", seen.stderr);
}

#[test]
fn boundless_manifest() {
    let world = World::new();
    for size in [u64::MAX, 1 << 50] {
        let text = format!("{{name: vast, version: 1, task: face, license: MIT, file: {{name: a.bin, size: {size}}}}}");
        fs::write(world.path("vast.yaml"), text).unwrap();
        let seen = soon(world.command(["models", "add", "vast.yaml"])).expect(1);
        assert!(seen.stderr.contains("larger than any model"), "{}", seen.stderr);
    }
    fs::File::create(world.path("long.yaml")).unwrap().set_len(900 << 20).unwrap();
    let seen = soon(megabytes(&mut world.command(["models", "add", "long.yaml"]), 900)).expect(2);
    assert!(seen.stderr.contains("longer than 1 MB"), "{}", seen.stderr);
}

#[test]
fn series_without_singles() {
    let world = World::new();
    world.many_photos(4);
    let labels = "file,score\n0000.png,0.1\n0001.png,0.2\n0002.png,0.3\n0003.png,0.4\n";
    fs::write(world.path("train.csv"), labels).unwrap();
    let recipe = include_str!("../../configs/train/album-mini.yaml");
    let recipe = recipe.replace("series: ss01_", "series: '0'").replace("photos: train", "photos: photos");
    let bursts = "bursts: { labels: bursts.csv, photos: bursts }";
    fs::write(world.path("recipe.yaml"), recipe.replace(bursts, "bursts: null")).unwrap();
    let args = ["train", "mini", "--data", ".", "--run", "run", "--recipe", "recipe.yaml"];
    let seen = soon(world.command(args)).expect(2);
    assert!(seen.stderr.contains("every training photo belongs to the series `0`"), "{}", seen.stderr);
}

#[test]
fn few_threads() {
    let world = World::new();
    world.many_photos(6);
    let plain = world.run(["score", "photos", "--no-cache"]).expect(0);
    let album = world.run(["select", "photos", "--no-cache", "--all"]).expect(0);
    set_mode(&world.photos(), 0o755);
    let limited = |most: u32, args: &[&str]| {
        let command = world.command_without_privileges(args)?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let mut words: Vec<OsString> = words.map(ToOwned::to_owned).collect();
        // Behind what takes the privileges away, where that is needed: for root there is no limit.
        let place = words.iter().position(|word| word == "--").map_or(0, |at| at + 1);
        words.splice(place..place, ["prlimit".into(), format!("--nproc={most}").into(), "--".into()]);
        let mut whole = Command::new(&words[0]);
        whole.args(&words[1..]).env_clear();
        whole.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        whole.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
        Some(soon(whole))
    };
    for most in [1, 2, 4] {
        let threads = ["--threads", "8", "--no-cache"];
        let Some(seen) = limited(most, &[&["score", "photos"][..], &threads].concat()) else {
            return skipped("cannot run without privileges here");
        };
        assert_eq!(seen.expect(0).stdout, plain.stdout, "{most} threads");
        let seen = limited(most, &[&["select", "photos", "--all"][..], &threads].concat()).unwrap().expect(0);
        assert_eq!(seen.stdout, album.stdout, "{most} threads");
        assert!(most > 1 || seen.stderr.contains("no threads can be started"), "{}", seen.stderr);
    }
}

#[test]
fn panic_that_nobody_contains() {
    const ENDS_HERE: &str = "ALBUMCTL_TEST_PANICS";
    // This test once more, as a program of its own: what it is about ends the process.
    if std::env::var_os(ENDS_HERE).is_some() {
        let run = || {
            std::thread::scope(|scope| {
                scope.spawn(|| panic!("a \u{1b}[31mnumber\n too large"));
            });
            0
        };
        std::process::exit(base::contain::or_one_line(run, 1));
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reading::panic_that_nobody_contains", "--nocapture"]);
    command.env(ENDS_HERE, "1").stdin(Stdio::null());
    let seen = soon(command).expect(1);
    let expected = "error: internal error: a \u{fffd}[31mnumber\u{fffd} too large (tests/faults/reading.rs:";
    assert!(seen.stderr.starts_with(expected), "{}", seen.stderr);
    assert_eq!((seen.stderr.lines().count(), seen.stderr.contains("please report it")), (1, true), "{}", seen.stderr);
}

#[test]
fn damaged_features() {
    let world = World::new();
    world.many_photos(12);
    world.run(["embed", "photos", "-o", "whole.parquet"]).expect(0);
    let whole = fs::read(world.path("whole.parquet")).unwrap();
    let features = world.path("features.parquet");
    let mut lottery = 7u64;
    for round in 0..if std::env::var_os("ALBUMCTL_MUTATIONS").is_some() { 4000 } else { 60 } {
        fs::write(&features, mutated(&whole, round, &mut lottery)).unwrap();
        let dedup = &["dedup", "--data", "features.parquet", "--work", ".", "--sample", "4"][..];
        let fit = &["kmeans", "fit", "--data", "features.parquet", "-k", "2", "--model", "m.safetensors"][..];
        let args = if round % 3 == 0 { fit } else { dedup };
        let _ = fs::remove_dir_all(world.path("m.safetensors.work"));
        let seen = soon(megabytes(world.command(args).args(["--threads", "2"]), 6000));
        let told = seen.stderr.contains("internal error") || seen.stderr.contains("panicked");
        let kept = || {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("damaged-{round}.parquet"));
            fs::copy(&features, &kept).map(|_| kept)
        };
        assert!(matches!(seen.code, Some(0..=2)) && !told, "{:?} {:?}: {}", kept(), seen.code, seen.stderr);
    }
}

/// A few bytes of the file, most of them near its end where the structure lies, are others.
fn mutated(whole: &[u8], round: u64, lottery: &mut u64) -> Vec<u8> {
    let mut draw = |below: usize| {
        *lottery = lottery.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*lottery >> 33) as usize % below
    };
    let mut bytes = whole.to_vec();
    for _ in 0..=round % 3 {
        let reach = if draw(3) > 0 { bytes.len().min(1500) } else { bytes.len() };
        let at = bytes.len() - 1 - draw(reach);
        bytes[at] = match draw(4) {
            0 => bytes[at] ^ (1 << draw(8)),
            1 => [0, 1, 0x7f, 0x80, 0xff][draw(5)],
            2 => bytes[at].wrapping_add(2),
            _ => draw(256) as u8,
        };
    }
    if round % 10 == 9 {
        bytes.truncate(draw(bytes.len()));
    }
    bytes
}
