//! The page: one file of HTML that needs no other and no network, and is well-formed XML too.

use super::{RunSummary, differences};
use crate::config::Loss;
use crate::plot::{Series, compare_svg, escape, series_stroke};
use crate::train::Score;
use std::path::Path;

/// What stands where there is nothing to tell.
const NONE: &str = "–";

/// A page that shows `runs` side by side: scores and speeds, curves, and the keys in which their configurations differ.
pub fn page(runs: &[RunSummary]) -> String {
    let names = names(runs);
    let n = runs.len();
    let count = if n == 1 { "1 run".into() } else { format!("{n} runs") };
    let mut body = format!(
        "<h1>{count}</h1>\n<p class=\"faint\">rnn-zoo {}; bold: the best of a column</p>\n",
        env!("CARGO_PKG_VERSION")
    );
    body += &section("Scores and speed", &scores(runs, &names));
    body += &section("Curves", &curves(runs, &names));
    body += &section("Configurations", &configurations(runs, &names));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <title>rnn-zoo: {count}</title>\n<style>\n{}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        include_str!("page.css")
    )
}

fn section(title: &str, inside: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{inside}</section>\n")
}

/// The last part of each run's folder, or the whole of it where that is the same for two.
fn names(runs: &[RunSummary]) -> Vec<String> {
    let last = |run: &RunSummary| {
        Path::new(&run.name).file_name().map_or(run.name.clone(), |name| name.to_string_lossy().into())
    };
    let names: Vec<String> = runs.iter().map(last).collect();
    let same = |k: usize| names.iter().filter(|name| **name == names[k]).count() > 1;
    runs.iter()
        .enumerate()
        .map(|(k, run)| if same(k) { run.name.clone() } else { names[k].clone() })
        .collect()
}

/// A piece of a run's line, and its name, which may be broken after a comma.
fn run_key(n: usize, name: &str) -> String {
    let name = escape(name).replace(',', ",<wbr/>");
    format!(
        "<div class=\"run\"><svg width=\"28\" height=\"10\" aria-hidden=\"true\">\
         <line x1=\"0\" y1=\"5\" x2=\"28\" y2=\"5\" {}/></svg><span>{name}</span></div>",
        series_stroke(n)
    )
}

/// A column of a table: its name, a cell a run, and whether it is text.
struct Column {
    name: String,
    cells: Vec<String>,
    text: bool,
    /// The row that is the best one.
    best: Vec<usize>,
}

impl Column {
    fn new(name: &str, cells: Vec<String>) -> Self {
        Self { name: name.into(), cells, text: false, best: Vec::new() }
    }

    fn text(name: &str, cells: Vec<String>) -> Self {
        Self { text: true, ..Self::new(name, cells) }
    }
}

/// A table with a row a run.
fn table(names: &[String], columns: &[Column]) -> String {
    let class = |column: &Column, row: Option<usize>| match row {
        Some(row) if column.best.contains(&row) => " class=\"best\"",
        _ if column.text => " class=\"text\"",
        _ => "",
    };
    let mut html = "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">run</th>".to_string();
    for column in columns {
        html += &format!("<th scope=\"col\"{}>{}</th>", class(column, None), escape(&column.name));
    }
    html += "</tr></thead>\n<tbody>\n";
    for (row, name) in names.iter().enumerate() {
        html += &format!("<tr><th scope=\"row\">{}</th>", run_key(row, name));
        for column in columns {
            html += &format!("<td{}>{}</td>", class(column, Some(row)), escape(&column.cells[row]));
        }
        html += "</tr>\n";
    }
    html + "</tbody>\n</table></div>\n"
}

fn scores(runs: &[RunSummary], names: &[String]) -> String {
    let cells = |cell: &dyn Fn(&RunSummary) -> Option<String>| -> Vec<String> {
        runs.iter().map(|run| cell(run).unwrap_or_else(|| NONE.into())).collect()
    };
    let mut columns = Vec::new();
    let unfinished = runs.iter().any(|run| run.finished.is_none());
    if unfinished {
        let state = |run: &RunSummary| if run.finished.is_some() { "finished" } else { "not finished" };
        columns.push(Column::text("state", cells(&|run| Some(state(run).into()))));
    }
    let mut told: Vec<&Score> = Vec::new();
    for score in runs.iter().filter_map(|run| run.finished.as_ref()).flat_map(|(_, scores)| scores) {
        if !told.iter().any(|s| s.split == score.split && s.metric == score.metric) {
            told.push(score);
        }
    }
    // The test split first: it is what a run is judged by.
    told.sort_by_key(|score| score.split != "test");
    for score in told {
        let of = |run: &RunSummary| {
            let (_, scores) = run.finished.as_ref()?;
            Some(scores.iter().find(|s| s.split == score.split && s.metric == score.metric)?.value)
        };
        let values: Vec<Option<f64>> = runs.iter().map(of).collect();
        let finite = || values.iter().flatten().copied().filter(|value| value.is_finite());
        let best = finite().reduce(if score.higher_is_better() { f64::max } else { f64::min });
        columns.push(Column {
            best: match finite().count() {
                0 | 1 => Vec::new(),
                _ => (0..runs.len()).filter(|&k| values[k].is_some() && values[k] == best).collect(),
            },
            ..Column::new(
                &format!("{} {}", score.split, score.metric),
                cells(&|run| Some(format!("{:.4}", of(run)?))),
            )
        });
    }
    let manifest = |run: &RunSummary| run.finished.as_ref().map(|(manifest, _)| manifest.clone());
    columns.extend([
        Column::new(
            "epochs",
            cells(&|run| {
                (!run.epochs.is_empty())
                    .then(|| format!("{} of {}", run.epochs.len(), run.config.train.epochs))
            }),
        ),
        Column::new("exported epoch", cells(&|run| Some(manifest(run)?.epoch.to_string()))),
        Column::new("parameters", cells(&|run| Some(thousands(manifest(run)?.parameters as f64)))),
        Column::new("seconds", cells(&|run| Some(format!("{:.1}", run.seconds()?)))),
        Column::new(
            "training speed",
            cells(&|run| Some(format!("{} {}/s", thousands(run.rate()?), run.unit?))),
        ),
        Column::text("device", cells(&|run| Some(manifest(run)?.trained_on))),
    ]);
    let note = "<p class=\"faint\">Not finished: interrupted, failed or still going on; shown as far as it is.</p>\n";
    table(names, &columns) + if unfinished { note } else { "" }
}

/// A whole number, its digits in threes.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn curves(runs: &[RunSummary], names: &[String]) -> String {
    if runs.iter().all(|run| run.epochs.is_empty()) {
        return "<p>No run has told of its epochs.</p>\n".into();
    }
    let mut html = "<ul class=\"legend\">\n".to_string();
    for (k, name) in names.iter().enumerate().filter(|(k, _)| !runs[*k].epochs.is_empty()) {
        html += &format!("<li>{}</li>\n", run_key(k, name));
    }
    html += "</ul>\n<p class=\"faint\">A disc: the epoch that was exported.</p>\n<div class=\"figures\">\n";
    let mut metrics: Vec<&str> =
        runs.iter().map(|run| run.metric.as_str()).filter(|m| !m.is_empty()).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let unit = loss_unit(runs);
    let mut figure = |title: &str, of: &dyn Fn(&RunSummary) -> Vec<[f64; 2]>| {
        let points: Vec<Vec<[f64; 2]>> = runs.iter().map(of).collect();
        let series: Vec<Series> = (0..runs.len())
            .filter(|&k| !points[k].is_empty())
            .map(|k| Series {
                name: &names[k],
                stroke: k,
                points: &points[k],
                best: runs[k].finished.as_ref().map(|(manifest, _)| manifest.epoch as f64),
            })
            .collect();
        html += &format!(
            "<figure><figcaption>{}</figcaption>\n{}</figure>\n",
            escape(title),
            compare_svg(title, &series)
        );
    };
    figure(&format!("validation loss{unit}"), &|run| {
        run.epochs.iter().map(|e| [e.epoch, e.valid_loss]).collect()
    });
    figure(&format!("training loss{unit}"), &|run| {
        run.epochs.iter().map(|e| [e.epoch, e.train_loss]).collect()
    });
    for metric in metrics {
        figure(&format!("validation {metric}"), &|run| {
            let epochs = run.epochs.iter().filter(|_| run.metric == metric);
            epochs.map(|e| [e.epoch, e.score]).collect()
        });
    }
    html + "</div>\n"
}

/// What losses are measured in, if it is the same for all.
fn loss_unit(runs: &[RunSummary]) -> &'static str {
    let kind = |run: &RunSummary| match (run.config.train.loss, run.metric.as_str()) {
        (None | Some(Loss::Mse), "mse") => " (mean square)",
        (None | Some(Loss::CrossEntropy), _) => " (nats)",
        _ => "",
    };
    let mut kinds = runs.iter().filter(|run| !run.epochs.is_empty()).map(kind);
    let first = kinds.next().unwrap_or_default();
    if kinds.all(|kind| kind == first) { first } else { "" }
}

fn configurations(runs: &[RunSummary], names: &[String]) -> String {
    if runs.len() < 2 {
        return "<p>One run differs from no other: name several.</p>\n".into();
    }
    let configs: Vec<_> = runs.iter().map(|run| &run.config).collect();
    let found = differences(&configs);
    if found.is_empty() {
        return "<p>All runs have the same configuration.</p>\n".into();
    }
    let column = |(key, values): &(String, Vec<Option<String>>)| {
        let cells = values.iter().map(|value| value.as_deref().map_or(NONE.into(), shown)).collect();
        Column::text(key, cells)
    };
    let columns: Vec<Column> = found.iter().map(column).collect();
    format!("<p>The keys in which they differ; all others are the same.</p>\n{}", table(names, &columns))
}

/// A value in a cell, cut where it is long.
fn shown(value: &str) -> String {
    let mut text: String = value.chars().take(80).collect();
    if value.chars().count() > 80 {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_threes() {
        for (value, text) in [(0.4, "0"), (999.0, "999"), (1000.0, "1,000"), (1234567.0, "1,234,567")] {
            assert_eq!(thousands(value), text);
        }
    }
}
