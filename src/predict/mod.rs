//! A trained model in use: whole sequences, streams, text, raw tensors, scores. The backend is behind
//! [`Predictor`], so that a program that uses a model needs no type parameter.

mod draw;
mod generate;
mod inspect;
mod language;
mod raw;
mod write;

pub use draw::Drawn;
pub use inspect::{Inspection, Surprise};
pub use raw::{Array, RawInput, RawOutput};
pub use write::Written;

pub use crate::model::{Hypothesis, Sampling, Search};

use crate::artifact::{self, ModelFolder, NamedTensor, Precision, RecordFormat, named_tensors};
use crate::backend::{DeviceInfo, Task, TrainBackend};
use crate::config::IoMode;
use crate::data::split::unstandardize;
use crate::data::{Batch, Features, Input, Sample, SampleInput, SampleTarget, Samples, Season, TargetSchema};
use crate::error::{Error, Result};
use crate::kernel::RecurrentBackend;
#[cfg(doc)]
use crate::model::EncoderDecoder;
use crate::model::{END, Model};
use crate::recurrent::RecurrentState;
use crate::train::{self, Confusion, Criterion, Score};
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use language::Language;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Sequences that are run at once.
const BATCH: usize = 64;

/// Steps that a model writes at most.
const MAX_STEPS: usize = 1_000_000;

/// Missing readings that a stream steps over, to whole seasons.
const MAX_MISSING: usize = 1000;

/// What a model says of one sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One class, and the probability of each, most probable first.
    Class(Vec<(String, f64)>),
    /// A class a step and its probability.
    Labels(Vec<(String, f64)>),
    /// Values a step, in the data's own units.
    Values(Features),
    /// Texts, the best first.
    Texts(Vec<Written>),
    /// Drawings, the best first.
    Drawings(Vec<Drawn>),
    /// The answer to each of several tasks, by name.
    Tasks(Vec<(String, Answer)>),
}

impl Answer {
    /// The class, or the classes one after the other, or the text; `None` for values and drawings.
    pub fn label(&self) -> Option<String> {
        match self {
            Self::Class(classes) => classes.first().map(|(label, _)| label.clone()),
            Self::Labels(steps) => Some(steps.iter().map(|(label, _)| label.as_str()).collect()),
            Self::Texts(texts) => texts.first().map(|written| written.text.clone()),
            Self::Drawings(_) | Self::Values(_) | Self::Tasks(_) => None,
        }
    }
}

/// A trained model on some backend.
pub trait Predictor {
    /// What the model is.
    fn folder(&self) -> &ModelFolder;

    /// Its weights.
    fn weights(&self) -> Vec<NamedTensor>;

    /// The names and shapes of its weights.
    fn shapes(&self) -> Vec<(String, Vec<usize>)>;

    /// One answer an input. Inputs are as a reader of [`data`](crate::data) gives them:
    /// standardised, encoded.
    ///
    /// `n_steps` bounds what a one-to-many or encoder–decoder model writes; by default its
    /// `max_steps`.
    ///
    /// # Errors
    /// An input that does not fit the model: other channels, a token outside the vocabulary, a
    /// value that is not finite, no step at all.
    fn predict(&self, inputs: &[SampleInput], n_steps: Option<usize>) -> Result<Vec<Answer>>;

    /// What an encoder–decoder, or a one-to-many model of tokens, writes for each input, best first: see
    /// [`EncoderDecoder::search`]. Inputs are as for [`predict`](Self::predict), and so is `n_steps`.
    ///
    /// # Errors
    /// Another model; those of [`predict`](Self::predict), of [`Search::check`], and output that is not finite.
    fn search(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Hypothesis>>>;

    /// The outputs that a search finds for each input, best first.
    ///
    /// # Errors
    /// A model that writes no tokens; those of [`Predictor::predict`] and of [`Search::check`].
    fn write(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Written>>>;

    /// The drawings that a search finds for each picture, best first.
    ///
    /// # Errors
    /// A model that draws nothing; those of [`Predictor::predict`] and of [`Search::check`].
    fn draw(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Drawn>>>;

    /// Runs on tensors as they are.
    ///
    /// # Errors
    /// Tensors that do not fit the model.
    fn run(&self, input: &RawInput, n_steps: Option<usize>) -> Result<RawOutput>;

    /// A stream from a state of zeros: one reading in, one answer out.
    ///
    /// # Errors
    /// A model whose mode needs a whole sequence.
    fn stream(&self) -> Result<Box<dyn Stream + '_>>;

    /// Continues a text by `n` tokens. Each goes to `sink` as soon as it is drawn; the prompt does
    /// not. The prompt starts a line: where the vocabulary has a newline, that is read first. Where it has none
    /// and the prompt is empty, the vocabulary's first token is.
    ///
    /// # Errors
    /// A model that is no language model: its mode is not many-to-many, it is bidirectional, it
    /// reads features, or it writes other tokens than it reads. A prompt outside its vocabulary.
    /// Those of [`Sampling::check`] and of `sink`.
    fn generate(
        &self,
        prompt: &str,
        n: usize,
        sampling: &Sampling,
        sink: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()>;

    /// The scores of samples.
    fn score(&self, samples: &Samples, split: &str) -> Result<Vec<Score>>;

    /// Which class was taken for which.
    ///
    /// # Errors
    /// A model that says values, or too many classes; a sample that does not fit it.
    fn confusion(&self, samples: &Samples, split: &str) -> Result<Confusion>;

    /// What the hidden units of a layer do over a text, and how much each token surprises the model.
    /// Layers are counted from 0; by default it is the last. The text starts a line, as in
    /// [`generate`](Self::generate).
    ///
    /// # Errors
    /// A model that is no language model, in one direction; a text that it cannot read; no such layer.
    fn inspect(&self, text: &str, layer: Option<usize>) -> Result<Inspection>;

    /// Writes the model to a new folder, its record in `format` and `precision`. The scores stay those of the weights
    /// that it has here.
    ///
    /// # Errors
    /// See [`artifact::save`].
    fn export(&self, folder: &Path, format: RecordFormat, precision: Precision) -> Result<()>;
}

/// A model that carries its state from reading to reading.
pub trait Stream {
    /// Reads one step, `[1, D]`, and answers.
    ///
    /// # Errors
    /// A reading that does not fit the model; the stream goes on from where it stood.
    fn step(&mut self, reading: &SampleInput) -> Result<Answer>;

    /// Goes on over `n` readings that are missing. What stands in for one is the reading a season before it where the
    /// model has a `season` and has read so much, else the last reading; before any reading nothing happens.
    ///
    /// Of more than 1000, whole seasons are left out, so that what follows keeps its place in the season.
    fn skip(&mut self, n: usize);
}

/// Loads a model folder, or the model of a run folder, onto a device.
///
/// # Errors
/// See [`artifact::load`].
pub fn load(folder: impl AsRef<Path>, device: &DeviceInfo) -> Result<Box<dyn Predictor>> {
    // Not generic, or every program that calls it would compile the models again.
    fn of_path(folder: &Path, device: &DeviceInfo) -> Result<Box<dyn Predictor>> {
        device.run(Load(folder.into()))
    }
    of_path(folder.as_ref(), device)
}

struct Load(PathBuf);

impl Task for Load {
    type Output = Result<Box<dyn Predictor>>;

    fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output {
        let (folder, model) = artifact::load::<B::InnerBackend>(&self.0, &device)?;
        let season = Season::of(&folder.config.data, &folder.schema)?;
        Ok(Box::new(Loaded { folder, model, device, season }))
    }
}

struct Loaded<B: RecurrentBackend> {
    folder: ModelFolder,
    model: Model<B>,
    device: B::Device,
    /// Of a model of differences.
    season: Option<Season>,
}

/// The values that sequences have been read with, `[B, T, D]`, and their valid steps.
struct Read {
    values: Vec<f32>,
    n_steps: usize,
    lengths: Option<Vec<usize>>,
}

impl<B: RecurrentBackend> Loaded<B> {
    fn check(&self, input: &SampleInput) -> Result<()> {
        self.folder.schema.check_input(self.folder.config.model.mode, input)
    }

    /// One answer an input, in their order.
    fn in_batches<T>(
        &self,
        inputs: &[SampleInput],
        answer: impl Fn(Batch<B>) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        inputs.iter().try_for_each(|input| self.check(input))?;
        // Equal lengths together, so that little is padding.
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.sort_by_key(|&k| inputs[k].steps());
        let mut answers = Vec::with_capacity(inputs.len());
        for chunk in order.chunks(BATCH) {
            let samples: Vec<Sample> = chunk
                .iter()
                .map(|&k| Sample { input: inputs[k].clone(), target: SampleTarget::Class(0) })
                .collect();
            let batch = Batch::<B>::new(&samples.iter().collect::<Vec<_>>(), None, &self.device);
            answers.extend(chunk.iter().zip(answer(batch)?));
        }
        answers.sort_by_key(|(k, _)| **k);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    /// What a model of differences needs to know of a batch.
    fn read(&self, batch: &Batch<B>) -> Option<Read> {
        let Input::Features(input) = &batch.input else { return None };
        let n_steps = input.dims()[1];
        let read = || Read { values: floats(input.clone()), n_steps, lengths: batch.input_lengths.clone() };
        self.season.as_ref().map(|_| read())
    }

    /// The answers in a head's output, `[B, T, O]`.
    fn answers(&self, output: Tensor<B, 3>, lengths: Option<&[usize]>, read: Option<&Read>) -> Vec<Answer> {
        let [batch, n_steps, d] = output.dims();
        let target = &self.folder.schema.target;
        let values = if matches!(target, TargetSchema::Features { .. }) {
            floats(output)
        } else {
            probabilities(output)
        };
        (0..batch)
            .map(|b| {
                let valid = lengths.map_or(n_steps, |lengths| lengths[b]);
                let rows = &values[b * n_steps * d..][..valid * d];
                match target {
                    TargetSchema::Tasks { .. } => unreachable!("a multi-task model has an output a task"),
                    TargetSchema::Class { labels } => ranked(labels, rows),
                    TargetSchema::Tokens { labels } => {
                        let steps = rows.chunks_exact(d).map(|row| best(labels, row));
                        // A model that decides where to end says so with a symbol of its own.
                        let ends = matches!(self.model, Model::EncoderDecoder(_));
                        Answer::Labels(
                            steps.take_while(|(k, _)| !ends || *k != END as usize).map(|(_, s)| s).collect(),
                        )
                    }
                    TargetSchema::Text(_) | TargetSchema::Drawing(_) => {
                        unreachable!("texts and drawings are searched for")
                    }
                    TargetSchema::Features { scales, .. } => {
                        let mut data = rows.to_vec();
                        if let (Some(season), Some(Read { values, n_steps, lengths })) = (&self.season, read)
                        {
                            let read = &values[b * (values.len() / batch)..][..values.len() / batch];
                            // The last answer is given after the last step.
                            let first = lengths.as_ref().map_or(*n_steps, |lengths| lengths[b]) - valid;
                            season.add(&mut data, d, read, first);
                        }
                        unstandardize(&mut data, scales);
                        Answer::Values(Features { data: data.into(), channels: d })
                    }
                }
            })
            .collect()
    }

    /// The answers of a multi-task model, given each task's output.
    fn task_answers(&self, outputs: Vec<Tensor<B, 3>>, lengths: Option<&[usize]>) -> Vec<Answer> {
        let TargetSchema::Tasks { tasks } = &self.folder.schema.target else {
            unreachable!("a multi-task model has a schema of tasks")
        };
        let mut all: Vec<Vec<(String, Answer)>> = Vec::new();
        for (output, task) in outputs.into_iter().zip(tasks) {
            let [batch, n_steps, d] = output.dims();
            all.resize_with(batch, Vec::new);
            let values = probabilities(output);
            for (b, answers) in all.iter_mut().enumerate() {
                let valid = lengths.filter(|_| task.aligned).map_or(n_steps, |lengths| lengths[b]);
                let rows = &values[b * n_steps * d..][..valid * d];
                let answer = if task.aligned {
                    Answer::Labels(rows.chunks_exact(d).map(|row| best(&task.labels, row).1).collect())
                } else {
                    ranked(&task.labels, rows)
                };
                answers.push((task.name.clone(), answer));
            }
        }
        all.into_iter().map(Answer::Tasks).collect()
    }

    fn check_steps(&self, n_steps: Option<usize>) -> Result<()> {
        let config = &self.folder.config.model;
        let writes = matches!(config.mode, IoMode::OneToMany | IoMode::EncoderDecoder);
        match n_steps.or(config.max_steps) {
            None if writes => Err(Error::Input(
                "how many steps to write is not known: give it, or set model.max_steps".into(),
            )),
            Some(n) if !(1..=MAX_STEPS).contains(&n) => {
                Err(Error::Input(format!("{n} steps cannot be written: give 1 to {MAX_STEPS}")))
            }
            _ => Ok(()),
        }
    }
}

impl<B: RecurrentBackend> Predictor for Loaded<B> {
    fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    fn weights(&self) -> Vec<NamedTensor> {
        named_tensors(&self.model)
    }

    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        artifact::shapes(&self.model)
    }

    fn predict(&self, inputs: &[SampleInput], n_steps: Option<usize>) -> Result<Vec<Answer>> {
        match self.folder.schema.target {
            TargetSchema::Text(_) => {
                let texts = self.write(inputs, &train::usual_search(), n_steps)?;
                return Ok(texts.into_iter().map(Answer::Texts).collect());
            }
            TargetSchema::Drawing(_) => {
                let drawings = self.draw(inputs, &train::usual_search(), n_steps)?;
                return Ok(drawings.into_iter().map(Answer::Drawings).collect());
            }
            _ => {}
        }
        self.check_steps(n_steps)?;
        self.in_batches(inputs, |batch| {
            let lengths = batch.input_lengths.as_deref();
            if let Model::MultiTask(model) = &self.model {
                let (outputs, _) = model.forward(batch.input, lengths, None);
                return Ok(self.task_answers(outputs, lengths));
            }
            let read = self.read(&batch);
            let said = self.model.predict(batch.input, lengths, None, n_steps);
            Ok(self.answers(said.output, said.lengths.as_deref(), read.as_ref()))
        })
    }

    fn search(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Hypothesis>>> {
        let Model::EncoderDecoder(model) = &self.model else {
            return Err(Error::Input(
                "only an encoder-decoder model searches for its output: predict with this one".into(),
            ));
        };
        search.check()?;
        self.check_steps(n_steps)?;
        let n_steps = n_steps.or(self.folder.config.model.max_steps).expect("checked: the steps are known");
        self.in_batches(inputs, |batch| {
            model.search(batch.input, batch.input_lengths.as_deref(), search, n_steps)
        })
    }

    fn write(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Written>>> {
        self.write_texts(inputs, search, n_steps)
    }

    fn draw(
        &self,
        inputs: &[SampleInput],
        search: &Search,
        n_steps: Option<usize>,
    ) -> Result<Vec<Vec<Drawn>>> {
        self.drawings(inputs, search, n_steps)
    }

    fn run(&self, input: &RawInput, n_steps: Option<usize>) -> Result<RawOutput> {
        self.check_steps(n_steps)?;
        raw::run(&self.model, input, n_steps, &self.device)
    }

    fn stream(&self) -> Result<Box<dyn Stream + '_>> {
        let mode = self.folder.config.model.mode;
        if !matches!(mode, IoMode::OneToOne | IoMode::ManyToMany) || self.folder.config.model.bidirectional {
            return Err(Error::Input(
                "the model needs a whole sequence: only one-to-one and one-directional many-to-many models stream".into(),
            ));
        }
        Ok(Box::new(Live { loaded: self, state: None, readings: VecDeque::new() }))
    }

    fn generate(
        &self,
        prompt: &str,
        n: usize,
        sampling: &Sampling,
        sink: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        self.check_steps(Some(n))?;
        let language = Language::of(&self.folder)?;
        let mut writer = language.writer(prompt);
        let prompt = language.encode(prompt).map_err(|e| Error::Input(format!("the prompt: {e}")))?;
        let mut prompt: Vec<u32> = language.line_end().into_iter().chain(prompt).collect();
        if prompt.is_empty() {
            prompt.push(0);
        }
        generate::generate(&self.model, &prompt, n, sampling, &self.device, |token, _| {
            sink(&writer.add(token))
        })
    }

    fn score(&self, samples: &Samples, split: &str) -> Result<Vec<Score>> {
        let config = &self.folder.config;
        samples.iter().try_for_each(|sample| self.folder.schema.check_sample(config.model.mode, &sample))?;
        let mut resolved = config.clone();
        crate::model::resolve(&mut resolved.model, &self.folder.schema)?;
        let criterion = Criterion::new(&resolved, &self.folder.schema)?;
        let tally = train::score(&self.model, samples, &config.train, &criterion, &self.device);
        let mut scores = tally.scores(config, split);
        scores.extend(train::text_scores(
            &self.model,
            samples,
            (config, &self.folder.schema),
            split,
            &self.device,
        )?);
        Ok(scores)
    }

    fn confusion(&self, samples: &Samples, split: &str) -> Result<Confusion> {
        let config = &self.folder.config;
        let schema = &self.folder.schema;
        samples.iter().try_for_each(|sample| schema.check_sample(config.model.mode, &sample))?;
        Confusion::of(&self.model, &schema.target, split, samples, &config.train, &self.device)
    }

    fn inspect(&self, text: &str, layer: Option<usize>) -> Result<Inspection> {
        inspect::inspect(&self.model, &self.folder, text, layer, &self.device)
    }

    fn export(&self, folder: &Path, format: RecordFormat, precision: Precision) -> Result<()> {
        let mut contents = self.folder.clone();
        (contents.manifest.record, contents.manifest.precision) = (format, precision);
        artifact::save(folder, &contents, self.model.clone())
    }
}

fn floats<B: RecurrentBackend>(output: Tensor<B, 3>) -> Vec<f32> {
    output.into_data().convert::<f32>().to_vec().expect("outputs are floats")
}

fn probabilities<B: RecurrentBackend>(output: Tensor<B, 3>) -> Vec<f32> {
    floats(softmax(output, 2))
}

/// All labels with their probability, most probable first.
fn ranked(labels: &[String], row: &[f32]) -> Answer {
    let mut classes: Vec<(String, f64)> =
        labels.iter().cloned().zip(row.iter().map(|&p| f64::from(p))).collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1));
    Answer::Class(classes)
}

/// The most probable class, its label and its probability.
fn best(labels: &[String], row: &[f32]) -> (usize, (String, f64)) {
    let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("a row has a class");
    (best, (labels[best].clone(), f64::from(row[best])))
}

struct Live<'a, B: RecurrentBackend> {
    loaded: &'a Loaded<B>,
    state: Option<RecurrentState<B>>,
    /// The last readings: of a model of differences as many as it goes back, else one.
    readings: VecDeque<SampleInput>,
}

impl<B: RecurrentBackend> Live<'_, B> {
    /// What the network says of a reading that fits it.
    fn advance(&mut self, reading: SampleInput) -> Tensor<B, 3> {
        let sample = Sample { input: reading, target: SampleTarget::Class(0) };
        let batch = Batch::<B>::new(&[&sample], None, &self.loaded.device);
        let said = self.loaded.model.predict(batch.input, None, self.state.take(), None);
        self.state = Some(said.state);
        if self.readings.len() >= self.loaded.season.as_ref().map_or(1, Season::rows) {
            self.readings.pop_front();
        }
        self.readings.push_back(sample.input);
        said.output
    }
}

impl<B: RecurrentBackend> Stream for Live<'_, B> {
    fn step(&mut self, reading: &SampleInput) -> Result<Answer> {
        self.loaded.check(reading)?;
        if reading.steps() != 1 {
            return Err(Error::Input(format!("a reading is one step, this one has {}", reading.steps())));
        }
        let output = self.advance(reading.clone());
        let read = self.loaded.season.as_ref().map(|_| {
            let values = self.readings.iter().flat_map(|reading| match reading {
                SampleInput::Features(row) => row.data.as_slice(),
                _ => unreachable!("a model of differences reads values"),
            });
            Read { values: values.copied().collect(), n_steps: self.readings.len(), lengths: None }
        });
        Ok(self.loaded.answers(output, None, read.as_ref()).remove(0))
    }

    fn skip(&mut self, n: usize) {
        let season = self.loaded.season.as_ref().map_or(1, Season::period);
        let whole = (MAX_MISSING / season).max(1) * season;
        let n = if n > whole { whole + (n - whole) % season } else { n };
        for _ in 0..n {
            let back = if self.readings.len() < season { 1 } else { season };
            let Some(at) = self.readings.len().checked_sub(back) else { return };
            let stand_in = self.readings[at].clone();
            self.advance(stand_in);
        }
    }
}
