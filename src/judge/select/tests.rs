//! Selections of small albums with known results.

use std::collections::HashSet;

use super::*;

pub fn photo(path: &str, group: usize, iqa: f64) -> Photo {
    Photo {
        path: path.into(),
        group: Some(group),
        aesthetic: Err(MissingReason::ModelMissing),
        iqa: Ok(iqa),
        portrait: Err(MissingReason::ModelMissing),
        sharpness: None,
        face_sharpness: Vec::new(),
        eyes: Vec::new(),
        taken_ms: None,
        decision: None,
        decision_source: None,
        kind: None,
        subject: None,
        size: None,
        day: None,
        people: Vec::new(),
        content: None,
        sequence: None,
        taste: None,
        relevance: None,
        unwanted: None,
    }
}

/// Gives the photos capture times `gap_ms` apart.
fn burst<const N: usize>(photos: [Photo; N], gap_ms: i64) -> [Photo; N] {
    let mut clock = 0;
    photos.map(|photo| {
        clock += gap_ms;
        Photo { taken_ms: Some(clock), ..photo }
    })
}

#[allow(clippy::unnecessary_wraps, reason = "the selection asks for an answer that may be missing")]
pub(super) fn apart(_: usize, _: usize) -> Option<f64> {
    Some(1.0)
}

pub(super) fn no_model() -> Comparator<'static> {
    Comparator { better: None, distance: &apart }
}

pub(super) fn picks(photos: &[Photo], rules: &Rules, comparator: Comparator) -> Vec<String> {
    let verdicts = select(photos, rules, comparator).unwrap();
    assert_eq!(verdicts.len(), photos.len());
    verdicts.iter().filter(|v| v.selected()).map(|v| photos[v.photo].path.display().to_string()).collect()
}

pub fn needs_comparison(photos: &[Photo], rules: &Rules) -> Vec<usize> {
    Selection::of(photos, rules).unwrap().needs_comparison()
}

fn reason<'a>(verdicts: &'a [Verdict], photos: &[Photo], path: &str) -> &'a str {
    &verdicts.iter().find(|v| photos[v.photo].path.as_os_str() == path).unwrap().reason
}

#[test]
fn a_picture_takes_one_place_however_many_files_it_has() {
    let same = |path: &str| Photo { content: Some([7; 32]), decision: Some(Decision::Keep), ..photo(path, 0, 0.8) };
    let photos = [
        same("a/copies/x.jpg"),
        same("a/x.jpg"),
        same("a/x (1).jpg"),
        photo("a/y.jpg", 0, 0.6),
        photo("a/z.jpg", 1, 0.5),
    ];
    let rules = Rules { per_group: 9, ..Rules::default() };
    let verdicts = select(&photos, &rules, no_model()).unwrap();
    assert_eq!(picks(&photos, &rules, no_model()), ["a/x.jpg", "a/z.jpg", "a/y.jpg"]);
    assert_eq!(reason(&verdicts, &photos, "a/x (1).jpg"), "The same picture as x.jpg, byte for byte.");
    assert_eq!(reason(&verdicts, &photos, "a/copies/x.jpg"), "The same picture as a/x.jpg, byte for byte.");
    assert!(verdicts.iter().all(|verdict| verdict.group_size == if verdict.photo == 4 { 1 } else { 2 }));
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn composite_is_the_formula() {
    // The worked example of the original.
    let smiling = Portrait {
        score: 0.975,
        is_portrait: true,
        eyes_open: Some(true),
        is_smiling: Some(true),
        ..Portrait::default()
    };
    let one = Photo { aesthetic: Ok(7.5), portrait: Ok(smiling), ..photo("a", 0, 0.8) };
    assert!(close(ScoreParts::of(&one, &Weights::default()).composite().unwrap(), 0.813_611_1));
}

#[test]
fn a_missing_part_is_left_out_and_said_and_zero_is_zero() {
    let weights = Weights::default();
    let one = Photo { portrait: Ok(Portrait { score: 0.5, ..Portrait::default() }), ..photo("a", 0, 0.0) };
    let parts = ScoreParts::of(&one, &weights);
    assert_eq!((parts.aesthetic.value, parts.aesthetic.why), (None, Some(MissingReason::ModelMissing)));
    assert!(close(parts.iqa.weight, 0.4) && close(parts.portrait.weight, 0.6) && parts.aesthetic.weight == 0.0);
    assert!(close(parts.composite().unwrap(), 0.4 * 0.0 + 0.6 * 0.5));
    let nothing = Photo { iqa: Err(MissingReason::Failed), ..photo("a", 0, 0.0) };
    assert_eq!(ScoreParts::of(&nothing, &weights).composite(), None);
    let broken = Photo { aesthetic: Ok(f64::NAN), ..photo("a", 0, 0.5) };
    assert_eq!(ScoreParts::of(&broken, &weights).aesthetic.why, Some(MissingReason::Failed));
}

#[test]
fn weights_are_proportions() {
    let one = Photo { aesthetic: Ok(5.5), ..photo("a", 0, 0.3) };
    let small =
        ScoreParts::of(&one, &Weights { aesthetic: 0.1, iqa: 0.3, portrait: 0.0, relevance: 0.0 }).composite().unwrap();
    let large = ScoreParts::of(&one, &Weights { aesthetic: 10.0, iqa: 30.0, portrait: 0.0, relevance: 0.0 })
        .composite()
        .unwrap();
    assert!(close(small, 0.25 * 0.5 + 0.75 * 0.3) && close(small, large));
}

#[test]
fn the_best_of_each_group_then_different_ones() {
    let photos = [photo("a1", 0, 0.9), photo("a2", 0, 0.8), photo("a3", 0, 0.7), photo("b1", 1, 0.5)];
    let rules = |top| Rules { top: Some(top), ..Rules::default() };
    assert_eq!(picks(&photos, &rules(1), no_model()), ["a1"]);
    assert_eq!(picks(&photos, &rules(2), no_model()), ["a1", "b1"]);
    assert_eq!(picks(&photos, &rules(9), no_model()), ["a1", "b1", "a2", "a3"]);
    // a2 is a twin of a1.
    let twin = |i: usize, j: usize| Some(if i.min(j) == 0 && i.max(j) == 1 { 0.01 } else { 0.5 });
    let comparator = Comparator { better: None, distance: &twin };
    assert_eq!(picks(&photos, &rules(9), comparator), ["a1", "b1", "a3"]);
    let verdicts = select(&photos, &rules(9), comparator).unwrap();
    assert_eq!(
        reason(&verdicts, &photos, "a2"),
        "Too similar to a1, which was picked: their distance is 0.01, and at least 0.10 is required."
    );
}

#[test]
fn per_group_gives_that_many_and_no_more_unless_it_may_fill() {
    let photos = [photo("a1", 0, 0.9), photo("a2", 0, 0.8), photo("a3", 0, 0.7), photo("b1", 1, 0.5)];
    let rules = Rules { per_group: 2, fill: false, ..Rules::default() };
    assert_eq!(picks(&photos, &rules, no_model()), ["a1", "b1", "a2"]);
    assert_eq!(picks(&photos, &Rules { top: Some(4), ..rules.clone() }, no_model()), ["a1", "b1", "a2"]);
    assert_eq!(picks(&photos, &Rules { top: Some(4), fill: true, ..rules }, no_model()), ["a1", "b1", "a2", "a3"]);
}

#[test]
fn without_a_model_ties_go_to_composite_then_sharpness_then_path() {
    let sharp = |path: &str, sharpness| Photo { sharpness: Some(sharpness), ..photo(path, 0, 0.6) };
    assert_eq!(picks(&[sharp("a", 0.2), sharp("b", 0.4)], &Rules::default(), no_model()), ["b"]);
    assert_eq!(picks(&[sharp("b", 0.4), sharp("a", 0.4)], &Rules::default(), no_model()), ["a"]);
}

#[test]
fn the_tie_break_decides_among_the_close_and_only_among_them() {
    // The model likes later photos; d is beyond the margin.
    let photos = [photo("a", 0, 0.90), photo("b", 0, 0.88), photo("c", 0, 0.86), photo("d", 0, 0.80)];
    let photos = burst(photos, 10_000);
    let asked = std::cell::RefCell::new(HashSet::new());
    let later = |i: usize, j: usize| {
        asked.borrow_mut().extend([i, j]);
        Some(if i > j { 0.9 } else { 0.1 })
    };
    let comparator = Comparator { better: Some(&later), distance: &apart };
    let verdicts = select(&photos, &Rules::default(), comparator).unwrap();
    assert_eq!(*asked.borrow(), HashSet::from([0, 1, 2]));
    assert_eq!(needs_comparison(&photos, &Rules::default()), [0, 1, 2]);
    assert_eq!(verdicts[0].photo, 2);
    let tiebreak = verdicts[0].tiebreak.as_ref().unwrap();
    assert_eq!((tiebreak.wins, tiebreak.meetings, tiebreak.met.len()), (2, 2, 2));
    assert!(close(tiebreak.confidence, 0.9));
    assert_eq!(
        reason(&verdicts, &photos, "c"),
        "First of 4 takes; beat a and b in the tie-break (2 of 2 won), though a scored 0.04 higher."
    );
    assert_eq!(
        reason(&verdicts, &photos, "a"),
        "Third of 4 takes; lost to c in the tie-break, though it scored 0.04 higher."
    );
    assert_eq!(reason(&verdicts, &photos, "d"), "Fourth of 4 takes; 0.06 behind c; technically weaker.");
    assert!(verdicts.iter().find(|v| v.photo == 3).unwrap().tiebreak.is_none());
}

#[test]
fn no_model_is_needed_without_close_composites() {
    let photos = [photo("a", 0, 0.9), photo("b", 0, 0.8), photo("c", 1, 0.8)];
    assert!(needs_comparison(&photos, &Rules::default()).is_empty());
}

#[test]
fn a_biased_model_that_sees_no_difference_is_a_coin_flip() {
    let photos = [photo("a", 0, 0.50), photo("b", 0, 0.52)];
    let biased = |_: usize, _: usize| Some(0.8);
    let verdicts = select(&photos, &Rules::default(), Comparator { better: Some(&biased), distance: &apart }).unwrap();
    assert_eq!(verdicts[0].photo, 1, "composite decides");
    let tiebreak = verdicts[0].tiebreak.as_ref().unwrap();
    assert!(close(tiebreak.confidence, 0.5) && tiebreak.met[0].won.is_none());
}

#[test]
fn filters_pass_unmeasured_values_and_reasons_name_the_failed_filter() {
    let closed = Portrait { score: 0.5, is_portrait: true, eyes_open: Some(false), ..Portrait::default() };
    let unsure = Portrait { eyes_open: None, ..closed };
    let photos = [
        photo("dull", 0, 0.2),
        Photo { iqa: Err(MissingReason::Failed), aesthetic: Ok(6.0), ..photo("unmeasured", 1, 0.0) },
        Photo { aesthetic: Ok(3.0), ..photo("ugly", 2, 0.5) },
        Photo { sharpness: Some(0.1), ..photo("soft", 3, 0.5) },
        Photo { portrait: Ok(closed), ..photo("blink", 4, 0.5) },
        Photo { portrait: Ok(unsure), ..photo("small face", 5, 0.5) },
        Photo { group: None, ..photo("stray", 6, 0.9) },
    ];
    let filters =
        Filters { min_iqa: 0.3, min_aesthetic: 4.0, min_sharpness: 0.2, require_eyes_open: true, ..Filters::default() };
    let rules = Rules { filters, ..Rules::default() };
    let mut chosen = picks(&photos, &rules, no_model());
    chosen.sort();
    assert_eq!(chosen, ["small face", "unmeasured"]);
    let verdicts = select(&photos, &rules, no_model()).unwrap();
    for (path, expected) in [
        ("dull", "Technical quality 0.20 is below the required 0.30."),
        ("ugly", "Aesthetic score 3.00 is below the required 4.00."),
        ("soft", "Sharpness 0.10 is below the required 0.20."),
        ("blink", "A portrait with closed eyes, but open eyes are required."),
        ("stray", "It belongs to no group, and photos without one are left out."),
        ("unmeasured", "The only photo of its scene; aesthetic score 6.0 of 10."),
    ] {
        assert_eq!(reason(&verdicts, &photos, path), expected);
    }
}

#[test]
fn a_person_outranks_scores_filters_groups_and_top() {
    let keep = |mut photo: Photo| {
        photo.decision = Some(Decision::Keep);
        photo
    };
    let mut rejected = photo("best", 0, 0.99);
    rejected.decision = Some(Decision::Reject);
    let photos = [
        rejected,
        keep(photo("worst", 0, 0.05)),
        photo("middle", 0, 0.5),
        keep(Photo { group: None, ..photo("stray", 9, 0.1) }),
        photo("other", 1, 0.9),
    ];
    let filters = Filters { min_iqa: 0.2, ..Filters::default() };
    let rules = Rules { filters, top: Some(1), ..Rules::default() };
    assert_eq!(picks(&photos, &rules, no_model()), ["stray", "worst"]);
    assert_eq!(picks(&photos, &Rules { top: None, ..rules.clone() }, no_model()), ["stray", "worst", "other"]);
    let verdicts = select(&photos, &rules, no_model()).unwrap();
    assert_eq!(reason(&verdicts, &photos, "stray"), "You kept it.");
    assert_eq!(reason(&verdicts, &photos, "worst"), "You kept it, though only one was asked for.");
    assert_eq!(reason(&verdicts, &photos, "best"), "You rejected it.");
    assert_eq!(reason(&verdicts, &photos, "middle"), "You kept worst of this scene.");
    assert_eq!(
        reason(&verdicts, &photos, "other"),
        "The only photo of its scene, but only one photo was asked for and you kept another."
    );
}

#[test]
fn reasons_name_what_sets_a_take_apart() {
    let face = |open, smile| {
        let score = crate::portrait::score(true, Some(open), Some(smile), Some(0.4));
        Ok(Portrait { score, is_portrait: true, eyes_open: Some(open), is_smiling: Some(smile), ..Portrait::default() })
    };
    let photos = [
        Photo { sharpness: Some(0.8), portrait: face(true, true), ..photo("/x/DSC_1.jpg", 0, 0.7) },
        Photo { sharpness: Some(0.7), portrait: face(false, false), ..photo("/x/DSC_2.jpg", 0, 0.7) },
        Photo { sharpness: Some(0.4), portrait: face(true, false), ..photo("/x/DSC_3.jpg", 0, 0.7) },
    ];
    let photos = burst(photos, 500);
    let verdicts = select(&photos, &Rules::default(), no_model()).unwrap();
    for (path, expected) in [
        ("/x/DSC_1.jpg", "Sharpest of 3 takes; eyes open and smiling; 0.06 ahead of DSC_3.jpg."),
        ("/x/DSC_2.jpg", "Third of 3 takes; 0.21 behind DSC_1.jpg; eyes closed."),
        ("/x/DSC_3.jpg", "Second of 3 takes; 0.06 behind DSC_1.jpg; less sharp."),
    ] {
        assert_eq!(reason(&verdicts, &photos, path), expected);
    }
}

#[test]
fn only_bursts_have_takes_and_only_the_highest_score_is_best() {
    let reason_of = |photos: &[Photo], path: &str| {
        let verdicts = select(photos, &Rules::default(), no_model()).unwrap();
        reason(&verdicts, photos, path).to_owned()
    };
    let pair = || [photo("a", 0, 0.9), photo("b", 0, 0.8)];
    assert_eq!(reason_of(&burst(pair(), 10_000), "a"), "Technically best of 2 takes; 0.10 ahead of b.");
    assert_eq!(reason_of(&burst(pair(), 60_000), "a"), "Technically best of 2 photos of its scene; 0.10 ahead of b.");
    assert_eq!(reason_of(&pair(), "b"), "Second of 2 photos of its scene; 0.10 behind a; technically weaker.");
    let equal = [photo("a", 0, 0.9), photo("b", 0, 0.9)];
    assert!(reason_of(&equal, "a").starts_with("First of 2 photos"), "nobody is best where another scored as much");
    // A photo rejected by a person may have a higher score than the pick.
    let [best, mut other] = pair();
    other.aesthetic = Ok(2.0);
    let rejected = [Photo { decision: Some(Decision::Reject), aesthetic: Ok(9.0), ..best }, other];
    assert_eq!(reason_of(&rejected, "b"), "The only one of 2 photos of its scene that may be picked.");
}

#[test]
fn the_reason_of_a_single_photo_names_its_two_best_scores() {
    let alone = Photo { sharpness: Some(0.71), aesthetic: Ok(8.2), ..photo("a", 0, 0.64) };
    let verdict = |photo: &Photo| select(std::slice::from_ref(photo), &Rules::default(), no_model()).unwrap().remove(0);
    assert_eq!(verdict(&alone).reason, "The only photo of its scene; aesthetic score 8.2 of 10 and sharpness 0.71.");
    let face =
        Portrait { score: 0.9, is_portrait: true, eyes_open: Some(true), is_smiling: None, ..Portrait::default() };
    let portrait = Photo { portrait: Ok(face), ..alone };
    assert_eq!(verdict(&portrait).reason, "The only photo of its scene; aesthetic score 8.2 of 10; eyes open.");
}

#[test]
fn senseless_rules_are_refused() {
    let zero =
        Rules { weights: Weights { aesthetic: 0.0, iqa: 0.0, portrait: 0.0, relevance: 0.0 }, ..Rules::default() };
    assert_eq!(select(&[], &zero, no_model()), Err(SelectError::Weights));
    let endless = Rules { tiebreak_margin: f64::INFINITY, ..Rules::default() };
    assert_eq!(select(&[], &endless, no_model()), Err(SelectError::Margin { name: "tiebreak_margin" }));
    assert_eq!(select(&[], &Rules::default(), no_model()), Ok(Vec::new()));
}

/// A photo of `people` prominent faces, of which number `blinks` from the left blinks.
fn take(path: &str, score: f64, people: usize, blinks: Option<usize>) -> Photo {
    let portrait = Portrait {
        score: 0.5,
        is_portrait: true,
        eyes_open: Some(blinks.is_none()),
        is_smiling: Some(false),
        people,
        blinks,
    };
    Photo { portrait: Ok(portrait), ..photo(path, 0, score) }
}

#[test]
fn a_take_in_which_somebody_blinks_wins_only_where_it_is_clearly_better() {
    let first = |blinking: f64, rules: &Rules, comparator: Comparator| {
        let photos = [take("blink", blinking, 4, Some(2)), take("open", 0.5, 4, None), take("worse", 0.3, 4, None)];
        picks(&photos, &Rules { top: Some(1), ..rules.clone() }, comparator).remove(0)
    };
    // A difference in `iqa` changes the composite by two fifths of it.
    let rules = Rules { blink_margin: 0.15, ..Rules::default() };
    assert_eq!(first(0.7, &rules, no_model()), "open");
    assert_eq!(first(0.95, &rules, no_model()), "blink", "0.18 ahead");
    assert_eq!(first(0.7, &Rules { blink_margin: 0.0, ..rules.clone() }, no_model()), "blink");
    // The comparison model cannot override the blink margin, either way.
    let likes = |name: &'static str| {
        move |a: usize, b: usize| {
            let index = usize::from(name != "blink");
            Some(if a == index {
                0.9
            } else if b == index {
                0.1
            } else {
                0.5
            })
        }
    };
    let likes_blinks = likes("blink");
    let comparator = Comparator { better: Some(&likes_blinks), ..no_model() };
    assert_eq!(first(0.55, &rules, comparator), "open");
    let likes_open = likes("open");
    let comparator = Comparator { better: Some(&likes_open), ..no_model() };
    assert_eq!(first(0.95, &rules, comparator), "blink");
    // If somebody blinks in every take, the margin has no effect.
    let photos = [take("a", 0.6, 1, Some(1)), take("b", 0.5, 1, Some(1))];
    assert_eq!(picks(&photos, &Rules { top: Some(1), ..rules }, no_model()), ["a"]);
}

#[test]
fn reasons_of_groups_say_who_blinks() {
    let photos = [take("DSC_1", 0.5, 4, None), take("DSC_2", 0.6, 4, Some(2)), take("DSC_3", 0.3, 4, Some(1))];
    let verdicts = select(&photos, &Rules { blink_margin: 0.15, ..Rules::default() }, no_model()).unwrap();
    let text = reason(&verdicts, &photos, "DSC_1");
    assert!(text.contains("all four have their eyes open; in DSC_2 the second from the left blinks"), "{text}");
    assert!(text.contains("preferred to DSC_2, though that scored 0.04 higher"), "{text}");
    let text = reason(&verdicts, &photos, "DSC_2");
    assert!(
        text.contains("the second from the left blinks") && text.contains("though it scored 0.04 higher"),
        "{text}"
    );
    assert!(reason(&verdicts, &photos, "DSC_3").contains("the first from the left blinks"));
}

/// A take of two people: the place of the left one, and how far lids are down and how much each smiles.
fn take_of_two(path: &str, score: f64, left: f64, [a, b]: [[f64; 2]; 2]) -> Photo {
    let eyes =
        |x: f64, [lids, smile]: [f64; 2]| SeenEyes { bbox: [x, 0.3, 0.2, 0.3], lids: Some(lids), smile: Some(smile) };
    Photo { eyes: vec![eyes(left, a), eyes(0.6, b)], ..take(path, score, 2, None) }
}

#[test]
fn eyes_half_closed_beside_the_same_face_in_another_take_are_a_blink() {
    let rules = Rules { blink_margin: 0.15, top: Some(1), ..Rules::default() };
    let open = take_of_two("DSC_1", 0.5, 0.2, [[0.05, 0.0], [0.1, 0.9]]);
    let of = |other: Photo, rules: &Rules| {
        let photos = [open.clone(), other];
        let verdicts = select(&photos, rules, no_model()).unwrap();
        let reasons = ["DSC_1", "DSC_2"].map(|path| reason(&verdicts, &photos, path).to_owned());
        (picks(&photos, rules, no_model()).remove(0), reasons)
    };
    let half = take_of_two("DSC_2", 0.6, 0.22, [[0.06, 0.0], [0.35, 0.95]]);
    let (first, [why, why_not]) = of(half.clone(), &rules);
    assert_eq!(first, "DSC_1");
    let said = "both have their eyes open; in DSC_2 the eyes of the second from the left are half closed";
    assert!(why.contains(said), "{why}");
    assert!(why_not.ends_with("the eyes of the second from the left are half closed."), "{why_not}");
    let wins = |other: Photo, rules: &Rules| of(other, rules).0;
    assert_eq!(wins(half.clone(), &Rules { blink_margin: 0.0, ..rules.clone() }), "DSC_2", "unless the rule is off");
    let narrow = take_of_two("DSC_2", 0.6, 0.2, [[0.05, 0.0], [0.2, 0.9]]);
    assert_eq!(wins(narrow, &rules), "DSC_2", "or the lids are hardly lower");
    let laughs = take_of_two("DSC_2", 0.6, 0.2, [[0.3, 0.9], [0.1, 0.9]]);
    assert_eq!(wins(laughs, &rules), "DSC_2", "or they are lower because the face smiles, as it does not in the other");
    let elsewhere = take_of_two("DSC_2", 0.6, 0.45, [[0.3, 0.0], [0.1, 0.9]]);
    assert_eq!(wins(elsewhere, &rules), "DSC_2", "or it is the face of somebody else");
    let apart = Photo { group: Some(1), ..half };
    assert_eq!(wins(apart, &rules), "DSC_2", "or the photos are of different scenes");
}

#[test]
fn close_calls_are_named_with_the_runner_up() {
    let photos = [photo("a", 0, 0.5), photo("b", 0, 0.5), photo("c", 0, 0.49)];
    let verdicts_at = |likely: f64| {
        let better = move |a: usize, b: usize| {
            let strength = |photo: usize| [likely, 1.0 - likely, 0.0][photo];
            Some(0.5 + (strength(a) - strength(b)) / 2.0)
        };
        let verdicts = select(&photos, &Rules::default(), Comparator { better: Some(&better), ..no_model() }).unwrap();
        let of =
            |path: &str| verdicts.iter().find(|verdict| photos[verdict.photo].path.ends_with(path)).unwrap().clone();
        (of("a"), of("b").close_call, of("c").close_call)
    };
    let (first, second, third) = verdicts_at(0.53);
    assert!(first.close_call && second && !third);
    assert!(first.reason.contains("too close to call beside b"), "{}", first.reason);
    let (first, second, _) = verdicts_at(0.6);
    assert!(!first.close_call && !second && !first.reason.contains("close"), "{}", first.reason);
}

#[test]
fn in_a_tie_break_sharper_faces_decide() {
    let take = |path: &str, iqa: f64, faces: &[f64]| {
        let portrait = Portrait { score: 0.75, is_portrait: true, eyes_open: Some(true), ..Portrait::default() };
        Photo { portrait: Ok(portrait), face_sharpness: faces.to_vec(), ..photo(path, 0, iqa) }
    };
    let rules = Rules { face_sharpness_margin: 0.1, ..Rules::default() };
    let prefer_b = |a: usize, _: usize| Some(if a == 1 { 0.9 } else { 0.1 });
    let models = [no_model(), Comparator { better: Some(&prefer_b), ..no_model() }];
    // The second is rated higher, and preferred by the model, but its faces are less sharp.
    let photos = [take("a", 0.5, &[0.6, 0.6]), take("b", 0.55, &[0.58, 0.3])];
    for model in models {
        let verdicts = select(&photos, &rules, model).unwrap();
        let text = reason(&verdicts, &photos, "a");
        assert!(verdicts[0].selected() && verdicts[0].photo == 0, "{text}");
        assert!(text.contains("the second face from the left is sharper than in b"), "{text}");
        assert!(text.contains("preferred to b, though that scored 0.02 higher"), "{text}");
        let text = reason(&verdicts, &photos, "b");
        assert!(text.contains("the second face from the left is sharper in a"), "{text}");
        assert!(needs_comparison(&photos, &rules).is_empty());
    }
    let wins = |photos: &[Photo], rules: &Rules| picks(photos, rules, no_model())[0].clone();
    assert_eq!(wins(&photos, &Rules::default()), "b", "unless the rule is off");
    assert_eq!(wins(&[photos[0].clone(), take("b", 0.55, &[0.58, 0.5])], &rules), "b", "or the lead is small");
    assert_eq!(wins(&[photos[0].clone(), take("b", 0.55, &[0.3])], &rules), "b", "or there are other people");
    assert_eq!(wins(&[photos[0].clone(), take("b", 0.9, &[0.58, 0.3])], &rules), "b", "or it is clearly better");
}

#[test]
fn photographs_take_their_places_before_better_pictures_that_are_none() {
    let screen = |path: &str, group| Photo {
        kind: Some(LikelyKind { what: PictureKind::Screenshot, score: 0.9 }),
        ..photo(path, group, 0.9)
    };
    let photos =
        [screen("screen", 0), photo("take", 0, 0.5), screen("chat", 1), photo("worse", 2, 0.1), photo("more", 2, 0.05)];
    let top = |top| Rules { top: Some(top), ..Rules::default() };
    assert_eq!(picks(&photos, &top(3), no_model()), ["take", "worse", "more"]);
    assert_eq!(picks(&photos, &top(9), no_model()), ["take", "worse", "more", "chat", "screen"]);
    // Without a number, each group gives its best: a photograph where it has one.
    assert_eq!(picks(&photos, &Rules::default(), no_model()), ["take", "worse", "chat"]);
    let junk = |junk| Rules { junk, ..top(9) };
    assert_eq!(picks(&photos, &junk(Junk::Drop), no_model()), ["take", "worse", "more"]);
    assert_eq!(picks(&photos, &junk(Junk::Keep), no_model())[..2], ["chat", "screen"]);
    // A tie-break is among photographs, or among the others.
    assert_eq!(needs_comparison(&photos, &Rules { tiebreak_margin: 1.0, ..top(9) }), [3, 4]);
}

#[test]
fn pictures_of_other_kinds_and_subjects_are_less_alike() {
    let near = Comparator { better: None, distance: &|_, _| Some(0.07) };
    let rules = Rules { top: Some(2), ..Rules::default() };
    let subject = |path: &str, iqa, subject: &str| Photo { subject: Some(subject.to_owned()), ..photo(path, 0, iqa) };
    let alike = [subject("dog", 0.9, "dog"), subject("same", 0.8, "dog")];
    assert_eq!(picks(&alike, &rules, near), ["dog"]);
    let different = [subject("dog", 0.9, "dog"), subject("cat", 0.8, "cat")];
    assert_eq!(picks(&different, &rules, near), ["dog", "cat"]);
    let indifferent = Rules { category_distance: 0.0, ..rules };
    assert_eq!(picks(&different, &indifferent, near), ["dog"]);
}

#[test]
fn the_second_best_of_a_full_day_does_not_take_its_place() {
    let on = |path: &str, group, iqa, day: &str| Photo { day: Some(day.to_owned()), ..photo(path, group, iqa) };
    let photos = [on("a", 0, 0.9, "2026-05-01"), on("b", 1, 0.8, "2026-05-01"), on("b2", 1, 0.7, "2026-05-01")];
    let rules = Rules { per_day: Some(1), ..Rules::default() };
    let verdicts = select(&photos, &rules, no_model()).unwrap();
    for path in ["b", "b2"] {
        let said = reason(&verdicts, &photos, path);
        assert_eq!(said, "Another of 2026-05-01 was picked, and at most one of a day is wanted.");
    }
}

#[test]
fn photos_of_unknown_days_are_not_limited() {
    let photos = [photo("a", 0, 0.9), photo("b", 1, 0.8)];
    assert_eq!(picks(&photos, &Rules { per_day: Some(1), ..Rules::default() }, no_model()), ["a", "b"]);
}

fn showing(path: &str, group: usize, iqa: f64, people: &[&str]) -> Photo {
    Photo { people: people.iter().map(|one| (*one).to_owned()).collect(), ..photo(path, group, iqa) }
}

fn asked_for(people: &[&str], least: usize, top: Option<usize>) -> Rules {
    let quota = |person: &&str| Quota { person: (*person).to_owned(), least };
    Rules { coverage: people.iter().map(quota).collect(), top, ..Rules::default() }
}

#[test]
fn everyone_who_was_asked_for_is_in_the_album_where_photos_and_places_allow() {
    let photos = [
        showing("hill", 0, 0.9, &[]),
        showing("lake", 1, 0.8, &[]),
        showing("anna", 2, 0.5, &["Anna"]),
        showing("both", 3, 0.2, &["Anna", "Ben"]),
        showing("ben", 4, 0.3, &["Ben"]),
    ];
    assert_eq!(picks(&photos, &asked_for(&[], 1, Some(2)), no_model()), ["hill", "lake"]);
    // One photo that shows both leaves more places to the best.
    assert_eq!(picks(&photos, &asked_for(&["Anna", "Ben"], 1, Some(2)), no_model()), ["hill", "both"]);
    let two = asked_for(&["Anna", "Ben"], 2, Some(4));
    assert_eq!(picks(&photos, &two, no_model()), ["hill", "anna", "ben", "both"]);
    // No more than asked for, and nobody who is on no photo.
    assert_eq!(picks(&photos, &asked_for(&["Anna", "Ben", "Eve"], 2, Some(1)), no_model()), ["both"]);
    let verdicts = select(&photos, &asked_for(&["Anna", "Ben"], 1, Some(2)), no_model()).unwrap();
    assert!(reason(&verdicts, &photos, "both").contains("shows Anna and Ben, who were asked for"));
    // What a person keeps or rejects goes before.
    let mut decided = photos.to_vec();
    (decided[4].decision, decided[3].decision) = (Some(Decision::Keep), Some(Decision::Reject));
    assert_eq!(picks(&decided, &asked_for(&["Anna", "Ben"], 1, Some(3)), no_model()), ["ben", "hill", "anna"]);
}

#[test]
fn a_group_gives_the_take_that_shows_whom_was_asked_for() {
    let photos = [showing("best", 0, 0.9, &[]), showing("with", 0, 0.5, &["Ben"]), showing("other", 1, 0.4, &[])];
    let rules = asked_for(&["Ben"], 1, None);
    assert_eq!(picks(&photos, &rules, no_model()), ["with", "other"]);
    let verdicts = select(&photos, &rules, no_model()).unwrap();
    let best = reason(&verdicts, &photos, "best");
    assert_eq!(best, "Best overall of 2 photos of its scene, but with shows Ben, who was asked for.");
    assert!(reason(&verdicts, &photos, "with").ends_with("shows Ben, who was asked for."));
}
