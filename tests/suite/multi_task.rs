//! Several tasks over one stack: each loss trains its own part of the model.

use crate::support::*;
use burn::optim::GradientsParams;
use burn::train::TrainStep;
use rnn_zoo::backend::{Task, TrainBackend};
use rnn_zoo::config::{CellKind, Config, IoMode, Loss, ModelConfig, OptimizerKind, Pooling, TaskConfig};
use rnn_zoo::data::{
    Batch, Dataset, InputSchema, Sample, SampleInput, SampleTarget, Schema, Target, TargetSchema, TaskSchema,
};
use rnn_zoo::model::{self, Model, Objective};
use rnn_zoo::predict::{self, Answer};
use rnn_zoo::train::{self, Criterion, Progress, Trainee};
use std::collections::HashMap;

const WORDS: usize = 12;
const TAGS: [&str; 5] = ["O", "B-a", "I-a", "B-b", "I-b"];

fn task(name: &str, mode: IoMode, trains: &[&str]) -> TaskConfig {
    TaskConfig {
        name: name.into(),
        mode,
        pooling: (mode == IoMode::ManyToOne).then_some(Pooling::Max),
        d_output: None,
        loss: Loss::CrossEntropy,
        weight: 0.7,
        trains: trains.iter().map(ToString::to_string).collect(),
    }
}

fn config(intent: &[&str], slots: &[&str]) -> Config {
    let model = ModelConfig {
        d_embedding: Some(8),
        bidirectional: true,
        // In another order than the data has them.
        tasks: vec![task("slots", IoMode::ManyToMany, slots), task("intent", IoMode::ManyToOne, intent)],
        ..ModelConfig::new(IoMode::MultiTask, CellKind::Lstm, 10)
    };
    let mut config = Config::new("tasks", model);
    config.train.batch_size = 16;
    config
}

/// The intent is whether a word of the upper half is there; each such word begins or goes on a span.
/// `turned`: the slots say something else.
fn dataset(turned: bool) -> Dataset {
    let schema = Schema {
        input: InputSchema::Tokens { vocabulary: (0..WORDS).map(|k| format!("w{k}")).collect() },
        target: TargetSchema::Tasks {
            tasks: vec![
                TaskSchema { name: "intent".into(), labels: vec!["no".into(), "yes".into()], aligned: false },
                TaskSchema {
                    name: "slots".into(),
                    labels: TAGS.iter().map(ToString::to_string).collect(),
                    aligned: true,
                },
            ],
        },
    };
    let sample = |k: u64| {
        let word = |v: &f32| ((v + 1.0) * 0.4999 * WORDS as f32) as u32;
        let words: Vec<u32> = noise(3 + k as usize % 5, k + 1).iter().map(word).collect();
        let high = |w: u32| w as usize >= 3 * WORDS / 4;
        let mut inside = false;
        let slots = words.iter().map(|&w| {
            let tag = if !high(w) { 0 } else { 1 + u32::from(inside) };
            inside = high(w);
            if turned { (tag + 3) % 5 } else { tag }
        });
        let slots = SampleTarget::Tokens(slots.collect());
        let intent = SampleTarget::Class(words.iter().any(|&w| high(w)).into());
        Sample { input: SampleInput::Tokens(words.into()), target: SampleTarget::Tasks(vec![intent, slots]) }
    };
    Dataset {
        train: (0..160).map(sample).collect(),
        valid: (200..240).map(sample).collect(),
        test: (300..340).map(sample).collect(),
        schema,
    }
}

#[test]
fn two_tasks_are_learned_over_one_stack() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&["all"], &["all"]);
    (config.train.epochs, config.train.lr) = (25, 1e-2);
    let data = dataset(false);
    let inputs: Vec<SampleInput> = data.test.iter().map(|sample| sample.input.clone()).collect();
    let truth: Vec<SampleTarget> = data.test.iter().map(|sample| sample.target.clone()).collect();
    let device = each_backend().remove(0);
    let run =
        train::train_on(&config, data.clone(), &device, &folder.path().join("run"), Progress::Quiet).unwrap();
    assert!(run.score("test", "intent accuracy").unwrap() > 0.9, "{:?}", run.scores);
    assert!(run.score("test", "slots f1").unwrap() > 0.9, "{:?}", run.scores);
    let mean = run.score("test", "mean score").unwrap();
    let parts = ["intent accuracy", "slots f1"].map(|metric| run.score("test", metric).unwrap());
    assert!((mean - (parts[0] + parts[1]) / 2.0).abs() < 1e-12);

    let model = predict::load(&run.model, &device).unwrap();
    let scores = model.score(&data.test, "test").unwrap();
    assert_eq!(scores[0].value, mean, "reloaded, it is the same");
    let mut right = 0;
    for (answer, truth) in model.predict(&inputs, None).unwrap().into_iter().zip(truth) {
        let (Answer::Tasks(answers), SampleTarget::Tasks(truth)) = (answer, truth) else { panic!("tasks") };
        assert_eq!(answers[0].0, "intent");
        let intent = ["no", "yes"].iter().position(|l| Some(l.to_string()) == answers[0].1.label());
        right += usize::from(truth[0] == SampleTarget::Class(intent.unwrap() as u32));
        let (Answer::Labels(slots), SampleTarget::Tokens(tags)) = (&answers[1].1, &truth[1]) else {
            panic!("slots")
        };
        assert_eq!(slots.len(), tags.len(), "a tag a word, none for padding");
    }
    assert_eq!(right as f64 / 40.0, parts[0]);
}

/// After one step a part is what it is by the losses that train it, to the bit: what another task
/// should have said leaves no trace in it.
#[test]
fn a_loss_leaves_what_it_does_not_train_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&["recurrent", "head.intent"], &["input", "head.slots"]);
    // The clip's norm is over all gradients: it would join what is apart.
    (config.train.epochs, config.train.batch_size, config.train.clip) = (1, 160, 0.0);
    config.train.optimizer = OptimizerKind::Sgd;
    config.train.lr = 0.1;
    let device = each_backend().remove(0);
    let [one, other] = [false, true].map(|turned| {
        let path = folder.path().join(turned.to_string());
        let run = train::train_on(&config, dataset(turned), &device, &path, Progress::Quiet).unwrap();
        let model = predict::load(&run.model, &device).unwrap();
        model.weights().into_iter().map(|t| (t.name, t.data)).collect::<HashMap<_, _>>()
    });
    assert_eq!(one.len(), 1 + 8 + 2 + 2);
    for (name, values) in &one {
        let same = *values == other[name];
        let trained_by_slots = name.starts_with("input.") || name.starts_with("heads.1.");
        assert_eq!(same, !trained_by_slots, "{name}");
    }
}

#[derive(Clone)]
struct OwnLoss;

impl Task for OwnLoss {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let mut config = config(&["recurrent", "head.intent"], &["input", "head.slots"]);
        let data = dataset(false);
        // From here on the tasks are in the data's order: intent, slots.
        model::resolve(&mut config.model, &data.schema).unwrap();
        let criterion = Criterion::new(&config, &data.schema).unwrap();
        let model = Model::<B>::new(&config.model, 1, &device).unwrap();
        let trainee = Trainee::new(model, criterion, &config.train);
        let all: Vec<usize> = (0..data.valid.len()).collect();
        let batch = Batch::<B>::of(&data.valid, &all, None, &device);
        let together = gradients(&trainee.model, &trainee.step(batch.clone().into()).grads);

        let Model::MultiTask(model) = &trainee.model else { panic!("several tasks") };
        let Target::Tasks(targets) = &batch.target else { panic!("several targets") };
        let [intent, slots] = [0, 1].map(|k| {
            let output = model.forward(batch.input.clone(), batch.input_lengths.as_deref(), None).0.remove(k);
            let (target, lengths) = &targets[k];
            let objective = Objective { loss: Loss::CrossEntropy, label_smoothing: 0.0 };
            let loss = objective.loss(output, target, lengths.as_deref()) * config.model.tasks[k].weight;
            gradients(&trainee.model, &GradientsParams::from_grads(loss.backward(), &trainee.model))
        });
        for (((name, together), (_, intent)), (_, slots)) in together.into_iter().zip(intent).zip(slots) {
            let trained_by_slots = name.starts_with("input.") || name.starts_with("heads.1.");
            let (own, other) = if trained_by_slots { (slots, intent) } else { (intent, slots) };
            assert_close(&name, &together.expect("trained"), &own.expect("read by its task"));
            // What is left out is there: the other loss depends on all but the head.
            let reaches = other.is_some_and(|other| other.iter().any(|grad| grad.abs() > 1e-4));
            assert_eq!(reaches, !name.starts_with("heads."), "{name}");
        }
    }
}

#[test]
fn a_part_has_the_gradient_of_the_loss_that_trains_it() {
    on_each_backend(OwnLoss);
}

#[test]
fn parts_are_checked() {
    let refused = |intent: &[&str], slots: &[&str], says: &str| {
        let error = config(intent, slots).model.check().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    refused(&["all"], &["head.slot"], "no part `head.slot`");
    refused(&["recurrent", "head.intent"], &["head.slots"], "no task trains `input`");
    refused(&["input", "recurrent", "head.slots"], &["all", "nothing"], "no part `nothing`");
    refused(&["input", "recurrent"], &["head.slots"], "no task trains `head.intent`");
    config(&["all"], &["head.slots"]).model.check().unwrap();
}

#[test]
fn tasks_must_be_those_of_the_data() {
    let device = each_backend().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let train = |config: Config| {
        let path = folder.path().join("run");
        train::train_on(&config, dataset(false), &device, &path, Progress::Quiet).unwrap_err().to_string()
    };
    let mut renamed = config(&["all"], &["all"]);
    renamed.model.tasks[0].name = "slot".into();
    assert!(train(renamed).contains("the data has the tasks intent, slots"));
    let mut other = config(&["all"], &["all"]);
    other.model.tasks[1] = TaskConfig { pooling: None, ..other.model.tasks[1].clone() };
    other.model.tasks[1].mode = IoMode::ManyToMany;
    assert!(train(other).contains("model.tasks.intent.mode"));
    let mut sized = config(&["all"], &["all"]);
    sized.model.tasks[0].d_output = Some(9);
    assert!(train(sized).contains("is 9, but the data has 5"));
}
