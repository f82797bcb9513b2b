//! How failures of photos are told: each by itself, and many of the same kind in one line.

use std::collections::HashMap;

use crate::context::Context;
use crate::failure::Failure;
use crate::report::photo_path::shown;

/// So many of a kind are told one by one.
const FEW: usize = 3;

/// Failures of a run that is under way, told when it is over; with `-v`, or where the first one ends it, at once.
#[derive(Debug, Default)]
pub struct Failures {
    kinds: Vec<Kind>,
    /// By what is said of them.
    index: HashMap<String, usize>,
}

#[derive(Debug)]
struct Kind {
    first: Vec<Failure>,
    count: usize,
}

impl Failures {
    pub fn tell(&mut self, failure: &Failure, context: &Context) {
        if context.ui.is_verbose() || context.strict {
            return context.ui.warn(&failure.to_string());
        }
        let kinds = &mut self.kinds;
        let kind = *self.index.entry(failure.said()).or_insert_with(|| {
            kinds.push(Kind { first: Vec::new(), count: 0 });
            kinds.len() - 1
        });
        let kind = &mut kinds[kind];
        kind.count += 1;
        if kind.first.len() < FEW {
            kind.first.push(failure.clone());
        }
    }

    pub fn finish(self, context: &Context) {
        for Kind { first, count } in self.kinds {
            if count == first.len() {
                first.iter().for_each(|failure| context.ui.warn(&failure.to_string()));
            } else {
                let (path, said) = (shown(&first[0].path), first[0].said());
                context.ui.warn(&format!("{count} files, the first {path}: {said} (-v lists them)"));
            }
        }
    }
}
