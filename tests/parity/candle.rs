//! The forms that train against the forms that infer, and that gradients reach every weight.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Module, ModuleT, Optimizer, VarBuilder, VarMap};
use hub::prepare;
use kernels::{Cpu, Engine, Precision};
use networks::checkpoint::{Checkpoint, Ledger, Names, var_builder};
use networks::dinov2::{Config, Dinov2, FusedDinov2};
use networks::fused::{Batch, Network, Runner};
use networks::head::{Bend, Head, HeadConfig};
use networks::resnet::{Depth, FusedResNet, Naming, ResNet};
use photo::resize::Filter;

use crate::formula::{self, Formula};
use crate::networks::{imagenet, recorded, relative};

fn planes(batch: &Batch) -> Result<Tensor> {
    let shape = (batch.photos, batch.height, batch.width, Batch::CHANNELS);
    Tensor::from_slice(&batch.data, shape, &Device::Cpu)?.permute((0, 3, 1, 2))?.contiguous()
}

fn one_photo(side: u32) -> Batch {
    prepare::batch(&imagenet(side, Filter::Bilinear, side), &[formula::picture(3)])
}

fn best() -> Engine {
    Engine { cpu: Cpu::best(), precision: Precision::Full }
}

/// The fused network, called as a candle operation.
fn as_operation<N: Network + 'static>(
    checkpoint: &Formula,
    x: &Tensor,
    make: impl Fn(&Names<'_>) -> N,
) -> Result<Vec<f32>> {
    let ledger = Ledger::new(checkpoint);
    let runner = Runner::new(Box::new(make(&ledger.root())));
    x.apply_op1_no_bwd(&runner)?.flatten_all()?.to_vec1()
}

#[test]
fn resnet_trains_and_infers_the_same_function() -> Result<()> {
    let checkpoint = Formula::new(&recorded("resnet18")["tensors"]);
    let x = planes(&one_photo(97))?;
    let fused = as_operation(&checkpoint, &x, |names| {
        FusedResNet::new(Depth::Eighteen, Naming::Torchvision, best(), names).unwrap()
    })?;
    let vb = var_builder(&checkpoint, DType::F32, &Device::Cpu).unwrap();
    let candle = ResNet::new(Depth::Eighteen, Naming::Torchvision, &vb)?.forward_t(&x, false)?;
    let most = relative(&fused, &candle.flatten_all()?.to_vec1::<f32>()?);
    assert!(most < 1e-4, "{most:e}");
    Ok(())
}

#[test]
fn dinov2_trains_and_infers_the_same_function() -> Result<()> {
    for name in ["dinov2_gated", "dinov2_registers", "dinov2_oblong"] {
        let checkpoint = Formula::new(&recorded(name)["tensors"]);
        let x = planes(&one_photo(140))?;
        let fused = as_operation(&checkpoint, &x, |names| FusedDinov2::new(best(), names).unwrap())?;
        let ledger = Ledger::new(&checkpoint);
        let config = Config::of(&ledger.root()).unwrap();
        let vb = var_builder(&checkpoint, DType::F32, &Device::Cpu).unwrap();
        let candle = Dinov2::new(config, &vb)?.forward(&x)?;
        let most = relative(&fused, &candle.flatten_all()?.to_vec1::<f32>()?);
        assert!(most < 1e-4, "{name}: {most:e}");
    }
    Ok(())
}

/// Variables with the formula's values.
fn trainable(checkpoint: &Formula) -> Result<(VarMap, VarBuilder<'static>)> {
    let variables = VarMap::new();
    for name in checkpoint.names() {
        let tensor = Tensor::from_vec(checkpoint.values(&name), checkpoint.shapes[&name].clone(), &Device::Cpu)?;
        variables.data().lock().unwrap().insert(name, Var::from_tensor(&tensor)?);
    }
    let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    Ok((variables, vb))
}

/// Names of the variables that a loss has no gradient for.
fn untouched(variables: &VarMap, loss: &Tensor) -> Result<Vec<String>> {
    let gradients = loss.backward()?;
    let all = variables.data().lock().unwrap();
    let mut names: Vec<String> =
        all.iter().filter(|(_, var)| gradients.get(var.as_tensor()).is_none()).map(|(name, _)| name.clone()).collect();
    names.sort();
    Ok(names)
}

#[test]
fn gradients_reach_every_weight_of_a_resnet() -> Result<()> {
    let checkpoint = Formula::new(&recorded("resnet18")["tensors"]);
    let (variables, vb) = trainable(&checkpoint)?;
    let net = ResNet::new(Depth::Eighteen, Naming::Torchvision, &vb)?;
    let x = planes(&one_photo(64))?;
    let before = net.forward_t(&x, false)?;
    let loss = net.forward_t(&x, true)?.sqr()?.mean_all()?;
    let left = untouched(&variables, &loss)?;
    let statistics = |name: &String| name.contains("running_") || name.contains("num_batches");
    assert!(left.iter().all(statistics), "{left:?}");
    // Training moved the running statistics, so the evaluating form answers differently now.
    let moved = (net.forward_t(&x, false)? - before)?.abs()?.max_all()?.to_scalar::<f32>()?;
    assert!(moved > 1e-4, "{moved}");
    Ok(())
}

#[test]
fn gradients_reach_every_weight_of_a_transformer() -> Result<()> {
    for name in ["dinov2_gated", "dinov2_registers"] {
        let checkpoint = Formula::new(&recorded(name)["tensors"]);
        let (variables, vb) = trainable(&checkpoint)?;
        let ledger = Ledger::new(&checkpoint);
        let net = Dinov2::new(Config::of(&ledger.root()).unwrap(), &vb)?;
        let loss = net.forward(&planes(&one_photo(56))?)?.sqr()?.mean_all()?;
        let left = untouched(&variables, &loss)?;
        assert_eq!(left, ["embeddings.mask_token"], "{name}");
    }
    Ok(())
}

#[test]
fn a_head_learns() -> Result<()> {
    let config = HeadConfig { inputs: 4, hidden: vec![8], outputs: 1, bend: Bend::Tanh, dropout: 0.0 };
    let variables = VarMap::new();
    let head = Head::new(&config, &VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    let x = Tensor::new(&[[1f32, 0., 0., 0.], [0., 1., 0., 0.]], &Device::Cpu)?;
    let y = Tensor::new(&[[1f32], [-1.]], &Device::Cpu)?;
    let loss = |head: &Head| (head.forward_t(&x, true)? - &y)?.sqr()?.mean_all();
    let first = loss(&head)?.to_scalar::<f32>()?;
    let mut optimiser = candle_nn::SGD::new(variables.all_vars(), 0.1)?;
    for _ in 0..100 {
        optimiser.backward_step(&loss(&head)?)?;
    }
    let last = loss(&head)?.to_scalar::<f32>()?;
    assert!(last < first / 100.0, "{first} to {last}");
    Ok(())
}
