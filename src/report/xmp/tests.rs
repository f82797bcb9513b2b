use super::*;

fn values(rating: i8) -> SidecarValues {
    SidecarValues {
        rating: Some(rating),
        label: Some("Green".into()),
        decision: None,
        score: Some(0.712_345),
        model: Some("album-mini@1 & \"friends\"".into()),
        version: "0.1.0".into(),
        keywords: None,
        faces: None,
    }
}

fn merged(existing: Option<&str>, values: &SidecarValues) -> (String, bool) {
    let Merged { bytes, rating_is_a_persons } = merge(existing.map(str::as_bytes), values).unwrap();
    (String::from_utf8(bytes).unwrap(), rating_is_a_persons)
}

/// The value of the attribute or element of that name, as any reader would see it.
fn value(sidecar: &str, name: &str) -> Option<String> {
    let attribute = format!("{name}=\"");
    if let Some(at) = sidecar.find(&attribute) {
        let rest = &sidecar[at + attribute.len()..];
        return Some(rest[..rest.find('"')?].to_owned());
    }
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let at = sidecar.find(&start)? + start.len();
    Some(sidecar[at..sidecar.find(&end)?].to_owned())
}

/// As Lightroom writes them: attributes, a foreign history, a packet wrapper.
const LIGHTROOM: &str = "\u{feff}<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"Adobe XMP Core 7.0\">\n \
<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n  \
<rdf:Description rdf:about=\"\"\n    \
xmlns:xap='http://ns.adobe.com/xap/1.0/'\n    \
xmlns:crs=\"http://ns.adobe.com/camera-raw-settings/1.0/\"\n    \
xmlns:dc=\"http://purl.org/dc/elements/1.1/\"\n   \
xap:Rating='3'\n   \
crs:Exposure2012=\"+0.35\"\n   \
crs:HasSettings=\"True\">\n   \
<dc:subject>\n    <rdf:Bag>\n     <rdf:li>M&amp;M</rdf:li>\n     <rdf:li xml:lang=\"de\">Ärger</rdf:li>\n    </rdf:Bag>\n   </dc:subject>\n  \
</rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>   \n";

/// As darktable writes them: elements and attributes mixed, 0 for "unrated".
const DARKTABLE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"XMP Core 4.4.0-Exiv2\">\n \
<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n  \
<rdf:Description rdf:about=\"\"\n    xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n    xmlns:darktable=\"http://darktable.sf.net/\"\n   \
xmp:Rating=\"0\"\n   darktable:xmp_version=\"5\">\n   \
<xmp:Label>Blue</xmp:Label>\n   \
<darktable:history>\n    <rdf:Seq>\n     <rdf:li darktable:operation=\"exposure\" xmp:Rating=\"5\"/>\n    </rdf:Seq>\n   </darktable:history>\n  \
</rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n";

#[test]
fn a_new_sidecar_says_it_all_and_is_stable() {
    let (text, is_theirs) = merged(None, &values(4));
    assert!(!is_theirs);
    for (name, expected) in [
        ("xmp:Rating", "4"),
        ("xmp:Label", "Green"),
        ("albumctl:Score", "0.7123"),
        ("albumctl:Model", "album-mini@1 &amp; &quot;friends&quot;"),
        ("albumctl:Version", "0.1.0"),
    ] {
        assert_eq!(value(&text, name).as_deref(), Some(expected), "{name} in\n{text}");
    }
    assert_eq!(merged(Some(&text), &values(4)).0, text);
}

#[test]
fn our_own_values_follow_us_in_place() {
    let (first, _) = merged(None, &values(4));
    let changed = SidecarValues { label: None, score: Some(0.5), ..values(2) };
    let (second, is_theirs) = merged(Some(&first), &changed);
    assert!(!is_theirs);
    assert_eq!(value(&second, "xmp:Rating").as_deref(), Some("2"));
    assert_eq!(value(&second, "xmp:Label"), None);
    assert_eq!(second.matches("<rdf:Description").count(), 1);
    // Back again: nothing is left over.
    let (third, _) = merged(Some(&second), &values(4));
    assert_eq!(merged(Some(&third), &values(4)).0, third);
    assert_eq!(value(&third, "xmp:Label").as_deref(), Some("Green"));
}

#[test]
fn a_persons_rating_stays_and_everything_foreign_stays_byte_for_byte() {
    let (text, is_theirs) = merged(Some(LIGHTROOM), &values(5));
    assert!(is_theirs);
    assert_eq!(value(&text, "xmp:Rating"), None, "no second rating beside theirs");
    assert!(text.contains("xap:Rating='3'"));
    // Cutting out our description gives the original.
    let at = text.find("\n  <rdf:Description rdf:about=\"\"\n    xmlns:rdf").unwrap();
    let end = at + text[at..].find("/>").unwrap() + 2;
    assert_eq!(format!("{}{}", &text[..at], &text[end..]), LIGHTROOM);
    assert_eq!(merged(Some(&text), &values(5)).0, text);
}

#[test]
fn unrated_is_ours_to_rate_but_a_label_is_not_ours_to_change() {
    let (text, is_theirs) = merged(Some(DARKTABLE), &values(4));
    assert!(!is_theirs);
    assert!(text.contains("   xmp:Rating=\"4\"\n   darktable:xmp_version"), "{text}");
    assert!(text.contains("<xmp:Label>Blue</xmp:Label>"));
    // What looks like a rating deep inside somebody's structure is none.
    assert!(text.contains("darktable:operation=\"exposure\" xmp:Rating=\"5\"/>"));
    assert_eq!(value(&text, "albumctl:SetByPerson").as_deref(), Some("Label"));
}

#[test]
fn a_person_who_changes_our_rating_has_it_for_ever() {
    let (first, _) = merged(None, &values(4));
    let by_hand = first.replace("xmp:Rating=\"4\"", "xmp:Rating=\"2\"");
    let (second, is_theirs) = merged(Some(&by_hand), &values(5));
    assert!(is_theirs);
    assert_eq!(value(&second, "xmp:Rating").as_deref(), Some("2"));
    // Even when it comes to be the very one we once gave.
    let as_ours = second.replace("xmp:Rating=\"2\"", "xmp:Rating=\"4\"");
    let (third, is_theirs) = merged(Some(&as_ours), &values(1));
    assert!(is_theirs);
    assert_eq!(value(&third, "xmp:Rating").as_deref(), Some("4"));
    // Or when they take it away.
    let removed = first.replace("\n    xmp:Rating=\"4\"", "");
    let (fourth, is_theirs) = merged(Some(&removed), &values(4));
    assert!(is_theirs);
    assert_eq!(value(&fourth, "xmp:Rating"), None);
}

/// Other programs read the whole and write it anew, our properties among theirs.
#[test]
fn our_values_are_found_again_wherever_another_program_puts_them() {
    let rewritten = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
        <r:Description r:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:ns1='urn:albumctl:xmp:1/' ns1:Score='0.1'>\
        <xmp:Rating>4</xmp:Rating><ns1:Rating>4</ns1:Rating><ns1:Version>0.0.9</ns1:Version><ns1:Model/>\
        </r:Description></r:RDF></x:xmpmeta>";
    let (text, is_theirs) = merged(Some(rewritten), &values(1));
    assert!(!is_theirs);
    assert!(text.contains("<xmp:Rating>1</xmp:Rating><ns1:Rating>1</ns1:Rating><ns1:Version>0.1.0</ns1:Version>"));
    assert!(text.contains("ns1:Score='0.7123'") && !text.contains("<ns1:Model/>"), "{text}");
    assert_eq!(value(&text, "albumctl:Model").as_deref(), Some("album-mini@1 &amp; &quot;friends&quot;"));
    assert_eq!(merged(Some(&text), &values(1)).0, text);
}

#[test]
fn what_is_no_xmp_is_refused_not_replaced() {
    for (bytes, error) in [
        (&b"\xff\xfe<\0x\0"[..], xmp::NotXmp::Encoding),
        (b"a shopping list", xmp::NotXmp::NoXmp),
        (b"<html><body/></html>", xmp::NotXmp::NoXmp),
    ] {
        assert_eq!(merge(Some(bytes), &values(1)), Err(error));
    }
    for cut in (40..LIGHTROOM.len() - 60).filter(|&cut| LIGHTROOM.is_char_boundary(cut)) {
        assert!(merge(Some(&LIGHTROOM.as_bytes()[..cut]), &values(1)).is_err(), "cut at {cut}");
    }
    assert!(merge(Some(b"  \n"), &values(1)).is_ok(), "an empty file is as good as none");
}

#[test]
fn an_unchanged_sidecar_is_not_written_and_a_dry_run_writes_nothing() {
    let world = tempfile::tempdir().unwrap();
    let sidecar = world.path().join("a.xmp");
    let told = write(&sidecar, &values(4), true, &mut Folders::default()).unwrap();
    assert!(told.changed && !sidecar.exists());
    assert!(write(&sidecar, &values(4), false, &mut Folders::default()).unwrap().changed);
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&sidecar).unwrap().set_modified(long_ago).unwrap();
    assert!(!write(&sidecar, &values(4), false, &mut Folders::default()).unwrap().changed);
    assert_eq!(sidecar.metadata().unwrap().modified().unwrap(), long_ago);
    assert_eq!(fs::read_dir(world.path()).unwrap().count(), 1, "no draft is left behind");
    fs::write(&sidecar, "no xml").unwrap();
    assert!(matches!(write(&sidecar, &values(4), false, &mut Folders::default()), Err(XmpError::Merge { .. })));
    assert_eq!(fs::read_to_string(&sidecar).unwrap(), "no xml");
}

#[cfg(unix)]
#[test]
fn a_linked_sidecar_stays_a_link_and_rights_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let world = tempfile::tempdir().unwrap();
    let (real, link) = (world.path().join("real.xmp"), world.path().join("a.xmp"));
    fs::write(&real, DARKTABLE).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &link).unwrap();
    assert!(write(&link, &values(4), false, &mut Folders::default()).unwrap().changed);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("xmp:Rating=\"4\""));
}

#[test]
fn both_schools_name_their_sidecars_and_no_two_photos_share_one() {
    let photos = ["p/a.jpg", "p/a.png", "p/b.c.jpg"].map(PathBuf::from);
    let names = |naming| -> Vec<Vec<String>> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        sidecars(&photos, naming).iter().map(|of| of.iter().map(name).collect()).collect()
    };
    assert_eq!(names(Naming::Stem), [["a.xmp"], ["a.png.xmp"], ["b.c.xmp"]]);
    assert_eq!(names(Naming::FullName), [["a.jpg.xmp"], ["a.png.xmp"], ["b.c.jpg.xmp"]]);
    assert_eq!(names(Naming::Both), [vec!["a.xmp", "a.jpg.xmp"], vec!["a.png.xmp"], vec!["b.c.xmp", "b.c.jpg.xmp"]]);
}

fn words(words: &[&str]) -> SidecarValues {
    SidecarValues { keywords: Some(words.iter().map(|word| (*word).to_owned()).collect()), ..values(4) }
}

/// The keywords as any reader sees them.
fn keywords(sidecar: &str) -> Vec<String> {
    let text = sidecar.strip_prefix('\u{feff}').unwrap_or(sidecar);
    xmp::find(text).unwrap().keywords.into_iter().map(|keyword| keyword.word).collect()
}

#[test]
fn keywords_join_those_of_others_and_ours_alone_go_again() {
    let (first, _) = merged(Some(LIGHTROOM), &words(&["golden retriever", "Anna & Ben", "M&M"]));
    assert_eq!(keywords(&first), ["M&M", "Ärger", "Anna & Ben", "golden retriever"]);
    assert!(first.contains("<rdf:li xml:lang=\"de\">Ärger</rdf:li>"), "{first}");
    assert_eq!(merged(Some(&first), &words(&["M&M", "golden retriever", "Anna & Ben"])).0, first);
    // What holds no more goes, if it was ours: M&M was there before.
    let (second, _) = merged(Some(&first), &words(&["Anna & Ben"]));
    assert_eq!(keywords(&second), ["M&M", "Ärger", "Anna & Ben"]);
    // A word that a person takes out stays out; one that they put in stays.
    let by_hand = second.replace("Anna &amp; Ben</rdf:li>", "Grandma</rdf:li>");
    let (third, _) = merged(Some(&by_hand), &words(&["Anna & Ben"]));
    assert_eq!(keywords(&third), ["M&M", "Ärger", "Grandma"]);
    // Without the option, nothing of it is touched.
    assert_eq!(merged(Some(&third), &values(4)).0, third);
    // Sidecars without a list get one, and empty ones theirs.
    for before in [None, Some(DARKTABLE)] {
        let (text, _) = merged(before, &words(&["receipt"]));
        assert_eq!(keywords(&text), ["receipt"]);
        assert_eq!(merged(Some(&text), &words(&["receipt"])).0, text);
    }
    for empty in ["<dc:subject/>", "<dc:subject><rdf:Bag/></dc:subject>", "<dc:subject>\n</dc:subject>"] {
        let start = LIGHTROOM.find("<dc:subject>").unwrap();
        let end = LIGHTROOM.find("</dc:subject>").unwrap() + "</dc:subject>".len();
        let before = format!("{}{empty}{}", &LIGHTROOM[..start], &LIGHTROOM[end..]);
        let (text, _) = merged(Some(&before), &words(&["receipt"]));
        assert_eq!(keywords(&text), ["receipt"], "{text}");
        assert_eq!(merged(Some(&text), &words(&["receipt"])).0, text);
    }
}

fn faces(names: &[&str]) -> SidecarValues {
    let region = |name: &&str| Region { name: (*name).to_owned(), bbox: [0.25, 0.5, 0.1, 0.2] };
    let faces = Faces { width: 4000, height: 3000, regions: names.iter().map(region).collect() };
    SidecarValues { faces: Some(faces), ..values(4) }
}

#[test]
fn faces_with_a_name_are_regions_and_those_of_others_stay() {
    let (text, _) = merged(None, &faces(&["Anna \"A\"", "Ben"]));
    assert!(text.contains("mwg-rs:Name=\"Anna &quot;A&quot;\" mwg-rs:Type=\"Face\""), "{text}");
    assert!(text.contains("stArea:x=\"0.30000\" stArea:y=\"0.60000\" stArea:w=\"0.10000\" stArea:h=\"0.20000\""));
    assert!(text.contains("stDim:w=\"4000\" stDim:h=\"3000\" stDim:unit=\"pixel\""));
    assert_eq!(merged(Some(&text), &faces(&["Anna \"A\"", "Ben"])).0, text);
    // Ours follow us, and go when nobody has a name any more.
    let (renamed, _) = merged(Some(&text), &faces(&["Bea"]));
    assert!(
        renamed.contains("mwg-rs:Name=\"Bea\"")
            && !renamed.contains("Anna")
            && renamed.matches("RegionList").count() == 2
    );
    let (nobody, _) = merged(Some(&renamed), &faces(&[]));
    assert!(!nobody.contains("mwg-rs:Name") && !nobody.contains("albumctl:Regions"), "{nobody}");
    // What another program has changed or written stays.
    let theirs = text.replace("mwg-rs:Name=\"Ben\"", "mwg-rs:Name=\"Benjamin\"");
    let (kept, _) = merged(Some(&theirs), &faces(&["Bea"]));
    assert!(kept.contains("Benjamin") && !kept.contains("Bea\""), "{kept}");
}
