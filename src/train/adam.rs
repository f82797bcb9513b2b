//! AdamW over named variables, with a state that survives restarts and a running mean of the weights.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

const BETAS: [f32; 2] = [0.9, 0.99];
const EPS: f32 = 1e-8;

/// The optimizer's state of one variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    /// The running mean of the values, which is evaluated and exported.
    pub mean: Vec<f32>,
}

#[derive(Debug)]
pub struct Adam {
    pub steps: u64,
    pub state: BTreeMap<String, Moments>,
}

/// The options of one optimizer step.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    pub learning_rate: f32,
    /// Factor on the learning rate of variables outside `backbone.`.
    pub head_factor: f32,
    /// Applies to matrices and convolutions; gains and biases are not decayed.
    pub weight_decay: f32,
    /// The norm that the gradient of all variables together is clipped to.
    pub max_gradient_norm: f32,
    /// Decay of the running mean of the weights.
    pub mean_decay: f32,
}

impl Adam {
    pub fn new(vars: &BTreeMap<String, Var>) -> Result<Self> {
        let state = |(name, var): (&String, &Var)| {
            let values = values(var)?;
            let zeros = vec![0.0; values.len()];
            Ok((name.clone(), Moments { first: zeros.clone(), second: zeros, mean: values }))
        };
        Ok(Self { steps: 0, state: vars.iter().map(state).collect::<Result<_>>()? })
    }

    /// Makes one step and returns the norm of the gradient before clipping. If the norm is not finite, nothing changes.
    pub fn step(&mut self, vars: &BTreeMap<String, Var>, grads: &GradStore, options: StepOptions) -> Result<f32> {
        let mut gradients: Vec<(&String, &Var, Vec<f32>)> = Vec::new();
        let mut square = 0.0f64;
        for (name, var) in vars {
            let Some(grad) = grads.get(var.as_tensor()) else { continue };
            let grad = grad.flatten_all()?.to_vec1::<f32>()?;
            square += grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
            gradients.push((name, var, grad));
        }
        let norm = square.sqrt() as f32;
        if !norm.is_finite() {
            return Ok(norm);
        }
        self.steps += 1;
        let clip = if norm > options.max_gradient_norm { options.max_gradient_norm / norm } else { 1.0 };
        let bias_correction = [1.0 - BETAS[0].powf(self.steps as f32), 1.0 - BETAS[1].powf(self.steps as f32)];
        // In the first steps the mean decays faster, so that the initial values are forgotten.
        let decay_of_mean = options.mean_decay.min((1.0 + self.steps as f32) / (10.0 + self.steps as f32));
        for (name, var, grad) in gradients {
            let Some(moments) = self.state.get_mut(name) else { continue };
            let factor = if name.starts_with("backbone.") { 1.0 } else { options.head_factor };
            let learning_rate = options.learning_rate * factor;
            let decay = if var.rank() > 1 { options.weight_decay * learning_rate } else { 0.0 };
            let mut now = values(var)?;
            let Moments { first, second, mean } = moments;
            let all = now.iter_mut().zip(&grad).zip(first.iter_mut().zip(second.iter_mut()).zip(mean.iter_mut()));
            for ((value, grad), ((first, second), mean)) in all {
                let grad = grad * clip;
                *first = BETAS[0] * *first + (1.0 - BETAS[0]) * grad;
                *second = BETAS[1] * *second + (1.0 - BETAS[1]) * grad * grad;
                let step = (*first / bias_correction[0]) / ((*second / bias_correction[1]).sqrt() + EPS);
                *value -= learning_rate * step + decay * *value;
                *mean = decay_of_mean * *mean + (1.0 - decay_of_mean) * *value;
            }
            set(var, now)?;
        }
        Ok(norm)
    }

    /// Swaps the variables with their running means; a second call swaps them back.
    pub fn exchange(&mut self, vars: &BTreeMap<String, Var>) -> Result<()> {
        for (name, var) in vars {
            if let Some(moments) = self.state.get_mut(name) {
                let now = values(var)?;
                set(var, std::mem::replace(&mut moments.mean, now))?;
            }
        }
        Ok(())
    }
}

pub fn values(var: &Var) -> Result<Vec<f32>> {
    var.as_tensor().flatten_all()?.to_vec1()
}

pub fn set(var: &Var, values: Vec<f32>) -> Result<()> {
    var.set(&Tensor::from_vec(values, var.shape(), var.device())?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn it_finds_the_bottom_and_the_mean_follows() -> Result<()> {
        let var = Var::from_vec(vec![5.0f32, -3.0], 2, &Device::Cpu)?;
        let vars: BTreeMap<String, Var> = [("x".to_owned(), var.clone())].into();
        let mut adam = Adam::new(&vars)?;
        let options = StepOptions {
            learning_rate: 0.1,
            head_factor: 1.0,
            weight_decay: 0.0,
            max_gradient_norm: 10.0,
            mean_decay: 0.9,
        };
        for _ in 0..300 {
            let goal = Tensor::new(&[1.0f32, 2.0], &Device::Cpu)?;
            let loss = (var.as_tensor() - goal)?.sqr()?.sum_all()?;
            adam.step(&vars, &loss.backward()?, options)?;
        }
        let found = values(&var)?;
        assert!((found[0] - 1.0).abs() < 0.05 && (found[1] - 2.0).abs() < 0.05, "{found:?}");
        adam.exchange(&vars)?;
        assert!((values(&var)?[0] - 1.0).abs() < 0.05);
        Ok(())
    }
}
