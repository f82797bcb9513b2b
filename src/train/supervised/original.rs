//! Reads the training files of the original system (`ava_training_config.yaml`, `siamese_training_config.yaml` and
//! similar ones) unchanged.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::recipe::{Augment, Backbone, LargeRecipe, OutputMode};
use crate::TrainError;

/// Keys without effect here: they are given on the command line, or control something that this program does
/// differently.
const WITHOUT_EFFECT: [&str; 16] = [
    "device",
    "output_dir",
    "grad_log_interval",
    "log_interval",
    "save_val_predictions",
    "batch_comparison_interval",
    "compare_with_reference",
    "log_batch_predictions",
    "log_predictions_every_n",
    "telemetry",
    "data.ava_txt",
    "data.image_dir",
    "data.image_root",
    "data.root_dir",
    "data.cached_parquet",
    "data.num_workers",
];
/// Keys whose usual values describe what this program does anyway; they are ignored without a note.
const SAME_HERE: [&str; 10] = [
    "model.pretrained",
    "model.padding_mean_color",
    "training.momentum",
    "transform.normalize_mean",
    "transform.normalize_std",
    "data.quick_experiment",
    "data.split_mode",
    "use_external_dataloader",
    "model_type",
    "data.test_ratio",
];

/// A recipe, and notes on what this program does differently from the file.
struct Original {
    recipe: LargeRecipe,
    notes: Vec<String>,
}

/// Reads a recipe of this program, or a training file of the original system; `note` is called with what is done
/// differently.
pub fn read_recipe(file: &Path, yaml: &str, note: &mut dyn FnMut(&str)) -> Result<LargeRecipe, TrainError> {
    let Some(original) = read(yaml) else { return LargeRecipe::parse(file, yaml) };
    let original = original.map_err(|why| TrainError::Recipe { file: file.to_owned(), why })?;
    original.notes.iter().for_each(|text| note(text));
    original.recipe.checked(file)
}

/// The keys of a file that have not been read yet.
struct Keys(Map<String, Value>);

impl Keys {
    fn take(&mut self, key: &str) -> Option<Value> {
        let (section, leaf) = key.split_once('.').map_or((None, key), |(section, leaf)| (Some(section), leaf));
        let map = match section {
            Some(section) => self.0.get_mut(section)?.as_object_mut()?,
            None => &mut self.0,
        };
        map.remove(leaf).filter(|value| !value.is_null())
    }

    fn get<T: for<'a> Deserialize<'a>>(&mut self, key: &str) -> Result<Option<T>, String> {
        let read = |value| serde_json::from_value(value).map_err(|error| format!("`{key}`: {error}"));
        self.take(key).map(read).transpose()
    }

    fn or<T: for<'a> Deserialize<'a>>(&mut self, key: &str, default: T) -> Result<T, String> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The names of all keys that are left.
    fn remaining(&self) -> Vec<String> {
        let mut remaining = Vec::new();
        for (section, value) in &self.0 {
            match value.as_object() {
                Some(inner) => remaining.extend(inner.keys().map(|key| format!("{section}.{key}"))),
                None => remaining.push(section.clone()),
            }
        }
        remaining
    }
}

/// `None` if the text is no training file of the original system.
fn read(yaml: &str) -> Option<Result<Original, String>> {
    let value: Value = serde_yaml::from_str(yaml).ok()?;
    let Value::Object(map) = value else { return None };
    let is_section = |key: &str| map.get(key).is_some_and(Value::is_object);
    (is_section("model") && is_section("training")).then(|| recipe(Keys(map)))
}

fn recipe(mut keys: Keys) -> Result<Original, String> {
    let mut notes = Vec::new();
    let backbone = keys.get::<String>("model.cnn_backbone")?.or(keys.get("model.backbone")?);
    let backbone = match backbone.as_deref() {
        None | Some("resnet50") => Backbone::Resnet50,
        Some(other) => {
            return Err(format!(
                "`model.backbone: {other}`: of the original system's networks only resnet50 can be trained here"
            ));
        }
    };
    match keys.get::<String>("model.activation")?.as_deref() {
        None | Some("relu") => {}
        Some(other) => return Err(format!("`model.activation: {other}`: heads are trained with relu only")),
    }
    match keys.get::<String>("training.optimizer")?.as_deref() {
        None | Some("adamw") => {}
        Some(other) => notes.push(format!("`training.optimizer: {other}`: AdamW is used here")),
    }
    let output_mode = keys.or("model.output_mode", OutputMode::Distribution)?;
    match (keys.get::<String>("training.loss_type")?.as_deref(), output_mode) {
        // For distributions the two losses differ by a constant.
        (None, _)
        | (Some("mse"), OutputMode::Regression)
        | (Some("kl_div" | "cross_entropy"), OutputMode::Distribution) => {}
        (Some(other), _) => {
            return Err(format!("`training.loss_type: {other}` does not fit the output mode, or is not known"));
        }
    }
    // For pairs, flags of the original system choose between resizing the short side to the crop and the standard
    // resize.
    let paper = keys.get::<bool>("model.use_paper_preprocessing")?;
    let kind = keys.get::<String>("transform_type")?;
    let resize_to_crop = paper == Some(true) || matches!(kind.as_deref(), Some("paper" | "external"));
    let crop = keys.or("transform.crop_size", 224)?;
    let resize = keys.or("transform.resize_size", if resize_to_crop { crop } else { 256 })?;
    let mut augment = Augment::NONE;
    if let Some(Value::Object(map)) = keys.take("transform.augmentation") {
        let mut inner = Keys(map);
        augment.random_crop = inner.or("random_crop", false)?;
        augment.flip = inner.or("horizontal_flip", 0.0)?;
        augment.brightness = inner.or("color_jitter.brightness", 0.0)?;
        augment.contrast = inner.or("color_jitter.contrast", 0.0)?;
        augment.saturation = inner.or("color_jitter.saturation", 0.0)?;
        if inner.get::<f32>("color_jitter.hue")?.is_some_and(|hue| hue != 0.0) {
            notes.push("`transform.augmentation.color_jitter.hue`: hues are not changed here".to_owned());
        }
        inner.0.remove("color_jitter");
        if let Some(odd) = inner.remaining().first() {
            return Err(format!("`transform.augmentation.{odd}` is not known"));
        }
    }
    let faster_head: bool = keys.or("training.differential_lr", true)?;
    let (train, val): (f64, f64) = (keys.or("data.train_ratio", 0.8)?, keys.or("data.val_ratio", 0.1)?);
    let recipe = LargeRecipe {
        name: keys.or("name", "original".to_owned())?,
        backbone,
        output_mode,
        mlp_hidden_dims: keys.or("model.mlp_hidden_dims", Vec::new())?,
        dropout: keys.or("model.dropout", 0.0)?,
        resize,
        crop,
        augment,
        learning_rate: keys.or("training.learning_rate", 1e-4)?,
        final_rate: None,
        head_factor: if faster_head { 10.0 } else { 1.0 },
        longest_gradient: None,
        weight_decay: keys.or("training.weight_decay", 0.0)?,
        batch: keys.or("training.batch_size", 8)?,
        epochs: keys.or("training.max_epochs", 30)?,
        patience: keys.or("training.early_stop_patience", 5)?,
        seed: keys.or("seed", 42)?,
        held_out: val,
        test: ((1.0 - train - val) * 1e6).round() / 1e6,
        min_agreement: keys.or("data.min_agreement", 0.0)?,
        min_reviewers: keys.get("data.min_reviewers")?,
        margin: 0.0,
    };
    let mut without_effect: Vec<&str> = Vec::new();
    for key in WITHOUT_EFFECT {
        if keys.take(key).is_some() {
            without_effect.push(key);
        }
    }
    SAME_HERE.iter().for_each(|key| drop(keys.take(key)));
    keys.0.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|inner| !inner.is_empty()));
    if let Some(odd) = keys.remaining().first() {
        return Err(format!("`{odd}` is not known"));
    }
    if !without_effect.is_empty() {
        notes.push(format!("these keys of the original system have no effect here: {}", without_effect.join(", ")));
    }
    Ok(Original { recipe, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AVA: &str = "data: {ava_txt: /w/AVA.txt, image_dir: /w/images, num_workers: 4, test_ratio: 0.1, train_ratio: 0.8, \
        val_ratio: 0.1}\ndevice: cuda\nmodel: {activation: relu, backbone: resnet50, dropout: 0.2, mlp_hidden_dims: [256], \
        output_mode: regression, pretrained: true}\nname: ava\nseed: 42\n\
        training: {batch_size: 64, differential_lr: true, early_stop_patience: 5, learning_rate: 0.0001, loss_type: mse, \
        max_epochs: 30, optimizer: adamw, weight_decay: 0.0001}\n\
        transform: {augmentation: {color_jitter: {brightness: 0.1, contrast: 0.1, hue: 0.05, saturation: 0.1}, \
        horizontal_flip: 0.5, random_crop: true}, crop_size: 224, normalize_mean: [0.485, 0.456, 0.406], resize_size: 256}\n";
    const SIAMESE: &str = "data: {image_root: 'D:\\x', min_agreement: 0.7, min_reviewers: 2, quick_experiment: null, \
        split_mode: series_based}\ndevice: cpu\nmodel: {activation: relu, cnn_backbone: resnet50, dropout: 0.0, \
        mlp_hidden_dims: [], padding_mean_color: [0.4, 0.4, 0.4], pretrained: true, use_paper_preprocessing: true}\n\
        model_type: siamese_cnn\nname: siamese\noutput_dir: null\nseed: 42\ntelemetry: {enabled: true}\n\
        training: {batch_size: 8, differential_lr: true, early_stop_patience: 10, learning_rate: 1.0e-05, max_epochs: 3, \
        momentum: 0.9, optimizer: sgd, weight_decay: 0.0005}\ntransform_type: auto\nuse_external_dataloader: false\n";

    #[test]
    fn the_files_beside_the_originals_models_are_understood() {
        let Original { recipe, notes } = read(AVA).expect("the original's").expect("understood");
        assert_eq!((recipe.batch, recipe.epochs, recipe.patience, recipe.head_factor), (64, 30, 5, 10.0));
        assert_eq!((recipe.resize, recipe.crop, recipe.held_out, recipe.test), (256, 224, 0.1, 0.1));
        assert_eq!((recipe.output_mode, recipe.augment.flip), (OutputMode::Regression, 0.5));
        assert!(
            notes.iter().any(|note| note.contains("hue")) && notes.iter().any(|note| note.contains("data.ava_txt"))
        );
        let Original { recipe, notes } = read(SIAMESE).expect("the original's").expect("understood");
        assert_eq!((recipe.resize, recipe.crop, recipe.min_reviewers), (224, 224, Some(2)));
        assert_eq!((recipe.learning_rate, recipe.augment), (1e-5, Augment::NONE));
        assert!(notes.iter().any(|note| note.contains("AdamW")), "{notes:?}");
    }

    #[test]
    fn what_would_make_another_network_is_refused() {
        let refused =
            |from: &str, to: &str| read(&AVA.replace(from, to)).expect("the original's").err().expect("refused");
        assert!(refused("backbone: resnet50", "backbone: vgg16").contains("resnet50"));
        assert!(refused("activation: relu", "activation: tanh").contains("relu"));
        assert!(refused("max_epochs", "max_epoch").contains("`training.max_epoch` is not known"));
        assert!(read("name: ours\nbackbone: resnet50\n").is_none());
    }
}
