//! Values over the tokens of a text, such as those of hidden units.

use super::svg::{Anchor, Colour, Svg, blend, hex, label, text_width};

/// A heat map to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct HeatMap<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The tokens, a column each.
    pub columns: &'a [String],
    /// The rows, from top to bottom.
    pub rows: &'a [Row],
    /// What the bars above the columns are.
    pub bars_name: &'a str,
    /// The height of each column's bar, where it has one; none for no bars at all.
    pub bars: &'a [Option<f64>],
    /// Columns whose bar and token stand out.
    pub marked: &'a [usize],
}

/// A row of a [`HeatMap`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What stands on its left.
    pub label: String,
    /// A value a column.
    pub values: Vec<f32>,
}

/// Columns of a band; the rest goes on below.
const BAND: usize = 80;
/// From the most negative value over zero to the most positive.
const SHADES: [Colour; 3] = [[0x21, 0x66, 0xac], [0xff, 0xff, 0xff], [0xb2, 0x18, 0x2b]];
const BAR: &str = "#aaaaaa";
const MARK: &str = "#d55e00";
const COLUMN: f64 = 11.0;
const ROW: f64 = 12.0;
const MARGIN: f64 = 16.0;
/// Heights of the figure's head, of the highest bar and of the space between bands.
const HEAD: f64 = 62.0;
const BARS: f64 = 28.0;
const SPACE: f64 = 16.0;
/// Size of the tokens below the columns.
const TOKEN: f64 = 11.0;
/// Characters of the longest token that is not cut.
const MOST: usize = 14;

/// Rows of coloured cells over the tokens of a text, in bands of 80 tokens: blue below zero, white
/// at zero, red above, as deep on both sides. Blanks and line ends are made visible; tokens of
/// several characters read upwards.
///
/// # Panics
/// If a row has not a value a column, or there are bars but not one a column.
pub fn heat_map_svg(map: &HeatMap) -> String {
    let HeatMap { title, columns, rows, bars_name, bars, marked } = *map;
    assert!(rows.iter().all(|row| row.values.len() == columns.len()), "a value a column");
    assert!(bars.is_empty() || bars.len() == columns.len(), "a bar a column");
    let tokens: Vec<String> = columns.iter().map(|token| label(token, MOST)).collect();
    let single = |token: &str| token.chars().nth(1).is_none();
    let longest = tokens.iter().filter(|token| !single(token)).map(|token| text_width(token, TOKEN));
    let below = longest.fold(TOKEN, f64::max) + 5.0;
    let labels = rows.iter().map(|row| text_width(&row.label, 10.0)).fold(0.0, f64::max);
    let left = MARGIN + labels + 6.0;
    let above = if bars.is_empty() { 0.0 } else { BARS };
    let finite = |value: &f32| if value.is_finite() { f64::from(value.abs()) } else { 0.0 };
    let deepest = rows.iter().flat_map(|row| &row.values).map(finite).fold(0.0, f64::max);
    let highest = bars.iter().flatten().copied().filter(|bar| bar.is_finite()).fold(0.0, f64::max);

    let ends = [format!("-{deepest:.2}"), format!("{deepest:.2}")];
    let bars_text = format!("bars: {bars_name}, up to {highest:.1}");
    let head = [
        MARGIN + text_width(title, 15.0),
        2.0 * MARGIN + 150.0 + 2.0 * text_width(&ends[0], 11.0) + text_width(&bars_text, 11.0),
        left + COLUMN * columns.len().min(BAND) as f64,
    ];
    let height = above + ROW * rows.len() as f64 + below + SPACE;
    let bands = columns.len().div_ceil(BAND);
    let mut svg = Svg::new(head.into_iter().fold(0.0, f64::max) + MARGIN, HEAD + bands as f64 * height);
    svg.text([MARGIN, 26.0], 15.0, Anchor::Start, r#"font-weight="bold""#, title);
    let end = svg.colour_bar([MARGIN, 47.0], &SHADES, [&ends[0], &ends[1]]);
    if !bars.is_empty() {
        svg.text([end + 20.0, 47.0], 11.0, Anchor::Start, "", &bars_text);
    }
    for band in 0..bands {
        let columns = band * BAND..tokens.len().min((band + 1) * BAND);
        let top = HEAD + band as f64 * height + above;
        let bottom = top + ROW * rows.len() as f64;
        for (k, row) in rows.iter().enumerate() {
            let y = top + ROW * k as f64;
            svg.text([left - 6.0, y + 9.5], 10.0, Anchor::End, "", &row.label);
            for (at, value) in row.values[columns.clone()].iter().enumerate() {
                let share = if deepest > 0.0 { 0.5 + 0.5 * f64::from(*value) / deepest } else { 0.5 };
                let fill = format!("fill=\"{}\"", hex(blend(&SHADES, share)));
                svg.rect([left + COLUMN * at as f64, y, COLUMN, ROW], &fill);
            }
        }
        svg.frame([left, top, COLUMN * columns.len() as f64, bottom - top]);
        for (at, column) in columns.enumerate() {
            let x = left + COLUMN * at as f64;
            let stands_out = marked.contains(&column);
            if let Some(bar) = bars.get(column).copied().flatten().filter(|_| highest > 0.0) {
                let tall = (bar / highest).min(1.0) * (BARS - 6.0);
                let fill = format!("fill=\"{}\"", if stands_out { MARK } else { BAR });
                svg.rect([x + 1.0, top - 1.0 - tall, COLUMN - 2.0, tall], &fill);
            }
            let ink =
                if stands_out { format!("fill=\"{MARK}\" font-weight=\"bold\"") } else { String::new() };
            if single(&tokens[column]) {
                let at = [x + 0.5 * COLUMN, bottom + TOKEN + 2.0];
                svg.text(at, TOKEN, Anchor::Middle, &ink, &tokens[column]);
            } else {
                svg.text_upwards(
                    [x + 0.85 * COLUMN, bottom + 4.0],
                    TOKEN,
                    Anchor::End,
                    &ink,
                    &tokens[column],
                );
            }
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::{count, texts};

    fn map(text: &[&str], n_rows: usize, value: fn(usize, usize) -> f32) -> String {
        let columns: Vec<String> = text.iter().map(ToString::to_string).collect();
        let row = |k: usize| Row {
            label: k.to_string(),
            values: (0..columns.len()).map(|t| value(k, t)).collect(),
        };
        let rows: Vec<Row> = (100..100 + n_rows).map(row).collect();
        let bars: Vec<_> = (0..columns.len()).map(|t| (t > 0).then_some(t as f64)).collect();
        let last = [columns.len() - 1];
        let map = HeatMap {
            title: "units & letters",
            columns: &columns,
            rows: &rows,
            bars_name: "surprisal in bits",
            bars: &bars,
            marked: &last,
        };
        heat_map_svg(&map)
    }

    #[test]
    fn long_texts_go_on_in_the_next_band() {
        for (n, n_rows) in [(1, 1), (79, 20), (80, 3), (81, 20), (500, 2)] {
            let svg = map(&vec!["x"; n], n_rows, |k, t| ((k * t) as f32).sin());
            let texts = texts(&svg);
            let bands = n.div_ceil(80);
            assert_eq!(texts.iter().filter(|text| *text == "x").count(), n);
            assert_eq!(texts.iter().filter(|text| *text == "100").count(), bands);
            // White, the colour bar, a frame a band, a cell a value and a bar a token but the first.
            assert_eq!(count(&svg, "rect"), 2 + bands + n * n_rows + n - 1);
        }
    }

    #[test]
    fn colours_are_those_of_the_sign() {
        let svg = map(&["a", "b", "c", "d"], 1, |_, t| [-0.5, 0.0, 0.25, f32::NAN][t]);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let cells: Vec<_> = document
            .descendants()
            .filter(|node| node.attribute("width") == Some("11") && node.attribute("height") == Some("12"))
            .map(|node| node.attribute("fill").unwrap())
            .collect();
        // As far from zero as the largest is on either side.
        assert_eq!(cells, ["#2166ac", "#ffffff", "#d98c95", "#bbbbbb"]);
        let texts = texts(&svg);
        assert!(texts.contains(&"-0.50".into()) && texts.contains(&"0.50".into()), "{texts:?}");
        let zeros = map(&["a", "b"], 2, |_, _| 0.0);
        assert!(!zeros.contains("NaN") && !zeros.contains("#bbbbbb"), "{zeros}");
    }

    #[test]
    fn tokens_are_seen_whatever_they_are() {
        let svg =
            map(&["a", " ", "\n", "\t", "<", "\u{1}", "字", "word", "extraordinarily long"], 2, |_, _| 1.0);
        let texts = texts(&svg);
        for token in ["a", "␣", "↵", "⇥", "<", "␁", "字", "word", "extraordinari…"] {
            assert!(texts.iter().any(|text| text == token), "no {token} in {texts:?}");
        }
        let marked = svg.lines().find(|line| line.contains("extraordinari")).unwrap();
        assert!(marked.contains("rotate(-90)") && marked.contains(MARK), "{marked}");
    }
}
