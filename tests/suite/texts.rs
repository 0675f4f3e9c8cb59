//! Models that write texts: trained, scored and asked on the command line; their scores against the packages that are
//! the reference for them.

use crate::cli::Workshop;
use crate::support::noise;
use rnn_zoo::train::{bleu, rouge};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

const CONFIG: &str = r#"
name = "tiny-translation"

[model]
mode = "encoder-decoder"
cell = "gru"
d_embedding = 16
d_hidden = 24
bidirectional = true
merge = "sum"
attention = "dot"
max_steps = 12

[data]
format = "pairs"
train = "train.de"
test = "test.de"
languages = ["de", "en"]
lowercase = true
pieces = 60

[train]
epochs = 30
batch_size = 8
lr = 0.02
"#;

/// All sentences of three parts, in both languages.
fn corpus(times: usize) -> [String; 2] {
    let parts = [
        [("Ein", "A"), ("Zwei", "Two"), ("Kein", "No")],
        [("Hund", "dog"), ("Mann", "man"), ("Kind", "child")],
        [("läuft.", "runs."), ("schläft.", "sleeps."), ("liest, lacht!", "reads, laughs!")],
    ];
    let mut texts = [String::new(), String::new()];
    for _ in 0..times {
        for k in 0..27 {
            let chosen = [parts[0][k % 3], parts[1][k / 3 % 3], parts[2][k / 9]];
            texts[0] += &format!("{} {} {}\n", chosen[0].0, chosen[1].0, chosen[2].0);
            texts[1] += &format!("{} {} {}\n", chosen[0].1, chosen[1].1, chosen[2].1);
        }
    }
    texts
}

#[test]
fn a_model_translates() {
    let w = Workshop::new();
    for (name, times) in [("train", 4), ("test", 1)] {
        let [source, target] = corpus(times);
        w.write(&format!("{name}.de"), source);
        w.write(&format!("{name}.en"), target);
    }
    w.write("t.toml", CONFIG);
    w.train("t");
    let value = |metric: &str| {
        let said = w.run(&format!("eval t --metric {metric} --format json")).json();
        assert_eq!((&said[0]["split"], &said[0]["n"]), (&"test".into(), &27.into()));
        said[0]["value"].as_f64().unwrap()
    };
    assert!(value("bleu") > 99.0 && value("rouge-l") > 99.0, "{} {}", value("bleu"), value("rouge-l"));
    w.write("ask", "zwei Männer? Ein Kind liest, lacht!\nKEIN HUND LÄUFT.\n");
    let said = w.run("predict t ask");
    assert_eq!(said.ok().lines().count(), 2);
    assert_eq!(said.out.lines().nth(1), Some("no dog runs."));
    // The same through stdin, and by the most probable token at each step.
    assert_eq!(w.run_with("predict t - --beam 1", "Kein Hund läuft.\n").ok(), "no dog runs.\n");
    w.write("one", "Ein Kind schläft.\n");
    let best = w.run("predict t one --n-best 3 --attention map.svg --format json").json();
    let [best] = best.as_slice() else { panic!("{best:?}") };
    assert_eq!((&best["text"], &best["finished"]), (&"a child sleeps.".into(), &true.into()));
    let scores: Vec<f64> =
        best["hypotheses"].as_array().unwrap().iter().map(|h| h["score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 3 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let map = w.read("map.svg");
    roxmltree::Document::parse(&map).unwrap();
    assert!(map.contains("a child sleeps."));
    assert_eq!(w.run("predict t one --n-best 2").ok().lines().count(), 2);
    // A text that is cut off says so.
    let said = w.run("predict t one --steps 2");
    assert!(said.ok().lines().count() == 1 && said.err.contains("cut off before their end"), "{}", said.err);
    w.write("asks/1", "Ein Kind schläft.\n");
    let said = w.run("predict t asks --n-best 2");
    assert_eq!(said.ok().lines().count(), 2);
    assert!(said.out.lines().all(|line| line.starts_with("1\t")), "{said:?}");
    // Scores are of the file's own texts, of which training has not seen every letter.
    w.write("other.de", "Ein Kind schläft.\n");
    w.write("other.en", "a child sleeps, böö\n");
    let said = w.run("eval t --data other.de --metric rouge-l --format json").json();
    assert!((said[0]["value"].as_f64().unwrap() - 600.0 / 7.0).abs() < 1e-9, "{said:?}");
    // What takes no network is scored as the model is.
    let [model, copied] = w.run("eval t --baseline --format json").json().try_into().unwrap();
    assert_eq!((&model["metric"], &copied["metric"]), (&"bleu".into(), &"bleu".into()));
    assert_eq!((&model["n"], &copied["n"]), (&27.into(), &27.into()));
    assert_eq!(copied["baseline"], "a copy of the source");
    assert!(copied["value"].as_f64().unwrap() < 20.0, "{copied}");
    assert!(w.run("eval t --baseline").ok().contains("baseline: a copy of the source"));
    assert!(w.run("list --models t").ok().contains(" test bleu "));
    // Drawn: at 0 the most probable tokens, and by a seed always the same.
    let greedy = w.run("predict t one --beam 1").ok().to_string();
    assert_eq!(w.run("predict t one --temperature 0").ok(), greedy);
    let drawn = |seed: usize| w.run(&format!("predict t one --temperature 9 --seed {seed}")).ok().to_string();
    let all: BTreeSet<String> = (0..5).map(drawn).collect();
    assert!(all.len() > 1 && all.contains(&drawn(3)), "{all:?}");
    assert_eq!(w.run("predict t one --top-k 1 --top-p 0.5 --attention drawn.svg").ok(), greedy);
    assert!(w.path("drawn.svg").exists());
    // A line without a word is told.
    w.write("blank", "Ein Hund läuft.\n \n");
    let said = w.run_with("predict t -", w.read("blank"));
    assert_eq!((said.code, said.out.as_str()), (Some(1), "a dog runs.\n"));
    assert!(said.err.contains("stdin:2: the input has no step"), "{}", said.err);
    // Nothing is overwritten, and a beam holds what it gives.
    for (command, says) in [
        ("predict t blank", "blank:2: the input has no step"),
        ("predict t - --attention two.svg", "one input"),
        ("predict t one --attention map.svg", "exists already"),
        ("predict t one --beam 2 --n-best 3", "3 hypotheses cannot be given by a beam of width 2"),
        ("predict tiny 1:1 --beam 2", "only an encoder-decoder"),
        ("predict t ask --attention two.svg", "one text"),
    ] {
        let said = w.run(command);
        assert_eq!(said.code, Some(1), "{command}");
        assert!(said.err.contains(says), "{command}: {}", said.err);
    }
}

const PLACES: &str = r#"
name = "tiny-places"

[model]
mode = "one-to-many"
cell = "gru"
d_hidden = 24
feedback = "token"
d_feedback = 16
max_steps = 30

[data]
format = "attributes"
train = "places.csv"
test = "others.csv"
delexicalize = ["name"]
pieces = 60

[train]
epochs = 40
batch_size = 8
lr = 0.02
"#;

/// All attributes of some places, each with these texts, in which N, F and A stand for name, food and area.
fn places(names: &[&str], texts: &[&str]) -> String {
    let mut rows = "mr,ref\n".to_string();
    for name in names {
        for (food, area) in [("French", "old town"), ("Thai", "old town"), ("French", "hills")] {
            for text in texts {
                let text = text.replace('N', name).replace('F', food).replace('A', area);
                rows += &format!("\"name[{name}], food[{food}], area[{area}]\",\"{text}\"\n");
            }
        }
    }
    rows
}

#[test]
fn a_model_says_attributes() {
    let w = Workshop::new();
    let said = "N, in the A, serves F food.";
    w.write(
        "places.csv",
        places(&["Mill", "The Mill", "Lamb", "Inn", "Cotto", "Zizzi", "Vaults"], &[said; 4]),
    );
    w.write("others.csv", places(&["The Yé", "Boat"], &["F food is what N of the A serves.", said]));
    w.write("p.toml", PLACES);
    w.train("p");
    let value = |metric: &str| {
        let said = w.run(&format!("eval p --metric {metric} --format json")).json();
        // Six places, each with two references.
        assert_eq!((&said[0]["split"], &said[0]["n"]), (&"test".into(), &6.into()));
        said[0]["value"].as_f64().unwrap()
    };
    assert!(value("bleu") > 99.0 && value("rouge-l") > 99.0, "{} {}", value("bleu"), value("rouge-l"));
    // Training says the same of each food and area, of places with other names.
    let [model, nearest] = w.run("eval p --baseline --format json").json().try_into().unwrap();
    assert_eq!((&model["metric"], &nearest["metric"]), (&"bleu".into(), &"bleu".into()));
    assert_eq!(nearest["n"], 6);
    assert_eq!(nearest["baseline"], "the training text whose attributes share the most values");
    assert!(nearest["value"].as_f64().unwrap() > 99.0, "{nearest}");
    // In any order, with a name that nobody has seen.
    let asked = "area[hills],name[Xx],food[French]";
    assert_eq!(w.run(&format!("predict p {asked}")).ok(), "Xx, in the hills, serves French food.\n");
    let lines = "name[A B], food[Thai], area[old town]\nfood[French], area[hills], name[C]\n";
    let expected = "A B, in the old town, serves Thai food.\nC, in the hills, serves French food.\n";
    assert_eq!(w.run_with("predict p - --beam 1", lines).ok(), expected);
    w.write("lines", lines);
    assert_eq!(w.run("predict p lines").ok(), expected);
    assert_eq!(w.run(&format!("predict p {asked} --n-best 3")).ok().lines().count(), 3);
    // Training has seen names everywhere; the word for one is not said where none is given.
    for beam in [1, 5] {
        let said = w.run(&format!("predict p area[hills],food[French] --beam {beam}"));
        assert!(!said.ok().contains("xname") && said.out.lines().count() == 1, "{}", said.out);
    }
    for (command, says) in [
        ("predict p food[Greek]", "`Greek` is not among the values of `food`"),
        ("predict p a[b]", "attribute `a` is not among those of the training data: name, food, area"),
        ("predict p food", "write attributes as in"),
        ("predict p food[Thai] --attention a.svg", "only an encoder-decoder model of texts"),
        ("generate p --prompt a", "cannot go on from its own text"),
    ] {
        let said = w.run(command);
        assert_eq!(said.code, Some(1), "{command}");
        assert!(said.err.contains(says), "{command}: {}", said.err);
    }
    assert!(w.run("info p").ok().contains("3 attributes: name, food, area"));
}

#[test]
fn bleu_and_rouge_are_those_of_their_packages() {
    let Some(python) = std::env::var_os("RNN_ZOO_PYTHON") else {
        return; // Figures of the packages are in the unit tests.
    };
    const WORDS: [&str; 24] = [
        "the",
        "The",
        "man",
        "dog's",
        "runs",
        "3,000.5",
        "5-6",
        "well-kept",
        "(a)",
        "Straße",
        "\"so\"",
        "is",
        "isn't",
        "fast.",
        "fast",
        ",",
        "a/b",
        "&amp;",
        "e.g.",
        "no.",
        "1.",
        "$5",
        "x",
        "ab",
    ];
    let mut draws = noise(40 * 40, 5).into_iter().map(|x| ((x + 1.0) / 2.0 * 0.999 * 24.0) as usize);
    let mut sentence = |n: usize| -> Vec<usize> { (0..n).map(|_| draws.next().unwrap()).collect() };
    let (mut texts, mut references) = (Vec::new(), Vec::new());
    for k in 0..40 {
        let text = sentence(6 + k % 7);
        let mut truths = Vec::new();
        for shift in [2, 5] {
            let mut truth = text.clone();
            truth[k % 6] = (truth[k % 6] + shift) % 24;
            truth.rotate_left(shift % 3);
            truth.extend(sentence(shift % 4));
            truths.push(truth);
        }
        let words = |text: &[usize]| text.iter().map(|&k| WORDS[k]).collect::<Vec<_>>().join(" ");
        texts.push(words(&text));
        references.push(truths.iter().map(|truth| words(truth)).collect::<Vec<_>>());
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/texts/scores.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("RNN_ZOO_PYTHON is a Python with sacrebleu and rouge-score");
    let given = serde_json::json!({"texts": texts, "references": references}).to_string();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let close = |what: &str, ours: f64, theirs: &Value| {
        let theirs = theirs.as_f64().unwrap();
        assert!((ours - theirs).abs() < 1e-6, "{what}: {ours} and {theirs} ({})", said["versions"]);
        assert!(ours > 5.0 && ours < 95.0, "{what} {ours} tells nothing");
    };
    close("BLEU", bleu(&texts, &references, false), &said["bleu"]);
    close("BLEU, lower case", bleu(&texts, &references, true), &said["bleu_lowercase"]);
    let first: Vec<String> = references.iter().map(|all| all[0].clone()).collect();
    let ours = rouge(&texts, &first);
    for (k, (what, value)) in
        [("ROUGE-1", ours.one), ("ROUGE-2", ours.two), ("ROUGE-L", ours.l)].into_iter().enumerate()
    {
        close(what, value, &said["rouge"][k]);
    }
}
