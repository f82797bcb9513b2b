//! Gathers photos of many threads into batches for a GPU, for which sixteen photos take little longer than one.

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

/// The batch size on a GPU. Batches are padded to it: a matrix product may add in another order for another batch size, and
/// a photo's result must not depend on its neighbours.
pub const BATCH: usize = 16;

/// Height, width and floats of a photo.
pub type Photo = (usize, usize, Vec<f32>);
type Answer = Result<Vec<f32>, String>;
type Answers = Result<Vec<Vec<f32>>, String>;

/// The queue. A thread that finds the card free runs all waiting photos; those that arrive meanwhile form the next batch.
#[derive(Debug, Default)]
pub struct Gather {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Photo, Arc<OnceLock<Answer>>)>,
    is_busy: bool,
}

impl Gather {
    /// Returns a result for each photo. `run` gets at most [`BATCH`] photos of one size.
    pub fn answers(&self, photos: Vec<Photo>, run: impl Fn(&[Photo]) -> Answers) -> Answers {
        let ours: Vec<Arc<OnceLock<Answer>>> = photos.iter().map(|_| Arc::default()).collect();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.extend(photos.into_iter().zip(ours.iter().cloned()));
        while ours.iter().any(|answer| answer.get().is_none()) {
            if state.is_busy {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (photos, asked) = state.next();
            state.is_busy = true;
            drop(state);
            // A panic must not leave other threads waiting.
            let answers = base::contain::contained(|| run(&photos)).and_then(|answers| answers);
            for (at, answer) in asked.iter().enumerate() {
                let told = answers
                    .as_ref()
                    .map_err(Clone::clone)
                    .and_then(|rows| rows.get(at).cloned().ok_or_else(|| "fewer answers than photos".to_owned()));
                let _ = answer.set(told);
            }
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_busy = false;
            self.changed.notify_all();
        }
        ours.iter().filter_map(|answer| answer.get().cloned()).collect()
    }
}

impl State {
    /// The photos of one size that have waited longest.
    fn next(&mut self) -> (Vec<Photo>, Vec<Arc<OnceLock<Answer>>>) {
        let size = self.waiting.first().map(|((height, width, _), _)| (*height, *width));
        let mut taken = (Vec::new(), Vec::new());
        for (photo, answer) in std::mem::take(&mut self.waiting) {
            if taken.0.len() < BATCH && size == Some((photo.0, photo.1)) {
                taken.0.push(photo);
                taken.1.push(answer);
            } else {
                self.waiting.push((photo, answer));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn everyone_gets_the_answers_to_their_own_photos_in_few_runs() {
        let (gather, runs) = (Gather::default(), AtomicUsize::new(0));
        let run = |photos: &[Photo]| {
            runs.fetch_add(1, Ordering::Relaxed);
            assert!(photos.len() <= BATCH && photos.iter().all(|photo| photo.0 == photos[0].0));
            std::thread::sleep(Duration::from_millis(5));
            Ok(photos.iter().map(|(height, _, data)| vec![*height as f32, data[0] + 1.0]).collect())
        };
        std::thread::scope(|scope| {
            for thread in 0..20 {
                let (gather, run) = (&gather, &run);
                scope.spawn(move || {
                    for round in 0..10 {
                        let (height, number) = (1 + thread % 2, (100 * thread + 2 * round) as f32);
                        let photos = vec![(height, 1, vec![number]), (height, 1, vec![number + 1.0])];
                        let answers = gather.answers(photos, run).unwrap();
                        let height = height as f32;
                        assert_eq!(answers, [vec![height, number + 1.0], vec![height, number + 2.0]]);
                    }
                });
            }
        });
        assert!(gather.answers(Vec::new(), run).unwrap().is_empty());
        let runs = runs.into_inner();
        assert!((25..200).contains(&runs), "{runs} runs for 400 photos");
    }

    #[test]
    fn an_error_and_a_panic_reach_everyone_who_waits_and_nobody_later() {
        let gather = Gather::default();
        let photo = || vec![(1, 1, vec![0.0])];
        assert_eq!(gather.answers(photo(), |_| Err("no memory".to_owned())).unwrap_err(), "no memory");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| gather.answers(photo(), |_| panic!("broken")).unwrap_err());
            }
        });
        assert!(gather.answers(photo(), |_| Ok(Vec::new())).unwrap_err().contains("fewer answers"));
        assert_eq!(gather.answers(photo(), |_| Ok(vec![vec![1.0]])).unwrap(), [[1.0]]);
    }
}
