//! Pictures of drawings and the strokes that drew them, as in Omniglot
//! ([Lake et al. 2015](https://doi.org/10.1126/science.aab3050)): JSON lines, a drawing each.
//!
//! ```text
//! {"drawer":3,"strokes":[[[19,44,0],[20,42,56]],[[60,10,900],[61,12,950]]],"image":"0000..."}
//! ```
//!
//! `image` is 105 by 105 pixels in hexadecimal digits, row by row, the most significant bit first, 1 for ink.
//! `strokes` are points `[x, y, milliseconds]`, x to the right and y downwards in pixels of the image. `drawer` is the
//! number of the hand; no hand is in two of training, validation and test. Other keys are not read.
//!
//! A model reads the picture as `side` by `side` shares of ink. It writes where the pen goes: the cell of a grid of as many
//! cells in which each point of a stroke lies, points that are `spacing` pixels apart at most; a token that lifts the pen
//! between two strokes; and one that ends the drawing.

use super::memory::Budget;
use super::sample::{Features, InputSchema, Sample, SampleInput, SampleTarget, Schema, Stroke, TargetSchema};
use super::shared::{Numbers, Tokens};
use super::{MAX_VALUES, Source, each, input_features, mismatch, read_text, split, stream};
use crate::config::{DataConfig, IoMode};
use crate::error::{Error, Result};
use crate::file::read_bytes;
use png::{ColorType, DecodingError, Transformations};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pixels of a side of a drawing's picture.
pub const FRAME: usize = 105;

/// Bytes of a picture, a bit a pixel.
const BYTES: usize = (FRAME * FRAME).div_ceil(8);

/// Points of a drawing at most: more are no drawing.
const MOST_POINTS: usize = 10_000;

/// Bytes of a line at most: so many points and a picture need less, in all their digits.
const MOST_LINE: usize = 1 << 20;

/// Bytes that a drawing takes beside its points, its tokens and the picture that a model reads: as it is read, as a sample,
/// its number in a part, and the allocator's own.
const DRAWING: usize = size_of::<Drawing>() + BYTES + size_of::<Sample>() + size_of::<usize>() + 192;

/// Bytes of a stroke and of each of its points.
const STROKE: usize = size_of::<Stroke>() + 32;
const POINT: usize = size_of::<[f32; 2]>();

/// Bytes of a PNG file at most.
const MAX_PICTURE: u64 = 64 << 20;

/// Bytes of its pixels at most: a small file can say many.
const MOST_BYTES: usize = 48 << 20;

/// Pixels of a side of it at most.
const MOST_SIDE: u32 = 10_000;

const DEFAULT_SIDE: usize = 28;
const DEFAULT_SPACING: usize = 6;
const DEFAULT_STEPS: usize = 1000;

/// Token 0, which ends a drawing.
const END: u32 = 0;
/// Token 1, which lifts the pen.
const LIFT: u32 = 1;
/// The token of the grid's first cell; the others follow row by row.
const FIRST: u32 = 2;

/// A grid of cells over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Cells of a side, and pixels of the picture that a model reads.
    pub side: usize,
}

impl Grid {
    /// Tokens there are: a cell each, one that lifts the pen and one that ends a drawing.
    pub fn n_tokens(self) -> usize {
        self.side * self.side + FIRST as usize
    }

    /// Pixels of a cell's side.
    fn cell(self) -> f32 {
        FRAME as f32 / self.side as f32
    }

    /// The tokens of some strokes, and the end; at most `most` of them before it. A `spacing` of 0 is one of 1.
    pub fn encode(self, strokes: &[Stroke], spacing: usize, most: usize) -> Vec<u32> {
        let mut tokens: Vec<u32> = Vec::new();
        for (k, stroke) in strokes.iter().enumerate() {
            if k > 0 {
                tokens.push(LIFT);
            }
            let start = tokens.len();
            for point in along(stroke, spacing.max(1) as f64) {
                if tokens.len() >= most {
                    break;
                }
                let [column, row] = point.map(|at| ((at / self.cell()).max(0.0) as usize).min(self.side - 1));
                let token = FIRST + (row * self.side + column) as u32;
                if tokens[start..].last() != Some(&token) {
                    tokens.push(token);
                }
            }
        }
        tokens.truncate(most);
        tokens.push(END);
        tokens
    }

    /// The strokes that tokens tell, up to the end: from the middle of a cell to that of the next.
    pub fn decode(self, tokens: &[u32]) -> Vec<Stroke> {
        let written = tokens.split(|&token| token == END).next().unwrap_or_default();
        let point = |&token: &u32| {
            let cell = (token - FIRST) as usize;
            [cell % self.side, cell / self.side].map(|at| (at as f32 + 0.5) * self.cell())
        };
        let strokes = written.split(|&token| token == LIFT).filter(|stroke| !stroke.is_empty());
        strokes.map(|stroke| stroke.iter().map(point).collect()).collect()
    }

    /// The picture of a line of such a file, as a model with this grid reads it.
    ///
    /// # Errors
    /// A line of another form.
    pub fn parse(self, line: &str) -> Result<SampleInput> {
        let drawing = Drawing::parse(line).map_err(Error::Input)?;
        Ok(SampleInput::Features(drawing.picture(&parts(FRAME, self.side), None)))
    }

    /// The picture in a PNG file, as a model with this grid reads it: whatever its size, dark on light or light on dark.
    ///
    /// # Errors
    /// A file that cannot be read, is no PNG or larger than 64 MiB; a picture whose pixels take more than 48 MiB or with a side
    /// longer than 10,000.
    pub fn read(self, path: &Path) -> Result<SampleInput> {
        let bytes = read_bytes(path, MAX_PICTURE)?;
        let fault = |e: DecodingError| {
            Error::file(path, format!("is no picture that can be read ({e}): write it as PNG"))
        };
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(fault)?;
        let (width, height) = reader.info().size();
        let too_large = |advice: String| {
            Err(Error::file(path, format!("is a picture of {width} by {height} pixels: {advice}")))
        };
        if width.max(height) > MOST_SIDE {
            return too_large(format!("make no side longer than {MOST_SIDE} pixels"));
        }
        let size = reader.output_buffer_size().filter(|&size| size <= MOST_BYTES);
        let Some(size) = size else {
            return too_large("make it smaller, or grey: pixels of 48 MiB in all are read".into());
        };
        let mut data = vec![0; size];
        let info = reader.next_frame(&mut data).map_err(fault)?;
        let (width, height) = (info.width as usize, info.height as usize);
        // How bright a pixel is, and how opaque.
        let share = |value: u8| f32::from(value) / 255.0;
        let seen = |pixel: &[u8]| match info.color_type {
            ColorType::Grayscale | ColorType::Indexed => (share(pixel[0]), 1.0),
            ColorType::GrayscaleAlpha => (share(pixel[0]), share(pixel[1])),
            ColorType::Rgb => (brightness(pixel), 1.0),
            ColorType::Rgba => (brightness(pixel), share(pixel[3])),
        };
        let samples = info.color_type.samples();
        let pixels = || data[..info.buffer_size()].chunks_exact(samples).map(seen);
        // Transparent pixels are paper; where all others are light, these are the ink.
        let light = pixels().any(|(_, opaque)| opaque < 0.5)
            && pixels().all(|(bright, opaque)| opaque < 0.5 || bright > 0.5);
        let ink = |(bright, opaque): (f32, f32)| if light { opaque } else { (1.0 - bright) * opaque };
        // Where most would be ink, it is the paper.
        let inverted = pixels().map(|pixel| f64::from(ink(pixel))).sum::<f64>() > 0.5 * pixels().len() as f64;
        let at = |x: usize, y: usize| {
            let ink = ink(seen(&data[(y * width + x) * samples..][..samples]));
            if inverted { 1.0 - ink } else { ink }
        };
        // In the middle of a square.
        let n = width.max(height);
        let square = parts(n, self.side);
        let [columns, rows] = [width, height].map(|length| inside(&square, (n - length) / 2, length));
        Ok(SampleInput::Features(Features::vector(shares(&columns, &rows, at))))
    }
}

/// How bright a pixel of red, green and blue looks, 0 to 1.
fn brightness(pixel: &[u8]) -> f32 {
    let weighted = pixel.iter().zip([0.299, 0.587, 0.114]);
    weighted.map(|(&value, weight)| weight * f32::from(value) / 255.0).sum()
}

/// Points along a stroke, as far apart as each other and at most `spacing`; its ends are among them.
pub(crate) fn evenly(stroke: &[[f32; 2]], spacing: f64) -> Stroke {
    along(stroke, spacing).collect()
}

/// [`evenly`], one by one: there may be many of a stroke of few points.
fn along(stroke: &[[f32; 2]], spacing: f64) -> impl Iterator<Item = [f32; 2]> {
    let mut lengths = Vec::with_capacity(stroke.len());
    let mut length = 0.0;
    for (k, point) in stroke.iter().enumerate() {
        length += if k > 0 { distance(&stroke[k - 1], point) } else { 0.0 };
        lengths.push(length);
    }
    let n = (length / spacing).ceil() as usize;
    let mut k = 0;
    // One that has no length is one point, if it has any.
    let only = stroke.first().copied().filter(|_| n == 0);
    let steps = if n == 0 { 0..0 } else { 0..n + 1 };
    let points = steps.map(move |step| {
        let at = length * step as f64 / n as f64;
        while k + 2 < stroke.len() && lengths[k + 1] < at {
            k += 1;
        }
        let part = lengths[k + 1] - lengths[k];
        let share = if part > 0.0 { ((at - lengths[k]) / part).clamp(0.0, 1.0) as f32 } else { 0.0 };
        [0, 1].map(|axis| stroke[k][axis] + share * (stroke[k + 1][axis] - stroke[k][axis]))
    });
    only.into_iter().chain(points)
}

/// How far two points are from each other.
pub(crate) fn distance(a: &[f32; 2], b: &[f32; 2]) -> f64 {
    f64::from(a[0] - b[0]).hypot(f64::from(a[1] - b[1]))
}

/// The pixels in a part of a line, and how much of it each of them is.
type Covered = Vec<(usize, f32)>;

/// Each of `side` equal parts of a line of `n` pixels.
fn parts(n: usize, side: usize) -> Vec<Covered> {
    let width = n as f64 / side as f64;
    let part = |k: usize| {
        let (from, to) = (k as f64 * width, (k + 1) as f64 * width);
        let share = |pixel: usize| {
            let covered = to.min((pixel + 1) as f64) - from.max(pixel as f64);
            (pixel, (covered / width) as f32)
        };
        (from as usize..n.min(to.ceil() as usize)).map(share).filter(|(_, share)| *share > 0.0).collect()
    };
    (0..side).map(part).collect()
}

/// What parts of a line have of its `length` pixels from pixel `from` on, which are counted from there.
fn inside(parts: &[Covered], from: usize, length: usize) -> Vec<Covered> {
    let counted = |&(pixel, share): &(usize, f32)| {
        pixel.checked_sub(from).filter(|&pixel| pixel < length).map(|pixel| (pixel, share))
    };
    parts.iter().map(|part| part.iter().filter_map(counted).collect()).collect()
}

/// How much of each cell of a picture, row by row, is ink.
fn shares(columns: &[Covered], rows: &[Covered], ink: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut shares = Vec::with_capacity(rows.len() * columns.len());
    for rows in rows {
        for columns in columns {
            let row = |y: usize| columns.iter().map(|&(x, share)| share * ink(x, y)).sum::<f32>();
            shares.push(rows.iter().map(|&(y, share)| share * row(y)).sum::<f32>());
        }
    }
    shares
}

/// How much of each cell of a grid strokes cover, drawn by a pen as wide as those of the pictures.
pub(crate) fn drawn(grid: Grid, strokes: &[Stroke]) -> Vec<f32> {
    const RADIUS: f32 = 2.0;
    let mut ink = vec![false; FRAME * FRAME];
    for [x, y] in strokes.iter().flat_map(|stroke| evenly(stroke, 1.0)) {
        // Pixels whose middle is under the pen.
        let pixels = |at: f32| {
            let first = (at - RADIUS).max(0.0) as usize;
            first..((at + RADIUS).max(0.0) as usize + 1).min(FRAME)
        };
        for row in pixels(y) {
            for column in pixels(x) {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                ink[row * FRAME + column] |= dx * dx + dy * dy <= RADIUS * RADIUS;
            }
        }
    }
    let parts = parts(FRAME, grid.side);
    shares(&parts, &parts, |x, y| f32::from(u8::from(ink[y * FRAME + x])))
}

/// A line of a file, as it is written.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    drawer: u64,
    #[serde(default)]
    strokes: Vec<Vec<[f64; 3]>>,
    image: String,
}

/// A line of a file.
#[derive(Default)]
struct Drawing {
    drawer: u64,
    strokes: Vec<Stroke>,
    /// A bit a pixel.
    image: Vec<u8>,
}

impl Drawing {
    fn parse(line: &str) -> Result<Self, String> {
        if line.len() > MOST_LINE {
            return Err(format!("the line is longer than {} MiB: leave the drawing out", MOST_LINE >> 20));
        }
        let Line { drawer, strokes, image } = serde_json::from_str(line).map_err(|e| {
            format!("the line is no drawing ({e}): write {{\"strokes\": [[[x, y, milliseconds], ...], ...], \"image\": \"...\"}}")
        })?;
        let digits: Option<Vec<u8>> =
            image.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
        let digits = digits.filter(|digits| digits.len() == 2 * BYTES).ok_or_else(|| {
            let most = 2 * BYTES;
            format!("`image` is not {most} hexadecimal digits: write {FRAME} by {FRAME} pixels, 1 for ink")
        })?;
        if strokes.iter().map(Vec::len).sum::<usize>() > MOST_POINTS {
            return Err(format!("there are more than {MOST_POINTS} points: leave the drawing out"));
        }
        // A pen may leave the picture, but not go far.
        let near = -(FRAME as f64)..=2.0 * FRAME as f64;
        for (k, stroke) in strokes.iter().enumerate() {
            if stroke.is_empty() {
                return Err(format!("stroke {} has no point: leave it out", k + 1));
            }
            if let Some([x, y, _]) = stroke.iter().find(|[x, y, _]| !near.contains(x) || !near.contains(y)) {
                return Err(format!(
                    "stroke {} goes to {x}, {y}, far outside the {FRAME} by {FRAME} pixels: write [x, y, milliseconds]",
                    k + 1
                ));
            }
        }
        let stroke =
            |points: Vec<[f64; 3]>| points.into_iter().map(|[x, y, _]| [x as f32, y as f32]).collect();
        let mut strokes: Vec<Stroke> = strokes.into_iter().map(stroke).collect();
        // Of what they were read into there may be more.
        strokes.shrink_to_fit();
        Ok(Self { drawer, strokes, image: digits.chunks(2).map(|pair| 16 * pair[0] + pair[1]).collect() })
    }

    /// Bytes that its strokes take.
    fn n_bytes(&self) -> usize {
        self.strokes.iter().map(|stroke| STROKE + stroke.len() * POINT).sum()
    }

    /// The shares of ink of its picture, moved or as it is.
    fn picture(&self, parts: &[Covered], motion: Option<&Motion>) -> Features {
        let ink = |x: usize, y: usize| {
            let bit = y * FRAME + x;
            f32::from((self.image[bit / 8] >> (7 - bit % 8)) & 1)
        };
        Features::vector(match motion {
            None => shares(parts, parts, ink),
            Some(motion) => {
                let mut moved = vec![0.0; FRAME * FRAME];
                for (k, moved) in moved.iter_mut().enumerate() {
                    let [x, y] = motion.back([(k % FRAME) as f32 + 0.5, (k / FRAME) as f32 + 0.5]);
                    let inside = |at: f32| (0.0..FRAME as f32).contains(&at);
                    if inside(x) && inside(y) {
                        *moved = ink(x as usize, y as usize);
                    }
                }
                shares(parts, parts, |x, y| moved[y * FRAME + x])
            }
        })
    }
}

/// A drawing turned, stretched and shifted: `p` goes to `M (p - c) + c + s`, where c is the middle of the picture.
struct Motion {
    matrix: [[f32; 2]; 2],
    inverse: [[f32; 2]; 2],
    shift: [f32; 2],
}

impl Motion {
    /// A small one.
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let (sin, cos) = rng.random_range(-0.15f32..=0.15).sin_cos();
        let [wide, high] = [0, 1].map(|_| rng.random_range(0.85f32..=1.15));
        Self {
            matrix: [[cos * wide, -sin * high], [sin * wide, cos * high]],
            inverse: [[cos / wide, sin / wide], [-sin / high, cos / high]],
            shift: [0, 1].map(|_| rng.random_range(-6.0f32..=6.0)),
        }
    }

    /// Where a point goes.
    fn there(&self, point: [f32; 2]) -> [f32; 2] {
        let turned = times(&self.matrix, point.map(|at| at - MIDDLE));
        [0, 1].map(|axis| turned[axis] + MIDDLE + self.shift[axis])
    }

    /// Where a point comes from.
    fn back(&self, point: [f32; 2]) -> [f32; 2] {
        let from = [0, 1].map(|axis| point[axis] - MIDDLE - self.shift[axis]);
        times(&self.inverse, from).map(|at| at + MIDDLE)
    }
}

/// Of a picture's side.
pub(crate) const MIDDLE: f32 = FRAME as f32 / 2.0;

fn times(matrix: &[[f32; 2]; 2], [x, y]: [f32; 2]) -> [f32; 2] {
    matrix.map(|[a, b]| a * x + b * y)
}

/// A file of drawings.
pub(super) struct Drawings {
    path: PathBuf,
    drawings: Vec<Drawing>,
    /// For each drawing once, with a picture of the usual size: what `copies` and `side` make of it comes on top.
    budget: Budget,
    grid: Grid,
    spacing: usize,
    steps: usize,
    /// Of each drawing that is trained on.
    copies: usize,
}

/// Drawings, and their copies.
#[derive(Default)]
pub(super) struct Part {
    drawings: Vec<usize>,
    copies: usize,
    seed: u64,
}

impl Source for Drawings {
    type Part = Part;
    type Split = Vec<Sample>;

    fn open(path: &Path, config: &DataConfig, _: IoMode, schema: Option<&Schema>) -> Result<Self> {
        let text = read_text(path)?;
        let side = config.side.unwrap_or(DEFAULT_SIDE);
        let picture = side.min(DEFAULT_SIDE).pow(2) * size_of::<f32>();
        let mut budget = Budget::new(path, text.len());
        // It stands beside the drawings.
        budget.take_all(text.len())?;
        let (mut drawings, mut read) = (Vec::new(), 0);
        for (number, line) in (1..).zip(text.lines()) {
            read += line.len() + 1;
            if line.trim().is_empty() {
                continue;
            }
            let drawing = Drawing::parse(line).and_then(|drawing| match drawing.strokes.is_empty() {
                true => Err("the drawing has no stroke: leave it out".into()),
                false => Ok(drawing),
            });
            let drawing = drawing.map_err(|message| Error::line(path, number, message))?;
            budget.take(DRAWING + picture + drawing.n_bytes(), read)?;
            drawings.push(drawing);
        }
        if drawings.is_empty() {
            return Err(Error::file(path, "has blank lines only: name a file that has data"));
        }
        Ok(Self {
            path: path.into(),
            drawings,
            budget,
            grid: Grid { side },
            spacing: config.spacing.unwrap_or(DEFAULT_SPACING),
            steps: config.steps.unwrap_or(DEFAULT_STEPS),
            copies: if schema.is_none() { config.copies.unwrap_or(0) } else { 0 },
        })
    }

    fn cut(&self, valid: f64, test: f64, seed: u64) -> Result<[Self::Part; 3]> {
        let mut drawers: Vec<u64> = self.drawings.iter().map(|drawing| drawing.drawer).collect();
        drawers.sort_unstable();
        drawers.dedup();
        let parts = split::by_class(&self.path, &vec!["drawers"; drawers.len()], valid, test, seed)?;
        // The first part is the one that is trained on.
        let mut copies = self.copies;
        Ok(parts.map(|part| {
            let hands: HashSet<u64> = part.into_iter().map(|k| drawers[k]).collect();
            let drawings = 0..self.drawings.len();
            let drawings = drawings.filter(|&k| hands.contains(&self.drawings[k].drawer)).collect();
            Part { drawings, copies: std::mem::take(&mut copies), seed }
        }))
    }

    fn schema(&self, _: &Self::Part) -> Result<Schema> {
        let channels = self.grid.side * self.grid.side;
        Ok(Schema {
            input: InputSchema::Features { channels, scales: Vec::new(), names: Vec::new() },
            target: TargetSchema::Drawing(self.grid),
        })
    }

    fn samples(mut self, parts: [Self::Part; 3], schema: &Schema) -> Result<[Vec<Sample>; 3]> {
        each(parts, |part| self.samples_of(&part, schema))
    }
}

impl Drawings {
    /// The samples of a part, whose drawings go as they come.
    fn samples_of(&mut self, part: &Part, schema: &Schema) -> Result<Vec<Sample>> {
        let (channels, _) = input_features(&schema.input)?;
        let TargetSchema::Drawing(grid) = schema.target else { return Err(mismatch()) };
        if channels != grid.side * grid.side {
            return Err(mismatch());
        }
        let drawings = part.drawings.iter().map(|&k| &self.drawings[k]);
        let points: usize = drawings.flat_map(|drawing| &drawing.strokes).map(Vec::len).sum();
        let n = part.drawings.len().saturating_mul(1 + part.copies);
        let values = (part.drawings.len() * channels + 2 * points).saturating_mul(1 + part.copies);
        if values > MAX_VALUES {
            let message = format!("makes {values} values in all: lower it, the limit is {MAX_VALUES}");
            return Err(Error::config("data.copies", message));
        }
        let parts = parts(FRAME, grid.side);
        let mut samples = Vec::with_capacity(n);
        let mut rng = ChaCha8Rng::seed_from_u64(part.seed);
        rng.set_stream(stream::COPIES);
        // The drawings as they are, and then each copy of them.
        for copy in 0..=part.copies {
            for &k in &part.drawings {
                let drawing = &self.drawings[k];
                let motion = (copy > 0).then(|| Motion::draw(&mut rng));
                let moved = |point: &[f32; 2]| motion.as_ref().map_or(*point, |motion| motion.there(*point));
                let strokes: Vec<Stroke> =
                    drawing.strokes.iter().map(|stroke| stroke.iter().map(moved).collect()).collect();
                let written = grid.encode(&strokes, self.spacing, self.steps);
                let mut tokens = Numbers::with_capacity(written.len(), grid.n_tokens());
                written.iter().for_each(|&token| tokens.push(token));
                if copy == 0 {
                    self.budget.take_all(written.len() * Numbers::width(grid.n_tokens()))?;
                }
                samples.push(Sample {
                    input: SampleInput::Features(drawing.picture(&parts, motion.as_ref())),
                    target: SampleTarget::Drawing {
                        tokens: Tokens::part(&Arc::new(tokens), 0..written.len()),
                        strokes,
                    },
                });
                if copy == part.copies {
                    self.drawings[k] = Drawing::default();
                }
            }
        }
        Ok(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::{assert_says, config, file};
    use crate::data::{Dataset, Samples, load, load_split};

    const MODE: IoMode = IoMode::OneToMany;
    const GRID: Grid = Grid { side: 21 };
    const GRID_35: Grid = Grid { side: 35 };

    /// A line of a file; ink where `is_ink` says.
    fn line(drawer: u64, strokes: &str, is_ink: impl Fn(usize, usize) -> bool) -> String {
        let mut image = vec![0u8; BYTES];
        for k in (0..FRAME * FRAME).filter(|k| is_ink(k % FRAME, k / FRAME)) {
            image[k / 8] |= 128 >> (k % 8);
        }
        let image: String = image.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{{\"char\":1,\"drawer\":{drawer},\"strokes\":{strokes},\"image\":\"{image}\"}}\n")
    }

    /// A square from 40 to 60, and the stroke along its upper side.
    fn square(drawer: u64) -> String {
        let inside = |at: usize| (40..60).contains(&at);
        line(drawer, "[[[40,40,0],[60,40,20]],[[50,50,30]]]", |x, y| inside(x) && inside(y))
    }

    fn squares() -> String {
        (0..30).map(|k| square(k % 10)).collect()
    }

    fn loaded(text: &str, more: &str) -> Result<Dataset> {
        load(&config("strokes", Some(file(text).path()), more), MODE, 0)
    }

    fn parts_of(sample: &Sample) -> (&[f32], Vec<u32>, &[Stroke]) {
        match sample {
            Sample {
                input: SampleInput::Features(picture),
                target: SampleTarget::Drawing { tokens, strokes },
            } => (&picture.data, tokens.to_vec(), strokes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_drawing_is_shares_of_ink_and_cells() {
        let train = file(squares());
        let table = config("strokes", Some(train.path()), "side = 21\nspacing = 5");
        let data = load(&table, MODE, 0).unwrap();
        data.check(MODE).unwrap();
        // Eight hands, one and one, each with three drawings.
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [24, 3, 3]);
        assert_eq!(data.schema.target, TargetSchema::Drawing(GRID));
        let sample = data.train.at(0);
        let (picture, tokens, strokes) = parts_of(&sample);
        // Five pixels make a cell.
        for (k, share) in picture.iter().enumerate() {
            let inside = (8..12).contains(&(k % 21)) && (8..12).contains(&(k / 21));
            assert!((share - f32::from(u8::from(inside))).abs() < 1e-6, "{k}: {share}");
        }
        let cell = |column: u32, row: u32| 2 + 21 * row + column;
        let along: Vec<u32> = (8..=12).map(|column| cell(column, 8)).collect();
        assert_eq!(tokens, [along.as_slice(), &[1, cell(10, 10), 0]].concat());
        assert_eq!(strokes, [vec![[40.0, 40.0], [60.0, 40.0]], vec![[50.0, 50.0]]]);
        let middles: Stroke = (8..=12).map(|column| [5.0 * column as f32 + 2.5, 42.5]).collect();
        assert_eq!(GRID.decode(&tokens), [middles, vec![[52.5, 52.5]]]);
        assert_eq!(load_split(&table, MODE, &data.schema, None, 0).unwrap(), data.test);
        assert_says(load_split(&table, MODE, &Schema::features(441, 1), None, 0), &["data of another kind"]);
        // What predict reads of a line.
        let SampleInput::Features(line) = GRID.parse(&square(1)).unwrap() else { panic!("no features") };
        assert_eq!(line.data, *picture);
    }

    #[test]
    fn no_hand_is_in_two_parts() {
        // Each hand draws a dot of its own.
        let dot = |k: u64| line(k % 10, &format!("[[[{},5,0]]]", 10 * (k % 10)), |_, _| false);
        let data = loaded(&(0..40).map(dot).collect::<String>(), "valid_fraction = 0.2").unwrap();
        let hands = |samples: &Samples| -> HashSet<u32> {
            samples.iter().map(|sample| parts_of(&sample).2[0][0][0] as u32).collect()
        };
        let [train, valid, test] = [&data.train, &data.valid, &data.test].map(hands);
        assert_eq!([train.len(), valid.len(), test.len()], [7, 2, 1]);
        assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
    }

    #[test]
    fn copies_are_moved_with_their_picture() {
        let data = loaded(&squares(), "copies = 2\nside = 35\nspacing = 1").unwrap();
        assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [72, 3, 3]);
        let mut starts: Vec<[u32; 2]> = Vec::new();
        for sample in data.train.iter().skip(24) {
            let (picture, tokens, strokes) = parts_of(&sample);
            // The square's middle is still ink, and its size about the same.
            let middle = strokes[1][0].map(|at| (at / 3.0) as usize);
            assert!(picture[35 * middle[1] + middle[0]] > 0.99);
            let ink: f32 = picture.iter().sum::<f32>() * 9.0;
            assert!((260.0..560.0).contains(&ink), "{ink}");
            assert_eq!(tokens, GRID_35.encode(strokes, 1, 1000));
            starts.push(strokes[0][0].map(f32::to_bits));
        }
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts.len(), 48, "every copy is moved in its own way");
        let again = loaded(&squares(), "copies = 2\nside = 35\nspacing = 1").unwrap();
        assert_eq!(again, data);
        // Those of a stored schema are not trained on.
        let train = file(squares());
        let table = config("strokes", Some(train.path()), "copies = 2\nside = 35\nspacing = 1");
        assert_eq!(load_split(&table, MODE, &data.schema, Some(train.path()), 0).unwrap().len(), 30);
        assert_says(loaded(&squares().repeat(3), "copies = 1000\nside = 128"), &["data.copies", "the limit"]);
    }

    #[test]
    fn what_is_not_of_the_grid_is_refused() {
        let schema = |channels, side| Schema {
            input: InputSchema::Features { channels, scales: Vec::new(), names: Vec::new() },
            target: TargetSchema::Drawing(Grid { side }),
        };
        schema(441, 21).check().unwrap();
        assert_says(schema(440, 21).check(), &["21 by 21 cells"]);
        assert_says(schema(129 * 129, 129).check(), &["129 by 129 cells", "128 by 128"]);
        let sample = |tokens: &[u32], far: f32| Sample {
            input: SampleInput::Features(Features::vector(vec![0.0; 441])),
            target: SampleTarget::Drawing { tokens: tokens.to_vec().into(), strokes: vec![vec![[0.0, far]]] },
        };
        let check = |sample| schema(441, 21).check_sample(MODE, &sample);
        check(sample(&[442, 1, 2, 0], 100.0)).unwrap();
        assert_says(check(sample(&[443, 0], 0.0)), &["token 443", "tokens of a drawing of 443"]);
        assert_says(check(sample(&[], 0.0)), &["no step"]);
        assert_says(check(sample(&[0], f32::NAN)), &["10000 pixels away"]);
        assert_says(check(sample(&[0], 1e9)), &["10000 pixels away"]);
    }

    #[test]
    fn a_motion_can_be_undone() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for point in [[0.0, 0.0], [100.0, 3.0], [52.5, 52.5]] {
            let motion = Motion::draw(&mut rng);
            let there = motion.there(point);
            assert!(distance(&motion.back(there), &point) < 1e-3);
            assert!(distance(&there, &point) > 1e-3);
        }
    }

    #[test]
    fn points_are_even_and_end_where_the_stroke_does() {
        let corner = [[0.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 5.0]];
        assert_eq!(evenly(&corner, 2.0), [[0.0, 0.0], [2.0, 0.0], [3.0, 1.0], [3.0, 3.0], [3.0, 5.0]]);
        assert_eq!(evenly(&corner, 100.0), [[0.0, 0.0], [3.0, 5.0]]);
        assert_eq!(evenly(&corner[1..3], 2.0), [[3.0, 0.0]]);
        assert_eq!(evenly(&[], 2.0), Stroke::new());
    }

    #[test]
    fn tokens_are_cut_and_read_as_far_as_they_go() {
        let strokes = [vec![[-9.0, 200.0], [9.0, 200.0]], vec![[0.0, 0.0]]];
        let corner = 2 + 20 * 21;
        assert_eq!(GRID.encode(&strokes, 5, 99), [corner, corner + 1, 1, 2, 0]);
        assert_eq!(GRID.encode(&strokes, 5, 2), [corner, corner + 1, 0]);
        assert_eq!(GRID.encode(&strokes, 5, 0), [0]);
        assert_eq!(GRID.encode(&strokes, 0, 99), GRID.encode(&strokes, 1, 99));
        assert_eq!(GRID.n_tokens(), 443);
        assert_eq!(GRID.decode(&[1, 1, 2, 1, 0, 3]), [vec![[2.5, 2.5]]]);
        assert_eq!(GRID.decode(&[]), Vec::<Stroke>::new());
    }

    #[test]
    fn strokes_cover_what_the_pen_goes_over() {
        let covered = drawn(GRID, &[vec![[52.5, 20.0], [52.5, 80.0]]]);
        // Three of the five columns of the middle cells.
        for (k, share) in covered.iter().enumerate() {
            let (column, row) = (k % 21, k / 21);
            let expected = if column == 10 && (4..16).contains(&row) { 0.5..=1.0 } else { 0.0..=0.3 };
            assert!(expected.contains(share), "{column}, {row}: {share}");
        }
        assert!(drawn(GRID, &[]).iter().all(|&share| share == 0.0));
    }

    /// A PNG file of rows of pixels.
    fn png_file(color: ColorType, [width, height]: [u32; 2], data: &[u8]) -> tempfile::NamedTempFile {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        file(bytes)
    }

    #[test]
    fn pictures_of_any_kind_are_ink_on_paper() {
        let grid = Grid { side: 2 };
        let read = |file: &tempfile::NamedTempFile| match grid.read(file.path()).unwrap() {
            SampleInput::Features(picture) => picture.data,
            other => panic!("{other:?}"),
        };
        // Of four pixels the upper right one is ink.
        let expected = [0.0, 1.0, 0.0, 0.0];
        let (white, black, clear) = ([255u8; 3], [0u8; 3], [0u8; 4]);
        let mixed = [white, black, white, white].concat();
        assert_eq!(read(&png_file(ColorType::Grayscale, [2, 2], &[255, 0, 255, 255])), expected);
        assert_eq!(read(&png_file(ColorType::Grayscale, [2, 2], &[0, 255, 0, 0])), expected);
        for (got, expected) in read(&png_file(ColorType::Rgb, [2, 2], &mixed)).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6);
        }
        let transparent = [clear, [0, 0, 0, 255], clear, clear].concat();
        assert_eq!(read(&png_file(ColorType::Rgba, [2, 2], &transparent)), expected);
        assert_eq!(read(&png_file(ColorType::GrayscaleAlpha, [2, 2], &[0, 0, 0, 255, 0, 0, 0, 0])), expected);
        // Four by two: in the middle of four by four.
        let wide = [255, 255, 255, 0, 255, 255, 255, 255];
        assert_eq!(read(&png_file(ColorType::Grayscale, [4, 2], &wide)), [0.0, 0.25, 0.0, 0.0]);
        // A line is in the middle too: 3000 of its 9000 pixels are ink, in one of four cells of 4500 by 4500.
        let paper_and_ink = [vec![255u8; 6000], vec![0u8; 3000]].concat();
        for (size, inked) in [([1, 9000], 2), ([9000, 1], 1)] {
            for (k, share) in read(&png_file(ColorType::Grayscale, size, &paper_and_ink)).iter().enumerate() {
                let expected: f32 = if k == inked { 3000.0 / (4500.0 * 4500.0) } else { 0.0 };
                assert!((share - expected).abs() < 1e-7, "{size:?}, {k}: {share}");
            }
        }
        let long = png_file(ColorType::Grayscale, [1, 1_000_000], &vec![255; 1_000_000]);
        assert_says(grid.read(long.path()), &["1 by 1000000 pixels", "no side longer than 10000"]);
        let large = png_file(ColorType::Grayscale, [8000, 6400], &vec![255; 8000 * 6400]);
        assert_says(grid.read(large.path()), &["8000 by 6400 pixels", "pixels of 48 MiB"]);
        assert_says(grid.read(file("no picture").path()), &["no picture that can be read"]);
        let whole = png_file(ColorType::Grayscale, [2, 2], &[255, 0, 255, 255]);
        let bytes = std::fs::read(whole.path()).unwrap();
        assert_says(grid.read(file(&bytes[..40]).path()), &["no picture that can be read"]);
        assert!(matches!(grid.read(Path::new("/nowhere.png")), Err(Error::Io { .. })));
    }

    #[test]
    fn light_ink_on_nothing_is_ink() {
        let read = |color: ColorType, pixels: &[[u8; 4]]| {
            // Without their colour, grey and opaqueness alone.
            let kept = if color == ColorType::Rgba { 0 } else { 2 };
            let data: Vec<u8> = pixels.iter().flat_map(|pixel| pixel[kept..].to_vec()).collect();
            match (Grid { side: 2 }).read(png_file(color, [2, 2], &data).path()).unwrap() {
                SampleInput::Features(picture) => picture.data,
                other => panic!("{other:?}"),
            }
        };
        let (clear, white, faint) = ([0; 4], [255; 4], [255, 255, 255, 51]);
        for color in [ColorType::Rgba, ColorType::GrayscaleAlpha] {
            assert_eq!(read(color, &[clear, white, clear, faint]), [0.0, 1.0, 0.0, 0.2]);
            // What is nowhere opaque is as much ink as it is opaque.
            assert_eq!(read(color, &[clear, faint, clear, clear]), [0.0, 0.2, 0.0, 0.0]);
        }
        // Dark ink on white, which ends within the picture, is the ink.
        let black = [0, 0, 0, 255];
        for (got, expected) in
            read(ColorType::Rgba, &[clear, white, black, white]).iter().zip([0.0f32, 0.0, 1.0, 0.0])
        {
            assert!((got - expected).abs() < 1e-6, "{got}");
        }
        // On opaque paper light grey is some ink.
        let grey = [204, 204, 204, 255];
        for (got, expected) in
            read(ColorType::Rgba, &[white, grey, white, white]).iter().zip([0.0f32, 0.2, 0.0, 0.0])
        {
            assert!((got - expected).abs() < 1e-6, "{got}");
        }
    }

    #[test]
    fn faults_are_told_with_their_line() {
        let good = square(1);
        let image = |text: &str| good.replace("\"image\":\"", &format!("\"image\":\"{text}"));
        for (text, says) in [
            ("{}\n".to_string(), "the line is no drawing (missing field `image`"),
            ("[1]\n".into(), "the line is no drawing"),
            (good.replace("[40,40,0]", "[40,40]"), "the line is no drawing"),
            (good.replace("[40,40,0]", "[40,40,0,0]"), "the line is no drawing"),
            (good.replace("40,40,0", "\"a\",40,0"), "the line is no drawing"),
            (good.replace("40,40,0", "40,500,0"), "stroke 1 goes to 40, 500, far outside"),
            (good.replace("40,40,0", "1e300,40,0"), "far outside"),
            (good.replace(",[[50,50,30]]", ",[]"), "stroke 2 has no point"),
            (good.replace("[[[40,40,0],[60,40,20]],[[50,50,30]]]", "[]"), "has no stroke"),
            (image("0"), "`image` is not 2758 hexadecimal digits"),
            (good.replace("\"image\":\"0", "\"image\":\"x"), "`image` is not 2758 hexadecimal digits"),
            (good.replace("[50,50,30]", &["[50,50,30]"; MOST_POINTS].join(",")), "more than 10000 points"),
            (format!("{{\"char\":\"{}\",{}", "x".repeat(MOST_LINE), &good[1..]), "longer than 1 MiB"),
        ] {
            assert_says(loaded(&format!("{good}\n{text}"), ""), &[":3:", says]);
        }
        assert_says(loaded("\n \n", ""), &["blank lines only"]);
        // One hand cannot be parted.
        assert_says(loaded(&good.repeat(9), ""), &["data.valid_fraction", "leaves nothing for validation"]);
    }
}
