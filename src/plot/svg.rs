//! Elements of SVG, written one after the other.

/// Text of axes and labels.
pub(super) const INK: &str = "#333333";

/// A figure being drawn; lengths are in pixels.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// An empty one, on white.
    pub fn new(width: f64, height: f64) -> Self {
        let mut svg = Self { width: width.ceil(), height: height.ceil(), body: String::new() };
        svg.rect([0.0, 0.0, svg.width, svg.height], r##"fill="#ffffff""##);
        svg
    }

    /// An empty one, on what is below it.
    pub fn clear(width: f64, height: f64) -> Self {
        Self { width: width.ceil(), height: height.ceil(), body: String::new() }
    }

    /// Elements that show a title when pointed at.
    pub fn titled(&mut self, title: &str, draw: impl FnOnce(&mut Self)) {
        self.body += &format!("<g><title>{}</title>\n", escape(title));
        draw(self);
        self.body += "</g>\n";
    }

    /// A rectangle `[x, y, width, height]`.
    pub fn rect(&mut self, rect: [f64; 4], attributes: &str) {
        let [x, y, width, height] = rect.map(round);
        self.body +=
            &format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {attributes}/>\n");
    }

    /// The outline of a rectangle.
    pub fn frame(&mut self, rect: [f64; 4]) {
        self.rect(rect, r##"fill="none" stroke="#999999""##);
    }

    /// A straight line.
    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], attributes: &str) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(round);
        self.body += &format!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {attributes}/>\n");
    }

    /// Straight lines from point to point.
    pub fn polyline(&mut self, points: &[[f64; 2]], attributes: &str) {
        let points: Vec<String> = points.iter().map(|p| format!("{},{}", round(p[0]), round(p[1]))).collect();
        self.body += &format!("<polyline points=\"{}\" fill=\"none\" {attributes}/>\n", points.join(" "));
    }

    /// A disc.
    pub fn disc(&mut self, [x, y]: [f64; 2], radius: f64, attributes: &str) {
        self.body +=
            &format!("<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\" {attributes}/>\n", round(x), round(y));
    }

    /// Text whose baseline starts, has its middle or ends at a point.
    pub fn text(&mut self, [x, y]: [f64; 2], size: f64, anchor: Anchor, attributes: &str, text: &str) {
        let at = format!("x=\"{}\" y=\"{}\"", round(x), round(y));
        self.any_text(&at, size, anchor, attributes, text);
    }

    /// [`text`](Self::text) that reads upwards.
    pub fn text_upwards(
        &mut self,
        [x, y]: [f64; 2],
        size: f64,
        anchor: Anchor,
        attributes: &str,
        text: &str,
    ) {
        let at = format!("transform=\"translate({} {}) rotate(-90)\"", round(x), round(y));
        self.any_text(&at, size, anchor, attributes, text);
    }

    fn any_text(&mut self, at: &str, size: f64, anchor: Anchor, attributes: &str, text: &str) {
        let (size, anchor, text) = (round(size), anchor.name(), escape(text));
        self.body +=
            &format!("<text {at} font-size=\"{size}\" text-anchor=\"{anchor}\" {attributes}>{text}</text>\n");
    }

    /// A bar that goes through `colours` from left to right, its ends labelled; gives its right end.
    pub fn colour_bar(&mut self, [x, y]: [f64; 2], colours: &[Colour], ends: [&str; 2]) -> f64 {
        const SIZE: [f64; 2] = [110.0, 10.0];
        let stops: String = colours
            .iter()
            .enumerate()
            .map(|(k, colour)| {
                let offset = k as f64 / (colours.len() - 1) as f64;
                format!("<stop offset=\"{offset}\" stop-color=\"{}\"/>", hex(*colour))
            })
            .collect();
        self.body += &format!("<defs><linearGradient id=\"colours\">{stops}</linearGradient></defs>\n");
        let left = x + text_width(ends[0], 11.0) + 6.0;
        let right = left + SIZE[0] + 6.0;
        self.text([x, y], 11.0, Anchor::Start, "", ends[0]);
        self.rect([left, y - 9.0, SIZE[0], SIZE[1]], r##"fill="url(#colours)" stroke="#999999""##);
        self.text([right, y], 11.0, Anchor::Start, "", ends[1]);
        right + text_width(ends[1], 11.0)
    }

    /// The whole document.
    pub fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" fill=\"{INK}\">\n{body}</svg>\n"
        )
    }

    /// An element of a page of HTML, in the page's colour, for readers who cannot see it called `name`.
    pub fn finish_inline(self, name: &str) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-label=\"{}\" font-family=\"sans-serif\" fill=\"currentColor\">\n{body}</svg>\n",
            escape(name)
        )
    }
}

/// Which part of a text is at its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

/// A colour as SVG writes it.
pub(super) fn hex([r, g, b]: Colour) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The colour at `share`, 0 to 1, of the way through `colours`; grey for what is no number.
pub(super) fn blend(colours: &[Colour], share: f64) -> Colour {
    if share.is_nan() {
        return [0xbb; 3];
    }
    let at = share.clamp(0.0, 1.0) * (colours.len() - 1) as f64;
    let k = (at as usize).min(colours.len() - 2);
    let mix = |c: usize| {
        let (from, to) = (f64::from(colours[k][c]), f64::from(colours[k + 1][c]));
        (from + (to - from) * (at - k as f64)).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

/// What a line of text takes at most, near enough: fonts differ.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    // Past the Latin, Greek, Cyrillic and Semitic scripts there are wide ones.
    text.chars().map(|c| if c < '\u{1100}' { 0.62 } else { 1.0 }).sum::<f64>() * size
}

/// A label with blanks and control characters to be seen, cut where it is longer than `most` characters.
pub(super) fn label(text: &str, most: usize) -> String {
    let blank = text.trim().is_empty();
    let visible = |c: char| match c {
        '\n' => '↵',
        '\t' => '⇥',
        ' ' if blank => '␣',
        // Unicode has a picture of each of these.
        '\0'..=' ' if c != ' ' => char::from_u32(0x2400 + c as u32).unwrap_or('?'),
        '\u{7f}' => '␡',
        c => c,
    };
    let mut label: String = text.chars().take(most).map(visible).collect();
    if text.chars().count() > most {
        label.pop();
        label.push('…');
    }
    label
}

/// Text or the value of an attribute in XML and HTML; what XML has no place for becomes a question mark in a diamond.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A hundredth of a pixel is enough.
fn round(length: f64) -> f64 {
    (length * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::tests::texts;

    #[test]
    fn any_text_is_valid_and_comes_back() {
        let mut svg = Svg::new(200.0, 30.0);
        svg.text([5.0, 20.0], 10.0, Anchor::Start, "", "a < b & \"c\" > 'd' é 字");
        assert_eq!(texts(&svg.finish()), ["a < b & \"c\" > 'd' é 字"]);
        let every: String = ('\0'..='\u{a0}').chain(['\u{fffe}', '\u{ffff}', '\u{10ffff}']).collect();
        let mut svg = Svg::new(3000.0, 30.0);
        svg.text([5.0, 20.0], 10.0, Anchor::Start, "", &every);
        let [read] = texts(&svg.finish()).try_into().unwrap();
        assert_eq!(read.chars().count(), every.chars().count());
    }

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        let label = |text| super::label(text, 6);
        let expected = [("\n", "↵"), (" ", "␣"), ("\t", "⇥"), ("\r", "␍"), ("\u{7f}", "␡"), ("\0", "␀")];
        for (text, shown) in expected {
            assert_eq!(label(text), shown);
        }
        assert_eq!(label("a b"), "a b");
        assert_eq!((label("abcdef"), label("äbcdefg")), ("abcdef".into(), "äbcde…".into()));
    }

    #[test]
    fn colours_blend_from_end_to_end() {
        let colours = [[0, 0, 255], [255, 255, 255], [255, 0, 0]];
        for (share, colour) in [
            (-1.0, [0, 0, 255]),
            (0.25, [128, 128, 255]),
            (0.5, [255; 3]),
            (1.0, [255, 0, 0]),
            (9.0, [255, 0, 0]),
        ] {
            assert_eq!(blend(&colours, share), colour, "{share}");
        }
        assert_eq!(hex(blend(&colours, f64::NAN)), "#bbbbbb");
    }
}
