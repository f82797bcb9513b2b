//! The user's folders for configuration, data and cache.

use std::path::PathBuf;

use super::Settings;

/// What a folder of albumctl's own is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserFolder {
    Config,
    Data,
    Cache,
}

impl UserFolder {
    /// The variable that names the folder above; where it is not set, another variable and the path below its folder.
    /// On Windows data do not follow the user to other machines: models are large, and people's faces are nobody else's
    /// business.
    const fn sources(self) -> (&'static str, &'static str, &'static str) {
        match (self, cfg!(windows)) {
            (Self::Config, false) => ("XDG_CONFIG_HOME", "HOME", ".config/albumctl"),
            (Self::Data, false) => ("XDG_DATA_HOME", "HOME", ".local/share/albumctl"),
            (Self::Cache, false) => ("XDG_CACHE_HOME", "HOME", ".cache/albumctl"),
            (Self::Config, true) => ("XDG_CONFIG_HOME", "APPDATA", "albumctl"),
            (Self::Data, true) => ("XDG_DATA_HOME", "LOCALAPPDATA", r"albumctl\data"),
            (Self::Cache, true) => ("XDG_CACHE_HOME", "LOCALAPPDATA", r"albumctl\cache"),
        }
    }

    /// The folder; `None` where no variable says where it is. A path that is not absolute is ignored, as the standard of
    /// the XDG variables says.
    pub fn path(self) -> Option<PathBuf> {
        let (variable, default, below) = self.sources();
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let default = || match default {
            // The system knows it where the variable is missing.
            "HOME" => std::env::home_dir().filter(|home| home.is_absolute()),
            other => named(other),
        };
        named(variable).map(|above| above.join("albumctl")).or_else(|| Some(default()?.join(below)))
    }

    /// Says why there is no folder.
    pub fn missing(self) -> String {
        let (variable, default, _) = self.sources();
        format!("neither {variable} nor {default} is set")
    }
}

/// The user's own configuration.
pub fn user_file() -> Option<PathBuf> {
    UserFolder::Config.path().map(|folder| folder.join("config.yaml"))
}

/// The folder of the user's own model manifests.
pub fn own_manifests() -> Option<PathBuf> {
    UserFolder::Config.path().map(|folder| folder.join("models"))
}

impl Settings {
    /// The folder of model files; `None` where it is neither configured nor known.
    pub fn models_folder(&self) -> Option<PathBuf> {
        self.models_dir.clone().or_else(|| UserFolder::Data.path().map(|data| data.join("models")))
    }

    /// The folder of the results store; `None` as above.
    pub fn results_folder(&self) -> Option<PathBuf> {
        self.cache_dir.clone().or_else(|| UserFolder::Cache.path())
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
