//! Encoder–decoder: 1 to 3999 into Roman numerals; a tenth of them is never seen in training.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rnn_zoo::cli;
use rnn_zoo::config::{CellKind, Config, IoMode, ModelConfig, Schedule};
use rnn_zoo::data::{Dataset, Sample, Schema};
use rnn_zoo::predict;
use rnn_zoo::train::{self, Progress};

const SYMBOLS: [&str; 13] = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"];
const VALUES: [u32; 13] = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1];

fn roman(mut n: u32) -> String {
    let mut text = String::new();
    for (symbol, value) in SYMBOLS.iter().zip(VALUES) {
        text += &symbol.repeat((n / value) as usize);
        n %= value;
    }
    text
}

fn main() -> rnn_zoo::Result<()> {
    let device = cli::device_from_args();
    let digits: Vec<String> = (0..10).map(|d: u32| d.to_string()).collect();
    // The first target token ends a numeral.
    let letters: Vec<String> = ["", "I", "V", "X", "L", "C", "D", "M"].map(String::from).to_vec();
    let mut numbers: Vec<u32> = (1..4000).collect();
    numbers.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
    let letter = |c: char| letters.iter().position(|l| *l == c.to_string()).unwrap() as u32;
    let sample = |n: &u32| {
        let digits = n.to_string().bytes().map(|b| u32::from(b - b'0')).collect();
        Sample::tokens(digits, roman(*n).chars().map(letter).chain([0]).collect())
    };
    let samples = numbers.iter().map(sample).collect();
    let dataset = Dataset::new(samples, Schema::tokens(digits, letters.clone()));
    let test = dataset.test.clone();

    let mut model = ModelConfig::new(IoMode::EncoderDecoder, CellKind::Gru, 64);
    (model.d_embedding, model.bidirectional, model.max_steps) = (Some(16), true, Some(20));
    let mut config = Config::new("encoder-decoder", model);
    (config.train.epochs, config.train.lr, config.train.schedule) = (12, 1e-2, Schedule::Cosine);
    let folder = train::free_folder("encoder_decoder")?;
    let run = train::train_on(&config, dataset, &device, &folder, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    assert!(run.scores.ends_with(&model.score(&test, "test")?), "the reloaded model scores the same");
    let inputs: Vec<_> = test.iter().map(|sample| sample.input.clone()).collect();
    let answers = model.predict(&inputs, None)?;
    let unseen = &numbers[numbers.len() - test.len()..];
    let right = answers.iter().zip(unseen).filter(|(said, n)| said.label() == Some(roman(**n))).count();
    for (said, n) in answers.iter().zip(unseen).take(8) {
        println!("{n:>4} → {}", said.label().unwrap_or_default());
    }
    println!("{right} of {} unseen numbers written without a fault ({:.0} s)", unseen.len(), run.seconds);
    Ok(())
}
