//! What a run tells while it goes on, the card that it leaves, and the page that puts runs side by side: read as XML, and
//! laid out by a browser where `RNN_ZOO_CHROMIUM` names one.

use crate::cli::Workshop;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

#[test]
fn lines_inside_an_epoch_tell_step_loss_score_speed_and_time_left() {
    let w = Workshop::of_files();
    let said = w.run("train adding.toml --run new --progress-seconds 0");
    said.ok();
    let steps: Vec<&str> = said.err.lines().filter(|line| line.contains("  step ")).collect();
    assert!(steps.len() >= 6 && steps.len().is_multiple_of(3), "{steps:?}");
    for part in ["epoch   1/3  step 1/", "  loss ", " time steps/s", "  left 0:0"] {
        assert!(steps[0].contains(part), "no `{part}` in {}", steps[0]);
    }
    assert!(!steps[0].contains("valid mse") && steps.last().unwrap().contains("  valid mse "), "{steps:?}");
    let epochs: Vec<&str> = said.err.lines().filter(|line| line.contains("  train loss ")).collect();
    assert!(epochs.len() == 3 && epochs[2].ends_with(" time steps/s  left 0:00"), "{epochs:?}");

    let said = w.run("train text.toml --run tokens --progress-seconds 0");
    assert!(said.err.contains(" tokens/s  left "), "{said:?}");
    // Nothing takes an hour here.
    let said = w.run("train adding.toml --run slow --progress-seconds 3600");
    assert!(!said.err.contains("  step ") && said.err.contains("  train loss "), "{said:?}");
}

#[test]
fn objects_tell_what_lines_do() {
    let w = Workshop::of_files();
    let said = w.run("train adding.toml --run new --format json --progress-seconds 0");
    let [run] = said.json().try_into().unwrap();
    assert_eq!(run["event"], "run");
    let events: Vec<Value> = said.err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).collect::<Vec<_>>();
    assert_eq!((of("start").len(), of("epoch").len()), (1, 3));
    assert_eq!((&of("start")[0]["run"], &of("start")[0]["parameters"]), (&"new".into(), &run["parameters"]));
    let step = *of("step").last().unwrap();
    assert_eq!(
        (&step["epoch"], &step["metric"], &step["unit"]),
        (&3.into(), &"mse".into(), &"time_steps".into())
    );
    assert_eq!(step["step"], step["steps"]);
    for key in ["loss", "score", "per_second", "seconds_left"] {
        assert!(step[key].as_f64().is_some_and(f64::is_finite), "{key}: {step}");
    }
    let said = w.run("train adding.toml --run quiet --format json --progress-seconds 0 --quiet");
    assert_eq!((said.json().len(), said.err.as_str()), (1, ""));
}

#[test]
fn a_run_leaves_a_card() {
    let w = Workshop::of_files();
    let card = w.read("tiny/card.md");
    let scores: Value = serde_json::from_str(&w.read("tiny/model/scores.json")).unwrap();
    for score in scores.as_array().unwrap() {
        let text = |key: &str| score[key].as_str().unwrap().to_string();
        let row = format!(
            "| {} | {} | {:.4} | {} |",
            text("split"),
            text("metric"),
            score["value"].as_f64().unwrap(),
            score["n"]
        );
        assert!(card.contains(&row), "no {row} in {card}");
    }
    let manifest: Value = serde_json::from_str(&w.read("tiny/model/manifest.json")).unwrap();
    for part in [
        "# tiny\n\nThree classes of two channels\n",
        &format!("| parameters | {} |", manifest["parameters"]),
        "| data | format `ts`, `tiny.ts`: 10 training, 4 validation, 4 test sequences |",
        "| output | one class of 3: a, b, c |",
        "| test, baseline: always the class most frequent in training, ",
        "rnn-zoo eval RUN --baseline",
    ] {
        assert!(card.contains(part), "no `{part}` in {card}");
    }
    assert!(w.read("text/card.md").contains("8-gram"));
}

/// A page of two runs that are finished, one that is not, and one whose names need care.
fn four_runs(w: &Workshop) -> String {
    w.run(r#"train adding.toml --run r/one<b>&"2" --set description=<i>&"x" --set train.lr=0.1 --quiet"#)
        .ok();
    w.run("train adding.toml --run r/adding --set train.epochs=2 --quiet").ok();
    for file in ["config.toml", "metrics.csv"] {
        w.write(&format!("cut/{file}"), w.read(&format!("tiny/{file}")));
    }
    let said = w.run(r#"report tiny r/one<b>&"2" r/adding cut --out page.html"#);
    assert_eq!(said.ok(), "page.html: 4 run(s), 1 not finished\n");
    w.read("page.html")
}

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).expect("the page is well-formed")
}

fn all<'a>(node: Node<'a, 'a>, tag: &str) -> Vec<Node<'a, 'a>> {
    node.descendants().filter(|node| node.tag_name().name() == tag).collect()
}

/// The cells of a table.
fn cells<'a>(table: Node<'a, 'a>) -> Vec<Vec<String>> {
    let text =
        |cell: Node| cell.descendants().filter_map(|node| node.text().filter(|_| node.is_text())).collect();
    let row = |row: Node<'a, 'a>| row.children().filter(Node::is_element).map(text).collect();
    all(table, "tr").into_iter().map(row).collect()
}

#[test]
fn a_report_shows_runs_side_by_side() {
    let w = Workshop::of_files();
    let page = four_runs(&w);
    let document = parse(&page);
    let tables = all(document.root(), "table");
    let [scores, configurations] = [0, 1].map(|k| cells(tables[k]));
    let column = |table: &[Vec<String>], name: &str| -> Vec<String> {
        let k =
            table[0].iter().position(|cell| cell == name).unwrap_or_else(|| panic!("no {name}: {table:?}"));
        table[1..].iter().map(|row| row[k].clone()).collect()
    };
    for table in [&scores, &configurations] {
        assert_eq!(column(table, "run"), ["tiny", r#"one<b>&"2""#, "adding", "cut"]);
    }
    assert_eq!(column(&scores, "epochs"), ["2 of 2", "3 of 3", "2 of 2", "2 of 2"]);
    assert_eq!(column(&scores, "test accuracy")[1..], ["–", "–", "–"]);
    assert!(
        column(&scores, "state")[3].starts_with("not finished") && column(&scores, "state")[0] == "finished"
    );
    let written: Value = serde_json::from_str(&w.read("tiny/model/scores.json")).unwrap();
    let test = written.as_array().unwrap().iter().find(|s| s["split"] == "test" && s["metric"] == "accuracy");
    let expected = format!("{:.4}", test.unwrap()["value"].as_f64().unwrap());
    assert_eq!(column(&scores, "test accuracy")[0], expected);
    assert!(
        column(&scores, "training speed").iter().all(|cell| cell.ends_with(" time steps/s")),
        "{scores:?}"
    );

    assert_eq!(column(&configurations, "train.lr")[..2], ["0.01", "0.1"]);
    assert_eq!(column(&configurations, "description")[1], r#"<i>&"x""#);
    assert_eq!(column(&configurations, "data.steps"), ["–", "6", "6", "–"]);
    assert!(!configurations[0].contains(&"train.seed".to_string()), "it is the same for all");

    // Two losses of four runs, two scores of two.
    let figures = all(document.root(), "figure");
    assert_eq!(figures.iter().map(|figure| all(*figure, "polyline").len()).collect::<Vec<_>>(), [4, 4, 2, 2]);
    let captions: Vec<_> = all(document.root(), "figcaption").iter().filter_map(|node| node.text()).collect();
    assert_eq!(captions, ["validation loss", "training loss", "validation accuracy", "validation mse"]);

    // Nothing comes from elsewhere.
    let attributes = || document.descendants().flat_map(|node| node.attributes());
    assert!(attributes().all(|a| !["src", "href", "srcset", "data", "action"].contains(&a.name())));
    for word in ["http:", "https:", "//", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn a_report_overwrites_nothing_and_refuses_what_is_no_run() {
    let w = Workshop::of_files();
    let refused = |arguments: &str, says: &[&str]| {
        let before = w.files();
        let said = w.run(&format!("report {arguments}"));
        assert!(said.code == Some(1) && said.out.is_empty(), "{said:?}");
        assert!(says.iter().all(|says| said.err.contains(says)), "no {says:?} in {}", said.err);
        assert_eq!(w.files(), before);
    };
    w.write("other/notes.txt", "");
    refused("tiny other", &["other: has no config.toml", "name one that `train` made"]);
    refused("tiny nowhere", &["nowhere: is not a folder"]);
    refused("tiny --out tiny.toml", &["tiny.toml: exists already"]);
    w.edit("copy/metrics.csv", "\n1,", "\n1,x");
    refused("tiny copy", &["copy/metrics.csv:2: ", "the file is damaged: leave this run out"]);

    // A model folder has no curves; one run differs from none.
    let [said] = w.run("report tiny/model --format json").json().try_into().unwrap();
    assert_eq!((&said["report"], &said["unfinished"]), (&"report.html".into(), &0.into()));
    let page = w.read("report.html");
    assert_eq!(all(parse(&page).root(), "figure").len(), 0);
    assert!(page.contains("No run has told of its epochs") && page.contains("One run differs from no other"));
}

/// Shows the page in frames of a telephone's and of a desk's width, and tells what came of it.
const FRAMES: &str = r#"<!DOCTYPE html><html><body>
<iframe src="page.html" width="390" height="800"></iframe><iframe src="page.html" width="1200" height="800"></iframe>
<pre id="told"></pre><script>
onload = () => {
  const frames = [...document.getElementsByTagName('iframe')].map(frame => {
    const page = frame.contentDocument;
    const boxes = query => [...page.querySelectorAll(query)].map(e => e.getBoundingClientRect());
    return {
      width: page.documentElement.scrollWidth,
      figures: boxes('figure svg').map(box => [box.left, box.right, box.height]),
      names: boxes('tbody th').map(box => [box.left, box.right, box.height]),
      lines: boxes('polyline').map(box => box.width),
      loaded: frame.contentWindow.performance.getEntriesByType('resource').length,
    };
  });
  document.getElementById('told').textContent = JSON.stringify(frames);
};
</script></body></html>"#;

/// The array that a page's script has left in it.
#[track_caller]
fn told(dom: &str) -> Vec<Value> {
    let told = dom.split_once("<pre id=\"told\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    serde_json::from_str(told.expect(dom).0).expect(dom)
}

/// What Chromium prints, opening a file.
fn browse(browser: &Path, file: &Path, options: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--disable-gpu",
            "--no-sandbox",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("RNN_ZOO_CHROMIUM is the path of a browser");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_browser_lays_a_report_out() {
    let w = Workshop::of_files();
    let page = four_runs(&w);
    let document = parse(&page);
    let lines = all(document.root(), "polyline");
    let mut colours: Vec<&str> = lines.iter().filter_map(|line| line.attribute("stroke")).collect();
    colours.sort();
    colours.dedup();
    assert_eq!(colours.len(), 4, "a colour a run");
    let Some(browser) = std::env::var_os("RNN_ZOO_CHROMIUM") else { return };
    let browser = Path::new(&browser);

    w.write("frames.html", FRAMES);
    let dom = browse(browser, &w.path("frames.html"), &["--dump-dom"]);
    let frames = told(&dom);
    for (frame, width) in frames.iter().zip([390.0, 1200.0]) {
        let numbers = |key: &str| -> Vec<Vec<f64>> { serde_json::from_value(frame[key].clone()).unwrap() };
        assert!(frame["width"].as_f64().unwrap() <= width, "the page is wider than its window: {frame}");
        assert_eq!((numbers("figures").len(), numbers("names").len(), &frame["loaded"]), (4, 8, &0.into()));
        for figure in numbers("figures") {
            assert!(figure[0] >= 0.0 && figure[1] <= width && figure[1] - figure[0] > 300.0, "{frame}");
            assert!(figure[2] > 150.0, "{frame}");
        }
        assert!(
            numbers("names").iter().all(|name| name[0] >= 0.0 && name[1] <= width && name[2] > 15.0),
            "{frame}"
        );
        let lines: Vec<f64> = serde_json::from_value(frame["lines"].clone()).unwrap();
        assert!(lines.len() == 12 && lines.iter().all(|width| *width > 50.0), "{frame}");
    }

    for (name, scheme, ground) in [("light.png", "1", "#ffffff"), ("dark.png", "0", "#14171c")] {
        let options = [
            format!("--screenshot={}", w.path(name).display()),
            format!("--blink-settings=preferredColorScheme={scheme}"),
            "--window-size=1200,1500".into(),
        ];
        browse(browser, &w.path("page.html"), &options.each_ref().map(String::as_str));
        let file = std::io::BufReader::new(std::fs::File::open(w.path(name)).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let pixels: Vec<String> = pixels[..info.buffer_size()]
            .chunks_exact(info.color_type.samples())
            .map(|p| format!("#{:02x}{:02x}{:02x}", p[0], p[1], p[2]))
            .collect();
        assert_eq!(pixels[0], ground);
        for colour in &colours {
            let n = pixels.iter().filter(|pixel| pixel == colour).count();
            assert!(n > 50, "{name} has {n} pixels of {colour}");
        }
    }
}
