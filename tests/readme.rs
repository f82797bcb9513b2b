//! README and docs are true: every `$ …` in a console block is run, and what stands below it must come out; every option
//! that they show is one, and every link leads somewhere.

#[path = "world/mod.rs"]
mod world;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use world::{World, skipped};

struct Example {
    command: String,
    expected: Vec<String>,
}

#[test]
fn commands_run_and_print_what_the_readme_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples: Vec<Example> = pages().iter().flat_map(|page| examples(&fs::read_to_string(page).unwrap())).collect();
    assert!(examples.len() > 10, "{} commands are shown", examples.len());
    for Example { command, expected } in examples {
        // Each in a home of its own, standing where the README's reader stands.
        let world = World::new();
        if let Some(absent) = TOOLS.iter().find(|tool| uses(&command, tool) && !find_tool(&world, tool)) {
            skipped(&format!("no {absent} for $ {command}"));
            continue;
        }
        let output = shell(&world, &command).current_dir(root).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "$ {command}\n{printed}{told}");
        assert_fits(&command, &expected, &printed);
    }
}

/// The README and the pages behind it.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = fs::read_dir(root.join("docs")).unwrap().map(|page| page.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages.insert(0, root.join("README.md"));
    pages
}

#[test]
fn every_link_leads_somewhere_and_the_first_page_is_short() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            assert!(page.parent().unwrap().join(target).exists(), "{}: {target}", page.display());
        }
    }
    assert!(fs::read_to_string(&pages()[0]).unwrap().lines().count() <= 200, "the README has more than 200 lines");
}

/// What is shown without being run, because it needs photos or machines that are not here, must at least be understood.
#[test]
fn every_option_that_is_shown_is_one() {
    let world = World::new();
    let mut helps: HashMap<Vec<String>, String> = HashMap::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
        for line in blocks.flat_map(|(block, _)| block.lines()) {
            let Some(line) = line.trim().strip_prefix("albumctl ") else { continue };
            let line = line.split(" #").next().unwrap().split(['|', '>']).next().unwrap();
            let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase()) && !word.is_empty();
            let command: Vec<String> = line.split(' ').take_while(is_word).take(2).map(str::to_owned).collect();
            let help = |command: &[String]| {
                let output = world.command(command.iter().map(String::as_str).chain(["--help"])).output().unwrap();
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            };
            let shown = helps.entry(command.clone()).or_insert_with(|| {
                help(&command).or_else(|| help(&command[..1])).unwrap_or_else(|| panic!("no command: {line}"))
            });
            for option in line.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2) {
                let option = option.split('=').next().unwrap();
                assert!(shown.contains(option), "{}: {option} of {line}", page.display());
            }
        }
    }
}

#[test]
fn every_test_that_the_table_of_the_seeds_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("tests/seeds.md")).unwrap();
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        let files = walkdir::WalkDir::new(root.join(folder)).into_iter().flatten();
        for file in files.filter(|file| file.path().extension().is_some_and(|extension| extension == "rs")) {
            sources += &fs::read_to_string(file.path()).unwrap();
        }
    }
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| statement")).collect();
    assert!(rows.len() > 100, "{}", rows.len());
    for row in rows {
        let shown = row.rsplit_once(" | ").unwrap_or_else(|| panic!("two columns: {row}")).1;
        let is_test =
            |word: &&str| word.matches('_').count() > 1 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        for test in shown.split('`').skip(1).step_by(2).filter(is_test) {
            assert!(sources.contains(&format!("fn {test}(")), "no test `{test}`: {row}");
        }
        assert!(shown.contains('`') || shown.contains("differently"), "nothing shows it: {row}");
    }
}

/// Programs of the examples that not every machine has; what else they use, every Unix has.
const TOOLS: [&str; 3] = ["jq", "fd", "xargs"];

fn uses(command: &str, tool: &str) -> bool {
    command.split(['|', ';', '&']).any(|part| part.split_whitespace().next() == Some(tool))
}

/// Debian calls `fd` `fdfind`: the world gets a link of the right name.
fn find_tool(world: &World, tool: &str) -> bool {
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
    let found = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    if found(tool).is_some() {
        return true;
    }
    let other = found("fdfind").filter(|_| tool == "fd");
    other.is_some_and(|program| {
        fs::create_dir_all(world.path("bin")).unwrap();
        std::os::unix::fs::symlink(program, world.path("bin/fd")).is_ok()
    })
}

/// A shell that finds albumctl, standing in a world of its own.
fn shell(world: &World, command: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_albumctl")).parent().unwrap();
    let path = format!("{}:{}:{}", world.path("bin").display(), binary.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-o", "pipefail", "-c", command]).env_clear().env("PATH", path);
    shell.env("HOME", world.path("home"));
    shell
}

#[test]
fn the_crontab_delivers_what_is_new_and_is_silent_otherwise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/cron.md")).unwrap();
    let (_, block) = page.split_once("```crontab\n").expect("a crontab");
    let line = block.lines().next().unwrap();
    let mut words = line.split_whitespace();
    assert_eq!(words.by_ref().take(5).count(), 5, "minute, hour, day, month, weekday");
    let command = words.collect::<Vec<_>>().join(" ");
    let world = World::new();
    fs::create_dir(world.path("home/Photos")).unwrap();
    let bring = |name: &str| {
        fs::copy(root.join("fixtures/album").join(name), world.path("home/Photos").join(name)).unwrap();
    };
    let run = || {
        let output = shell(&world, &command).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "$ {command}\n{}", String::from_utf8_lossy(&output.stderr));
        let (told, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        // Nobody gets mail about nothing; with news goes one line, that faces were not analysed.
        let expected = if told.is_empty() { "" } else { "note: faces are not analysed" };
        assert!(said.starts_with(expected) && said.lines().count() == usize::from(!told.is_empty()), "{said}");
        told.lines().count()
    };
    bring("DSC_0102.jpg");
    bring("DSC_0108.jpg");
    assert_eq!([run(), run()], [2, 0]);
    bring("DSC_0118.jpg");
    assert_eq!([run(), run()], [1, 0]);
    assert_eq!(fs::read_dir(world.path("home/Album")).unwrap().count(), 3);
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
    assert!(skipping || lines.next().is_none(), "$ {command}\nprinted more than is shown:\n{printed}");
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
