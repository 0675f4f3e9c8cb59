//! Scores of several runs that differ in their seed.

use super::Score;
use serde::Serialize;

/// A score over several runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeanScore {
    /// The model's name.
    pub model: String,
    /// `valid` or `test`.
    pub split: String,
    /// As in [`Score`].
    pub metric: String,
    /// Its mean over runs.
    pub mean: f64,
    /// Its standard deviation, that of a sample: over n - 1; `None` of one run.
    pub deviation: Option<f64>,
    /// How many runs, each with a seed of its own.
    pub seeds: usize,
}

/// Of each score that the first run has, and every other one too: its mean and its deviation.
pub fn mean_scores(runs: &[&[Score]]) -> Vec<MeanScore> {
    let Some(first) = runs.first() else { return Vec::new() };
    let of = |score: &Score| {
        let same = |s: &&Score| s.split == score.split && s.metric == score.metric;
        let values: Vec<f64> = runs.iter().filter_map(|run| Some(run.iter().find(same)?.value)).collect();
        if values.len() < runs.len() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(MeanScore {
            model: score.model.clone(),
            split: score.split.clone(),
            metric: score.metric.clone(),
            mean,
            deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
            seeds: values.len(),
        })
    };
    first.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(metric: &str, value: f64) -> Score {
        Score { model: "m".into(), split: "valid".into(), metric: metric.into(), value, n: 4 }
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let runs: Vec<Vec<Score>> = [2.0, 4.0, 9.0].map(|v| vec![score("loss", v)]).into();
        let [mean] = mean_scores(&runs.iter().map(Vec::as_slice).collect::<Vec<_>>()).try_into().unwrap();
        assert_eq!((mean.mean, mean.deviation, mean.seeds), (5.0, Some(13f64.sqrt()), 3));
        let [one] = mean_scores(&[&runs[0]]).try_into().unwrap();
        assert_eq!((one.mean, one.deviation, one.seeds), (2.0, None, 1));
        assert_eq!(mean_scores(&[]), []);
    }

    #[test]
    fn a_score_that_a_run_lacks_has_no_mean() {
        let (both, one) = ([score("f1", 0.5), score("loss", 1.0)], [score("loss", 3.0)]);
        let means = mean_scores(&[&both, &one]);
        assert_eq!(means.iter().map(|m| (m.metric.as_str(), m.mean)).collect::<Vec<_>>(), [("loss", 2.0)]);
    }
}
