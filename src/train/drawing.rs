//! How near drawings come to those that they are held against.
//!
//! | score | what |
//! |---|---|
//! | `chamfer` | how far a point of one drawing is from the nearest one of the other, the mean over both, in pixels of 105 a side: whether the strokes are in their places |
//! | `dtw` | how far the pens are from each other along their ways, by dynamic time warping over 50 points each, in the same pixels: whether they also come in their order |
//! | `overlap` | how much of what the strokes or the picture cover both do, 0 to 1 |

use super::score::Score;
use crate::config::Config;
use crate::data::strokes::{MIDDLE, distance, drawn, evenly};
use crate::data::{Grid, Sample, SampleInput, SampleTarget, Samples, Stroke};
use std::borrow::Cow;

/// Points of a drawing that are warped to those of another one.
const POINTS: usize = 50;

/// The scores of what was drawn for samples.
pub(super) fn scores(
    said: &[Vec<Stroke>],
    samples: &Samples,
    grid: Grid,
    config: &Config,
    split: &str,
) -> Vec<Score> {
    let (mut sums, mut n) = ([0.0; 3], 0usize);
    for (said, sample) in said.iter().zip(samples) {
        let SampleTarget::Drawing { strokes, .. } = &sample.target else { continue };
        let each = [chamfer(said, strokes), warped(said, strokes), overlap(grid, said, picture(&sample))];
        sums.iter_mut().zip(each).for_each(|(sum, score)| *sum += score);
        n += 1;
    }
    let score = |(metric, sum): (&str, f64)| Score {
        model: config.name.clone(),
        split: split.into(),
        metric: metric.into(),
        value: sum / n.max(1) as f64,
        n,
    };
    ["chamfer", "dtw", "overlap"].into_iter().zip(sums).map(score).collect()
}

/// The strokes of the training drawing whose picture is nearest to that of each sample.
pub(super) fn nearest(train: &Samples, samples: &Samples) -> Vec<Vec<Stroke>> {
    let strokes = |sample: Cow<'_, Sample>| {
        let from = |other: &Sample| -> f32 {
            picture(other).iter().zip(picture(&sample)).map(|(a, b)| (a - b).powi(2)).sum()
        };
        let nearest = train.iter().map(|other| (from(&other), other)).min_by(|a, b| a.0.total_cmp(&b.0));
        match nearest.as_ref().map(|(_, other)| &other.target) {
            Some(SampleTarget::Drawing { strokes, .. }) => strokes.clone(),
            _ => Vec::new(),
        }
    };
    samples.iter().map(strokes).collect()
}

fn picture(sample: &Sample) -> &[f32] {
    match &sample.input {
        SampleInput::Features(picture) => &picture.data,
        _ => &[],
    }
}

/// Points of a drawing, at most so far from each other within a stroke; of none, the middle of the picture.
fn points(strokes: &[Stroke], spacing: f64) -> Vec<[f32; 2]> {
    let points: Vec<[f32; 2]> = strokes.iter().flat_map(|stroke| evenly(stroke, spacing)).collect();
    if points.is_empty() { vec![[MIDDLE; 2]] } else { points }
}

fn chamfer(a: &[Stroke], b: &[Stroke]) -> f64 {
    let (a, b) = (points(a, 1.0), points(b, 1.0));
    let mean = |from: &[[f32; 2]], to: &[[f32; 2]]| -> f64 {
        let nearest = |p: &[f32; 2]| to.iter().map(|q| distance(p, q)).fold(f64::INFINITY, f64::min);
        from.iter().map(nearest).sum::<f64>() / from.len() as f64
    };
    (mean(&a, &b) + mean(&b, &a)) / 2.0
}

/// The mean distance along [Sakoe and Chiba's](https://doi.org/10.1109/TASSP.1978.1163055) path, the way through all
/// pairs of points whose distances have the least sum; of several such ways, the one of the fewest pairs.
fn warped(a: &[Stroke], b: &[Stroke]) -> f64 {
    let few = |strokes: &[Stroke]| -> Vec<[f32; 2]> {
        let all = points(strokes, 0.5);
        (0..POINTS).map(|k| all[k * (all.len() - 1) / (POINTS - 1)]).collect()
    };
    let (a, b) = (few(a), few(b));
    // The least sum of distances up to a pair of points, and the pairs on the way to it: the row of the point of `a`
    // before, and what is done of this one.
    const NO_WAY: (f64, usize) = (f64::INFINITY, 0);
    let less = |one: (f64, usize), other: (f64, usize)| if other < one { other } else { one };
    let mut before = vec![NO_WAY; POINTS + 1];
    before[0] = (0.0, 0);
    for p in &a {
        let mut row = vec![NO_WAY; POINTS + 1];
        for (k, q) in b.iter().enumerate() {
            let (sum, pairs) = less(less(before[k], before[k + 1]), row[k]);
            row[k + 1] = (sum + distance(p, q), pairs + 1);
        }
        before = row;
    }
    let (sum, pairs) = before[POINTS];
    sum / pairs as f64
}

fn overlap(grid: Grid, strokes: &[Stroke], picture: &[f32]) -> f64 {
    let covered = drawn(grid, strokes);
    let both: f32 = covered.iter().zip(picture).map(|(a, &b)| a.min(b)).sum();
    let any: f32 = covered.iter().zip(picture).map(|(a, &b)| a.max(b)).sum();
    if any > 0.0 { f64::from(both / any) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CellKind, IoMode, ModelConfig};
    use crate::data::Features;

    const GRID: Grid = Grid { side: 21 };

    fn line(from: [f32; 2], to: [f32; 2]) -> Stroke {
        vec![from, to]
    }

    fn sample(strokes: Vec<Stroke>) -> Sample {
        let picture = Features::vector(drawn(GRID, &strokes));
        let target = SampleTarget::Drawing { tokens: GRID.encode(&strokes, 5, 99).into(), strokes };
        Sample { input: SampleInput::Features(picture), target }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-4, "{a}, not {b}");
    }

    #[test]
    fn distances_by_hand() {
        let (across, below) = ([line([20.0, 20.0], [80.0, 20.0])], [line([20.0, 23.0], [80.0, 23.0])]);
        close(chamfer(&across, &across), 0.0);
        close(chamfer(&across, &below), 3.0);
        close(warped(&across, &below), 3.0);
        // A point a pixel, two ahead: from 2 and 1 away to where the other pen was, with it for 48 points, and at the end
        // 1 and 2 away.
        let (pen, ahead) = ([line([20.0, 20.0], [69.0, 20.0])], [line([22.0, 20.0], [71.0, 20.0])]);
        close(warped(&pen, &ahead), 6.0 / 52.0);
        // The other way round it is in its place, but not in its order.
        let back = [line([80.0, 20.0], [20.0, 20.0])];
        close(chamfer(&across, &back), 0.0);
        assert!(warped(&across, &back) > 15.0);
        // A half of it: from one side nothing is missing, from the other 0 for a half and up to 30 for the rest.
        let half = [line([20.0, 20.0], [50.0, 20.0])];
        close(chamfer(&across, &half), (1..=30).sum::<i32>() as f64 / 61.0 / 2.0);
        // No stroke is a point in the middle.
        close(chamfer(&[], &[vec![[52.5, 42.5]]]), 10.0);
        close(warped(&[], &[vec![[52.5, 42.5]]]), 10.0);
    }

    #[test]
    fn strokes_that_wait_are_warped() {
        // The same way, of which one pen lifts and goes back to where it was.
        let whole = [line([20.0, 20.0], [80.0, 20.0])];
        let parts = [line([20.0, 20.0], [50.0, 20.0]), line([50.0, 20.0], [80.0, 20.0])];
        assert!(warped(&whole, &parts) < 0.5);
    }

    #[test]
    fn the_nearest_drawing_is_found_and_scored() {
        let at = |y: f32| sample(vec![line([20.0, y], [80.0, y])]);
        let train = Samples::from_iter([20.0, 50.0, 80.0].map(at));
        let test = Samples::from_iter([52.0, 20.0].map(at));
        let said = nearest(&train, &test);
        assert_eq!(said, [vec![line([20.0, 50.0], [80.0, 50.0])], vec![line([20.0, 20.0], [80.0, 20.0])]]);
        let config = Config::new("d", ModelConfig::new(IoMode::OneToMany, CellKind::Gru, 2));
        let scores = scores(&said, &test, GRID, &config, "test");
        let found: Vec<_> = scores.iter().map(|s| (s.metric.as_str(), s.split.as_str(), s.n)).collect();
        assert_eq!(found, ["chamfer", "dtw", "overlap"].map(|metric| (metric, "test", 2)));
        // Two pixels off, and exactly there.
        close(scores[0].value, 1.0);
        close(scores[1].value, 1.0);
        assert!((0.5..1.0).contains(&scores[2].value), "{scores:?}");
        close(overlap(GRID, &said[1], picture(&test.at(1))), 1.0);
        close(overlap(GRID, &[], picture(&test.at(1))), 0.0);
    }
}
