//! `albumctl review` in a real browser, used by keyboard as a person would.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::chromium::Browser;
use crate::reviewing::Reviewing;
use crate::world::{World, fixture_album, skipped};

const CURRENT: &str = "document.querySelector('#list .photo.here').dataset.photo";

#[test]
fn an_album_is_reviewed_by_keyboard_alone() {
    let Some(mut browser) = Browser::start(1400, 900) else {
        skipped("no Chromium");
        return;
    };
    let world = World::new();
    let review = Reviewing::start(&world, &[fixture_album().to_str().unwrap(), "--top", "6"]);
    browser.open(&review.address());
    assert_eq!(browser.see("document.querySelectorAll('#list .photo.pick').length >= 6"), json!(true));
    assert_eq!(browser.see("document.querySelector('#list h2').firstChild.textContent"), json!("Picked"));
    browser.picture("review");

    // The first pick is rejected: another one is first at once, and the next word takes that back.
    let first = browser.see(CURRENT);
    browser.key("x");
    browser.until("document.body.dataset.said === '1'");
    let told = browser.see("document.getElementById('told').textContent");
    assert!(told.as_str().unwrap().ends_with(": you rejected it, not picked"), "{told}");
    assert_ne!(browser.see(CURRENT), first, "the next pick takes its place");
    assert_eq!(browser.see("document.querySelectorAll('#list .photo.pick .badge').length >= 6"), json!(true));
    browser.key("u");
    browser.until("document.body.dataset.said === '2'");
    assert_eq!(browser.see(CURRENT), first);
    assert!(world.run(["decide", "list"]).expect(0).lines().is_empty());

    // Down to the scenes, and one that was not picked is kept.
    for _ in 0..30 {
        browser.key("ArrowRight");
        if browser.see("document.querySelector('#list .photo.here').classList.contains('pick')") == json!(false) {
            break;
        }
    }
    let kept = browser.see(CURRENT);
    browser.key("k");
    browser.until("document.body.dataset.said === '3'");
    assert_eq!(browser.see(CURRENT), kept, "one stays at the photo");
    let name = browser.see(&format!(
        "document.querySelector('#list .photo[data-photo=\"{}\"] .name span').textContent",
        kept.as_str().unwrap()
    ));
    let label = browser.see("document.getElementById(document.getElementById('list').getAttribute('aria-activedescendant')).getAttribute('aria-label')");
    assert!(
        label.as_str().unwrap().contains("you kept it") && label.as_str().unwrap().starts_with(name.as_str().unwrap()),
        "{label}"
    );

    // Two side by side, at 100 %, moved together; four; one; back.
    browser.key("2");
    browser.until("document.querySelectorAll('#closer .pane[data-loaded]').length === 2");
    browser.key("z");
    browser.until("[...document.querySelectorAll('#closer .hold')].every((hold) => hold.dataset.percent === '100')");
    let same = "(() => { const [a, b] = [...document.querySelectorAll('#closer .hold')].map((hold) => hold.style.left + hold.style.top); return a === b; })()";
    assert_eq!(browser.see(same), json!(true));
    browser.picture("review-zoomed");
    browser.key("z");
    browser.key("4");
    browser.until("document.querySelectorAll('#closer .pane[data-loaded]').length === 4");
    browser.picture("review-four");
    let at = browser.see("document.querySelector('#closer .pane.here').dataset.photo");
    browser.key("ArrowRight");
    assert_ne!(browser.see("document.querySelector('#closer .pane.here').dataset.photo"), at);
    browser.key("f");
    browser.key("Escape");
    browser.until("!document.getElementById('closer').open");
    browser.key("?");
    assert_eq!(browser.see("document.getElementById('keys').open"), json!(true));
    browser.key("Escape");
    browser.until("!document.getElementById('keys').open");
    assert_eq!(browser.see("document.activeElement.id"), json!("list"));

    // A question: the right one is better; the next question comes, and Escape leaves it open.
    browser.key("q");
    browser.until(
        "document.body.dataset.asked === '1' && document.querySelectorAll('#closer .pane[data-loaded]').length === 2",
    );
    let pair = "[...document.querySelectorAll('#closer .pane')].map((pane) => pane.dataset.photo).join()";
    let first = browser.see(pair);
    assert_eq!(browser.see("document.querySelectorAll('#closer .better').length"), json!(1), "it needs no keyboard");
    browser.key("ArrowRight");
    browser.picture("question");
    browser.key("b");
    browser.until("document.body.dataset.asked === '2'");
    assert_ne!(browser.see(pair), first);
    browser.key("Escape");
    browser.until("!document.getElementById('closer').open");

    // Done by keyboard, too.
    browser.see("document.getElementById('done').focus()");
    browser.key("Enter");
    browser.until("document.body.dataset.ended === 'yes'");
    let (printed, code) = review.ended();
    assert_eq!(code, Some(0));
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[0]["decision"], "keep");
    let held = world.run(["decide", "list"]).expect(0).lines();
    assert_eq!(held.len(), 1);
    assert!(held[0]["image_path"].as_str().unwrap().ends_with(name.as_str().unwrap()));
    let learned = world.run(["taste", "export"]).expect(0).lines();
    assert_eq!(learned.iter().filter(|line| !line["better_than"].is_null()).count(), 1);
    assert_eq!(browser.wrong, Vec::<String>::new());
}

#[test]
fn photos_are_found_by_words_of_names_of_text_and_of_what_they_show() {
    let Some(mut browser) = Browser::start(1400, 900) else {
        skipped("no Chromium");
        return;
    };
    let world = World::new();
    world.many_photos(3);
    let mut lines = world.run(["analyze", "photos"]).expect(0).lines();
    // As the models that few machines have would say it.
    lines[0]["labels"] =
        json!([{ "label": "golden retriever", "score": 0.8 }, { "label": "tennis ball", "score": 0.02 }]);
    let square = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.2], [0.1, 0.2]];
    let line = json!({ "text": "Grand Hotel", "confidence": 0.9, "bbox": [0.1, 0.1, 0.3, 0.1], "corners": square });
    lines[1]["text"] = json!({ "text": "Grand Hotel", "lines": [line] });
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(world.path("analysis.jsonl"), lines.join("\n")).unwrap();
    let review = Reviewing::start(&world, &["--from", "analysis.jsonl"]);
    browser.open(&review.address());
    let mut found = |words: &str| {
        browser.see("document.getElementById('reset').click()");
        browser.key("/");
        browser.call("Input.insertText", &json!({ "text": words }));
        let found = browser.see("[...document.querySelectorAll('#list .photo')].map((photo) => photo.dataset.photo)");
        browser.key("Escape");
        let found: BTreeSet<String> = serde_json::from_value(found).unwrap();
        found.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("dog"), "0", "a golden retriever is one");
    assert_eq!(found("retriever Golden"), "0");
    assert_eq!(found("hotel"), "1");
    assert_eq!(found("grand dog"), "");
    assert_eq!(found("tennis"), "", "it is not likely");
    assert_eq!(found("photos"), "0 1 2");
    assert_eq!(browser.see("document.activeElement.id"), json!("list"));
    assert_eq!(browser.wrong, Vec::<String>::new());
}

#[test]
fn a_second_browser_without_the_secret_sees_nothing() {
    let Some(mut browser) = Browser::start(800, 600) else {
        skipped("no Chromium");
        return;
    };
    let world = World::new();
    world.many_photos(3);
    let review = Reviewing::start(&world, &["photos"]);
    browser.call("Page.navigate", &json!({ "url": format!("http://{}/", review.host) }));
    browser.until("document.readyState === 'complete' && document.body.textContent.length > 0");
    let text = browser.see("document.body.textContent");
    assert_eq!(text, json!("the secret is missing: open the address that albumctl printed\n"));
}

#[test]
fn a_report_saves_decisions_that_albumctl_reads() {
    let Some(mut browser) = Browser::start(1200, 900) else {
        skipped("no Chromium");
        return;
    };
    let world = World::new();
    let album = fixture_album();
    world.run(["select", album.to_str().unwrap(), "--top", "5", "--report", "album.html", "--preview"]).expect(0);
    browser.call("Browser.setDownloadBehavior", &json!({ "behavior": "allow", "downloadPath": world.root() }));
    browser.open(&format!("file://{}", world.path("album.html").display()));
    let photo =
        |browser: &mut Browser| browser.see("document.querySelector('#list .photo.here .name span').textContent");
    // A pick is there at 1,200 pixels, another photo as small as it is in the list.
    let side = "(() => { const image = document.querySelector('#closer .pane[data-loaded] img:last-of-type'); return image && Math.max(image.naturalWidth, image.naturalHeight); })()";
    browser.key("Enter");
    browser.until(&format!("{side} === 1200"));
    browser.key("Escape");
    let rejected = photo(&mut browser);
    browser.key("x");
    browser.key("ArrowRight");
    let kept = photo(&mut browser);
    browser.key("k");
    // One more, which is taken back.
    browser.key("ArrowRight");
    browser.key("k");
    browser.key("u");
    browser.picture("report");
    browser.see("document.getElementById('save').click()");
    let file = world.path("decisions.jsonl");
    let begun = std::time::Instant::now();
    while !file.is_file() {
        assert!(begun.elapsed().as_secs() < 20, "no file was saved; wrong: {:?}", browser.wrong);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(browser.see("document.getElementById('save').disabled"), json!(true));
    world.run(["decide", "--from", "decisions.jsonl"]).expect(0);
    let chosen = world.run(["select", album.to_str().unwrap(), "--all"]).expect(0).lines();
    for (name, word) in [(rejected, "reject"), (kept, "keep")] {
        let line = chosen.iter().find(|line| line["image_path"].as_str().unwrap().ends_with(name.as_str().unwrap()));
        assert_eq!(line.unwrap()["decision"], word, "{name}");
    }
    assert_eq!(chosen.iter().filter(|line| !line["decision"].is_null()).count(), 2);
    assert_eq!(browser.wrong, Vec::<String>::new());
}
