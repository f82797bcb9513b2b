//! Unloads networks that have not been used for a while.

use std::sync::Arc;
use std::time::Duration;

use super::loaded_models::LoadedModels;

/// Checks periodically, as long as the networks are in use.
pub(super) fn watch(loaded: &Arc<LoadedModels>, after: Duration) {
    let loaded = Arc::downgrade(loaded);
    let pause = (after / 4).clamp(Duration::from_millis(10), Duration::from_secs(5));
    let look = move || {
        while let Some(loaded) = loaded.upgrade() {
            loaded.forget_idle(after);
            drop(loaded);
            std::thread::sleep(pause);
        }
    };
    // Without a thread, networks stay in memory as if the setting were off.
    let _ = std::thread::Builder::new().name("unload-idle".into()).spawn(look);
}
