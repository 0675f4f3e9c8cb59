//! One-to-one: a stream, one reading in and one estimate out, the state carried.
//!
//! The chaotic Mackey–Glass series (Science 197, 1977), six steps ahead.

use rnn_zoo::cli;
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig};
use rnn_zoo::data::{Dataset, Features, Sample, SampleInput, Schema};
use rnn_zoo::predict::{self, Answer};
use rnn_zoo::train::{self, Progress};

const AHEAD: usize = 6;

/// `x' = 0.2 x(t-17) / (1 + x(t-17)^10) - 0.1 x`, by Euler's rule with a step of 1, about its mean.
fn mackey_glass(n: usize) -> Vec<f32> {
    let mut x = vec![1.2f32; 18];
    for t in 18..n + 300 {
        let late = x[t - 18];
        x.push(x[t - 1] + 0.2 * late / (1.0 + late.powi(10)) - 0.1 * x[t - 1]);
    }
    x[300..].iter().map(|x| x - 0.92).collect()
}

fn main() -> rnn_zoo::Result<()> {
    let device = cli::device_from_args();
    let x = mackey_glass(6400);
    let part = |from: usize| Features::series(x[from..from + 100].to_vec());
    let samples = (0..60).map(|k| Sample::features(part(100 * k), part(100 * k + AHEAD))).collect();
    let dataset = Dataset::new(samples, Schema::features(1, 1));
    let test = dataset.test.clone();

    let mut config = Config::new("one-to-one", ModelConfig::new(IoMode::OneToOne, CellKind::Gru, 32));
    (config.train.epochs, config.train.batch_size, config.train.lr) = (60, 8, 5e-3);
    let folder = train::free_folder("one_to_one")?;
    let run = train::train_on(&config, dataset, &device, &folder, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    assert!(run.scores.ends_with(&model.score(&test, "test")?), "the reloaded model scores the same");
    let mut stream = model.stream()?;
    let (live, mut said) = (6000..6300, Vec::new());
    for t in live.clone() {
        let reading = SampleInput::Features(Features::series(vec![x[t]]));
        let Answer::Values(estimate) = stream.step(&reading)? else { continue };
        said.push(estimate.data[0]);
    }
    let truth = &x[live.start + AHEAD..live.end + AHEAD];
    let error = |guess: &[f32]| guess.iter().zip(truth).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / 300.0;
    println!("truth  {}", Features::series(truth[..80].to_vec()).sketch());
    println!("stream {}", Features::series(said[..80].to_vec()).sketch());
    println!("repeating the last reading: mean squared error {:.5}", error(&x[live]));
    let streamed = error(&said);
    println!("the stream, {AHEAD} steps ahead: mean squared error {streamed:.5} ({:.0} s)", run.seconds);
    Ok(())
}
