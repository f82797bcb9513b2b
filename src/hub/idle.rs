//! Networks that nobody asks for any more give their memory back.

use std::sync::Arc;
use std::time::Duration;

use super::loaded_models::LoadedModels;

/// Looks again and again, as long as anybody holds the networks.
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
    // Where no thread can be had, networks stay while there is room, as without the setting.
    let _ = std::thread::Builder::new().name("unload-idle".into()).spawn(look);
}
