//! The characters of a network, and the codes that its outputs stand for.

use std::collections::HashMap;

use super::file::Bytes;
use crate::graph::GraphError;
use crate::languages::{Language, likeliest, may_stand};

/// Scripts with many characters write each in several codes.
const MOST_CODES: usize = 16;
const MOST_CHARACTERS: usize = 1 << 20;
/// What a space is called in the list.
const SPACE: &str = "NULL";

#[derive(Debug)]
pub(super) struct Characters {
    by_codes: HashMap<Vec<usize>, String>,
    longest: usize,
    outputs: usize,
    /// The output for no character.
    none: usize,
}

impl Characters {
    /// `list` has a character a line; `codes` has the codes of each, the number of outputs, and the code of none.
    pub fn read(list: &[u8], (codes, outputs, none): (&[u8], usize, i32)) -> Result<Self, GraphError> {
        let wrong = |problem: String| GraphError::Tensor { name: "characters".into(), problem };
        let none = usize::try_from(none).ok().filter(|none| *none < outputs);
        let none = none.ok_or_else(|| wrong("no output stands for none".into()))?;
        let list = std::str::from_utf8(list).map_err(|_| wrong("they are no UTF-8 text".into()))?;
        let mut bytes = Bytes::new(codes);
        let count = bytes.count("the list of characters", MOST_CHARACTERS)?;
        let (mut by_codes, mut longest) = (HashMap::new(), 0);
        // The first line is their number.
        for line in list.lines().skip(1).take(count) {
            bytes.skip(1)?;
            let length = bytes.count("the codes of a character", MOST_CODES)?;
            let codes: Vec<i32> = (0..length).map(|_| bytes.i32()).collect::<Result<_, _>>()?;
            let codes: Option<Vec<usize>> =
                codes.iter().map(|code| usize::try_from(*code).ok().filter(|code| *code < outputs)).collect();
            let codes = codes.ok_or_else(|| wrong("a code is none of the outputs".into()))?;
            let name = line.split(' ').next().unwrap_or_default();
            // Marks of Tesseract's own have the code of none.
            if !codes.is_empty() && codes != [none] {
                longest = longest.max(length);
                let character = if name == SPACE { " " } else { name };
                by_codes.entry(codes).or_insert_with(|| character.to_owned());
            }
        }
        Ok(Self { by_codes, longest, outputs, none })
    }

    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.by_codes.values().map(String::as_str)
    }

    /// Which outputs may be in a text of these languages.
    pub fn outputs(&self, languages: &[&Language]) -> Vec<bool> {
        let mut outputs = vec![false; self.outputs];
        outputs[self.none] = true;
        let possible = self.by_codes.iter().filter(|(_, character)| may_stand(character, languages));
        possible.flat_map(|(codes, _)| codes).for_each(|&code| outputs[code] = true);
        outputs
    }

    /// Takes the likeliest output at every step; repetitions without a gap are one. `may_be` tells which outputs count.
    pub fn spelled(&self, told: &[f32], may_be: Option<&[bool]>) -> (String, f32) {
        let (mut codes, mut sure, mut before) = (Vec::new(), 0.0, self.none);
        for step in told.chunks_exact(self.outputs) {
            let (best, likely) = likeliest(step, may_be);
            if best != before && best != self.none {
                codes.push(best);
                sure += likely;
            }
            before = best;
        }
        let confidence = if codes.is_empty() { 0.0 } else { sure / codes.len() as f32 };
        (self.text(&codes), confidence)
    }

    /// The longest codes that stand for a character, one after the other; what stands for none is passed over.
    fn text(&self, codes: &[usize]) -> String {
        let (mut text, mut at) = (String::new(), 0);
        while at < codes.len() {
            let most = self.longest.min(codes.len() - at);
            let known = (1..=most).rev().find_map(|n| Some((n, self.by_codes.get(&codes[at..at + n])?)));
            text.extend(known.map(|(_, character)| character.as_str()));
            at += known.map_or(1, |(length, _)| length);
        }
        text
    }
}
