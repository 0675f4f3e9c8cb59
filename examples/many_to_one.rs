//! Many-to-one: which of nine speakers says two vowels, from utterances of 7 to 29 steps.
//!
//! Trains, exports the best epoch, reloads it and scores it on utterances it has not seen.

use rnn_zoo::config::Config;
use rnn_zoo::train::{self, Progress};
use rnn_zoo::{cli, data, predict};
use std::path::Path;

fn main() -> rnn_zoo::Result<()> {
    let device = cli::device_from_args();
    let config = Config::from_file(Path::new("configs/speaker.toml"), &[])?;
    let folder = train::free_folder("many_to_one")?;
    let run = train::train(&config, &device, &folder, Progress::Auto)?;

    let model = predict::load(&run.model, &device)?;
    let test =
        data::load_split(&config.data, config.model.mode, &model.folder().schema, None, config.train.seed)?;
    let scores = model.score(&test, "test")?;
    assert!(run.scores.ends_with(&scores), "the reloaded model scores the same");

    let inputs: Vec<_> = test.iter().step_by(40).map(|sample| sample.input.clone()).collect();
    for (k, answer) in model.predict(&inputs, None)?.iter().enumerate() {
        println!("utterance {:>3}: speaker {}", 40 * k + 1, answer.label().unwrap_or_default());
    }
    let train = data::load(&config.data, config.model.mode, config.train.seed)?.train;
    let baseline = train::baseline(&config, &model.folder().schema, &train, &test, "test")?;
    println!("{}: test accuracy {:.4}", baseline.what, baseline.scores[0].value);
    println!("test accuracy {:.4} ({} utterances, {:.0} s)", scores[0].value, test.len(), run.seconds);
    println!("model: {}", run.model.display());
    Ok(())
}
