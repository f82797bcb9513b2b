//! The user's folders for configuration, data and cache.

use std::path::PathBuf;

use super::Settings;

/// An XDG folder, or its default below HOME. A path that is not absolute is ignored, as the standard says.
pub fn home(variable: &str, below_home: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(|| std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(below_home)))
}

/// The folder of the user's own model manifests.
pub fn own_manifests() -> Option<PathBuf> {
    home("XDG_CONFIG_HOME", ".config").map(|config| config.join("albumctl/models"))
}

impl Settings {
    /// The folder of model files; `None` where it is neither configured nor derivable from HOME.
    pub fn models_folder(&self) -> Option<PathBuf> {
        let data = || home("XDG_DATA_HOME", ".local/share").map(|data| data.join("albumctl/models"));
        self.models_dir.clone().or_else(data)
    }

    /// The folder of the results store; `None` as above.
    pub fn results_folder(&self) -> Option<PathBuf> {
        self.cache_dir.clone().or_else(|| home("XDG_CACHE_HOME", ".cache").map(|cache| cache.join("albumctl")))
    }

    /// The size limit of the results store in bytes; `None` without a limit.
    pub fn results_limit(&self) -> Option<u64> {
        (self.results_max_size_gb > 0.0).then_some((self.results_max_size_gb * 1e9) as u64)
    }

    /// The size limit of the model files in bytes; `None` without a limit.
    pub fn models_limit(&self) -> Option<u64> {
        (self.cache_max_size_gb > 0.0).then_some((self.cache_max_size_gb * 1e9) as u64)
    }
}
