//! The sentence that tells the user why a photo was picked or not.

mod faces;
mod wording;

use std::collections::BTreeMap;

use self::wording::{file_name, list, ordinal, short};
use super::filter::FailedFilter;
use super::{Decision, LikelyKind, Photo, Rules, SequencePart, Tiebreak};
use crate::sequences::SequenceKind;

/// The longest pause, in milliseconds, between successive takes of one burst.
const BURST_GAP_MS: i64 = 10_000;

/// Photos that are picked for people, each with whom it was picked for.
pub(super) type Covering = BTreeMap<usize, Vec<String>>;

/// The rule that decided about a photo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    /// Kept by a person; `beyond` is the number of photos asked for, if this one exceeds it.
    Kept {
        beyond: Option<usize>,
    },
    Rejected,
    /// An additional file of the same picture.
    Same {
        other: usize,
    },
    /// A frame of a sequence that another frame stands for.
    Frame {
        other: usize,
    },
    /// `last`: the kind of a picture that photographs go before.
    Picked {
        last: Option<LikelyKind>,
    },
    Filtered(FailedFilter),
    NoGroup,
    TooAlike {
        other: usize,
        distance: f64,
    },
    DayIsFull,
    PassedOver {
        last: Option<LikelyKind>,
    },
}

/// The group of a photo, with scores and picks, from which reasons are built.
pub(super) struct GroupContext<'a> {
    pub photos: &'a [Photo],
    pub composite: &'a [Option<f64>],
    pub tiebreaks: &'a [Option<Tiebreak>],
    /// The first face of each photo whose eyes are half closed compared with others of the group.
    pub half_closed: &'a [Option<usize>],
    /// All photos of the group.
    pub members: &'a [usize],
    /// The eligible photos, in the order in which the group contributes them.
    pub order: &'a [usize],
    pub is_picked: &'a [bool],
    /// Whether a comparison model was available.
    pub has_model: bool,
    /// Whether a person kept any photo of the input.
    pub any_kept: bool,
    /// See [`Rules::face_sharpness_margin`].
    pub face_sharpness_margin: f64,
    /// The photos that were picked for people.
    pub covering: &'a Covering,
    /// Names the group: "of 4 takes" for a burst, else "of 4 photos of its scene".
    pub all: String,
    /// The first two of the group, if the tie-break hardly distinguishes them.
    pub close_call: Option<[usize; 2]>,
}

pub(super) fn sentence(photo: usize, outcome: Outcome, group: &GroupContext, rules: &Rules) -> String {
    let clauses = match outcome {
        Outcome::Kept { beyond: None } => vec!["You kept it".to_owned()],
        Outcome::Kept { beyond: Some(1) } => vec!["You kept it, though only one was asked for".to_owned()],
        Outcome::Kept { beyond: Some(top) } => vec![format!("You kept it, though only {top} were asked for")],
        Outcome::Rejected => vec!["You rejected it".to_owned()],
        Outcome::Same { other } => {
            vec![format!("The same picture as {}, byte for byte", group.name_beside(other, photo))]
        }
        Outcome::Frame { other } => vec![group.frame(photo, other, rules)],
        Outcome::NoGroup => vec!["It belongs to no group, and photos without one are left out".to_owned()],
        Outcome::Filtered(failed) => vec![failed_filter(failed, &group.photos[photo])],
        Outcome::TooAlike { other, distance } => vec![format!(
            "Too similar to {}, which was picked: their distance is {distance:.2}, and at least {:.2} is required",
            group.name(other),
            rules.diversity
        )],
        Outcome::DayIsFull => vec![group.day_is_full(photo, rules)],
        Outcome::Picked { last } => {
            let behind = last.map(|kind| format!("a {}, ranked behind all photographs", kind.what.word()));
            let for_people = group.covering.get(&photo).map(|people| shows(people));
            let stands_for =
                group.photos[photo].sequence.as_ref().map(|part| format!("it stands for {}", name_of(part)));
            let about = group.photos[photo].relevance.as_ref().map(|found| found.shows.clone());
            let about = about.filter(|shows| !shows.is_empty());
            group.picked(photo).into_iter().chain(about).chain(for_people).chain(stands_for).chain(behind).collect()
        }
        Outcome::PassedOver { last: Some(kind) } => {
            vec![format!("{}, picked only when photographs leave places", sure(kind))]
        }
        Outcome::PassedOver { last: None } => group.passed_over(photo, rules),
    };
    format!("{}.", clauses.join("; "))
}

/// "shows Anna, who was asked for".
fn shows(people: &[String]) -> String {
    let were = if people.len() == 1 { "was" } else { "were" };
    format!("shows {}, who {were} asked for", list(people))
}

/// "A receipt (0.98 sure)".
fn sure(kind: LikelyKind) -> String {
    format!("A {} ({:.2} sure)", kind.what.word(), kind.score)
}

fn failed_filter(failed: FailedFilter, photo: &Photo) -> String {
    match failed {
        FailedFilter::Iqa { value, least } => {
            format!("Technical quality {} is below the required {least:.2}", short(value, least))
        }
        FailedFilter::Aesthetic { value, least } => {
            format!("Aesthetic score {} is below the required {least:.2}", short(value, least))
        }
        FailedFilter::Sharpness { value, least } => {
            format!("Sharpness {} is below the required {least:.2}", short(value, least))
        }
        FailedFilter::Relevance { value, least } => {
            let found = photo.relevance.as_ref().filter(|found| !found.shows.is_empty());
            let shows = found.map_or_else(String::new, |found| format!("; it {}", found.shows));
            format!("Its relevance {} is below the required {least:.2}{shows}", short(value, least))
        }
        FailedFilter::Unwanted => {
            let shows = photo.unwanted.as_ref().map_or("", |found| &found.shows);
            format!("It {shows}, which is to be left out")
        }
        FailedFilter::Orientation { found, wanted } => {
            format!("Its orientation is {}, and {} is required", found.name(), wanted.name())
        }
        FailedFilter::Junk(kind) => format!("{}, and such pictures are left out", sure(kind)),
        FailedFilter::EyesClosed => "A portrait with closed eyes, but open eyes are required".to_owned(),
    }
}

/// Names the sequence of a frame.
fn name_of(part: &SequencePart) -> String {
    let kind = match part.kind {
        SequenceKind::Bracket => "an exposure bracket",
        SequenceKind::Stack => "a focus stack",
        SequenceKind::Sweep => "a panorama sweep",
    };
    format!("{kind} of {}", part.frames)
}

impl GroupContext<'_> {
    fn name(&self, photo: usize) -> String {
        file_name(&self.photos[photo].path)
    }

    /// The file name, or the whole path if the other photo has the same file name.
    fn name_beside(&self, photo: usize, other: usize) -> String {
        let path = &self.photos[photo].path;
        if self.name(photo) == self.name(other) { path.to_string_lossy().into_owned() } else { file_name(path) }
    }

    fn frame(&self, photo: usize, other: usize, rules: &Rules) -> String {
        let sequence = self.photos[photo].sequence.as_ref().map_or_else(String::new, name_of);
        let name = self.name_beside(other, photo);
        match self.photos[other].decision {
            Some(Decision::Keep) => format!("One frame of {sequence}, of which you kept {name}"),
            _ if rules.best_of_sequences => format!("One frame of {sequence}, of which {name} is the best"),
            _ => format!("One frame of {sequence}, for which {name} stands"),
        }
    }

    fn picked(&self, photo: usize) -> Vec<String> {
        if self.members.len() < 2 {
            let mut clauses = vec!["The only photo of its scene".to_owned()];
            let faces = self.faces(photo);
            clauses.extend(self.strengths(photo, 2 - usize::from(faces.is_some())));
            clauses.extend(faces);
            return clauses;
        }
        if self.order.first() != Some(&photo) {
            return self.further_pick(photo);
        }
        let all = &self.all;
        let mut clauses = vec![match self.distinction(photo) {
            Some(what) => format!("{what} {all}"),
            None if self.order.len() == 1 => format!("The only one {all} that may be picked"),
            None => format!("{} {all}", self.first_place(photo)),
        }];
        clauses.extend(self.faces(photo));
        clauses.extend(self.blink_elsewhere(photo));
        clauses.extend(self.sharper_than_another(photo));
        clauses.extend(self.victory(photo));
        clauses
    }

    /// Explains a pick that is not the first of its group.
    fn further_pick(&self, photo: usize) -> Vec<String> {
        let place = self.order.iter().position(|&other| other == photo).map_or(1, |at| at + 1);
        let before: Vec<String> =
            self.order.iter().take(place - 1).filter(|&&other| self.is_picked[other]).map(|&o| self.name(o)).collect();
        let mut clauses = vec![format!("{} {}", ordinal(place), self.all)];
        if !before.is_empty() {
            clauses.push(format!("different enough to stand beside {}", list(&before)));
        }
        clauses.extend(self.faces(photo));
        clauses
    }

    /// With what all its photos have in common, found once for all of them.
    pub fn with_shared_facts(mut self) -> Self {
        let times: Option<Vec<i64>> = self.members.iter().map(|&photo| self.photos[photo].taken_ms).collect();
        let is_burst = times.is_some_and(|mut times| {
            times.sort_unstable();
            times.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) <= BURST_GAP_MS)
        });
        self.all = format!("of {} {}", self.members.len(), if is_burst { "takes" } else { "photos of its scene" });
        self.close_call = self.first_two_alike();
        self
    }

    /// Calls the first of a group the best only if no other has the same score.
    fn first_place(&self, photo: usize) -> &'static str {
        let others = self.members.iter().filter(|&&other| other != photo);
        let leads = others.clone().all(|&other| self.composite[other] < self.composite[photo]);
        if leads { "Best overall" } else { "First" }
    }

    /// The strongest scores of a photo that is alone in its group.
    fn strengths(&self, photo: usize, count: usize) -> Option<String> {
        let Photo { sharpness, iqa, aesthetic, .. } = &self.photos[photo];
        let share = |name: &str, value: Option<f64>| value.map(|value| (value, format!("{name} {value:.2}")));
        let pleasing = aesthetic.ok().map(|score| ((score - 1.0) / 9.0, format!("aesthetic score {score:.1} of 10")));
        let facts = [share("sharpness", *sharpness), share("technical quality", iqa.ok()), pleasing];
        let mut facts: Vec<(f64, String)> =
            facts.into_iter().flatten().filter(|(value, _)| value.is_finite()).collect();
        facts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let strongest: Vec<String> = facts.into_iter().take(count).map(|(_, fact)| fact).collect();
        (!strongest.is_empty()).then(|| list(&strongest))
    }

    /// Tells by how much the loser scored higher than the winner, if it did.
    fn overruled(&self, winner: usize, loser: usize) -> Option<String> {
        let lead = self.composite[loser]? - self.composite[winner]?;
        match lead {
            lead if lead >= 0.005 => Some(format!("scored {lead:.2} higher")),
            lead if lead > 0.0 => Some("scored slightly higher".to_owned()),
            _ => None,
        }
    }

    /// The first score in which the photo exceeds all others of its group.
    fn distinction(&self, photo: usize) -> Option<&'static str> {
        let leads = |value: &dyn Fn(usize) -> Option<f64>| {
            let others: Vec<f64> =
                self.members.iter().filter(|&&other| other != photo).filter_map(|&other| value(other)).collect();
            value(photo).is_some_and(|own| !others.is_empty() && others.iter().all(|other| own > *other))
        };
        if leads(&|photo| self.photos[photo].sharpness) {
            Some("Sharpest")
        } else if leads(&|photo| self.photos[photo].aesthetic.ok()) {
            Some("Most pleasing")
        } else if leads(&|photo| self.photos[photo].iqa.ok()) {
            Some("Technically best")
        } else {
            None
        }
    }

    fn first_two_alike(&self) -> Option<[usize; 2]> {
        let &[first, second, ..] = self.order else { return None };
        let tiebreak = self.tiebreaks[first].as_ref()?;
        tiebreak.is_close_to(second).then_some([first, second])
    }

    pub fn is_close_call(&self, photo: usize) -> bool {
        self.close_call.is_some_and(|both| both.contains(&photo))
    }

    /// Tells which photos the first of a group beat, and how.
    fn victory(&self, photo: usize) -> Option<String> {
        if let Some(tiebreak) = &self.tiebreaks[photo] {
            let beaten: Vec<String> =
                tiebreak.met.iter().filter(|met| met.won == Some(true)).map(|met| self.name(met.photo)).collect();
            let won = if beaten.is_empty() {
                let met: Vec<String> = tiebreak.met.iter().map(|met| self.name(met.photo)).collect();
                format!("a coin flip against {} in the tie-break", list(&met))
            } else {
                format!("beat {} in the tie-break ({} of {} won)", list(&beaten), tiebreak.wins, tiebreak.meetings)
            };
            let best = self.order.iter().copied().max_by(|&a, &b| {
                let score = |photo: usize| self.composite[photo].unwrap_or(f64::NEG_INFINITY);
                score(a).total_cmp(&score(b))
            });
            let overruled = best.and_then(|best| Some(format!("{} {}", self.name(best), self.overruled(photo, best)?)));
            let won = overruled.map_or(won.clone(), |overruled| format!("{won}, though {overruled}"));
            let runner_up =
                self.close_call.map(|[_, second]| format!("; too close to call beside {}", self.name(second)));
            return Some(won + &runner_up.unwrap_or_default());
        }
        let &second = self.order.get(1)?;
        let lead = self.composite[photo]? - self.composite[second]?;
        let overruled = self.overruled(photo, second);
        Some(if let Some(scored) = overruled {
            format!("preferred to {}, though that {scored}", self.name(second))
        } else if lead >= 0.005 {
            format!("{lead:.2} ahead of {}", self.name(second))
        } else if self.has_model || self.eyes_open(second) == Some(false) {
            format!("just ahead of {}", self.name(second))
        } else {
            format!("just ahead of {}, with no comparison model to settle it", self.name(second))
        })
    }

    fn passed_over(&self, photo: usize, rules: &Rules) -> Vec<String> {
        let place = self.order.iter().position(|&other| other == photo).map_or(1, |at| at + 1);
        let ahead = self.order.iter().copied().take(place - 1).find(|&other| self.is_picked[other]);
        match ahead {
            Some(winner) => self.beaten_by(winner, photo, place),
            None => vec![self.for_people(photo, place).unwrap_or_else(|| self.no_room(photo, place, rules))],
        }
    }

    fn beaten_by(&self, winner: usize, photo: usize, place: usize) -> Vec<String> {
        let name = self.name(winner);
        if self.photos[winner].decision == Some(Decision::Keep) {
            return vec![format!("You kept {name} of this scene")];
        }
        let mut clauses = vec![format!("{} {}", ordinal(place), self.all)];
        let meeting =
            self.tiebreaks[photo].as_ref().and_then(|tiebreak| tiebreak.met.iter().find(|met| met.photo == winner));
        let difference = self.composite[winner].zip(self.composite[photo]).map(|(winner, own)| winner - own);
        let overruled = self.overruled(winner, photo);
        let though = overruled.as_ref().map_or_else(String::new, |scored| format!(", though it {scored}"));
        clauses.push(match (meeting.map(|met| met.won), difference) {
            (Some(Some(false)), _) => format!("lost to {name} in the tie-break{though}"),
            (Some(_), _) => format!("{name} won more comparisons in the tie-break{though}"),
            (None, Some(difference)) if difference >= 0.005 => format!("{difference:.2} behind {name}"),
            (None, Some(_)) if overruled.is_none() => format!("just behind {name}"),
            (None, _) => format!("{name} was preferred{though}"),
        });
        clauses.extend(self.shortcoming(winner, photo));
        clauses
    }

    /// The most obvious weakness of the photo compared with the winner.
    fn shortcoming(&self, winner: usize, photo: usize) -> Option<String> {
        let smiles = |photo: usize| self.portrait(photo).and_then(|portrait| portrait.is_smiling);
        let gap = |value: fn(&Photo) -> Option<f64>, least: f64| {
            let (theirs, own) = (value(&self.photos[winner])?, value(&self.photos[photo])?);
            (theirs - own >= least).then_some(())
        };
        if self.eyes_open(photo) == Some(false) && self.eyes_open(winner) == Some(true) {
            let of_group = self.portrait(photo).filter(|portrait| portrait.people > 1).and_then(|_| self.blink(photo));
            let closed = self.portrait(photo).is_some_and(|portrait| portrait.eyes_open == Some(false));
            let alone = if closed { "eyes closed" } else { "eyes half closed" };
            Some(of_group.unwrap_or_else(|| alone.into()))
        } else if let Some(face) = self.sharper_face(winner, photo) {
            Some(format!("{face} is sharper in {}", self.name(winner)))
        } else if gap(|photo| photo.sharpness, 0.05).is_some() {
            Some("less sharp".into())
        } else if smiles(photo) == Some(false) && smiles(winner) == Some(true) {
            Some("no smile".into())
        } else if gap(|photo| photo.aesthetic.ok(), 0.25).is_some() {
            Some("less pleasing".into())
        } else if gap(|photo| photo.iqa.ok(), 0.05).is_some() {
            Some("technically weaker".into())
        } else {
            None
        }
    }

    /// Where it stands in its group.
    fn place(&self, photo: usize, place: usize) -> String {
        match (self.members.len(), place) {
            (0 | 1, _) => "The only photo of its scene".to_owned(),
            (_, 1) => format!("{} {}", self.first_place(photo), self.all),
            (_, place) => format!("{} {}", ordinal(place), self.all),
        }
    }

    fn day_is_full(&self, photo: usize, rules: &Rules) -> String {
        let day = self.photos[photo].day.as_deref().unwrap_or("its day");
        match rules.per_day {
            Some(most) if most > 1 => {
                format!("{most} others of {day} were picked, and at most {most} of a day are wanted")
            }
            _ => format!("Another of {day} was picked, and at most one of a day is wanted"),
        }
    }

    /// Explains a photo whose group gave another for the people on it.
    fn for_people(&self, photo: usize, place: usize) -> Option<String> {
        let (other, people) = self
            .members
            .iter()
            .find_map(|other| Some((*other, self.covering.get(other).filter(|_| *other != photo)?)))?;
        Some(format!("{}, but {} {}", self.place(photo, place), self.name(other), shows(people)))
    }

    /// Explains a photo passed over although no better photo of its group was picked: the album was full.
    fn no_room(&self, photo: usize, place: usize, rules: &Rules) -> String {
        let what = self.place(photo, place);
        match rules.top {
            Some(0) => format!("{what}, but no photo was asked for"),
            Some(1) if self.any_kept => format!("{what}, but only one photo was asked for and you kept another"),
            Some(1) => format!("{what}, but another photo scored higher and only one was asked for"),
            Some(top) if self.any_kept => {
                format!("{what}, but {top} photos were asked for and others were kept by you or scored higher")
            }
            Some(top) => format!("{what}, but {top} photos were asked for and others scored higher"),
            None => format!("{what}, but no photos per group were asked for"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_just_below_its_threshold_is_shown_with_more_decimals() {
        let photo = super::super::tests::photo("a.jpg", 0, 0.5);
        let reason = failed_filter(FailedFilter::Sharpness { value: 0.1996, least: 0.2 }, &photo);
        assert_eq!(reason, "Sharpness 0.1996 is below the required 0.20");
    }
}
