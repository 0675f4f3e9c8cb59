//! Text from a language model, one token after the other.

use crate::data::Input;
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
use crate::model::{Model, Sampler, Sampling};
use burn::tensor::{Int, Tensor, TensorData};

/// Tokens of the prompt that are read at once: what the head says of each is held until then.
const CHUNK: usize = 1024;

/// Continues `prompt`, one token or more, by `n` tokens: each goes to `sink` as soon as it is
/// drawn, with the logits it was drawn from, `[V]`.
///
/// # Errors
/// Those of [`Sampling::check`] and of `sink`; logits that are not finite.
pub(super) fn generate<B: RecurrentBackend>(
    model: &Model<B>,
    prompt: &[u32],
    n: usize,
    sampling: &Sampling,
    device: &B::Device,
    mut sink: impl FnMut(u32, &[f32]) -> Result<()>,
) -> Result<()> {
    let mut sampler = Sampler::new(sampling)?;
    let mut state = None;
    // The logits after the last of these tokens.
    let mut read = |tokens: &[u32]| -> Vec<f32> {
        let ids = tokens.iter().map(|&token| i64::from(token)).collect();
        let ids: Tensor<B, 2, Int> = Tensor::from_data(TensorData::new(ids, [1, tokens.len()]), device);
        let said = model.predict(Input::Tokens(ids), None, state.take(), None);
        state = Some(said.state);
        let last = said.output.slice([0..1, tokens.len() - 1..tokens.len()]);
        last.into_data().convert::<f32>().to_vec().expect("outputs are floats")
    };
    let mut logits = Vec::new();
    for chunk in prompt.chunks(CHUNK) {
        logits = read(chunk);
    }
    for left in (0..n).rev() {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::Input(format!(
                "the model's output is not finite after {} tokens: its weights are damaged, or training failed",
                n - left - 1
            )));
        }
        let token = sampler.draw(&logits);
        sink(token, &logits)?;
        if left > 0 {
            logits = read(&[token]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CellKind, IoMode, ModelConfig};
    use crate::data::tests::assert_says;
    use burn::backend::Flex;

    /// A model of 30 tokens whose logits differ enough to matter.
    fn model<B: RecurrentBackend>(cell: CellKind) -> Model<B> {
        let config = ModelConfig {
            vocabulary: Some(30),
            d_embedding: Some(12),
            d_output: Some(30),
            n_layers: 2,
            ..ModelConfig::new(IoMode::ManyToMany, cell, 24)
        };
        Model::new(&config, 4, &Default::default()).unwrap()
    }

    type Written = (Vec<u32>, Vec<Vec<f32>>);

    fn written<B: RecurrentBackend>(
        model: &Model<B>,
        prompt: &[u32],
        n: usize,
        sampling: &Sampling,
    ) -> Written {
        let (mut tokens, mut logits) = (Vec::new(), Vec::new());
        generate(model, prompt, n, sampling, &Default::default(), |token, of| {
            tokens.push(token);
            logits.push(of.to_vec());
            Ok(())
        })
        .unwrap();
        (tokens, logits)
    }

    #[test]
    fn logits_are_those_of_one_pass_over_the_whole_text() {
        for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
            let model = model::<Flex>(cell);
            // A prompt longer than what is read at once.
            let prompt: Vec<u32> = (0..CHUNK as u32 + 40).map(|k| k * k % 30).collect();
            let (tokens, logits) = written(&model, &prompt, 25, &Sampling::default());
            let text: Vec<i64> = prompt.iter().chain(&tokens[..24]).map(|&token| token.into()).collect();
            let n = text.len();
            let text = Tensor::<Flex, 2, Int>::from_data(TensorData::new(text, [1, n]), &Default::default());
            let whole = model.predict(Input::Tokens(text), None, None, None).output;
            let whole: Vec<f32> = whole.slice([0..1, n - 25..n]).into_data().to_vec().unwrap();
            assert_eq!(whole.len(), 25 * 30);
            let differ = logits.concat().iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(differ < 1e-5, "{cell:?}: they differ by {differ}");
        }
    }

    #[test]
    fn a_seed_gives_one_text_on_every_backend() {
        let sampling = Sampling { temperature: 0.5, top_k: Some(20), top_p: 0.9, seed: 5 };
        let text = |seed| {
            written(&model::<Flex>(CellKind::Lstm), &[3], 1000, &Sampling { seed, ..sampling.clone() }).0
        };
        let first = text(5);
        assert!(first == text(5) && first != text(6));
        #[cfg(feature = "ndarray")]
        assert_eq!(written(&model::<burn_ndarray::NdArray>(CellKind::Lstm), &[3], 1000, &sampling).0, first);
    }

    #[test]
    fn a_sink_that_fails_ends_the_text() {
        let mut left = 3;
        let said = generate(
            &model::<Flex>(CellKind::Rnn),
            &[3],
            9,
            &Sampling::default(),
            &Default::default(),
            |_, _| {
                left -= 1;
                if left > 0 { Ok(()) } else { Err(Error::Input("enough".into())) }
            },
        );
        assert_says(said, &["enough"]);
        assert_eq!(left, 0);
    }

    #[test]
    fn output_that_is_not_finite_is_refused() {
        let mut broken = model::<Flex>(CellKind::Gru);
        if let Model::Sequence(model) = &mut broken {
            let layer = &mut model.stack.layers[1];
            layer.weight_hh = layer.weight_hh.clone().map(|weight| weight * f32::NAN);
        }
        let said = generate(&broken, &[3], 5, &Sampling::default(), &Default::default(), |_, _| Ok(()));
        assert_says(said, &["not finite after 0 tokens"]);
    }
}
