//! How quick `review` is with many photos. `ALBUMCTL_LARGE_ALBUM=5000` sets their number; the figures of RESULTS.md are of
//! 5,000. Times depend on what else the machine does, so the test only holds bounds that no busy machine exceeds.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chromium::Browser;
use crate::reviewing::{Reviewing, decision};
use crate::world::{Random, World, report, skipped};

/// Photos of a scene, each a few seconds after the one before.
const TAKES: usize = 4;
const WIDTH: usize = 96;
const HEIGHT: usize = 64;

#[test]
fn a_large_album_is_reviewed_without_waiting() {
    let count = std::env::var("ALBUMCTL_LARGE_ALBUM").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let world = World::new();
    draw_album(&world.photos(), count);
    // Drawn scenes look alike to the network, which would take them for one: the clock tells them apart.
    let review = Reviewing::start(&world, &["photos", "--top", "100", "--method", "burst"]);
    let begun = Instant::now();
    let album = review.get("album.json");
    report(&format!("{count} photos: the album as JSON takes {:?}, {} bytes", begun.elapsed(), album.body.len()));
    let mut words = ["keep", "reject", "none"].iter().cycle();
    let mut random = Random::new(5);
    let (mut times, mut bytes) = (Vec::new(), 0);
    let before = processor_time(&review);
    for _ in 0..21 {
        let (photo, word) = (random.below(count), *words.next().unwrap());
        let begun = Instant::now();
        let answer = review.post("decide", &decision(photo, word));
        times.push(begun.elapsed());
        assert_eq!(answer.status, 200);
        bytes = bytes.max(answer.body.len());
    }
    times.sort();
    let each = processor_time(&review).saturating_sub(before) / 21;
    report(&format!(
        "a decision: median {:?}, longest {:?}, processor time {each:?} on average, at most {bytes} bytes",
        times[10], times[20]
    ));
    let Some(mut browser) = Browser::start(1400, 900) else {
        skipped("no Chromium");
        return;
    };
    browser.open(&review.address());
    let painted = browser.see(FIRST_PAINT);
    let drawn = browser.see("performance.now()");
    report(&format!("first paint after {painted:.0} ms, the photos are there after at most {drawn:.0} ms"));
    let mut effects: Vec<f64> = "kuxkukxukxukxku".chars().map(|key| effect(&mut browser, &key.to_string())).collect();
    effects.sort_by(f64::total_cmp);
    let middle = effects[effects.len() / 2];
    report(&format!("a key press shows its effect after {middle:.0} ms in the median, of {effects:.0?}"));
    for step in [400, 100] {
        let frames = browser.see(&SCROLL.replace("STEP", &step.to_string()));
        let frames: Vec<f64> = frames.as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let longest = frames.iter().copied().fold(0.0, f64::max);
        let over = frames.iter().filter(|&&frame| frame > 100.0).count();
        let count = frames.len();
        report(&format!(
            "scrolling by {step} a frame: {count} frames, the longest {longest:.0} ms, {over} over 100 ms"
        ));
        // Pictures may wait while the list passes by; they come when it rests.
        browser.until("[...document.querySelectorAll('#list img')].every((image) => image.naturalWidth > 0)");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", review.process.id())).unwrap_or_default();
    let memory = |field: &str| status.lines().find(|line| line.starts_with(field)).map(str::to_owned);
    report(&format!("the server: {:?}, {:?}", memory("VmRSS"), memory("VmHWM")));
    // One day of several.
    let day = "(() => { const day = document.getElementById('day'); day.selectedIndex = day.options.length - 1; day.dispatchEvent(new Event('change')); return Number(document.body.dataset.shown); })()";
    let shown = browser.see(day).as_u64().unwrap();
    assert!(shown > 0 && shown < count as u64, "{shown}");
    browser.see("document.getElementById('reset').click()");
    assert_eq!(browser.see("Number(document.body.dataset.shown)").as_u64(), Some(count as u64));
    // Only what is seen is drawn, however many photos there are.
    let cards = browser.see("document.querySelectorAll('#list .photo').length");
    assert!(cards.as_u64().unwrap() < 150, "{cards}");
    assert!(middle < 2_000.0 && painted.as_f64().unwrap() < 5_000.0);
    assert_eq!(browser.wrong, Vec::<String>::new());
}

/// The processor time that the server has taken.
fn processor_time(review: &Reviewing) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", review.process.id())).unwrap_or_default();
    // The name of the program, in parentheses, may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let hundredths: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * hundredths)
}

/// Milliseconds from a key press until the frame is painted that shows what came of it.
fn effect(browser: &mut Browser, key: &str) -> f64 {
    browser.see(
        "window.effect = new Promise((shown) => addEventListener('keydown', () => {
           const pressed = performance.now();
           new MutationObserver((_, observer) => {
             observer.disconnect();
             const painted = new MessageChannel();
             painted.port1.onmessage = () => shown(performance.now() - pressed);
             requestAnimationFrame(() => painted.port2.postMessage(null));
           }).observe(document.body, { attributes: true, attributeFilter: ['data-said'] });
         }, { once: true, capture: true })); null",
    );
    browser.key(key);
    browser.see("window.effect").as_f64().unwrap()
}

/// The browser reports a paint some time after it.
const FIRST_PAINT: &str = "new Promise((done) => {
  const look = () => {
    const [paint] = performance.getEntriesByName('first-contentful-paint');
    if (paint) done(paint.startTime);
    else setTimeout(look, 10);
  };
  look();
})";

/// Scrolls from the top through the album for some seconds; comes to the time between frames.
const SCROLL: &str = "new Promise((done) => {
  const frames = [];
  scrollTo(0, 0);
  const most = document.documentElement.scrollHeight - innerHeight;
  let before = performance.now();
  const step = (now) => {
    frames.push(now - before);
    before = now;
    scrollTo(0, Math.min(most, scrollY + STEP));
    if (frames.length < 300 && scrollY < most) requestAnimationFrame(step); else done(frames.slice(1));
  };
  requestAnimationFrame(step);
})";

/// Small photos of scenes with several takes, each scene of patches of its own; their names tell when they were taken.
fn draw_album(folder: &Path, count: usize) {
    let mut random = Random::new(1);
    let mut patches = Vec::new();
    for photo in 0..count {
        let take = photo % TAKES;
        if take == 0 {
            let patch = |_| [WIDTH, HEIGHT, WIDTH, HEIGHT, 256, 256, 256].map(|most| random.below(most));
            patches = (0..12).map(patch).collect();
        }
        let mut picture = image::RgbImage::new(WIDTH as u32, HEIGHT as u32);
        for &[left, top, wide, high, red, green, blue] in &patches {
            for (x, y) in
                (top..HEIGHT.min(top + high)).flat_map(|y| (left..WIDTH.min(left + wide)).map(move |x| (x, y)))
            {
                let shade = |tone: usize| (tone * (WIDTH + x / 2) / (2 * WIDTH) + take) as u8;
                picture.put_pixel(x as u32, y as u32, image::Rgb([red, green, blue].map(shade)));
            }
        }
        let seconds = photo / TAKES * 1_800 + take * 3;
        let (day, hour, minute) = (1 + seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
        let name = format!("IMG_202605{day:02}_{hour:02}{minute:02}{:02}.jpg", seconds % 60);
        picture.save(folder.join(name)).unwrap();
    }
}
