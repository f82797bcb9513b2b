//! What the one who pulls asks for: several sources and files, trust, offline, proxies, an end on the way.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hub::cache::Presence;
use hub::digest::Digest;
use hub::fetch::{Event, ExpectedFile, PullError, Settings, SourceError};
use hub::sources::Source;

use crate::place::{Place, leave_a_part, noise, source_error, wanted};
use crate::server::Served;

#[test]
fn half_from_one_source_half_from_another() {
    let (place, bytes) = (Place::new(), noise(400_000, 21));
    let dying = place.server.serve("/dying", Served { cut_after: Some(250_000), ..Served::file(&bytes) });
    let settings = Settings { attempts: 1, ..place.settings.clone() };
    let place = Place { settings, ..place };
    // A connection that brought something is resumed; at the second the file is gone.
    leave_a_part(&place, &bytes, &bytes[..250_000], &dying);
    let gone = place.server.serve("/gone", Served { statuses: vec![(404, String::new()); 9], ..Served::default() });
    let good = place.server.serve("/good", Served::file(&bytes));
    let pulled = place.pull(&wanted(&bytes, &[&gone, &good])).unwrap();
    assert_eq!(pulled.transferred, 150_000);
    place.assert_is_there(&bytes);
}

#[test]
fn trust_at_first_pull() {
    let (place, bytes) = (Place::new(), noise(100_000, 22));
    let url = place.server.serve("/a", Served { cut_after: Some(30_000), ..Served::file(&bytes) });
    let unknown = ExpectedFile { size: None, sha256: None, ..wanted(&bytes, &[&url]) };
    assert!(matches!(place.pull(&unknown), Err(PullError::NotTrusted { .. })));
    assert_eq!(place.server.log().len(), 0);
    let place = Place { settings: Settings { trust_first: true, ..place.settings.clone() }, ..place };
    let pulled = place.pull(&unknown).unwrap();
    assert_eq!(pulled.digest, Digest::of(&bytes));
    place.assert_is_there(&bytes);
    // The eight digits that some publishers put into the name are checked all the same.
    place.cache().remove(&pulled.digest).unwrap();
    let starts = |digits: &str| ExpectedFile { sha256_starts: Some(digits.into()), ..unknown.clone() };
    assert!(matches!(source_error(place.pull(&starts("00000000"))), SourceError::HashStart { .. }));
    place.assert_is_missing(&bytes);
    place.pull(&starts(&Digest::of(&bytes).hex()[..8])).unwrap();
    // What nothing says the end of is not trusted: it may have been cut.
    let url = place.server.serve("/endless", Served { says_no_length: true, ..Served::file(&bytes) });
    let endless = ExpectedFile { sources: vec![Source::Address(url)], ..unknown.clone() };
    assert!(matches!(source_error(place.pull(&endless)), SourceError::Endless));
    let url = place.server.serve("/chunked", Served { chunked: true, ..Served::file(&bytes) });
    let chunked = ExpectedFile { sources: vec![Source::Address(url)], ..unknown };
    assert_eq!(place.pull(&chunked).unwrap().digest, Digest::of(&bytes));
}

#[test]
fn a_file_without_hash_or_etag_is_never_pieced_together() {
    let (place, bytes) = (Place::new(), noise(100_000, 23));
    let settings = Settings { trust_first: true, ..place.settings.clone() };
    let place = Place { settings, ..place };
    let versions = vec![(Arc::new(noise(100_000, 24)), None), (Arc::new(bytes.clone()), None)];
    let served = Served { versions, cut_after: Some(60_000), ..Served::default() };
    let url = place.server.serve("/a", served);
    let unknown = ExpectedFile { sha256: None, ..wanted(&bytes, &[&url]) };
    assert!(place.pull(&unknown).is_err());
    assert!(place.server.log().iter().all(|asked| asked.range().is_none()));
}

#[test]
fn offline_means_no_connection() {
    let (place, bytes) = (Place::new(), noise(1000, 25));
    let settings = Settings { offline: true, ..place.settings.clone() };
    let place = Place { settings, ..place };
    let url = place.server.serve("/a", Served::file(&bytes));
    assert!(matches!(place.pull(&wanted(&bytes, &[&url])), Err(PullError::Offline { .. })));
    assert_eq!(place.server.log().len(), 0);
}

#[test]
fn through_a_proxy() {
    let (mut place, bytes) = (Place::new(), noise(100_000, 26));
    let proxy = crate::server::Server::start();
    let url = place.server.serve("/a", Served::file(&bytes));
    place.environment.push(("http_proxy".into(), format!("http://{}", proxy.address)));
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    place.assert_is_there(&bytes);
    assert_eq!(proxy.log().len(), 1, "{:?}", proxy.log());
    place.cache().remove(&Digest::of(&bytes)).unwrap();
    place.environment.push(("no_proxy".into(), "127.0.0.1".into()));
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    assert_eq!(proxy.log().len(), 1, "not asked again");
}

#[test]
fn nobody_there() {
    let (place, bytes) = (Place::new(), noise(1000, 27));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = place.server.serve("/a", Served::file(&bytes));
    let dead = format!("http://{closed}/a");
    place.pull(&wanted(&bytes, &[&dead, &good])).unwrap();
    place.assert_is_there(&bytes);
    assert_eq!(place.retries(), 3);
    let next = |event: &Event| matches!(event, Event::NextSource { failed, .. } if *failed == dead);
    assert!(place.events.lock().unwrap().iter().any(next));
}

#[test]
fn an_interrupt_keeps_what_came() {
    let (place, bytes) = (Place::new(), noise(400_000, 28));
    let url = place.server.serve("/a", Served { silent_after: Some(300_000), ..Served::file(&bytes) });
    let settings = Settings { stall_timeout: Duration::from_secs(60), ..place.settings.clone() };
    let mut place = Place { settings, ..place };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let pull = scope.spawn(|| place.pull(&wanted(&bytes, &[&url])));
        while place.server.sent() < 300_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        place.stop.store(true, Ordering::Relaxed);
        assert!(matches!(pull.join().unwrap(), Err(PullError::Interrupted { .. })));
    });
    assert!(started.elapsed() < Duration::from_secs(5), "a silent connection is hung up at once");
    assert_eq!(place.cache().presence(&Digest::of(&bytes), None), Presence::Partial(300_000));
    place.stop = false.into();
    let good = place.server.serve("/a", Served::file(&bytes));
    assert_eq!(place.pull(&wanted(&bytes, &[&good])).unwrap().transferred, 100_000);
    place.assert_is_there(&bytes);
}

#[test]
fn many_files_at_once() {
    let place = Place::new();
    let files: Vec<Vec<u8>> = (0..12).map(|n| noise(100_000 + n, 100 + n as u64)).collect();
    let wanted: Vec<ExpectedFile> = files
        .iter()
        .enumerate()
        .map(|(n, bytes)| {
            let served = Served { cut_after: Some(70_000), ..Served::file(bytes) };
            wanted(bytes, &[&place.server.serve(&format!("/{n}"), served)])
        })
        .collect();
    let outcomes = place.pull_all(&wanted);
    for (bytes, outcome) in files.iter().zip(outcomes) {
        assert_eq!(outcome.unwrap().digest, Digest::of(bytes));
    }
    assert_eq!(place.names("blobs").len(), 12);
}

#[test]
fn eight_at_once_where_locks_do_nothing() {
    let (place, bytes) = (Place::new(), noise(2_000_000, 31));
    let place = Place { settings: Settings { take_turns: false, ..place.settings.clone() }, ..place };
    let url = place.server.serve("/a", Served { cut_after: Some(700_000), ..Served::file(&bytes) });
    std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..8).map(|_| scope.spawn(|| place.pull(&wanted(&bytes, &[&url])))).collect();
        for pull in pulls {
            assert_eq!(pull.join().unwrap().unwrap().digest, Digest::of(&bytes));
        }
    });
    place.assert_is_there(&bytes);
    assert_eq!(place.names("blobs").len(), 1);
}

#[test]
fn a_disk_without_room_is_said_before_a_byte_comes() {
    let (place, bytes) = (Place::new(), noise(1000, 29));
    let huge = 1 << 60;
    let url = place.server.serve("/a", Served { says_length: Some(huge), ..Served::file(&bytes) });
    let wanted = ExpectedFile { size: Some(huge as u64), ..wanted(&bytes, &[&url]) };
    let error = place.pull(&wanted).unwrap_err();
    assert!(matches!(error, PullError::NoRoom { needed, .. } if needed > huge as u64), "{error}");
    assert_eq!(place.names("parts"), [""; 0]);
}

#[test]
fn names_and_passwords_stay_with_their_host() {
    let (place, bytes) = (Place::new(), noise(1000, 30));
    let other = crate::server::Server::start();
    let file = other.serve("/a", Served::file(&bytes));
    let guarded = Served { redirect: Some(file), authorization: Some("Basic bWU6cEB3".into()), ..Served::default() };
    place.server.serve("/a", guarded);
    let url = format!("http://me:p%40w@{}/a", place.server.address);
    place.pull(&wanted(&bytes, &[&url])).unwrap();
    assert_eq!(place.server.log()[0].status, 302);
    assert!(!other.log()[0].headers.contains_key("authorization"));
    let source = Source::Address(url);
    assert!(!source.to_string().contains("me"), "{source}");
}
