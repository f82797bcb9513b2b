//! Web addresses: resolving relative ones, host, user name and password.

use super::SourceError;

/// The parts of `http(s)://user@host:port/path?query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub scheme: String,
    pub user: Option<String>,
    /// Host, with the port if one is given.
    pub authority: String,
    /// The path from the first slash on; never empty.
    pub path: String,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let refuse = || SourceError::Address(crate::sources::without_secrets(text));
        let (scheme, rest) = text.trim().split_once("://").ok_or_else(refuse)?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") || rest.chars().any(|c| c.is_control() || c == ' ') {
            return Err(refuse());
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user.to_owned()), authority),
            None => (None, authority),
        };
        if authority.is_empty() {
            return Err(refuse());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { scheme, user, authority: authority.to_ascii_lowercase(), path })
    }

    /// Resolves a link found at this address.
    pub fn join(&self, link: &str) -> Result<Self, SourceError> {
        let link = link.trim().split('#').next().unwrap_or_default();
        let scheme_end = link.find("://").filter(|&end| link[..end].chars().all(|c| c.is_ascii_alphanumeric()));
        if scheme_end.is_some() {
            let found = Self::parse(link)?;
            // A password is only sent to the host it was given for.
            let same = found.authority == self.authority && found.scheme == self.scheme;
            let user = found.user.clone().or_else(|| self.user.clone().filter(|_| same));
            return Ok(Self { user, ..found });
        }
        if let Some(rest) = link.strip_prefix("//") {
            return self.join(&format!("{}://{rest}", self.scheme));
        }
        let own_path = self.path.split('?').next().unwrap_or_default();
        let path = match link {
            "" => self.path.clone(),
            _ if link.starts_with('/') => without_dots(link),
            _ if link.starts_with('?') => format!("{own_path}{link}"),
            _ => without_dots(&format!("{}{link}", &own_path[..=own_path.rfind('/').unwrap_or(0)])),
        };
        Ok(Self { path, ..self.clone() })
    }

    /// The address for a request; user and password go into a header.
    pub fn request(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path)
    }

    /// The full address with user and password.
    pub fn full(&self) -> String {
        let user = self.user.as_ref().map_or_else(String::new, |user| format!("{user}@"));
        format!("{}://{user}{}{}", self.scheme, self.authority, self.path)
    }

    pub fn host(&self) -> &str {
        if let Some(end) = self.authority.find(']') {
            return &self.authority[..=end];
        }
        self.authority.split(':').next().unwrap_or_default()
    }

    /// The last part of the path, with `%xx` decoded.
    pub fn file_name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        unescaped(path.rsplit('/').next().unwrap_or_default())
    }
}

/// Decodes `%xx`.
pub fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            plain.push(byte);
            at += 3;
        } else {
            plain.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Removes dot segments: `/a/./b/../c` becomes `/a/c`. The query is left alone.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_a_browser_would_go() {
        let base = Address::parse("https://me:pw@Host:8080/simple/pkg/?x=1#frag").unwrap();
        let cases = [
            ("http://other/a", "http://other/a"),
            ("//other/a", "https://other/a"),
            ("/a/b#sha256=0", "https://host:8080/a/b"),
            ("w.whl", "https://host:8080/simple/pkg/w.whl"),
            ("../../files/w.whl?x=../y", "https://host:8080/files/w.whl?x=../y"),
            ("../../../../w.whl", "https://host:8080/w.whl"),
            ("./", "https://host:8080/simple/pkg/"),
            ("?page=2", "https://host:8080/simple/pkg/?page=2"),
        ];
        for (link, expected) in cases {
            assert_eq!(base.join(link).unwrap().request(), expected, "{link}");
        }
        assert_eq!(base.user.as_deref(), Some("me:pw"));
        let user_at = |link: &str| base.join(link).unwrap().user;
        assert_eq!(user_at("a").as_deref(), Some("me:pw"));
        assert_eq!(user_at("https://host:8080/x").as_deref(), Some("me:pw"));
        assert_eq!((user_at("https://host/x"), user_at("http://host:8080/x"), user_at("//other/")), (None, None, None));
        assert_eq!((base.host(), Address::parse("http://[::1]:80/").unwrap().host()), ("host", "[::1]"));
        assert_eq!(base.join("a%2Bb%c3%a9.whl").unwrap().file_name(), "a+bé.whl");
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        for wrong in ["", "file:///etc/passwd", "ftp://host/a", "https://", "http://a b/", "host/path", "https:///a"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(unescaped("100%"), "100%");
    }
}
