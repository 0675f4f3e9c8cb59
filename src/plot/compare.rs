//! One number of several runs over epochs, to be put into a page of HTML.

use super::loss::{Axis, short};
use super::svg::{Anchor, Svg, label};

/// A number of one run.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The run's name.
    pub name: &'a str,
    /// Which colour and dashes it has, as [`series_stroke`] gives them.
    pub stroke: usize,
    /// Epochs and values, in the order of the epochs.
    pub points: &'a [[f64; 2]],
    /// The epoch that was exported.
    pub best: Option<f64>,
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 300.0;
/// `[x, y, width, height]` of what is inside the axes.
const FRAME: [f64; 4] = [92.0, 10.0, WIDTH - 104.0, HEIGHT - 64.0];

/// Okabe and Ito's colours without black and yellow, which are lost on a dark and on a bright page.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// After the last colour they come again, dashed.
const DASHES: [&str; 4] = ["none", "7 3", "2 3", "9 3 2 3"];

/// The `stroke` attributes of the n-th run's line: 24 differ.
pub fn series_stroke(n: usize) -> String {
    let dash = DASHES[n / COLOURS.len() % DASHES.len()];
    format!(
        "stroke=\"{}\" stroke-dasharray=\"{dash}\" stroke-width=\"2\" stroke-linejoin=\"round\"",
        COLOURS[n % COLOURS.len()]
    )
}

/// Lines over epochs, the best epoch of each as a disc. Values that span more than a factor of a hundred are on a
/// logarithmic axis; values that are not finite are left out.
pub fn compare_svg(value: &str, series: &[Series]) -> String {
    let [left, top, width, height] = FRAME;
    let mut svg = Svg::clear(WIDTH, HEIGHT);
    let points = || series.iter().flat_map(|series| series.points.iter());
    let epochs = Axis::linear(points().map(|point| point[0]), 0.5);
    let values = Axis::of(points().map(|point| point[1]));
    let place = |[epoch, value]: [f64; 2]| {
        [left + epochs.share(epoch) * width, top + (1.0 - values.share(value)) * height]
    };
    let grid = r#"stroke="currentColor" stroke-opacity="0.15""#;
    for epoch in epochs.epochs() {
        let x = left + epochs.share(epoch) * width;
        svg.line([x, top], [x, top + height], grid);
        svg.text([x, top + height + 19.0], 14.0, Anchor::Middle, "", &epoch.to_string());
    }
    for value in values.ticks((height / 34.0) as usize, false) {
        let y = top + (1.0 - values.share(value)) * height;
        svg.line([left, y], [left + width, y], grid);
        svg.text([left - 7.0, y + 5.0], 14.0, Anchor::End, "", &short(value));
    }
    svg.frame(FRAME);
    svg.text([left + width / 2.0, HEIGHT - 9.0], 14.0, Anchor::Middle, "", "epoch");
    svg.text_upwards([16.0, top + height / 2.0], 14.0, Anchor::Middle, "", &label(value, 26));
    for Series { name, stroke, points, best } in series {
        let stroke = series_stroke(*stroke);
        let colour = stroke.split('"').nth(1).unwrap_or("currentColor");
        svg.titled(name, |svg| {
            let shown: Vec<[f64; 2]> =
                points.iter().copied().filter(|point| values.takes(point[1])).collect();
            svg.polyline(&shown.iter().map(|&point| place(point)).collect::<Vec<_>>(), &stroke);
            // A line of one point cannot be seen.
            for point in shown.iter().filter(|point| Some(point[0]) == *best || shown.len() == 1) {
                svg.disc(place(*point), 4.0, &format!("fill=\"{colour}\""));
            }
        });
    }
    svg.finish_inline(&format!("{value} over epochs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::{count, texts};
    use std::collections::BTreeSet;

    fn draw(runs: &[Vec<[f64; 2]>]) -> String {
        let all = runs.iter().enumerate().map(|(stroke, points)| Series {
            name: "a <run> & \"more\"",
            stroke,
            points,
            best: Some(2.0),
        });
        compare_svg("validation loss (nats)", &all.collect::<Vec<_>>())
    }

    #[test]
    fn every_run_has_a_line_and_its_best_epoch_a_disc() {
        let run = |k: usize| (1..=5).map(|e| [e as f64, (k + 1) as f64 / e as f64]).collect::<Vec<_>>();
        let svg = draw(&[run(0), run(1), run(2)]);
        let texts = texts(&svg);
        assert!(
            texts.contains(&"epoch".into()) && texts.contains(&"validation loss (nats)".into()),
            "{texts:?}"
        );
        assert_eq!((count(&svg, "polyline"), count(&svg, "circle")), (3, 3));
        let document = roxmltree::Document::parse(&svg).unwrap();
        let title = document.descendants().find(|node| node.has_tag_name("title")).unwrap();
        assert_eq!(title.text(), Some("a <run> & \"more\""));
    }

    #[test]
    fn no_epoch_one_and_no_number_are_drawn() {
        for (points, lines, discs) in [
            (vec![], 1, 0),
            (vec![[1.0, 0.5]], 1, 1),
            (vec![[1.0, f64::NAN], [2.0, f64::INFINITY], [3.0, 1.0], [4.0, 2.0]], 1, 0),
        ] {
            let svg = draw(&[points]);
            texts(&svg);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert_eq!((count(&svg, "polyline"), count(&svg, "circle")), (lines, discs));
        }
    }

    #[test]
    fn strokes_differ() {
        let strokes: BTreeSet<String> = (0..24).map(series_stroke).collect();
        assert_eq!((strokes.len(), series_stroke(24)), (24, series_stroke(0)));
    }
}
