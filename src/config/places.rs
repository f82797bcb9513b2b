//! Folders of the user's, where nothing else is configured.

use std::path::PathBuf;

use super::Settings;

/// An XDG folder, or its default below HOME. The standard says to ignore one that is not absolute.
pub fn home(variable: &str, below_home: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(|| std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(below_home)))
}

/// Where the user's own manifests of models lie.
pub fn own_manifests() -> Option<PathBuf> {
    home("XDG_CONFIG_HOME", ".config").map(|config| config.join("albumctl/models"))
}

impl Settings {
    /// Where model files lie; `None` where nothing says where.
    pub fn models_folder(&self) -> Option<PathBuf> {
        let data = || home("XDG_DATA_HOME", ".local/share").map(|data| data.join("albumctl/models"));
        self.models_dir.clone().or_else(data)
    }

    /// Where the results store lies.
    pub fn results_folder(&self) -> Option<PathBuf> {
        self.cache_dir.clone().or_else(|| home("XDG_CACHE_HOME", ".cache").map(|cache| cache.join("albumctl")))
    }

    /// How many bytes of model files may be kept; none: no limit.
    pub fn models_limit(&self) -> Option<u64> {
        (self.cache_max_size_gb > 0.0).then_some((self.cache_max_size_gb * 1e9) as u64)
    }
}
