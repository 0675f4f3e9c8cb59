//! One-to-many: three numbers in, a whole curve out, each point fed back to make the next.
//!
//! A damped oscillation from its frequency, its damping and its phase.

use rand::{RngExt, SeedableRng};
use rnn_zoo::cli;
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig, Schedule};
use rnn_zoo::data::{Dataset, Features, Sample, SampleTarget, Schema};
use rnn_zoo::predict::{self, Answer};
use rnn_zoo::train::{self, Progress};

const STEPS: usize = 40;

fn curve(t: usize, [frequency, damping, phase]: [f32; 3]) -> f32 {
    let t = t as f32;
    (-damping * t / 20.0).exp() * (0.3 * (1.0 + frequency) * t + 3.0 * phase).sin()
}

fn main() -> rnn_zoo::Result<()> {
    let device = cli::device_from_args();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let sample = |_| {
        let setting = [0.0; 3].map(|_| rng.random());
        let points = (0..STEPS).map(|t| curve(t, setting)).collect();
        Sample::features(Features::vector(setting.to_vec()), Features::series(points))
    };
    let dataset = Dataset::new((0..1000).map(sample).collect(), Schema::features(3, 1));
    let test = dataset.test.clone();

    let mut model = ModelConfig::new(IoMode::OneToMany, CellKind::Gru, 64);
    model.max_steps = Some(STEPS);
    let mut config = Config::new("one-to-many", model);
    (config.train.epochs, config.train.lr, config.train.schedule) = (40, 1e-2, Schedule::Cosine);
    let folder = train::free_folder("one_to_many")?;
    let run = train::train_on(&config, dataset, &device, &folder, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    assert!(run.scores.ends_with(&model.score(&test, "test")?), "reloaded, it is the same");
    let inputs: Vec<_> = test.iter().map(|sample| sample.input.clone()).collect();
    let (mut error, mut power) = (0.0, 0.0);
    for (k, answer) in model.predict(&inputs, None)?.iter().enumerate() {
        let sample = test.at(k);
        let (Answer::Values(said), SampleTarget::Features(truth)) = (answer, &sample.target) else {
            continue;
        };
        if k < 3 {
            println!("truth {}\nmodel {}\n", truth.sketch(), said.sketch());
        }
        error += said.data.iter().zip(&truth.data).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        power += truth.data.iter().map(|v| v * v).sum::<f32>();
    }
    println!("{:.2} % of the power of unseen curves is missed ({:.0} s)", 100.0 * error / power, run.seconds);
    Ok(())
}
