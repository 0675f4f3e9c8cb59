//! Figures as SVG text: curves of a training run, confusion matrices, heat maps of hidden units, forecasts, drawings.
//!
//! Each function gives a whole SVG 1.1 document on white, but [`compare_svg`], which gives a part of a page of HTML.
//! Colours are told apart by colour-blind readers too.

mod compare;
mod confusion;
mod drawing;
mod forecast;
mod heat_map;
mod loss;
mod svg;

pub use compare::{Series, compare_svg, series_stroke};
pub use confusion::{Matrix, confusion_svg};
pub use drawing::{Panel, drawings_svg};
pub use forecast::{Forecast, forecast_svg};
pub use heat_map::{HeatMap, Row, heat_map_svg};
pub use loss::{Curves, Point, loss_svg};
pub(crate) use svg::escape;

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    fn number(node: roxmltree::Node, name: &str) -> f64 {
        node.attribute(name).unwrap_or_else(|| panic!("{node:?} has no {name}")).parse().unwrap()
    }

    /// Where a text stands: `[left, top, right, bottom]`, by what its characters take at most.
    fn extent(node: roxmltree::Node) -> [f64; 4] {
        let size = number(node, "font-size");
        let width = super::svg::text_width(node.text().unwrap_or_default(), size);
        let start = match node.attribute("text-anchor") {
            Some("middle") => -width / 2.0,
            Some("end") => -width,
            _ => 0.0,
        };
        let (along, across) = ([start, start + width], [-0.8 * size, 0.2 * size]);
        match node.attribute("transform") {
            None => {
                let (x, y) = (number(node, "x"), number(node, "y"));
                [x + along[0], y + across[0], x + along[1], y + across[1]]
            }
            // A quarter turn to the left: what was right is up.
            Some(turned) => {
                let place = turned.strip_prefix("translate(").and_then(|t| t.strip_suffix(") rotate(-90)"));
                let (x, y) = place.and_then(|place| place.split_once(' ')).expect(turned);
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                [x + across[0], y - along[1], x + across[1], y - along[0]]
            }
        }
    }

    /// The texts of a figure, which is valid XML, cuts nothing off and writes no text over another.
    #[track_caller]
    pub fn texts(svg: &str) -> Vec<String> {
        let document = Document::parse(svg).expect("valid XML");
        let root = document.root_element();
        let size = [number(root, "width"), number(root, "height")];
        assert_eq!(root.attribute("viewBox"), Some(format!("0 0 {} {}", size[0], size[1]).as_str()));
        for rect in root.descendants().filter(|node| node.has_tag_name("rect")) {
            for (start, length, whole) in [("x", "width", size[0]), ("y", "height", size[1])] {
                let (start, length) = (number(rect, start), number(rect, length));
                assert!(start >= 0.0 && start + length <= whole + 0.1, "outside the figure: {rect:?}");
            }
        }
        let texts: Vec<_> = root.descendants().filter(|node| node.has_tag_name("text")).collect();
        let extents: Vec<_> = texts.iter().map(|&node| extent(node)).collect();
        for (k, [left, top, right, bottom]) in extents.iter().enumerate() {
            assert!(
                *left >= 0.0 && *top >= 0.0 && *right <= size[0] && *bottom <= size[1],
                "cut off: {:?} {:?} of {size:?}",
                texts[k].text(),
                extents[k]
            );
            for (other, [l, t, r, b]) in extents.iter().enumerate().take(k) {
                assert!(
                    left + 0.1 > *r || l + 0.1 > *right || top + 0.1 > *b || t + 0.1 > *bottom,
                    "{:?} is written over {:?}",
                    texts[k].text(),
                    texts[other].text()
                );
            }
        }
        texts.iter().map(|node| node.text().unwrap_or_default().into()).collect()
    }

    /// How many elements of a kind there are.
    pub fn count(svg: &str, tag: &str) -> usize {
        Document::parse(svg).unwrap().descendants().filter(|node| node.has_tag_name(tag)).count()
    }
}
