//! From distances to probabilities: how sharp the model's answers are, and where its categories' thresholds lie.
//!
//! Softmax over `sharpness · distance + offset`, fitted to minimise the negative log-likelihood of examples that the
//! planes were not fitted to: temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017)
//! with an offset per category, which for two categories is Platt scaling (Platt 1999). The offsets are held near zero
//! by a Gaussian prior, so that a category of few examples keeps its place. Minimised by Rprop (Riedmiller and Braun
//! 1993), which needs no step size and no randomness.

const ROUNDS: usize = 80;
/// One over the variance of the prior of an offset.
const PRIOR: f32 = 2.0;

/// What was fitted.
#[derive(Debug, Clone)]
pub(super) struct Calibration {
    pub sharpness: f32,
    pub offsets: Vec<f32>,
}

impl Calibration {
    /// Fits to distances from the planes, each with the category it should have been.
    pub(super) fn fit(examples: &[(Vec<f32>, usize)], categories: usize) -> Self {
        // Parameter 0 is the logarithm of the sharpness: it stays positive.
        let mut parameters = vec![0.0_f32; categories + 1];
        parameters[0] = 1.0;
        let mut steps = vec![0.1_f32; categories + 1];
        let mut before = vec![0.0_f32; categories + 1];
        for _ in 0..ROUNDS {
            let gradient = gradient(examples, &parameters);
            for at in 0..parameters.len() {
                let turn = gradient[at] * before[at];
                if turn > 0.0 {
                    steps[at] = (steps[at] * 1.2).min(1.0);
                } else if turn < 0.0 {
                    steps[at] = (steps[at] * 0.5).max(1e-4);
                }
                before[at] = if turn < 0.0 { 0.0 } else { gradient[at] };
                if before[at] != 0.0 {
                    parameters[at] -= steps[at] * before[at].signum();
                }
            }
            parameters[0] = parameters[0].clamp(-2.0, 4.0);
        }
        Self { sharpness: parameters[0].exp(), offsets: parameters.split_off(1) }
    }
}

fn gradient(examples: &[(Vec<f32>, usize)], parameters: &[f32]) -> Vec<f32> {
    let (sharpness, offsets) = (parameters[0].exp(), &parameters[1..]);
    let mut gradient = vec![0.0_f32; parameters.len()];
    for (slope, offset) in gradient[1..].iter_mut().zip(offsets) {
        *slope = PRIOR * offset;
    }
    let mut shares = vec![0.0_f32; offsets.len()];
    for (distances, label) in examples {
        let mut highest = f32::MIN;
        for ((share, distance), offset) in shares.iter_mut().zip(distances).zip(offsets) {
            *share = sharpness * distance + offset;
            highest = highest.max(*share);
        }
        let mut sum = 0.0;
        for share in &mut shares {
            *share = (*share - highest).exp();
            sum += *share;
        }
        for (category, share) in shares.iter().enumerate() {
            let error = share / sum - if category == *label { 1.0 } else { 0.0 };
            gradient[0] += error * sharpness * distances[category];
            gradient[1 + category] += error;
        }
    }
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_that_are_often_wrong_are_made_less_sure() {
        let example = |right: bool| (vec![1.0, -1.0], usize::from(!right));
        let fitted = |wrong: usize| {
            let examples: Vec<_> = (0..1000).map(|at| example(at >= wrong)).collect();
            let fitted = Calibration::fit(&examples, 2);
            let logit = 2.0 * fitted.sharpness + fitted.offsets[0] - fitted.offsets[1];
            1.0 / (1.0 + (-logit).exp())
        };
        assert!((fitted(100) - 0.9).abs() < 0.02, "{}", fitted(100));
        assert!((fitted(300) - 0.7).abs() < 0.02, "{}", fitted(300));
    }
}
