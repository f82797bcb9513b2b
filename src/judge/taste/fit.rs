//! Logistic regression with offsets and a Gaussian prior of variance 1, by Newton's method with conjugate gradients.

/// The prior standard deviation of the intercept, in logits: how picky a person is.
const INTERCEPT: f64 = 2.0;
const MOST_STEPS: usize = 30;
const MOST_DIRECTIONS: usize = 60;

/// One decision: its inputs, and whether it came out as yes.
#[derive(Debug, Clone)]
pub struct Observation {
    pub row: Vec<f64>,
    pub offset: f64,
    /// Whether it is about one photo, and so depends on the intercept.
    pub is_single: bool,
    pub happened: bool,
}

/// The most probable weights.
pub fn fit(observations: &[Observation], inputs: usize) -> Vec<f64> {
    let problem = Problem { observations };
    // The intercept is the last weight.
    let mut weights = vec![0.0; inputs + 1];
    let mut loss = problem.loss(&weights);
    for _ in 0..MOST_STEPS {
        let (gradient, curvatures) = problem.gradient(&weights);
        if norm(&gradient) < 1e-8 {
            break;
        }
        let direction = problem.direction(&gradient, &curvatures);
        let mut share = 1.0;
        let mut next = moved(&weights, &direction, share);
        while problem.loss(&next) > loss && share > 1e-6 {
            share /= 2.0;
            next = moved(&weights, &direction, share);
        }
        let reached = problem.loss(&next);
        if reached >= loss {
            break;
        }
        let gained = loss - reached;
        (weights, loss) = (next, reached);
        if gained < 1e-10 {
            break;
        }
    }
    weights.pop();
    weights
}

struct Problem<'a> {
    observations: &'a [Observation],
}

impl Problem<'_> {
    fn logit(observation: &Observation, weights: &[f64]) -> f64 {
        observation.offset + product(observation, weights)
    }

    fn loss(&self, weights: &[f64]) -> f64 {
        let prior: f64 = weights.iter().map(|weight| weight * weight).sum::<f64>() / 2.0;
        let misfit = |observation: &Observation| {
            let logit = Self::logit(observation, weights);
            let towards = if observation.happened { -logit } else { logit };
            // ln(1 + exp(x)) without overflow.
            towards.max(0.0) + (-towards.abs()).exp().ln_1p()
        };
        prior + self.observations.iter().map(misfit).sum::<f64>()
    }

    /// The gradient of the loss, and the curvature at each observation.
    fn gradient(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut gradient = weights.to_vec();
        let mut curvatures = Vec::with_capacity(self.observations.len());
        for observation in self.observations {
            let chance = 1.0 / (1.0 + (-Self::logit(observation, weights)).exp());
            add(&mut gradient, observation, chance - f64::from(u8::from(observation.happened)));
            curvatures.push(chance * (1.0 - chance));
        }
        (gradient, curvatures)
    }

    /// Solves for Newton's direction.
    fn direction(&self, gradient: &[f64], curvatures: &[f64]) -> Vec<f64> {
        let mut solution = vec![0.0; gradient.len()];
        let mut residual: Vec<f64> = gradient.iter().map(|value| -value).collect();
        let mut search = residual.clone();
        let mut squared = dot(&residual, &residual);
        let enough = squared * 1e-16;
        for _ in 0..MOST_DIRECTIONS {
            let mut curved = search.clone();
            for (observation, curvature) in self.observations.iter().zip(curvatures) {
                add(&mut curved, observation, curvature * product(observation, &search));
            }
            let step = squared / dot(&search, &curved);
            solution.iter_mut().zip(&search).for_each(|(value, along)| *value += step * along);
            residual.iter_mut().zip(&curved).for_each(|(value, along)| *value -= step * along);
            let next = dot(&residual, &residual);
            if next <= enough {
                break;
            }
            let keep = next / squared;
            search.iter_mut().zip(&residual).for_each(|(along, value)| *along = value + keep * *along);
            squared = next;
        }
        solution
    }
}

fn product(observation: &Observation, weights: &[f64]) -> f64 {
    let intercept = if observation.is_single { INTERCEPT * weights[weights.len() - 1] } else { 0.0 };
    dot(&observation.row, &weights[..weights.len() - 1]) + intercept
}

fn add(sum: &mut [f64], observation: &Observation, times: f64) {
    let last = sum.len() - 1;
    sum[..last].iter_mut().zip(&observation.row).for_each(|(value, input)| *value += times * input);
    if observation.is_single {
        sum[last] += times * INTERCEPT;
    }
}

fn moved(from: &[f64], direction: &[f64], share: f64) -> Vec<f64> {
    from.iter().zip(direction).map(|(value, along)| value + share * along).collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Four sums, so that the processor can add side by side.
    let mut sums = [0.0; 4];
    let (a4, b4) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a4.remainder().iter().zip(b4.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a4.zip(b4) {
        (0..4).for_each(|lane| sums[lane] += x[lane] * y[lane]);
    }
    sums.iter().sum::<f64>() + rest
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}
