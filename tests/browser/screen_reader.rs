//! What a screen reader is told of the page: the names of what is on it, and what a key press did.

use serde_json::{Value, json};

use crate::chromium::Browser;
use crate::reviewing::Reviewing;
use crate::world::{World, fixture_album, skipped};

/// What has to have a name.
const NAMED: [&str; 13] = [
    "alertdialog",
    "button",
    "combobox",
    "dialog",
    "group",
    "heading",
    "image",
    "listbox",
    "option",
    "searchbox",
    "slider",
    "status",
    "table",
];

/// An element as a screen reader has it.
#[derive(Debug)]
struct Heard {
    /// The element of the page, the same for as long as it is there.
    element: Value,
    role: String,
    name: String,
    /// All text in it.
    text: String,
    /// What is said of its value, for sliders.
    value: String,
}

fn heard(browser: &mut Browser) -> Vec<Heard> {
    let tree = browser.call("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let is_told = |node: &&Value| node["ignored"] != json!(true);
    nodes.iter().filter(is_told).map(|node| one(node, nodes)).collect()
}

fn one(node: &Value, nodes: &[Value]) -> Heard {
    let word = |value: &Value| value["value"].as_str().unwrap_or_default().trim().to_owned();
    let mut texts = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if node["role"]["value"] == "StaticText" {
            texts.push(word(&node["name"]));
        }
        let children: Vec<&Value> = node["childIds"].as_array().into_iter().flatten().collect();
        let child = |id: &&Value| nodes.iter().find(|node| node["nodeId"] == **id);
        open.extend(children.iter().rev().filter_map(child));
    }
    let properties = node["properties"].as_array();
    let value = properties.into_iter().flatten().find(|property| property["name"] == "valuetext");
    Heard {
        element: node["backendDOMNodeId"].clone(),
        role: word(&node["role"]),
        name: word(&node["name"]),
        text: texts.join(" "),
        value: value.map_or(String::new(), |property| word(&property["value"])),
    }
}

/// Asserts that everything has a name; comes to how many there are of each role.
fn all_have_names(browser: &mut Browser, place: &str) -> Vec<Heard> {
    let all = heard(browser);
    for one in all.iter().filter(|one| NAMED.contains(&one.role.as_str())) {
        assert!(!one.name.is_empty(), "{place}: {one:?}");
        assert!(one.role != "slider" || !one.value.is_empty(), "{place}: {one:?}");
    }
    all
}

fn the<'a>(all: &'a [Heard], role: &str, name: &str) -> &'a Heard {
    let found: Vec<&Heard> = all.iter().filter(|one| one.role == role && one.name == name).collect();
    assert_eq!(found.len(), 1, "{role} {name}: {all:?}");
    found[0]
}

#[test]
fn everything_has_a_name_and_what_a_key_did_is_said() {
    let Some(mut browser) = Browser::start(1400, 900) else {
        skipped("no Chromium");
        return;
    };
    let world = World::new();
    let review = Reviewing::start(&world, &[fixture_album().to_str().unwrap(), "--top", "6"]);
    browser.call("Accessibility.enable", &json!({}));
    browser.open(&review.address());
    let all = all_have_names(&mut browser, "the list");
    assert!(all.iter().filter(|one| one.role == "option").count() > 6);
    let said = the(&all, "status", "Last decision").element.clone();
    the(&all, "listbox", "Photos");
    browser.see("document.getElementById('filters').click()");
    let all = all_have_names(&mut browser, "the filters");
    assert_eq!(the(&all, "slider", "Overall: lowest").value, "0.00");
    browser.see("document.getElementById('filters').click()");

    // A live region that was there before is what is heard; one that comes with its text is not.
    browser.see("document.getElementById('list').focus()");
    browser.key("k");
    browser.until("document.body.dataset.said === '1'");
    let all = all_have_names(&mut browser, "a kept photo");
    let told = the(&all, "status", "Last decision");
    assert!(told.text.contains(": you kept it, picked as number ") && told.element == said, "{told:?}");

    browser.key("Enter");
    browser.until("document.querySelectorAll('#closer .pane[data-loaded]').length === 1");
    let all = all_have_names(&mut browser, "one photo");
    the(&all, "dialog", "One photo");
    let at = the(&all, "status", "Current photo");
    let (first, said) = (at.text.clone(), at.element.clone());
    assert!(first.contains("you kept it"), "{first}");
    browser.key("2");
    browser.until("document.querySelectorAll('#closer .pane[data-loaded]').length === 2");
    browser.key("ArrowRight");
    let all = all_have_names(&mut browser, "two photos");
    the(&all, "dialog", "2 photos side by side");
    assert_eq!(all.iter().filter(|one| one.role == "image").count(), 2);
    let at = the(&all, "status", "Current photo");
    assert!(at.text != first && at.element == said, "the photo one has come to: {at:?}");
    browser.key("x");
    browser.until("document.body.dataset.said === '2'");
    let all = all_have_names(&mut browser, "a rejected photo");
    let told = the(&all, "status", "Current photo");
    assert!(told.text.ends_with(": you rejected it, not picked") && told.element == said, "{told:?}");
    browser.key("Escape");
    browser.until("!document.getElementById('closer').open");

    browser.key("q");
    browser.until("document.body.dataset.asked === '1'");
    let all = all_have_names(&mut browser, "a question");
    the(&all, "dialog", "Which of the two is better?");
    browser.key("Escape");
    browser.until("!document.getElementById('closer').open");
    browser.key("?");
    let all = all_have_names(&mut browser, "the keys");
    the(&all, "dialog", "Keys");
    assert_eq!(browser.wrong, Vec::<String>::new());
}
