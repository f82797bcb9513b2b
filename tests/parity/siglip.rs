//! SigLIP beside `transformers`, on weights that both sides compute (`tests/reference/networks.py`).

use candle_core::Device;
use serde_json::Value;

use crate::formula::{self, Formula};
use crate::networks::{recorded, relative, rows};
use hub::prepare;
use networks::preprocess::{Preprocess, Resize};
use networks::siglip::{LogitScale, SiglipPictures, SiglipTexts};
use photo::resize::Filter;

#[test]
fn pictures_and_texts_equal_the_authors() {
    let record = recorded("siglip");
    let weights = Formula::new(&record["tensors"]);
    let pictures = SiglipPictures::load(&weights, &Device::Cpu).unwrap();
    let side = u32::try_from(pictures.side()).unwrap();
    let (mean, std) = ([0.5; 3], [0.5; 3]);
    let preprocess = Preprocess { resize: Resize::Square(side), filter: Filter::Bilinear, crop: None, mean, std };
    let of_pictures: Vec<Vec<f32>> =
        (0..4).map(|at| pictures.embed(&prepare::batch(&preprocess, &[formula::picture(at)]).data).unwrap()).collect();
    let texts = SiglipTexts::load(&weights, &Device::Cpu).unwrap();
    let numbers = |ids: &Value| -> Vec<u32> {
        ids.as_array().unwrap().iter().map(|id| u32::try_from(id.as_u64().unwrap()).unwrap()).collect()
    };
    let ids: Vec<Vec<u32>> = record["ids"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!(ids[0].len(), texts.tokens());
    let of_texts: Vec<Vec<f32>> = ids.iter().map(|ids| texts.embed(ids).unwrap()).collect();
    for (name, ours) in [("pictures", &of_pictures), ("texts", &of_texts)] {
        let theirs = rows(&record[name]);
        let worst = ours.iter().zip(&theirs).map(|(a, b)| relative(a, b)).fold(0.0, f64::max);
        crate::world::report(&format!("siglip, {name}: {worst:.1e}"));
        assert!(worst < 1e-4, "{name}: {worst}");
    }
    let logit_scale = LogitScale::of(&weights).unwrap();
    for (picture, theirs) in of_pictures.iter().zip(rows(&record["logits"])) {
        for (text, theirs) in of_texts.iter().zip(theirs) {
            let ours = logit_scale.logit(picture, text);
            assert!((ours - theirs).abs() < 1e-4, "{ours} for {theirs}");
        }
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() {
    let record = recorded("siglip");
    let with = |name: &str, shape: &[usize]| {
        let mut weights = Formula::new(&record["tensors"]);
        weights.shapes.insert(name.to_owned(), shape.to_vec());
        weights
    };
    let patches = "vision_model.embeddings.patch_embedding.weight";
    let odd = with(patches, &[100, 3, 16, 16]);
    assert!(SiglipPictures::load(&odd, &Device::Cpu).unwrap_err().to_string().contains("width of 100"));
    let positions = with("vision_model.embeddings.position_embedding.weight", &[195, 128]);
    let refused = SiglipPictures::load(&positions, &Device::Cpu).unwrap_err().to_string();
    assert!(refused.contains("no square"), "{refused}");
    let mut missing = Formula::new(&record["tensors"]);
    missing.shapes.remove("text_model.head.weight");
    let refused = SiglipTexts::load(&missing, &Device::Cpu).unwrap_err().to_string();
    assert!(refused.contains("no tensor `text_model.head.weight`"), "{refused}");
    let whole = Formula::new(&record["tensors"]);
    let texts = SiglipTexts::load(&whole, &Device::Cpu).unwrap();
    let refused = texts.embed(&[60; 16]).unwrap_err().to_string();
    assert!(refused.contains("no row 60"), "{refused}");
}
