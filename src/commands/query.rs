//! What photos are about: `--about` and `--not`, and the words of `search`.

use super::open_models::Networks;
use super::people::PeopleNeed;
use crate::analyses::{ClassificationAnalysis, DescriptionAnalysis};
use crate::context::Context;
use crate::error::CommandError;
use crate::journal::people;
use crate::library::ModelHubError;
use crate::library::relevance::{describe, evidence, vocabulary};
use crate::photo_report::PhotoReport;
use hub::ModelChoice;
use judge::query::{Evidence, Query, QueryError, Vocabulary};
use judge::select::{Photo, Relevance};

#[derive(Debug, Default, clap::Args)]
pub struct QueryArgs {
    /// Only photos about these words: 'dog on the beach', '"golden gate"', 'receipt, invoice'
    ///
    /// All words must apply; a comma separates alternatives. They are looked for in what photos show (`albumctl models pull
    /// classes`), in their kinds, in text on them (`models pull text`), in the names of people, files and folders. What
    /// suffices is album.selection.min_relevance, and relevance counts in the score.
    #[arg(long, value_name = "WORDS")]
    pub about: Option<String>,

    /// Leave out photos about these words; may be repeated
    #[arg(long, value_name = "WORDS")]
    pub not: Vec<String>,
}

/// What a photo has to do with a query.
#[derive(Debug, Clone, Default)]
pub struct QueryMatch {
    /// `None` where nothing is asked for.
    pub relevance: Option<Relevance>,
    /// What it has to do with what is to be left out, where that suffices to leave it out.
    pub unwanted: Option<Relevance>,
}

impl QueryArgs {
    pub fn is_given(&self) -> bool {
        self.about.is_some() || !self.not.is_empty()
    }

    /// The options as text, for the key of a run.
    pub fn flags(&self) -> Vec<String> {
        let about = self.about.iter().map(|about| format!("--about={about}"));
        about.chain(self.not.iter().map(|not| format!("--not={not}"))).collect()
    }

    /// Refuses queries that ask for nothing.
    pub fn check(&self) -> Result<(), CommandError> {
        let vocabulary = vocabulary().map_err(ModelHubError::from)?;
        self.about.iter().chain(&self.not).try_for_each(|text| Query::parse(text, &vocabulary).map(drop))?;
        Ok(())
    }

    /// Whether people are to be recognised: where a word may be the name of somebody who is known.
    pub fn people(&self, context: &Context) -> Result<PeopleNeed, CommandError> {
        let vocabulary = vocabulary().map_err(ModelHubError::from)?;
        let known = if self.is_given() { context.people_to_read()? } else { None };
        let persons = known.map_or(Ok(Vec::new()), |people| people.persons())?;
        for text in self.about.iter().chain(&self.not) {
            let query = Query::parse(text, &vocabulary)?;
            if persons
                .iter()
                .any(|person| query.may_name(&person.name.clone().unwrap_or_else(|| people::word(person.id))))
            {
                return Ok(PeopleNeed::IfHere);
            }
        }
        Ok(PeopleNeed::None)
    }

    /// The classifier, if it is here. With `--pull` it is fetched.
    pub fn classification(
        &self,
        networks: &Networks<'_>,
        context: &Context,
    ) -> Result<Option<ClassificationAnalysis>, CommandError> {
        if context.pull && self.is_given() {
            let network = networks.open(ModelChoice::Name(hub::CLASSIFIER))?;
            return Ok(Some(ClassificationAnalysis::new(network)?));
        }
        Ok(networks.hub.classification_if_here()?)
    }

    /// The model that compares photos with whole texts: the named one, otherwise the configured one, if any.
    pub fn description(
        &self,
        named: Option<&str>,
        networks: &Networks<'_>,
        context: &Context,
    ) -> Result<Option<DescriptionAnalysis>, CommandError> {
        let configured = context.settings().album.selection.relevance_model.as_deref();
        let model = named.or(configured).filter(|_| self.is_given());
        model.map(|model| networks.get(|| networks.hub.description(model))).transpose()
    }

    /// What each photo has to do with the query, also by the model that compared them with texts. A line says which words
    /// nothing at hand knows.
    pub fn answers(
        &self,
        reports: &[PhotoReport],
        model: Option<&DescriptionAnalysis>,
        context: &Context,
    ) -> Result<Vec<QueryMatch>, CommandError> {
        let mut answers = vec![QueryMatch::default(); reports.len()];
        if !self.is_given() {
            return Ok(answers);
        }
        let (vocabulary, mut photos) = (vocabulary().map_err(ModelHubError::from)?, evidence(reports));
        match (model, &context.settings().album.selection.relevance_model) {
            (Some(DescriptionAnalysis { model }), _) => {
                let mut texts = Vec::new();
                for text in self.about.iter().chain(&self.not) {
                    texts.extend(Query::parse(text, &vocabulary)?.texts());
                }
                describe(&mut photos, reports, model, &texts)?;
            }
            (None, Some(model)) => {
                context.ui.note(&format!("photos of a file are not compared by {model}, by words alone"));
            }
            (None, None) => {}
        }
        if let Some(text) = &self.about {
            let query = known_part(text, &vocabulary, &photos, Query::without, "it is not looked for", context)?;
            for (answer, photo) in answers.iter_mut().zip(&photos) {
                answer.relevance = Some(query.relevance(photo));
            }
        }
        let least = context.settings().album.selection.min_relevance;
        for text in &self.not {
            let rest = Query::without_alternatives_of;
            let query = known_part(text, &vocabulary, &photos, rest, "nothing is left out for it", context)?;
            for (answer, photo) in answers.iter_mut().zip(&photos).filter(|(answer, _)| answer.unwanted.is_none()) {
                answer.unwanted =
                    Some(query.relevance(photo)).filter(|found| found.score > 0.0 && found.score >= least);
            }
        }
        Ok(answers)
    }

    /// Adds to the candidates what they have to do with the query.
    pub fn apply(
        &self,
        photos: &mut [Photo],
        reports: &[PhotoReport],
        model: Option<&DescriptionAnalysis>,
        context: &Context,
    ) -> Result<(), CommandError> {
        for (photo, answer) in photos.iter_mut().zip(self.answers(reports, model, context)?) {
            (photo.relevance, photo.unwanted) = (answer.relevance, answer.unwanted);
        }
        Ok(())
    }
}

/// The part of a query that something at hand can answer; a line tells the rest.
fn known_part<'v>(
    text: &str,
    vocabulary: &'v Vocabulary,
    photos: &[Evidence<'_>],
    without: fn(Query<'v>, &[String]) -> Query<'v>,
    so: &str,
    context: &Context,
) -> Result<Query<'v>, CommandError> {
    let query = Query::parse(text, vocabulary)?;
    let unknown = query.unknown(photos);
    if unknown.is_empty() || photos.is_empty() {
        return Ok(query);
    }
    let words: Vec<String> = unknown.iter().map(|word| format!("“{word}”")).collect();
    let mut line = format!("{}: known by no model that is here, and in no text or name; {so}", words.join(", "));
    let has_classes = photos.iter().any(|photo| !photo.labels.is_empty());
    if !has_classes && unknown.iter().any(|word| query.is_in_vocabulary(word)) {
        line.push_str("; `albumctl models pull classes` fixes that");
    } else {
        let model = hub::DESCRIBER;
        line.push_str(&format!(
            "; `albumctl models pull {model} --trust-first` brings a model of any words (album.selection.relevance_model)"
        ));
    }
    if context.strict {
        return Err(CommandError::failed(anyhow::anyhow!("{line}")));
    }
    context.ui.loss(&line);
    Ok(without(query, &unknown))
}

impl From<QueryError> for CommandError {
    fn from(error: QueryError) -> Self {
        Self::usage(error)
            .hint("words such as 'dog on the beach', phrases in \"quotation marks\", alternatives after a comma")
    }
}
