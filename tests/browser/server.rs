//! The server of `review`: who is refused, what is shown, and what the journal holds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::reviewing::{Reviewing, decision};
use crate::world::{World, fixture_album};

fn reviewing(world: &World, args: &[&str]) -> Reviewing {
    let album = fixture_album();
    Reviewing::start(world, &[&[album.to_str().unwrap()][..], args].concat())
}

/// Name and decision of all that the journal holds.
fn journal(world: &World) -> Vec<(String, String)> {
    let line = |line: &Value| {
        let path = line["image_path"].as_str().unwrap();
        (path.rsplit('/').next().unwrap().to_owned(), line["decision"].as_str().unwrap().to_owned())
    };
    world.run(["decide", "list"]).expect(0).lines().iter().map(line).collect()
}

fn index_of(album: &Value, name: &str) -> usize {
    album["photos"]
        .as_array()
        .unwrap()
        .iter()
        .position(|photo| photo["path"].as_str().unwrap().ends_with(name))
        .unwrap()
}

#[test]
fn without_the_secret_every_answer_is_403() {
    let world = World::new();
    let review = reviewing(&world, &[]);
    let host = &review.host;
    let (most, last) = review.secret.split_at(review.secret.len() - 1);
    let wrong = format!("{most}{}", if last == "0" { "1" } else { "0" });
    for path in ["/", "/page.js", "/album.json", "/favicon.ico", &format!("/{wrong}/album.json"), "//", "*"] {
        let answer = review.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[test]
fn a_foreign_origin_and_a_foreign_host_are_refused() {
    let world = World::new();
    let review = reviewing(&world, &[]);
    let (host, secret) = (&review.host, &review.secret);
    let port = host.split(':').nth(1).unwrap();
    for fields in [
        "Host: evil.example".to_owned(),
        format!("Host: localhost:{port}"),
        "X: no host".to_owned(),
        format!("Host: {host}\r\nOrigin: http://evil.example"),
        format!("Host: {host}\r\nOrigin: null"),
        format!("Host: {host}\r\nOrigin: https://{host}"),
        format!("Host: {host}\r\nSec-Fetch-Site: cross-site"),
    ] {
        let get = format!("GET /{secret}/album.json HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n");
        assert_eq!(review.send(&get).status, 403, "{fields}");
    }
    let body = decision(0, "keep");
    let post = |fields: &str| {
        let length = body.len();
        review.send(&format!(
            "POST /{secret}/decide HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    };
    // A form of another page can send this much; one without an origin is no page of ours.
    assert_eq!(post("Content-Type: application/json\r\n").status, 403);
    assert_eq!(post(&format!("Origin: http://{host}\r\nContent-Type: text/plain\r\n")).status, 415);
    assert!(journal(&world).is_empty());
    let answer = review.get("");
    for field in ["Content-Security-Policy: default-src 'none'; script-src 'self'", "Cache-Control: no-store"] {
        assert!(answer.head.contains(field), "{}", answer.head);
    }
    assert!(!answer.head.contains("Access-Control"), "{}", answer.head);
}

#[test]
fn nothing_outside_the_album_is_shown() {
    let world = World::new();
    let review = reviewing(&world, &[]);
    let count = review.get("album.json").json()["photos"].as_array().unwrap().len();
    for path in [
        "original/../../../../etc/passwd",
        "original//etc/passwd",
        "original/%2e%2e%2fetc%2fpasswd",
        "thumbnail/-1",
        &format!("original/{count}"),
        "original/99999999999999999999999",
        "journal.sqlite",
        "page.js/0",
    ] {
        assert_eq!(review.get(path).status, 404, "{path}");
    }
    let out_of_album = review.post("decide", &decision(count, "keep"));
    assert_eq!(out_of_album.status, 500);
    assert!(journal(&world).is_empty());
}

#[test]
fn a_word_is_in_the_journal_when_it_is_answered_and_the_choice_knows_it() {
    let world = World::new();
    let review = reviewing(&world, &["--top", "5"]);
    let album = review.get("album.json").json();
    let ranked =
        |album: &Value| album["photos"].as_array().unwrap().iter().filter(|photo| !photo["rank"].is_null()).count();
    assert_eq!(ranked(&album), 5);
    let first = album["photos"].as_array().unwrap().iter().position(|photo| photo["rank"] == 1).unwrap();
    let name = album["photos"][first]["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let told = review.decide(first, "reject");
    assert_eq!(journal(&world), [(name.clone(), "reject".to_owned())]);
    let changed = told["changed"].as_array().unwrap();
    let now = changed.iter().find(|change| change[0] == first).expect("it changed");
    assert_eq!(now[1], json!({ "rank": null, "met": [], "decision": "reject" }), "what changed, no more");
    let reasons = told["reasons"].as_array().unwrap();
    let reason = reasons.iter().find(|reason| reason[1].as_array().unwrap().contains(&json!(first))).unwrap();
    assert_eq!(reason[0], "You rejected it.");
    assert!(changed.iter().any(|change| change[1]["rank"] == 1), "another is first: {told}");
    // Taken back, and nothing more to take back.
    assert_eq!(review.post("undo", "{}").json()["undo"], 0);
    assert!(journal(&world).is_empty());
    assert_eq!(review.post("undo", "{}").json()["photo"], Value::Null);
    assert_eq!(review.get("album.json").json(), album);
    review.decide(first, "keep");
    review.decide(first, "reject");
    assert_eq!(review.post("undo", "{}").json()["undo"], 1);
    assert_eq!(journal(&world), [(name, "keep".to_owned())]);
}

#[test]
fn the_next_question_is_close_and_an_answer_is_kept_until_it_is_undone() {
    let world = World::new();
    let review = reviewing(&world, &[]);
    let album = review.get("album.json").json();
    let group = |photo: &Value| album["photos"][photo.as_u64().unwrap() as usize]["group"].clone();
    let asked: Vec<Value> = (0..3).map(|_| review.get("question.json").json()).collect();
    for pair in &asked {
        assert_eq!(group(&pair[0]), group(&pair[1]), "two takes of a scene: {pair}");
    }
    assert!(asked[0] != asked[1] && asked[1] != asked[2] && group(&asked[0][0]) != group(&asked[1][0]));
    let told = review.post("prefer", &format!("{{\"better\":{},\"worse\":{}}}", asked[0][0], asked[0][1])).json();
    assert_eq!(told["undo"], 1);
    let pairs = || {
        let lines = world.run(["taste", "export"]).expect(0).lines();
        lines.into_iter().filter(|line| !line["better_than"].is_null()).count()
    };
    assert_eq!(pairs(), 1, "it is on disk when it is answered");
    assert!(journal(&world).is_empty(), "no photo is kept or rejected by that");
    assert_eq!(review.post("undo", "{}").json()["undo"], 0);
    assert_eq!(pairs(), 0);
    assert_eq!(review.post("prefer", "{\"better\":1,\"worse\":1}").status, 500);
    // Decided photos are not asked about; at last there is no question.
    let mut left = 0;
    while !review.get("question.json").json().is_null() {
        left += 1;
        assert!(left < 100);
    }
}

#[test]
fn done_prints_the_album_as_select_does() {
    let world = World::new();
    let album = fixture_album();
    let review = reviewing(&world, &["--top", "4"]);
    let page = review.get("album.json").json();
    let kept = index_of(&page, "DSC_0106.jpg");
    review.decide(kept, "keep");
    let (printed, code) = review.done();
    assert_eq!(code, Some(0));
    assert!(printed.contains("DSC_0106.jpg") && printed.lines().count() == 4, "{printed}");
    let selected = world.run(["select", album.to_str().unwrap(), "--top", "4"]).expect(0);
    assert_eq!(printed, selected.text());
}

#[cfg(unix)]
#[test]
fn an_interrupt_prints_the_album_too() {
    let world = World::new();
    let review = reviewing(&world, &["--top", "3", "--format", "csv"]);
    let id = rustix::process::Pid::from_child(&review.process);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let (printed, code) = review.ended();
    assert_eq!(code, Some(0));
    assert!(printed.starts_with("rank,image_path") && printed.lines().count() == 4, "{printed}");
}

#[test]
fn what_analyze_wrote_is_reviewed_without_looking_again() {
    let world = World::new();
    fs::copy(fixture_album().join("DSC_0101.jpg"), world.path("photos/a.jpg")).unwrap();
    world.photo("b.png", 7);
    world.run(["analyze", "photos", "-o", "analysis.jsonl"]).expect(0);
    let review = Reviewing::start(&world, &["--from", "analysis.jsonl"]);
    let page = review.get("album.json").json();
    let (jpeg, png) = (index_of(&page, "a.jpg"), index_of(&page, "b.png"));
    let original = review.get(&format!("original/{jpeg}"));
    assert_eq!(original.body, fs::read(world.path("photos/a.jpg")).unwrap(), "a JPEG goes as it is");
    let shown = image::load_from_memory(&review.get(&format!("original/{png}")).body).unwrap();
    let stored = image::open(world.path("photos/b.png")).unwrap();
    assert_eq!((shown.width(), shown.height()), (stored.width(), stored.height()));
    assert!(review.get(&format!("thumbnail/{png}")).body.starts_with(&[0xff, 0xd8]));
    // What lies there now is another picture.
    world.photo("b.png", 8);
    assert_eq!(review.get(&format!("original/{png}")).status, 409);
}

#[test]
fn originals_of_heic_and_raw_are_shown_as_jpeg() {
    let world = World::new();
    fs::copy("fixtures/photo/sampling-420.heic", world.path("photos/a.heic")).unwrap();
    let preview = fs::read(fixture_album().join("DSC_0101.jpg")).unwrap();
    fs::write(world.path("photos/b.nef"), crate::raw_file::raw(&preview)).unwrap();
    let review = Reviewing::start(&world, &["photos"]);
    let page = review.get("album.json").json();
    for name in ["a.heic", "b.nef"] {
        let photo = index_of(&page, name);
        let shown = image::load_from_memory(&review.get(&format!("original/{photo}")).body).unwrap();
        let told = |side: &str| page["photos"][photo][side].as_u64().unwrap();
        assert_eq!((u64::from(shown.width()), u64::from(shown.height())), (told("width"), told("height")), "{name}");
        assert!(review.get(&format!("thumbnail/{photo}")).body.starts_with(&[0xff, 0xd8]), "{name}");
        review.decide(photo, "keep");
    }
    assert_eq!(journal(&world).len(), 2);
}

#[test]
fn slow_and_endless_requests_keep_nobody_waiting() {
    let world = World::new();
    let review = reviewing(&world, &[]);
    let mut slow: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&review.host).unwrap()).collect();
    slow.iter_mut().for_each(|stream| stream.write_all(b"GET / HT").unwrap());
    let begun = Instant::now();
    assert_eq!(review.get("album.json").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let mut answer = String::new();
    slow[0].read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(40_000));
    assert_eq!(review.send(&long).status, 431);
    let heavy = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 10000000\r\n\r\n", review.host);
    assert_eq!(review.send(&heavy).status, 413);
}

/// Two scenes of two photos.
const NAMES: [&str; 4] = ["DSC_0101.jpg", "DSC_0102.jpg", "DSC_0105.jpg", "DSC_0106.jpg"];

/// What a person said of the photos of [`NAMES`].
#[derive(Debug, Clone, Default, PartialEq)]
struct Said {
    /// The decision about each.
    words: [String; 4],
    /// Each pair, the lower number first, and which one is better.
    pairs: BTreeMap<[usize; 2], usize>,
}

/// What is asked of the server, of which no answer has come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Open {
    Nothing,
    Word(usize),
    Pair([usize; 2]),
}

impl Said {
    fn in_journal(world: &World) -> Self {
        let place = |content: &Value| {
            let is_it = |name: &&str| {
                let bytes = fs::read(world.path("photos").join(name)).unwrap();
                content.as_str() == Some(blake3::hash(&bytes).to_hex().as_str())
            };
            NAMES.iter().position(is_it).unwrap()
        };
        let mut said = Self::default();
        for (name, word) in journal(world) {
            said.words[NAMES.iter().position(|known| *known == name).unwrap()] = word;
        }
        let lessons = world.run(["taste", "export"]).expect(0).lines();
        for line in lessons.iter().filter(|line| !line["better_than"].is_null()) {
            let (better, worse) = (place(&line["content"]), place(&line["better_than"]));
            said.pairs.insert(pair(better, worse), better);
        }
        said
    }

    /// The same without what is open, which may be stored or not.
    fn without(mut self, open: Open) -> Self {
        match open {
            Open::Nothing => {}
            Open::Word(photo) => self.words[photo].clear(),
            Open::Pair(pair) => _ = self.pairs.remove(&pair),
        }
        self
    }
}

fn pair(a: usize, b: usize) -> [usize; 2] {
    [a.min(b), a.max(b)]
}

/// Decides, is asked, compares and takes comparisons back until the server is gone; comes to what was open then.
fn review_until_killed(review: &Reviewing, said: &mut Said) -> Open {
    let post = |path: &str, body: &str| review.try_post(path, body).filter(|answer| answer.status == 200);
    for n in 0.. {
        let (photo, word) = (n % 4, ["keep", "", "reject", "none"][n / 4 % 4]);
        if !word.is_empty() {
            if post("decide", &decision(photo, word)).is_none() {
                return Open::Word(photo);
            }
            said.words[photo] = if word == "none" { String::new() } else { word.to_owned() };
            continue;
        }
        let Some(question) = review.try_get("question.json") else { return Open::Nothing };
        // Where no question is left, photos are compared all the same.
        let asked: Option<[usize; 2]> = serde_json::from_slice(&question.body).unwrap_or_default();
        let [a, b] = asked.unwrap_or([photo, (photo + 1) % 4]);
        let [better, worse] = if n / 16 % 2 == 0 { [a, b] } else { [b, a] };
        let open = Open::Pair(pair(a, b));
        if post("prefer", &json!({ "better": better, "worse": worse }).to_string()).is_none() {
            return open;
        }
        said.pairs.insert(pair(a, b), better);
        if photo == 3 {
            if post("undo", "{}").is_none() {
                return open;
            }
            said.pairs.remove(&pair(a, b));
        }
    }
    Open::Nothing
}

#[test]
fn nothing_whose_effect_was_told_is_lost_by_a_kill() {
    let world = World::new();
    for name in NAMES {
        fs::copy(fixture_album().join(name), world.path("photos").join(name)).unwrap();
    }
    let mut state = 12_345_u64;
    let (mut compared, mut said) = (0, Said::default());
    for _ in 0..50 {
        let mut review = Reviewing::start(&world, &["photos"]);
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let moment = Duration::from_micros(state >> 33 & 0x1_ffff);
        let id = review.process.id();
        let open = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(moment);
                let pid = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            });
            review_until_killed(&review, &mut said)
        });
        review.process.wait().unwrap();
        let stored = Said::in_journal(&world);
        compared += stored.pairs.len();
        assert_eq!(stored.clone().without(open), said.without(open), "after {moment:?}");
        said = stored;
    }
    assert!(compared > 0, "no comparison was ever stored");
}
