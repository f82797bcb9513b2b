//! Words as they are compared: in lower case, in the singular.

/// Words that say nothing of what a photo shows.
const IGNORED: [&str; 44] = [
    "a", "all", "an", "and", "any", "are", "around", "as", "at", "by", "find", "for", "from", "her", "his", "i",
    "image", "in", "is", "it", "its", "me", "my", "near", "next", "of", "on", "or", "our", "over", "picture", "show",
    "some", "that", "the", "their", "this", "to", "under", "we", "where", "which", "with", "your",
];

/// Plurals that no rule of [`singular`] gives.
const IRREGULAR: [(&str, &str); 12] = [
    ("buses", "bus"),
    ("children", "child"),
    ("geese", "goose"),
    ("knives", "knife"),
    ("leaves", "leaf"),
    ("men", "man"),
    ("mice", "mouse"),
    ("people", "person"),
    ("shelves", "shelf"),
    ("teeth", "tooth"),
    ("wolves", "wolf"),
    ("women", "woman"),
];

/// The words of a text, folded.
pub fn folded(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’');
    let words = words.map(|word| word.trim_matches(['\'', '’'])).filter(|word| !word.is_empty());
    words.map(|word| singular(&word.to_lowercase().replace('’', "'"))).collect()
}

/// The words of the name of a file or folder, where they may also begin with a capital or end before a digit: `Beach2024`,
/// `oldTown`.
pub fn folded_name(name: &str) -> Vec<String> {
    let mut apart = String::with_capacity(name.len() + 8);
    let mut before = ' ';
    for letter in name.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if begins || letter.is_numeric() != before.is_numeric() {
            apart.push(' ');
        }
        apart.push(letter);
        before = letter;
    }
    folded(&apart)
}

/// Whether a folded word says nothing of a picture.
pub fn is_ignored(word: &str) -> bool {
    IGNORED.contains(&word)
}

/// Whether the words occur one after the other.
pub fn contains(all: &[String], words: &[String]) -> bool {
    !words.is_empty() && all.windows(words.len()).any(|window| window == words)
}

fn singular(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    if let Some((_, one)) = IRREGULAR.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    let is_short = word.chars().count() <= 3;
    if is_short || ["ss", "us", "is"].iter().any(|end| word.ends_with(end)) {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    let hissing = ["sses", "shes", "ches", "xes", "zzes", "toes"].iter().any(|end| word.ends_with(end));
    word.strip_suffix(if hissing { "es" } else { "s" }).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_compared_as_singulars() {
        let many = "Dogs beaches berries churches buses roses wolves glass mangos tomatoes cars' children's";
        let one = "dog beach berry church bus rose wolf glass mango tomato car child";
        assert_eq!(folded(many), folded(one));
        assert_eq!(folded("bus gas iris movies"), ["bus", "gas", "iris", "movy"]);
    }

    #[test]
    fn names_are_split_where_capitals_and_digits_begin() {
        assert_eq!(folded_name("IMG_20240501_oldTown-Beach2"), ["img", "20240501", "old", "town", "beach", "2"]);
        assert!(contains(&folded_name("Golden Gate 3.jpg"), &folded("golden gate")));
        assert!(!contains(&folded("gate golden"), &folded("golden gate")) && !contains(&[], &[]));
    }
}
