//! Scores of models that write texts: the texts that they find, held against those that there are.

use super::bleu::bleu;
use super::rouge::rouge;
use super::score::Score;
use crate::config::Config;
use crate::data::target_text::TargetText;
use crate::data::{Batch, Sample, SampleInput, SampleTarget, Schema, TargetSchema};
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
    inputs: &[&SampleInput],
    search: &Search,
    n_steps: usize,
    device: &B::Device,
) -> Result<Vec<Vec<Hypothesis>>> {
    // Equal lengths together, so that little is padding.
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_by_key(|&k| inputs[k].steps());
    let mut found = Vec::with_capacity(inputs.len());
    for chunk in order.chunks(BATCH) {
        let sample = |&k: &usize| Sample { input: inputs[k].clone(), target: SampleTarget::Tokens(vec![0]) };
        let samples: Vec<Sample> = chunk.iter().map(sample).collect();
        let batch = Batch::<B>::new(&samples.iter().collect::<Vec<_>>(), None, device);
        let all = model.search(batch.input, batch.input_lengths.as_deref(), search, n_steps)?;
        found.extend(chunk.iter().copied().zip(all));
    }
    found.sort_by_key(|(k, _)| *k);
    Ok(found.into_iter().map(|(_, all)| all).collect())
}

/// BLEU and ROUGE-L, in percent, of what a model of texts writes for samples; nothing for any other model.
///
/// # Errors
/// Output that is not finite.
pub(crate) fn text_scores<B: RecurrentBackend>(
    model: &Model<B>,
    samples: &[Sample],
    (config, schema): (&Config, &Schema),
    split: &str,
    device: &B::Device,
) -> Result<Vec<Score>> {
    let (Model::EncoderDecoder(model), TargetSchema::Text(sub_words)) = (model, &schema.target) else {
        return Ok(Vec::new());
    };
    let texts = TargetText::of(&schema.target)?;
    let inputs: Vec<&SampleInput> = samples.iter().map(|sample| &sample.input).collect();
    let n_steps = config.model.max_steps.expect("a model of texts has it");
    let found = search(model, &inputs, &usual_search(), n_steps, device)?;
    let said: Vec<String> =
        found.iter().map(|all| all.first().map_or(String::new(), |h| texts.text(&h.tokens))).collect();
    let truth = |sample: &Sample| match &sample.target {
        SampleTarget::Text { text, .. } => text.clone(),
        _ => String::new(),
    };
    let truths: Vec<String> = samples.iter().map(truth).collect();
    let references: Vec<Vec<String>> = truths.iter().map(|text| vec![text.clone()]).collect();
    let score = |metric: &str, value| Score {
        model: config.name.clone(),
        split: split.into(),
        metric: metric.into(),
        value,
        n: samples.len(),
    };
    Ok(vec![
        score("bleu", bleu(&said, &references, sub_words.lowercase)),
        score("rouge-l", rouge(&said, &truths).l),
    ])
}
