//! Network settings from the user's environment: proxies, certificates, package indexes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base::reading;

#[derive(Debug, Clone, Default)]
pub struct NetworkSettings {
    /// Proxies for `http://` and `https://` addresses.
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Vec<String>,
    /// A file of certificates to trust instead of the built-in ones.
    pub certificates: Option<PathBuf>,
    /// Package indexes, in order of precedence.
    pub indexes: Vec<String>,
    /// Seconds that pip waits for an answer, where the user says so.
    pub pip_timeout: Option<String>,
    /// The folders where pip is looked for if there are none; empty if pip is told to use no index.
    pub programs: Vec<PathBuf>,
}

impl NetworkSettings {
    pub fn from_environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let variables: HashMap<String, String> =
            variables.into_iter().filter_map(text).filter(|(_, value)| !value.is_empty()).collect();
        let first = |names: &[&str]| names.iter().find_map(|name| variables.get(*name)).cloned();
        // HTTP_PROXY in capitals is ignored, as in curl, because web servers set it from a request's `Proxy:` header.
        let all = first(&["all_proxy", "ALL_PROXY"]);
        let no_proxy = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        Self {
            http_proxy: first(&["http_proxy"]).or_else(|| all.clone()),
            https_proxy: first(&["https_proxy", "HTTPS_PROXY"]).or(all),
            no_proxy: no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase()).collect(),
            certificates: first(&["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]).map(PathBuf::from),
            indexes: indexes(&variables),
            pip_timeout: variables.get("PIP_DEFAULT_TIMEOUT").cloned(),
            programs: programs(&variables),
        }
    }

    pub fn proxy_for(&self, scheme: &str, host: &str) -> Option<&str> {
        let proxy = if scheme == "https" { &self.https_proxy } else { &self.http_proxy };
        proxy.as_deref().filter(|_| !self.is_direct(host))
    }

    fn is_direct(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']);
        self.no_proxy.iter().filter(|entry| !entry.is_empty()).any(|entry| {
            let entry = entry.trim_start_matches('*').trim_start_matches('.');
            entry.is_empty() || host == entry || host.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.'))
        })
    }
}

fn programs(variables: &HashMap<String, String>) -> Vec<PathBuf> {
    // Windows calls it `Path`.
    let is_path = |name: &str| name == "PATH" || cfg!(windows) && name.eq_ignore_ascii_case("PATH");
    let path = variables.iter().find(|(name, _)| is_path(name)).map(|(_, folders)| folders);
    path.filter(|_| !uses_no_index(variables)).map(|path| std::env::split_paths(path).collect()).unwrap_or_default()
}

fn uses_no_index(variables: &HashMap<String, String>) -> bool {
    variables.get("PIP_NO_INDEX").is_some_and(|value| !matches!(value.as_str(), "0" | "false" | "no" | "off"))
}

/// Finds the indexes as pip does: environment first, then its files, the most specific first.
fn indexes(variables: &HashMap<String, String>) -> Vec<String> {
    if uses_no_index(variables) {
        return Vec::new();
    }
    let files: Vec<_> =
        pip_files(variables).iter().filter_map(|file| reading::read_text(file, reading::TEXT).ok()).collect();
    let configured = |key: &str| files.iter().find_map(|text| setting(text, key));
    let given = |names: &[&str]| names.iter().find_map(|name| variables.get(*name)).cloned();
    let main = given(&["PIP_INDEX_URL"]).or_else(|| configured("index-url"));
    let main = main.or_else(|| given(&["UV_DEFAULT_INDEX", "UV_INDEX_URL"]));
    let extra = given(&["PIP_EXTRA_INDEX_URL"]).or_else(|| configured("extra-index-url"));
    let extra = extra.or_else(|| given(&["UV_INDEX", "UV_EXTRA_INDEX_URL"])).unwrap_or_default();
    // uv allows `name=address`.
    let bare = |index: &str| match index.split_once("=http") {
        Some((name, rest)) if !name.contains('/') => format!("http{rest}"),
        _ => index.to_owned(),
    };
    let all = main.into_iter().chain(extra.split_whitespace().map(str::to_owned));
    all.map(|index| bare(index.trim()).trim_end_matches('/').to_owned()).filter(|index| !index.is_empty()).collect()
}

fn pip_files(variables: &HashMap<String, String>) -> Vec<PathBuf> {
    let folder = |name: &str| variables.get(name).map(PathBuf::from);
    if let Some(only) = folder("PIP_CONFIG_FILE") {
        return vec![only];
    }
    if cfg!(windows) {
        let below = |name: &str, file: &str| folder(name).map(|folder| folder.join(file));
        let files = [
            below("VIRTUAL_ENV", "pip.ini"),
            below("APPDATA", "pip/pip.ini"),
            below("USERPROFILE", "pip/pip.ini"),
            below("ProgramData", "pip/pip.ini"),
        ];
        return files.into_iter().flatten().collect();
    }
    let home = folder("HOME");
    let config = folder("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
    let global = variables.get("XDG_CONFIG_DIRS").cloned().unwrap_or_else(|| "/etc/xdg".to_owned());
    let of_a_mac = |above: Option<&Path>| {
        above.filter(|_| cfg!(target_os = "macos")).map(|above| above.join("Library/Application Support/pip/pip.conf"))
    };
    let own = [
        folder("VIRTUAL_ENV").map(|env| env.join("pip.conf")),
        of_a_mac(home.as_deref()),
        config.map(|config| config.join("pip/pip.conf")),
        home.map(|home| home.join(".pip/pip.conf")),
        of_a_mac(Some(Path::new("/"))),
        Some("/etc/pip.conf".into()),
    ];
    let shared = global.split(':').map(|folder| Path::new(folder).join("pip/pip.conf"));
    own.into_iter().flatten().chain(shared).collect()
}

/// A value from the sections of an INI file that apply to downloads. Indented lines continue a value.
fn setting(text: &str, key: &str) -> Option<String> {
    let mut section = String::new();
    let mut found: Option<String> = None;
    let mut continues = false;
    for line in text.lines() {
        if line.trim().is_empty() || line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let (true, Some(value)) = (continues, &mut found) {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        continues = false;
        if let Some(name) = line.trim().strip_prefix('[') {
            section = name.trim_end_matches(']').trim().to_ascii_lowercase();
        } else if let Some((name, value)) = line.split_once(['=', ':']) {
            let name = name.trim().to_ascii_lowercase().replace('_', "-");
            let ours = matches!(section.as_str(), "global" | "download") && name == key;
            // `[download]` takes precedence over `[global]`.
            if ours && (found.is_none() || section == "download") {
                found = Some(value.trim().to_owned());
                continues = true;
            }
        }
    }
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(variables: &[(&str, &str)]) -> NetworkSettings {
        NetworkSettings::from_environment(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn proxies_as_curl_reads_them() {
        let set = network(&[
            ("https_proxy", "http://p:1"),
            ("all_proxy", "socks5://q:2"),
            ("HTTP_PROXY", "http://evil"),
            ("no_proxy", "localhost, .corp.example,10.0.0.1"),
        ]);
        assert_eq!(set.proxy_for("https", "host"), Some("http://p:1"));
        assert_eq!(set.proxy_for("http", "host"), Some("socks5://q:2"));
        for direct in ["localhost", "a.corp.example", "corp.example", "10.0.0.1"] {
            assert_eq!(set.proxy_for("https", direct), None, "{direct}");
        }
        assert!(set.proxy_for("https", "notcorp.example").is_some());
        assert_eq!(network(&[("https_proxy", "http://p:1"), ("NO_PROXY", "*")]).proxy_for("https", "host"), None);
        assert_eq!(network(&[("http_proxy", "")]).proxy_for("http", "host"), None);
    }

    #[test]
    fn indexes_as_pip_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pip.conf");
        let text = "[install]\nindex-url = https://no.example\n[global]\nindex_url: https://a.example/simple/\n\
                    extra-index-url =\n    https://b.example/simple\n    # said\n    https://c.example/simple\ntimeout = 3\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let found = network(&[("PIP_CONFIG_FILE", file)]).indexes;
        assert_eq!(found, ["https://a.example/simple", "https://b.example/simple", "https://c.example/simple"]);
        let found = network(&[("PIP_CONFIG_FILE", file), ("PIP_INDEX_URL", "https://d.example/simple")]).indexes;
        assert_eq!(found[0], "https://d.example/simple");
        assert!(network(&[("PIP_CONFIG_FILE", file), ("PIP_NO_INDEX", "1")]).indexes.is_empty());
        let uv = network(&[("PIP_CONFIG_FILE", "/dev/null"), ("UV_DEFAULT_INDEX", "mine=https://e.example/simple")]);
        assert_eq!(uv.indexes, ["https://e.example/simple"]);
        assert!(network(&[("PIP_CONFIG_FILE", "/dev/null")]).indexes.is_empty());
    }
}
