//! Escapes text before it is printed. File names, models and files may contain anything, including characters that
//! control the terminal.

use std::borrow::Cow;

/// Whether a character controls the terminal, is invisible, or changes the direction of text. Joiners are allowed,
/// because scripts and emoji need them.
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns a line of text with every such character replaced by U+FFFD.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.contains(steers) { text.replace(steers, "\u{fffd}").into() } else { text.into() }
}

/// Escapes text of several lines. All lines but the first are indented, so that none can pass for a message of its own.
pub fn message(text: &str) -> String {
    let mut lines = text.lines().map(|line| line.split('\t').map(visible).collect::<Vec<_>>().join("\t"));
    let mut safe = lines.next().unwrap_or_default();
    for line in lines {
        safe.push('\n');
        safe.push_str(if line.is_empty() || line.starts_with("  ") { "" } else { "  " });
        safe.push_str(&line);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_scripts_stay_intact() {
        let evil = "\u{1b}[2J\u{9b}31m\r\u{7}\u{7f}\u{202e}gpj.\u{2066}\u{200b}\u{feff}\u{e0041}";
        assert!(!visible(evil).contains(steers));
        assert_eq!(visible("a\u{1b}[31m.jpg"), "a\u{fffd}[31m.jpg");
        for sound in ["写真.jpg", "caf\u{e9}", "نمی\u{200c}دانم", "👩\u{200d}👧", "naïve – ok"] {
            assert!(matches!(visible(sound), Cow::Borrowed(same) if same == sound));
        }
    }

    #[test]
    fn further_lines_of_a_message_are_indented() {
        assert_eq!(message("a\nwarning: b\n\n    c\td\r\ne\rf"), "a\n  warning: b\n\n    c\td\n  e\u{fffd}f");
    }
}
