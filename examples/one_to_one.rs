//! One-to-one: a stream, one reading in and one estimate out, the state carried.
//!
//! The Mackey–Glass series (Science 197, 1977), six steps ahead: chaotic, and a model has to keep
//! track of the last seventeen steps to do it.

use rnn_zoo::cli;
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig};
use rnn_zoo::data::{Dataset, Features, Sample, SampleInput, SampleTarget, Schema};
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
    let device = cli::device_from_args()?;
    let x = mackey_glass(6400);
    let part = |from: usize| Features { data: x[from..from + 100].to_vec(), channels: 1 };
    let samples = (0..60).map(|k| Sample {
        input: SampleInput::Features(part(100 * k)),
        target: SampleTarget::Features(part(100 * k + AHEAD)),
    });
    let dataset = Dataset::new(samples.collect(), Schema::features(1, 1));

    let mut config = Config::new("one-to-one", ModelConfig::new(IoMode::OneToOne, CellKind::Gru, 32));
    config.train.epochs = 60;
    config.train.batch_size = 8;
    config.train.lr = 5e-3;
    let run = train::train_on(&config, dataset, &device, &train::free_folder("one_to_one")?, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    let mut stream = model.stream()?;
    let [mut error, mut naive, mut last] = [0.0, 0.0, String::new().len() as f32];
    let live = 6000..6300;
    for t in live.clone() {
        let reading = SampleInput::Features(Features { data: vec![x[t]], channels: 1 });
        if let Answer::Values(said) = stream.step(&reading)? {
            (error, naive, last) = (
                error + (said.data[0] - x[t + AHEAD]).powi(2),
                naive + (x[t] - x[t + AHEAD]).powi(2),
                said.data[0],
            );
        }
    }
    let n = live.len() as f32;
    println!("last estimate {last:.4}, truth {:.4}", x[live.end - 1 + AHEAD]);
    println!("repeating the last reading: mean squared error {:.5}", naive / n);
    println!("the stream: mean squared error {:.5} over {n} readings ({:.0} s)", error / n, run.seconds);
    Ok(())
}
