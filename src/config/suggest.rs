//! Suggesting the known name nearest to a mistyped one.

/// Returns the nearest known name; `None` when none is near enough.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    known
        .into_iter()
        .map(|name| {
            // A correct last part under a wrong section counts as near, whatever its edit distance.
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
    fn the_nearest_name_is_found() {
        assert_eq!(nearest("devise", KEYS), Some("device"));
        assert_eq!(nearest("album.selection.ava_wieght", KEYS), Some("album.selection.ava_weight"));
        assert_eq!(nearest("selection.iqa_weight", KEYS), Some("album.selection.iqa_weight"));
    }

    #[test]
    fn nothing_near_gives_no_suggestion() {
        assert_eq!(nearest("zzz", KEYS), None);
    }
}
