//! Completions in real shells, and options that help does not show where they do nothing.

use std::path::Path;
use std::process::Command;

use crate::world::{World, skipped};

/// What bash offers where the cursor stands at the end of the line.
fn bash(world: &World, line: &str) -> Vec<String> {
    let script = r#"source ./albumctl.bash
COMP_LINE=$1
COMP_POINT=${#COMP_LINE}
_albumctl
printf '%s\n' "${COMPREPLY[@]}""#;
    shell(world, "bash", &["-c", script, "bash", line]).unwrap()
}

/// The lines a shell prints that finds the binary on its path; `None` where there is no such shell.
fn shell(world: &World, name: &str, words: &[&str]) -> Option<Vec<String>> {
    let folder = Path::new(env!("CARGO_BIN_EXE_albumctl")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = world.through(Command::new(name), words);
    let output = command.env("PATH", format!("{}:{path}", folder.display())).output().ok()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Some(printed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[test]
fn bash_is_offered_what_the_binary_knows() {
    let world = World::new();
    world.run(["completions", "bash", "-o", "albumctl.bash"]).expect(0);
    std::fs::create_dir(world.path("My Photos")).unwrap();
    assert!(bash(&world, "albumctl sel").contains(&"select".to_owned()));
    let models = bash(&world, "albumctl models pull ");
    assert!(models.contains(&"faces".to_owned()) && models.contains(&"dinov2-s".to_owned()), "{models:?}");
    assert_eq!(bash(&world, "albumctl aesthetics photos --model ava"), ["ava-resnet50"]);
    assert_eq!(bash(&world, "albumctl score photos --set album.selection.blink"), ["album.selection.blink_margin="]);
    // Bash takes what stands before the `=` for another word.
    assert_eq!(bash(&world, "albumctl score photos --set isolate=o"), ["on", "off"]);
    assert_eq!(bash(&world, "albumctl score photos --device=cuda:"), ["0"]);
    assert_eq!(bash(&world, "albumctl score photos --format j"), ["jsonl"]);
    assert_eq!(bash(&world, "albumctl cluster photos --method bu"), ["burst"]);
    assert_eq!(bash(&world, "albumctl schema cl"), ["classify", "cluster"]);
    assert_eq!(bash(&world, "albumctl search --model "), ["siglip2-base"]);
    assert_eq!(bash(&world, "albumctl models list --task f"), ["face", "face-recognition"]);
    assert!(bash(&world, "albumctl score My").is_empty(), "bash completes and quotes files itself");
}

#[test]
fn fish_and_zsh_are_offered_the_same() {
    let world = World::new();
    world.run(["completions", "fish", "-o", "albumctl.fish"]).expect(0);
    let asked = "source albumctl.fish; complete -C 'albumctl models pull fac'";
    match shell(&world, "fish", &["--no-config", "-c", asked]) {
        Some(lines) => assert!(lines.iter().any(|line| line.starts_with("faces\t")), "{lines:?}"),
        None => skipped("no fish"),
    }
    std::fs::create_dir(world.path("functions")).unwrap();
    world.run(["completions", "zsh", "-o", "functions/_albumctl"]).expect(0);
    // A terminal of zsh's own, in which Tab is pressed once.
    let asked = r#"zmodload zsh/zpty || exit 0
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($PWD/functions \$fpath); autoload -U compinit; compinit -u -D; print REA''DY"
zpty -r shell seen '*READY*'
zpty -w -n shell $'albumctl select photos --set album.selection.blink\t'
zpty -r shell seen '*blink_margin=*' && print -r -- "$seen"
zpty -d shell"#;
    match shell(&world, "zsh", &["-f", "-c", asked]) {
        Some(lines) => assert!(lines.iter().any(|line| line.contains("blink_margin=")), "{lines:?}"),
        None => skipped("no zsh"),
    }
}

#[test]
fn every_shell_has_a_script_and_an_unknown_one_is_refused() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.run(["completions", shell]).expect(0).text();
        assert!(script.contains("ALBUMCTL_COMPLETE") && script.contains("albumctl"), "{shell}: {script}");
    }
    let asked = world.command(["--", "albumctl"]).env("ALBUMCTL_COMPLETE", "tcsh").output().unwrap();
    let told = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert_eq!(asked.status.code(), Some(2), "{told}");
    assert!(told.contains("unknown shell `tcsh`"), "{told}");
}

#[test]
fn help_shows_a_global_option_only_where_it_does_something() {
    let world = World::new();
    let help = |words: &str| world.run(words.split(' ').chain(["--help"])).expect(0).text();
    for (command, shown, hidden) in [
        ("select", "--models-dir --device --no-cache --isolate --format", ""),
        ("completions", "--output", "--format --device --config --verbose --no-cache"),
        ("man", "--output", "--threads --offline"),
        ("models pull", "--models-dir --license-policy --offline --output", "--device --isolate --no-cache --pull"),
        ("models list", "--format --models-dir", "--threads --strict --offline"),
        ("kmeans fit", "--threads --offline", "--models-dir --no-cache --device"),
        ("decide keep", "--threads --cache-dir", "--device --pull"),
        ("decide list", "--format", "--threads --cache-dir --device"),
        ("device", "--device --set", "--threads --pull"),
        ("config show", "--device --cache-dir --models-dir", "--pull --no-cache"),
    ] {
        let text = help(command);
        let has = |option: &str| text.split_whitespace().any(|word| word == option);
        shown.split_whitespace().for_each(|option| assert!(has(option), "{command} without {option}:\n{text}"));
        hidden.split_whitespace().for_each(|option| assert!(!has(option), "{command} with {option}:\n{text}"));
    }
    // Scripts that give them everywhere go on working.
    world.run(["--device", "cpu", "completions", "bash", "--no-cache"]).expect(0);
    assert!(!world.run(["man", "schema"]).expect(0).text().contains("no\\-cache"));
}
