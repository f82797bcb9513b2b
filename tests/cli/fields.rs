//! The fields of JSON lines only ever become more. `fields.txt` has all of them under the version they came with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::world::World;

/// The types of a field by its path, `select parts.iqa.weight`.
type Fields = BTreeMap<String, String>;

#[test]
fn fields_are_only_added_and_each_has_the_version_it_came_with() {
    let world = World::new();
    let recorded = include_str!("fields.txt");
    let promised: Fields = recorded.lines().filter_map(|line| line.rsplit_once(' ')).map(owned).collect();
    let schemas: Value = serde_json::from_str(&world.run(["schema"]).expect(0).text()).unwrap();
    let mut types = BTreeMap::new();
    for (command, schema) in schemas.as_object().unwrap() {
        collect(schema, schema, &format!("{command} "), &mut types);
    }
    let there: Fields = types
        .into_iter()
        .map(|(field, types): (String, BTreeSet<String>)| {
            let types =
                if types.is_empty() { "any".to_owned() } else { types.into_iter().collect::<Vec<_>>().join("|") };
            (field, types)
        })
        .collect();
    let broken: Vec<_> = promised.iter().filter(|(field, types)| there.get(*field) != Some(*types)).collect();
    assert!(broken.is_empty(), "programs read these fields as they were: {broken:#?}");
    let new: Vec<String> = there
        .iter()
        .filter(|(field, _)| !promised.contains_key(*field))
        .map(|(field, types)| format!("{field} {types}"))
        .collect();
    assert!(
        new.is_empty(),
        "new fields need a higher version in src/report/schema.rs, and in fields.txt:\n{}",
        new.join("\n")
    );
    let newest = recorded.lines().rfind(|line| !line.is_empty() && !line.contains(' ')).unwrap();
    assert_eq!(world.run(["schema", "--version"]).expect(0).text(), format!("{newest}\n"));
}

fn owned((field, types): (&str, &str)) -> (String, String) {
    (field.to_owned(), types.to_owned())
}

fn collect(schema: &Value, root: &Value, path: &str, types: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(name) = schema["$ref"].as_str() {
        let definition = root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{path}: {name}"));
        return collect(definition, root, path, types);
    }
    // Alternatives of a whole line bring their own definitions.
    for alternative in ["anyOf", "oneOf"].iter().filter_map(|word| schema[word].as_array()).flatten() {
        let root = if alternative["$defs"].is_object() { alternative } else { root };
        collect(alternative, root, path, types);
    }
    let words = match &schema["type"] {
        Value::String(word) => vec![word.as_str()],
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !path.ends_with(' ') {
        types.entry(path.to_owned()).or_default().extend(words.into_iter().map(str::to_owned));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.ends_with(' ') { "" } else { "." };
        collect(property, root, &format!("{path}{dot}{name}"), types);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], root, &format!("{path}[]"), types);
    }
}
