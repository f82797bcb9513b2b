//! JSON Schemas of the records, generated from their types.

use serde_json::{Value, json};

use super::records::{
    AestheticsRecord, AnalyzeRecord, ClassifyRecord, ClusterRecord, DecidedRecord, DecisionRecord, DetectRecord,
    DeviceRecord, DuplicateRecord, EmbedRecord, EvalRecord, KmeansModelRecord, KnownPersonRecord, LoggedRecord,
    ModelPathRecord, ModelRecord, NearestRecord, OcrRecord, PairRecord, PeopleRecord, PortraitRecord, PulledRecord,
    RankRecord, RemovedRecord, ScoreRecord, SearchRecord, SelectRecord, SettingRecord, TasteLessonRecord, TasteRecord,
    TrainRecord, VerifiedRecord,
};

/// The version of the fields of all records: the second number grows with every new field, the first when a field goes or
/// means something else.
pub const VERSION: &str = "1.3";

/// The schema of every command that writes records, by the command's name.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("aesthetics", schema_of::<AestheticsRecord>()),
        ("compare", json!({ "anyOf": [schema_of::<PairRecord>(), schema_of::<RankRecord>()] })),
        ("analyze", schema_of::<AnalyzeRecord>()),
        ("classify", schema_of::<ClassifyRecord>()),
        ("cluster", schema_of::<ClusterRecord>()),
        ("config show", schema_of::<SettingRecord>()),
        ("decide clear", schema_of::<DecisionRecord>()),
        ("decide keep", schema_of::<DecisionRecord>()),
        ("decide list", schema_of::<DecidedRecord>()),
        ("decide log", schema_of::<LoggedRecord>()),
        ("decide reject", schema_of::<DecisionRecord>()),
        // With `--from`.
        ("decide", schema_of::<DecisionRecord>()),
        ("dedup", schema_of::<DuplicateRecord>()),
        ("detect", schema_of::<DetectRecord>()),
        ("device", schema_of::<DeviceRecord>()),
        ("embed", schema_of::<EmbedRecord>()),
        ("eval", schema_of::<EvalRecord>()),
        ("models add", schema_of::<ModelRecord>()),
        ("models gc", schema_of::<RemovedRecord>()),
        ("models import", schema_of::<PulledRecord>()),
        ("models info", schema_of::<ModelRecord>()),
        ("models list", schema_of::<ModelRecord>()),
        ("models path", schema_of::<ModelPathRecord>()),
        ("models pull", schema_of::<PulledRecord>()),
        ("models rm", schema_of::<RemovedRecord>()),
        ("models verify", schema_of::<VerifiedRecord>()),
        ("ocr", schema_of::<OcrRecord>()),
        ("portrait", schema_of::<PortraitRecord>()),
        ("people forget", schema_of::<KnownPersonRecord>()),
        ("people list", schema_of::<KnownPersonRecord>()),
        ("people merge", schema_of::<KnownPersonRecord>()),
        ("people name", schema_of::<KnownPersonRecord>()),
        ("people split", schema_of::<KnownPersonRecord>()),
        // Of photos.
        ("people", schema_of::<PeopleRecord>()),
        ("kmeans assign", schema_of::<NearestRecord>()),
        ("kmeans fit", schema_of::<KmeansModelRecord>()),
        ("kmeans info", schema_of::<KmeansModelRecord>()),
        ("review", schema_of::<SelectRecord>()),
        ("score", schema_of::<ScoreRecord>()),
        ("search", schema_of::<SearchRecord>()),
        ("select", schema_of::<SelectRecord>()),
        ("taste export", schema_of::<TasteLessonRecord>()),
        ("taste show", schema_of::<TasteRecord>()),
        ("train", schema_of::<TrainRecord>()),
    ]
}

fn schema_of<R: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<R>().to_value();
    // Every key is always present: an absent value is null.
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        schema["required"] = json!(properties.keys().collect::<Vec<_>>());
    }
    schema
}
