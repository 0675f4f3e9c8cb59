//! Outputs of an encoder–decoder: the most probable ones, or drawn ones.

use super::encoder_decoder::{END, EncoderDecoder, Source};
use super::{Sampler, Sampling};
use crate::data::Input;
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

/// Hypotheses of the widest beam.
const MAX_WIDTH: usize = 1000;

/// How an output is chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// The most probable token at each step.
    Greedy,
    /// At each step the `width` most probable of all continuations of the hypotheses that are open. Those
    /// that end leave the beam, and compete by their [normalised](Hypothesis::normalized) score. The search
    /// ends when no open one can do better than the `n_best` that have ended.
    Beam {
        /// Hypotheses held, 1 to 1000. 1: greedy.
        width: usize,
        /// α of the length penalty `((5 + n) / 6)^α` of n tokens, the end symbol included, by which a score is
        /// divided ([Wu et al. 2016](https://arxiv.org/abs/1609.08144)). 0: none, which favours short outputs.
        length_penalty: f64,
        /// Hypotheses given, at most `width`.
        n_best: usize,
    },
    /// One output, drawn token by token. An output depends on its input and the seed alone, not on what is
    /// beside it.
    Sample(Sampling),
}

impl Search {
    /// Refuses what cannot be searched by.
    ///
    /// # Errors
    /// [`Error::Input`] naming the number and its range.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Input(message));
        match *self {
            Self::Greedy => Ok(()),
            Self::Sample(ref sampling) => sampling.check(),
            Self::Beam { width, .. } if !(1..=MAX_WIDTH).contains(&width) => {
                refuse(format!("the beam is {width} wide: give 1 to {MAX_WIDTH}"))
            }
            Self::Beam { width, n_best, .. } if !(1..=width).contains(&n_best) => refuse(format!(
                "{n_best} hypotheses cannot be given by a beam of width {width}: ask for 1 to {width}, or widen it"
            )),
            Self::Beam { length_penalty, .. } if !(length_penalty >= 0.0 && length_penalty.is_finite()) => {
                refuse(format!(
                    "the length penalty is {length_penalty}: give 0 or a number above it, as in 0.6"
                ))
            }
            Self::Beam { .. } => Ok(()),
        }
    }

    /// Hypotheses held, hypotheses given, α.
    fn sizes(&self) -> (usize, usize, f64) {
        match *self {
            Self::Greedy | Self::Sample(_) => (1, 1, 0.0),
            Self::Beam { width, length_penalty, n_best } => (width, n_best, length_penalty),
        }
    }
}

/// An output that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its tokens, without the end symbol.
    pub tokens: Vec<u32>,
    /// The sum of the logarithms of the probabilities that the model gives them, and to the end symbol where
    /// it is [finished](Self::finished).
    pub score: f64,
    /// The score divided by its [length penalty](Search::Beam).
    pub normalized: f64,
    /// Whether it ended with the end symbol; if not, it was cut off at the largest length.
    pub finished: bool,
    /// With attention: for each of its tokens, and its end symbol, the weights of the source's steps.
    pub attention: Option<Vec<Vec<f32>>>,
}

impl Hypothesis {
    /// Its tokens as a sample's target has them: with the end symbol where it is finished.
    pub fn target(&self) -> Vec<u32> {
        self.tokens.iter().copied().chain(self.finished.then_some(END)).collect()
    }
}

impl<B: RecurrentBackend> EncoderDecoder<B> {
    /// Writes an output for each sequence: at most `max_steps` tokens, the end symbol included. Each
    /// sequence has its hypotheses, best first: those that are finished, and, where they are too few, the
    /// best of those that are not.
    ///
    /// All sequences run in one batch; one that is done leaves it.
    ///
    /// # Errors
    /// Those of [`Search::check`]; output that is not finite.
    pub fn search(
        &self,
        input: Input<B>,
        lengths: Option<&[usize]>,
        search: &Search,
        max_steps: usize,
    ) -> Result<Vec<Vec<Hypothesis>>> {
        search.check()?;
        let device = input.device();
        let [batch, n_read] = input.shape();
        let valid = |b: usize| lengths.map_or(n_read, |lengths| lengths[b]);
        let mut beams =
            (0..batch).map(|b| Beam::new(search, max_steps, valid(b))).collect::<Result<Vec<_>>>()?;
        let head = self.head();
        let Source { start: mut place, mut memory, .. } = self.source(input, lengths);
        // The beams that go on, and the rows of the batch that each of them has.
        let (mut live, mut width): (Vec<usize>, usize) = ((0..batch).collect(), 1);
        for _ in 0..max_steps {
            let tokens: Vec<i64> =
                live.iter().flat_map(|&b| beams[b].tokens(self.start_token(), width)).collect();
            let step = self.step(&tokens, place, memory.as_ref(), &device);
            let logits = Rows::new(head.write(step.features), tokens.len());
            let weights = step.weights.map(|weights| Rows::new(weights, tokens.len()));
            for (k, &b) in live.iter().enumerate() {
                beams[b].grow(k * width, &logits, weights.as_ref())?;
            }
            let stays: Vec<usize> = (0..live.len()).filter(|&k| !beams[live[k]].is_done()).collect();
            if stays.is_empty() {
                break;
            }
            let n_rows = stays.iter().map(|&k| beams[live[k]].open.len()).max().unwrap_or(1);
            let rows: Vec<usize> = stays
                .iter()
                .flat_map(|&k| beams[live[k]].rows(n_rows).map(move |row| k * width + row))
                .collect();
            let as_it_is = rows.iter().copied().eq(0..tokens.len());
            place = if as_it_is { step.place } else { step.place.select(index(&rows, &device)) };
            if stays.len() < live.len() {
                memory = memory.map(|memory| memory.select(index(&stays, &device)));
            }
            live = stays.into_iter().map(|k| live[k]).collect();
            width = n_rows;
        }
        Ok(beams.into_iter().map(Beam::hypotheses).collect())
    }
}

/// What came of a step, on the host.
struct Rows {
    values: Vec<f32>,
    d: usize,
}

impl Rows {
    fn new<B: Backend, const N: usize>(tensor: Tensor<B, N>, n_rows: usize) -> Self {
        let values: Vec<f32> = tensor.into_data().convert::<f32>().to_vec().expect("outputs are floats");
        Self { d: values.len() / n_rows, values }
    }

    fn row(&self, k: usize) -> &[f32] {
        &self.values[k * self.d..][..self.d]
    }
}

/// The hypotheses of one sequence.
struct Beam {
    width: usize,
    n_best: usize,
    length_penalty: f64,
    max_steps: usize,
    /// Valid steps of the source.
    n_read: usize,
    sampler: Option<Sampler>,
    /// Tokens of every hypothesis that is open.
    n_written: usize,
    /// All tokens that were kept, each with the one before it.
    nodes: Vec<Node>,
    /// Best first.
    open: Vec<Open>,
    /// The best `n_best`, best first.
    finished: Vec<Finished>,
}

struct Node {
    before: Option<usize>,
    token: u32,
    /// Where attention looked.
    weights: Option<Vec<f32>>,
}

#[derive(Clone, Copy)]
struct Open {
    last: Option<usize>,
    score: f64,
    /// The row of the beam that it came from.
    row: usize,
}

struct Finished {
    last: usize,
    score: f64,
    normalized: f64,
}

impl Beam {
    fn new(search: &Search, max_steps: usize, n_read: usize) -> Result<Self> {
        let (width, n_best, length_penalty) = search.sizes();
        let sampler = match search {
            Search::Sample(sampling) => Some(Sampler::new(sampling)?),
            _ => None,
        };
        let open = vec![Open { last: None, score: 0.0, row: 0 }];
        let (nodes, finished) = (Vec::new(), Vec::new());
        Ok(Self {
            width,
            n_best,
            length_penalty,
            max_steps,
            n_read,
            sampler,
            n_written: 0,
            nodes,
            open,
            finished,
        })
    }

    /// What each of `n` rows reads; where there are fewer hypotheses, the first stands for the others.
    fn tokens(&self, start: i64, n: usize) -> impl Iterator<Item = i64> {
        self.filled(n).map(move |open| open.last.map_or(start, |last| self.nodes[last].token.into()))
    }

    /// The rows of the step before that `n` rows go on from.
    fn rows(&self, n: usize) -> impl Iterator<Item = usize> {
        self.filled(n).map(|open| open.row)
    }

    fn filled(&self, n: usize) -> impl Iterator<Item = &Open> {
        (0..n).map(move |k| self.open.get(k).unwrap_or(&self.open[0]))
    }

    /// One token more for each hypothesis, given what the model says after it: `first` is the first row.
    fn grow(&mut self, first: usize, logits: &Rows, weights: Option<&Rows>) -> Result<()> {
        let mut candidates: Vec<(usize, u32, f64)> = Vec::new();
        for (row, open) in self.open.iter().enumerate() {
            let logits = logits.row(first + row);
            let normalizer = log_sum_exp(logits);
            if !normalizer.is_finite() {
                return Err(Error::Input(format!(
                    "the model's output is not finite after {} tokens: its weights are damaged, or training failed",
                    self.n_written
                )));
            }
            let tokens = match &mut self.sampler {
                Some(sampler) => vec![sampler.draw(logits)],
                None => highest(logits, self.width),
            };
            let score = |token: u32| open.score + f64::from(logits[token as usize]) - normalizer;
            candidates.extend(tokens.into_iter().map(|token| (row, token, score(token))));
        }
        candidates.sort_by(|a, b| b.2.total_cmp(&a.2));
        candidates.truncate(self.width);
        self.n_written += 1;
        let before = std::mem::take(&mut self.open);
        for (row, token, score) in candidates {
            let weights = weights.map(|weights| weights.row(first + row)[..self.n_read].to_vec());
            let last = self.nodes.len();
            self.nodes.push(Node { before: before[row].last, token, weights });
            if token == END {
                let normalized = score / penalty(self.n_written, self.length_penalty);
                self.finished.push(Finished { last, score, normalized });
            } else {
                self.open.push(Open { last: Some(last), score, row });
            }
        }
        self.finished.sort_by(|a, b| b.normalized.total_cmp(&a.normalized));
        self.finished.truncate(self.n_best);
        Ok(())
    }

    /// Whether no hypothesis that is open can do better than the finished ones, or be longer.
    fn is_done(&self) -> bool {
        let Some(best) = self.open.first() else { return true };
        // A score only falls, and the largest penalty makes the most of it.
        let bound = best.score / penalty(self.max_steps, self.length_penalty);
        self.n_written == self.max_steps
            || (self.finished.len() == self.n_best
                && self.finished.last().is_some_and(|worst| worst.normalized >= bound))
    }

    /// The best, best first.
    fn hypotheses(self) -> Vec<Hypothesis> {
        let penalty = penalty(self.n_written, self.length_penalty);
        let finished = self.finished.iter().map(|f| (Some(f.last), f.score, f.normalized, true));
        let open = self.open.iter().map(|open| (open.last, open.score, open.score / penalty, false));
        let hypothesis = |(last, score, normalized, finished)| {
            let (tokens, attention) = self.trace(last, finished);
            Hypothesis { tokens, score, normalized, finished, attention }
        };
        finished.chain(open).take(self.n_best).map(hypothesis).collect()
    }

    /// The tokens up to a node, and where attention looked at each; the end symbol is not one of them.
    fn trace(&self, mut last: Option<usize>, finished: bool) -> (Vec<u32>, Option<Vec<Vec<f32>>>) {
        let (mut tokens, mut attention) = (Vec::new(), Vec::new());
        while let Some(node) = last.map(|k| &self.nodes[k]) {
            tokens.push(node.token);
            attention.extend(node.weights.clone());
            last = node.before;
        }
        tokens.reverse();
        attention.reverse();
        if finished {
            tokens.pop();
        }
        (tokens, (!attention.is_empty()).then_some(attention))
    }
}

/// `((5 + n) / 6)^α`
fn penalty(n_tokens: usize, alpha: f64) -> f64 {
    ((5.0 + n_tokens as f64) / 6.0).powf(alpha)
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    most + logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum::<f64>().ln()
}

/// The `n` tokens of the highest logits, highest first, of equal ones the first.
fn highest(logits: &[f32], n: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(n + 1);
    for (&logit, token) in logits.iter().zip(0..) {
        if best.len() < n || logit > best[n - 1].0 {
            let place = best.partition_point(|&(other, _)| other >= logit);
            best.insert(place, (logit, token));
            best.truncate(n);
        }
    }
    best.into_iter().map(|(_, token)| token).collect()
}

fn index<B: Backend>(rows: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let n = rows.len();
    Tensor::from_data(TensorData::new(rows, [n]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::assert_says;

    /// What a model says that knows nothing but the token before: a row of probabilities a token.
    const AFTER: [[f32; 3]; 3] = [[0.0; 3], [0.3, 0.3, 0.4], [0.02, 0.9, 0.08]];
    const START: [f32; 3] = [0.1, 0.55, 0.35];

    /// Runs one beam over it.
    fn run(search: &Search, max_steps: usize) -> Vec<Hypothesis> {
        let mut beam = Beam::new(search, max_steps, 1).unwrap();
        while !beam.is_done() {
            let tokens: Vec<i64> = beam.tokens(-1, beam.open.len()).collect();
            let row = |&token: &i64| if token < 0 { START } else { AFTER[token as usize] };
            let values = tokens.iter().flat_map(row).map(f32::ln).collect();
            beam.grow(0, &Rows { values, d: 3 }, None).unwrap();
        }
        beam.hypotheses()
    }

    /// Every output of up to `max_steps` tokens that ends, with its probability.
    fn all(max_steps: usize) -> Vec<(Vec<u32>, f64)> {
        let mut ended = Vec::new();
        let mut open = vec![(Vec::new(), 1.0)];
        for _ in 0..max_steps {
            let mut longer = Vec::new();
            for (tokens, p) in open {
                let row = tokens.last().map_or(START, |&last: &u32| AFTER[last as usize]);
                for (token, share) in (0..).zip(row) {
                    let p = p * f64::from(share);
                    match token {
                        END => ended.push((tokens.clone(), p)),
                        _ => longer.push((tokens.iter().copied().chain([token]).collect(), p)),
                    }
                }
            }
            open = longer;
        }
        ended
    }

    #[test]
    fn a_beam_that_holds_everything_finds_the_best_there_is() {
        let n_best = 5;
        for length_penalty in [0.0, 0.6, 1.5] {
            // 2^6 hypotheses are open at the end.
            let found = run(&Search::Beam { width: 200, length_penalty, n_best }, 6);
            let mut all: Vec<_> = all(6)
                .into_iter()
                .map(|(tokens, p)| (p.ln() / penalty(tokens.len() + 1, length_penalty), tokens))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            assert_eq!(found.len(), n_best);
            for (found, (best, _)) in found.iter().zip(&all) {
                // Of those that are as good, any.
                let (normalized, _) = all.iter().find(|(_, tokens)| *tokens == found.tokens).unwrap();
                let close = |other: &f64| (found.normalized - other).abs() < 1e-6;
                assert!(found.finished && close(normalized) && close(best), "{found:?}, not {best}");
            }
            let mut tokens: Vec<_> = found.iter().map(|found| &found.tokens).collect();
            tokens.sort();
            tokens.dedup();
            assert_eq!(tokens.len(), n_best);
        }
    }

    #[test]
    fn a_wider_beam_finds_what_greed_misses() {
        // Greed: 0.55 · 0.4 · 0.9 · 0.4 · …, a circle without an end.
        let [greedy] = run(&Search::Greedy, 4).try_into().unwrap();
        assert_eq!((greedy.tokens.as_slice(), greedy.finished), ([1, 2, 1, 2].as_slice(), false));
        let p: f64 = [0.55f32, 0.4, 0.9, 0.4].iter().map(|&p| f64::from(p).ln()).sum();
        assert!((greedy.score - p).abs() < 1e-6);
        assert_eq!(greedy.target(), greedy.tokens);
        let [found] = run(&Search::Beam { width: 3, length_penalty: 0.0, n_best: 1 }, 4).try_into().unwrap();
        assert_eq!((found.target(), found.finished), (vec![1, 0], true));
        assert!((found.score - (0.55f64 * 0.3).ln()).abs() < 1e-6);
    }

    #[test]
    fn drawn_outputs_have_their_probability() {
        let mut ended = 0;
        for seed in 0..50 {
            let sampling = Sampling { seed, ..Sampling::default() };
            let [drawn] = run(&Search::Sample(sampling), 5).try_into().unwrap();
            assert!(drawn.target().len() <= 5 && drawn.finished == (drawn.target().last() == Some(&END)));
            if drawn.finished {
                ended += 1;
                let (_, p) = all(5).into_iter().find(|(tokens, _)| *tokens == drawn.tokens).unwrap();
                assert!((drawn.score - p.ln()).abs() < 1e-6, "{drawn:?}: {p}");
            }
        }
        assert!((10..50).contains(&ended), "{ended} of 50 ended");
    }

    #[test]
    fn the_highest_come_first_and_of_equal_ones_the_first() {
        assert_eq!(highest(&[1.0, 3.0, 2.0, 3.0], 3), [1, 3, 2]);
        assert_eq!(highest(&[1.0, 1.0], 1), [0]);
        assert_eq!(highest(&[1.0, 2.0], 5), [1, 0]);
    }

    #[test]
    fn a_search_out_of_range_is_refused() {
        let beam = |width, length_penalty, n_best| Search::Beam { width, length_penalty, n_best };
        for (search, parts) in [
            (beam(0, 0.0, 1), ["0 wide", "give 1 to 1000"]),
            (beam(1001, 0.0, 1), ["1001 wide", "give 1 to 1000"]),
            (beam(3, 0.0, 4), ["4 hypotheses", "1 to 3"]),
            (beam(3, 0.0, 0), ["0 hypotheses", "1 to 3"]),
            (beam(3, -1.0, 1), ["length penalty is -1", "give 0"]),
            (beam(3, f64::NAN, 1), ["length penalty is NaN", "give 0"]),
            (Search::Sample(Sampling { top_k: Some(0), ..Sampling::default() }), ["top-k is 0", "give 1"]),
        ] {
            assert_says(search.check(), &parts);
        }
    }

    #[test]
    fn output_that_is_not_finite_is_refused() {
        let mut beam = Beam::new(&Search::Greedy, 3, 1).unwrap();
        let said = beam.grow(0, &Rows { values: vec![0.0, f32::NAN], d: 2 }, None);
        assert_says(said, &["not finite after 0 tokens"]);
    }
}
