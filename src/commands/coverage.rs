//! The people that must be in the album: `--people` and `--each-person`.

use std::collections::BTreeSet;

use super::people::PeopleNeed;
use crate::arguments::at_least_one;
use crate::context::Context;
use crate::error::CommandError;
use crate::journal::{PeopleError, people};
use crate::photo_report::PhotoReport;
use judge::select::{Photo, Quota, Rules, Verdict};

#[derive(Debug, Default, clap::Args)]
pub struct CoverageArgs {
    /// People that must be in the album: names or numbers (p3), separated by commas
    ///
    /// On at least one photo each, or on as many as --each-person. If photos or places do not suffice, a line says so.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub people: Vec<String>,

    /// Minimum number of photos of everyone, or of the people in --people; needs `albumctl models pull people`
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub each_person: Option<usize>,
}

impl CoverageArgs {
    /// Whether it needs face recognition.
    pub fn people_need(&self) -> PeopleNeed {
        if self.people.is_empty() && self.each_person.is_none() { PeopleNeed::None } else { PeopleNeed::Required }
    }

    /// The options as text, for the key of a run.
    pub fn flags(&self) -> Vec<String> {
        let people = (!self.people.is_empty()).then(|| format!("--people={}", self.people.join(",")));
        people.into_iter().chain(self.each_person.map(|least| format!("--each-person={least}"))).collect()
    }

    /// The quotas, with people named as in photos.
    pub fn quotas(&self, reports: &[PhotoReport], context: &Context) -> Result<Vec<Quota>, CommandError> {
        let there: BTreeSet<String> = reports.iter().flat_map(PhotoReport::who).collect();
        let persons = if self.people.is_empty() {
            self.each_person.map_or_else(BTreeSet::new, |_| there)
        } else {
            self.people.iter().map(|who| called(who.trim(), &there, context)).collect::<Result<_, _>>()?
        };
        let least = self.each_person.unwrap_or(1);
        Ok(persons.into_iter().map(|person| Quota { person, least }).collect())
    }
}

/// The name of a person as used in photos, by name or number.
fn called(who: &str, there: &BTreeSet<String>, context: &Context) -> Result<String, CommandError> {
    // A file of `analyze` contains its people.
    let same = |word: &&String| word.to_lowercase() == who.to_lowercase();
    if let Some(word) = there.iter().find(same) {
        return Ok(word.clone());
    }
    let Some(known) = context.people_to_read()? else { return Err(PeopleError::Unknown(who.to_owned()).into()) };
    let person = known.find(who)?;
    Ok(person.name.unwrap_or_else(|| people::word(person.id)))
}

/// Reports the people for whom photos did not suffice.
pub fn note_lacking(photos: &[Photo], verdicts: &[Verdict], rules: &Rules, context: &Context) {
    for Quota { person, least } in &rules.coverage {
        let shows = |photo: &Photo| photo.people.contains(person);
        let picked = verdicts.iter().filter(|verdict| verdict.selected() && shows(&photos[verdict.photo])).count();
        if picked < *least {
            let there = photos.iter().filter(|photo| shows(photo)).count();
            let of = super::photos::counted(there, "photo");
            context.ui.note(&format!("{person} is on {picked} of the picks, {least} asked for: {of} to choose from"));
        }
    }
}
