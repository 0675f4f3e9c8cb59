//! A model that draws what it sees: trained, scored and asked on the command line.

use crate::cli::Workshop;
use serde_json::{Value, json};

const CONFIG: &str = r#"
name = "tiny-strokes"

[model]
mode = "one-to-many"
cell = "gru"
d_hidden = 24
feedback = "token"
d_feedback = 8
max_steps = 20

[data]
format = "strokes"
train = "train.jsonl"
test = "test.jsonl"
side = 7
spacing = 15

[train]
epochs = 60
batch_size = 8
lr = 0.02
"#;

const FRAME: usize = 105;

/// Three lines across and three lines down, which each hand draws a pixel higher, lower or in between.
fn stroke(hand: usize, kind: usize) -> [[f64; 2]; 2] {
    let at = [22.5, 52.5, 82.5][kind % 3] + (hand % 3) as f64 - 1.0;
    if kind < 3 { [[22.5, at], [82.5, at]] } else { [[at, 22.5], [at, 82.5]] }
}

/// Whether a pixel is ink.
fn is_ink([[left, top], [right, bottom]]: [[f64; 2]; 2], k: usize) -> bool {
    let (x, y) = ((k % FRAME) as f64 + 0.5, (k / FRAME) as f64 + 0.5);
    (left - 2.0..=right + 2.0).contains(&x) && (top - 2.0..=bottom + 2.0).contains(&y)
}

fn line(hand: usize, kind: usize) -> String {
    let stroke = stroke(hand, kind);
    let mut image = vec![0u8; (FRAME * FRAME).div_ceil(8)];
    for k in (0..FRAME * FRAME).filter(|&k| is_ink(stroke, k)) {
        image[k / 8] |= 128 >> (k % 8);
    }
    let image: String = image.iter().map(|byte| format!("{byte:02x}")).collect();
    let points = stroke.map(|[x, y]| [x, y, 0.0]);
    json!({"alphabet": "lines", "drawer": hand, "strokes": [points], "image": image}).to_string()
}

fn file(hands: std::ops::Range<usize>) -> String {
    let all = hands.flat_map(|hand| (0..6).map(move |kind| line(hand, kind) + "\n"));
    all.collect()
}

/// A PNG file of rows of pixels.
fn png_file(color: png::ColorType, [width, height]: [u32; 2], pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

#[test]
fn a_model_draws_what_it_sees() {
    let w = Workshop::new();
    w.write("train.jsonl", file(0..8));
    w.write("test.jsonl", file(9..11));
    w.write("s.toml", CONFIG);
    w.train("s");
    let value = |metric: &str| {
        let [said] = w.run(&format!("eval s --metric {metric} --format json")).json().try_into().unwrap();
        assert_eq!((&said["split"], &said["n"]), (&"test".into(), &12.into()));
        said["value"].as_f64().unwrap()
    };
    let [chamfer, dtw, overlap] = ["chamfer", "dtw", "overlap"].map(value);
    assert!(chamfer < 3.0 && dtw < 4.0 && overlap > 0.4, "{chamfer} {dtw} {overlap}");
    let [model, baseline] = w.run("eval s --baseline --format json").json().try_into().unwrap();
    assert_eq!((&model["metric"], &baseline["metric"]), (&"chamfer".into(), &"chamfer".into()));
    assert!((model["value"].as_f64().unwrap() - chamfer).abs() < 1e-6, "{model}");
    assert_eq!(baseline["baseline"], "the nearest training drawing");
    // Hands that drew as these do, or two pixels beside them, were trained on.
    assert!(baseline["value"].as_f64().unwrap() <= 2.0, "{baseline}");

    // From cell to cell, a line of the file, of stdin and of the command line alike.
    let all = w.run("predict s test.jsonl --format json").json();
    assert_eq!(all.len(), 12);
    let points =
        |answer: &Value| -> Vec<Vec<[f32; 2]>> { serde_json::from_value(answer["strokes"].clone()).unwrap() };
    let [first] = points(&all[0]).try_into().unwrap();
    assert!(
        first.iter().all(|[_, y]| (y - 22.5).abs() <= 15.0) && first[0][0] < first[first.len() - 1][0],
        "{first:?}"
    );
    assert_eq!(all[0]["finished"], true);
    let strokes = |answers: &[Value]| answers.iter().map(points).collect::<Vec<_>>();
    let lines = w.run_with("predict s - --format json", file(9..10)).json();
    assert_eq!(strokes(&lines), strokes(&all[..6]));
    let given = w.run(&format!("predict s {} --format json", line(9, 0))).json();
    assert_eq!(strokes(&given), strokes(&all[..1]));
    let told = w.run("predict s test.jsonl");
    let expected: Vec<String> = first.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
    assert_eq!(told.ok().lines().next(), Some(expected.join(" ").as_str()));
    // A line a stroke, and a blank one after each of several drawings.
    let n_strokes: usize = all.iter().map(|answer| points(answer).len()).sum();
    assert_eq!(told.out.lines().count(), n_strokes + 12);
    assert_eq!(told.out.lines().filter(|line| line.is_empty()).count(), 12);

    // The same picture as PNG, by itself and in a folder.
    let grey: Vec<u8> = (0..FRAME * FRAME).map(|k| if is_ink(stroke(9, 0), k) { 0 } else { 255 }).collect();
    let size = [FRAME as u32; 2];
    w.write("pictures/first.png", png_file(png::ColorType::Grayscale, size, &grey));
    // And in white ink on nothing.
    let white: Vec<u8> = grey.iter().flat_map(|&paper| [255, 255 - paper]).collect();
    w.write("white.png", png_file(png::ColorType::GrayscaleAlpha, size, &white));
    for name in ["pictures/first.png", "white.png"] {
        let picture = w.run(&format!("predict s {name} --format json")).json();
        assert_eq!(strokes(&picture), strokes(&all[..1]), "{name}");
    }
    w.write("long.png", png_file(png::ColorType::Grayscale, [1, 20_000], &[255; 20_000]));
    let [in_folder] = w.run("predict s pictures --format json").json().try_into().unwrap();
    assert_eq!((&in_folder["file"], &in_folder["strokes"]), (&"first.png".into(), &all[0]["strokes"]));
    assert_eq!(w.run("predict s pictures/first.png").ok(), format!("{}\n", expected.join(" ")));
    assert_eq!(w.run("predict s pictures").ok(), format!("first.png\t{}\n\n", expected.join(" ")));
    let several = w.run("predict s pictures --n-best 3");
    let lines: Vec<&str> = several.ok().lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 1 && lines.iter().all(|line| line.starts_with("first.png\t")), "{several:?}");
    // Drawn token by token, by a seed.
    let drawn = |seed: usize| w.run(&format!("predict s pictures --seed {seed} --format json")).json();
    assert_eq!(drawn(1), drawn(1));

    let [several] = w.run("predict s pictures/first.png --n-best 3 --format json").json().try_into().unwrap();
    assert_eq!(several["hypotheses"].as_array().unwrap().len(), 3);
    assert_eq!(several["strokes"], all[0]["strokes"]);
    for (command, n) in
        [("predict s test.jsonl --svg all.svg", 12), ("predict s pictures/first.png --svg one.svg", 1)]
    {
        w.run(command).ok();
        let svg = w.read(command.rsplit(' ').next().unwrap());
        let document = roxmltree::Document::parse(&svg).unwrap();
        let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
        assert!(lines.count() >= n, "{command}");
    }
    w.write("a.jpg", "");
    for (command, says) in [
        ("predict s test.jsonl --svg one.svg", "exists already"),
        ("predict s - --svg new.svg", "give no folder or stdin"),
        ("predict s pictures --svg new.svg", "give no folder or stdin"),
        ("predict tiny 1:1 --svg new.svg", "only a model of `strokes` data"),
        ("predict s nothing.png", "there is no file of that name"),
        ("predict s a.jpg", "write it as PNG"),
        ("predict s long.png", "make no side longer than 10000 pixels"),
        ("predict s {}", "missing field `image`"),
        ("eval s --plot new.svg", "only a model of `csv` data"),
        ("eval s --confusion new.svg", "a confusion matrix is of classes"),
        ("generate s --prompt a", "cannot go on from its own text"),
    ] {
        let said = w.run(command);
        assert_eq!(said.code, Some(1), "{command}");
        assert!(said.err.contains(says), "{command}: {}", said.err);
    }
    assert!(!w.path("new.svg").exists());
    assert!(w.run("info s").ok().contains("strokes over a grid of 7 x 7 cells"));
}
