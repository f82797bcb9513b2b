use super::*;

const CLASSES: &str =
    "tench\nhotdog\ngolden retriever\nLabrador retriever\nseashore\nmountain bike\nwater bottle\nice cream";
const CONCEPTS: &str = "# A comment.\ndog, puppy: 2-3\nbeach: 4\nanimal: 0 2-3\nhot dog: 1";

fn vocabulary() -> Vocabulary {
    Vocabulary::new(CLASSES, CONCEPTS).unwrap()
}

fn shows<'a>(labels: &[(&'a str, f64)]) -> Evidence<'a> {
    Evidence { labels: labels.to_vec(), ..Evidence::default() }
}

fn asked(query: &str, photo: &Evidence) -> Relevance {
    Query::parse(query, &vocabulary()).unwrap().relevance(photo)
}

fn score(query: &str, photo: &Evidence) -> f64 {
    (asked(query, photo).score * 100.0).round() / 100.0
}

#[test]
fn a_concept_is_the_sum_of_its_classes_and_no_other_class() {
    let dog = shows(&[("golden retriever", 0.5), ("Labrador retriever", 0.33), ("hotdog", 0.1)]);
    for word in ["dog", "Dogs", "a puppy", "pictures of dogs", "animals", "retriever"] {
        assert_eq!(score(word, &dog), 0.83, "{word}");
    }
    assert_eq!(asked("dogs", &dog).shows, "shows “dogs” (golden retriever 0.50)");
    assert_eq!(asked("golden retriever", &dog).shows, "shows “golden retriever” (0.50)");
    assert_eq!([score("hot dog", &dog), score("hotdogs", &dog)], [0.1, 0.1]);
    assert_eq!([score("labrador", &dog), score("golden", &dog), score("water", &dog)], [0.33, 0.0, 0.0]);
    assert_eq!(asked("tench", &dog), Relevance { score: 0.0, shows: String::new() });
}

#[test]
fn all_terms_must_apply_and_a_comma_separates_alternatives() {
    let both = shows(&[("golden retriever", 0.5), ("seashore", 0.32)]);
    assert_eq!(score("dog on the beach", &both), 0.4);
    assert_eq!(asked("dog beach", &both).shows, "shows “dog” (golden retriever 0.50), shows “beach” (seashore 0.32)");
    assert_eq!(score("dog on a mountain bike", &both), 0.0);
    assert_eq!([score("tench, dog", &both), score("ice cream, tench", &both)], [0.5, 0.0]);
}

#[test]
fn text_kind_people_and_names_speak_too() {
    let kind = LikelyKind { what: PictureKind::Receipt, score: 0.9 };
    let photo = Evidence {
        kind: Some(kind),
        text: vec![("Total 12.50 EUR", 0.95), ("THE GOLDEN GATE", 0.6)],
        people: vec!["Anna Maria".to_owned()],
        names: vec!["Lisbon2024".into(), "IMG_0001".into()],
        ..Evidence::default()
    };
    for (query, expected, clause) in [
        ("receipts", 0.9, "is a receipt (0.90)"),
        ("total", 0.95, "has the text “total” (0.95)"),
        ("\"golden gate\"", 0.6, "has the text “golden gate” (0.60)"),
        ("anna", 1.0, "shows Anna Maria"),
        ("lisbon", 1.0, "has “lisbon” in its name (Lisbon2024)"),
    ] {
        assert_eq!(asked(query, &photo), Relevance { score: expected, shows: clause.to_owned() }, "{query}");
    }
    assert_eq!([score("\"gate golden\"", &photo), score("screenshot", &photo)], [0.0, 0.0]);
}

#[test]
fn objects_are_found_by_their_names_and_kinds() {
    let vocabulary = vocabulary().with_objects("person\nhot dog\ndog\n\nwine glass");
    let photo = Evidence { objects: Some(vec![("dog", 0.75), ("person", 0.5)]), ..Evidence::default() };
    let score = |words: &str| Query::parse(words, &vocabulary).unwrap().relevance(&photo).score;
    let found = ["dogs", "puppy", "animal", "people", "hot dog", "glass"].map(score);
    assert_eq!(found, [0.75, 0.75, 0.75, 0.5, 0.0, 0.0]);
    let query = Query::parse("glass, tree", &vocabulary).unwrap();
    assert_eq!(query.unknown(std::slice::from_ref(&photo)), ["tree"]);
    let hot = Evidence { objects: Some(vec![("hot dog", 0.75)]), ..Evidence::default() };
    assert_eq!(Query::parse("dog", &vocabulary).unwrap().relevance(&hot).score, 0.0);
}

#[test]
fn words_of_which_nothing_can_be_known_are_named() {
    let (vocabulary, labels) = (vocabulary(), shows(&[("tench", 0.9)]));
    let query = Query::parse("dog at sunset, sunset \"ice cream\"", &vocabulary).unwrap();
    assert_eq!(query.unknown(std::slice::from_ref(&labels)), ["sunset"]);
    assert_eq!(query.unknown(&[Evidence::default()]), ["dog", "sunset", "ice cream"]);
    assert!(query.is_in_vocabulary("dog") && !query.is_in_vocabulary("sunset"));
    let named = Evidence { names: vec!["sunset".into()], ..labels };
    assert_eq!(query.unknown(&[named]), [""; 0]);
    let dog = shows(&[("golden retriever", 0.5)]);
    let unknown = ["sunset".to_owned()];
    assert_eq!(query.clone().without(&unknown).relevance(&dog).score, 0.5);
    assert_eq!(query.without_alternatives_of(&unknown).relevance(&dog).score, 0.0);
}

#[test]
fn queries_that_ask_for_nothing_are_refused() {
    let vocabulary = vocabulary();
    for empty in ["", " , ", "the", "\"\"", "pictures of"] {
        assert_eq!(Query::parse(empty, &vocabulary).unwrap_err(), QueryError::Empty(empty.to_owned()));
    }
    let open = "dog \"golden gate";
    assert_eq!(Query::parse(open, &vocabulary).unwrap_err(), QueryError::Unclosed(open.to_owned()));
    assert!(Query::parse("“golden gate”", &vocabulary).is_ok());
}

#[test]
fn a_malformed_table_of_concepts_is_refused_by_its_line() {
    for concepts in ["dog", "# fine\ndog: x", "# fine\ndog: 3-1", "# fine\ndog: 8"] {
        let refused = Vocabulary::new(CLASSES, concepts).unwrap_err().to_string();
        assert!(refused.starts_with("line ") && refused.contains("concepts"), "{refused}");
    }
}
