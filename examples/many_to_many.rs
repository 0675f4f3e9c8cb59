//! Many-to-many, aligned: a noisy curve in, a clean one out, step by step, read from both ends.

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rnn_zoo::cli;
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig, Schedule};
use rnn_zoo::data::{Dataset, Features, Sample, SampleInput, SampleTarget, Schema};
use rnn_zoo::predict::{self, Answer};
use rnn_zoo::train::{self, Progress};

const NOISE: f32 = 0.3;

fn main() -> rnn_zoo::Result<()> {
    let device = cli::device_from_args();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    // Two sines of random frequency, phase and share; sequences of 30 to 60 steps.
    let sample = |_| {
        let [f, g, p, q, share]: [f32; 5] = [0.0; 5].map(|_| rng.random());
        let sine = |t: usize, f: f32, p: f32| (0.4 * f * t as f32 + 6.0 * p).sin();
        let clean: Vec<f32> = (0..rng.random_range(30..=60))
            .map(|t| share * sine(t, f, p) + (1.0 - share) * sine(t, g, q))
            .collect();
        let noisy = clean.iter().map(|v| v + NOISE * rng.sample::<f32, _>(StandardNormal)).collect();
        Sample::features(Features::series(noisy), Features::series(clean))
    };
    let dataset = Dataset::new((0..600).map(sample).collect(), Schema::features(1, 1));
    let test = dataset.test.clone();

    let mut model = ModelConfig::new(IoMode::ManyToMany, CellKind::Lstm, 32);
    model.bidirectional = true;
    let mut config = Config::new("many-to-many", model);
    (config.train.epochs, config.train.batch_size) = (25, 16);
    (config.train.lr, config.train.schedule) = (1e-2, Schedule::Cosine);
    let folder = train::free_folder("many_to_many")?;
    let run = train::train_on(&config, dataset, &device, &folder, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    let scores = model.score(&test, "test")?;
    let mse = scores[0].value;
    assert!(run.scores.ends_with(&scores), "the reloaded model scores the same");
    let first = test.at(0);
    if let (SampleInput::Features(noisy), SampleTarget::Features(clean), Answer::Values(said)) =
        (&first.input, &first.target, &model.predict(std::slice::from_ref(&first.input), None)?[0])
    {
        println!("noisy {}\nmodel {}\nclean {}\n", noisy.sketch(), said.sketch(), clean.sketch());
    }
    let left = mse.sqrt();
    println!("noise: root mean squared error {NOISE:.3}; after the model: {left:.3} ({:.0} s)", run.seconds);
    Ok(())
}
