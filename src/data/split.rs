//! What the readers share: where splits end, and channels brought to mean 0 and deviation 1.

use super::sample::Scale;
use crate::error::{Error, Result};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::iter::StepBy;
use std::ops::Range;
use std::path::Path;

/// Items of `n` that a fraction is.
fn share(n: usize, fraction: f64) -> usize {
    (n as f64 * fraction).round() as usize
}

/// Cuts `n` items in time into training, validation and test, in this order.
pub(super) fn contiguous(n: usize, valid: f64, test: f64) -> [Range<usize>; 3] {
    let test = n - share(n, test);
    let valid = test.saturating_sub(share(n, valid));
    [0..valid, valid..test, test..n]
}

/// Draws validation and test items such that each has as much of every group as the whole has.
///
/// Each part keeps the order of the file.
pub(super) fn stratified<G: Copy + Eq + Hash>(
    groups: &[G],
    valid: f64,
    test: f64,
    seed: u64,
) -> [Vec<usize>; 3] {
    let mut sizes = HashMap::new();
    for group in groups {
        *sizes.entry(*group).or_insert(0usize) += 1;
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    // The i-th of n of a group stands at i/n, so that any stretch of (0, 1] has a fair share of every group, and the
    // last of each group is the last to be held out.
    let mut ranks: HashMap<G, usize> = HashMap::new();
    let mut places: Vec<(f64, usize)> = Vec::with_capacity(groups.len());
    for i in order {
        let rank = ranks.entry(groups[i]).or_default();
        *rank += 1;
        places.push((*rank as f64 / sizes[&groups[i]] as f64, i));
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let valid = share(groups.len(), valid);
    let test = (valid + share(groups.len(), test)).min(groups.len());
    [test..groups.len(), 0..valid, valid..test].map(|range| {
        let mut part: Vec<usize> = places[range].iter().map(|p| p.1).collect();
        part.sort_unstable();
        part
    })
}

/// As [`stratified`]; a group of which nothing is left to train on is an error.
pub(super) fn by_class(
    path: &Path,
    groups: &[&str],
    valid: f64,
    test: f64,
    seed: u64,
) -> Result<[Vec<usize>; 3]> {
    by_group(path, groups, |group| group, [valid, test], seed)
}

/// As [`by_class`], of groups that `name` tells the names of.
pub(super) fn by_group<G: Copy + Eq + Hash, N: Display>(
    path: &Path,
    groups: &[G],
    name: impl Fn(G) -> N,
    [valid, test]: [f64; 2],
    seed: u64,
) -> Result<[Vec<usize>; 3]> {
    let parts = stratified(groups, valid, test, seed);
    let kept: HashSet<G> = parts[0].iter().map(|i| groups[*i]).collect();
    match groups.iter().find(|group| !kept.contains(*group)) {
        Some(group) => Err(Error::file(
            path,
            format!(
                "no case of `{}` is left to train on: lower `data.valid_fraction` and \
                 `data.test_fraction`, or name files for validation and test",
                name(*group)
            ),
        )),
        None => Ok(parts),
    }
}

/// Where windows of `window` items start, every `stride` items of `range`, one or more, the item `horizon` after each
/// still inside.
pub(super) fn windows(
    path: &Path,
    range: &Range<usize>,
    (window, horizon, stride): (usize, usize, usize),
    unit: &str,
) -> Result<StepBy<Range<usize>>> {
    let needed = window.saturating_add(horizon);
    // A part that was not asked for has no windows; that is no error here.
    if range.is_empty() {
        return Ok((0..0).step_by(1));
    }
    if range.len() < needed {
        let message = format!(
            "a part of {} {unit} is too short: one window of {window} and a horizon of {horizon} need {needed}; \
             lower `data.window` or give that part more data",
            range.len()
        );
        return Err(Error::file(path, message));
    }
    Ok((range.start..range.end - needed + 1).step_by(stride))
}

/// Mean and deviation of each channel over all rows of `parts`; a constant channel gets deviation 1.
pub(super) fn scales<'a>(parts: impl Iterator<Item = &'a [f32]> + Clone, channels: usize) -> Vec<Scale> {
    let rows = parts.flat_map(|part| part.chunks_exact(channels));
    let n = rows.clone().count().max(1) as f64;
    let mut means = vec![0.0f64; channels];
    for row in rows.clone() {
        for (mean, value) in means.iter_mut().zip(row) {
            *mean += f64::from(*value);
        }
    }
    // Dividing once keeps the mean of equal values exact, so that a constant channel has variance 0.
    means.iter_mut().for_each(|mean| *mean /= n);
    let mut variances = vec![0.0f64; channels];
    for row in rows {
        for ((variance, mean), value) in variances.iter_mut().zip(&means).zip(row) {
            *variance += (f64::from(*value) - mean).powi(2) / n;
        }
    }
    let scale = |(mean, variance): (f64, f64)| {
        let std = variance.sqrt() as f32;
        Scale { mean: mean as f32, std: if std.is_normal() { std } else { 1.0 } }
    };
    means.into_iter().zip(variances).map(scale).collect()
}

/// Refuses scales, read from a file, that cannot be those of `channels` channels.
pub(super) fn check_scales(channels: usize, scales: &[Scale]) -> Result<()> {
    let sound = |s: &Scale| s.mean.is_finite() && s.std.is_finite() && s.std > 0.0;
    if channels == 0 || !(scales.is_empty() || scales.len() == channels) {
        let message = format!("{} scales are given for {channels} channels", scales.len());
        return Err(Error::Input(message));
    }
    match scales.iter().position(|s| !sound(s)) {
        Some(n) => Err(Error::Input(format!(
            "the scale of channel {} needs a finite mean and a positive deviation",
            n + 1
        ))),
        None => Ok(()),
    }
}

/// Subtracts means and divides by deviations, in rows of one value a scale; without scales nothing happens.
pub fn standardize(data: &mut [f32], scales: &[Scale]) {
    for (value, scale) in data.iter_mut().zip(scales.iter().cycle()) {
        *value = ((f64::from(*value) - f64::from(scale.mean)) / f64::from(scale.std)) as f32;
    }
}

/// Undoes [`standardize`].
pub fn unstandardize(data: &mut [f32], scales: &[Scale]) {
    for (value, scale) in data.iter_mut().zip(scales.iter().cycle()) {
        *value = (f64::from(*value) * f64::from(scale.std) + f64::from(scale.mean)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::assert_says;

    #[test]
    fn contiguous_parts_follow_each_other() {
        assert_eq!(contiguous(100, 0.1, 0.2), [0..70, 70..80, 80..100]);
        assert_eq!(contiguous(7, 0.0, 0.0), [0..7, 7..7, 7..7]);
    }

    #[test]
    fn stratified_keeps_proportions() {
        let groups: Vec<&str> = (0..60).map(|i| if i % 3 == 0 { "a" } else { "b" }).collect();
        let [train, valid, test] = stratified(&groups, 0.1, 0.2, 7);
        let of_a = |part: &[usize]| part.iter().filter(|i| groups[**i] == "a").count();
        assert_eq!([train.len(), valid.len(), test.len()], [42, 6, 12]);
        assert_eq!([of_a(&train), of_a(&valid), of_a(&test)], [14, 2, 4]);
        let mut all = [train, valid, test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn stratified_is_the_same_for_a_seed_and_another_for_another() {
        let groups = ["a"; 50];
        let draw = |seed| stratified(&groups, 0.2, 0.0, seed)[1].clone();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn windows_stay_inside() {
        let at = |range, shape| {
            windows(Path::new("f"), &range, shape, "rows").map(|starts| starts.collect::<Vec<_>>())
        };
        assert_eq!(at(10..20, (3, 1, 3)).unwrap(), [10, 13, 16]);
        assert_eq!(at(0..4, (2, 2, 1)).unwrap(), [0]);
        assert!(at(5..5, (2, 2, 1)).unwrap().is_empty());
        assert!(at(5..5, (0, 1, 0)).unwrap().is_empty());
        assert_says(at(0..3, (2, 2, 1)), &["3 rows", "need 4"]);
        assert_says(at(0..3, (usize::MAX, 2, 1)), &["3 rows"]);
        assert_says(at(0..3, (2, usize::MAX, 1)), &["3 rows"]);
        assert!(at(3..3, (usize::MAX, usize::MAX, 1)).unwrap().is_empty());
    }

    #[test]
    fn scales_of_two_channels() {
        let scales = scales([[1.0, 5.0].as_slice(), &[3.0, 5.0]].into_iter(), 2);
        let one = |mean| Scale { mean, std: 1.0 };
        assert_eq!(scales, [one(2.0), one(5.0)]);
    }

    #[test]
    fn constant_channel_has_deviation_one() {
        let data = vec![0.1f32; 1001];
        let scale = scales([data.as_slice()].into_iter(), 1)[0];
        assert_eq!(scale.std, 1.0);
        assert!((scale.mean - 0.1).abs() < 1e-6);
    }

    #[test]
    fn standardize_and_back() {
        let scales = [Scale { mean: 2.0, std: 4.0 }, Scale { mean: -1.0, std: 0.5 }];
        let mut data = [6.0, 0.0, -2.0, -1.0];
        standardize(&mut data, &scales);
        assert_eq!(data, [1.0, 2.0, -1.0, 0.0]);
        unstandardize(&mut data, &scales);
        assert_eq!(data, [6.0, 0.0, -2.0, -1.0]);
        standardize(&mut data, &[]);
        assert_eq!(data, [6.0, 0.0, -2.0, -1.0]);
    }

    #[test]
    fn scales_that_cannot_be_are_refused() {
        let scale = |mean, std| Scale { mean, std };
        assert!(check_scales(1, &[scale(0.0, 1.0)]).is_ok());
        assert_says(check_scales(2, &[scale(0.0, 1.0)]), &["1 scales", "2 channels"]);
        assert_says(check_scales(1, &[scale(0.0, 0.0)]), &["channel 1"]);
        assert_says(check_scales(1, &[scale(f32::NAN, 1.0)]), &["channel 1"]);
    }
}
