//! Forecasts beside what came.

use super::loss::{Axis, short};
use super::svg::{Anchor, Svg, label, text_width};

/// One series.
#[derive(Clone, Copy, Debug)]
pub struct Forecast<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its values, step by step.
    pub truth: &'a [f32],
    /// What was foretold for each of them.
    pub said: &'a [f32],
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 20.0;
/// Where the first panel begins, how high it is and what is above each for its name.
const TOP: f64 = 60.0;
const HEIGHT: f64 = 110.0;
const NAME: f64 = 26.0;
const TRUTH: &str = r##"stroke="#333333" stroke-width="1.2" stroke-linejoin="round""##;
const SAID: &str = r##"stroke="#d55e00" stroke-width="1.6" stroke-linejoin="round""##;

/// A panel a series, one below the other: truth and forecast over steps, of which the first is number `first`. `what` is
/// said of the forecasts in the legend. Values that are not finite leave a gap.
pub fn forecast_svg(title: &str, what: &str, first: usize, series: &[Forecast]) -> String {
    let bottom = TOP + (NAME + HEIGHT) * series.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + 50.0);
    svg.text([LEFT, 26.0], 15.0, Anchor::Start, r#"font-weight="bold""#, &label(title, 80));
    let mut x = LEFT;
    for (name, stroke) in [("truth", TRUTH), (what, SAID)] {
        svg.line([x, 44.0], [x + 26.0, 44.0], stroke);
        svg.text([x + 32.0, 48.0], 12.0, Anchor::Start, "", name);
        x += 32.0 + text_width(name, 12.0) + 14.0;
    }
    let n_steps = series.iter().map(|series| series.truth.len()).max().unwrap_or(0);
    let last = first + n_steps.saturating_sub(1);
    let steps = Axis::linear([first as f64, last as f64].into_iter(), 0.5);
    let ticks = steps.ticks(10, true);
    let width = WIDTH - LEFT - RIGHT;
    let across = |step: f64| LEFT + steps.share(step) * width;
    for (k, Forecast { name, truth, said }) in series.iter().enumerate() {
        let top = TOP + (NAME + HEIGHT) * k as f64 + NAME;
        let all =
            || truth.iter().chain(*said).map(|&value| f64::from(value)).filter(|value| value.is_finite());
        // Values that are all the same need a range too.
        let largest = all().map(f64::abs).fold(1e-6, f64::max);
        let values = Axis::linear(all(), 1e-6 * largest);
        let down = |value: f64| top + (1.0 - values.share(value)) * HEIGHT;
        svg.text([LEFT, top - 7.0], 12.0, Anchor::Start, r#"font-weight="bold""#, &label(name, 60));
        for &step in &ticks {
            svg.line([across(step), top], [across(step), top + HEIGHT], r##"stroke="#eeeeee""##);
        }
        for value in values.ticks(4, false) {
            svg.line([LEFT, down(value)], [LEFT + width, down(value)], r##"stroke="#dddddd""##);
            svg.text([LEFT - 8.0, down(value) + 4.0], 11.0, Anchor::End, "", &short(value));
        }
        svg.frame([LEFT, top, width, HEIGHT]);
        for (line, stroke) in [(truth, TRUTH), (said, SAID)] {
            let mut start = first;
            for run in line.chunk_by(|a, b| a.is_finite() == b.is_finite()) {
                if run[0].is_finite() {
                    let points = (start..).zip(run);
                    let places: Vec<[f64; 2]> =
                        points.map(|(step, &value)| [across(step as f64), down(f64::from(value))]).collect();
                    svg.polyline(&places, stroke);
                }
                start += run.len();
            }
        }
    }
    for &step in &ticks {
        svg.text([across(step), bottom + 18.0], 11.0, Anchor::Middle, "", &step.to_string());
    }
    svg.text([LEFT + width / 2.0, bottom + 38.0], 12.0, Anchor::Middle, "", "step");
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::{count, texts};

    /// The points of every line.
    fn lines(svg: &str) -> Vec<Vec<[f64; 2]>> {
        let document = roxmltree::Document::parse(svg).unwrap();
        let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
        let point = |point: &str| {
            let (x, y) = point.split_once(',').unwrap();
            [x.parse().unwrap(), y.parse().unwrap()]
        };
        lines
            .map(|line| {
                line.attribute("points").unwrap().split(' ').filter(|p| !p.is_empty()).map(point).collect()
            })
            .collect()
    }

    #[test]
    fn truth_and_forecast_lie_over_each_other() {
        let truth: Vec<f32> = (0..336).map(|t| 1e4 + (t as f32 / 4.0).sin()).collect();
        let said: Vec<f32> = truth.iter().map(|value| value - 0.5).collect();
        let same = Forecast { name: "a <b>", truth: &truth, said: &truth };
        let below = Forecast { name: "b", truth: &truth, said: &said };
        let svg = forecast_svg("title", "forecast 24 rows before", 2521, &[same, below]);
        let texts = texts(&svg);
        for text in ["title", "truth", "forecast 24 rows before", "a <b>", "b", "step", "2550", "2850"] {
            assert!(texts.iter().any(|t| t == text), "no {text} in {texts:?}");
        }
        let lines = lines(&svg);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [336; 4]);
        assert_eq!(lines[0], lines[1]);
        // Down on paper is a larger y; both stay inside their panel.
        let top = TOP + 2.0 * NAME + HEIGHT;
        for (truth, said) in lines[2].iter().zip(&lines[3]) {
            assert!(truth[0] == said[0] && truth[1] + 5.0 < said[1], "{truth:?} {said:?}");
            assert!((top..=top + HEIGHT).contains(&truth[1]) && (top..=top + HEIGHT).contains(&said[1]));
        }
    }

    #[test]
    fn one_step_constants_and_what_is_not_finite_are_drawn() {
        for (truth, said, n_lines) in [
            (vec![], vec![], 0),
            (vec![1.0], vec![2.0], 2),
            (vec![0.0; 5], vec![0.0; 5], 2),
            (vec![1e30; 5], vec![1e30; 5], 2),
            (vec![1.0, f32::NAN], vec![f32::INFINITY, 2.0], 2),
        ] {
            let svg = forecast_svg("t", "forecast", 1, &[Forecast { name: "a", truth: &truth, said: &said }]);
            texts(&svg);
            assert_eq!(count(&svg, "polyline"), n_lines);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        texts(&forecast_svg("t", "forecast", 1, &[]));
    }

    #[test]
    fn a_line_has_a_gap_where_a_value_is_not_finite() {
        let (whole, nan) = ([1.0, 2.0, 3.0, 4.0, 5.0], f32::NAN);
        let parted = [1.0, 2.0, nan, nan, 5.0];
        let series = Forecast { name: "a", truth: &whole, said: &parted };
        let lines = lines(&forecast_svg("t", "forecast", 7, &[series]));
        // What is there lies where it would without the gap.
        assert_eq!(lines, [lines[0].clone(), lines[0][..2].to_vec(), lines[0][4..].to_vec()]);
        assert_eq!(lines[0].len(), 5);
    }
}
