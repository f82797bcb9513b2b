//! Loss functions over batches.

use candle_core::{Result, Tensor};

/// `ln(1 + e^-x)`, for any x.
fn softplus_of_minus(x: &Tensor) -> Result<Tensor> {
    x.neg()?.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// The pseudo-Huber loss: quadratic below `bend`, linear above.
pub fn pseudo_huber(predicted: &Tensor, truth: &Tensor, bend: f64) -> Result<Tensor> {
    let difference = ((predicted - truth)? / bend)?;
    ((difference.sqr()? + 1.0)?.sqrt()? - 1.0)?.mean_all()
}

/// One minus Pearson's correlation, halved.
pub fn correlation_loss(predicted: &Tensor, truth: &Tensor) -> Result<Tensor> {
    let centred = |x: &Tensor| x.broadcast_sub(&x.mean_keepdim(0)?);
    let (a, b) = (centred(predicted)?, centred(truth)?);
    let size = ((a.sqr()?.sum_all()? * b.sqr()?.sum_all()?)? + 1e-8)?.sqrt()?;
    let correlation = ((a * b)?.sum_all()? / size)?;
    (1.0 - correlation)? * 0.5
}

/// Logistic ranking loss over all pairs of a batch: `order[i][j]` is positive if `i` ought to score higher than `j`,
/// and its size is the weight of the pair.
pub fn ranking_matrix(scores: &Tensor, order: &Tensor, width: f64) -> Result<Tensor> {
    let count = scores.dim(0)?;
    let difference = (scores.reshape((count, 1))?.broadcast_sub(&scores.reshape((1, count))?)? / width)?;
    let wrong = softplus_of_minus(&(difference * order.sign()?)?)?;
    let weight = order.abs()?;
    (wrong * &weight)?.sum_all()? / (weight.sum_all()? + 1e-6)?
}

/// Logistic ranking loss over given pairs: `better[i]` ought to score higher than `worse[i]`.
pub fn ranked_pairs(better: &Tensor, worse: &Tensor, weight: &Tensor, width: f64) -> Result<Tensor> {
    let wrong = softplus_of_minus(&((better - worse)? / width)?)?;
    (wrong * weight)?.sum_all()? / (weight.sum_all()? + 1e-6)?
}

/// Binary cross entropy of logits with targets in 0..1, weighted element by element.
pub fn binary_cross_entropy(logits: &Tensor, targets: &Tensor, weight: &Tensor) -> Result<Tensor> {
    // -t ln s(x) - (1-t) ln(1-s(x)) = softplus(-x) + (1-t) x
    let each = (softplus_of_minus(logits)? + ((1.0 - targets)? * logits)?)?;
    (each * weight)?.sum_all()? / (weight.sum_all()? + 1e-6)?
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn row(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).expect("a row")
    }

    fn number(tensor: Result<Tensor>) -> f32 {
        tensor.and_then(|tensor| tensor.to_scalar()).expect("a number")
    }

    #[test]
    fn right_answers_cost_little_and_wrong_ones_much() {
        let truth = row(&[0.1, 0.5, 0.9]);
        assert!(number(correlation_loss(&row(&[1.0, 2.0, 3.0]), &truth)) < 1e-4);
        assert!(number(correlation_loss(&row(&[3.0, 2.0, 1.0]), &truth)) > 0.99);
        assert!(number(pseudo_huber(&truth, &truth, 0.1)) < 1e-6);
        let order = Tensor::new(&[[0.0f32, -1.0], [1.0, 0.0]], &Device::Cpu).expect("order");
        let (right, wrong) = (row(&[0.0, 1.0]), row(&[1.0, 0.0]));
        assert!(
            number(ranking_matrix(&right, &order, 0.1)) < 1e-3 && number(ranking_matrix(&wrong, &order, 0.1)) > 9.0
        );
        let one = row(&[1.0]);
        assert!(number(ranked_pairs(&row(&[1.0]), &row(&[0.0]), &one, 0.1)) < 1e-3);
        assert!((number(binary_cross_entropy(&row(&[0.0]), &row(&[1.0]), &one)) - std::f32::consts::LN_2).abs() < 1e-4);
        assert!(number(binary_cross_entropy(&row(&[80.0]), &row(&[1.0]), &one)) < 1e-6);
    }
}
