//! Encoder–decoders with attention, input feeding and tied weights: what they say of given outputs, what they
//! search for, and what they read in training.

use crate::support::*;
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};
use burn::train::TrainStep;
use rnn_zoo::artifact::{
    self, Manifest, ModelFolder, NamedTensor, Precision, RecordFormat, load_record, named_tensors,
};
use rnn_zoo::backend::{Task, TrainBackend};
use rnn_zoo::config::{
    AttentionScore, CellKind, Config, Feedback, IoMode, Loss, Merge, ModelConfig, SamplingSchedule,
    ScheduledSampling, TrainConfig,
};
use rnn_zoo::data::{Batch, Input, InputSchema, Sample, SampleInput, Schema, TargetSchema};
use rnn_zoo::kernel::RecurrentBackend;
use rnn_zoo::model::{END, EncoderDecoder, Hypothesis, Model, Objective, Search};
use rnn_zoo::predict::{self, Sampling};
use rnn_zoo::train::{Trainee, Truths, Window};
use safetensors::tensor::{Dtype, TensorView};

const VOCABULARY: usize = 6;
const SYMBOLS: usize = 5;
const LENGTHS: [usize; 3] = [4, 2, 3];
const MAX_STEPS: usize = 7;

fn plain(cell: CellKind) -> ModelConfig {
    ModelConfig {
        vocabulary: Some(VOCABULARY),
        d_embedding: Some(4),
        d_output: Some(SYMBOLS),
        bidirectional: true,
        max_steps: Some(MAX_STEPS),
        ..ModelConfig::new(IoMode::EncoderDecoder, cell, 5)
    }
}

/// Every option, each with another.
fn variety() -> Vec<ModelConfig> {
    use AttentionScore::{Additive, Dot, General};
    let [gru, lstm, rnn] = [CellKind::Gru, CellKind::Lstm, CellKind::Rnn].map(plain);
    vec![
        ModelConfig { tie_weights: true, d_embedding: Some(5), bidirectional: false, ..lstm.clone() },
        ModelConfig { attention: Some(Dot), merge: Merge::Sum, bias: false, n_layers: 2, ..gru.clone() },
        ModelConfig { attention: Some(General), tie_weights: true, n_layers: 2, ..lstm.clone() },
        ModelConfig { attention: Some(Additive), ..rnn },
        ModelConfig { attention: Some(General), input_feeding: true, n_layers: 2, ..gru },
        ModelConfig { attention: Some(Additive), input_feeding: true, tie_weights: true, ..lstm },
    ]
}

fn model<B: TrainBackend>(config: &ModelConfig, device: &B::Device) -> EncoderDecoder<B> {
    match Model::new(config, 3, device).unwrap() {
        Model::EncoderDecoder(model) => model,
        _ => panic!("the mode is encoder-decoder"),
    }
}

fn samples() -> Vec<Sample> {
    let source = |n: usize| (0..n as u32).map(|k| (2 * k + n as u32) % VOCABULARY as u32).collect();
    let target = |n: usize| (0..n as u32).map(|k| 1 + (k + n as u32) % 4).chain([END]).collect();
    LENGTHS.iter().zip([2, 4, 1]).map(|(&n, t)| Sample::tokens(source(n), target(t))).collect()
}

fn batch<B: TrainBackend>(samples: &[Sample], device: &B::Device) -> Batch<B> {
    Batch::new(&samples.iter().collect::<Vec<_>>(), None, device)
}

/// Of `[B, T, D]` the first steps of one row.
fn first<B: TrainBackend>(tensor: &Tensor<B, 3>, b: usize, [n, d]: [usize; 2]) -> Vec<f32> {
    values(tensor.clone().slice([b..b + 1, 0..n, 0..d]))
}

#[derive(Clone)]
struct Given;

impl Task for Given {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for config in variety() {
            let what = format!("{config:?}");
            let whole = Model::<B>::new(&config, 3, &device).unwrap();
            let Model::EncoderDecoder(model) = &whole else { panic!("{what}") };
            let all = samples();
            let together = batch::<B>(&all, &device);
            let said = |batch: &Batch<B>| {
                let rnn_zoo::data::Target::Classes(target) = &batch.target else { panic!("tokens") };
                let lengths = batch.input_lengths.as_deref();
                model.run(batch.input.clone(), lengths, model.given(target.clone()))
            };
            let decoded = said(&together);
            assert_eq!(decoded.output.dims(), [3, 5, SYMBOLS], "{what}");
            assert_eq!(decoded.attention.is_some(), config.attention.is_some(), "{what}");
            for (b, sample) in all.iter().enumerate() {
                // A sequence alone is what it is beside longer ones.
                let alone = said(&batch(std::slice::from_ref(sample), &device));
                let [_, n, _] = alone.output.dims();
                assert_close(&what, &first(&decoded.output, b, [n, SYMBOLS]), &values(alone.output));
                let Some(weights) = &decoded.attention else { continue };
                assert_close(&what, &first(weights, b, [n, LENGTHS[b]]), &values(alone.attention.unwrap()));
                for row in first(weights, b, [5, 4]).chunks(4) {
                    let (valid, padding) = row.split_at(LENGTHS[b]);
                    assert_close(&what, &[valid.iter().sum()], &[1.0]);
                    assert!(valid.iter().all(|&w| w > 0.0) && padding.iter().all(|&w| w == 0.0), "{row:?}");
                }
            }
            let grads = GradientsParams::from_grads(decoded.output.square().sum().backward(), &whole);
            assert_eq!(grads.len(), named_tensors(&whole).len(), "a parameter without a gradient: {what}");
        }
    }
}

#[test]
fn attention_looks_at_the_source_and_at_nothing_else() {
    on_each_backend(Given);
}

#[derive(Clone)]
struct StepByStep;

impl Task for StepByStep {
    type Output = ();

    /// What is written token by token is what the whole says, given those tokens.
    fn run<B: TrainBackend>(self, device: B::Device) {
        for config in variety() {
            let model = model::<B>(&config, &device);
            let Batch { input, input_lengths: lengths, .. } = batch::<B>(&samples(), &device);
            let written = model.decode(input.clone(), lengths.as_deref(), MAX_STEPS).output;
            let classes = written.clone().argmax(2).squeeze_dim(2);
            let given = model.forward_given(input, lengths.as_deref(), classes);
            assert_close(&format!("{config:?}"), &values(written), &values(given));
        }
    }
}

#[test]
fn step_by_step_a_decoder_says_what_it_says_at_once() {
    on_each_backend(StepByStep);
}

fn beam(width: usize, length_penalty: f64, n_best: usize) -> Search {
    Search::Beam { width, length_penalty, n_best }
}

#[track_caller]
fn assert_same(what: &str, got: &[Hypothesis], expected: &[Hypothesis]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (a, b) in got.iter().zip(expected) {
        assert_eq!((&a.tokens, a.finished), (&b.tokens, b.finished), "{what}");
        assert_close(what, &[a.score as f32, a.normalized as f32], &[b.score as f32, b.normalized as f32]);
        let flat = |h: &Hypothesis| h.attention.iter().flatten().flatten().copied().collect::<Vec<_>>();
        assert_close(what, &flat(a), &flat(b));
    }
}

#[derive(Clone)]
struct Searches;

impl Task for Searches {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for config in variety() {
            let model = model::<B>(&config, &device);
            let all = samples();
            let Batch { input, input_lengths: lengths, .. } = batch::<B>(&all, &device);
            let lengths = lengths.as_deref();
            let run =
                |search: &Search, max: usize| model.search(input.clone(), lengths, search, max).unwrap();

            let written = model.decode(input.clone(), lengths, MAX_STEPS);
            let classes: Tensor<B, 2, Int> = written.output.argmax(2).squeeze_dim(2);
            let classes: Vec<i64> = classes.into_data().convert::<i64>().to_vec().unwrap();
            let n_steps = classes.len() / all.len();
            let greedy = run(&Search::Greedy, MAX_STEPS);
            for (b, n) in written.lengths.unwrap().into_iter().enumerate() {
                let target: Vec<i64> = greedy[b][0].target().into_iter().map(i64::from).collect();
                assert_eq!(target, classes[b * n_steps..][..n], "{config:?}");
            }
            let one = run(&beam(1, 0.7, 1), MAX_STEPS);
            for (one, greedy) in one.iter().zip(&greedy) {
                assert_eq!((one[0].target(), one[0].score), (greedy[0].target(), greedy[0].score));
            }

            let drawn = Search::Sample(Sampling { seed: 2, ..Sampling::default() });
            for (search, max_steps, n_best) in [
                (Search::Greedy, MAX_STEPS, 1),
                (drawn, MAX_STEPS, 1),
                (beam(4, 0.0, 1), 1, 1),
                (beam(4, 0.0, 4), 3, 4),
                (beam(4, 0.6, 3), MAX_STEPS, 3),
            ] {
                let what = format!("{search:?}, {max_steps} steps, {config:?}");
                let found = run(&search, max_steps);
                for (b, found) in found.iter().enumerate() {
                    check(&what, found, n_best, max_steps, config.attention.map(|_| LENGTHS[b]));
                }
                // The shortest alone, which is padded among the others.
                let alone = batch::<B>(&all[1..2], &device).input;
                let alone = model.search(alone, None, &search, max_steps).unwrap();
                assert_same(&what, &found[1], &alone[0]);
                // The model's own score of what was found.
                for k in 0..n_best {
                    let targets: Vec<_> = found.iter().map(|found| found[k].target()).collect();
                    let scores = model.score(input.clone(), lengths, &targets);
                    for (found, score) in found.iter().zip(scores) {
                        let off = (found[k].score - score).abs();
                        assert!(off <= 1e-4 * score.abs() + 1e-6, "{what}: {score}, not {:?}", found[k]);
                    }
                }
            }
        }
    }
}

/// One-to-many: three features in, tokens out.
fn alone(cell: CellKind) -> ModelConfig {
    ModelConfig {
        d_input: Some(3),
        d_output: Some(SYMBOLS),
        feedback: Some(Feedback::Token),
        d_feedback: Some(4),
        max_steps: Some(MAX_STEPS),
        ..ModelConfig::new(IoMode::OneToMany, cell, 5)
    }
}

/// As [`alone`], but the decoder reads six features of the three.
fn projected(cell: CellKind) -> ModelConfig {
    ModelConfig { d_projection: Some(6), ..alone(cell) }
}

#[derive(Clone)]
struct Alone;

impl Task for Alone {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for config in [
            alone(CellKind::Gru),
            ModelConfig { n_layers: 2, ..alone(CellKind::Lstm) },
            projected(CellKind::Gru),
            ModelConfig { n_layers: 2, ..projected(CellKind::Lstm) },
        ] {
            let what = format!("{config:?}");
            let whole = Model::<B>::new(&config, 3, &device).unwrap();
            let Model::EncoderDecoder(model) = &whole else { panic!("{what}") };
            let rows = noise(9, 2);
            let input = |rows: &[f32]| Input::Features(tensor::<B, 3>(rows, [rows.len() / 3, 1, 3], &device));

            let written = model.decode(input(&rows), None, MAX_STEPS).output;
            let classes: Tensor<B, 2, Int> = written.clone().argmax(2).squeeze_dim(2);
            let given = model.forward_given(input(&rows), None, classes.clone());
            assert_close(&what, &values(written), &values(given.clone()));
            let other = model.forward_given(input(&noise(9, 7)), None, classes.clone());
            assert_ne!(values(other), values(given.clone()), "the input is not read: {what}");
            let grads = GradientsParams::from_grads(given.square().sum().backward(), &whole);
            assert_eq!(grads.len(), named_tensors(&whole).len(), "a parameter without a gradient: {what}");

            // Its own tokens, where training asks for them.
            let read = model.sampled(input(&rows), None, classes.clone(), || false);
            let ints = |t: Tensor<B, 2, Int>| t.into_data().convert::<i64>().to_vec::<i64>().unwrap();
            assert_eq!(ints(read), ints(model.given(classes)), "{what}");

            for search in [Search::Greedy, beam(4, 0.6, 3)] {
                let found = model.search(input(&rows), None, &search, MAX_STEPS).unwrap();
                let targets: Vec<_> = found.iter().map(|found| found[0].target()).collect();
                let scores = model.score(input(&rows), None, &targets);
                for (b, (found, score)) in found.iter().zip(scores).enumerate() {
                    check(&what, found, if search == Search::Greedy { 1 } else { 3 }, MAX_STEPS, None);
                    let off = (found[0].score - score).abs();
                    assert!(off <= 1e-4 * score.abs() + 1e-6, "{what}: {score}, not {:?}", found[0]);
                    let one = model.search(input(&rows[3 * b..][..3]), None, &search, MAX_STEPS).unwrap();
                    assert_same(&what, found, &one[0]);
                }
            }
        }
    }
}

#[test]
fn a_decoder_alone_says_of_a_vector_what_it_finds() {
    on_each_backend(Alone);
}

/// What a model of vectors says of three of them, given the same tokens.
fn said_of<B: RecurrentBackend>(model: &Model<B>, vectors: &[f32], device: &B::Device) -> Tensor<B, 3> {
    let Model::EncoderDecoder(model) = model else { panic!("the model writes tokens") };
    let input = Input::Features(tensor::<B, 3>(vectors, [3, 1, vectors.len() / 3], device));
    let target = Tensor::<B, 2, Int>::from_ints([[1, 4, 2], [3, 0, 0], [2, 2, 1]], device);
    model.forward_given(input, None, target)
}

#[derive(Clone)]
struct Projected;

impl Task for Projected {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let config = projected(CellKind::Gru);
        let model = Model::<B>::new(&config, 3, &device).unwrap();
        let vectors = noise(9, 2);
        let said = said_of(&model, &vectors, &device);

        // A model without the layer says the same of what the layer gives.
        let (own, others): (Vec<NamedTensor>, Vec<NamedTensor>) =
            named_tensors(&model).into_iter().partition(|tensor| tensor.name.starts_with("projection."));
        let own: [NamedTensor; 2] = own.try_into().unwrap();
        let [weight, bias] = own.map(|tensor| tensor.data.convert::<f32>().to_vec::<f32>().unwrap());
        assert_eq!((weight.len(), bias.len()), (3 * 6, 6));
        let mut given = Vec::new();
        for vector in vectors.chunks(3) {
            for (k, b) in bias.iter().enumerate() {
                let product: f32 = vector.iter().enumerate().map(|(j, x)| x * weight[6 * j + k]).sum();
                given.push((product + b).tanh());
            }
        }
        let views = others.iter().map(|tensor| {
            let view = TensorView::new(Dtype::F32, tensor.data.shape.to_vec(), tensor.data.as_bytes());
            (tensor.name.as_str(), view.unwrap())
        });
        let record = safetensors::serialize(views, None).unwrap();
        let plain = ModelConfig { d_input: Some(6), ..alone(CellKind::Gru) };
        let plain = Model::<B>::new(&plain, 8, &device).unwrap();
        let plain = load_record(plain, record, RecordFormat::Safetensors, Precision::Full).unwrap();
        let expected = values(said_of(&plain, &given, &device));
        assert_close("tanh(W x + b)", &values(said.clone()), &expected);

        let grads = GradientsParams::from_grads(said.square().sum().backward(), &model);
        for (name, gradient) in gradients(&model, &grads) {
            let moves = gradient.is_some_and(|gradient| gradient.iter().any(|&g| g != 0.0));
            assert!(moves || !name.starts_with("projection."), "{name} is not trained");
        }

        // What the layer gives is dropped in training alone.
        let dropped = ModelConfig { dropout: 0.5, ..config };
        let learned = Model::<B>::new(&dropped, 3, &device).unwrap();
        assert_ne!(values(said_of(&learned, &vectors, &device)), expected);
        let used = Model::<B::InnerBackend>::new(&dropped, 3, &device).unwrap();
        assert_close("at inference", &values(said_of(&used, &vectors, &device)), &expected);
    }
}

#[test]
fn a_decoder_alone_reads_a_projection_of_its_vector() {
    on_each_backend(Projected);
}

#[derive(Clone)]
struct Kept;

impl Task for Kept {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let model = projected(CellKind::Lstm);
        let built = Model::<B>::new(&model, 3, &device).unwrap();
        let schema = Schema {
            input: InputSchema::Features { channels: 3, scales: Vec::new(), names: Vec::new() },
            target: TargetSchema::Tokens { labels: (0..SYMBOLS).map(|k| k.to_string()).collect() },
        };
        let vectors = noise(9, 2);
        let said = values(said_of(&built, &vectors, &device));
        let place = tempfile::tempdir().unwrap();
        for record in RecordFormat::ALL {
            let path = place.path().join(record.name());
            let config = Config::new("projects", model.clone());
            let manifest = Manifest { record, ..Manifest::new(&config, 0, 1, "test".into()) };
            let folder = ModelFolder { manifest, config, schema: schema.clone(), scores: Vec::new() };
            artifact::save(&path, &folder, built.clone()).unwrap();
            let (folder, loaded) = artifact::load::<B>(&path, &device).unwrap();
            assert_eq!(folder.config.model, model, "{record:?}");
            assert_eq!(named_tensors(&loaded), named_tensors(&built), "{record:?}");
            assert_close(record.name(), &values(said_of(&loaded, &vectors, &device)), &said);
        }
    }
}

#[test]
fn a_projection_is_in_every_record() {
    on_each_backend(Kept);
}

/// What holds of every sequence's hypotheses.
fn check(what: &str, found: &[Hypothesis], n_best: usize, max_steps: usize, attention: Option<usize>) {
    assert_eq!(found.len(), n_best, "{what}");
    let rank = |h: &Hypothesis| (!h.finished, -h.normalized);
    assert!(found.is_sorted_by(|a, b| rank(a) <= rank(b)), "{what}: {found:?}");
    for (k, hypothesis) in found.iter().enumerate() {
        assert!(found[..k].iter().all(|other| other.target() != hypothesis.target()), "{what}: {found:?}");
        let target = hypothesis.target();
        assert!(!hypothesis.tokens.contains(&END) && !target.is_empty(), "{what}");
        assert!(target.len() <= max_steps && (hypothesis.finished || target.len() == max_steps), "{what}");
        assert_eq!(hypothesis.attention.is_some(), attention.is_some(), "{what}");
        let Some((rows, n)) = hypothesis.attention.as_ref().zip(attention) else { continue };
        assert_eq!(rows.len(), target.len(), "{what}");
        for row in rows {
            assert_eq!(row.len(), n, "{what}");
            assert_close(what, &[row.iter().sum()], &[1.0]);
        }
    }
}

#[test]
fn a_search_finds_what_the_model_says_it_is_worth() {
    on_each_backend(Searches);
}

#[derive(Clone)]
struct OwnTokens;

impl Task for OwnTokens {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let config = ModelConfig { attention: Some(AttentionScore::General), ..plain(CellKind::Gru) };
        let built = model::<B>(&config, &device);
        let batch = batch::<B>(&samples(), &device);
        let rnn_zoo::data::Target::Classes(target) = &batch.target else { panic!("tokens") };
        let lengths = batch.input_lengths.as_deref();
        let ints = |t: Tensor<B, 2, Int>| t.into_data().convert::<i64>().to_vec::<i64>().unwrap();
        let read = |truth: &mut dyn FnMut() -> bool| {
            built.sampled(batch.input.clone(), lengths, target.clone(), truth)
        };
        let given = ints(built.given(target.clone()));
        assert_eq!(ints(read(&mut || true)), given);
        // Its own tokens: what it finds most probable, given them.
        let own = read(&mut || false);
        let said = built.run(batch.input.clone(), lengths, own.clone()).output;
        let best = ints(said.argmax(2).squeeze_dim(2));
        let own = ints(own);
        for b in 0..3 {
            assert_eq!(own[b * 5], SYMBOLS as i64, "the first starts a sequence");
            assert_eq!(own[b * 5 + 1..][..4], best[b * 5..][..4]);
        }
        assert_ne!(own, given);
        // A mixture is of both.
        let mut k = 0;
        let mixed = ints(read(&mut || {
            k += 1;
            k <= 6
        }));
        assert_eq!(k, 3 * 4, "asked once a sequence and step, but the first");
        assert!((0..3).all(|b| mixed[b * 5..][..3] == given[b * 5..][..3]));

        // A step of training on true tokens alone is one of teacher forcing, to the bit.
        let objective = Objective { loss: Loss::CrossEntropy, label_smoothing: 0.1 };
        let step = |sampling: Option<(f64, u64)>| {
            let model = Model::<B>::new(&config, 3, &device).unwrap();
            let trainee = Trainee::new(model.clone(), objective.into(), &TrainConfig::default());
            let truths = sampling.map(|(floor, step)| {
                let schedule = SamplingSchedule::Linear;
                Truths::new(&ScheduledSampling { schedule, rate: 0.01, floor }, 1, step)
            });
            let output = trainee.step(Window { truths, ..batch.clone().into() });
            (output.item.report.0.loss, gradients(&model, &output.grads))
        };
        let forced = step(None);
        assert_eq!(step(Some((1.0, 1000))), forced);
        assert_eq!(step(Some((0.0, 0))), forced);
        let sampled = step(Some((0.0, 1000)));
        assert!((sampled.0 - forced.0).abs() > 1e-4, "{} and {}", sampled.0, forced.0);
        assert_eq!(step(Some((0.5, 1000))), step(Some((0.5, 1000))));
    }
}

#[test]
fn scheduled_sampling_mixes_true_and_own_tokens() {
    on_each_backend(OwnTokens);
}

#[derive(Clone)]
struct Dropped;

impl Task for Dropped {
    type Output = ();

    /// Dropout changes what is learned from, and not what is said.
    fn run<B: TrainBackend>(self, device: B::Device) {
        for input_feeding in [false, true] {
            let still = ModelConfig {
                attention: Some(AttentionScore::General),
                input_feeding,
                n_layers: 2,
                ..plain(CellKind::Gru)
            };
            let (trained, used) = (batch::<B>(&samples(), &device), samples());
            let used = Batch::<B::InnerBackend>::new(&used.iter().collect::<Vec<_>>(), None, &device);
            let learned =
                |config: &ModelConfig| values(Model::<B>::new(config, 3, &device).unwrap().forward(&trained));
            let said = |config: &ModelConfig| {
                values(Model::<B::InnerBackend>::new(config, 3, &device).unwrap().forward(&used))
            };
            for change in [
                |c: &mut ModelConfig| c.input_dropout = 0.5,
                |c: &mut ModelConfig| c.dropout = 0.5,
                |c: &mut ModelConfig| c.head_dropout = 0.5,
            ] {
                let mut dropped = still.clone();
                change(&mut dropped);
                assert_ne!(learned(&dropped), learned(&still), "{dropped:?} drops nothing");
                assert_close("at inference", &said(&dropped), &said(&still));
            }
        }
    }
}

#[test]
fn a_decoder_drops_features_in_training_alone() {
    on_each_backend(Dropped);
}

/// Saves an untrained model.
struct Save<'a>(&'a std::path::Path, ModelConfig, Schema);

impl Task for Save<'_> {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let Self(path, model, schema) = self;
        let built = Model::<B>::new(&model, 3, &device).unwrap();
        let config = Config::new("search", model);
        let manifest = Manifest::new(&config, 0, 1, "test".into());
        artifact::save(path, &ModelFolder { manifest, config, schema, scores: Vec::new() }, built).unwrap();
    }
}

#[derive(Clone)]
struct SearchOf(Vec<SampleInput>, Search);

impl Task for SearchOf {
    type Output = Vec<Vec<Hypothesis>>;

    fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output {
        let model = model::<B>(&variety()[4], &device);
        let found = self.0.iter().map(|input| {
            let SampleInput::Tokens(tokens) = input else { panic!("tokens") };
            let tokens: Tensor<B, 1, Int> = Tensor::from_ints(tokens.to_vec().as_slice(), &device);
            model.search(Input::Tokens(tokens.unsqueeze()), None, &self.1, MAX_STEPS).unwrap().remove(0)
        });
        found.collect()
    }
}

#[test]
fn a_trained_model_searches_and_says_why_it_cannot() {
    let names = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
    let place = tempfile::tempdir().unwrap();
    let device = each_backend().remove(0);
    let path = place.path().join("writes");
    let config = variety().remove(4);
    device.run(Save(&path, ModelConfig { max_steps: None, ..config }, Schema::tokens(names(6), names(5))));
    let writes = predict::load(&path, &device).unwrap();
    let inputs: Vec<SampleInput> = samples().into_iter().map(|sample| sample.input).collect();
    let search = beam(3, 0.6, 2);
    let found = writes.search(&inputs, &search, Some(MAX_STEPS)).unwrap();
    let expected = device.run(SearchOf(inputs.clone(), search.clone()));
    for (found, expected) in found.iter().zip(&expected) {
        assert_same("through a folder", found, expected);
    }
    assert_eq!(found.len(), 3);

    let path = place.path().join("tags");
    let tags = ModelConfig {
        vocabulary: Some(6),
        d_output: Some(5),
        d_embedding: Some(3),
        ..ModelConfig::new(IoMode::ManyToMany, CellKind::Gru, 4)
    };
    device.run(Save(&path, tags, Schema::tokens(names(6), names(5))));
    let tags = predict::load(&path, &device).unwrap();
    let unknown = [SampleInput::Tokens(vec![6].into())];
    for (said, reason) in [
        (writes.search(&inputs, &search, None), "how many steps to write is not known"),
        (writes.search(&inputs, &search, Some(0)), "0 steps cannot be written"),
        (writes.search(&inputs, &beam(0, 0.0, 1), Some(3)), "the beam is 0 wide"),
        (writes.search(&unknown, &search, Some(3)), "6"),
        (tags.search(&inputs, &search, Some(3)), "only an encoder-decoder model searches"),
    ] {
        let error = said.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}
