//! Runs that are killed, stopped or find their checkpoints damaged, and go on.

use crate::cli::Workshop;
use rnn_zoo::artifact::NamedTensor;
use rnn_zoo::backend::{self, BackendKind};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// State carried over windows, dropout, a moving average, early stopping: all that a checkpoint has to hold.
const CONFIG: &str = r#"
name = "killed"
model = { mode = "many-to-many", cell = "lstm", d_hidden = 12, d_embedding = 6, n_layers = 2, dropout = 0.2, variational = true }
data = { format = "text", train = "long.txt", window = 5 }
train = { epochs = 4, batch_size = 4, carry_state = true, checkpoint_steps = 3, patience = 3, average = 0.9, lr = 0.01, schedule = "cosine" }
"#;

/// Noise, spellings, buckets: what is drawn of the inputs.
const WORDS: &str = r#"
name = "words"
model = { mode = "many-to-one", cell = "gru", d_hidden = 8, d_embedding = 6, bidirectional = true, head_dropout = 0.3 }
data = { format = "labelled-text", train = "topics.txt" }
train = { epochs = 4, batch_size = 4, checkpoint_steps = 2, word_dropout = 0.2, optimizer = "rmsprop", momentum = 0.5, lr = 0.001 }
"#;

fn workshop() -> Workshop {
    let w = Workshop::new();
    w.write("long.txt", "the cat sat on the mat, and the dog ran after it.\n".repeat(12));
    let line = |k: usize| format!("{} {}\n", ["a", "b"][k % 2], ["one two", "two three one", "x"][k % 3]);
    w.write("topics.txt", (0..60).map(line).collect::<String>());
    w.write("killed.toml", CONFIG);
    w.write("words.toml", WORDS);
    w
}

/// The weights of a run's model, bit by bit.
fn bits(run: &Path) -> Vec<(String, Vec<u32>)> {
    let device = backend::select(Some("ndarray"), None).unwrap();
    let model = rnn_zoo::predict::load(run, &device).unwrap();
    let bits = |tensor: &NamedTensor| tensor.data.iter::<f32>().map(f32::to_bits).collect();
    model.weights().iter().map(|tensor| (tensor.name.clone(), bits(tensor))).collect()
}

/// Whether bits are promised: on the CPU's own backend.
fn promised() -> bool {
    backend::compiled().contains(&BackendKind::Ndarray)
}

/// Starts a training and kills it after some time; whether it had ended before.
fn killed(w: &Workshop, arguments: &[&str], after: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rnn-zoo"))
        .args(arguments)
        .args(["--quiet", "--backend", "ndarray"])
        .current_dir(w.path(""))
        .stdout(Stdio::null())
        .stderr(fs::File::create(w.path("stderr")).unwrap())
        .spawn()
        .unwrap();
    sleep(after);
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    if let Some(status) = ended {
        assert!(status.success(), "{arguments:?}: {}", w.read("stderr"));
    }
    ended.is_some()
}

/// Kills at moments that a run's seed draws, until the run ends; how often it was killed.
fn killed_until_done(w: &Workshop, config: &str, run: &str, mut wait: impl FnMut() -> u64) -> usize {
    if killed(w, &["train", config, "--run", run], Duration::from_millis(wait())) {
        return 0;
    }
    let mut kills = 1;
    loop {
        // Killed before it wrote its configuration, there is no run to go on with.
        if !w.path(run).join("config.toml").exists() {
            fs::remove_dir_all(w.path(run)).ok();
            if killed(w, &["train", config, "--run", run], Duration::from_millis(wait())) {
                return kills;
            }
        } else if w.path(run).join("model").exists()
            || killed(w, &["train", "--resume", run], Duration::from_millis(wait()))
        {
            return kills;
        }
        kills += 1;
        assert!(kills < 1000, "it never ends");
    }
}

#[test]
fn a_killed_run_ends_as_one_that_was_not() {
    if !promised() {
        return; // Other backends promise no bits.
    }
    let w = workshop();
    // `RNN_ZOO_KILLS=100` kills that often.
    let wanted: usize = std::env::var("RNN_ZOO_KILLS").map_or(6, |n| n.parse().expect("a number"));
    for (name, config) in [("killed", "killed.toml"), ("words", "words.toml")] {
        let started = Instant::now();
        w.run(&format!("train {config} --run {name}-whole --backend ndarray")).ok();
        // At any moment of as long as it took, whatever this machine and this build need to begin.
        let took = started.elapsed().as_millis() as f32;
        let whole = bits(&w.path(&format!("{name}-whole")));
        let mut moments = crate::support::noise(100_000, 3).into_iter();
        let (mut kills, mut k) = (0, 0);
        while kills < wanted {
            let run = format!("{name}-{k}");
            let mut wait = || ((0.05 + 0.45 * (moments.next().unwrap() + 1.0)) * took) as u64;
            kills += killed_until_done(&w, config, &run, &mut wait);
            assert!(bits(&w.path(&run)) == whole, "{run}, killed {kills} times by now");
            k += 1;
            assert!(k < 10 * wanted + 10, "it is done before it can be killed");
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    if !promised() {
        return;
    }
    let w = workshop();
    w.run("train killed.toml --run whole --backend ndarray").ok();
    // As it was before its end.
    fs::remove_dir_all(w.path("whole/model")).unwrap();
    let checkpoints = || {
        let mut names: Vec<u64> = fs::read_dir(w.path("whole/checkpoint"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.strip_prefix("step-").unwrap().parse().unwrap())
            .collect();
        names.sort();
        names
    };
    let [before, last] = checkpoints().try_into().expect("two are kept");
    assert_eq!(last - before, 3);
    let model = format!("whole/checkpoint/step-{last}/model.mpk");
    let mut bytes = fs::read(w.path(&model)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    w.write(&model, &bytes);
    let said = w.run("train --resume whole --backend ndarray");
    said.ok();
    assert!(
        said.err.contains("SHA-256") && said.err.contains("going back to the one before"),
        "{}",
        said.err
    );
    w.run("train killed.toml --run again --backend ndarray").ok();
    assert!(bits(&w.path("whole")) == bits(&w.path("again")));
    for (command, says) in [
        ("train --resume whole", "is finished"),
        ("train --resume nowhere", "no run that could go on"),
        ("train killed.toml --resume whole", "cannot be used with"),
    ] {
        let said = w.run(command);
        assert!(said.code == Some(1) || said.code == Some(2), "{command}");
        assert!(said.err.contains(says), "{command}: {}", said.err);
    }
    // Another configuration, or other data, is not what it began with.
    fs::remove_dir_all(w.path("again/model")).unwrap();
    let config = w.read("again/config.toml");
    w.edit("again/config.toml", "lr = 0.01", "lr = 0.02");
    let said = w.run("train --resume again --backend ndarray");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("config.toml") && said.err.contains("put it back"), "{}", said.err);
    w.write("again/config.toml", config);
    w.write("long.txt", "Another text, of other letters.\n".repeat(20));
    let said = w.run("train --resume again --backend ndarray");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("data has changed"), "{}", said.err);
}

/// Files of another run's checkpoint under a manifest that knows them: burn would take them.
#[test]
fn a_checkpoint_that_cannot_be_is_passed_over() {
    if !promised() {
        return;
    }
    let w = workshop();
    w.run("train killed.toml --run whole --backend ndarray").ok();
    let other = "--set model.d_hidden=9 --set train.batch_size=3 --set train.optimizer=sgd";
    w.run(&format!("train killed.toml --run other {other} --backend ndarray")).ok();
    w.run("train killed.toml --run deeper --set model.n_layers=3 --backend ndarray").ok();
    let steps = |run: &str| -> Vec<PathBuf> {
        let all = fs::read_dir(w.path(run).join("checkpoint")).unwrap().map(|entry| entry.unwrap().path());
        let mut steps: Vec<PathBuf> = all.collect();
        steps.sort_by_key(|path| path.file_name().unwrap().to_str().unwrap()[5..].parse::<u64>().unwrap());
        steps
    };
    // In the middle of an epoch, both of them.
    let (last, foreign) = (steps("whole").pop().unwrap(), steps("other").pop().unwrap());
    let deeper = steps("deeper").pop().unwrap();
    let of_other = |name: &str| fs::read(foreign.join(name)).unwrap();
    let of_deeper = |name: &str| fs::read(deeper.join(name)).unwrap();
    // Its own, with the second parameter's identity another one.
    let renamed = |id: Option<&str>| {
        let bytes = fs::read(last.join("model.mpk")).unwrap();
        let starts: Vec<usize> =
            (0..bytes.len()).filter(|&k| bytes[k..].starts_with(b"\xa2id\xad")).map(|k| k + 3).collect();
        let [first, second] = [starts[0], starts[1]].map(|k| k..k + 14);
        let id = id.map_or(bytes[first].to_vec(), |id| rmp_serde::to_vec(id).unwrap());
        [&bytes[..second.start], &id, &bytes[second.end..]].concat()
    };
    for (k, (name, bytes, says)) in [
        ("state.mpk", of_other("state.mpk"), "cannot be"),
        ("carried.mpk", of_other("carried.mpk"), "its shape is not"),
        ("optimizer.mpk", of_other("optimizer.mpk"), "the model has no parameter"),
        ("model.mpk", of_other("model.mpk"), "another architecture"),
        ("average.mpk", of_other("average.mpk"), "another architecture"),
        ("best.mpk", of_other("best.mpk"), "another architecture"),
        ("model.mpk", of_deeper("model.mpk"), "another architecture"),
        ("best.mpk", of_deeper("best.mpk"), "another architecture"),
        ("model.mpk", renamed(None), "two parameters have one identity"),
        ("model.mpk", renamed(Some("no identity")), "is none"),
        ("model.mpk", renamed(Some(&"a".repeat(48))), "is none"),
    ]
    .into_iter()
    .enumerate()
    {
        let run = format!("bad-{k}");
        let checkpoint = last.file_name().unwrap().to_str().unwrap();
        for step in steps("whole") {
            let to = w.path(&run).join("checkpoint").join(step.file_name().unwrap());
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(step).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        fs::copy(w.path("whole/config.toml"), w.path(&run).join("config.toml")).unwrap();
        let folder = w.path(&run).join("checkpoint").join(checkpoint);
        let manifest = fs::read(folder.join("manifest.json")).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        manifest["files"][name] =
            Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
        let said = w.run(&format!("train --resume {run} --backend ndarray"));
        said.ok();
        let fault = said.err.lines().find(|line| line.contains("going back")).unwrap_or(&said.err);
        assert!(
            fault.contains(name) && fault.contains("is damaged") && fault.contains(says),
            "{name}: {fault}"
        );
        assert!(bits(&w.path(&run)) == bits(&w.path("whole")), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let w = workshop();
    w.edit("killed.toml", "epochs = 4", "epochs = 4000");
    w.edit("killed.toml", "patience = 3", "patience = 0");
    let mut program = Command::new(env!("CARGO_BIN_EXE_rnn-zoo"));
    // Whoever runs the tests may have them ignore Ctrl-C, and what a program was told to ignore it does.
    // SAFETY: the call may be made between fork and exec.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut program, || {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
    let child = program
        .args(["train", "killed.toml", "--run", "run", "--quiet"])
        .current_dir(w.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once it has written a checkpoint it is in its loop.
    for _ in 0..600 {
        if w.path("run/checkpoint").exists() {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    let said = w.run("train --resume run");
    assert!(said.code == Some(1) && said.err.contains("by another process"), "{said:?}");
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("to go on: rnn-zoo train --resume run"), "{said}");
    assert!(!w.path("run/model").exists());
}

/// A disk that takes no file of more than 16 KiB: weights and figures fit, the optimizer's state does not.
#[cfg(unix)]
#[test]
fn a_checkpoint_that_cannot_be_written_ends_nothing() {
    if !promised() {
        return;
    }
    let w = workshop();
    let program = env!("CARGO_BIN_EXE_rnn-zoo");
    let train = |run: &str, before: &str| {
        let line = format!("{before} exec '{program}' train killed.toml --run {run} --backend ndarray");
        let output = Command::new("sh").args(["-c", &line]).current_dir(w.path("")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        said
    };
    assert!(!train("whole", "").contains("no checkpoint"));
    let said = train("full", "ulimit -f 32; trap '' XFSZ;");
    assert!(said.contains("no checkpoint: ") && said.contains("optimizer.mpk"), "{said}");
    assert_eq!(fs::read_dir(w.path("full/checkpoint")).unwrap().count(), 0, "drafts are left");
    assert!(bits(&w.path("full")) == bits(&w.path("whole")));
}
