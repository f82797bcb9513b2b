//! The README is true: every `$ albumctl …` in a console block is run, and what stands below it must come out.

#[path = "world/mod.rs"]
mod world;

use std::fs;
use std::path::Path;
use std::process::Command;

use world::World;

struct Example {
    command: String,
    expected: Vec<String>,
}

#[test]
fn commands_run_and_print_what_the_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = examples(&fs::read_to_string(root.join("README.md")).unwrap());
    assert!(!examples.is_empty(), "the README shows no command");
    for Example { command, expected } in examples {
        // Each in a home of its own, standing where the README's reader stands.
        let world = World::new();
        let binary = Path::new(env!("CARGO_BIN_EXE_albumctl"));
        let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-o", "pipefail", "-c", &command])
            .env_clear()
            .env("PATH", path)
            .env("HOME", world.path("home"))
            .env("OUT", world.path("out"))
            .current_dir(root)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "$ {command}\n{printed}{told}");
        assert_fits(&command, &expected, &printed);
    }
}

/// `…` alone on a line stands for any lines; everything else must be there as it stands.
#[track_caller]
fn assert_fits(command: &str, expected: &[String], printed: &str) {
    let mut lines = printed.lines().map(str::trim_end);
    let mut skipping = false;
    for wanted in expected.iter().map(|line| line.trim_end()) {
        if wanted == "…" {
            skipping = true;
            continue;
        }
        let found = if skipping { lines.find(|line| *line == wanted) } else { lines.next() };
        assert_eq!(found, Some(wanted), "$ {command}\nprinted:\n{printed}");
        skipping = false;
    }
    assert!(skipping || lines.next().is_none(), "$ {command}\nprinted more than the README shows:\n{printed}");
}

fn examples(readme: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => {
                if let Some(command) = line.strip_prefix("$ ") {
                    examples.push(Example { command: command.to_owned(), expected: Vec::new() });
                } else {
                    let example = examples.last_mut().expect("a console block begins with a command");
                    // A command goes on where its line ends in a backslash.
                    match example.command.strip_suffix('\\') {
                        Some(begun) if example.expected.is_empty() => {
                            example.command = format!("{begun}{}", line.trim_start());
                        }
                        _ => example.expected.push(line.to_owned()),
                    }
                }
            }
        }
    }
    examples
}
