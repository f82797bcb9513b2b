//! Suppression of boxes that overlap a surer one of the same class.

/// A box with the likeliest class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The output of the network that stands for it.
    pub class: u32,
    pub score: f32,
    /// Left, top, right and bottom.
    pub edges: [f32; 4],
}

/// The boxes that overlap no surer one of their class by more than this share of both together; the surest first, at most
/// so many.
pub(super) fn kept(mut candidates: Vec<Candidate>, overlap: f32, most: usize) -> Vec<Candidate> {
    // Stable, so that equal scores keep the order of the network.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.len() == most {
            break;
        }
        let hidden = |other: &Candidate| other.class == candidate.class && shared(other, &candidate) > overlap;
        if candidate.score.is_finite() && !kept.iter().any(hidden) {
            kept.push(candidate);
        }
    }
    kept
}

/// The area of both boxes divided by the area that either covers.
fn shared(a: &Candidate, b: &Candidate) -> f32 {
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let (a, b) = (a.edges, b.edges);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let either = area(a) + area(b) - both;
    if either > 0.0 { both / either } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_of_a_class_stays() {
        let of = |class, score, left| Candidate { class, score, edges: [left, 0.0, left + 1.0, 1.0] };
        // Shifted by a fifth, two boxes share 0.8 of 1.2.
        let all = vec![of(1, 0.5, 0.2), of(1, 0.9, 0.0), of(2, 0.4, 0.0), of(1, 0.3, 0.5), of(1, f32::NAN, 5.0)];
        assert_eq!(kept(all.clone(), 0.6, 9), [all[1], all[2], all[3]]);
        assert_eq!(kept(all.clone(), 0.7, 2), [all[1], all[0]]);
        let nothing = Candidate { edges: [0.0; 4], ..all[0] };
        assert_eq!(kept(vec![nothing, nothing], 0.6, 9).len(), 2);
    }
}
