//! JSON Schemas of the records, from the types that are written.

use serde_json::{Value, json};

use super::records::{
    DeviceRecord, ModelPathRecord, ModelRecord, PulledRecord, RemovedRecord, ScoreRecord, SettingRecord, VerifiedRecord,
};

/// Every command with records, by the words that call it.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("config show", schema_of::<SettingRecord>()),
        ("device", schema_of::<DeviceRecord>()),
        ("models add", schema_of::<ModelRecord>()),
        ("models gc", schema_of::<RemovedRecord>()),
        ("models import", schema_of::<PulledRecord>()),
        ("models info", schema_of::<ModelRecord>()),
        ("models list", schema_of::<ModelRecord>()),
        ("models path", schema_of::<ModelPathRecord>()),
        ("models pull", schema_of::<PulledRecord>()),
        ("models rm", schema_of::<RemovedRecord>()),
        ("models verify", schema_of::<VerifiedRecord>()),
        ("score", schema_of::<ScoreRecord>()),
    ]
}

fn schema_of<R: schemars::JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<R>().to_value();
    // A key never vanishes: what may be absent is null, and every property is there.
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        schema["required"] = json!(properties.keys().collect::<Vec<_>>());
    }
    schema
}
