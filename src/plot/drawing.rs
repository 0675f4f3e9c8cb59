//! Strokes over the pictures that they are drawn of.

use super::svg::{Anchor, Svg, label, text_width};

/// A picture and what was drawn of it.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// How much of each cell is ink, row by row, of as many columns as rows.
    pub picture: &'a [f32],
    /// Points `[x, y]` from the upper left corner.
    pub strokes: &'a [Vec<[f32; 2]>],
}

/// A side of a panel.
const SIDE: f64 = 210.0;
const MARGIN: f64 = 16.0;
const HEAD: f64 = 44.0;
const COLUMNS: usize = 4;
/// Okabe and Ito's, the first stroke's first; then they come again.
const COLOURS: [&str; 6] = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Panels side by side, four in a row: ink in grey, each stroke in a colour of its own from a disc, where it starts.
/// Points go from 0 to `extent` on both axes.
pub fn drawings_svg(title: &str, extent: f64, panels: &[Panel]) -> String {
    let title = label(title, 60);
    let columns = panels.len().clamp(1, COLUMNS);
    let rows = panels.len().div_ceil(columns);
    let width = (MARGIN + SIDE) * columns as f64;
    let mut svg =
        Svg::new(MARGIN + width.max(text_width(&title, 15.0) + MARGIN), HEAD + (MARGIN + SIDE) * rows as f64);
    svg.text([MARGIN, 28.0], 15.0, Anchor::Start, r#"font-weight="bold""#, &title);
    for (k, Panel { picture, strokes }) in panels.iter().enumerate() {
        let left = MARGIN + (MARGIN + SIDE) * (k % columns) as f64;
        let top = HEAD + (MARGIN + SIDE) * (k / columns) as f64;
        let side = picture.len().isqrt().max(1);
        let cell = SIDE / side as f64;
        for (at, &ink) in picture.iter().enumerate().filter(|(_, ink)| **ink > 0.0) {
            let place = [left + cell * (at % side) as f64, top + cell * (at / side) as f64, cell, cell];
            // Half as dark as it is, so that the strokes stand out.
            svg.rect(place, &format!("fill=\"#000000\" fill-opacity=\"{:.2}\"", 0.5 * ink.min(1.0)));
        }
        svg.frame([left, top, SIDE, SIDE]);
        for (stroke, colour) in strokes.iter().zip(COLOURS.iter().cycle()) {
            // A point outside the picture is drawn at its edge.
            let inside = |at: f32| (SIDE * f64::from(at) / extent).clamp(0.0, SIDE);
            let places: Vec<[f64; 2]> =
                stroke.iter().map(|&[x, y]| [left + inside(x), top + inside(y)]).collect();
            let line = format!("stroke=\"{colour}\" stroke-width=\"3\" stroke-linejoin=\"round\"");
            svg.polyline(&places, &line);
            if let Some(&start) = places.first() {
                svg.disc(start, 5.0, &format!("fill=\"{colour}\""));
            }
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::{count, texts};

    #[test]
    fn every_stroke_is_drawn_over_its_picture() {
        let picture = [0.0, 1.0, 0.25, 0.0];
        let strokes = [vec![[0.0, 0.0], [105.0, 105.0], [300.0, -7.0]], vec![[52.5, 52.5]]];
        let panel = Panel { picture: &picture, strokes: &strokes };
        for (n, width, height) in [(1, 242.0, 270.0), (4, 920.0, 270.0), (5, 920.0, 496.0)] {
            let svg = drawings_svg("a <b>", 105.0, &vec![panel; n]);
            assert_eq!(texts(&svg), ["a <b>"]);
            assert_eq!((count(&svg, "polyline"), count(&svg, "circle")), (2 * n, 2 * n));
            // The page, two cells of ink and a frame a panel.
            assert_eq!(count(&svg, "rect"), 1 + 3 * n);
            assert!(svg.contains(&format!("width=\"{width}\" height=\"{height}\"")), "{svg}");
            assert!(svg.contains("points=\"16,44 226,254 226,44\""), "{svg}");
        }
        texts(&drawings_svg(&"a long name ".repeat(9), 105.0, &[panel]));
        assert_eq!(texts(&drawings_svg("nothing", 105.0, &[])), ["nothing"]);
        let empty = Panel { picture: &[], strokes: &[] };
        assert_eq!(count(&drawings_svg("nothing", 105.0, &[empty]), "polyline"), 0);
    }
}
