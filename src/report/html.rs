//! The album as an HTML page. `--report` writes it as one file with thumbnails, whose policy forbids network access;
//! `review` serves the same page and its pictures one by one. The browser draws only what is in view.

use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::thumbnail::Thumbnail;

const TEMPLATE: &str = include_str!("html/page.html");
pub const STYLE: &str = include_str!("html/page.css");
/// The scripts, in order of dependency.
const SCRIPTS: [&str; 5] = [
    include_str!("html/album.js"),
    include_str!("html/list.js"),
    include_str!("html/closer.js"),
    include_str!("html/filters.js"),
    include_str!("html/page.js"),
];

/// The policy of the single-file page, which forbids everything outside it.
const WITHIN: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
                      style-src 'unsafe-inline'; script-src 'unsafe-inline'\">";

/// Maximum bytes of all thumbnails of a page; 2,000 photos then make a page of less than 40 MB.
const THUMBNAIL_BYTES: usize = 27_000_000;
/// Maximum bytes of one thumbnail: the largest step that fits. Steps let albums of similar size share stored thumbnails.
const EACH: [usize; 4] = [24_000, 13_500, 6_000, 3_000];

/// The same for thumbnails in a server's memory.
const SERVED_BYTES: usize = 80_000_000;

/// Maximum bytes of a thumbnail on a page with this many photos.
pub fn thumbnail_budget(photos: usize) -> usize {
    budget(photos, THUMBNAIL_BYTES)
}

/// The same for a served page.
pub fn served_budget(photos: usize) -> usize {
    budget(photos, SERVED_BYTES)
}

fn budget(photos: usize, together: usize) -> usize {
    let fitting = EACH.into_iter().find(|each| each * photos <= together);
    fitting.unwrap_or(EACH[EACH.len() - 1])
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Page {
    pub title: String,
    /// Program, version and models that made it.
    pub made_by: String,
    /// Notes at the top, such as the meaning of a missing part.
    pub notes: Vec<String>,
    /// Whether a server provides the pictures and accepts decisions.
    pub served: bool,
    pub photos: Vec<Entry>,
}

/// One photo on the page.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Entry {
    pub path: String,
    /// The link to the original, if wanted.
    pub link: Option<String>,
    /// Size of the upright original.
    pub width: u32,
    pub height: u32,
    pub group: Option<usize>,
    /// All scores on 0–1.
    pub aesthetic: Option<f64>,
    pub technical: Option<f64>,
    pub portrait: Option<f64>,
    pub relevance: Option<f64>,
    pub sharpness: Option<f64>,
    pub exposure: Option<f64>,
    /// For display, `2026-05-14 10:31:07`; sorts as text.
    pub taken_at: Option<String>,
    /// The same time in milliseconds, for the time line.
    pub taken_ms: Option<i64>,
    pub faces: Vec<Face>,
    #[serde(flatten)]
    pub judgement: Judgement,
    /// What kind of picture it is: `photo`, `screenshot`, …
    pub kind: Option<String>,
    /// Who is on it: names, or numbers such as `p3`.
    pub people: Vec<String>,
    /// What it shows, in words: classes, what they are kinds of, objects.
    pub shows: Vec<String>,
    /// The lines of text on it.
    pub text: Vec<String>,
    /// The content hash by which decisions refer to it.
    pub content: Option<String>,
    pub picture: Option<String>,
}

/// The part of an entry that depends on the choice.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Judgement {
    pub rank: Option<usize>,
    pub composite: Option<f64>,
    pub reason: String,
    /// Its opponents in the tie-break.
    pub met: Vec<Met>,
    /// Whether it is one of two photos of its scene that the tie-break could hardly distinguish.
    pub close_call: bool,
    /// `keep` or `reject`, if a person decided.
    pub decision: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Face {
    /// x, y, width, height relative to the upright photo.
    pub bbox: [f64; 4],
    pub eyes_open: Option<bool>,
    pub smiling: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Met {
    pub path: String,
    pub won: Option<bool>,
    pub confidence: f64,
}

/// The `file:` URL of a photo.
pub fn file_link(path: &Path) -> Option<String> {
    use std::fmt::Write as _;
    let absolute = std::path::absolute(path).ok()?;
    let mut link = String::from("file://");
    for &byte in absolute.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            link.push(byte as char);
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
    Some(link)
}

/// Returns the picture of a photo by its index, if there is one.
pub type Shown<'a> = &'a mut dyn FnMut(usize) -> Option<Thumbnail>;

/// Writes the page with thumbnails and larger previews.
pub fn write(out: &mut dyn Write, page: &Page, thumbnail: Shown<'_>, preview: Shown<'_>) -> io::Result<()> {
    let [begin, body, end] = template()?;
    write!(out, "{begin}{WITHIN}\n<title>{}</title>\n<style>\n{STYLE}</style>{body}", text(&page.title))?;
    writeln!(out, r#"<script type="application/json" id="data">{}</script>"#, json(page)?)?;
    pictures(out, 't', page.photos.len(), thumbnail)?;
    pictures(out, 'p', page.photos.len(), preview)?;
    write!(out, "<script>\n{}</script>{end}", script())
}

/// The page for a server, which provides `page.css`, `page.js`, `album.json` and the pictures.
pub fn served() -> String {
    let [begin, body, end] = template().unwrap_or_default();
    let head = r#"<title>The album</title><link rel="icon" href="data:,"><link rel="stylesheet" href="page.css">"#;
    format!(r#"{begin}{head}{body}<script src="page.js"></script>{end}"#)
}

pub fn script() -> String {
    SCRIPTS.concat()
}

/// The parts of the template: before and after the head's insertion point, and after the body's.
fn template() -> io::Result<[&'static str; 3]> {
    let missing = || io::Error::other("the page has no place for what belongs there");
    let (begin, rest) = TEMPLATE.split_once("{{head}}").ok_or_else(missing)?;
    let (body, end) = rest.split_once("{{album}}").ok_or_else(missing)?;
    Ok([begin, body, end])
}

/// Writes one block per picture, so that the browser can skip them without decoding or building one huge string.
fn pictures(out: &mut dyn Write, kind: char, count: usize, shown: Shown<'_>) -> io::Result<()> {
    for photo in 0..count {
        let Some(Thumbnail { jpeg, .. }) = shown(photo) else { continue };
        let encoded = STANDARD.encode(jpeg);
        writeln!(out, r#"<script type="text/plain" id="{kind}{photo}">{encoded}</script>"#)?;
    }
    Ok(())
}

/// The page as JSON that cannot close its script element.
fn json(page: &Page) -> io::Result<String> {
    let plain = serde_json::to_string(page).map_err(io::Error::other)?;
    Ok(plain.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
}

fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thumbnail::encode;
    use base::pixels::Pixels;

    fn page(count: usize) -> Page {
        let judgement = Judgement { reason: "</script><b>".into(), ..Judgement::default() };
        let entry = |i: usize| Entry { path: format!("p{i}.jpg"), judgement: judgement.clone(), ..Entry::default() };
        Page {
            title: "A <b> & C".into(),
            made_by: "albumctl".into(),
            photos: (0..count).map(entry).collect(),
            ..Page::default()
        }
    }

    fn written(page: &Page, pixels: &dyn Fn(usize) -> Option<Pixels>) -> String {
        let mut out = Vec::new();
        write(&mut out, page, &mut |i| encode(&pixels(i)?, thumbnail_budget(2)), &mut |_| None).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Noise, the worst case for JPEG.
    fn noise(width: u32, height: u32) -> Pixels {
        let mut state = 1_u32;
        let data = (0..width * height * 3).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Pixels::new(width, height, data.collect()).unwrap()
    }

    #[test]
    fn the_page_needs_no_network_and_no_text_escapes_its_place() {
        let html = written(&page(2), &|_| Some(noise(40, 30)));
        for address in ["http://", "https://", "//cdn", "@import", "url("] {
            assert!(!html.replace("http://www.w3.org/2000/svg", "").contains(address), "{address}");
        }
        assert!(html.contains("<title>A &lt;b&gt; &amp; C</title>"));
        assert!(html.contains(r"\u003c/script>\u003cb>") && !html.contains("</script><b>"));
        assert!(html.contains(r#"id="t1""#) && !html.contains("{{"));
    }

    #[test]
    fn thumbnails_of_two_thousand_of_the_worst_photos_stay_under_the_limit() {
        let budget = thumbnail_budget(2000);
        let small = encode(&noise(1200, 900), budget).unwrap();
        assert!(budget * 2000 <= THUMBNAIL_BYTES && small.jpeg.len() <= budget, "{}", small.jpeg.len());
        assert!(small.jpeg.starts_with(&[0xFF, 0xD8]) && small.width * 3 == small.height * 4);
    }

    #[test]
    fn a_photo_without_a_picture_is_still_on_the_page() {
        let html = written(&page(2), &|i| (i == 1).then(|| noise(4, 4)));
        assert!(!html.contains(r#"id="t0""#) && html.contains("p0.jpg"));
    }

    #[cfg(unix)]
    #[test]
    fn links_hold_any_name() {
        assert_eq!(file_link(Path::new("/a b/ü#.jpg")).unwrap(), "file:///a%20b/%C3%BC%23.jpg");
    }
}
