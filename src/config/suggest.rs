//! The nearest known name to a mistyped one.

/// `None` when nothing known is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    known
        .into_iter()
        .map(|name| {
            // A right leaf under a wrong branch is nearer than its spelling suggests.
            let leaf = if last(name) == last(typed) { 2 } else { usize::MAX };
            (strsim::levenshtein(typed, name).min(leaf), name)
        })
        .min()
        .filter(|&(away, name)| away <= typed.len().max(name.len()) / 2)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: [&str; 3] = ["device", "album.selection.ava_weight", "album.selection.iqa_weight"];

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(nearest("devise", KEYS), Some("device"));
        assert_eq!(nearest("album.selection.ava_wieght", KEYS), Some("album.selection.ava_weight"));
        assert_eq!(nearest("selection.iqa_weight", KEYS), Some("album.selection.iqa_weight"));
    }

    #[test]
    fn does_not_guess_wildly() {
        assert_eq!(nearest("zzz", KEYS), None);
    }
}
