//! Imports go down only. Between crates the compiler sees to it; inside a crate, files must not import each other in a
//! circle, and neither must the folders and files at the top of the package.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which module names which, by their paths below the crate's root; the root itself is the empty path.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut arrows = 0;
    for (name, root) in crates() {
        let imports = imports_of(&root);
        arrows += imports.values().map(BTreeSet::len).sum::<usize>();
        assert_eq!(circle(&imports), None, "crate `{name}`");
        let rooms = imports.iter().map(|(from, to)| (room(from), to.iter().map(|to| room(to))));
        let mut between: Imports = BTreeMap::new();
        for (from, to) in rooms.filter(|(from, _)| !from.is_empty()) {
            between.entry(from.clone()).or_default().extend(to.filter(|to| !to.is_empty() && *to != from));
        }
        // Inside the other crates a folder is one subject with its face; only the package has rooms.
        if name == "albumctl" {
            assert_eq!(circle(&between), None, "rooms of the package");
        }
    }
    assert!(arrows > 500, "only {arrows} imports were found: the check does not see what it is about");
}

/// The package and every crate below `src`, each with the folder of its sources.
fn crates() -> Vec<(String, PathBuf)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let below = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path());
    let crates = below.filter(|path| path.join("Cargo.toml").is_file());
    let named = crates.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
    let mut all: Vec<_> = named.collect();
    assert!(all.len() > 5, "{all:?}");
    all.push(("albumctl".to_owned(), source));
    all
}

fn room(module: &str) -> String {
    module.split("::").next().unwrap_or_default().to_owned()
}

fn imports_of(root: &Path) -> Imports {
    let mut modules = BTreeMap::new();
    for file in rust_files(root, true) {
        let below = file.strip_prefix(root).unwrap().with_extension("");
        let mut path: Vec<&str> = below.iter().map(|part| part.to_str().unwrap()).collect();
        if matches!(path.last(), Some(&"mod")) || path == ["lib"] {
            path.pop();
        }
        modules.insert(path.join("::"), fs::read_to_string(&file).unwrap());
    }
    // What only tests have may look at everything.
    let tests: Vec<String> = modules.iter().flat_map(|(module, text)| tests_of(module, text)).collect();
    modules.retain(|module, _| !tests.contains(module));
    let named = |(module, text): (&String, &String)| {
        let to = paths_in(text).into_iter().filter_map(|path| resolved(module, &path, &modules));
        // What a folder's face hands on of the files in it is no import.
        let inside = |to: &String| module.is_empty() || to.starts_with(&format!("{module}::"));
        (module.clone(), to.filter(|to| to != module && !inside(to)).collect())
    };
    modules.iter().map(named).collect()
}

/// Files that are compiled for tests alone.
fn tests_of(module: &str, text: &str) -> Vec<String> {
    let declared = text.split("#[cfg(test)]\nmod ").skip(1).filter_map(|rest| rest.split_once(';'));
    let files = declared.map(|(name, _)| name).filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    files.map(|name| if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }).collect()
}

/// Every path that begins with `crate`, `self` or `super`, outside of comments and tests.
fn paths_in(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':')) {
                paths.extend(expanded(&code[at..]));
            }
        }
    }
    paths
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`; whatever follows the path is left alone.
fn expanded(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    if !path.ends_with("::") || !rest.starts_with('{') {
        return vec![path.trim_end_matches(':').to_owned()];
    }
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in rest.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (depth, c) {
            (0, _) => break,
            (1, '{') => {}
            (1, ',') => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    let inner = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    inner
        .flat_map(|part| expanded(part).into_iter().map(|inner| format!("{path}{inner}")).collect::<Vec<_>>())
        .collect()
}

/// The module that a path written in `module` leads to.
fn resolved(module: &str, path: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut at: Vec<&str> = module.split("::").filter(|part| !part.is_empty()).collect();
    let mut parts = path.split("::").peekable();
    match parts.next()? {
        "crate" => at.clear(),
        "super" => drop(at.pop()),
        _ => {}
    }
    while parts.next_if_eq(&"super").is_some() {
        at.pop();
    }
    at.extend(parts.filter(|part| *part != "self"));
    while !at.is_empty() && !modules.contains_key(&at.join("::")) {
        at.pop();
    }
    Some(at.join("::")).filter(|found| modules.contains_key(found))
}

/// Some circle, if there is one.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn follow(at: &str, imports: &Imports, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|passed| passed == at) {
            return Some(way[start..].to_vec());
        }
        if !done.insert(at.to_owned()) {
            return None;
        }
        way.push(at.to_owned());
        let found = imports.get(at).into_iter().flatten().find_map(|to| follow(to, imports, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|from| follow(from, imports, &mut Vec::new(), &mut done))
}

/// The sources of one crate: folders that are crates of their own are left out.
fn rust_files(folder: &Path, is_root: bool) -> Vec<PathBuf> {
    if !is_root && folder.join("Cargo.toml").is_file() {
        return Vec::new();
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path, false));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_circle_is_seen() {
    let arrows = |pairs: &[(&str, &str)]| {
        let mut imports: Imports = BTreeMap::new();
        for (from, to) in pairs {
            imports.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        imports
    };
    assert_eq!(circle(&arrows(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&arrows(&[("a", "b"), ("b", "c"), ("c", "b")])), Some(vec!["b".to_owned(), "c".to_owned()]));
    let paths = paths_in("use crate::{a, b::{self, C}};\nfn f() { super::d::g() }\n// crate::not::this\n");
    assert_eq!(paths, ["crate::a", "crate::b::self", "crate::b::C", "super::d::g"]);
}
