//! Which faces are one person's: linked by the distances of their descriptors.
//!
//! Persons that are known stay as they are: faces join them, or make new persons among themselves, or stay unknown. Two
//! persons are never made one, and two faces of one photo are never one person.

use std::collections::{BTreeMap, BTreeSet};

/// Faces are linked where their descriptors, and on the whole those of all faces linked to them, are within this distance:
/// the root of the mean square. Measured on photos of six people: `tests/bench/results/people.md`.
pub const LINKED: f64 = 0.6;

/// Numbers of a descriptor.
const DESCRIPTOR: usize = 128;

/// Faces that make a new person; a face that was seen once stays unknown.
const FACES_OF_A_PERSON: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face<'a> {
    pub descriptor: &'a [f32],
    /// Equal for faces of one photo.
    pub photo: usize,
    /// Who it is, where that is known.
    pub person: Option<u32>,
    /// Whether it was not here when faces were linked before: only such faces begin links.
    pub is_new: bool,
}

/// Faces that are linked.
#[derive(Debug)]
struct Cluster {
    person: Option<u32>,
    faces: Vec<usize>,
    photos: BTreeSet<usize>,
    sum: Vec<f64>,
    /// The sum of the squares of all numbers.
    squares: f64,
}

/// Who each face is: those that are known as they were, the others by linking. New persons get numbers from `next` on, in
/// the order of their first face.
pub fn linked(faces: &[Face<'_>], within: f64, mut next: u32) -> Vec<Option<u32>> {
    let mut clusters: Vec<Option<Cluster>> = Vec::new();
    let mut place: Vec<usize> = Vec::with_capacity(faces.len());
    let mut of_person: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, face) in faces.iter().enumerate() {
        let own = clusters.len();
        let to = face.person.map_or(own, |person| *of_person.entry(person).or_insert(own));
        let single = Cluster::of(at, face);
        if to == own {
            clusters.push(Some(single));
        } else if let Some(Some(cluster)) = clusters.get_mut(to) {
            cluster.join(single);
        }
        place.push(to);
    }
    for (_, a, b) in near_pairs(faces, within) {
        let (a, b) = (place[a], place[b]);
        if a == b || !may_join(clusters[a].as_ref(), clusters[b].as_ref(), within) {
            continue;
        }
        // The smaller one moves.
        let size = |at: usize| clusters[at].as_ref().map_or(0, |cluster| cluster.faces.len());
        let (to, from) = if size(a) >= size(b) { (a, b) } else { (b, a) };
        if let Some(moved) = clusters[from].take() {
            moved.faces.iter().for_each(|&face| place[face] = to);
            if let Some(cluster) = &mut clusters[to] {
                cluster.join(moved);
            }
        }
    }
    let mut persons: Vec<Option<u32>> = vec![None; faces.len()];
    for at in 0..faces.len() {
        let Some(cluster) = &mut clusters[place[at]] else { continue };
        if cluster.person.is_none() && cluster.faces.len() >= FACES_OF_A_PERSON {
            cluster.person = Some(next);
            next += 1;
        }
        persons[at] = cluster.person;
    }
    persons
}

/// Pairs with a face that is not known yet, the nearest first.
fn near_pairs(faces: &[Face<'_>], within: f64) -> Vec<(f64, usize, usize)> {
    let mut pairs = Vec::new();
    for (b, other) in faces.iter().enumerate() {
        for (a, face) in faces[..b].iter().enumerate() {
            let is_open = face.person.is_none() || other.person.is_none();
            if is_open && (face.is_new || other.is_new) && face.photo != other.photo {
                let distance = distance(face.descriptor, other.descriptor);
                if distance <= within {
                    pairs.push((distance, a, b));
                }
            }
        }
    }
    pairs.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    pairs
}

/// How much of what two boxes cover they share.
pub fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let shared = |axis: usize| {
        let end = (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]);
        (end - a[axis].max(b[axis])).max(0.0)
    };
    let both = shared(0) * shared(1);
    let all = a[2] * a[3] + b[2] * b[3] - both;
    if all > 0.0 { both / all } else { 0.0 }
}

/// A descriptor from its bytes; `None` where they are no descriptor.
pub fn descriptor_of(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let sound = rest.is_empty() && numbers.len() == DESCRIPTOR && numbers.iter().all(|number| number.is_finite());
    sound.then_some(numbers)
}

pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    f64::from(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()).sqrt()
}

fn may_join(a: Option<&Cluster>, b: Option<&Cluster>, within: f64) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let strangers = a.person.is_some() && b.person.is_some();
    !strangers && a.photos.is_disjoint(&b.photos) && a.distance(b) <= within
}

impl Cluster {
    fn of(at: usize, face: &Face<'_>) -> Self {
        let sum: Vec<f64> = face.descriptor.iter().copied().map(f64::from).collect();
        let squares = sum.iter().map(|v| v * v).sum();
        Self { person: face.person, faces: vec![at], photos: BTreeSet::from([face.photo]), sum, squares }
    }

    fn join(&mut self, other: Self) {
        self.person = self.person.or(other.person);
        self.faces.extend(other.faces);
        self.photos.extend(other.photos);
        self.sum.iter_mut().zip(&other.sum).for_each(|(sum, by)| *sum += by);
        self.squares += other.squares;
    }

    /// The root of the mean square of the distances between the faces of both.
    fn distance(&self, other: &Self) -> f64 {
        let (n, m) = (self.faces.len() as f64, other.faces.len() as f64);
        let dot: f64 = self.sum.iter().zip(&other.sum).map(|(a, b)| a * b).sum();
        (self.squares / n + other.squares / m - 2.0 * dot / (n * m)).max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked_at(faces: &[(f32, usize, Option<u32>)]) -> Vec<Option<u32>> {
        let descriptors: Vec<[f32; 1]> = faces.iter().map(|face| [face.0]).collect();
        let linked_faces: Vec<Face<'_>> = descriptors
            .iter()
            .zip(faces)
            .map(|(descriptor, &(_, photo, person))| Face { descriptor, photo, person, is_new: true })
            .collect();
        linked(&linked_faces, 0.6, 7)
    }

    #[test]
    fn faces_near_each_other_are_a_person_and_one_alone_is_unknown() {
        let faces = [(0.0, 0, None), (5.0, 1, None), (0.1, 2, None), (9.0, 3, None), (5.1, 4, None)];
        assert_eq!(linked_at(&faces), [Some(7), Some(8), Some(7), None, Some(8)]);
        assert_eq!(linked_at(&[]), []);
    }

    #[test]
    fn known_persons_take_faces_and_are_never_joined() {
        let faces = [(0.0, 0, Some(1)), (0.4, 1, Some(2)), (0.15, 2, None), (0.5, 3, None)];
        assert_eq!(linked_at(&faces), [Some(1), Some(2), Some(1), Some(2)]);
        // A known face keeps its person, however far it lies.
        assert_eq!(linked_at(&[(0.0, 0, Some(1)), (9.0, 1, Some(1)), (9.1, 2, None)])[..2], [Some(1), Some(1)]);
    }

    #[test]
    fn a_chain_of_faces_is_not_one_person_and_neither_are_two_on_one_photo() {
        let chain: Vec<(f32, usize, Option<u32>)> = (0..8).map(|at| (at as f32 * 0.5, at, None)).collect();
        let persons = linked_at(&chain);
        assert!(persons.iter().flatten().collect::<BTreeSet<_>>().len() > 2, "{persons:?}");
        assert_eq!(linked_at(&[(0.0, 0, None), (0.1, 0, None)]), [None, None]);
    }
}
