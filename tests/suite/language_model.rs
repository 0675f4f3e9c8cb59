//! Language models: a stream in windows, state carried, and what keeps them from learning by heart.

use crate::support::*;
use burn::optim::GradientsParams;
use rnn_zoo::artifact::named_tensors;
use rnn_zoo::backend::{Task, TrainBackend};
use rnn_zoo::config::{CellKind, Config, IoMode, Loss, ModelConfig, TrainConfig};
use rnn_zoo::data::{self, Batch, Sample, Samples};
use rnn_zoo::model::{Model, Objective};
use rnn_zoo::train::{self, Progress};
use rnn_zoo::{backend, predict};
use std::path::Path;

const VOCABULARY: usize = 7;
/// As many streams as scores are read in.
const LANES: usize = 8;
const STEPS: usize = 12;

fn model(cell: CellKind) -> ModelConfig {
    ModelConfig {
        vocabulary: Some(VOCABULARY),
        d_output: Some(VOCABULARY),
        d_embedding: Some(5),
        n_layers: 2,
        ..ModelConfig::new(IoMode::ManyToMany, cell, 6)
    }
}

/// Streams of tokens, each with the token that follows at every step.
fn streams() -> Vec<Sample> {
    let token = |v: &f32| ((v + 1.0) * 3.49) as u32;
    let tokens: Vec<u32> = noise(LANES * (STEPS + 1), 3).iter().map(token).collect();
    tokens.chunks(STEPS + 1).map(|s| Sample::tokens(s[..STEPS].to_vec(), s[1..].to_vec())).collect()
}

/// The same streams cut every `window` steps.
fn windows(window: usize) -> Vec<Sample> {
    let cut = |sample: &Sample| match sample {
        Sample { input: data::SampleInput::Tokens(x), target: data::SampleTarget::Tokens(y) } => {
            let (x, y) = (x.to_vec(), y.to_vec());
            let pairs = x.chunks(window).zip(y.chunks(window));
            pairs.map(|(x, y)| Sample::tokens(x.to_vec(), y.to_vec())).collect::<Vec<_>>()
        }
        _ => unreachable!("streams are of tokens"),
    };
    streams().iter().flat_map(cut).collect()
}

const OBJECTIVE: Objective = Objective { loss: Loss::CrossEntropy, label_smoothing: 0.0 };

#[derive(Clone)]
struct Windows;

impl Task for Windows {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
            let model = Model::<B::InnerBackend>::new(&model(cell), 1, &device).unwrap();
            let loss = |samples: Vec<Sample>, carry_state| {
                let config = TrainConfig { carry_state, batch_size: LANES, ..TrainConfig::default() };
                let tally =
                    train::score(&model, &Samples::from(samples), &config, &OBJECTIVE.into(), &device);
                assert_eq!(tally.steps, LANES * STEPS);
                tally.mean_loss() as f32
            };
            let whole = loss(streams(), false);
            for window in [1, 4, 5, STEPS] {
                assert_close(&format!("{cell:?} in {window}s"), &[loss(windows(window), true)], &[whole]);
            }
            assert!((loss(windows(4), false) - whole).abs() > 1e-4, "a state that is not carried is missed");
        }
    }
}

#[test]
fn a_stream_cut_into_windows_has_the_loss_of_the_whole() {
    on_each_backend(Windows);
}

fn text_config(folder: &Path) -> Config {
    let text: String = (0..3000).map(|k| ["ab", "ac ", "b", "ca\n"][(k * k / 7 + k) % 4]).collect();
    let path = folder.join("text.txt");
    std::fs::write(&path, text).unwrap();
    let toml = format!(
        "name = \"t\"\n[model]\nmode = \"many-to-many\"\ncell = \"lstm\"\nd_embedding = 8\nd_hidden = 8\n\
         n_layers = 2\nvariational = true\ndropout = 0.2\ninput_dropout = 0.1\nhead_dropout = 0.2\n\
         embedding_dropout = 0.1\nweight_drop = 0.2\ntie_weights = true\n\
         [data]\nformat = \"text\"\ntrain = '{}'\nwindow = 20\n\
         [train]\nepochs = 2\nbatch_size = 16\ncarry_state = true\nlr = 1e-2\n\
         activation_regularization = 0.5\ntemporal_activation_regularization = 0.5\n",
        path.display()
    );
    Config::from_toml(&toml, Path::new("test.toml"), &[]).unwrap()
}

/// What validation says during the run is what the exported model says alone: no state leaks from
/// training into it, nor from one epoch into the next.
#[test]
fn validation_carries_a_state_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let config = text_config(folder.path());
    let device = each_backend().remove(0);
    let run = train::train(&config, &device, &folder.path().join("run"), Progress::Quiet).unwrap();
    let dataset = data::load(&config.data, config.model.mode, config.train.seed).unwrap();
    let exported = predict::load(&run.model, &device).unwrap();
    let scores = exported.score(&dataset.valid, "valid").unwrap();
    let best = run.score("valid", "loss").unwrap();
    assert!(run.epochs.iter().any(|epoch| epoch.valid_loss == best));
    let loss = scores.iter().find(|score| score.metric == "loss").unwrap();
    // Summed in the same order, by the same kernels.
    assert!((loss.value - best).abs() < 1e-6, "{} and {best}", loss.value);
    let characters = 600; // of validation, of which the first is not predicted
    assert!(loss.n > characters / 2, "{} steps", loss.n);
    assert!(run.epochs[1].train_loss < run.epochs[0].train_loss, "it learns");
}

/// Of a model that does not move: what training tells is the loss of the whole stream, in every epoch.
#[test]
fn training_carries_its_state_over_windows_and_starts_each_epoch_without() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = text_config(folder.path());
    let (model, train) = (&mut config.model, &mut config.train);
    (model.dropout, model.input_dropout, model.head_dropout) = (0.0, 0.0, 0.0);
    (model.embedding_dropout, model.weight_drop, model.variational) = (0.0, 0.0, false);
    (train.activation_regularization, train.temporal_activation_regularization) = (0.0, 0.0);
    (train.lr, train.weight_decay, train.batch_size) = (1e-12, Some(0.0), LANES);
    config.data.window = Some(4);
    // A short stream will do.
    (config.data.valid_fraction, config.data.test_fraction) = (0.4, 0.4);
    let device = each_backend().remove(0);
    let run = |carry_state: bool| {
        let mut config = config.clone();
        config.train.carry_state = carry_state;
        let path = folder.path().join(format!("run-{carry_state}"));
        let run = train::train(&config, &device, &path, Progress::Quiet).unwrap();
        let dataset = data::load(&config.data, config.model.mode, config.train.seed).unwrap();
        let scores = predict::load(&run.model, &device).unwrap().score(&dataset.train, "train").unwrap();
        let losses: Vec<f64> = run.epochs.iter().map(|epoch| epoch.train_loss).collect();
        (losses, scores[0].value)
    };
    let (carried, whole) = run(true);
    let (alone, pieces) = run(false);
    for (losses, scored) in [(&carried, whole), (&alone, pieces)] {
        assert!(losses.iter().all(|loss| (loss - scored).abs() < 1e-5), "{losses:?} and {scored}");
    }
    assert!((whole - pieces).abs() > 1e-4, "{whole} and {pieces}: a state that is not carried is missed");
}

/// In processes of their own: burn's generators are one a process.
#[test]
fn the_same_seed_drops_the_same() {
    if !backend::compiled().contains(&backend::BackendKind::Ndarray) {
        return; // Other backends promise no bits.
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text_config(folder.path()).to_toml()).unwrap();
    let [first, second] = ["a", "b"].map(|name| {
        let run = folder.path().join(name);
        assert_cmd::cargo::cargo_bin_cmd!("rnn-zoo")
            .args(["train", "--quiet", "--backend", "ndarray", "--run"])
            .args([&run, &path])
            .assert()
            .success();
        let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
        // All but the two times at the end.
        metrics.lines().map(|line| line.rsplitn(3, ',').last().unwrap().to_string()).collect::<Vec<_>>()
    });
    assert_eq!(first, second);
}

#[derive(Clone)]
struct Regularized;

impl Task for Regularized {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let plain = ModelConfig { d_embedding: Some(6), tie_weights: true, ..model(CellKind::Lstm) };
        let tied = Model::<B>::new(&plain, 1, &device).unwrap();
        let samples = streams();
        let batch = Batch::<B>::new(&samples.iter().collect::<Vec<_>>(), None, &device);
        let loss = |model: &Model<B>| {
            let output = model.forward(&batch);
            assert_eq!(output.dims(), [LANES, STEPS, VOCABULARY]);
            OBJECTIVE.loss(output, &batch.target, None)
        };
        let grads = GradientsParams::from_grads(loss(&tied).backward(), &tied);
        let names = named_tensors(&tied);
        assert_eq!(grads.len(), names.len(), "every parameter has a gradient");
        let sizes: usize = names.iter().map(|t| t.data.shape.iter().product::<usize>()).sum();
        // One matrix for the embedding and the head, and the head's bias.
        assert_eq!(sizes, 7 * 6 + 7 + 2 * (2 * 24 * 6 + 2 * 24));

        // Each of them changes what is learned from, and none what is said.
        let inner = Batch::<B::InnerBackend>::new(&samples.iter().collect::<Vec<_>>(), None, &device);
        for change in [
            |c: &mut ModelConfig| c.input_dropout = 0.5,
            |c: &mut ModelConfig| c.embedding_dropout = 0.5,
            |c: &mut ModelConfig| c.dropout = 0.5,
            |c: &mut ModelConfig| c.head_dropout = 0.5,
            |c: &mut ModelConfig| c.weight_drop = 0.5,
        ] {
            for variational in [false, true] {
                let mut config = ModelConfig { variational, ..plain.clone() };
                change(&mut config);
                let dropped = Model::<B>::new(&config, 1, &device).unwrap();
                let [a, b] = [&tied, &dropped].map(|model| values(loss(model).inner())[0]);
                assert!((a - b).abs() > 1e-6, "{config:?} drops nothing");
                let said = |config: &ModelConfig| {
                    let model = Model::<B::InnerBackend>::new(config, 1, &device).unwrap();
                    values(model.forward(&inner))
                };
                assert_close("at inference", &said(&config), &said(&plain));
            }
        }
    }
}

#[test]
fn regularization_acts_in_training_alone() {
    on_each_backend(Regularized);
}

#[derive(Clone)]
struct Penalties;

impl Task for Penalties {
    type Output = ();

    /// The gradient of a step, against that of the loss and the penalties written out on valid steps alone.
    fn run<B: TrainBackend>(self, device: B::Device) {
        use burn::tensor::Tensor;
        use burn::train::TrainStep;
        // Streams of 12 steps: 4 each; 5, 5 and 2; 11 and 1.
        for window in [4, 5, 11] {
            let samples = windows(window);
            let batch = Batch::<B>::new(&samples.iter().collect::<Vec<_>>(), None, &device);
            let mut all = Vec::new();
            for [size, change] in [[0.0, 0.0], [20.0, 0.0], [0.0, 30.0], [20.0, 30.0]] {
                let what = format!("windows of {window}, penalties {size} and {change}");
                let settings = TrainConfig {
                    activation_regularization: size,
                    temporal_activation_regularization: change,
                    ..TrainConfig::default()
                };
                let model = Model::<B>::new(&model(CellKind::Lstm), 1, &device).unwrap();
                let trainee = train::Trainee::new(model, OBJECTIVE.into(), &settings);
                let step = trainee.step(batch.clone().into());
                let got = gradients(&trainee.model, &step.grads);

                let (said, features) = trainee.model.run(&batch, None);
                // `[1, N, H]`: the steps of each sequence without its first and last so many.
                let steps = |first: usize, last: usize| {
                    let lengths = samples.iter().map(|sample| sample.input.steps()).enumerate();
                    let parts: Vec<Tensor<B, 3>> = lengths
                        .filter(|(_, length)| *length > first + last)
                        .map(|(b, length)| features.raw.clone().slice([b..b + 1, first..length - last]))
                        .collect();
                    Tensor::cat(parts, 1)
                };
                let entropy = OBJECTIVE.loss(said.output, &batch.target, batch.target_lengths.as_deref());
                let told = step.item.report.0.mean_loss() as f32;
                assert_close(&format!("{what}: the loss told"), &[told], &values(entropy.clone()));
                let loss = entropy
                    + steps(0, 0).square().mean() * size
                    + (steps(1, 0) - steps(0, 1)).square().mean() * change;
                let grads = GradientsParams::from_grads(loss.backward(), &trainee.model);
                let expected = gradients(&trainee.model, &grads);
                let mut flat = Vec::new();
                for ((name, got), (_, expected)) in got.into_iter().zip(expected) {
                    let got = got.expect("every parameter has a gradient");
                    let expected = expected.expect("every parameter has a gradient");
                    assert_close(&format!("{what}: {name}"), &got, &expected);
                    flat.extend(got);
                }
                all.push(flat);
            }
            for some in &all[1..] {
                let differs = some.iter().zip(&all[0]).any(|(some, none)| (some - none).abs() > 1e-3);
                assert!(differs, "windows of {window}: a penalty without a gradient");
            }
        }
    }
}

#[test]
fn penalties_of_activations_are_means_over_valid_steps() {
    on_each_backend(Penalties);
}
