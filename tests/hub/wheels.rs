//! A file out of a wheel of the user's package index.

use std::io::Write;

use hub::digest::Digest;
use hub::fetch::{ExpectedFile, PullError, SourceError};
use hub::sources::{Source, Wheel, WheelEntry};

use crate::place::{Place, noise};
use crate::server::Served;

const FILE: &str = "Face_Kit-1.2-cp311-cp311-manylinux_2_28_x86_64.whl";

/// A zip archive of these entries, every second one deflated.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (index, (name, bytes)) in entries.iter().enumerate() {
        let mut deflater = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflater.write_all(bytes).unwrap();
        let (method, packed) = if index % 2 == 0 { (8u16, deflater.finish().unwrap()) } else { (0, bytes.to_vec()) };
        let offset = archive.len() as u32;
        let mut common = Vec::new();
        common.extend_from_slice(&[20, 0, 0, 0]);
        common.extend_from_slice(&method.to_le_bytes());
        common.extend_from_slice(&[0; 8]);
        common.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        common.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&common);
        // The local header may carry more than the directory says.
        archive.extend_from_slice(&[9, 0]);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(b"paddingxx");
        archive.extend_from_slice(&packed);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 12]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let offset = archive.len() as u32;
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&[(entries.len() as u16).to_le_bytes(); 2].concat());
    archive.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    archive.extend_from_slice(&offset.to_le_bytes());
    archive.extend_from_slice(&[12, 0]);
    archive.extend_from_slice(b"PK\x05\x06 is not");
    archive
}

struct Index {
    place: Place,
    /// As deflated and as stored entries of the wheel.
    models: [Vec<u8>; 2],
    wheel: Vec<u8>,
}

fn index(served: impl Fn(&[u8]) -> Served) -> Index {
    let mut place = Place::new();
    let mut smooth = noise(60_000, 51);
    smooth.extend(std::iter::repeat_n(7, 200_000));
    let models = [smooth, noise(120_000, 52)];
    let filler = noise(900_000, 53);
    let wheel = zip(&[("kit/filler.bin", &filler), ("kit/b.bin", &models[1]), ("kit/a.bin", &models[0]), ("end", b"")]);
    place.server.serve("/files/w.whl", served(&wheel));
    let page = format!(
        "<html><a href=\"../../files/other.whl\">other-1.2.whl</a>\n\
         <a href=\"../../files/w.whl#sha256={}\">{FILE}</a></html>",
        Digest::of(&wheel)
    );
    // The name of the file is that of its address.
    let page = page.replace("w.whl", FILE);
    place.server.serve(&format!("/files/{FILE}"), served(&wheel));
    let html = "content-type: text/html\r\n".to_owned();
    place.server.serve("/simple/face-kit/", Served { headers: html, ..Served::file(page.as_bytes()) });
    place.environment.push(("PIP_INDEX_URL".into(), place.server.url("/simple")));
    Index { place, models, wheel }
}

fn wanted(entry: &str, bytes: &[u8], sha256: Option<Digest>) -> ExpectedFile {
    let wheel = WheelEntry {
        package: "Face_Kit".into(),
        version: "1.2".into(),
        file: FILE.into(),
        entry: entry.into(),
        sha256,
    };
    ExpectedFile {
        name: entry.into(),
        size: Some(bytes.len() as u64),
        sha256: Some(Digest::of(bytes)),
        sha256_starts: None,
        sources: vec![Source::Wheel(Wheel { wheel })],
    }
}

impl Index {
    fn both(&self) -> [ExpectedFile; 2] {
        let sha256 = Some(Digest::of(&self.wheel));
        [wanted("kit/a.bin", &self.models[0], sha256), wanted("kit/b.bin", &self.models[1], sha256)]
    }

    fn asked_for_wheel(&self) -> Vec<crate::server::Asked> {
        self.place.server.log().into_iter().filter(|asked| asked.path.starts_with("/files/")).collect()
    }
}

#[test]
fn only_what_is_wanted_comes_over_the_network() {
    let index = index(Served::file);
    for outcome in index.place.pull_all(&index.both()) {
        outcome.unwrap();
    }
    for model in &index.models {
        index.place.assert_is_there(model);
    }
    let asked = index.asked_for_wheel();
    assert_eq!(asked.len(), 3, "the end once, each entry once: {asked:?}");
    let sent: u64 = asked.iter().map(|asked| asked.sent).sum();
    assert!(sent < 280_000, "{sent} of {}", index.wheel.len());
    let pages = index.place.server.log().len() - asked.len();
    assert_eq!(pages, 1, "the page is read once");
}

#[test]
fn a_server_without_ranges_gives_the_whole_wheel_once() {
    let index = index(|wheel| Served { ignores_ranges: true, ..Served::file(wheel) });
    for outcome in index.place.pull_all(&index.both()) {
        outcome.unwrap();
    }
    for model in &index.models {
        index.place.assert_is_there(model);
    }
    let whole = index.asked_for_wheel().into_iter().filter(|asked| asked.range().is_none()).count();
    assert_eq!(whole, 1);
    assert_eq!(index.place.names("blobs").len(), 2, "the wheel itself is not kept");
}

#[test]
fn a_connection_that_breaks_inside_an_entry() {
    let index = index(Served::file);
    let url = format!("/files/{FILE}");
    let whole = Served::file(&index.wheel);
    let versions = vec![whole.versions[0].clone()];
    let cut = Served { versions, statuses: vec![(503, String::new()), (503, String::new())], ..whole };
    index.place.server.serve(&url, cut);
    index.place.pull(&index.both()[0]).unwrap();
    index.place.assert_is_there(&index.models[0]);
}

#[test]
fn what_is_wrong_with_a_wheel_is_said() {
    let index = index(Served::file);
    let error = |wanted: ExpectedFile| match index.place.pull(&wanted).unwrap_err() {
        PullError::NoGoodSource { mut tried, .. } => tried.remove(0).1,
        other => panic!("{other}"),
    };
    let [model, _] = &index.models;
    let found = error(wanted("kit/a.bin", model, Some(Digest::of(b"another wheel"))));
    assert!(matches!(found, SourceError::OtherWheel { .. }), "{found}");
    let found = error(wanted("kit/none.bin", model, None));
    assert!(found.to_string().contains("no entry kit/none.bin"), "{found}");
    let found = error(ExpectedFile { sha256: Some(Digest::of(b"x")), ..wanted("kit/a.bin", model, None) });
    assert!(matches!(found, SourceError::Hash { .. }), "{found}");
    let found = error(ExpectedFile { size: Some(5), ..wanted("kit/a.bin", model, None) });
    assert!(matches!(found, SourceError::Size { .. }), "{found}");
    let mut unlisted = wanted("kit/a.bin", model, None);
    if let Source::Wheel(Wheel { wheel }) = &mut unlisted.sources[0] {
        wheel.file = "none.whl".into();
    }
    let found = error(unlisted);
    assert!(matches!(found, SourceError::NotListed(_)), "{found}");
    index.place.assert_is_missing(model);
}

#[test]
fn without_an_index_the_user_is_told_where_to_name_one() {
    let mut index = index(Served::file);
    index.place.environment.pop();
    let error = index.place.pull(&index.both()[0]).unwrap_err().to_string();
    assert!(error.contains("PIP_INDEX_URL"), "{error}");
}

/// A folder with a pip that brings a wheel, or else says why not, and writes down what it was asked.
#[cfg(unix)]
fn pip(place: &mut Place, brings: &[u8], file: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let folder = place.folder.path().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("brings.whl"), brings).unwrap();
    let here = folder.display();
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {here}/asked\nwhile [ \"$1\" != --dest ]; do shift; done\n\
         [ -s {here}/brings.whl ] || {{ echo 'ERROR: first' >&2; echo 'ERROR: no network' >&2; exit 1; }}\n\
         /bin/cp {here}/brings.whl \"$2/{file}\"\n"
    );
    std::fs::write(folder.join("pip"), script).unwrap();
    std::fs::set_permissions(folder.join("pip"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.environment.push(("PATH".into(), folder.display().to_string()));
    folder
}

#[cfg(unix)]
#[test]
fn where_no_index_is_named_pip_brings_the_wheel_once_and_the_entries_are_verified() {
    let mut index = index(Served::file);
    index.place.environment.retain(|(name, _)| name != "PIP_INDEX_URL");
    let folder = pip(&mut index.place, &index.wheel, FILE);
    index.place.environment.push(("PIP_DEFAULT_TIMEOUT".into(), "60".into()));
    for outcome in index.place.pull_all(&index.both()) {
        outcome.unwrap();
    }
    for model in &index.models {
        index.place.assert_is_there(model);
    }
    let asked = std::fs::read_to_string(folder.join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(asked.starts_with("download ") && asked.trim_end().ends_with("--abi cp311 Face_Kit==1.2"), "{asked}");
    assert!(asked.contains(" --no-deps ") && asked.contains(" --only-binary=:all: "), "{asked}");
    assert!(asked.contains(" --timeout 60 "), "who has a slow network says so to pip: {asked}");
    assert_eq!(index.place.server.log().len(), 0, "nothing was asked of a server");
}

#[cfg(unix)]
#[test]
fn what_pip_cannot_bring_or_brings_wrong_is_no_model() {
    let mut index = index(Served::file);
    index.place.environment.retain(|(name, _)| name != "PIP_INDEX_URL");
    let folder = pip(&mut index.place, b"", FILE);
    let asked = || std::fs::read_to_string(folder.join("asked")).unwrap();
    let error = |index: &Index| index.place.pull(&index.both()[0]).unwrap_err().to_string();
    for outcome in index.place.pull_all(&index.both()) {
        let said = outcome.unwrap_err().to_string();
        assert!(said.contains("pip could not bring it: ERROR: no network"), "{said}");
    }
    assert_eq!(asked().lines().count(), 1, "what failed fails for all");
    assert!(asked().contains(" --retries 0 --timeout 5 "), "a network that keeps silent is soon given up: {}", asked());
    std::fs::write(folder.join("brings.whl"), zip(&[("kit/a.bin", b"something else")])).unwrap();
    let said = error(&index);
    assert!(said.contains("another file of that name"), "{said}");
    // Who wants no index wants no pip either.
    index.place.environment.push(("PIP_NO_INDEX".into(), "1".into()));
    let said = error(&index);
    for part in ["PIP_INDEX_URL", &Digest::of(&index.models[0]).hex(), &index.place.root().display().to_string()] {
        assert!(said.contains(part), "{said}");
    }
    index.place.assert_is_missing(&index.models[0]);
}

#[test]
fn archives_of_nonsense_do_no_harm() {
    let good = index(Served::file).wheel;
    let model = noise(1000, 1);
    for seed in 0..200_u64 {
        let mut bytes = good[good.len() - 400..].to_vec();
        let noise = noise(16, seed + 1000);
        for pair in noise.chunks_exact(2) {
            let at = usize::from(pair[0]) % bytes.len();
            bytes[at] = pair[1];
        }
        bytes.truncate(bytes.len() - usize::from(noise[0] % 40));
        let broken = index(|_| Served::file(&bytes));
        assert!(broken.place.pull(&wanted("kit/a.bin", &model, None)).is_err());
        broken.place.assert_is_missing(&model);
    }
}

#[test]
fn a_wheel_whose_directory_is_empty_is_refused() {
    let model = noise(1000, 1);
    // Longer than what is asked for first, so that the directory would be asked for by its place.
    for before in [0, 200_000] {
        let bytes = [noise(before, 2), b"PK\x05\x06".to_vec(), vec![0; 18]].concat();
        let broken = index(|_| Served::file(&bytes));
        let error = match broken.place.pull(&wanted("kit/a.bin", &model, None)).unwrap_err() {
            PullError::NoGoodSource { mut tried, .. } => tried.remove(0).1.to_string(),
            other => panic!("{other}"),
        };
        assert!(error.contains("its directory is empty"), "{error}");
    }
}
