//! Languages by their letters, so that a network that reads many scripts can be held to the expected ones.

use std::collections::HashSet;
use std::ops::RangeInclusive;

/// A language with the letters that it is written in.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// What Tesseract calls it: the code of ISO 639-2, with the script where it has several.
    pub code: &'static str,
    /// The code of ISO 639-1.
    short: &'static str,
    /// The small letters beyond a to z; of scripts with very many characters, some that every text has.
    letters: &'static str,
    /// Further characters that belong to it.
    blocks: &'static [RangeInclusive<char>],
}

const fn written(code: &'static str, short: &'static str, letters: &'static str) -> Language {
    Language { code, short, letters, blocks: &[] }
}

/// Signs of repetition, ideographs with their extension, and Latin letters as wide as them.
const CHINESE: &[RangeInclusive<char>] = &['々'..='〇', '㐀'..='䶿', '一'..='鿿', 'Ａ'..='ｚ'];
const JAPANESE: &[RangeInclusive<char>] =
    &['ぁ'..='ゟ', 'ァ'..='ヿ', 'ｦ'..='ﾟ', '々'..='〇', '㐀'..='䶿', '一'..='鿿', 'Ａ'..='ｚ'];
const KOREAN: &[RangeInclusive<char>] = &['ᄀ'..='ᇿ', '㄰'..='㆏', '가'..='힣', '一'..='鿿'];

const LANGUAGES: [Language; 47] = [
    written("afr", "af", "áäéèêëíîïóôöúûü"),
    written("bel", "be", "абвгдеёжзійклмнопрстуўфхцчшыьэюя"),
    written("bul", "bg", "абвгдежзийклмнопрстуфхцчшщъьюя"),
    written("cat", "ca", "àçèéíïòóúü"),
    written("ces", "cs", "áčďéěíňóřšťúůýž"),
    Language { code: "chi_sim", short: "zh", letters: "的一是不了人在有这中国", blocks: CHINESE },
    Language { code: "chi_tra", short: "zh", letters: "的一是不了人在有這中國", blocks: CHINESE },
    written("cym", "cy", "áàâäéèêëíìîïóòôöúùûüŵŷÿ"),
    written("dan", "da", "æøåé"),
    written("deu", "de", "äöüß"),
    written("ell", "el", "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"),
    // Its few words with an accent are read where a model can.
    Language { code: "eng", short: "en", letters: "", blocks: &['É'..='É', 'é'..='é'] },
    written("epo", "eo", "ĉĝĥĵŝŭ"),
    written("est", "et", "äõöüšž"),
    written("eus", "eu", "ñü"),
    written("fin", "fi", "äöåšž"),
    written("fra", "fr", "àâæçéèêëîïôœùûüÿ"),
    written("gle", "ga", "áéíóú"),
    written("glg", "gl", "áéíñóúü"),
    written("heb", "he", "אבגדהוזחטיךכלםמןנסעףפץצקרשת"),
    written("hrv", "hr", "čćđšž"),
    written("hun", "hu", "áéíóöőúüű"),
    written("ind", "id", "é"),
    written("isl", "is", "áðéíóúýþæö"),
    written("ita", "it", "àèéìíîòóùú"),
    Language {
        code: "jpn", short: "ja", letters: "のにはをたがでとしれさカスリンー日本人年大", blocks: JAPANESE
    },
    Language { code: "kor", short: "ko", letters: "이다는가의에을를은한하고지", blocks: KOREAN },
    written("lat", "la", ""),
    written("lav", "lv", "āčēģīķļņšūž"),
    written("lit", "lt", "ąčęėįšųūž"),
    written("mkd", "mk", "абвгдѓежзѕијклљмнњопрстќуфхцчџш"),
    written("mlt", "mt", "àċèġħìòùż"),
    written("msa", "ms", ""),
    written("nld", "nl", "áäéèëïíóöúü"),
    written("nor", "no", "æøåéòóô"),
    written("pol", "pl", "ąćęłńóśźż"),
    written("por", "pt", "áàâãçéêíóôõúüªº"),
    written("ron", "ro", "ăâîșțşţ"),
    written("rus", "ru", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"),
    written("slk", "sk", "áäčďéíĺľňóôŕšťúýž"),
    written("slv", "sl", "čšž"),
    written("spa", "es", "áéíñóúüªº"),
    written("sqi", "sq", "çë"),
    written("swe", "sv", "åäöé"),
    written("tur", "tr", "çğıöşüİâîû"),
    written("ukr", "uk", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"),
    written("vie", "vi", "àáâãèéêìíòóôõùúýăđĩũơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"),
];

/// The language of a code, in the words of Tesseract or of ISO 639-1.
pub fn language(code: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| [language.code, language.short].contains(&code))
}

/// The languages of which all letters are among these characters.
pub fn written_in<'a>(characters: impl Iterator<Item = &'a str>) -> Vec<&'static Language> {
    let known: HashSet<char> = characters.flat_map(str::chars).collect();
    let latin = ('a'..='z').all(|letter| known.contains(&letter));
    let has = |language: &&Language| language.letters.chars().all(|letter| known.contains(&letter));
    let own_script = |language: &Language| language.letters.chars().all(|letter| letter > 'ʯ');
    LANGUAGES
        .iter()
        .filter(has)
        .filter(|language| latin || !language.letters.is_empty() && own_script(language))
        .collect()
}

/// Whether a character may stand in a text of one of the languages: one of their letters, small or capital, a letter
/// from A to Z, or what is no letter.
pub(crate) fn may_stand(character: &str, languages: &[&Language]) -> bool {
    let fits = |letter: char, language: &Language| {
        let has = |letter: char| language.letters.contains(letter);
        let mut small = letter.to_lowercase();
        has(letter)
            || small.len() == 1 && small.next().is_some_and(has)
            || language.blocks.iter().any(|block| block.contains(&letter))
    };
    character.chars().all(|letter| {
        !letter.is_alphabetic()
            || letter.is_ascii_alphabetic()
            || languages.iter().any(|language| fits(letter, language))
    })
}

/// The likeliest output of a step, with its probability, among those that may be.
pub(crate) fn likeliest(step: &[f32], may_be: Option<&[bool]>) -> (usize, f32) {
    let possible = |at: usize| may_be.is_none_or(|may_be| may_be.get(at).copied().unwrap_or_default());
    let each = step.iter().copied().enumerate().filter(|&(at, _)| possible(at));
    each.fold((0, f32::MIN), |most, other| if other.1 > most.1 { other } else { most })
}

#[cfg(test)]
mod tests {
    use super::{language, likeliest, may_stand, written_in};

    #[test]
    fn a_language_is_read_by_who_knows_all_its_letters() {
        let latin: Vec<String> = ('a'..='ž').map(String::from).collect();
        let codes = |extra: &[&str]| -> Vec<&str> {
            let known = latin.iter().map(String::as_str).chain(extra.iter().copied());
            written_in(known).into_iter().map(|language| language.code).collect()
        };
        let read = codes(&[]);
        assert!(["eng", "deu", "pol"].iter().all(|code| read.contains(code)), "{read:?}");
        assert!(!["vie", "rus", "jpn", "chi_sim"].iter().any(|code| read.contains(code)), "{read:?}");
        assert!(codes(&["的一是不了人在有", "这中国"]).contains(&"chi_sim"));
        let russian: Vec<String> = ('а'..='ё').map(String::from).collect();
        let read: Vec<&str> = written_in(russian.iter().map(String::as_str)).iter().map(|l| l.code).collect();
        assert_eq!(read, ["bul", "rus"]);
    }

    #[test]
    fn letters_of_other_languages_may_not_stand_but_signs_may() {
        let german = [language("de").unwrap()];
        assert!(["ä", "Ä", "ß", "Z", "7", "€", "。", " ", "fi"].iter().all(|character| may_stand(character, &german)));
        assert!(!["é", "я", "一", "Ω"].iter().any(|character| may_stand(character, &german)));
        let both = [german[0], language("jpn").unwrap()];
        assert!(["ö", "の", "ン", "々", "語", "Ｃ"].iter().all(|character| may_stand(character, &both)));
        assert!(!may_stand("я", &both) && language("xyz").is_none());
        assert_eq!(likeliest(&[0.1, 0.6, 0.3], None), (1, 0.6));
        assert_eq!(likeliest(&[0.1, 0.6, 0.3], Some(&[true, false, true])), (2, 0.3));
    }
}
