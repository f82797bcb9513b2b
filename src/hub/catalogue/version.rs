//! Comparison of versions: numeric parts as numbers, the rest as text.

use std::cmp::Ordering;

pub fn order(a: &str, b: &str) -> Ordering {
    let (a_main, a_rest) = split(a);
    let (b_main, b_rest) = split(b);
    // `1.0-rc1` comes before `1.0`.
    let rest = || match (a_rest, b_rest) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => fields(a).cmp(&fields(b)),
    };
    fields(a_main).cmp(&fields(b_main)).then_with(rest).then_with(|| a.cmp(b))
}

fn split(version: &str) -> (&str, Option<&str>) {
    match version.split_once('-') {
        Some((main, rest)) => (main, Some(rest)),
        None => (version, None),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Field<'a> {
    Text(&'a str),
    Number(u64),
}

fn fields(text: &str) -> Vec<Field<'_>> {
    text.trim_start_matches('v').split('.').map(|part| part.parse().map_or(Field::Text(part), Field::Number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_count() {
        for pair in ["1", "1.9", "1.10", "2.0-rc.1", "2.0-rc.2", "2.0", "v2.1", "10"].windows(2) {
            assert_eq!(order(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(order(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
    }
}
