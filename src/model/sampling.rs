//! Tokens drawn by their probability.

use crate::data::stream;
use crate::error::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How each token is drawn from a model's logits: divided by the temperature, cut to `top_k`, what
/// is left of their probability cut to `top_p`.
///
/// The draws are made on the host, in f64, one uniform number a token, and the tokens stand in the
/// order of their numbers. So a seed gives the same text on every backend as long as the backends'
/// logits agree up to rounding: a token is another one only where its draw falls into that
/// rounding, at the border between two tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// What the logits are divided by. Below 1 the probable becomes more probable; at 0 it is
    /// certain: always the most probable token, of equal ones the first.
    pub temperature: f64,
    /// Draws from so many of the most probable tokens. `None`: from all.
    pub top_k: Option<usize>,
    /// Draws from the fewest most probable tokens whose probabilities make up this part
    /// ([Holtzman et al. 2020](https://arxiv.org/abs/1904.09751)). 1: from all.
    pub top_p: f64,
    /// Seeds the draws.
    pub seed: u64,
}

impl Default for Sampling {
    /// As the model's probabilities are.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Refuses what cannot be drawn by.
    ///
    /// # Errors
    /// [`Error::Input`] naming the number and its range.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Input(message));
        let Self { temperature, top_k, top_p, .. } = *self;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return refuse(format!(
                "the temperature is {temperature}: give a number above 0, or 0 for the most probable token"
            ));
        }
        if top_k == Some(0) {
            return refuse("top-k is 0, which leaves no token: give 1 or more, or leave it out".into());
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return refuse(format!("top-p is {top_p}: give a part above 0, up to 1"));
        }
        Ok(())
    }
}

/// Draws tokens.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
    /// Tokens that may be drawn, and their probabilities up to a factor. Kept for its memory.
    candidates: Vec<(u32, f64)>,
}

impl Sampler {
    pub(crate) fn new(sampling: &Sampling) -> Result<Self> {
        sampling.check()?;
        let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        rng.set_stream(stream::SAMPLING);
        Ok(Self { sampling: sampling.clone(), rng, candidates: Vec::new() })
    }

    /// A token of logits that are finite, at least one.
    pub(crate) fn draw(&mut self, logits: &[f32]) -> u32 {
        let Sampling { temperature, top_k, top_p, .. } = self.sampling;
        let tokens = || (0..).zip(logits.iter().map(|&logit| f64::from(logit)));
        let (best, highest) = tokens().reduce(|a, b| if b.1 > a.1 { b } else { a }).expect("a token");
        if temperature == 0.0 {
            return best;
        }
        let candidates = &mut self.candidates;
        candidates.clear();
        candidates.extend(tokens().map(|(token, logit)| (token, ((logit - highest) / temperature).exp())));
        let most_probable = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if let Some(k) = top_k.filter(|&k| k < candidates.len()) {
            candidates.select_nth_unstable_by(k - 1, most_probable);
            candidates.truncate(k);
        }
        let sum = |candidates: &[(u32, f64)]| candidates.iter().map(|(_, weight)| weight).sum::<f64>();
        if top_p < 1.0 {
            candidates.sort_unstable_by(most_probable);
            let mut missing = top_p * sum(candidates);
            let enough = candidates.iter().position(|(_, weight)| {
                missing -= weight;
                missing <= 0.0
            });
            candidates.truncate(enough.map_or(candidates.len(), |last| last + 1));
        }
        candidates.sort_unstable_by_key(|(token, _)| *token);
        let mut left = self.rng.random::<f64>() * sum(candidates);
        let drawn = candidates.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave something after the last.
        drawn.map_or(best, |(token, _)| *token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::assert_says;

    /// The logits of four tokens, from which 20 000 are drawn: how often each.
    const LOGITS: [f32; 4] = [0.5, 2.0, -1.0, 1.5];
    const DRAWS: usize = 20_000;

    fn shares(sampling: Sampling) -> [f64; 4] {
        let mut sampler = Sampler::new(&sampling).unwrap();
        let mut shares = [0.0; 4];
        (0..DRAWS).for_each(|_| shares[sampler.draw(&LOGITS) as usize] += 1.0 / DRAWS as f64);
        shares
    }

    /// That tokens are drawn with these probabilities, up to five standard deviations.
    #[track_caller]
    fn assert_drawn(sampling: Sampling, weights: [f64; 4]) {
        let sum: f64 = weights.iter().sum();
        for (share, p) in shares(sampling.clone()).into_iter().zip(weights.map(|weight| weight / sum)) {
            let deviation = (p * (1.0 - p) / DRAWS as f64).sqrt();
            assert!((share - p).abs() <= 5.0 * deviation, "{sampling:?}: {share}, not {p}");
        }
    }

    #[test]
    fn tokens_are_drawn_by_their_probabilities() {
        let all = Sampling { seed: 3, ..Sampling::default() };
        let at = |temperature: f64| LOGITS.map(|logit| (f64::from(logit) / temperature).exp());
        assert_drawn(all.clone(), at(1.0));
        assert_drawn(Sampling { temperature: 0.5, ..all.clone() }, at(0.5));
        assert_drawn(Sampling { temperature: 4.0, ..all.clone() }, at(4.0));
        assert_drawn(Sampling { temperature: 1e300, ..all.clone() }, [1.0; 4]);
        let [a, b, _, d] = at(1.0);
        assert_drawn(Sampling { top_k: Some(3), ..all.clone() }, [a, b, 0.0, d]);
        assert_drawn(Sampling { top_k: Some(2), ..all.clone() }, [0.0, b, 0.0, d]);
        assert_drawn(Sampling { top_k: Some(9), ..all.clone() }, at(1.0));
        // The probabilities are 0.53, 0.32, 0.12, 0.03: of all; of the first three 0.55, 0.33, 0.12.
        assert_drawn(Sampling { top_p: 0.84, ..all.clone() }, [0.0, b, 0.0, d]);
        assert_drawn(Sampling { top_p: 0.87, ..all.clone() }, [a, b, 0.0, d]);
        assert_drawn(Sampling { top_p: 0.87, top_k: Some(3), ..all.clone() }, [0.0, b, 0.0, d]);
        assert_drawn(Sampling { top_p: 0.99, ..all }, at(1.0));
    }

    #[test]
    fn the_most_probable_token_is_certain() {
        let all = Sampling::default();
        for sampling in [
            Sampling { temperature: 0.0, ..all.clone() },
            Sampling { top_k: Some(1), ..all.clone() },
            Sampling { top_p: 1e-12, ..all.clone() },
        ] {
            let mut sampler = Sampler::new(&sampling).unwrap();
            // Of equal ones the first.
            for (logits, token) in [(LOGITS, 1), ([0.0, 1.0, 1.0, 1.0], 1), ([7.0; 4], 0)] {
                assert!((0..100).all(|_| sampler.draw(&logits) == token), "{sampling:?} {logits:?}");
            }
        }
        assert_eq!(
            shares(Sampling { temperature: 1e-300, ..all }),
            shares(Sampling { top_k: Some(1), ..Sampling::default() })
        );
    }

    #[test]
    fn sampling_out_of_range_is_refused() {
        let all = Sampling::default();
        for temperature in [-1.0, f64::NAN, f64::INFINITY] {
            let sampling = Sampling { temperature, ..all.clone() };
            assert_says(sampling.check(), &[&format!("temperature is {temperature}"), "give"]);
        }
        assert_says(Sampling { top_k: Some(0), ..all.clone() }.check(), &["top-k is 0", "give 1"]);
        for top_p in [0.0, -0.5, 1.5, f64::NAN] {
            assert_says(
                Sampling { top_p, ..all.clone() }.check(),
                &[&format!("top-p is {top_p}"), "up to 1"],
            );
        }
    }
}
