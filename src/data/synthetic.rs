//! Two tasks that need a long memory and no files.
//!
//! **The adding problem** (Hochreiter and Schmidhuber 1997, in the form of Le, Jaitly and Hinton 2015): of T numbers,
//! uniform in [0, 1), two are marked, one in each half; the target is the sum of the two. Saying always 1 has a mean
//! squared error of 1/6 ≈ 0.167.
//!
//! **Copy memory** (Hochreiter and Schmidhuber 1997, in the form of Arjovsky, Shah and Bengio 2016): T + 20 steps. In:
//! 10 symbols out of 8, T − 1 blanks, a delimiter, 10 blanks. Out: T + 10 blanks, then the 10 symbols. Blanks where they
//! belong and guessed symbols have a cross entropy of 10·ln 8/(T + 20) nats a step.

use super::sample::{
    Dataset, Features, InputSchema, Sample, SampleInput, SampleTarget, Schema, TargetSchema,
};
use super::{MAX_VALUES, Samples, mismatch};
use crate::config::{DataConfig, DataFormat};
use crate::error::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Symbols to copy are 0 to 7; the two below follow them.
const SYMBOLS: u32 = 8;
const BLANK: u32 = SYMBOLS;
const DELIMITER: u32 = SYMBOLS + 1;
/// Symbols a sequence.
const COPIED: usize = 10;
/// The tokens as they are shown; the targets never have the last.
const TOKENS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "_", "|"];

/// The splits draw from streams of their own, so that none changes with the size of another.
const TRAIN: u64 = 0;
const VALID: u64 = 1;
const TEST: u64 = 2;

/// The three splits of `adding` or `copy-memory` data.
pub(super) fn load(config: &DataConfig, seed: u64) -> Result<Dataset> {
    Ok(Dataset {
        train: make(config, seed, TRAIN)?,
        valid: make(config, seed, VALID)?,
        test: make(config, seed, TEST)?,
        schema: schema(config.format),
    })
}

/// The test split alone.
pub(super) fn load_test(
    config: &DataConfig,
    stored: &Schema,
    path: Option<&Path>,
    seed: u64,
) -> Result<Samples> {
    if let Some(path) = path {
        let message = format!("`{}` data are made, not read: leave the file out", config.format.name());
        return Err(Error::file(path, message));
    }
    if *stored != schema(config.format) {
        return Err(mismatch());
    }
    make(config, seed, TEST)
}

fn make(config: &DataConfig, seed: u64, stream: u64) -> Result<Samples> {
    let steps = config.steps.unwrap_or(100);
    let samples = config.samples.unwrap_or(10_000);
    let samples = if stream == TRAIN { samples } else { (samples / 10).max(1) };
    // Two values a step, either way.
    let values = steps.saturating_add(2 * COPIED).saturating_mul(2).saturating_mul(samples);
    if values > MAX_VALUES {
        let message = format!(
            "{samples} samples of {steps} steps do not fit the limit of {MAX_VALUES} values: lower one"
        );
        return Err(Error::config("data.samples", message));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let sample = if config.format == DataFormat::Adding { add } else { copy };
    Ok((0..samples).map(|_| sample(steps, &mut rng)).collect())
}

fn add(steps: usize, rng: &mut ChaCha8Rng) -> Sample {
    let mut data: Vec<f32> = (0..steps).flat_map(|_| [rng.random(), 0.0]).collect();
    let half = steps / 2;
    let mut sum = 0.0;
    for marked in [rng.random_range(0..half), rng.random_range(half..steps)] {
        data[2 * marked + 1] = 1.0;
        sum += data[2 * marked];
    }
    Sample {
        input: SampleInput::Features(Features { data: data.into(), channels: 2 }),
        target: SampleTarget::Features(Features { data: vec![sum].into(), channels: 1 }),
    }
}

fn copy(steps: usize, rng: &mut ChaCha8Rng) -> Sample {
    let symbols: Vec<u32> = (0..COPIED).map(|_| rng.random_range(0..SYMBOLS)).collect();
    let mut input = symbols.clone();
    input.resize(steps + 2 * COPIED, BLANK);
    input[COPIED + steps - 1] = DELIMITER;
    let mut target = vec![BLANK; steps + COPIED];
    target.extend(symbols);
    Sample::tokens(input, target)
}

fn schema(format: DataFormat) -> Schema {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let features = |names: &[&str]| (names.len(), Vec::new(), own(names));
    if format == DataFormat::CopyMemory {
        return Schema {
            input: InputSchema::Tokens { vocabulary: own(&TOKENS) },
            target: TargetSchema::Tokens { labels: own(&TOKENS[..=BLANK as usize]) },
        };
    }
    let (channels, scales, names) = features(&["value", "marker"]);
    let input = InputSchema::Features { channels, scales, names };
    let (channels, scales, names) = features(&["sum"]);
    let target = TargetSchema::Features { channels, scales, names };
    Schema { input, target }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IoMode::{ManyToMany, ManyToOne};
    use crate::data::tests::{assert_says, config};
    use crate::data::{load, load_split};

    #[test]
    fn adding_marks_one_in_each_half() {
        let config = config("adding", None, "steps = 7\nsamples = 2000");
        let data = load(&config, ManyToOne, 3).unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [2000, 200, 200]);
        let mut error = 0.0;
        for sample in &data.train {
            let (SampleInput::Features(input), SampleTarget::Features(target)) =
                (&sample.input, &sample.target)
            else {
                panic!("no features");
            };
            assert_eq!((input.steps(), input.channels, target.data.len()), (7, 2, 1));
            let rows: Vec<&[f32]> = input.data.chunks(2).collect();
            let marks = |rows: &[&[f32]]| rows.iter().map(|r| r[1]).sum::<f32>();
            assert_eq!([marks(&rows[..3]), marks(&rows[3..])], [1.0, 1.0]);
            let sum: f32 = rows.iter().map(|r| r[0] * r[1]).sum();
            assert_eq!(sum, target.data[0]);
            assert!(rows.iter().all(|r| (0.0..1.0).contains(&r[0])));
            error += (sum - 1.0).powi(2) / 2000.0;
        }
        assert!((error - 1.0 / 6.0).abs() < 0.02, "{error}");
    }

    #[test]
    fn copy_memory_has_the_papers_layout() {
        let config = config("copy-memory", None, "steps = 3\nsamples = 20");
        let data = load(&config, ManyToMany, 3).unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [20, 2, 2]);
        for sample in &data.train {
            let (SampleInput::Tokens(input), SampleTarget::Tokens(target)) = (&sample.input, &sample.target)
            else {
                panic!("no tokens");
            };
            let (input, target) = (input.to_vec(), target.to_vec());
            assert!(input[..10].iter().all(|t| *t < SYMBOLS));
            assert_eq!(input[10..], [8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
            assert_eq!(target[..13], [8; 13]);
            assert_eq!(target[13..], input[..10]);
        }
        assert_ne!(data.train.at(0), data.train.at(1));
    }

    #[test]
    fn seed_decides_and_sizes_do_not() {
        let data = |more, seed| load(&config("adding", None, more), ManyToOne, seed).unwrap();
        let (a, b) = (data("samples = 10", 1), data("samples = 19", 1));
        assert_eq!(a, data("samples = 10", 1));
        assert_eq!((&a.valid, &a.test), (&b.valid, &b.test));
        assert_ne!(a.valid, a.test);
        assert_ne!(a.test, data("samples = 10", 2).test);
    }

    #[test]
    fn test_split_is_made_again() {
        for (format, mode) in [("adding", ManyToOne), ("copy-memory", ManyToMany)] {
            let config = config(format, None, "samples = 10");
            let data = load(&config, mode, 5).unwrap();
            let again = load_split(&config, mode, &data.schema, None, 5).unwrap();
            assert_eq!(again, data.test);
            let path = Some(Path::new("x"));
            assert_says(load_split(&config, mode, &data.schema, path, 5), &["made, not read"]);
            let other = schema(DataFormat::Adding);
            let result = load_split(&config, mode, &other, None, 5);
            assert_eq!(result.is_ok(), format == "adding");
        }
    }

    #[test]
    fn one_step_is_too_short_for_adding() {
        let config = config("adding", None, "steps = 1");
        assert_says(load(&config, ManyToOne, 0), &["data.steps", "2 or more"]);
    }

    #[test]
    fn samples_that_fill_memory_are_refused() {
        let more = "steps = 1000000\nsamples = 300";
        for (format, mode) in [("adding", ManyToOne), ("copy-memory", ManyToMany)] {
            let config = config(format, None, more);
            assert_says(load(&config, mode, 0), &["data.samples", "limit"]);
        }
    }
}
