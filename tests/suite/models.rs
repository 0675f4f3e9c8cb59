//! Models in every mode: shapes, lengths, pooling, losses by hand, feedback, and the same weights
//! on every backend and through every format.

use crate::support::*;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use rnn_zoo::artifact::{self, Manifest, ModelFolder, Precision, RecordFormat, named_tensors};
use rnn_zoo::backend::{Task, TrainBackend};
use rnn_zoo::config::{
    AttentionScore, CellKind, CharactersConfig, Config, Feedback, GruReset, HiddenActivation, Initialization,
    IoMode, Kernel, Loss, ModelConfig, OptimizerKind, OutputActivation, Pooling, TrainConfig,
};
use rnn_zoo::data::{
    Batch, Dataset, Features, Input, InputSchema, Sample, SampleInput, SampleTarget, Samples, Schema, Target,
    TargetSchema,
};
use rnn_zoo::error::Error;
use rnn_zoo::model::{Model, Objective};
use rnn_zoo::predict::{self, Array, RawInput};
use rnn_zoo::train;

const CELLS: [CellKind; 3] = [CellKind::Rnn, CellKind::Lstm, CellKind::Gru];

fn config(mode: IoMode, cell: CellKind) -> ModelConfig {
    let forget_bias = (cell == CellKind::Lstm).then_some(1.0);
    ModelConfig {
        d_input: Some(3),
        d_output: Some(4),
        n_layers: 2,
        forget_bias,
        ..ModelConfig::new(mode, cell, 5)
    }
}

fn features(n_steps: usize, seed: u64) -> Features {
    Features { data: noise(n_steps * 3, seed).into(), channels: 3 }
}

/// Sequences of 4, 2 and 3 steps, with a target of the mode's kind.
fn samples(mode: IoMode) -> Vec<Sample> {
    [4, 2, 3]
        .into_iter()
        .zip(1..)
        .map(|(n, seed)| {
            let target = match mode {
                IoMode::ManyToOne => SampleTarget::Class(seed as u32),
                IoMode::OneToMany => {
                    SampleTarget::Features(Features { data: noise(4 * n, seed).into(), channels: 4 })
                }
                _ => SampleTarget::Tokens((0..n as u32).collect()),
            };
            let steps = if mode == IoMode::OneToMany { 1 } else { n };
            Sample { input: SampleInput::Features(features(steps, seed)), target }
        })
        .collect()
}

#[derive(Clone)]
struct Modes;

impl Task for Modes {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for cell in CELLS {
            for mode in [IoMode::OneToOne, IoMode::OneToMany, IoMode::ManyToOne, IoMode::ManyToMany] {
                let model = Model::<B>::new(&config(mode, cell), 1, &device).unwrap();
                let all = samples(mode);
                let batch = Batch::<B>::new(&all.iter().collect::<Vec<_>>(), None, &device);
                let output = model.forward(&batch);
                let n_steps = if mode == IoMode::ManyToOne { 1 } else { 4 };
                assert_eq!(output.dims(), [3, n_steps, 4], "{mode:?}");
                // A sample's output does not depend on what it is batched with.
                for (b, sample) in all.iter().enumerate() {
                    let alone = model.forward(&Batch::new(&[sample], None, &device));
                    let [_, valid, _] = alone.dims();
                    let got = output.clone().slice([b..b + 1, 0..valid]);
                    assert_close(&format!("{mode:?} {cell:?}"), &values(got), &values(alone));
                }
                let loss = if mode == IoMode::OneToMany { Loss::Mse } else { Loss::CrossEntropy };
                let objective = Objective { loss, label_smoothing: 0.0 };
                let grads = objective.loss(output, &batch.target, batch.target_lengths.as_deref()).backward();
                let grads = burn::optim::GradientsParams::from_grads(grads, &model);
                assert_eq!(
                    grads.len(),
                    named_tensors(&model).len(),
                    "{mode:?}: a parameter without a gradient"
                );
            }
        }
    }
}

#[test]
fn every_mode_runs_learns_and_ignores_its_neighbours() {
    on_each_backend(Modes);
}

#[derive(Clone)]
struct SpelledWords;

impl Task for SpelledWords {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let base = ModelConfig {
            vocabulary: Some(4),
            d_embedding: Some(3),
            d_output: Some(4),
            bidirectional: true,
            characters: Some(CharactersConfig { vocabulary: Some(6), d_embedding: 3, d_hidden: 2 }),
            ..ModelConfig::new(IoMode::ManyToMany, CellKind::Gru, 5)
        };
        let model = Model::<B>::new(&base, 1, &device).unwrap();
        let sample = |tokens: &[u32], spellings: &[&[u32]]| Sample {
            input: SampleInput::Words {
                tokens: tokens.to_vec().into(),
                spellings: spellings.iter().map(|s| s.to_vec()).collect(),
            },
            target: SampleTarget::Tokens(tokens.to_vec().into()),
        };
        let all = [
            sample(&[1, 0, 1, 3], &[&[1, 2], &[5], &[1, 2], &[3, 4, 5]]),
            sample(&[0, 2], &[&[2], &[0, 1, 2, 3]]),
            sample(&[0, 2], &[&[3], &[0, 1, 2, 3]]),
        ];
        let batch = Batch::<B>::new(&all.iter().collect::<Vec<_>>(), None, &device);
        let Input::Words(words) = &batch.input else { panic!("no words") };
        assert_eq!((words.characters.dims(), words.index.dims()), ([6, 4], [3, 4]));
        let output = model.forward(&batch);
        let row = |b: usize, n: usize| output.clone().slice([b..b + 1, 0..n]);
        for (b, sample) in all.iter().enumerate() {
            let alone = model.forward(&Batch::new(&[sample], None, &device));
            assert_close("a sentence alone", &values(row(b, alone.dims()[1])), &values(alone));
        }
        // Two unknown words are told apart by their spelling alone.
        let difference: f32 = values((row(1, 2) - row(2, 2)).abs()).iter().sum();
        assert!(difference > 1e-3, "{difference}");
        let grads = burn::optim::GradientsParams::from_grads(output.sum().backward(), &model);
        assert_eq!(grads.len(), named_tensors(&model).len(), "a parameter without a gradient");
    }
}

#[test]
fn spelled_words_ignore_their_neighbours_and_are_told_apart() {
    on_each_backend(SpelledWords);
}

#[test]
fn a_model_and_its_data_agree_on_spelling() {
    let schema = |characters: &[&str]| Schema {
        input: InputSchema::Words {
            vocabulary: ["<unk>", "a", "b"].map(String::from).to_vec(),
            characters: characters.iter().map(ToString::to_string).collect(),
            lowercase: false,
        },
        target: TargetSchema::Class { labels: vec!["x".into(), "y".into()] },
    };
    let model = |characters: Option<Option<usize>>| ModelConfig {
        d_embedding: Some(3),
        characters: characters.map(|vocabulary| CharactersConfig { vocabulary, d_embedding: 3, d_hidden: 2 }),
        ..ModelConfig::new(IoMode::ManyToOne, CellKind::Gru, 5)
    };
    let mut spelled = model(Some(None));
    rnn_zoo::model::resolve(&mut spelled, &schema(&["<unk>", "a"])).unwrap();
    assert_eq!(spelled.characters.unwrap().vocabulary, Some(2));
    for (mut model, schema, key, says) in [
        (model(None), schema(&["<unk>"]), "model.characters", "write d_embedding and d_hidden"),
        (model(Some(None)), schema(&[]), "model.characters", "leave it out"),
        (model(Some(Some(3))), schema(&["<unk>", "a"]), "model.characters.vocabulary", "is 3"),
    ] {
        match rnn_zoo::model::resolve(&mut model, &schema) {
            Err(Error::Config { key: found, message }) => {
                assert_eq!(found, key);
                assert!(message.contains(says), "{message}");
            }
            other => panic!("{key}: {other:?}"),
        }
    }
}

#[derive(Clone)]
struct PoolingByHand;

impl Task for PoolingByHand {
    type Output = ();

    /// Without a head the pooled vector is the output: compare with the many-to-many model of the
    /// same weights.
    fn run<B: TrainBackend>(self, device: B::Device) {
        let base = ModelConfig {
            d_input: Some(3),
            bidirectional: true,
            ..ModelConfig::new(IoMode::ManyToMany, CellKind::Gru, 5)
        };
        let lengths = [4, 2, 3];
        let x: Tensor<B, 3> = tensor(&noise(3 * 4 * 3, 9), [3, 4, 3], &device);
        let run = |config: &ModelConfig| {
            let model = Model::<B>::new(config, 1, &device).unwrap();
            let said = model.predict(Input::Features(x.clone()), Some(&lengths), None, None);
            (values(said.output), values(said.state.hidden))
        };
        let (steps, hidden) = run(&base);
        let at = |b: usize, t: usize, k: usize| steps[(b * 4 + t) * 10 + k];
        for pooling in [Pooling::Last, Pooling::Mean, Pooling::Max] {
            let (pooled, _) =
                run(&ModelConfig { mode: IoMode::ManyToOne, pooling: Some(pooling), ..base.clone() });
            let mut expected = Vec::new();
            for (b, n) in lengths.into_iter().enumerate() {
                for k in 0..10 {
                    let over = (0..n).map(|t| at(b, t, k));
                    expected.push(match pooling {
                        Pooling::Last => hidden[(k / 5 * 3 + b) * 5 + k % 5],
                        Pooling::Mean => over.sum::<f32>() / n as f32,
                        _ => over.fold(f32::NEG_INFINITY, f32::max),
                    });
                }
            }
            assert_close(&format!("{pooling:?}"), &pooled, &expected);
        }
        // Attention weights are a distribution over the valid steps: one step is taken as it is.
        let attention = ModelConfig { mode: IoMode::ManyToOne, pooling: Some(Pooling::Attention), ..base };
        let model = Model::<B>::new(&attention, 1, &device).unwrap();
        let one = model.predict(Input::Features(x.clone()), Some(&[1, 1, 1]), None, None);
        let cut = model.predict(Input::Features(x.slice([0..3, 0..1])), None, None, None);
        assert_close("attention", &values(one.output), &values(cut.output));
    }
}

#[test]
fn pooling_is_what_its_name_says_over_valid_steps() {
    on_each_backend(PoolingByHand);
}

#[derive(Clone)]
struct OutputActivations;

impl Task for OutputActivations {
    type Output = ();

    /// The same weights with g say g of what they say without, at every step.
    fn run<B: TrainBackend>(self, device: B::Device) {
        let say = |output_activation| {
            let plain = config(IoMode::ManyToMany, CellKind::Gru);
            let config = ModelConfig { d_output: Some(8), output_activation, ..plain };
            let model = Model::<B>::new(&config, 1, &device).unwrap();
            let x = tensor::<B, 3>(&noise(2 * 4 * 3, 3), [2, 4, 3], &device);
            let said = model.predict(Input::Features(x), Some(&[4, 2]), None, None);
            assert_eq!((said.output.dims(), said.lengths), ([2, 4, 8], Some(vec![4, 2])));
            values(said.output)
        };
        let plain = say(OutputActivation::Identity);
        assert!(plain.iter().any(|&v| v < 0.0) && plain.iter().any(|&v| v > 0.0), "{plain:?}");
        for g in [
            OutputActivation::Tanh,
            OutputActivation::Relu,
            OutputActivation::Sigmoid,
            OutputActivation::Softmax,
        ] {
            let by_hand = |step: &[f32]| -> Vec<f32> {
                let sum: f32 = step.iter().map(|v| v.exp()).sum();
                let value = |&v: &f32| match g {
                    OutputActivation::Identity => v,
                    OutputActivation::Tanh => v.tanh(),
                    OutputActivation::Relu => v.max(0.0),
                    OutputActivation::Sigmoid => 1.0 / (1.0 + (-v).exp()),
                    OutputActivation::Softmax => v.exp() / sum,
                };
                step.iter().map(value).collect()
            };
            let expected: Vec<f32> = plain.chunks(8).flat_map(by_hand).collect();
            assert_close(&format!("{g:?}"), &say(g), &expected);
        }
    }
}

#[test]
fn an_output_activation_is_its_function_of_the_plain_output() {
    on_each_backend(OutputActivations);
}

#[derive(Clone)]
struct LossesByHand;

impl Task for LossesByHand {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        // Two sequences of 2 and 1 steps, two classes; what stands past the end must not count.
        let logits = [0.0, 1.0, 2.0, 0.0, 0.5, 0.5, 99.0, -99.0];
        let output = || tensor::<B, 3>(&logits, [2, 2, 2], &device);
        let classes = Tensor::from_data([[1, 0], [0, 1]], &device);
        let loss = |loss, label_smoothing, target: &Target<B>| {
            values(Objective { loss, label_smoothing }.loss(output(), target, Some(&[2, 1])))[0]
        };
        let target = Target::Classes(classes);
        let log = |a: f32, b: f32| (a.exp() / (a.exp() + b.exp())).ln();
        // -ln softmax of the true class at the three valid steps.
        let nll = [-log(1.0, 0.0), -log(2.0, 0.0), -log(0.5, 0.5)];
        assert_close(
            "cross entropy",
            &[loss(Loss::CrossEntropy, 0.0, &target)],
            &[nll.iter().sum::<f32>() / 3.0],
        );
        // Smoothed: 0.9 of the true class and 0.1 of the mean over both.
        let both =
            [-(log(1.0, 0.0) + log(0.0, 1.0)) / 2.0, -(log(2.0, 0.0) + log(0.0, 2.0)) / 2.0, -log(0.5, 0.5)];
        let smoothed = nll.iter().zip(both).map(|(n, b)| 0.9 * n + 0.1 * b).sum::<f32>() / 3.0;
        assert_close("smoothed", &[loss(Loss::CrossEntropy, 0.1, &target)], &[smoothed]);
        // (p - 1)² and p² of two classes are the same number: their mean is (1 - p)².
        let softmax_mse = nll.iter().map(|n| (1.0 - (-n).exp()).powi(2)).sum::<f32>() / 3.0;
        assert_close("softmax-mse", &[loss(Loss::SoftmaxMse, 0.0, &target)], &[softmax_mse]);
        let target = Target::Features(tensor(&[0.0, 0.0, 0.0, 0.0, 0.5, 1.5, 0.0, 0.0], [2, 2, 2], &device));
        // Squares of 1, 2 and 1 among six valid values.
        assert_close("mse", &[loss(Loss::Mse, 0.0, &target)], &[1.0]);
    }
}

#[test]
fn losses_are_means_over_valid_steps() {
    on_each_backend(LossesByHand);
}

#[derive(Clone)]
struct OwnOutputFedBack;

impl Task for OwnOutputFedBack {
    type Output = ();

    /// What a one-to-many model writes is what it writes when its own output is given as the truth.
    fn run<B: TrainBackend>(self, device: B::Device) {
        let config = ModelConfig { max_steps: Some(5), ..config(IoMode::OneToMany, CellKind::Lstm) };
        let model = Model::<B>::new(&config, 1, &device).unwrap();
        let input = || Input::Features(tensor::<B, 3>(&noise(6, 2), [2, 1, 3], &device));
        let said = model.predict(input(), None, None, None).output;
        let target = Target::Features(said.clone());
        let given =
            model.forward(&Batch { input: input(), input_lengths: None, target, target_lengths: None });
        assert_close("features", &values(said), &values(given));

        let config = ModelConfig { feedback: Some(Feedback::Class), ..config };
        let model = Model::<B>::new(&config, 1, &device).unwrap();
        let said = model.predict(input(), None, None, None).output;
        let classes = said.clone().argmax(2).squeeze_dim(2);
        let target = Target::Classes(classes);
        let given =
            model.forward(&Batch { input: input(), input_lengths: None, target, target_lengths: None });
        assert_close("classes", &values(said), &values(given));
    }
}

#[test]
fn a_model_that_writes_reads_its_own_output() {
    on_each_backend(OwnOutputFedBack);
}

fn encoder_decoder(bidirectional: bool, cell: CellKind) -> ModelConfig {
    ModelConfig {
        vocabulary: Some(6),
        d_embedding: Some(4),
        d_output: Some(5),
        n_layers: 2,
        bidirectional,
        max_steps: Some(7),
        ..ModelConfig::new(IoMode::EncoderDecoder, cell, 5)
    }
}

#[derive(Clone)]
struct EncoderDecoder;

impl Task for EncoderDecoder {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for cell in CELLS {
            for bidirectional in [false, true] {
                let model = Model::<B>::new(&encoder_decoder(bidirectional, cell), 3, &device).unwrap();
                let tokens = Tensor::from_data([[1, 2, 3, 4], [5, 1, 0, 0], [2, 2, 2, 0]], &device);
                let input = || Input::Tokens(tokens.clone());
                let lengths = [4, 2, 3];
                let said = model.predict(input(), Some(&lengths), None, None);
                let written = said.lengths.clone().unwrap();
                let [_, n_steps, _] = said.output.dims();
                assert!(n_steps <= 7 && written.iter().all(|&n| n <= n_steps), "{written:?} of {n_steps}");
                // Greedy: given its own tokens as the truth, the model says the same.
                let classes = said.output.clone().argmax(2).squeeze_dim(2);
                let batch = Batch {
                    input: input(),
                    input_lengths: Some(lengths.to_vec()),
                    target: Target::Classes(classes),
                    target_lengths: None,
                };
                let given = model.forward(&batch);
                assert_close("greedy", &values(said.output.clone()), &values(given.clone()));
                // Alone, a sequence gives what it gives in a batch.
                let alone =
                    model.predict(Input::Tokens(tokens.clone().slice([1..2, 0..2])), None, None, None);
                let n = alone.lengths.unwrap()[0];
                assert_eq!(n, written[1]);
                let got = said.output.clone().slice([1..2, 0..n]);
                assert_close("alone", &values(got), &values(alone.output.slice([0..1, 0..n])));
                let grads = burn::optim::GradientsParams::from_grads(given.sum().backward(), &model);
                // Of an LSTM in one direction the encoder's last cell state reaches the decoder too.
                assert_eq!(grads.len(), named_tensors(&model).len(), "{cell:?} {bidirectional}");
            }
        }
    }
}

#[test]
fn an_encoder_decoder_writes_greedily_and_stops() {
    on_each_backend(EncoderDecoder);
}

#[derive(Clone)]
struct Streams;

impl Task for Streams {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let model = Model::<B>::new(&config(IoMode::OneToOne, CellKind::Gru), 1, &device).unwrap();
        let x: Tensor<B, 3> = tensor(&noise(2 * 6 * 3, 4), [2, 6, 3], &device);
        let whole = model.predict(Input::Features(x.clone()), None, None, None);
        let mut state = None;
        for t in 0..6 {
            let said =
                model.predict(Input::Features(x.clone().slice([0..2, t..t + 1])), None, state.take(), None);
            let expected = whole.output.clone().slice([0..2, t..t + 1]);
            assert_close("step", &values(said.output), &values(expected));
            state = Some(said.state);
        }
    }
}

#[test]
fn a_stream_says_what_the_whole_says() {
    on_each_backend(Streams);
}

/// A variety of models whose records differ in kind.
fn variety() -> Vec<ModelConfig> {
    let attention =
        ModelConfig { pooling: Some(Pooling::Attention), ..config(IoMode::ManyToOne, CellKind::Lstm) };
    let plain = ModelConfig { d_output: None, bias: false, ..config(IoMode::ManyToMany, CellKind::Rnn) };
    let relu = ModelConfig {
        hidden_activation: Some(HiddenActivation::Relu),
        ..config(IoMode::OneToOne, CellKind::Rnn)
    };
    let before = ModelConfig { reset: Some(GruReset::Before), ..config(IoMode::OneToOne, CellKind::Gru) };
    let bidirectional = ModelConfig { bidirectional: true, ..config(IoMode::ManyToOne, CellKind::Gru) };
    let normed = ModelConfig {
        layer_norm: true,
        zoneout: 0.2,
        zoneout_cell: Some(0.5),
        ..config(IoMode::ManyToMany, CellKind::Lstm)
    };
    let fed = ModelConfig {
        attention: Some(AttentionScore::Additive),
        input_feeding: true,
        tie_weights: true,
        ..encoder_decoder(true, CellKind::Gru)
    };
    vec![attention, plain, relu, before, bidirectional, normed, encoder_decoder(true, CellKind::Lstm), fed]
}

fn folder(model: ModelConfig, schema: Schema, record: RecordFormat) -> ModelFolder {
    let config = Config::new("round-trip", model);
    let mut manifest = Manifest::new(&config, 0, 1, "test".into());
    manifest.record = record;
    ModelFolder { manifest, config, schema, scores: Vec::new() }
}

fn schema(config: &ModelConfig) -> Schema {
    let names = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
    match config.vocabulary {
        Some(n) => Schema::tokens(names(n), names(config.d_output.unwrap())),
        None => Schema::features(3, config.d_output.unwrap_or(5)),
    }
}

#[derive(Clone)]
struct RoundTrip;

impl Task for RoundTrip {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for (k, config) in variety().into_iter().enumerate() {
            let schema = schema(&config);
            let mut config = config;
            rnn_zoo::model::resolve(&mut config, &schema).unwrap();
            let model = Model::<B>::new(&config, 5, &device).unwrap();
            let half = artifact::rounded(model.clone());
            let both = [(&model, Precision::Full), (&model, Precision::Half)];
            for (format, (model, precision)) in
                RecordFormat::ALL.into_iter().flat_map(|f| both.map(|b| (f, b)))
            {
                let place = tempfile::tempdir().unwrap();
                let path = place.path().join("model");
                let mut contents = folder(config.clone(), schema.clone(), format);
                contents.manifest.precision = precision;
                artifact::save(&path, &contents, model.clone()).unwrap();
                let (_, again) = artifact::load::<B>(&path, &device).unwrap();
                if precision == Precision::Half {
                    let [half, full] = [precision, Precision::Full].map(|precision| {
                        let path = place.path().join(format!("{precision:?}"));
                        contents.manifest.precision = precision;
                        artifact::save(&path, &contents, model.clone()).unwrap();
                        std::fs::metadata(path.join(format.file_name())).unwrap().len()
                    });
                    assert!(half < full, "{half} and {full} bytes");
                }
                let model = if precision == Precision::Half { &half } else { model };
                let bits = |model: &Model<B>| -> Vec<(String, Vec<u32>)> {
                    let bits =
                        |data: &burn::tensor::TensorData| data.iter::<f32>().map(f32::to_bits).collect();
                    named_tensors(model).iter().map(|t| (t.name.clone(), bits(&t.data))).collect()
                };
                assert_eq!(bits(model), bits(&again), "model {k} through {format:?}, {precision:?}");
                assert_eq!(model.num_params(), again.num_params());
            }
        }
    }
}

#[test]
fn a_record_comes_back_to_the_bit_in_every_format() {
    on_each_backend(RoundTrip);
}

/// Saves a model on one backend, for all to load.
struct Save<'a>(&'a std::path::Path, ModelConfig);

impl Task for Save<'_> {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let model = Model::<B>::new(&self.1, 5, &device).unwrap();
        let schema = schema(&self.1);
        artifact::save(self.0, &folder(self.1, schema, RecordFormat::Mpk), model).unwrap();
    }
}

#[test]
fn a_model_of_one_backend_says_the_same_on_the_others() {
    let devices = all_backends();
    for (k, config) in variety().into_iter().enumerate() {
        let mut config = config;
        let known = schema(&config);
        rnn_zoo::model::resolve(&mut config, &known).unwrap();
        let mut answers: Vec<Vec<f32>> = Vec::new();
        for writer in &devices {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("model");
            writer.run(Save(&path, config.clone()));
            for reader in &devices {
                let mut input = RawInput { lengths: Some(vec![3, 4]), ..RawInput::default() };
                match config.vocabulary {
                    Some(_) => {
                        input.tokens = Some(Array { shape: vec![2, 4], values: vec![1, 2, 3, 0, 5, 4, 3, 2] })
                    }
                    None => input.features = Some(Array { shape: vec![2, 4, 3], values: noise(24, 6) }),
                }
                answers.push(predict::load(&path, reader).unwrap().run(&input, None).unwrap().y.values);
            }
        }
        for answer in &answers {
            assert_close(&format!("model {k}"), answer, &answers[0]);
        }
    }
}

#[derive(Clone)]
struct GlobalClip;

impl Task for GlobalClip {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let model = Model::<B>::new(&config(IoMode::ManyToMany, CellKind::Lstm), 1, &device).unwrap();
        let all = samples(IoMode::ManyToMany);
        let batch = Batch::<B>::new(&all.iter().collect::<Vec<_>>(), None, &device);
        let grads = || {
            let output = softmax(model.forward(&batch), 2);
            burn::optim::GradientsParams::from_grads((output * 7.0).square().sum().backward(), &model)
        };
        let norm = |mut grads| train::clip_by_global_norm::<B, _>(&model, &mut grads, 0.0);
        let before = norm(grads());
        assert!(before > 1.0, "the gradients are large enough for the test: {before}");
        let mut clipped = grads();
        assert_close(
            "norm",
            &[train::clip_by_global_norm::<B, _>(&model, &mut clipped, 0.5) as f32],
            &[before as f32],
        );
        assert_close("clipped", &[norm(clipped) as f32], &[0.5]);
        let mut kept = grads();
        train::clip_by_global_norm::<B, _>(&model, &mut kept, 2.0 * before);
        assert_close("kept", &[norm(kept) as f32], &[before as f32]);
    }
}

#[test]
fn all_gradients_together_are_held_to_one_norm() {
    on_each_backend(GlobalClip);
}

#[test]
fn a_run_stops_when_patience_ends_and_exports_its_best_epoch() {
    let sample = |y| Sample::features(Features::vector(vec![0.0]), Features::vector(vec![y]));
    let dataset = Dataset {
        train: vec![sample(10.0)].into(),
        valid: vec![sample(13.0)].into(),
        test: Samples::default(),
        schema: Schema::features(1, 1),
    };
    // Of zeros a ReLU makes zeros and gets no gradient: all that is said and trained is the head's
    // bias. It starts near 0, and a rate of 0.9 takes an error e to -0.8 e: 18, 3.6, 15.1, 5.9,
    // 13.3, 7.4, 12.1, 8.3, 11.3. A rate of 1e-30 moves nothing.
    let model = ModelConfig {
        hidden_activation: Some(HiddenActivation::Relu),
        initialization: Initialization::Xavier,
        ..ModelConfig::new(IoMode::ManyToOne, CellKind::Rnn, 4)
    };
    for device in each_backend() {
        for (lr, patience, n_epochs, best) in
            [(0.9, 2, 7, 5), (0.9, 1, 2, 1), (0.9, 0, 9, 5), (1e-30, 3, 4, 1)]
        {
            let what = format!("{device}, lr {lr}, patience {patience}");
            let train = TrainConfig {
                epochs: 9,
                optimizer: OptimizerKind::Sgd,
                lr,
                clip: 0.0,
                patience,
                ..TrainConfig::default()
            };
            let config = Config { train, ..Config::new("patience", model.clone()) };
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("run");
            let run =
                train::train_on(&config, dataset.clone(), &device, &folder, train::Progress::Quiet).unwrap();
            assert_eq!(run.epochs.len(), n_epochs, "{what}");
            let exported = predict::load(&run.model, &device).unwrap();
            assert_eq!(exported.folder().manifest.epoch, best, "{what}");
            let score = exported.score(&dataset.valid, "valid").unwrap()[0].value;
            assert_close(&what, &[score as f32], &[run.epochs[best - 1].score as f32]);
        }
    }
}

#[derive(Clone)]
struct Fused;

impl Task for Fused {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let plain = |cell| ModelConfig {
            d_input: Some(3),
            d_output: Some(2),
            kernel: Kernel::Fused,
            ..ModelConfig::new(IoMode::ManyToMany, cell, 4)
        };
        let mut configs: Vec<_> = CELLS.into_iter().map(plain).collect();
        configs.push(ModelConfig { reset: Some(GruReset::Before), ..plain(CellKind::Gru) });
        configs.push(ModelConfig { layer_norm: true, ..plain(CellKind::Lstm) });
        configs.push(ModelConfig { zoneout: 0.1, ..plain(CellKind::Gru) });
        configs.push(ModelConfig { zoneout_cell: Some(0.1), ..plain(CellKind::Lstm) });
        for config in configs {
            let (cell, options) = (rnn_zoo::model::cell(&config), rnn_zoo::model::options(&config));
            match (B::fused(cell, options), Model::<B>::new(&config, 0, &device)) {
                (Ok(()), Ok(_)) => {}
                (Err(missing), Err(error)) => {
                    let error = error.to_string();
                    assert!(error.contains("model.kernel") && error.contains(&missing), "{error}");
                }
                (fused, model) => panic!("{cell:?} {options:?}: {fused:?}, but {}", model.is_ok()),
            }
        }
    }
}

#[test]
fn a_fused_kernel_is_there_or_the_error_says_why_not() {
    on_each_backend(Fused);
}
