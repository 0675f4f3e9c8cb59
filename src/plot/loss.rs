//! The curves of a training run.

use super::svg::{Anchor, Svg, label, text_width};

/// One epoch of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its number.
    pub epoch: usize,
    /// Mean loss while training.
    pub train_loss: f64,
    /// Mean loss on the validation split.
    pub valid_loss: f64,
    /// Score on the validation split.
    pub score: f64,
}

/// A run to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Curves<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// What the score is.
    pub metric: &'a str,
    /// The epochs, in their order.
    pub points: &'a [Point],
    /// The number of the best epoch.
    pub best: Option<usize>,
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
/// Tops and heights of the two panels.
const LOSS: [f64; 2] = [66.0, 250.0];
const SCORE: [f64; 2] = [354.0, 130.0];
/// Epochs up to which each one has a disc.
const MOST_DISCS: usize = 60;

const TRAIN: Line = Line { name: "training loss", colour: "#0072b2", dash: "6 3" };
const VALID: Line = Line { name: "validation loss", colour: "#d55e00", dash: "none" };
const BEST: Line = Line { name: "best epoch", colour: "#777777", dash: "2 3" };

#[derive(Clone, Copy)]
struct Line<'a> {
    name: &'a str,
    colour: &'a str,
    dash: &'a str,
}

impl Line<'_> {
    fn attributes(&self) -> String {
        format!(
            "stroke=\"{}\" stroke-width=\"1.8\" stroke-dasharray=\"{}\" stroke-linejoin=\"round\"",
            self.colour, self.dash
        )
    }
}

/// Losses over epochs above, the score below; the best epoch is marked in both. An axis of values
/// that span more than a factor of a hundred is logarithmic; values that are not finite are left out.
pub fn loss_svg(curves: &Curves) -> String {
    let Curves { title, metric, points, best } = *curves;
    let mut svg = Svg::new(WIDTH, SCORE[0] + SCORE[1] + 50.0);
    svg.text([LEFT, 26.0], 15.0, Anchor::Start, r#"font-weight="bold""#, &label(title, 60));
    let best = best.and_then(|best| points.iter().find(|point| point.epoch == best));
    let epochs = Axis::linear(points.iter().map(|point| point.epoch as f64), 0.5);
    let metric_name = format!("validation {}", label(metric, 30));
    let score = Line { name: &metric_name, colour: "#009e73", dash: "none" };
    let best_name = best.map(|best| format!("best epoch {}: {}", best.epoch, short(best.score)));
    let best_line = best_name.as_ref().map(|name| Line { name, ..BEST });
    let loss = |get: fn(&Point) -> f64| points.iter().map(|p| [p.epoch as f64, get(p)]).collect::<Vec<_>>();
    let panels = [
        (LOSS, vec![(TRAIN, loss(|p| p.train_loss)), (VALID, loss(|p| p.valid_loss))], None),
        (SCORE, vec![(score, loss(|p| p.score))], best_line),
    ];
    for ([top, height], lines, named) in panels {
        let frame = [LEFT, top, WIDTH - LEFT - RIGHT, height];
        legend(&mut svg, [LEFT, top - 10.0], lines.iter().map(|(line, _)| line).chain(&named));
        panel(&mut svg, frame, &epochs, &lines, best.map(|best| best.epoch as f64));
    }
    let bottom = SCORE[0] + SCORE[1];
    for epoch in epochs.epochs() {
        let x = LEFT + epochs.share(epoch) * (WIDTH - LEFT - RIGHT);
        svg.text([x, bottom + 18.0], 11.0, Anchor::Middle, "", &epoch.to_string());
    }
    let middle = (LEFT + WIDTH - RIGHT) / 2.0;
    svg.text([middle, bottom + 38.0], 12.0, Anchor::Middle, "", "epoch");
    svg.finish()
}

/// Names of lines, one beside the other.
fn legend<'a>(svg: &mut Svg, [mut x, y]: [f64; 2], lines: impl Iterator<Item = &'a Line<'a>>) {
    for line in lines {
        svg.line([x, y - 4.0], [x + 26.0, y - 4.0], &line.attributes());
        svg.text([x + 32.0, y], 12.0, Anchor::Start, "", line.name);
        x += 32.0 + text_width(line.name, 12.0) + 14.0;
    }
}

/// Lines over epochs inside `[x, y, width, height]`.
fn panel(
    svg: &mut Svg,
    [left, top, width, height]: [f64; 4],
    epochs: &Axis,
    lines: &[(Line, Vec<[f64; 2]>)],
    best: Option<f64>,
) {
    let values = Axis::of(lines.iter().flat_map(|(_, points)| points.iter().map(|p| p[1])));
    let place = |[epoch, value]: [f64; 2]| {
        [left + epochs.share(epoch) * width, top + (1.0 - values.share(value)) * height]
    };
    for epoch in epochs.epochs() {
        let x = place([epoch, values.low])[0];
        svg.line([x, top], [x, top + height], r##"stroke="#eeeeee""##);
    }
    for value in values.ticks((height / 26.0) as usize, false) {
        let y = place([epochs.low, value])[1];
        svg.line([left, y], [left + width, y], r##"stroke="#dddddd""##);
        svg.text([left - 8.0, y + 4.0], 11.0, Anchor::End, "", &short(value));
    }
    if let Some(best) = best {
        let x = place([best, values.low])[0];
        svg.line([x, top], [x, top + height], &BEST.attributes());
    }
    svg.frame([left, top, width, height]);
    for (line, points) in lines {
        let points: Vec<_> = points.iter().filter(|p| values.takes(p[1])).collect();
        let places: Vec<_> = points.iter().map(|&&point| place(point)).collect();
        svg.polyline(&places, &line.attributes());
        for (point, place) in points.iter().zip(places) {
            let radius = if best == Some(point[0]) { 4.5 } else { 2.5 };
            if points.len() <= MOST_DISCS || best == Some(point[0]) {
                svg.disc(place, radius, &format!("fill=\"{}\"", line.colour));
            }
        }
    }
}

/// What a range of values is drawn on; `low` and `high` are logarithms where it is logarithmic.
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    log: bool,
}

impl Axis {
    /// That of `values`, logarithmic where they span more than a factor of a hundred.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let (low, high) = range(values.iter().copied());
        let log = low > 0.0 && high / low > 100.0;
        if log {
            return Self { log, ..Self::linear(values.into_iter().map(f64::log10), 0.0) };
        }
        let margin = if low == high { 0.1 * low.abs() } else { 0.0 };
        Self::linear(values.into_iter(), if margin == 0.0 && low == high { 0.1 } else { margin })
    }

    /// That of `values`, with `margin` or a twentieth of their range on both sides.
    pub fn linear(values: impl Iterator<Item = f64>, margin: f64) -> Self {
        let (low, high) = range(values);
        let margin = margin.max(0.05 * (high - low));
        Self { low: low - margin, high: high + margin, log: false }
    }

    /// Whether a value has a place on it.
    pub fn takes(&self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }

    /// Where a value stands between the ends, 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    /// Some epochs on it; there is none before the first.
    pub fn epochs(&self) -> impl Iterator<Item = f64> {
        self.ticks(10, true).into_iter().filter(|epoch| *epoch >= 1.0)
    }

    /// Round values on it, at most about `n`; `whole`: whole numbers only.
    pub fn ticks(&self, n: usize, whole: bool) -> Vec<f64> {
        let rough = (self.high - self.low) / n as f64;
        let power = 10f64.powf(rough.log10().floor());
        let mut step = power * [1.0, 2.0, 5.0, 10.0].into_iter().find(|k| k * power >= rough).unwrap_or(10.0);
        if whole || self.log {
            step = step.max(1.0);
        }
        let (first, last) = ((self.low / step).ceil(), (self.high / step).floor());
        // Between numbers that are next to each other a step may be none.
        if (last - first).is_nan() || last - first > 10.0 * n as f64 {
            return Vec::new();
        }
        let ticks = first as i64..=last as i64;
        // A division gives the number nearest to a short one, a product does not.
        let tick = |k: i64| if step < 1.0 { k as f64 / (1.0 / step).round() } else { k as f64 * step };
        ticks.map(tick).map(|tick| if self.log { 10f64.powf(tick) } else { tick }).collect()
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// A number in few characters.
pub(super) fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-3..1e5).contains(&magnitude) {
        return format!("{:e}", format!("{value:.2e}").parse::<f64>().unwrap_or(value));
    }
    // As many digits as four significant ones take.
    let decimals = if magnitude < 1.0 { 4 } else { 3usize.saturating_sub(magnitude.log10() as usize) };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::{count, texts};

    fn falling(n: usize, end: f64) -> Vec<Point> {
        let value = |epoch: usize| end.powf(epoch as f64 / n as f64);
        let point = |epoch| Point {
            epoch,
            train_loss: 2.0 * value(epoch),
            valid_loss: 2.2 * value(epoch),
            score: 1.0 - 0.5 * value(epoch),
        };
        (1..=n).map(point).collect()
    }

    fn draw(points: &[Point], best: usize) -> String {
        loss_svg(&Curves { title: "a <name>", metric: "accuracy", points, best: Some(best) })
    }

    #[test]
    fn one_epoch_and_many_are_drawn_whole() {
        for (n, discs) in [(1, 3), (2, 6), (60, 180), (61, 3), (500, 3)] {
            let svg = draw(&falling(n, 0.1), n);
            let texts = texts(&svg);
            for text in ["a <name>", "training loss", "validation loss", "validation accuracy", "epoch"] {
                assert!(texts.iter().any(|t| t == text), "{n}: no {text} in {texts:?}");
            }
            assert!(texts.iter().any(|t| t.starts_with(&format!("best epoch {n}: 0.9"))), "{texts:?}");
            assert_eq!((count(&svg, "polyline"), count(&svg, "circle")), (3, discs), "{n}");
        }
        let svg = draw(&[], 1);
        assert!(!texts(&svg).iter().any(|text| text.starts_with("best")));
    }

    #[test]
    fn curves_stay_inside_their_panel_and_losses_fall() {
        let svg = draw(&falling(40, 0.2), 40);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
        for (line, [top, height]) in lines.zip([LOSS, LOSS, SCORE]) {
            let ys: Vec<f64> = line
                .attribute("points")
                .unwrap()
                .split(' ')
                .map(|point| point.split_once(',').unwrap().1.parse().unwrap())
                .collect();
            assert!(ys.len() == 40 && ys.iter().all(|y| (top..=top + height).contains(y)), "{ys:?}");
            // Down on paper is a larger y.
            assert!(ys.is_sorted() == (top == LOSS[0]), "{ys:?}");
        }
    }

    #[test]
    fn values_that_span_much_are_on_a_logarithmic_axis() {
        let narrow = texts(&draw(&falling(30, 0.1), 30));
        assert!(narrow.iter().any(|t| t == "1.5") && !narrow.iter().any(|t| t == "0.01"), "{narrow:?}");
        let wide = texts(&draw(&falling(30, 1e-5), 30));
        for tick in ["1", "0.1", "0.01", "0.001", "1e-4"] {
            assert!(wide.iter().any(|t| t == tick), "no {tick} in {wide:?}");
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let mut points = falling(5, 0.5);
        (points[1].train_loss, points[2].valid_loss, points[3].score) = (f64::NAN, f64::INFINITY, f64::NAN);
        let svg = draw(&points, 5);
        texts(&svg);
        assert_eq!(count(&svg, "circle"), 15 - 3);
        for point in &mut points {
            *point =
                Point { epoch: point.epoch, train_loss: f64::NAN, valid_loss: f64::NAN, score: f64::NAN };
        }
        texts(&draw(&points, 5));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (-0.25, "-0.25"),
            (0.123456, "0.1235"),
            (1.23456, "1.235"),
            (61.98765, "61.99"),
            (12345.6, "12346"),
            (0.0001, "1e-4"),
            (2.34567e7, "2.35e7"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = |low, high| Axis { low, high, log: false };
        assert_eq!(axis(0.52, 1.04).ticks(5, false), [0.6, 0.8, 1.0]);
        assert!(axis(0.0, f64::from_bits(1)).ticks(5, false).is_empty());
        assert_eq!(axis(0.5, 1.5).ticks(10, true), [1.0]);
        assert_eq!(axis(-24.0, 524.0).ticks(10, true), [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]);
    }
}
