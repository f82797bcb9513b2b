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
fn the_manual_and_completions_come_from_the_same_text() {
    let world = World::new();
    assert!(world.run(["man"]).expect(0).text().contains(".TH albumctl"));
    assert!(world.run(["man", "score"]).expect(0).text().contains("full\\-resolution"));
    world.run(["man", "nonsense"]).expect(2);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(world.run(["completions", shell]).expect(0).text().contains("score"), "{shell}");
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
