//! One-to-many: three numbers in, a whole curve out, each point fed back to make the next.
//!
//! A damped oscillation from its frequency, its damping and its phase.

use rand::{RngExt, SeedableRng};
use rnn_zoo::cli;
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig};
use rnn_zoo::data::{Dataset, Features, Sample, SampleInput, SampleTarget, Schema};
use rnn_zoo::predict::{self, Answer};
use rnn_zoo::train::{self, Progress};

const STEPS: usize = 40;

fn curve([frequency, damping, phase]: [f32; 3]) -> Vec<f32> {
    (0..STEPS)
        .map(|t| {
            (-damping * t as f32 / 20.0).exp() * (0.3 * (1.0 + frequency) * t as f32 + 3.0 * phase).sin()
        })
        .collect()
}

fn draw(values: &[f32]) -> String {
    values
        .iter()
        .map(|v| ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((v + 1.0) * 4.0).clamp(0.0, 7.0) as usize])
        .collect()
}

fn main() -> rnn_zoo::Result<()> {
    let device = cli::device_from_args()?;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let settings: Vec<[f32; 3]> = (0..1000).map(|_| [0.0; 3].map(|_| rng.random())).collect();
    let samples = settings.iter().map(|setting| Sample {
        input: SampleInput::Features(Features { data: setting.to_vec(), channels: 3 }),
        target: SampleTarget::Features(Features { data: curve(*setting), channels: 1 }),
    });
    let dataset = Dataset::new(samples.collect(), Schema::features(3, 1));
    let test = dataset.test.clone();

    let mut model = ModelConfig::new(IoMode::OneToMany, CellKind::Gru, 64);
    model.max_steps = Some(STEPS);
    let mut config = Config::new("one-to-many", model);
    config.train.epochs = 40;
    config.train.lr = 1e-2;
    config.train.schedule = rnn_zoo::config::Schedule::Cosine;
    let run =
        train::train_on(&config, dataset, &device, &train::free_folder("one_to_many")?, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    assert_eq!(
        model.score(&test, "test")?[0].value,
        run.score("test", "mse").unwrap(),
        "the reloaded model is the same"
    );
    let inputs: Vec<_> = test.iter().map(|sample| sample.input.clone()).collect();
    let [mut error, mut power] = [0.0; 2];
    for (k, answer) in model.predict(&inputs, None)?.iter().enumerate() {
        let (Answer::Values(said), truth) = (answer, curve(settings[900 + k])) else { continue };
        if k < 3 {
            println!("truth {}\nmodel {}\n", draw(&truth), draw(&said.data));
        }
        error += said.data.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        power += truth.iter().map(|v| v * v).sum::<f32>();
    }
    println!(
        "of unseen curves, drawn on its own: {:.2} % of the power is missed ({:.0} s)",
        100.0 * error / power,
        run.seconds
    );
    Ok(())
}
