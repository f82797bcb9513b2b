//! Each fault of a server, and what becomes of the pull.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hub::digest::Digest;
use hub::fetch::{Event, ExpectedFile, SourceError};

use crate::place::{Place, leave_a_part, noise, source_error, wanted};
use crate::server::Served;

#[test]
fn a_good_server() {
    let (place, bytes) = (Place::new(), noise(3_000_000, 1));
    let url = place.server.serve("/a", Served::file(&bytes));
    let pulled = place.pull(&wanted(&bytes, &[&url])).unwrap();
    assert_eq!((pulled.bytes, pulled.transferred, pulled.already_there), (3_000_000, 3_000_000, false));
    place.assert_is_there(&bytes);
    place.server.forget_log();
    let again = place.pull(&wanted(&bytes, &[&url])).unwrap();
    assert_eq!((again.transferred, again.already_there, place.server.log().len()), (0, true, 0));
}

#[test]
fn cut_at_every_tenth_kilobyte() {
    let (place, bytes) = (Place::new(), noise(500_000, 2));
    let url = place.server.serve("/a", Served { cut_after: Some(10_240), ..Served::file(&bytes) });
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    place.assert_is_there(&bytes);
    let log = place.server.log();
    assert_eq!(log.len(), 49, "each answer brings its ten kilobytes");
    assert_eq!(place.server.sent(), 500_000, "no byte twice");
    assert!(log.windows(2).all(|pair| pair[1].from() == pair[0].from() + 10_240));
}

#[test]
fn cut_and_ignorant_of_ranges() {
    let (place, bytes) = (Place::new(), noise(200_000, 3));
    let served = Served { cut_after: Some(150_000), ignores_ranges: true, ..Served::file(&bytes) };
    let url = place.server.serve("/a", served);
    // It starts over each time, and never gets to the end: given up, not looped for ever.
    let error = source_error(place.pull(&wanted(&bytes, &[&url])));
    assert!(matches!(error, SourceError::GivenUp { .. }), "{error}");
    place.assert_is_missing(&bytes);
    // The same server, mended.
    let url = place.server.serve("/a", Served { ignores_ranges: true, ..Served::file(&bytes) });
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    place.assert_is_there(&bytes);
}

#[test]
fn lies_about_length() {
    let (place, bytes) = (Place::new(), noise(100_000, 4));
    for said in [99_999, 100_001, 1_000_000_000_000] {
        let url = place.server.serve("/a", Served { says_length: Some(said), ..Served::file(&bytes) });
        let error = source_error(place.pull(&wanted(&bytes, &[&url])));
        assert!(matches!(error, SourceError::Size { expected: 100_000, found } if found == said as u64), "{error}");
        place.assert_is_missing(&bytes);
    }
    // The manifest knows no size: fewer bytes come than were said, the rest is asked for and never comes.
    let unsized_file = |url: &str| ExpectedFile { size: None, ..wanted(&bytes, &[url]) };
    let url = place.server.serve("/b", Served { says_length: Some(100_001), ..Served::file(&bytes) });
    assert!(place.pull(&unsized_file(&url)).is_err());
    place.assert_is_missing(&bytes);
    // Says less than it is: what was said is what comes, and its hash is wrong.
    let url = place.server.serve("/c", Served { says_length: Some(99_999), ..Served::file(&bytes) });
    let error = source_error(place.pull(&unsized_file(&url)));
    assert!(matches!(error, SourceError::Hash { .. }), "{error}");
    place.assert_is_missing(&bytes);
}

#[test]
fn says_no_length() {
    let (place, bytes) = (Place::new(), noise(100_000, 5));
    let chunked = place.server.serve("/a", Served { chunked: true, ..Served::file(&bytes) });
    let until_closed = place.server.serve("/b", Served { says_no_length: true, ..Served::file(&bytes) });
    for url in [chunked, until_closed] {
        place.pull(&wanted(&bytes, &[&url])).unwrap();
        place.assert_is_there(&bytes);
        place.cache().remove(&Digest::of(&bytes)).unwrap();
    }
    // More comes than the manifest says: stopped at the first byte too many.
    let url = place.server.serve("/c", Served { chunked: true, ..Served::file(&noise(50_000_000, 6)) });
    let error = source_error(place.pull(&wanted(&bytes, &[&url])));
    assert!(matches!(error, SourceError::Size { expected: 100_000, .. }), "{error}");
    assert!(place.server.log().last().unwrap().sent < 20_000_000);
    place.assert_is_missing(&bytes);
}

#[test]
fn changes_the_file_between_resumes() {
    let (place, old, new) = (Place::new(), noise(300_000, 7), noise(300_000, 8));
    let versions = vec![(Arc::new(old), Some("\"old\"".into())), (Arc::new(new.clone()), Some("\"new\"".into()))];
    let honest = Served { versions: versions.clone(), cut_after: Some(200_000), ..Served::default() };
    let url = place.server.serve("/a", honest.clone());
    place.pull(&wanted(&new, &[&url])).unwrap();
    place.assert_is_there(&new);
    let log = place.server.log();
    assert_eq!(log[1].headers.get("if-range").map(String::as_str), Some("\"old\""));
    assert_eq!(log[1].status, 200, "the changed file came from its start");
    // A server that appends the new to the old in spite of `If-Range` is seen through by its ETag.
    place.cache().remove(&Digest::of(&new)).unwrap();
    let url = place.server.serve("/b", Served { ignores_if_range: true, ..honest.clone() });
    place.pull(&wanted(&new, &[&url])).unwrap();
    place.assert_is_there(&new);
    // Without any ETag only the hash tells: the pieces do not fit, so it is fetched again in one piece.
    place.cache().remove(&Digest::of(&new)).unwrap();
    let versions = versions.into_iter().map(|(bytes, _)| (bytes, None)).collect();
    let url = place.server.serve("/c", Served { versions, cut_after: None, ..honest });
    std::fs::create_dir_all(place.root().join("parts")).unwrap();
    leave_a_part(&place, &new, &noise(300_000, 7)[..200_000], &url);
    place.pull(&wanted(&new, &[&url])).unwrap();
    place.assert_is_there(&new);
    let set_aside = |event: &Event| matches!(event, Event::SetAside { .. });
    assert_eq!(place.events.lock().unwrap().iter().filter(|event| set_aside(event)).count(), 1);
}

#[test]
fn a_part_longer_than_the_file() {
    let (place, bytes) = (Place::new(), noise(100_000, 9));
    let url = place.server.serve("/a", Served::file(&bytes));
    leave_a_part(&place, &bytes, &noise(150_000, 10), &url);
    // The size is not known, so the server must say that there is nothing at 150,000.
    place.pull(&ExpectedFile { size: None, ..wanted(&bytes, &[&url]) }).unwrap();
    place.assert_is_there(&bytes);
    assert_eq!(place.server.log().iter().map(|asked| asked.status).collect::<Vec<_>>(), [416, 200]);
}

#[test]
fn redirects() {
    let (place, bytes) = (Place::new(), noise(100_000, 11));
    place.server.serve("/files/a", Served { cut_after: Some(60_000), ..Served::file(&bytes) });
    let to = |link: &str| Served { redirect: Some(link.to_owned()), ..Served::default() };
    place.server.serve("/two/hop", to("../files/a"));
    let url = place.server.serve("/one", to(&place.server.url("/two/hop")));
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    place.assert_is_there(&bytes);
    let resumed = place.server.log().last().unwrap().clone();
    assert_eq!((resumed.path.as_str(), resumed.range()), ("/files/a", Some("bytes=60000-")), "ranges follow redirects");
}

#[test]
fn redirects_that_lead_nowhere() {
    let (place, bytes) = (Place::new(), noise(1000, 12));
    let to = |link: &str| Served { redirect: Some(link.to_owned()), ..Served::default() };
    let circle = place.server.serve("/a", to("/b"));
    place.server.serve("/b", to("/a"));
    for hop in 0..20 {
        place.server.serve(&format!("/long/{hop}"), to(&format!("{}", hop + 1)));
    }
    let away = place.server.serve("/file", to("file:///etc/passwd"));
    for (url, asked, why) in
        [(circle, 2, "in a circle"), (place.server.url("/long/0"), 10, "more than 10"), (away, 1, "no http")]
    {
        place.server.forget_log();
        let error = source_error(place.pull(&wanted(&bytes, &[&url]))).to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!(place.server.log().len(), asked, "{why}");
    }
}

#[test]
fn a_status_is_not_a_file() {
    let (place, bytes) = (Place::new(), noise(100_000, 13));
    let statuses = |status: u16, count, headers: &str| Served {
        statuses: vec![(status, headers.to_owned()); count],
        ..Served::file(&bytes)
    };
    // Gone is gone.
    for status in [404, 403, 410] {
        place.server.forget_log();
        let url = place.server.serve("/a", statuses(status, 99, ""));
        let error = source_error(place.pull(&wanted(&bytes, &[&url])));
        assert!(matches!(error, SourceError::Status { status: found } if found == status), "{error}");
        assert_eq!(place.server.log().len(), 1);
    }
    // Busy may pass.
    for status in [429, 500, 502, 503, 504] {
        let url = place.server.serve("/b", statuses(status, 2, ""));
        place.pull(&wanted(&bytes, &[&url])).unwrap();
        place.assert_is_there(&bytes);
        place.cache().remove(&Digest::of(&bytes)).unwrap();
    }
    place.server.forget_log();
    let url = place.server.serve("/c", statuses(503, 99, ""));
    let error = source_error(place.pull(&wanted(&bytes, &[&url])));
    assert!(matches!(&error, SourceError::GivenUp { attempts: 4, .. }), "{error}");
    assert_eq!(place.server.log().len(), 4);
    place.assert_is_missing(&bytes);
}

#[test]
fn a_server_may_say_when() {
    let (place, bytes) = (Place::new(), noise(1000, 14));
    let served = Served { statuses: vec![(429, "retry-after: 1\r\n".into())], ..Served::file(&bytes) };
    let url = place.server.serve("/a", served);
    let started = Instant::now();
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    place.cache().remove(&Digest::of(&bytes)).unwrap();
    // An hour is too long when there is another source.
    let served = Served { statuses: vec![(503, "retry-after: 3600\r\n".into()); 9], ..Served::file(&bytes) };
    let busy = place.server.serve("/b", served);
    let good = place.server.serve("/c", Served::file(&bytes));
    let started = Instant::now();
    place.pull(&wanted(&bytes, &[&busy, &good])).unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    place.assert_is_there(&bytes);
}

#[test]
fn falls_silent() {
    let (place, bytes) = (Place::new(), noise(200_000, 15));
    let url = place.server.serve("/a", Served { silent_after: Some(100_000), ..Served::file(&bytes) });
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    place.assert_is_there(&bytes);
    assert_eq!(place.server.log()[1].range(), Some("bytes=100000-"));
    // Silent from the first byte on.
    let other = noise(1000, 16);
    let url = place.server.serve("/b", Served { silent_after: Some(0), ..Served::file(&other) });
    let started = Instant::now();
    let error = source_error(place.pull(&wanted(&other, &[&url])));
    assert!(error.to_string().contains("no byte came for 0.4 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn trickles() {
    let (place, bytes) = (Place::new(), noise(200_000, 17));
    let slow = Served { trickle: Some((1, Duration::from_millis(20))), ..Served::file(&bytes) };
    let slow = place.server.serve("/slow", slow);
    let good = place.server.serve("/good", Served::file(&bytes));
    let started = Instant::now();
    place.pull(&wanted(&bytes, &[&slow, &good])).unwrap();
    place.assert_is_there(&bytes);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    // Slow, yet fast enough.
    let bytes = noise(20_000, 18);
    let url = place
        .server
        .serve("/steady", Served { trickle: Some((500, Duration::from_millis(20))), ..Served::file(&bytes) });
    place.pull(&wanted(&bytes, &[&url])).unwrap();
}

#[test]
fn wrong_bytes() {
    let (place, bytes) = (Place::new(), noise(100_000, 19));
    let mut wrong = bytes.clone();
    wrong[70_000] ^= 1;
    let url = place.server.serve("/a", Served::file(&wrong));
    let error = place.pull(&wanted(&bytes, &[&url])).unwrap_err().to_string();
    assert!(error.contains(&Digest::of(&bytes).hex()) && error.contains(&Digest::of(&wrong).hex()), "{error}");
    assert_eq!(place.server.log().len(), 1, "what came in one piece is not asked for again");
    place.assert_is_missing(&bytes);
    assert_eq!(place.names("parts"), [""; 0], "the part is deleted");
    // The next source is right.
    let good = place.server.serve("/b", Served::file(&bytes));
    place.pull(&wanted(&bytes, &[&url, &good])).unwrap();
    place.assert_is_there(&bytes);
}

#[test]
fn a_web_page_instead() {
    let (place, bytes) = (Place::new(), noise(100_000, 20));
    let page =
        Served { headers: "content-type: text/html; charset=utf-8\r\n".into(), ..Served::file(b"<html>log in</html>") };
    let url = place.server.serve("/a", page);
    let error = source_error(place.pull(&ExpectedFile { size: None, ..wanted(&bytes, &[&url]) }));
    assert!(matches!(error, SourceError::WebPage), "{error}");
    let packed = Served { headers: "content-encoding: gzip\r\n".into(), ..Served::file(&bytes) };
    let url = place.server.serve("/b", packed);
    let error = source_error(place.pull(&wanted(&bytes, &[&url])));
    assert!(matches!(error, SourceError::Encoded(_)), "{error}");
}
