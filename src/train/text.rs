//! Scores of models that write texts, or draw: what they find, held against what there is.

use super::drawing;
use super::score::{Score, references, written};
use crate::config::Config;
use crate::data::target_text::TargetText;
use crate::data::{Batch, InputSchema, Sample, SampleInput, SampleTarget, Samples, Schema, TargetSchema};
use crate::error::Result;
use crate::kernel::RecurrentBackend;
use crate::model::{EncoderDecoder, Hypothesis, Model, Search};

/// Sequences that are searched at once.
const BATCH: usize = 32;

/// Hypotheses of the beam that scores are of.
const WIDTH: usize = 5;

/// How the texts that are scored are found.
pub fn usual_search() -> Search {
    Search::Beam { width: WIDTH, length_penalty: 1.0, n_best: 1 }
}

/// The outputs that a search finds for each input, in the inputs' order.
fn search<B: RecurrentBackend>(
    model: &EncoderDecoder<B>,
    inputs: &[SampleInput],
    search: &Search,
    n_steps: usize,
    device: &B::Device,
) -> Result<Vec<Vec<Hypothesis>>> {
    // Equal lengths together, so that little is padding.
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&k| inputs[k].steps());
    let mut found = Vec::with_capacity(inputs.len());
    for chunk in order.chunks(BATCH) {
        let sample =
            |&k: &usize| Sample { input: inputs[k].clone(), target: SampleTarget::Tokens(vec![0].into()) };
        let samples: Vec<Sample> = chunk.iter().map(sample).collect();
        let batch = Batch::<B>::new(&samples.iter().collect::<Vec<_>>(), None, device);
        let all = model.search(batch.input, batch.input_lengths.as_deref(), search, n_steps)?;
        found.extend(chunk.iter().copied().zip(all));
    }
    found.sort_by_key(|(k, _)| *k);
    Ok(found.into_iter().map(|(_, all)| all).collect())
}

/// BLEU and ROUGE-L, in percent, of what a model of texts writes for samples; how near a model of drawings comes to them;
/// nothing for any other model.
///
/// What is written of attributes is held against the texts of all samples that have them: ROUGE-L is of the one that is
/// closest, and upper and lower case are the same to BLEU, as in `mteval-v13a`, by which E2E's figures are.
///
/// # Errors
/// Output that is not finite.
pub(crate) fn text_scores<B: RecurrentBackend>(
    model: &Model<B>,
    samples: &Samples,
    (config, schema): (&Config, &Schema),
    split: &str,
    device: &B::Device,
) -> Result<Vec<Score>> {
    let Model::EncoderDecoder(model) = model else { return Ok(Vec::new()) };
    let n_steps = config.model.max_steps;
    let sub_words = match &schema.target {
        TargetSchema::Text(sub_words) => sub_words,
        &TargetSchema::Drawing(grid) => {
            let inputs: Vec<SampleInput> = samples.iter().map(|sample| sample.input.clone()).collect();
            let n_steps = n_steps.expect("a model of drawings has it");
            let found = search(model, &inputs, &usual_search(), n_steps, device)?;
            let strokes =
                |all: &Vec<Hypothesis>| all.first().map_or(Vec::new(), |best| grid.decode(&best.tokens));
            let said: Vec<_> = found.iter().map(strokes).collect();
            return Ok(drawing::scores(&said, samples, grid, config, split));
        }
        _ => return Ok(Vec::new()),
    };
    let texts = TargetText::of(&schema.target)?;
    let together = matches!(schema.input, InputSchema::Attributes { .. });
    let (inputs, references) = references(samples);
    let n_steps = n_steps.expect("a model of texts has it");
    let found = search(model, &inputs, &usual_search(), n_steps, device)?;
    let said: Vec<String> = found
        .iter()
        .zip(&inputs)
        .map(|(all, input)| all.first().map_or(String::new(), |h| texts.text_for(input, &h.tokens)))
        .collect();
    Ok(written(&said, &references, sub_words.lowercase || together, config, split))
}
