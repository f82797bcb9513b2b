//! The most useful question about an album: which of two photos that are close in score is better.

/// A photo of the album that a question may be about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub score: Option<f64>,
    pub scene: usize,
    /// Whether nothing is decided about it.
    pub is_open: bool,
}

/// Scores that are further apart than this leave no question.
const CLOSE: f64 = 0.1;

/// Returns two photos to compare: close in score, and far from all that is `known`, so that questions are spread over the
/// album. First the two best of a scene; where no scene has two, the best of two scenes that follow each other by score.
/// Pairs that were `asked` before are not asked again. `distance` is from 0 to 2.
pub fn next_question(
    photos: &[Candidate],
    asked: &[(usize, usize)],
    known: &[usize],
    distance: &dyn Fn(usize, usize) -> f64,
) -> Option<(usize, usize)> {
    let mut open: Vec<usize> =
        (0..photos.len()).filter(|&photo| photos[photo].is_open && photos[photo].score.is_some()).collect();
    let score = |photo: usize| photos[photo].score.unwrap_or(0.0);
    open.sort_by(|&a, &b| photos[a].scene.cmp(&photos[b].scene).then(score(b).total_cmp(&score(a))).then(a.cmp(&b)));
    let scenes: Vec<&[usize]> = open.chunk_by(|&a, &b| photos[a].scene == photos[b].scene).collect();
    let is_new =
        |&(a, b): &(usize, usize)| score(a) - score(b) <= CLOSE && !asked.contains(&(a, b)) && !asked.contains(&(b, a));
    let mut pairs: Vec<(usize, usize)> =
        scenes.iter().filter(|scene| scene.len() > 1).map(|scene| (scene[0], scene[1])).filter(is_new).collect();
    if pairs.is_empty() {
        let mut best: Vec<usize> = scenes.iter().map(|scene| scene[0]).collect();
        best.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
        pairs = best.windows(2).map(|two| (two[0], two[1])).filter(is_new).collect();
    }
    let asked = asked.iter().flat_map(|&(a, b)| [a, b]);
    let known: Vec<usize> = known.iter().copied().chain(asked).collect();
    let usefulness = |&(a, b): &(usize, usize)| {
        let closeness = 1.0 - (score(a) - score(b)) / CLOSE;
        let apart = known.iter().map(|&other| distance(a, other)).fold(1.0, f64::min);
        closeness + 2.0 * apart
    };
    let rated = pairs.into_iter().map(|pair| (usefulness(&pair), pair));
    // Of equal ones the first.
    rated.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, pair)| pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(scene: usize, score: f64) -> Candidate {
        Candidate { score: Some(score), scene, is_open: true }
    }

    /// Scenes with numbers near each other look alike.
    fn by_scene(photos: &[Candidate]) -> impl Fn(usize, usize) -> f64 {
        move |a, b| (photos[a].scene.abs_diff(photos[b].scene) as f64 / 10.0).min(2.0)
    }

    #[test]
    fn the_closest_two_of_a_scene_are_asked_first_and_then_one_far_from_it() {
        let album: Vec<Candidate> =
            (0..12).flat_map(|scene| [photo(scene, 0.60), photo(scene, 0.58 - 0.001 * scene as f64)]).collect();
        let apart = by_scene(&album);
        let first = next_question(&album, &[], &[], &apart).unwrap();
        assert_eq!(first, (0, 1));
        let second = next_question(&album, &[first], &[], &apart).unwrap();
        assert!(album[second.0].scene >= 9, "{second:?}");
        assert_eq!(album[second.0].scene, album[second.1].scene);
    }

    #[test]
    fn decided_photos_clear_cases_and_asked_pairs_are_no_questions() {
        let mut album = vec![photo(0, 0.9), photo(0, 0.5), photo(1, 0.6), photo(1, 0.58)];
        let apart = |_: usize, _: usize| 1.0;
        assert_eq!(next_question(&album, &[], &[], &apart), Some((2, 3)));
        // Nothing close is left within a scene, and the best of the scenes are far apart.
        assert_eq!(next_question(&album, &[(3, 2)], &[], &apart), None);
        album[2].is_open = false;
        assert_eq!(next_question(&album, &[], &[], &apart), None);
        album.push(photo(2, 0.57));
        assert_eq!(next_question(&album, &[], &[], &apart), Some((3, 4)), "scenes of one photo each are compared");
    }
}
