//! Reporting failed photos: a few one by one, many with the same reason in one line.

use std::collections::HashMap;

use crate::context::Context;
use crate::failure::Failure;
use crate::report::photo_path::shown;

/// The number of failures with the same reason that are listed one by one.
const MAX_LISTED: usize = 3;

/// The failures of a run, reported at its end; with `-v` or `--strict` they are reported at once.
#[derive(Debug, Default)]
pub struct Failures {
    groups: Vec<FailureGroup>,
    /// The index of the group of each reason.
    index: HashMap<String, usize>,
}

#[derive(Debug)]
struct FailureGroup {
    first: Vec<Failure>,
    count: usize,
}

impl Failures {
    pub fn add(&mut self, failure: &Failure, context: &Context) {
        if context.ui.is_verbose() || context.strict {
            return context.ui.warn(&failure.to_string());
        }
        let groups = &mut self.groups;
        let index = *self.index.entry(failure.reason()).or_insert_with(|| {
            groups.push(FailureGroup { first: Vec::new(), count: 0 });
            groups.len() - 1
        });
        let group = &mut groups[index];
        group.count += 1;
        if group.first.len() < MAX_LISTED {
            group.first.push(failure.clone());
        }
    }

    pub fn finish(self, context: &Context) {
        for FailureGroup { first, count } in self.groups {
            if count == first.len() {
                first.iter().for_each(|failure| context.ui.warn(&failure.to_string()));
            } else {
                let (path, reason) = (shown(&first[0].path), first[0].reason());
                context.ui.warn(&format!("{count} files, the first {path}: {reason} (-v lists them)"));
            }
        }
    }
}
