//! The report page in a real browser: it opens, says no error, and its filters, keys and close-up work. Runs where
//! Chromium is installed. `ALBUMCTL_SCREENSHOTS=DIR` leaves pictures of the pages to look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::chromium;
use crate::world::skipped;
use albumctl::report::html::{Entry, Face, Judgement, Met, Page, thumbnail_budget, write};
use albumctl::thumbnail;
use base::pixels::Pixels;

/// Collects what goes wrong before anything else runs.
const LISTEN: &str = "<script>window.wrong=[];addEventListener('error',e=>wrong.push(e.message));\
addEventListener('securitypolicyviolation',e=>wrong.push('blocked '+e.blockedURI));\
for(const k of ['error','warn']){const o=console[k];console[k]=(...a)=>{wrong.push(a.join(' '));o(...a)}}</script>";

/// Drives the page as a person would and leaves what it saw in the title.
const DRIVE: &str = r#"<script>
(async () => {
  const seen = {};
  const shown = () => Number(document.body.dataset.shown);
  const here = () => Number(document.querySelector('#list .photo.here').dataset.cell);
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const key = (name) => (document.activeElement || document.body).dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
  const slide = (filter, end, value) => {
    const input = document.querySelector(`input[data-filter="${filter}"][data-end="${end}"]`);
    input.value = value;
    input.dispatchEvent(new Event('input', { bubbles: true }));
  };
  try {
    await wait(300);
    seen.all = shown();
    seen.summary = document.getElementById('summary').textContent;
    seen.headings = [...document.querySelectorAll('#list h2')].map((heading) => heading.textContent);
    seen.drawn = document.images.length;
    seen.loaded = [...document.images].some((image) => image.naturalWidth > 0);
    slide('composite', 'from', 600);
    seen.composite = shown();
    document.getElementById('reset').click();
    slide('time', 'to', 500);
    seen.time = shown();
    document.getElementById('reset').click();
    seen.reset = shown();
    document.querySelector('[data-show=picked]').click();
    seen.picked = shown();
    key('p');
    seen.unpicked = shown();
    document.querySelector('[data-show=decided]').click();
    seen.decided = shown();
    document.querySelector('[data-show=all]').click();
    const choose = (id, value) => {
      const list = document.getElementById(id);
      list.value = value;
      list.dispatchEvent(new Event('change', { bubbles: true }));
    };
    seen.lists = ['kind', 'person'].map((id) => [...document.getElementById(id).options].map((option) => option.textContent));
    seen.visible = ['kind', 'person'].every((id) => document.getElementById(id).offsetWidth > 0);
    choose('kind', 'receipt');
    seen.receipts = shown();
    choose('kind', '');
    choose('person', 'Anna');
    seen.anna = shown();
    document.getElementById('reset').click();
    seen.everybody = shown();
    const find = document.getElementById('find');
    find.value = 'photo_3.';
    find.dispatchEvent(new Event('input', { bubbles: true }));
    seen.found = shown();
    document.getElementById('reset').click();
    key('Home');
    const first = here();
    key('ArrowRight');
    seen.moved = here() === first + 1;
    key('ArrowDown');
    seen.leapt = here() > first + 3;
    document.querySelector('#list .photo.here').click();
    seen.closer = document.getElementById('closer').open;
    seen.buttons = [...document.querySelectorAll('#closer .words button')].map((button) => button.textContent);
    document.getElementById('closer').close();
    const calls = [...document.querySelectorAll('#list .cell')].filter((cell) => /^(Picked|Runner-up)/.test(cell.querySelector('.above')?.textContent));
    seen.calls = calls.map((cell) => [cell.querySelector('.above').textContent, Number(cell.querySelector('.photo').dataset.photo)]);
    seen.row = calls.every((cell) => cell.parentElement === calls[0].parentElement);
    calls[1].querySelector('.photo').click();
    seen.panes = [...document.querySelectorAll('#closer .pane')].map((pane) => Number(pane.dataset.photo));
    document.getElementById('closer').close();
    const before = document.documentElement.dataset.theme;
    document.getElementById('theme').click();
    seen.theme = before !== document.documentElement.dataset.theme;
    seen.ready = document.body.dataset.ready;
  } catch (failure) {
    wrong.push(String(failure.stack || failure));
  }
  seen.wrong = wrong;
  const out = document.createElement('pre');
  out.id = 'seen';
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
})();
</script>"#;

/// A landscape of the scene's own colours; the take moves the sun and the light.
fn landscape(scene: usize, take: usize, width: u32, height: u32) -> Pixels {
    let (s, t) = (scene as f32, take as f32);
    let hue = |shift: f32| 0.5 + 0.5 * (s * 1.7 + shift).sin();
    let light = 0.82 + 0.06 * (t * 2.1 + s).sin();
    let sun = (0.2 + 0.6 * hue(4.0) + 0.01 * t, 0.28);
    let mut data = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let mut colour =
                [150.0 + 100.0 * hue(0.3) * v, 150.0 + 60.0 * hue(1.9) + 30.0 * v, 230.0 - 60.0 * hue(3.1) * v];
            let glow = (-40.0 * ((u - sun.0).powi(2) + (v - sun.1).powi(2))).exp();
            colour = colour.map(|c| c + 70.0 * glow);
            for ridge in 0..4 {
                let r = ridge as f32;
                let line = 0.45 + 0.13 * r + 0.08 * (u * (3.0 + r * 1.3) + s * 2.3 + r * 1.9 + 0.01 * t).sin();
                if v > line {
                    let depth = 1.0 - r * 0.2;
                    colour = [
                        90.0 * hue(r) * depth + 20.0,
                        (70.0 + 60.0 * hue(r + 2.0)) * depth + 10.0,
                        (60.0 + 70.0 * hue(5.0)) * depth,
                    ];
                }
            }
            data.extend(colour.map(|c| (c * light).clamp(0.0, 255.0) as u8));
        }
    }
    Pixels::new(width, height, data).expect("three bytes a pixel")
}

/// Pictures drawn for a page; they come again after that.
const DRAWN: usize = 60;

/// A deterministic number in 0..1.
fn part(i: usize, what: usize) -> f64 {
    let mixed = (i as u64 * 31 + what as u64 * 7919 + 17).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// The pick that is too close to call.
const CLOSE_CALL: usize = 2;

fn album(count: usize, takes: usize) -> Page {
    let mut photos: Vec<Entry> = (0..count).map(|i| entry(i, takes)).collect();
    let mut rank = 0;
    for scene in photos.chunks_mut(takes) {
        let composite = |at: usize| scene[at].judgement.composite;
        let best = (0..scene.len()).max_by(|&a, &b| composite(a).partial_cmp(&composite(b)).expect("numbers"));
        let Some(best) = best else { continue };
        rank += 1;
        let of = scene.len();
        let name = scene[best].path.clone();
        if rank == CLOSE_CALL {
            let next = (best + 1) % of;
            let runner_up = scene[next].path.clone();
            scene[best].judgement.met[0].path = runner_up;
            (scene[best].judgement.close_call, scene[next].judgement.close_call) = (true, true);
        }
        for (at, photo) in scene.iter_mut().enumerate() {
            if at == best {
                photo.judgement.rank = Some(rank);
                photo.judgement.reason =
                    format!("Sharpest of {of} takes; eyes open and smiling; 0.07 ahead of photo_{}.jpg.", at + 1);
            } else {
                photo.judgement.reason =
                    format!("Third of {of} takes; 0.12 behind {}; less sharp.", name.rsplit('/').next().unwrap_or(""));
            }
        }
    }
    Page {
        title: "Summer by the lakes".into(),
        made_by: "albumctl 0.1.0 · scene-layout@1".into(),
        notes: vec!["No comparison model is installed: close calls were settled by composite, then sharpness.".into()],
        photos,
        ..Page::default()
    }
}

fn entry(i: usize, takes: usize) -> Entry {
    let centre = |what| (0.35 + 0.5 * f64::midpoint(part(i, what), part(i, what + 40))).min(1.0);
    let minutes = i / takes * 37 + i % takes;
    let has_face = (i / takes).is_multiple_of(3);
    let face = |x: f64| Face {
        bbox: [x, 0.3, 0.14, 0.24],
        eyes_open: [Some(true), Some(false), None][i % 3],
        smiling: Some(i.is_multiple_of(2)),
    };
    Entry {
        path: format!("/photos/2026/lakes/photo_{i}.jpg"),
        link: Some(format!("file:///photos/2026/lakes/photo_{i}.jpg")),
        group: Some(i / takes),
        aesthetic: Some(centre(2)),
        technical: Some(centre(3)),
        portrait: (!i.is_multiple_of(7)).then(|| if has_face { centre(4) } else { 0.5 }),
        sharpness: Some(part(i, 5)),
        exposure: Some(centre(6)),
        taken_at: Some(format!("2026-07-{:02} {:02}:{:02}:05", 1 + minutes / 1440, minutes / 60 % 24, minutes % 60)),
        taken_ms: Some(1_782_864_000_000 + minutes as i64 * 60_000),
        faces: if has_face { vec![face(0.3), face(0.55)] } else { Vec::new() },
        kind: Some(if i % 20 == 3 { "receipt" } else { "photo" }.into()),
        people: if i.is_multiple_of(4) { vec!["Anna".into()] } else { Vec::new() },
        judgement: Judgement {
            composite: Some(centre(1)),
            met: vec![Met {
                path: "/photos/2026/lakes/photo_9.jpg".into(),
                won: Some(i.is_multiple_of(2)),
                confidence: 0.71,
            }],
            decision: (i == 4).then_some("keep"),
            ..Judgement::default()
        },
        ..Entry::default()
    }
}

fn render(page: &Page, takes: usize, sides: (u32, u32)) -> String {
    let (mut out, mut drawn) = (Vec::new(), Vec::new());
    let upright = |i: usize| if i % 11 == 5 { (sides.1, sides.0) } else { sides };
    write(
        &mut out,
        page,
        &mut |i| {
            if i < DRAWN {
                let (width, height) = upright(i);
                let picture = landscape(i / takes, i % takes, width, height);
                drawn.push(thumbnail::encode(&picture, thumbnail_budget(page.photos.len())));
            }
            drawn[i % DRAWN].clone()
        },
        &mut |_| None,
    )
    .expect("a page");
    String::from_utf8(out).expect("text")
}

fn browse(browser: &Path, world: &Path, extra: &[&str], page: &Path) -> String {
    let profile = tempfile::tempdir_in(world).expect("a profile");
    let output = Command::new(browser)
        .args(chromium::QUIET)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(extra)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = chromium::find() else {
        skipped("no Chromium");
        return;
    };
    let world = tempfile::tempdir().expect("a folder");
    let takes = 5;
    let page = album(60, takes);
    let html = render(&page, takes, (480, 320));
    let driven =
        html.replacen("<head>", &format!("<head>{LISTEN}"), 1).replacen("</body>", &format!("{DRIVE}</body>"), 1);
    let file = world.path().join("driven.html");
    fs::write(&file, driven).expect("the page");
    let dom =
        browse(&browser, world.path(), &["--dump-dom", "--virtual-time-budget=4000", "--window-size=1400,900"], &file);
    let (_, rest) =
        dom.split_once("<pre id=\"seen\">").unwrap_or_else(|| panic!("the page did not get through:\n{dom:.2000}"));
    let told = rest.split_once("</pre>").expect("an end").0.replace("&gt;", ">").replace("&amp;", "&");
    let seen: serde_json::Value = serde_json::from_str(&told).expect("JSON");

    assert_eq!(seen["wrong"], serde_json::json!([]), "{seen}");
    let number = |filter: &dyn Fn(&Entry) -> bool| page.photos.iter().filter(|photo| filter(photo)).count();
    assert_eq!(seen["all"], 60);
    assert_eq!(seen["summary"], "12 of 60 photos picked, from 12 scenes");
    assert_eq!(seen["headings"][0], "Picked12 photos");
    assert_eq!(seen["loaded"], true);
    assert!(seen["drawn"].as_u64().is_some_and(|drawn| drawn < 60), "all photos are drawn at once: {seen}");
    assert_eq!(seen["composite"], number(&|photo| photo.judgement.composite.is_some_and(|value| value >= 0.6 - 1e-9)));
    let times: Vec<i64> = page.photos.iter().filter_map(|photo| photo.taken_ms).collect();
    let middle = i64::midpoint(times[0], times[59]);
    assert_eq!(seen["time"], times.iter().filter(|&&time| time <= middle).count());
    assert_eq!((&seen["reset"], &seen["picked"], &seen["unpicked"]), (&60.into(), &12.into(), &60.into()));
    assert_eq!(
        (&seen["lists"], &seen["visible"]),
        (&serde_json::json!([["Every kind", "photo (57)", "receipt (3)"], ["Everybody", "Anna (15)"]]), &true.into())
    );
    assert_eq!((&seen["receipts"], &seen["anna"], &seen["everybody"]), (&3.into(), &15.into(), &60.into()));
    assert_eq!((&seen["found"], &seen["decided"]), (&1.into(), &1.into()));
    let pick = page.photos.iter().position(|photo| photo.judgement.rank == Some(CLOSE_CALL)).expect("a pick");
    let pair = [pick, pick / takes * takes + (pick + 1) % takes];
    let calls = serde_json::json!([["Picked · preferred with 71 %", pair[0]], ["Runner-up", pair[1]]]);
    assert_eq!((&seen["calls"], &seen["row"]), (&calls, &true.into()), "both stand in one row: {seen}");
    assert_eq!(seen["panes"], serde_json::json!(pair), "and open side by side");
    assert_eq!(seen["buttons"], serde_json::json!(["Keep", "Reject", "Back"]));
    for what in ["moved", "leapt", "closer", "theme"] {
        assert_eq!(seen[what], true, "{what}: {seen}");
    }
}

#[test]
fn two_thousand_photos_fit_the_page() {
    let takes = 8;
    let page = album(2000, takes);
    let html = render(&page, takes, (420, 280));
    assert!(html.len() < 40_000_000, "{} bytes", html.len());
    let (Some(browser), Some(shots)) = (chromium::find(), std::env::var_os("ALBUMCTL_SCREENSHOTS")) else {
        skipped("no Chromium, or no ALBUMCTL_SCREENSHOTS");
        return;
    };
    let (shots, world) = (PathBuf::from(shots), tempfile::tempdir().expect("a folder"));
    fs::create_dir_all(&shots).expect("a folder");
    let few = album(23, 5);
    for (name, html, dark) in [
        ("many", &html, false),
        ("few", &render(&few, 5, (900, 600)), false),
        ("few-dark", &render(&few, 5, (900, 600)), true),
    ] {
        let file = world.path().join(format!("{name}.html"));
        let html = if dark { html.replace("let theme = null;", "let theme = 'dark';") } else { html.clone() };
        fs::write(&file, html).expect("the page");
        let shot = format!("--screenshot={}", shots.join(format!("{name}.png")).display());
        browse(&browser, world.path(), &[&shot, "--window-size=1440,1100", "--virtual-time-budget=3000"], &file);
    }
    let opened = render(&few, 5, (900, 600)).replacen(
        "</body>",
        "<script>document.querySelectorAll('.photo')[1].click()</script></body>",
        1,
    );
    let file = world.path().join("closer.html");
    fs::write(&file, opened).expect("the page");
    let shot = format!("--screenshot={}", shots.join("closer.png").display());
    browse(&browser, world.path(), &[&shot, "--window-size=1440,1100", "--virtual-time-budget=3000"], &file);
}
