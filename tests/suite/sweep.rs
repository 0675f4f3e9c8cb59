//! Sweeps: every combination in a run folder of its own, gone on with where they were interrupted.

use crate::cli::Workshop;
use serde_json::Value;
use std::fs;

const GRID: &str = "--grid model.d_hidden=2,3 --grid model.cell=rnn,gru --set train.epochs=1";

fn runs(w: &Workshop, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(w.path(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| w.path(folder).join(name).is_dir())
        .collect();
    names.sort();
    names
}

fn rows(csv: &str) -> Vec<Vec<&str>> {
    csv.lines().map(|line| line.split(',').collect()).collect()
}

#[test]
fn a_sweep_trains_every_combination_and_goes_on_where_it_was_interrupted() {
    let w = Workshop::of_files();
    let said = w.run(&format!("sweep adding.toml {GRID} --seeds 2"));
    let told: Vec<Vec<&str>> = said.ok().lines().map(|line| line.split("  ").collect()).collect();
    assert_eq!(told.len(), 5, "{said:?}");
    for text in ["model.d_hidden", "model.cell", "valid mse", "test mse"] {
        assert!(told[0].iter().any(|cell| cell.trim() == text), "no {text} in {:?}", told[0]);
    }
    assert!(told[1..].iter().all(|row| row.concat().matches(" ± ").count() == 2), "{told:?}");

    let mut expected = Vec::new();
    for hidden in [2, 3] {
        for cell in ["gru", "rnn"] {
            for seed in [0, 1] {
                expected.push(format!("model.d_hidden={hidden},model.cell={cell},seed={seed}"));
            }
        }
    }
    let folder = "sweeps/adding";
    assert_eq!(runs(&w, folder), expected);
    let table = w.read("sweeps/adding/sweep.csv");
    let table = rows(&table);
    assert_eq!(
        table[0].join(","),
        "model.d_hidden,model.cell,runs,failed,valid_mse_mean,valid_mse_deviation,test_mse_mean,test_mse_deviation"
    );
    let number = |cell: &str| cell.parse::<f64>().unwrap();
    assert!(table[1..].is_sorted_by(|a, b| number(a[4]) <= number(b[4])), "{table:?}");
    for row in &table[1..] {
        assert_eq!(row[2..4], ["2", "0"]);
        for (split, at) in [("valid", 4), ("test", 6)] {
            let score = |seed: usize| {
                let run = format!("{folder}/model.d_hidden={},model.cell={},seed={seed}", row[0], row[1]);
                let scores: Value =
                    serde_json::from_str(&w.read(&format!("{run}/model/scores.json"))).unwrap();
                let score = scores.as_array().unwrap().iter().find(|s| s["split"] == split).unwrap().clone();
                score["value"].as_f64().unwrap()
            };
            let (a, b) = (score(0), score(1));
            assert!((number(row[at]) - (a + b) / 2.0).abs() < 1e-9, "{row:?} {a} {b}");
            // Of two numbers: their distance over the root of 2.
            assert!((number(row[at + 1]) - (a - b).abs() / 2f64.sqrt()).abs() < 1e-9, "{row:?} {a} {b}");
        }
    }

    // As if it had been stopped: one run gone, one begun; and one value more.
    fs::remove_dir_all(w.path(&format!("{folder}/{}", expected[0]))).unwrap();
    fs::rename(
        w.path(&format!("{folder}/{}", expected[1])),
        w.path(&format!("{folder}/{}.part", expected[1])),
    )
    .unwrap();
    fs::remove_dir_all(w.path(&format!("{folder}/{}.part/model", expected[1]))).unwrap();
    let said = w.run(
        "sweep adding.toml --grid model.d_hidden=2,3 --grid model.cell=rnn,gru,lstm --set train.epochs=1 --seeds 2 \
         --format json",
    );
    let best = said.json();
    assert_eq!((best.len(), runs(&w, folder).len()), (6, 12));
    assert!(best.iter().all(|row| row["valid"]["seeds"] == 2 && row["failed"] == 0), "{best:?}");
    assert!(best.is_sorted_by(|a, b| a["valid"]["mean"].as_f64() <= b["valid"]["mean"].as_f64()));
    assert!(best[0]["grid"]["model.cell"].is_string() && best[0]["runs"].as_array().unwrap().len() == 2);
    let events: Vec<Value> = said.err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let state = |state: &str| {
        events
            .iter()
            .filter(|e| e["event"] == "sweep" && e["state"].as_str().unwrap().starts_with(state))
            .count()
    };
    assert_eq!((state("finished before"), state("was not finished"), state("begins")), (6, 1, 5));
    assert_eq!(events.iter().filter(|e| e["event"] == "epoch").count(), 6);
}

#[test]
fn a_grid_that_cannot_be_is_refused_before_anything_is_trained() {
    let w = Workshop::of_files();
    let before = w.files();
    for (arguments, says) in [
        ("--grid model.d_hiden=2,3", "`--grid model.d_hiden`: unknown key `d_hiden`"),
        ("--grid model.d_hidden=2,x", "`--grid model.d_hidden`: expected a whole number"),
        ("--grid model.d_hidden=2 --grid model.d_hidden=3", "is there twice"),
        ("--grid train.seed=1,2", "--seeds"),
        ("--grid model.d_hidden", "has no `=`"),
        ("--grid data.columns=[1", "without its other half"),
        (
            "--grid model.d_hidden=2 --seeds 900 --grid train.epochs=1,2,3,4,5,6,7,8,9,10,11,12",
            "over 10000 runs",
        ),
        // A run's folder has a config.toml too, another one.
        ("--grid model.d_hidden=2 --out tiny", "name another folder"),
        ("--grid model.d_hidden=2 --out runless", "no sweep's folder"),
    ] {
        w.write("runless/notes.txt", "");
        let said = w.run(&format!("sweep adding.toml {arguments}"));
        assert!(said.code == Some(1) && said.err.contains(says), "{arguments}: {said:?}");
    }
    w.remove("runless/notes.txt");
    fs::remove_dir(w.path("runless")).unwrap();
    assert_eq!(w.files(), before);
}

#[test]
fn a_run_that_fails_does_not_end_a_sweep_which_then_fails() {
    let w = Workshop::of_files();
    let command = "sweep adding.toml --grid train.lr=1e30,0.01 --set train.optimizer=sgd --set train.clip=0.0 \
                   --set train.epochs=1 --out new --quiet";
    for _ in 0..2 {
        let said = w.run(command);
        assert_eq!(said.code, Some(1), "{said:?}");
        let rows: Vec<Vec<&str>> = said.out.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!((rows.len(), rows[1][..2].to_vec()), (3, vec!["0.01", "1"]), "{rows:?}");
        assert_eq!(rows[2], ["1e30", "0", "(1", "failed)", "-", "-"]);
        for says in ["run 1/2: ", "lower train.lr", "error: 1 of 2 runs failed"] {
            assert!(said.err.contains(says), "no {says} in {}", said.err);
        }
        assert_eq!(runs(&w, "new"), ["train.lr=0.01,seed=0", "train.lr=1e30,seed=0.part"]);
    }
    let said = w.run("sweep adding.toml --grid train.lr=0.01 --out new --set model.cell=lstm");
    assert!(said.code == Some(1) && said.err.contains("differs in model.cell"), "{said:?}");
}
