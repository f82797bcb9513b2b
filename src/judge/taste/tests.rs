use super::*;
use base::random::SplitMix;

const LENGTH: usize = 64;

/// A photo of a scene of its own whose embedding tells whether `liked` is on it, with a composite score that tells nothing.
fn example(random: &mut SplitMix, scene: u64, liked: bool, kept: Option<bool>) -> Example {
    let mut noise = || random.fraction() + random.fraction() + random.fraction() - 1.5;
    let mut embedding: Vec<f32> = (0..LENGTH).map(|_| noise() as f32).collect();
    embedding[3] += if liked { 1.5 } else { -1.5 };
    let scores = std::array::from_fn(|at| (at != 2).then(|| 0.5 + 0.2 * noise()));
    let composite = Some(0.5 + 0.1 * noise());
    Example { features: Features { scores, kind: None, embedding }, composite, scene, kept }
}

/// Decisions of a person who keeps what she likes, wrong in `mistakes` of them.
fn album(seed: u64, count: u64, mistakes: f64) -> Vec<Example> {
    let mut random = SplitMix(seed);
    let decided = |scene| {
        let liked = random.fraction() < 0.5;
        let wrong = random.fraction() < mistakes;
        example(&mut random, scene, liked, Some(liked != wrong))
    };
    (0..count).map(decided).collect()
}

/// How often the better of two photos of `unseen` comes first, by the default and with what is added.
fn concordance(unseen: &[Example], adds: impl Fn(&Example) -> f64) -> f64 {
    let score = |photo: &Example| photo.composite.unwrap() + adds(photo);
    let of_word = |kept| unseen.iter().filter(move |photo| photo.kept == Some(kept));
    let pairs: Vec<bool> = of_word(true).flat_map(|a| of_word(false).map(move |b| score(a) > score(b))).collect();
    pairs.iter().filter(|&&right| right).count() as f64 / pairs.len() as f64
}

#[test]
fn thirty_decisions_with_some_mistakes_order_unseen_photos_better_than_the_default() {
    let unseen = album(99, 400, 0.0);
    let default = concordance(&unseen, |_| 0.0);
    let mut gains: Vec<f64> = Vec::new();
    for seed in 0..10 {
        let learned = learn(&album(seed, 30, 0.2), &[]).unwrap();
        gains.push(concordance(&unseen, |photo| learned.taste.adds(&photo.features)) - default);
    }
    gains.sort_by(f64::total_cmp);
    assert!(gains[5] > 0.10 && gains[0] > 0.0, "{gains:?}");
}

#[test]
fn a_clear_taste_is_used_and_random_decisions_are_not() {
    let helps = |mistakes: f64, count: u64| {
        (0..40).filter(|&seed| learn(&album(seed, count, mistakes), &[]).unwrap().helps()).count()
    };
    assert!(helps(0.1, 80) >= 36, "{}", helps(0.1, 80));
    for count in [12, 30, 80] {
        assert!(helps(0.5, count) <= 1, "{count}: {} of 40", helps(0.5, count));
    }
}

#[test]
fn few_decisions_change_little_and_none_change_nothing() {
    assert!(
        learn(&album(1, 20, 0.0).into_iter().map(|photo| Example { kept: None, ..photo }).collect::<Vec<_>>(), &[])
            .is_none()
    );
    let few = learn(&album(1, 4, 0.0), &[]).unwrap();
    assert!(few.validation.is_none() && !few.helps());
    let most = album(2, 50, 0.0).iter().map(|photo| few.taste.adds(&photo.features).abs()).fold(0.0, f64::max);
    assert!(most < 0.12, "{most}");
}

#[test]
fn pairs_alone_teach_too() {
    let mut random = SplitMix(5);
    let mut examples = Vec::new();
    for scene in 0..40 {
        examples.extend([true, false].map(|liked| example(&mut random, scene, liked, None)));
    }
    let pairs: Vec<Pair> = (0..40).map(|scene| Pair { better: 2 * scene, worse: 2 * scene + 1 }).collect();
    let learned = learn(&examples, &pairs).unwrap();
    let validation = learned.validation.unwrap();
    assert!(learned.helps() && validation.taste > 0.75 && learned.pairs == 40, "{validation:?}");
}

#[test]
fn decisions_about_one_scene_are_no_proof() {
    let clustered: Vec<Example> = album(3, 40, 0.0).into_iter().map(|photo| Example { scene: 7, ..photo }).collect();
    assert!(!learn(&clustered, &[]).unwrap().helps());
}

#[test]
fn fewer_coordinates_lead_to_the_same_taste() {
    let examples = album(4, 30, 0.1);
    let inputs = Inputs::of(&examples);
    let rows: Vec<Vec<f64>> = examples.iter().map(|example| inputs.row(&example.features)).collect();
    let decisions = Decisions { examples: &examples, pairs: &[], rows: &rows, composite: inputs.composite };
    let slow = Taste { weights: decisions.weights(|_| true), inputs };
    let quick = learn(&examples, &[]).unwrap().taste;
    for photo in album(5, 20, 0.0) {
        assert!((slow.adds(&photo.features) - quick.adds(&photo.features)).abs() < 1e-5);
    }
}

#[test]
fn what_was_not_measured_or_is_no_number_counts_as_average() {
    let taste = learn(&album(6, 40, 0.0), &[]).unwrap().taste;
    let mut odd = Features { kind: Some("meme".into()), ..Features::default() };
    assert_eq!(taste.adds(&odd), 0.0);
    odd.scores = [Some(f64::NAN); SCORES.len()];
    odd.embedding = vec![0.1; LENGTH + 1];
    assert_eq!(taste.adds(&odd), 0.0);
    odd.scores = [Some(1e9); SCORES.len()];
    assert!(taste.adds(&odd).abs() <= MOST);
    assert!(taste.leanings().iter().all(|(_, adds)| adds.is_finite()) && taste.leanings().len() == SCORES.len() - 1);
}
