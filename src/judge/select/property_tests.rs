//! Properties of the selection that hold for any album.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;

use proptest::prelude::*;

use super::tests::needs_comparison;
use super::tests::{apart, no_model, photo, picks};
use super::tournament::{Entrant, play};
use super::*;

prop_compose! {
    fn any_part(low: f64, high: f64)(kind in 0..8, value in low..=high) -> Result<f64, MissingReason> {
        match kind {
            0 => Err(MissingReason::ModelMissing),
            1 => Ok(f64::NAN),
            2 => Ok(low),
            _ => Ok(value),
        }
    }
}

prop_compose! {
    fn any_photo()(
        group in prop::option::weighted(0.95, 0_usize..6),
        aesthetic in any_part(1.0, 10.0),
        iqa in any_part(0.0, 1.0),
        sharpness in prop::option::of(0.0..=1.0_f64),
        face in prop::option::of((0.0..1.0_f64, any::<bool>(), prop::option::of(any::<bool>()), prop::option::of(any::<bool>()))),
        decision in prop::option::weighted(0.1, prop::bool::ANY),
    ) -> Photo {
        let portrait = face.map(|(score, is_portrait, eyes_open, is_smiling)| Portrait { score, is_portrait, eyes_open, is_smiling, ..Portrait::default() });
        Photo {
            group, aesthetic, iqa,
            portrait: portrait.ok_or(MissingReason::ModelMissing),
            sharpness,
            decision: decision.map(|keep| if keep { Decision::Keep } else { Decision::Reject }),
            ..photo("", 0, 0.0)
        }
    }
}

fn any_album() -> impl Strategy<Value = Vec<Photo>> {
    prop::collection::vec(any_photo(), 0..40).prop_map(|mut photos| {
        for (i, photo) in photos.iter_mut().enumerate() {
            photo.path = format!("{}.jpg", (i * 17) % 41).into();
        }
        photos
    })
}

/// A comparison model with arbitrary answers, which need not be transitive.
fn arbitrary_model(seed: u64, photos: &[Photo]) -> impl Fn(usize, usize) -> Option<f64> {
    let names: Vec<String> = photos.iter().map(|photo| photo.path.display().to_string()).collect();
    move |a, b| {
        let mixed = names[a]
            .bytes()
            .chain([1])
            .chain(names[b].bytes())
            .fold(seed, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (mixed % 10 != 0).then_some((mixed % 1000) as f64 / 999.0)
    }
}

proptest! {
    #[test]
    fn exactly_as_many_picks_as_asked_and_there_are(mut photos in any_album(), top in 0_usize..50) {
        for photo in &mut photos {
            photo.decision = None;
            photo.group = photo.group.or(Some(7));
        }
        let rules = Rules { top: Some(top), diversity: 0.0, ..Rules::default() };
        let chosen = picks(&photos, &rules, no_model());
        prop_assert_eq!(chosen.len(), top.min(photos.len()));
        prop_assert_eq!(chosen.iter().collect::<HashSet<_>>().len(), chosen.len());
    }

    #[test]
    fn copies_of_photos_change_no_pick(mut photos in any_album(), top in prop::option::of(0_usize..20), seed: u64) {
        for (number, photo) in photos.iter_mut().enumerate() {
            photo.content = Some([number as u8; 32]);
        }
        let copy = |photo: &Photo| Photo { path: PathBuf::from("copies").join(&photo.path), ..photo.clone() };
        let copies: Vec<Photo> = photos.iter().step_by(2).map(copy).collect();
        let with_copies = [copies, photos.clone()].concat();
        let rules = Rules { top, ..Rules::default() };
        let chosen = |photos: &[Photo]| {
            let better = arbitrary_model(seed, photos);
            picks(photos, &rules, Comparator { better: Some(&better), distance: &apart })
        };
        prop_assert_eq!(chosen(&photos), chosen(&with_copies));
    }

    #[test]
    fn verdicts_cover_the_input_once_and_every_number_is_finite(photos in any_album(), top in prop::option::of(0_usize..20), seed: u64) {
        let rules = Rules { top, ..Rules::default() };
        let better = arbitrary_model(seed, &photos);
        let verdicts = select(&photos, &rules, Comparator { better: Some(&better), distance: &apart }).unwrap();
        let seen: HashSet<usize> = verdicts.iter().map(|verdict| verdict.photo).collect();
        prop_assert_eq!(seen.len(), photos.len());
        for (at, verdict) in verdicts.iter().enumerate() {
            prop_assert!(verdict.rank.is_none_or(|rank| rank == at + 1));
            prop_assert!(verdict.composite.is_none_or(|value| (0.0..=1.0 + 1e-9).contains(&value)));
            prop_assert!(verdict.reason.ends_with('.') && !verdict.reason.contains("NaN"), "{}", verdict.reason);
            prop_assert!(verdict.tiebreak.as_ref().is_none_or(|tiebreak| tiebreak.confidence.is_finite()));
            let decision = photos[verdict.photo].decision;
            prop_assert!(decision.is_none_or(|decision| verdict.selected() == (decision == Decision::Keep)));
        }
    }

    #[test]
    fn composite_equals_the_formula(photo in any_photo(), wa in 0.01..1.0_f64, wq in 0.01..1.0_f64, wp in 0.01..1.0_f64) {
        let (mut sum, mut weights) = (0.0, 0.0);
        if let Some(score) = photo.aesthetic.ok().filter(|score| score.is_finite()) {
            (sum, weights) = (sum + wa * (score - 1.0) / 9.0, weights + wa);
        }
        if let Some(score) = photo.iqa.ok().filter(|score| score.is_finite()) {
            (sum, weights) = (sum + wq * score, weights + wq);
        }
        if let Ok(portrait) = photo.portrait {
            (sum, weights) = (sum + wp * portrait.score, weights + wp);
        }
        let ours = ScoreParts::of(&photo, &Weights { aesthetic: wa, iqa: wq, portrait: wp, relevance: 0.0 }).composite();
        prop_assert_eq!(ours.is_some(), weights > 0.0);
        prop_assert!(ours.is_none_or(|ours| (ours - sum / weights).abs() < 1e-6));
    }

    #[test]
    fn no_distances_decide_but_those_that_are_asked_for(
        mut photos in any_album(),
        top in prop::option::of(0_usize..20),
        (per_group, per_day, fill, has_quota) in (1_usize..3, prop::option::of(1_usize..4), any::<bool>(), any::<bool>()),
        seed: u64,
    ) {
        for (number, photo) in photos.iter_mut().enumerate() {
            let drawn = base::random::mixed(seed ^ number as u64);
            photo.day = (!drawn.is_multiple_of(3)).then(|| format!("2026-05-0{}", 1 + drawn % 4));
            photo.people = if drawn.is_multiple_of(5) { vec!["Anna".to_owned()] } else { Vec::new() };
            let what = PictureKind::ALL[if drawn.is_multiple_of(4) { 1 + drawn as usize % 6 } else { 0 }];
            photo.kind = Some(LikelyKind { what, score: 0.9 });
        }
        let quota = Quota { person: "Anna".to_owned(), least: 2 };
        let coverage = if has_quota { vec![quota] } else { Vec::new() };
        let rules = Rules { top, per_group, per_day, coverage, fill, ..Rules::default() };
        let selection = Selection::of(&photos, &rules).unwrap();
        let needed: HashSet<usize> = selection.needs_distances().into_iter().collect();
        let better = arbitrary_model(seed, &photos);
        let all = |a: usize, b: usize| Some(0.2 * better(a.min(b), a.max(b))?);
        let some = |a: usize, b: usize| all(a, b).filter(|_| needed.contains(&a) && needed.contains(&b));
        let verdicts = |distance| selection.verdicts(Comparator { better: Some(&better), distance });
        prop_assert_eq!(verdicts(&all), verdicts(&some));
    }

    #[test]
    fn the_order_of_the_input_decides_nothing(photos in any_album(), top in prop::option::of(0_usize..20), seed: u64, rotation in 0_usize..40) {
        let rules = Rules { top, ..Rules::default() };
        let verdicts_by_path = |photos: &[Photo]| {
            let better = arbitrary_model(seed, photos);
            // Symmetric, and sometimes missing.
            let distance = |a: usize, b: usize| Some(better(a, b)? * better(b, a)?);
            let verdicts = select(photos, &rules, Comparator { better: Some(&better), distance: &distance }).unwrap();
            verdicts.into_iter()
                .map(|mut verdict| {
                    // Indices follow the order, the photos they stand for must not.
                    let met = verdict.tiebreak.iter_mut().flat_map(|tiebreak| &mut tiebreak.met);
                    let met: Vec<_> = met.map(|met| photos[mem::take(&mut met.photo)].path.clone()).collect();
                    (photos[verdict.photo].path.clone(), met, Verdict { photo: 0, ..verdict })
                })
                .collect::<Vec<_>>()
        };
        let mut reordered = photos.clone();
        reordered.reverse();
        let by = rotation.min(reordered.len());
        reordered.rotate_left(by);
        prop_assert_eq!(verdicts_by_path(&photos), verdicts_by_path(&reordered));
    }

    #[test]
    fn as_many_picks_as_filters_and_people_leave(
        photos in any_album(),
        top in prop::option::of(0_usize..30),
        min_iqa in 0.0..1.0_f64,
    ) {
        let rules = Rules {
            top,
            per_group: 99,
            diversity: 0.0,
            filters: Filters { min_iqa, ..Filters::default() },
            ..Rules::default()
        };
        let kept = photos.iter().filter(|photo| photo.decision == Some(Decision::Keep)).count();
        let open = |photo: &&Photo| {
            photo.decision.is_none() && photo.group.is_some() && photo.iqa.ok().is_none_or(|iqa| iqa.is_nan() || iqa >= min_iqa)
        };
        let open = photos.iter().filter(open).count();
        let chosen = picks(&photos, &rules, no_model());
        prop_assert_eq!(chosen.len(), kept.max(top.unwrap_or(usize::MAX).min(kept + open)));
        let by_path: HashMap<String, &Photo> = photos.iter().map(|photo| (photo.path.display().to_string(), photo)).collect();
        prop_assert!(chosen[..kept].iter().all(|path| by_path[path].decision == Some(Decision::Keep)));
    }

    /// The model is asked about every pair of photos within the margin of the best of a group, and about no others.
    #[test]
    fn the_tie_break_is_played_within_the_margin_and_only_there(photos in any_album(), seed: u64) {
        let rules = Rules::default();
        let asked = RefCell::new(HashSet::new());
        let arbitrary_model = arbitrary_model(seed, &photos);
        let better = |a: usize, b: usize| { asked.borrow_mut().insert((a, b)); arbitrary_model(a, b) };
        let verdicts = select(&photos, &rules, Comparator { better: Some(&better), distance: &apart }).unwrap();
        let composite: BTreeMap<usize, Option<f64>> = verdicts.iter().map(|v| (v.photo, v.composite)).collect();
        let mut expected = HashSet::new();
        for group in 0..6 {
            let members: Vec<usize> = (0..photos.len()).filter(|&photo| photos[photo].group == Some(group)).collect();
            if members.iter().any(|&photo| photos[photo].decision == Some(Decision::Keep)) {
                continue;
            }
            let rated: Vec<(usize, f64)> = members
                .iter()
                .filter(|&&photo| photos[photo].decision.is_none())
                .filter_map(|&photo| Some((photo, composite[&photo]?)))
                .collect();
            let best = rated.iter().map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max);
            let near: Vec<usize> = rated.iter().filter(|(_, score)| best - score <= 0.05).map(|(photo, _)| *photo).collect();
            expected.extend(near.iter().flat_map(|&a| near.iter().map(move |&b| (a, b))).filter(|(a, b)| a != b));
        }
        prop_assert_eq!(asked.into_inner(), expected);
        let needed = needs_comparison(&photos, &rules);
        let met: HashSet<usize> = verdicts.iter().filter(|v| v.tiebreak.is_some()).map(|v| v.photo).collect();
        prop_assert_eq!(needed.into_iter().collect::<HashSet<_>>(), met);
    }

    #[test]
    fn the_tournament_ends_alike_in_any_order_and_every_meeting_counts_once(photos in any_album(), seed: u64, rotation in 0_usize..40) {
        let arbitrary_model = arbitrary_model(seed, &photos);
        let entrants: Vec<Entrant> = photos
            .iter()
            .enumerate()
            .map(|(photo, about)| Entrant { photo, composite: (photo % 3) as f64, path: &about.path })
            .collect();
        let mut reordered = entrants.clone();
        reordered.reverse();
        let by = rotation.min(reordered.len());
        reordered.rotate_left(by);
        let table = play(entrants, &arbitrary_model);
        prop_assert_eq!(&table, &play(reordered, &arbitrary_model));
        let meetings: usize = table.iter().map(|(_, record)| record.meetings).sum();
        prop_assert_eq!(meetings, photos.len() * photos.len().saturating_sub(1));
        let sum: f64 = table.iter().flat_map(|(_, record)| &record.met).map(|met| met.confidence).sum();
        prop_assert!((sum - meetings as f64 / 2.0).abs() < 1e-6);
        prop_assert!(table.is_sorted_by(|a, b| a.1.wins >= b.1.wins));
    }
}
