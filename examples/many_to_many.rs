//! Many-to-many, aligned: a noisy curve in, a clean one out, step by step, read from both ends.

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rnn_zoo::cli;
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig};
use rnn_zoo::data::{Dataset, Features, Sample, SampleInput, SampleTarget, Schema};
use rnn_zoo::predict::{self, Answer};
use rnn_zoo::train::{self, Progress};

const NOISE: f32 = 0.3;

fn draw(values: &[f32]) -> String {
    values
        .iter()
        .map(|v| ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((v + 1.4) * 2.9).clamp(0.0, 7.0) as usize])
        .collect()
}

fn main() -> rnn_zoo::Result<()> {
    let device = cli::device_from_args()?;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    // Two sines of random frequency, phase and share; sequences of 30 to 60 steps.
    let samples = (0..600).map(|_| {
        let [f, g, p, q, share]: [f32; 5] = [0.0; 5].map(|_| rng.random());
        let clean: Vec<f32> = (0..rng.random_range(30..=60))
            .map(|t| {
                share * (t as f32 * 0.4 * f + 6.0 * p).sin()
                    + (1.0 - share) * (t as f32 * 0.4 * g + 6.0 * q).sin()
            })
            .collect();
        let noisy = clean.iter().map(|v| v + NOISE * rng.sample::<f32, _>(StandardNormal)).collect();
        Sample {
            input: SampleInput::Features(Features { data: noisy, channels: 1 }),
            target: SampleTarget::Features(Features { data: clean, channels: 1 }),
        }
    });
    let dataset = Dataset::new(samples.collect(), Schema::features(1, 1));
    let test = dataset.test.clone();

    let mut model = ModelConfig::new(IoMode::ManyToMany, CellKind::Lstm, 32);
    model.bidirectional = true;
    let mut config = Config::new("many-to-many", model);
    config.train.epochs = 25;
    config.train.batch_size = 16;
    config.train.lr = 1e-2;
    config.train.schedule = rnn_zoo::config::Schedule::Cosine;
    let run =
        train::train_on(&config, dataset, &device, &train::free_folder("many_to_many")?, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    let mse = model.score(&test, "test")?[0].value;
    assert_eq!(mse, run.score("test", "mse").unwrap(), "the reloaded model is the same");
    let (SampleInput::Features(noisy), SampleTarget::Features(clean)) = (&test[0].input, &test[0].target)
    else {
        return Ok(());
    };
    if let Answer::Values(said) = &model.predict(&[test[0].input.clone()], None)?[0] {
        println!("noisy {}\nmodel {}\nclean {}\n", draw(&noisy.data), draw(&said.data), draw(&clean.data));
    }
    println!(
        "noise: root mean squared error {NOISE:.3}; after the model: {:.3} ({:.0} s)",
        mse.sqrt(),
        run.seconds
    );
    Ok(())
}
