//! What a photo has to do with what a person asked for.

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Relevance {
    /// From 0 to 1.
    pub score: f64,
    /// What speaks for it, as clauses of a sentence: `shows “dog” (golden retriever 0.83)`. Empty if nothing does.
    pub shows: String,
}
