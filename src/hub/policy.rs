//! Licences of models, and the user's policy about them.

use std::fmt;
use std::str::FromStr;

/// The terms of a licence, from the most to the least permissive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Terms {
    /// MIT, Apache-2.0, BSD, CC-BY and the like.
    Permissive,
    /// LGPL, MPL, CC-BY-SA: changes to the work itself stay under its licence.
    WeakCopyleft,
    /// GPL: derived works stay under its licence.
    Copyleft,
    /// AGPL, SSPL: so do services over a network.
    NetworkCopyleft,
    /// Commercial use is not allowed, or research only.
    NonCommercial,
    /// Not stated, or unknown.
    Unknown,
}

impl Terms {
    const ALL: [Self; 6] = [
        Self::Permissive,
        Self::WeakCopyleft,
        Self::Copyleft,
        Self::NetworkCopyleft,
        Self::NonCommercial,
        Self::Unknown,
    ];

    /// Parses a licence as in manifests: an SPDX expression or free text. With `OR` the more permissive part counts, with
    /// `AND` or a semicolon the stricter one.
    pub fn of(licence: &str) -> Self {
        if let Some((left, right)) = licence.split_once(';') {
            return Self::of(left).max(Self::of(right));
        }
        let text = licence.trim().trim_start_matches('(').trim_end_matches(')').to_ascii_lowercase();
        if let Some((left, right)) = text.split_once(" and ") {
            return Self::of(left).max(Self::of(right));
        }
        if let Some((left, right)) = text.split_once(" or ") {
            return Self::of(left).min(Self::of(right));
        }
        Self::of_one(&text)
    }

    fn of_one(licence: &str) -> Self {
        let words: Vec<&str> = licence.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        let has = |word: &str| words.contains(&word);
        let starts = |word: &str| words.first().is_some_and(|first| first.starts_with(word));
        let non_commercial = has("nc") || has("noncommercial") || (has("non") && has("commercial")) || has("research");
        match () {
            () if non_commercial => Self::NonCommercial,
            () if starts("agpl") || starts("sspl") || starts("osl") => Self::NetworkCopyleft,
            () if starts("gpl") => Self::Copyleft,
            () if starts("lgpl") || starts("mpl") || starts("epl") || (has("cc") && has("sa")) => Self::WeakCopyleft,
            () if has("nd") => Self::Unknown,
            () if starts("cc") && (has("by") || has("0") || starts("cc0")) => Self::Permissive,
            () if ["mit", "apache", "bsd", "isc", "zlib", "unlicense", "0bsd", "bsl"].into_iter().any(starts) => {
                Self::Permissive
            }
            () => Self::Unknown,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Permissive => "permissive",
            Self::WeakCopyleft => "weak-copyleft",
            Self::Copyleft => "copyleft",
            Self::NetworkCopyleft => "agpl",
            Self::NonCommercial => "non-commercial",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The terms that the user refuses: `any` refuses none, `permissive` all others, or a list such as
/// `no-agpl,no-non-commercial,no-unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LicencePolicy {
    refused: Vec<Terms>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error(
        "unknown licence policy `{0}`; any, permissive, or a list of \
         no-weak-copyleft, no-copyleft, no-agpl, no-non-commercial, no-unknown"
    )]
    Unknown(String),
    #[error("the licence of {model} ({licence}: {terms}) is refused by the licence policy `{policy}`")]
    Refused { model: String, licence: String, terms: Terms, policy: String },
}

impl LicencePolicy {
    /// Whether the model may be used under this policy.
    pub fn check(&self, model: &str, licence: &str) -> Result<Terms, PolicyError> {
        let terms = Terms::of(licence);
        if self.refused.contains(&terms) {
            let (model, licence, policy) = (model.to_owned(), licence.to_owned(), self.to_string());
            return Err(PolicyError::Refused { model, licence, terms, policy });
        }
        Ok(terms)
    }
}

impl FromStr for LicencePolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let mut refused = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "any" => {}
                "permissive" => refused.extend(&Terms::ALL[1..]),
                _ => {
                    let named = |terms: &&Terms| word.strip_prefix("no-").is_some_and(|kind| kind == terms.word());
                    let found = Terms::ALL[1..].iter().find(named);
                    refused.push(*found.ok_or_else(|| PolicyError::Unknown(word.to_owned()))?);
                }
            }
        }
        refused.sort_unstable();
        refused.dedup();
        Ok(Self { refused })
    }
}

impl fmt::Display for LicencePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refused.as_slice() {
            [] => f.write_str("any"),
            refused if refused == &Terms::ALL[1..] => f.write_str("permissive"),
            refused => f.write_str(&refused.iter().map(|terms| format!("no-{terms}")).collect::<Vec<_>>().join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_as_models_carry_them() {
        let known = [
            ("Apache-2.0", Terms::Permissive),
            ("MIT OR Apache-2.0", Terms::Permissive),
            ("BSD-3-Clause", Terms::Permissive),
            ("CC-BY-4.0", Terms::Permissive),
            ("CC0-1.0", Terms::Permissive),
            ("CC-BY-SA-4.0", Terms::WeakCopyleft),
            ("LGPL-2.1-only", Terms::WeakCopyleft),
            ("GPL-3.0-or-later", Terms::Copyleft),
            ("AGPL-3.0", Terms::NetworkCopyleft),
            ("CC-BY-NC-4.0", Terms::NonCommercial),
            ("CC-BY-NC-SA-4.0", Terms::NonCommercial),
            ("non-commercial research only", Terms::NonCommercial),
            ("PolyForm-Noncommercial-1.0.0", Terms::NonCommercial),
            ("GPL-3.0 OR MIT", Terms::Permissive),
            ("MIT AND CC-BY-NC-4.0", Terms::NonCommercial),
            ("MIT for the code; the photos carry terms of their own", Terms::Unknown),
            ("MIT; CC-BY-NC-4.0 for the photos", Terms::NonCommercial),
            ("Unknown", Terms::Unknown),
            ("", Terms::Unknown),
        ];
        for (licence, terms) in known {
            assert_eq!(Terms::of(licence), terms, "{licence}");
        }
    }

    #[test]
    fn a_policy_refuses_what_it_names_and_nothing_else() {
        let policy: LicencePolicy = "no-agpl, no-non-commercial".parse().unwrap();
        assert_eq!(policy.to_string(), "no-agpl,no-non-commercial");
        assert!(policy.check("yolov8n", "AGPL-3.0").is_err());
        assert!(policy.check("a", "GPL-3.0").is_ok());
        let refusal = policy.check("b", "CC-BY-NC-4.0").unwrap_err().to_string();
        assert!(refusal.contains("CC-BY-NC-4.0") && refusal.contains("no-agpl,no-non-commercial"), "{refusal}");
        let permissive: LicencePolicy = "permissive".parse().unwrap();
        assert!(permissive.check("c", "").is_err() && permissive.check("d", "MIT").is_ok());
        assert!(LicencePolicy::default().check("e", "whatever").is_ok());
        assert!("no-permissive".parse::<LicencePolicy>().is_err() && "none".parse::<LicencePolicy>().is_err());
    }
}
