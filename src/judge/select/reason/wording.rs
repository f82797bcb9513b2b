//! Numbers, places and names in words, as reasons use them.

use std::path::Path;

/// Formats a value with two decimals, or with four where two would not show that it is below the threshold.
pub fn short(value: f64, least: f64) -> String {
    let rounded = format!("{value:.2}");
    if rounded == format!("{least:.2}") { format!("{value:.4}") } else { rounded }
}

pub fn ordinal(place: usize) -> String {
    let ending = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    match place {
        2 => "Second".into(),
        3 => "Third".into(),
        4 => "Fourth".into(),
        5 => "Fifth".into(),
        _ => format!("{place}{ending}"),
    }
}

/// Formats a number of people: "both", "all three", "all 12".
pub fn everybody(people: usize) -> String {
    match people {
        2 => "both".into(),
        3 => "all three".into(),
        4 => "all four".into(),
        5 => "all five".into(),
        people => format!("all {people}"),
    }
}

/// A place in a row: "first", "second".
pub fn from_left(place: usize) -> String {
    if place == 1 { "first".to_owned() } else { ordinal(place).to_lowercase() }
}

/// Joins names: "a", "a and b", "a, b and c", "a, b and 4 others".
pub fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] if names.len() <= 4 => format!("{} and {last}", all.join(", ")),
        _ => format!("{}, {} and {} others", names[0], names[1], names.len() - 2),
    }
}

pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ordinals_read_as_english() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(String::from).to_vec();
        assert_eq!(list(&names[..1]), "a");
        assert_eq!(list(&names[..2]), "a and b");
        assert_eq!(list(&names[..4]), "a, b, c and d");
        assert_eq!(list(&names), "a, b and 3 others");
        assert_eq!([2, 11, 21, 22, 23, 112].map(ordinal), ["Second", "11th", "21st", "22nd", "23rd", "112th"]);
    }
}
