//! Help, manual, completions, device, signals.

use std::process::Stdio;
use std::time::Duration;

use crate::world::World;

#[test]
fn help_and_version_work_even_where_the_configuration_is_broken() {
    let world = World::new();
    std::fs::create_dir_all(world.path("home/.config/albumctl")).unwrap();
    std::fs::write(world.path("home/.config/albumctl/config.yaml"), "nonsense: 1\n").unwrap();
    assert!(world.run(["--version"]).expect(0).text().starts_with("albumctl "));
    let help = world.run(["--help"]).expect(0).text();
    assert!(help.contains("Exit codes:") && help.contains("score"), "{help}");
    world.run(["score", "photos"]).expect(2);
}

#[test]
fn nothing_typed_shows_help_and_is_usage() {
    assert!(World::new().run([""; 0]).expect(2).stderr.contains("Usage: albumctl"));
}

#[test]
fn the_manual_comes_from_the_text_of_help() {
    let world = World::new();
    assert!(world.run(["man"]).expect(0).text().contains(".TH albumctl"));
    assert!(world.run(["man", "score"]).expect(0).text().contains("full\\-resolution"));
    world.run(["man", "nonsense"]).expect(2);
}

#[test]
fn every_command_has_examples_that_the_command_line_takes() {
    fn each(command: &clap::Command, path: &str, seen: &mut usize) {
        let examples = albumctl::cli::examples::of(path);
        assert!(!examples.is_empty(), "`{path}` has no example");
        for (_, line) in examples {
            let words = line.split_whitespace();
            let parsed = albumctl::cli::parse(words.map(Into::into));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            *seen += 1;
        }
        for below in command.get_subcommands() {
            each(below, format!("{path} {}", below.get_name()).trim_start(), seen);
        }
    }
    let mut seen = 0;
    each(&albumctl::cli::command_line(), "", &mut seen);
    assert!(seen > 40, "{seen}");
    let help = World::new().run(["models", "pull", "--help"]).expect(0).text();
    assert!(help.contains("Examples:") && help.contains("albumctl models pull faces"), "{help}");
}

#[test]
fn a_folder_in_the_place_of_a_command_is_understood() {
    let world = World::new();
    let seen = world.run(["photos"]).expect(2);
    assert!(seen.stderr.contains("hint: `albumctl select photos --top 10` picks from it"), "{}", seen.stderr);
    assert!(
        world.run(["selct", "photos"]).expect(2).stderr.contains("'select'"),
        "a slip of the finger is another matter"
    );
}

#[test]
fn short_words_that_people_type() {
    let world = World::new();
    world.many_photos(2);
    let seen = world.run(["select", "photos", "-n", "1", "-j", "1", "--json"]).expect(0);
    assert_eq!(seen.lines().len(), 1);
    world.run(["select", "photos", "--json", "--format", "csv"]).expect(2);
    let version = world.run(["--version"]).expect(0).text();
    assert!(version.contains("features: "), "{version}");
    if std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".git").exists() {
        assert!(version.contains("(commit "), "{version}");
    }
}

#[test]
fn pages_of_the_manual_have_all_sections_and_are_installed_with_completions() {
    let world = World::new();
    world.run(["man", "--dir", "man1"]).expect(0);
    let page = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    for name in ["man1/albumctl.1", "man1/albumctl-select.1", "man1/albumctl-models-pull.1"] {
        for section in ["EXAMPLES", "ENVIRONMENT", "FILES", "EXIT STATUS"] {
            assert!(page(name).contains(&format!(".SH \"{section}\"\n")), "{name}: {section}");
        }
    }
    assert_eq!(world.run(["man", "models", "pull"]).expect(0).text(), page("man1/albumctl-models-pull.1"));
    let mut make = std::process::Command::new("make");
    make.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).arg("install-docs");
    make.arg(format!("BIN={}", env!("CARGO_BIN_EXE_albumctl"))).arg(format!("PREFIX={}", world.root().display()));
    let Ok(made) = make.output() else { return crate::world::skipped("no make") };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(page("share/man/man1/albumctl-select.1").contains("copy"));
    for place in [
        "bash-completion/completions/albumctl",
        "zsh/site-functions/_albumctl",
        "fish/vendor_completions.d/albumctl.fish",
    ] {
        assert!(page(&format!("share/{place}")).contains("albumctl"), "{place}");
    }
}

#[test]
fn device_says_what_and_why() {
    let world = World::new();
    let lines = world.run(["device"]).expect(0).lines();
    assert_eq!(lines.iter().filter(|line| line["chosen"] == true).count(), 1);
    assert!(lines.iter().all(|line| !line["why"].as_str().unwrap().is_empty()));
    world.run(["device", "--device", "abacus"]).expect(2);
}

#[test]
fn an_interrupted_run_keeps_and_prints_what_was_finished() {
    let world = World::new();
    world.many_photos(2000);
    let reference = world.run(["score", "--no-cache", "photos"]).expect(0).text();
    let child = world.command(["score", "photos"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(150));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let seen: crate::world::Seen = child.wait_with_output().unwrap().into();
    let seen = seen.expect(130);
    let printed = seen.text();
    assert!(reference.starts_with(&printed), "a prefix of the whole");
    let lines = printed.lines().count();
    assert!(lines < 2000, "the run was to be interrupted");
    let again = world.run(["score", "-v", "photos"]).expect(0);
    assert_eq!(again.text(), reference);
    let kept = format!("{lines} from the store");
    assert!(lines == 0 || again.stderr.contains(&kept), "printed {lines}; {}", again.stderr);
}
