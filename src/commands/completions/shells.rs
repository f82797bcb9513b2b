//! Bash and zsh, where the scripts of `clap_complete` fall short.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap_complete::engine::complete;
use clap_complete::env::{self, EnvCompleter};

/// Asks with the whole line, because bash cuts words at `=` and `:`, which `--set KEY=VALUE` and `--device=cuda:1` hold.
#[derive(Debug)]
pub struct Bash;

/// Without a match, bash completes names of files, as it quotes them itself.
const BASH: &str = r#"_albumctl() {
    local IFS=$'\013'
    COMPREPLY=($(VARIABLE=bash COMPLETER -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [[ "${COMPREPLY-}" =~ [=/]$ ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o nosort -o bashdefault -o default -F _albumctl BIN 2>/dev/null ||
    complete -o bashdefault -o default -F _albumctl BIN"#;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _name: &str,
        binary: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let script = BASH.replace("VARIABLE", variable).replace("COMPLETER", completer).replace("BIN", binary);
        out.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        line: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let line = line.first().map(|line| line.to_string_lossy().into_owned()).unwrap_or_default();
        let words = split(&line);
        let word = words.last().cloned().unwrap_or_default();
        let at = words.len().saturating_sub(1);
        let found = complete(command, words.into_iter().map(OsString::from).collect(), at, folder)?;
        let found: Vec<String> = found.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect();
        let is_file = |value: &String| folder.unwrap_or(Path::new(".")).join(value).exists();
        let is_option = |value: &String| value.starts_with('-');
        let only_files = found.iter().any(is_file) && found.iter().all(|value| is_file(value) || is_option(value));
        if only_files && !word.starts_with('-') {
            return Ok(());
        }
        // What stands before the last `=` or `:` of the word is another word to bash.
        let kept = word.rfind(['=', ':']).map_or(0, |at| at + 1);
        let answers = found.iter().filter_map(|value| value.get(kept..)).map(quoted);
        out.write_all(answers.collect::<Vec<_>>().join("\u{b}").as_bytes())
    }
}

/// The words of a line up to the cursor, without their quotes; the last is the one that is being typed.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let last = words.len() - 1;
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => words[last].extend(chars.next()),
            (None, c) if c.is_whitespace() => {
                if !words[last].is_empty() {
                    words.push(String::new());
                }
            }
            (_, c) => words[last].push(c),
        }
    }
    words
}

fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:@+,%".contains(c);
    value.chars().flat_map(|c| (!is_plain(c)).then_some('\\').into_iter().chain([c])).collect()
}

/// Its script only completes from the second Tab on where zsh loads it from a folder; a last line mends that.
#[derive(Debug)]
pub struct Zsh;

impl EnvCompleter for Zsh {
    fn name(&self) -> &'static str {
        "zsh"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        binary: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        env::Zsh.write_registration(variable, name, binary, completer, out)?;
        writeln!(out, "if [[ ${{funcstack[1]}} == _{name} ]]; then _clap_dynamic_completer_{name} \"$@\"; fi")
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        env::Zsh.write_complete(command, words, folder, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_bash_does() {
        assert_eq!(split("albumctl  score My\\ Photos/ "), ["albumctl", "score", "My Photos/", ""]);
        assert_eq!(split("albumctl --set 'a b'=\"c d"), ["albumctl", "--set", "a b=c d"]);
        assert_eq!(quoted("My Photos/"), "My\\ Photos/");
    }
}
