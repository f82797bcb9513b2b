//! The networks in memory: each is built on first use and unloaded when memory is short.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// The identity of a loaded network: the model, and everything it was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// `name@version`.
    pub reference: String,
    /// Stamps of the files, preprocessing, processor, device and precision.
    pub built_from: Vec<String>,
}

/// The memory use of a value.
pub(super) trait Weight {
    fn bytes(&self) -> usize;
}

#[derive(Debug)]
pub(super) struct LoadedNetworks<T> {
    /// Least recently used first.
    slots: Mutex<Vec<CachedNetwork<T>>>,
    /// Networks that are being built.
    building: Mutex<Vec<Key>>,
}

/// A loaded network, or one being built.
#[derive(Debug)]
struct CachedNetwork<T> {
    key: Key,
    slot: Arc<Slot<T>>,
    used: Instant,
}

/// Marks a network as being built until dropped, also if building fails or panics.
struct Building<'a> {
    all: &'a Mutex<Vec<Key>>,
    key: &'a Key,
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        let mut all = locked(self.all);
        if let Some(at) = all.iter().position(|key| key == self.key) {
            all.swap_remove(at);
        }
    }
}

type Slot<T> = Mutex<Option<Loaded<T>>>;

#[derive(Debug)]
struct Loaded<T> {
    network: Arc<T>,
    /// Keeps the leases of its files alive.
    _with: Arc<dyn std::fmt::Debug + Send + Sync>,
}

impl<T> Default for LoadedNetworks<T> {
    fn default() -> Self {
        Self { slots: Mutex::default(), building: Mutex::default() }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Weight> LoadedNetworks<T> {
    /// Returns the network, built by `build` if needed. Other threads that want the same one wait, so nothing is built
    /// twice; those that want another one do not.
    ///
    /// Afterwards unused networks are dropped, least recently used first, until all fit into `budget`. Networks in use are
    /// never dropped.
    pub fn get<E>(
        &self,
        key: &Key,
        budget: usize,
        with: impl FnOnce() -> Arc<dyn std::fmt::Debug + Send + Sync>,
        build: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let slot = self.slot(key);
        let mut content = locked(&slot);
        if let Some(there) = &*content {
            return Ok(there.network.clone());
        }
        locked(&self.building).push(key.clone());
        let building = Building { all: &self.building, key };
        let network = Arc::new(build()?);
        drop(building);
        *content = Some(Loaded { network: network.clone(), _with: with() });
        drop(content);
        drop(slot);
        self.make_room(budget);
        Ok(network)
    }

    fn slot(&self, key: &Key) -> Arc<Slot<T>> {
        let mut slots = locked(&self.slots);
        let slot = match slots.iter().position(|cached| cached.key == *key) {
            Some(at) => slots.remove(at).slot,
            None => Arc::default(),
        };
        slots.push(CachedNetwork { key: key.clone(), slot: slot.clone(), used: Instant::now() });
        slot
    }

    fn make_room(&self, budget: usize) {
        let mut slots = locked(&self.slots);
        let bytes = |slot: &Arc<Slot<T>>| {
            slot.try_lock().ok().and_then(|content| Some(content.as_ref()?.network.bytes())).unwrap_or(0)
        };
        let mut total: usize = slots.iter().map(|cached| bytes(&cached.slot)).fold(0, usize::saturating_add);
        slots.retain(|CachedNetwork { slot, .. }| {
            // A thread waits for it or builds it.
            if Arc::strong_count(slot) > 1 {
                return true;
            }
            let Ok(content) = slot.try_lock() else { return true };
            let Some(loaded) = &*content else { return false };
            let goes = total > budget && Arc::strong_count(&loaded.network) == 1;
            total -= if goes { loaded.network.bytes() } else { 0 };
            !goes
        });
    }

    /// Drops unused networks that were not requested for this long.
    pub fn forget_idle(&self, since: Duration) {
        locked(&self.slots).retain(|CachedNetwork { slot, used, .. }| {
            let idle = used.elapsed() >= since && Arc::strong_count(slot) == 1;
            let Ok(content) = slot.try_lock() else { return true };
            !idle || content.as_ref().is_some_and(|loaded| Arc::strong_count(&loaded.network) > 1)
        });
    }

    /// Whether any network of this model is being built.
    pub fn builds(&self, reference: &str) -> bool {
        locked(&self.building).iter().any(|key| key.reference == reference)
    }

    /// Whether any network of this model is in memory.
    pub fn holds(&self, reference: &str) -> bool {
        let slots = locked(&self.slots);
        let holds = |cached: &CachedNetwork<T>| cached.slot.try_lock().is_ok_and(|content| content.is_some());
        slots.iter().any(|cached| cached.key.reference == reference && holds(cached))
    }

    /// Drops the networks of a model, once no thread uses them. Returns whether there were any.
    pub fn forget(&self, reference: &str) -> bool {
        let was_there = self.holds(reference);
        locked(&self.slots).retain(|cached| cached.key.reference != reference);
        was_there
    }
}

/// Weak pointers, so that the last hub takes its networks and leases with it.
pub(super) struct ByFolder<T>(LazyLock<Mutex<Vec<(PathBuf, Weak<T>)>>>);

impl<T: Default> ByFolder<T> {
    pub const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    pub fn of(&self, folder: &Path) -> Arc<T> {
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let mut all = locked(&self.0);
        all.retain(|(_, there)| there.strong_count() > 0);
        if let Some(there) = all.iter().find(|(path, _)| *path == folder).and_then(|(_, there)| there.upgrade()) {
            return there;
        }
        let made = Arc::new(T::default());
        all.push((folder, Arc::downgrade(&made)));
        made
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    impl Weight for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    fn key(name: &str) -> Key {
        Key { reference: name.to_owned(), built_from: Vec::new() }
    }

    fn put(networks: &LoadedNetworks<usize>, name: &str, budget: usize, bytes: usize) -> Arc<usize> {
        networks.get(&key(name), budget, || Arc::new(()), || Ok::<_, ()>(bytes)).unwrap()
    }

    #[test]
    fn what_nobody_uses_leaves_when_room_is_short_and_what_is_in_use_stays() {
        let networks = LoadedNetworks::default();
        let held = put(&networks, "a", 100, 60);
        drop(put(&networks, "b", 100, 30));
        drop(put(&networks, "c", 100, 30));
        assert_eq!(["a", "b", "c"].map(|name| networks.holds(name)), [true, false, true]);
        drop(put(&networks, "d", 1, 5));
        assert_eq!(["a", "c", "d"].map(|name| networks.holds(name)), [true, false, true]);
        drop(held);
        drop(put(&networks, "e", 1, 0));
        assert!(!networks.holds("a"));
    }

    #[test]
    fn what_nobody_asks_for_leaves_after_a_while_and_what_is_held_stays() {
        let networks = LoadedNetworks::default();
        let held = put(&networks, "held", 100, 1);
        drop(put(&networks, "idle", 100, 1));
        networks.forget_idle(Duration::from_secs(60));
        assert_eq!(["held", "idle"].map(|name| networks.holds(name)), [true, true]);
        networks.forget_idle(Duration::ZERO);
        assert_eq!(["held", "idle"].map(|name| networks.holds(name)), [true, false]);
        drop(held);
        networks.forget_idle(Duration::ZERO);
        assert!(!networks.holds("held"));
    }

    #[test]
    fn a_network_that_cannot_be_built_is_tried_again_and_one_forgotten_is_built_anew() {
        let networks = LoadedNetworks::default();
        assert_eq!(networks.get(&key("a"), 100, || Arc::new(()), || Err::<usize, _>("no")), Err("no"));
        assert!(!networks.holds("a"));
        let first = put(&networks, "a", 100, 1);
        assert!(Arc::ptr_eq(&first, &put(&networks, "a", 100, 1)));
        assert!(networks.forget("a") && !networks.forget("a"));
        assert!(!Arc::ptr_eq(&first, &put(&networks, "a", 100, 1)));
    }

    #[test]
    fn eight_threads_build_one_and_who_wants_another_does_not_wait() {
        let (networks, built, barrier) = (LoadedNetworks::default(), AtomicUsize::new(0), Barrier::new(2));
        std::thread::scope(|scope| {
            let slow = scope.spawn(|| {
                let build = || {
                    assert!(networks.builds("slow") && !networks.builds("never"));
                    // The other network must be returned while this one is being built.
                    barrier.wait();
                    Ok::<usize, ()>(1)
                };
                networks.get(&key("slow"), 100, || Arc::new(()), build)
            });
            put(&networks, "quick", 100, 1);
            barrier.wait();
            slow.join().unwrap().unwrap();
            for _ in 0..8 {
                scope.spawn(|| {
                    let build = || {
                        built.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(20));
                        Ok::<usize, ()>(1)
                    };
                    networks.get(&key("one"), 100, || Arc::new(()), build).unwrap();
                });
            }
        });
        assert_eq!(built.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn hubs_over_the_same_folder_share_and_the_last_one_takes_all_with_it() {
        static LOADED: ByFolder<LoadedNetworks<usize>> = ByFolder::new();
        let folder = tempfile::tempdir().unwrap();
        let first = LOADED.of(folder.path());
        drop(put(&first, "a", 100, 1));
        let second = LOADED.of(&folder.path().join("."));
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert!(!LOADED.of(folder.path()).holds("a"));
    }
}
