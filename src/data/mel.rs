//! From sound to log-mel energies, the usual features of speech (Davis and Mermelstein 1980).
//!
//! Frames of `window_ms` every `hop_ms` under a Hann window, the power of their Fourier transform summed by triangular
//! filters that lie evenly on the mel scale from 0 to half the sample rate, and of that the logarithm. Window, filters
//! and their heights are those of torchaudio's `MelSpectrogram(center=False, mel_scale="htk", norm=None)`.

use super::{Features, MAX_VALUES};
use crate::config::DataConfig;
use crate::error::{Error, Result};
use realfft::{RealFftPlanner, RealToComplex};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Milliseconds of a frame where the configuration is silent.
const DEFAULT_WINDOW_MS: usize = 25;

/// Milliseconds from frame to frame where the configuration is silent.
const DEFAULT_HOP_MS: usize = 10;

/// Filters where the configuration is silent.
const DEFAULT_MELS: usize = 40;

/// Added to an energy before the logarithm: about what rounding to 16 bits leaves in a filter.
const FLOOR: f64 = 1e-8;

/// What turns sound of one sample rate into features.
pub(super) struct LogMel {
    window: Vec<f64>,
    hop: usize,
    transform: Arc<dyn RealToComplex<f64>>,
    filters: Vec<Filter>,
}

/// A triangle over frequencies.
struct Filter {
    /// The first frequency, in steps of the transform, that it lets through.
    first: usize,
    /// How much it lets through of that one and those after it.
    weights: Vec<f64>,
}

impl LogMel {
    /// For sound of `rate` samples a second.
    ///
    /// # Errors
    /// A window or a hop without a sample, a hop longer than the window, and more filters than the window can tell apart.
    pub fn new(config: &DataConfig, rate: usize) -> Result<Self> {
        let samples = |key: &str, ms: usize| match ms.saturating_mul(rate) / 1000 {
            0 => {
                let message = format!("{ms} ms of {rate} samples a second hold no sample: write more");
                Err(Error::config(key, message))
            }
            n => Ok(n),
        };
        let n = samples("data.window_ms", config.window_ms.unwrap_or(DEFAULT_WINDOW_MS))?;
        let hop = samples("data.hop_ms", config.hop_ms.unwrap_or(DEFAULT_HOP_MS))?;
        if hop > n {
            return Err(Error::config(
                "data.hop_ms",
                "is longer than the window and leaves sound unread: lower it",
            ));
        }
        let length = n.next_power_of_two();
        Ok(Self {
            window: (0..n).map(|k| 0.5 - 0.5 * (TAU * k as f64 / n as f64).cos()).collect(),
            hop,
            transform: RealFftPlanner::new().plan_fft_forward(length),
            filters: filters(config.mels.unwrap_or(DEFAULT_MELS), length, rate)?,
        })
    }

    /// Frames of `n` samples.
    fn frames(&self, n: usize) -> usize {
        1 + n.saturating_sub(self.window.len()).div_ceil(self.hop)
    }

    /// Bytes that the features of `n` samples take.
    pub fn bytes(&self, n: usize) -> usize {
        self.frames(n).saturating_mul(self.filters.len()).saturating_mul(size_of::<f32>())
    }

    /// `[T, mels]`, the natural logarithm of each frame's energies, of the `n` samples that `sound` gives one by one: of
    /// them no more than a frame is held. The last frame is filled up with silence.
    ///
    /// # Errors
    /// More frames than memory is given for; those of `sound`.
    pub fn features(
        &self,
        n: usize,
        mut sound: impl Iterator<Item = Result<f64, String>>,
    ) -> Result<Features, String> {
        let (length, channels, frames) = (self.window.len(), self.filters.len(), self.frames(n));
        if frames.saturating_mul(channels) > MAX_VALUES {
            return Err(format!("{frames} frames are more than are read: cut it, or raise `data.hop_ms`"));
        }
        let mut data = Vec::with_capacity(frames * channels);
        let mut frame = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        let mut held: Vec<f64> = Vec::with_capacity(length);
        for _ in 0..frames {
            held.drain(..self.hop.min(held.len()));
            while held.len() < length
                && let Some(x) = sound.next()
            {
                held.push(x?);
            }
            frame.fill(0.0);
            for ((value, x), weight) in frame.iter_mut().zip(&held).zip(&self.window) {
                *value = x * weight;
            }
            self.transform
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch)
                .expect("the planner made these of the right sizes");
            data.extend(self.filters.iter().map(|filter| {
                let passed = filter.weights.iter().zip(&spectrum[filter.first..]);
                (passed.map(|(weight, x)| weight * x.norm_sqr()).sum::<f64>() + FLOOR).ln() as f32
            }));
        }
        Ok(Features { data: data.into(), channels })
    }
}

/// `count` triangles, each from its left neighbour's middle to its right one's, for a transform of `length` samples.
fn filters(count: usize, length: usize, rate: usize) -> Result<Vec<Filter>> {
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let hertz = |mel: f64| 700.0 * (10f64.powf(mel / 2595.0) - 1.0);
    let top = mel(rate as f64 / 2.0);
    let edge = |k: usize| hertz(top * k as f64 / (count + 1) as f64);
    (0..count)
        .map(|k| {
            let (left, middle, right) = (edge(k), edge(k + 1), edge(k + 2));
            let weight = |bin: usize| {
                let f = bin as f64 * rate as f64 / length as f64;
                ((f - left) / (middle - left)).min((right - f) / (right - middle))
            };
            let first = (0..=length / 2).find(|bin| weight(*bin) > 0.0);
            let weights = first.map(|first| {
                (first..=length / 2).map(weight).take_while(|weight| *weight > 0.0).collect::<Vec<_>>()
            });
            match first.zip(weights) {
                Some((first, weights)) => Ok(Filter { first, weights }),
                None => Err(Error::config(
                    "data.mels",
                    format!(
                        "{count} filters are finer than a window can tell apart: lower it, or raise `data.window_ms`"
                    ),
                )),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config};

    fn log_mel(more: &str) -> Result<LogMel> {
        LogMel::new(&config("wav", None, more), 8000)
    }

    /// 440 Hz and, softer, 2500 Hz.
    fn tones() -> Vec<f64> {
        let sine = |hertz: f64, k: usize| (TAU * hertz * k as f64 / 8000.0).sin();
        (0..500).map(|k| 0.5 * sine(440.0, k) + 0.1 * sine(2500.0, k)).collect()
    }

    fn features(log_mel: &LogMel, sound: &[f64]) -> Features {
        log_mel.features(sound.len(), sound.iter().copied().map(Ok)).unwrap()
    }

    #[track_caller]
    fn assert_close(got: &[f32], expected: [f32; 8]) {
        assert_eq!(got.len(), 8);
        assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-5), "{got:?}\n{expected:?}");
    }

    /// The figures are those of torchaudio 2.9.0's `MelSpectrogram` in 64 bits: `sample_rate=8000, n_fft=256,
    /// win_length=200, hop_length=80, n_mels=8, center=False`, and numpy's by the formulas above.
    #[test]
    fn energies_are_those_of_torchaudio() {
        let features_of = |sound: &[f64]| features(&log_mel("mels = 8").unwrap(), sound);
        let features = features_of(&tones());
        assert_eq!((features.channels, features.steps()), (8, 5));
        assert_close(
            &features.data[..8],
            [-2.735465, 6.757357, 5.827678, -7.294936, -11.988318, -9.797133, 3.687649, 2.085564],
        );
        // 180 samples are left for the last frame of 200.
        assert_close(
            &features.data[32..],
            [-1.408672, 6.756754, 5.826796, -3.415782, -4.642926, -4.802806, 3.686736, 2.085132],
        );
        let short = features_of(&tones()[..50]);
        assert_close(
            &short.data,
            [0.493652, 2.991032, 2.655495, 0.851273, 0.080077, -0.268879, 0.12141, -0.725664],
        );
    }

    #[test]
    fn defaults_are_those_of_speech() {
        let log_mel = log_mel("").unwrap();
        assert_eq!((log_mel.window.len(), log_mel.hop, log_mel.filters.len()), (200, 80, 40));
        let features = features(&log_mel, &tones());
        // Torchaudio's filters 0, 9, 20 and 39.
        for (k, expected) in [(0, -9.346814f32), (9, 6.305971), (20, -13.265923), (39, -17.479447)] {
            assert!((features.data[k] - expected).abs() < 1e-4, "filter {k}: {}", features.data[k]);
        }
    }

    #[test]
    fn silence_has_a_floor() {
        let features = features(&log_mel("").unwrap(), &[0.0; 200]);
        assert!(features.data.iter().all(|value| *value == FLOOR.ln() as f32));
    }

    #[test]
    fn frames_end_with_the_sound() {
        for (n, frames) in [(1, 1), (200, 1), (201, 2), (280, 2), (281, 3)] {
            let log_mel = log_mel("").unwrap();
            assert_eq!(features(&log_mel, &vec![0.1; n]).steps(), frames, "{n} samples");
            assert_eq!(log_mel.bytes(n), frames * 40 * 4, "{n} samples");
        }
    }

    #[test]
    fn a_fault_of_the_sound_is_told() {
        let sound = [Ok(0.1), Err("cut".to_string()), Ok(0.1)];
        assert_eq!(log_mel("").unwrap().features(3, sound.into_iter()).unwrap_err(), "cut");
        let long = log_mel("").unwrap().features(usize::MAX, std::iter::empty());
        assert!(long.unwrap_err().contains("frames are more than are read"));
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        assert_says(log_mel("window_ms = 10\nhop_ms = 11"), &["data.hop_ms", "longer than the window"]);
        assert_says(log_mel("mels = 300"), &["data.mels", "300 filters", "data.window_ms"]);
        let low = LogMel::new(&config("wav", None, "hop_ms = 1"), 900);
        assert_says(low, &["data.hop_ms", "1 ms of 900 samples"]);
    }
}
