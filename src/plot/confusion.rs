//! Which class was taken for which.

use super::svg::{Anchor, Colour, Svg, blend, hex, label, text_width};

/// A confusion matrix to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// How often each class (row) was said to be which (column).
    pub counts: &'a [Vec<usize>],
}

/// From no part of a row to all of it.
const SHADES: [Colour; 3] = [[0xf7, 0xfb, 0xff], [0x6b, 0xae, 0xd6], [0x08, 0x30, 0x6b]];
/// Characters of the longest label that is not cut.
const MOST: usize = 24;
const MARGIN: f64 = 16.0;
/// Heights of the figure's head, of a matrix's title and of the space below it.
const HEAD: f64 = 34.0;
const TITLE: f64 = 26.0;
const SPACE: f64 = 22.0;
/// The smallest digits.
const MIN_DIGITS: f64 = 7.0;

/// Matrices one below the other: a row a true class, a column a class that was said, shaded by
/// its part of the row. Counts are written where there is room for them, zeros never.
///
/// # Panics
/// If a matrix has not a row and a column for each of `labels`.
pub fn confusion_svg(labels: &[String], matrices: &[Matrix]) -> String {
    let n = labels.len();
    let labels: Vec<String> = labels.iter().map(|text| label(text, MOST)).collect();
    let roomy = labels.iter().map(|label| text_width(label, 12.0) + 6.0).fold(44.0, f64::max).min(76.0);
    let cell = (560.0 / n as f64).clamp(15.0, roomy);
    let size = (0.75 * cell).min(12.0);
    let longest = labels.iter().map(|label| text_width(label, size)).fold(0.0, f64::max);
    let upright = longest <= cell;
    let below = if upright { size + 6.0 } else { longest + 8.0 };
    // The axis's name, then the labels.
    let left = MARGIN + 20.0 + longest + 8.0;
    let side = cell * n as f64;
    let title = |matrix: &Matrix| text_width(matrix.title, 14.0);
    let width = matrices.iter().map(title).fold(f64::max(left + side, 330.0), f64::max) + MARGIN;
    let height = HEAD + matrices.len() as f64 * (TITLE + side + below + 20.0 + SPACE);
    let mut svg = Svg::new(width, height);
    svg.colour_bar([MARGIN, 22.0], &SHADES, ["part of a row: none", "all of it"]);
    let mut top = HEAD;
    for Matrix { title, counts } in matrices {
        svg.text([MARGIN, top + 14.0], 14.0, Anchor::Start, r#"font-weight="bold""#, title);
        top += TITLE;
        svg.text_upwards([MARGIN + 12.0, top + side / 2.0], 12.0, Anchor::Middle, "", "truth");
        let most_digits = counts.iter().flatten().max().map_or(1, |most| most.to_string().len());
        let digits = ((cell - 3.0) / text_width(&"0".repeat(most_digits), 1.0)).min(13.0);
        svg.rect([left, top, side, side], &format!("fill=\"{}\"", hex(SHADES[0])));
        assert_eq!(counts.len(), n, "a row for each label");
        for (row, (label, counts)) in labels.iter().zip(*counts).enumerate() {
            assert_eq!(counts.len(), n, "a column for each label");
            let y = top + cell * row as f64;
            svg.text([left - 6.0, y + 0.5 * cell + 0.35 * size], size, Anchor::End, "", label);
            let whole: usize = counts.iter().sum();
            for (column, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let x = left + cell * column as f64;
                let part = count as f64 / whole as f64;
                svg.rect([x, y, cell, cell], &format!("fill=\"{}\"", hex(blend(&SHADES, part))));
                if digits >= MIN_DIGITS {
                    let ink = if part > 0.45 { r##"fill="#ffffff""## } else { "" };
                    let at = [x + 0.5 * cell, y + 0.5 * cell + 0.35 * digits];
                    svg.text(at, digits, Anchor::Middle, ink, &count.to_string());
                }
            }
        }
        for k in 1..n {
            let along = cell * k as f64;
            let thin = r##"stroke="#dde6f0" stroke-width="0.6""##;
            svg.line([left + along, top], [left + along, top + side], thin);
            svg.line([left, top + along], [left + side, top + along], thin);
        }
        svg.frame([left, top, side, side]);
        top += side;
        for (column, label) in labels.iter().enumerate() {
            let x = left + cell * (column as f64 + 0.5);
            if upright {
                svg.text([x, top + size + 3.0], size, Anchor::Middle, "", label);
            } else {
                svg.text_upwards([x + 0.35 * size, top + 6.0], size, Anchor::End, "", label);
            }
        }
        top += below + 14.0;
        svg.text([left + side / 2.0, top], 12.0, Anchor::Middle, "", "said");
        top += 6.0 + SPACE;
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::{count, texts};

    /// A matrix of `n` classes, mostly right; a class is called by its number and `name`.
    fn draw(n: usize, name: &str, right: usize) -> String {
        let labels: Vec<String> = (0..n).map(|k| format!("{k}{name}")).collect();
        let row = |k: usize| {
            let mut row = vec![0; n];
            row[(k + 1) % n] = 1;
            row[k] = right;
            row
        };
        let counts: Vec<Vec<usize>> = (0..n).map(row).collect();
        let matrix = |title| Matrix { title, counts: &counts };
        confusion_svg(&labels, &[matrix("validation split of a model"), matrix("test")])
    }

    #[test]
    fn rows_are_the_truth_and_columns_what_was_said() {
        let labels = ["x".into(), "<y>".into()];
        let counts = [vec![5, 3], vec![0, 2]];
        let svg = confusion_svg(&labels, &[Matrix { title: "t", counts: &counts }]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts_of = |text| {
            document.descendants().filter(move |node| node.has_tag_name("text") && node.text() == Some(text))
        };
        let place =
            |node: roxmltree::Node| ["x", "y"].map(|at| node.attribute(at).unwrap().parse::<f64>().unwrap());
        let only = |text| place(texts_of(text).next().expect(text));
        let ([x5, y5], [x3, y3], [x2, y2]) = (only("5"), only("3"), only("2"));
        assert!(y5 == y3 && y2 > y3 && x3 == x2 && x5 < x3);
        // Its row's label is the first `<y>`, its column's the last.
        let [said, _] = place(texts_of("<y>").next_back().unwrap());
        assert!((said - x3).abs() < 0.1);
        assert!(!texts(&svg).contains(&"0".into()));
    }

    #[test]
    fn any_number_of_labels_is_drawn_whole() {
        for (n, name, right, numbers) in [
            (1, "", 7, true),
            (2, " long name of a class that has to be cut", 120, true),
            (9, "", 30, true),
            (17, "-tag", 4000, true),
            (60, " label", 9, true),
            (60, " label", 12_345, false),
            (200, "", 12_345, false),
        ] {
            let svg = draw(n, name, right);
            let texts = texts(&svg);
            assert_eq!(texts.contains(&right.to_string()), numbers, "{n} {right}");
            // Two lines of labels, title and axes' names a matrix; where it is, a number a cell that is not zero.
            let cells = if n == 1 { 1 } else { 2 * n };
            let counts = if numbers { cells } else { 0 };
            assert_eq!(texts.len(), 2 + 2 * (2 * n + 3 + counts), "{n} {right}");
            assert_eq!(count(&svg, "rect"), 2 + 2 * (2 + cells), "{n}");
        }
    }
}
