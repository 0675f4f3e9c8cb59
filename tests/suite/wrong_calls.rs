//! Wrong calls of every sub-command: each is refused with its exit code and one line that says what is wrong and what to
//! do; nothing is on stdout, and no file is there, changed or gone that was not before.

use crate::cli::{Workshop, f32s, safetensors};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// What the call is an example of, its arguments, its exit code, and what it must say. With exit code 1 the line of the
/// error says it; with 2, that of the parser of arguments, any line, as it lists what is missing or possible below.
type Row = (&'static str, &'static str, i32, &'static [&'static str]);

const GONE: &str = "(os error 2); check the path";

const PAIRS: &str = r#"
name = "pairs"
model = { mode = "encoder-decoder", cell = "gru", d_hidden = 4, d_embedding = 3, attention = "dot", max_steps = 8 }
data = { format = "pairs", train = "pairs.tsv", pieces = 24 }
train = { epochs = 1, batch_size = 8 }
"#;
const INTENTS: &str = r#"
name = "intents"
data = { format = "intent-slots", train = "intents.tsv" }
[model]
mode = "multi-task"
cell = "gru"
d_hidden = 4
d_embedding = 3
[[model.tasks]]
name = "intent"
mode = "many-to-one"
pooling = "max"
loss = "cross-entropy"
weight = 1.0
trains = ["all"]
[[model.tasks]]
name = "slots"
mode = "many-to-many"
loss = "cross-entropy"
weight = 1.0
trains = ["all"]
"#;
const CLIP: &str = r#"
name = "clip"
model = { mode = "many-to-one", cell = "gru", d_hidden = 4, pooling = "mean" }
data = { format = "wav", train = "clips", mels = 8 }
"#;
const STACK: &str = r#"
name = "stack"
model = { mode = "many-to-many", cell = "rnn", d_hidden = 2 }
data = { format = "program" }
"#;

fn copy(w: &Workshop, from: &str, to: &str) {
    for (name, bytes) in w.files() {
        if let Some(rest) = name.strip_prefix(from).and_then(|rest| rest.strip_prefix('/')) {
            w.write(&format!("{to}/{rest}"), bytes);
        }
    }
}

/// What the rows name besides what every workshop has.
fn prepare(w: &Workshop) {
    w.write("empty", "");
    w.write("latin", b"name = \"caf\xe9\"\n");
    w.write("folder/x", "");
    w.write("syntax.toml", "name \"x\"\n");
    // Where `train` without --run makes its folder.
    w.write("runs", "");

    w.write("blank.tsv", "\n\n");
    w.write("blank.txt", "abc\n\nabc\n");
    w.write("label.txt", ":hour When?\n");
    w.write("one.tsv", "one\tun\ntwo\n");
    w.write("short.en", "one\ntwo\n");
    w.write("short.fr", "un\n");
    w.write("hole.en", "one\n\n");
    w.write("hole.fr", "un\ndeux\n");
    w.write("columns.tsv", "play\tplay it\n");
    w.write("tags3.tsv", "play\tplay it\tO\n");
    w.write("intentless.tsv", "\tplay it\tO O\n");
    w.write("cells.csv", "day,x,y\nd,1,2\nd,1\n");
    w.write("blank.csv", "day,x,y\nd,1,2\n\nd,3,4\n");
    w.write("head.csv", "day,x,y\n");
    w.write("twice.csv", "x,x\n1,2\n");
    w.write("bare.csv", "1,2\n3,4\n");
    w.write("nan.csv", "day,x,y\nd,1,nan\n");
    w.write("clips/a_1.wav", "RIFF, and no sound");
    w.write("cut.wav", b"RIFF\x24\x00\x00\x00WAVE");
    w.write("clips.tar.gz", "not packed");
    w.write("clip.toml", CLIP);
    w.write("intents.toml", INTENTS);
    w.write("intents.tsv", "play\tplay a song\tO O B-song\nstop\tstop it\tO O\n".repeat(12));

    w.write("pairs.toml", PAIRS);
    w.write("pairs.tsv", "go on\tva\nstop it\tfin\n".repeat(12));
    w.run("train pairs.toml --run pairs").ok();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/spoken-digit");
    for entry in fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        w.write(&format!("models/spoken-digit/{name}"), fs::read(&path).unwrap());
    }

    copy(w, "tiny/model", "recordless");
    w.remove("recordless/record.mpk");
    copy(w, "tiny/model", "hollow");
    w.write("hollow/record.mpk", "");
    copy(w, "tiny/model", "changed");
    w.write("changed/config.toml", w.read("tiny/model/config.toml") + "# one more line\n");
    copy(w, "tiny/model", "zoo/torn");
    w.write("zoo/torn/manifest.json", "{");

    copy(w, "tiny", "damaged");
    w.write("damaged/metrics.csv", w.read("tiny/metrics.csv") + "3,x\n");
    w.write("modelless/config.toml", "name = \"x\"\n");
    w.write("sweep/sweep.csv", "");
    // As a run is that was killed after its last step.
    w.run("train adding.toml --run stopped --set train.checkpoint_steps=2 --set train.epochs=1").ok();
    fs::remove_dir_all(w.path("stopped/model")).unwrap();
    copy(w, "stopped", "other");
    w.edit("other/config.toml", "lr = 0.001", "lr = 0.5");
    copy(w, "stopped", "unread");
    for name in w.files().into_keys().filter(|name| name.starts_with("unread/checkpoint/")) {
        w.write(&name, "x");
    }

    w.write("stack.toml", STACK);
    let tensors = [
        f32s("rnn.weight_ih_l0", &[2, 1], &[0.1; 2]),
        f32s("rnn.weight_hh_l0", &[2, 2], &[0.1; 4]),
        f32s("rnn.bias_ih_l0", &[2], &[0.1; 2]),
        f32s("rnn.bias_hh_l0", &[2], &[0.1; 2]),
        f32s("fc.weight", &[1, 2], &[0.1; 2]),
        f32s("fc.bias", &[1], &[0.1]),
        f32s("norm.weight", &[2], &[1.0; 2]),
    ];
    w.write("more", safetensors(&tensors));
    w.write("good", safetensors(&tensors[..6]));
    w.write("fewer", safetensors(&tensors[..5]));
    w.write("cut", &safetensors(&tensors)[..40]);
    w.write("x", safetensors(&[f32s("x", &[1, 1, 2], &[0.5; 2])]));
}

/// A workshop with what the rows name; it is made once, and copied.
fn workshop() -> Workshop {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    let files = FILES.get_or_init(|| {
        let w = Workshop::of_files();
        prepare(&w);
        w.files()
    });
    let w = Workshop::of_files();
    files.iter().for_each(|(name, bytes)| w.write(name, bytes));
    w
}

/// That every call is refused as its row says.
#[track_caller]
fn refused(rows: &[Row]) {
    let mut w = workshop();
    let before = w.files();
    let mut wrong = Vec::new();
    for (name, call, code, says) in rows {
        let said = w.run(call);
        let mut faults = Vec::new();
        if said.code != Some(*code) {
            faults.push(format!("exit code {:?}, not {code}", said.code));
        }
        let errors: Vec<&str> = said.err.lines().filter(|line| line.starts_with("error:")).collect();
        if errors.len() != 1 {
            faults.push(format!("{} lines are errors", errors.len()));
        }
        let text = if *code == 1 { errors.concat() } else { said.err.clone() };
        let points_to_help: &[&str] = if *code == 2 { &["--help"] } else { &[] };
        let missing = says.iter().chain(points_to_help).filter(|part| !text.contains(**part));
        faults.extend(missing.map(|part| format!("no `{part}`")));
        let never = ["panicked", "RUST_BACKTRACE"].into_iter().filter(|part| said.err.contains(*part));
        faults.extend(never.map(|part| format!("there is `{part}`")));
        if !said.out.is_empty() {
            faults.push(format!("on stdout: {:?}", said.out));
        }
        let after = w.files();
        if after != before {
            let is_changed = |name: &&String| before.get(*name) != after.get(*name);
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).filter(is_changed).collect();
            faults.push(format!("files that are new, changed or gone: {names:?}"));
            // The next call starts from what was there.
            w = workshop();
        }
        if !faults.is_empty() {
            wrong.push(format!("{name}: {call}\n  {}\n  {}", faults.join("\n  "), said.err.trim_end()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} calls:\n{}", wrong.len(), rows.len(), wrong.join("\n\n"));
}

const TABLES: [&[Row]; 13] =
    [PROGRAM, TRAIN, SET, DATA, RESUME, SWEEP, REPORT, EVAL, PREDICT, LANGUAGE, EXPORT, IMPORT, FOLDERS];

const PROGRAM: &[Row] = &[
    ("no sub-command of this name", "nonsense", 2, &["unrecognized subcommand 'nonsense'"]),
    ("a sub-command's near name", "trian tiny.toml", 2, &["similar subcommand exists: 'train'"]),
    ("no option of this name", "--nonsense", 2, &["unexpected argument '--nonsense'"]),
    ("help of what is not there", "help nonsense", 2, &["unrecognized subcommand 'nonsense'"]),
    ("bench: no such case", "bench --only everything", 2, &["'everything'", "layer, stream, lm, parts"]),
    ("bench: no such cell", "bench --cell tanh", 2, &["'tanh'", "rnn, gru, lstm"]),
    ("bench: shapes count from 1", "bench --shape 0", 2, &["'0'", "1..=5"]),
    ("bench: no such shape", "bench --shape 6", 2, &["'6'", "1..=5"]),
    ("bench: nothing to time", "bench --reps 0", 2, &["'0' for '--reps <REPS>'"]),
    ("bench: a negative number", "bench --reps -1", 2, &["'-1'"]),
    ("bench: no thread", "bench --threads 0", 2, &["'0' for '--threads <THREADS>'"]),
    ("bench: no such rival", "bench --against torch", 2, &["'torch'", "reference, burn-nn"]),
    ("bench: an option of others", "bench --format json", 2, &["'--format'"]),
    ("bench: an argument", "bench tiny", 2, &["'tiny'"]),
    ("bench: no such backend", "bench --backend cuda", 1, &["unknown backend `cuda`", "ndarray, wgpu, tch"]),
    ("bench: no such device", "bench --device gpu:99", 1, &["there is no gpu:99 here; there is: "]),
];

const TRAIN: &[Row] = &[
    ("no configuration", "train", 2, &["<CONFIG>"]),
    ("an unknown option", "train tiny.toml --epochs 3", 2, &["'--epochs'"]),
    ("two configurations", "train tiny.toml text.toml", 2, &["'text.toml'"]),
    ("an option without its value", "train tiny.toml --run", 2, &["a value is required for '--run <RUN>'"]),
    ("an empty value", "train tiny.toml --run=", 2, &["a value is required for '--run <RUN>'"]),
    ("no seed", "train tiny.toml --seeds 0", 2, &["'0'", "1..=1000"]),
    ("too many seeds", "train tiny.toml --seeds 1001", 2, &["'1001'", "1..=1000"]),
    ("a word for a number", "train tiny.toml --seeds two", 2, &["'two' for '--seeds <SEEDS>'"]),
    ("a negative interval", "train tiny.toml --progress-seconds -1", 2, &["'-1'"]),
    ("an unknown way to print", "train tiny.toml --format yaml", 2, &["'yaml'", "text, json"]),
    ("no configuration there", "train gone.toml --run new", 1, &["gone.toml: ", GONE]),
    ("a folder as a configuration", "train folder --run new", 1, &["folder: ", "name a file"]),
    ("an empty configuration", "train empty --run new", 1, &["empty: is empty", "`name`"]),
    ("a configuration not in UTF-8", "train latin --run new", 1, &["latin:1: not UTF-8", "save it as"]),
    ("a damaged configuration", "train syntax.toml --run new", 1, &["syntax.toml:1: not valid TOML"]),
    ("data as a configuration", "train tiny.ts --run new", 1, &["tiny.ts:1: not valid TOML"]),
    ("a record as a configuration", "train tiny/model/record.mpk --run new", 1, &["record.mpk:1: not UTF-8"]),
    ("a run folder with files", "train tiny.toml --run folder", 1, &["folder: is not empty", "name another"]),
    ("a run that was stopped", "train adding.toml --run stopped", 1, &["stopped: is not empty"]),
    ("a file as a run folder", "train tiny.toml --run tiny.ts", 1, &["tiny.ts: ", "name a folder"]),
    ("a run folder in a file", "train tiny.toml --run tiny.ts/x", 1, &["tiny.ts/x: ", "name a folder"]),
    ("a file where runs go", "train tiny.toml", 1, &["runs", "name a folder"]),
    ("no such backend", "train tiny.toml --run new --backend torch", 1, &["unknown backend `torch`", "tch"]),
    ("no such device", "train tiny.toml --run new --device gpu:99", 1, &["no gpu:99 here; there is: "]),
    (
        "seeds beyond the largest",
        "train tiny.toml --run new --seeds 2 --set train.seed=18446744073709551615",
        1,
        &["`train.seed`: is too large for 2 seeds: lower it"],
    ),
];

const SET: &[Row] = &[
    ("--set without its value", "train tiny.toml --set", 2, &["a value is required for '--set"]),
    ("no `=`", "train tiny.toml --run new --set train.lr", 1, &["has no `=`", "--set train.epochs=3"]),
    ("no key", "train tiny.toml --run new --set =", 1, &["has an empty key", "--set train.epochs=3"]),
    (
        "a near name in [train]",
        "train tiny.toml --run new --set train.epoch=3",
        1,
        &["`--set train.epoch`: unknown key `epoch` in [train]: did you mean `epochs`?"],
    ),
    (
        "a near name in [data]",
        "train tiny.toml --run new --set data.colums=x",
        1,
        &["`--set data.colums`", "did you mean `columns`?"],
    ),
    (
        "a near name of a table",
        "train tiny.toml --run new --set modl.d_hidden=3",
        1,
        &["unknown key `modl` at the top level: did you mean `model`?"],
    ),
    (
        "a name like no other",
        "train tiny.toml --run new --set train.quiet=true",
        1,
        &["unknown key `quiet` in [train]: accepted here: epochs, "],
    ),
    (
        "a key under a number",
        "train tiny.toml --run new --set train.epochs.more=3",
        1,
        &["`train.epochs` is of type integer, not a table"],
    ),
    (
        "a float for a whole number",
        "train tiny.toml --run new --set train.epochs=3.0",
        1,
        &["`--set train.epochs`: expected a whole number, 0 or more, found floating point `3.0`"],
    ),
    (
        "nothing for a number",
        "train tiny.toml --run new --set train.epochs=",
        1,
        &["`--set train.epochs`: expected a whole number", "\"\""],
    ),
    (
        "an array for a number",
        "train tiny.toml --run new --set train.epochs=[3]",
        1,
        &["`--set train.epochs`: expected a whole number", "found sequence"],
    ),
    (
        "a word for a number",
        "train tiny.toml --run new --set train.lr=fast",
        1,
        &["`--set train.lr`: expected a number, found string \"fast\""],
    ),
    (
        "a word for true or false",
        "train tiny.toml --run new --set train.half=yes",
        1,
        &["`--set train.half`: expected true or false", "\"yes\""],
    ),
    (
        "a number for true or false",
        "train tiny.toml --run new --set model.bidirectional=1",
        1,
        &["`--set model.bidirectional`: expected true or false"],
    ),
    (
        "a number for a table",
        "train tiny.toml --run new --set model=3",
        1,
        &["`--set model`: expected a table"],
    ),
    (
        "a string for an array",
        "train stream.toml --run new --set data.columns=x",
        1,
        &["`--set data.columns`: expected an array"],
    ),
    (
        "a near value",
        "train tiny.toml --run new --set train.schedule=cosin",
        1,
        &["`cosin`: did you mean `cosine`? (one of: constant, "],
    ),
    (
        "a value like no other",
        "train tiny.toml --run new --set train.optimizer=lbfgs",
        1,
        &["unknown value `lbfgs` (one of: adamw, adam, sgd, rmsprop)"],
    ),
    (
        "no format of data",
        "train tiny.toml --run new --set data.format=jpg",
        1,
        &["`--set data.format`: unknown value `jpg` (one of: ts, "],
    ),
    (
        "no epoch",
        "train tiny.toml --run new --set train.epochs=0",
        1,
        &["`train.epochs`: must be 1 to 1000000"],
    ),
    (
        "an empty batch",
        "train tiny.toml --run new --set train.batch_size=0",
        1,
        &["`train.batch_size`: must be 1"],
    ),
    (
        "a learning rate of 0",
        "train tiny.toml --run new --set train.lr=0",
        1,
        &["`train.lr`", "as in lr = 0.001"],
    ),
    (
        "a negative clip",
        "train tiny.toml --run new --set train.clip=-1",
        1,
        &["`train.clip`", "0 or more, not -1"],
    ),
    (
        "an average of 1",
        "train tiny.toml --run new --set train.average=1",
        1,
        &["`train.average`", "less than 1"],
    ),
    (
        "65 layers",
        "train tiny.toml --run new --set model.n_layers=65",
        1,
        &["`model.n_layers`: must be 1 to 64"],
    ),
    (
        "more validation than there is",
        "train tiny.toml --run new --set data.valid_fraction=1.5",
        1,
        &["`data.valid_fraction`: must be 0 or more and less than 1, not 1.5"],
    ),
    (
        "no validation",
        "train tiny.toml --run new --set data.valid_fraction=0",
        1,
        &["`data.valid_fraction`", "raise it, or name a file in `data.valid`"],
    ),
    (
        "a warm-up of unknown length",
        "train tiny.toml --run new --set train.schedule=noam",
        1,
        &["`train.warmup_steps`", "as in warmup_steps = 400"],
    ),
    (
        "a key of another cell",
        "train tiny.toml --run new --set model.hidden_activation=relu",
        1,
        &["`model.hidden_activation`: only cell = \"rnn\" has it", "leave it out"],
    ),
    (
        "a key of another mode",
        "train tiny.toml --run new --set model.attention=dot",
        1,
        &["`model.attention`", "leave it out"],
    ),
    (
        "a key of other data",
        "train tiny.toml --run new --set data.columns=[\"x\"]",
        1,
        &["`data.columns`: has no effect on `ts` data, only on csv: leave it out"],
    ),
    (
        "tasks of nothing",
        "train intents.toml --run new --set model.tasks=[]",
        1,
        &["`model.tasks`", "write a [[model.tasks]]"],
    ),
    (
        "a capital in the name",
        "train tiny.toml --run new --set name=Tiny",
        1,
        &["`name`: becomes a folder's name", "lowercase letters"],
    ),
];

const DATA: &[Row] = &[
    ("no file there", "train tiny.toml --run new --set data.train=gone.ts", 1, &["gone.ts: ", GONE]),
    ("no name of a file", "train tiny.toml --run new --set data.train=", 1, &["`data.train`"]),
    (
        "a folder as a file",
        "train text.toml --run new --set data.train=folder",
        1,
        &["folder: ", "name a file"],
    ),
    (
        "an empty file",
        "train tags.toml --run new --set data.train=empty",
        1,
        &["empty: is empty: name a file"],
    ),
    ("text not in UTF-8", "train stream.toml --run new --set data.train=latin", 1, &["latin:1: not UTF-8"]),
    ("no test file there", "train tiny.toml --run new --set data.test=gone.ts", 1, &["gone.ts: ", GONE]),
    ("a text as .ts", "train tiny.toml --run new --set data.train=text.txt", 1, &["text.txt:1: ", "`@data`"]),
    (
        "blank lines as labelled text",
        "train topic.toml --run new --set data.train=blank.tsv",
        1,
        &["blank.tsv: has blank lines only", "name a file that has data"],
    ),
    (
        "blank lines as tagged text",
        "train tags.toml --run new --set data.train=blank.tsv",
        1,
        &["blank.tsv: has blank lines only", "name a file that has data"],
    ),
    (
        "no label",
        "train topic.toml --run new --set data.train=label.txt",
        1,
        &["label.txt:1: the label is missing"],
    ),
    ("an empty window", "train text.toml --run new --set data.window=0", 1, &["`data.window`: must be 1 to"]),
    (
        "a count of characters",
        "train text.toml --run new --set data.min_count=2",
        1,
        &["`data.min_count`: only words have it", "unit = \"word\""],
    ),
    (
        "a cell too few",
        "train stream.toml --run new --set data.train=cells.csv",
        1,
        &["cells.csv:3: 2 cells"],
    ),
    (
        "a blank row",
        "train stream.toml --run new --set data.train=blank.csv",
        1,
        &["blank.csv:3: the line is blank: remove it or fill it in"],
    ),
    (
        "no row",
        "train stream.toml --run new --set data.train=head.csv",
        1,
        &["head.csv: has no row under its header"],
    ),
    (
        "a column twice",
        "train stream.toml --run new --set data.train=twice.csv",
        1,
        &["twice.csv:1: column `x`"],
    ),
    (
        "no header",
        "train stream.toml --run new --set data.train=bare.csv",
        1,
        &["bare.csv:1: ", "name the columns"],
    ),
    (
        "a missing value",
        "train stream.toml --run new --set data.train=nan.csv",
        1,
        &["nan.csv:2: column `y`: the value is missing (`nan`): fill it in or leave it out"],
    ),
    (
        "a window as long as all",
        "train stream.toml --run new --set data.window=61",
        1,
        &["stream.csv: ", "lower `data.window`"],
    ),
    (
        "too few columns",
        "train intents.toml --run new --set data.train=columns.tsv",
        1,
        &["columns.tsv:1: has 2 columns"],
    ),
    (
        "a tag too few",
        "train intents.toml --run new --set data.train=tags3.tsv",
        1,
        &["tags3.tsv:1: has 2 words and 1 tags: write one tag a word"],
    ),
    (
        "no intent",
        "train intents.toml --run new --set data.train=intentless.tsv",
        1,
        &["intentless.tsv:1: the intent"],
    ),
    (
        "half a pair",
        "train pairs.toml --run new --set data.train=one.tsv",
        1,
        &["one.tsv:2: there is no text in column 1", "separate columns with tabs"],
    ),
    (
        "a line too few",
        "train pairs.toml --run new --set data.train=short.en --set data.languages=[\"en\",\"fr\"]",
        1,
        &["short.fr: has 1 lines, short.en has 2"],
    ),
    (
        "an empty line of a pair",
        "train pairs.toml --run new --set data.train=hole.en --set data.languages=[\"en\",\"fr\"]",
        1,
        &["hole.en:2: the line is empty: leave it out of both files"],
    ),
    (
        "a language that no file is named after",
        "train pairs.toml --run new --set data.train=short.en --set data.languages=[\"de\",\"fr\"]",
        1,
        &["short.en: the name has no part `de`", "name it as in train.de.gz"],
    ),
    (
        "no file of the other language",
        "train pairs.toml --run new --set data.train=short.en --set data.languages=[\"en\",\"de\"]",
        1,
        &["short.de: ", GONE],
    ),
    (
        "no sound in a .wav file",
        "train clip.toml --run new",
        1,
        &["clips/a_1.wav: is not a wav file", "8, 16, 24"],
    ),
    (
        "a folder without .wav files",
        "train clip.toml --run new --set data.train=folder",
        1,
        &["folder: has no .wav"],
    ),
    (
        "a damaged .tar.gz",
        "train clip.toml --run new --set data.train=clips.tar.gz",
        1,
        &["clips.tar.gz: is not a whole .tar.gz", "pack or copy it again"],
    ),
    ("no mel band", "train clip.toml --run new --set data.mels=0", 1, &["`data.mels`: must be 1 to 1024"]),
    (
        "an adding problem of a step",
        "train adding.toml --run new --set data.steps=1",
        1,
        &["`data.steps`", "write 2"],
    ),
];

const RESUME: &[Row] = &[
    ("no run named", "train --resume", 2, &["a value is required for '--resume <RUN>'"]),
    ("a configuration too", "train tiny.toml --resume stopped", 2, &["cannot be used with '--resume <RUN>'"]),
    ("another key too", "train --resume stopped --set train.epochs=3", 2, &["cannot be used with '--set"]),
    ("another folder too", "train --resume stopped --run new", 2, &["cannot be used with '--run <RUN>'"]),
    ("several seeds too", "train --resume stopped --seeds 2", 2, &["cannot be used with '--seeds <SEEDS>'"]),
    ("no folder there", "train --resume gone", 1, &["gone: is no run", "name a run folder"]),
    ("a folder that is no run", "train --resume folder", 1, &["folder: is no run", "name a run folder"]),
    ("a file", "train --resume tiny.toml", 1, &["tiny.toml: is no run", "name a run folder"]),
    (
        "a model folder",
        "train --resume tiny/model",
        1,
        &["tiny/model: is a model folder", "name a run folder"],
    ),
    ("a run that is finished", "train --resume tiny", 1, &["tiny: is finished", "another folder"]),
    (
        "a damaged configuration",
        "train --resume modelless",
        1,
        &["modelless/config.toml:1: missing table [model]"],
    ),
    (
        "another configuration",
        "train --resume other",
        1,
        &["other/config.toml: is not the one", "put it back"],
    ),
    (
        "damaged checkpoints",
        "train --resume unread",
        1,
        &["no checkpoint of unread can be read", "is damaged", "train it again into another folder"],
    ),
    ("no such backend", "train --resume stopped --backend cuda", 1, &["unknown backend `cuda`"]),
];

const SWEEP: &[Row] = &[
    ("nothing at all", "sweep", 2, &["<CONFIG>", "--grid <KEY=V1,V2>"]),
    ("no grid", "sweep adding.toml", 2, &["--grid <KEY=V1,V2>"]),
    ("no configuration", "sweep --grid model.d_hidden=2,3", 2, &["<CONFIG>"]),
    ("no seed", "sweep adding.toml --grid train.epochs=1 --seeds 0", 2, &["'0'", "1..=1000"]),
    ("a way to print", "sweep adding.toml --grid train.epochs=1 --format csv", 2, &["'csv'", "text, json"]),
    (
        "no `=`",
        "sweep adding.toml --out new --grid model.cell",
        1,
        &["has no `=`", "--grid model.d_hidden=64,128"],
    ),
    ("no key", "sweep adding.toml --out new --grid =2,3", 1, &["`--grid =2,3`: has an empty key"]),
    (
        "no value",
        "sweep adding.toml --out new --grid model.cell=",
        1,
        &["`--grid model.cell=`: has an empty value"],
    ),
    ("an empty value", "sweep adding.toml --out new --grid model.d_hidden=2,,3", 1, &["has an empty value"]),
    ("a value twice", "sweep adding.toml --out new --grid model.d_hidden=2,2", 1, &["has a value twice"]),
    (
        "a near name of a key",
        "sweep adding.toml --out new --grid model.hidden=2,3",
        1,
        &["`--grid model.hidden`: unknown key `hidden` in [model]: did you mean `d_hidden`?"],
    ),
    (
        "a key outside a table",
        "sweep adding.toml --out new --grid hidden=2,3",
        1,
        &["`--grid hidden`: unknown key `hidden` at the top level", "model, data, train"],
    ),
    (
        "a near name of a value",
        "sweep adding.toml --out new --grid model.cell=rnn,lsmt",
        1,
        &["`--grid model.cell`: unknown value `lsmt`: did you mean `lstm`?"],
    ),
    (
        "a value out of range",
        "sweep adding.toml --out new --grid model.d_hidden=0,2",
        1,
        &["`model.d_hidden`: must be"],
    ),
    (
        "a near name after --set",
        "sweep adding.toml --out new --grid train.lr=0.1 --set train.epohcs=2",
        1,
        &["`--set train.epohcs`", "did you mean `epochs`?"],
    ),
    ("no configuration there", "sweep gone.toml --out new --grid train.epochs=1", 1, &["gone.toml: ", GONE]),
    (
        "a folder as a configuration",
        "sweep folder --out new --grid train.epochs=1",
        1,
        &["folder: ", "name a file"],
    ),
    ("an empty configuration", "sweep empty --out new --grid train.epochs=1", 1, &["empty: is empty"]),
    (
        "a configuration not in UTF-8",
        "sweep latin --out new --grid train.epochs=1",
        1,
        &["latin:1: not UTF-8"],
    ),
    (
        "a damaged configuration",
        "sweep syntax.toml --out new --grid train.epochs=1",
        1,
        &["syntax.toml:1: not valid"],
    ),
    (
        "a folder of other files",
        "sweep adding.toml --out folder --grid train.lr=1",
        1,
        &["no sweep's folder", "--out"],
    ),
    (
        "a run's folder",
        "sweep adding.toml --out tiny --grid train.lr=1",
        1,
        &["tiny: has runs of another", "--out"],
    ),
    (
        "a file as its folder",
        "sweep adding.toml --out tiny.ts --grid train.lr=1",
        1,
        &["tiny.ts: ", "name a folder"],
    ),
    (
        "no such backend",
        "sweep adding.toml --out new --grid train.lr=1 --backend cuda",
        1,
        &["unknown backend `cuda`"],
    ),
    (
        "no such device",
        "sweep adding.toml --out new --grid train.lr=1 --device gpu:99",
        1,
        &["there is no gpu:99 here"],
    ),
];

const REPORT: &[Row] = &[
    ("no run", "report", 2, &["<RUN>"]),
    ("an unknown option", "report tiny --html new.html", 2, &["'--html'"]),
    ("a way to print", "report tiny --format xml", 2, &["'xml'", "text, json"]),
    (
        "a page that is there",
        "report tiny --out tiny.ts",
        1,
        &["tiny.ts: exists already", "name another file"],
    ),
    ("a folder as the page", "report tiny --out folder", 1, &["folder: exists already"]),
    (
        "a page in no folder",
        "report tiny --out no/page.html",
        1,
        &["no/page.html: its folder does not exist"],
    ),
    ("no folder there", "report tiny gone", 1, &["gone: is not a folder", "or a run"]),
    ("a file", "report tiny.toml", 1, &["tiny.toml: is not a folder", "or a run"]),
    (
        "a folder that is no run",
        "report tiny folder",
        1,
        &["folder: has no config.toml", "as in runs/speaker"],
    ),
    ("a sweep", "report sweep", 1, &["sweep: is a sweep", "name sweep/*/"]),
    ("damaged epochs", "report damaged", 1, &["damaged/metrics.csv:4: ", "leave this run out"]),
    ("half a configuration", "report modelless", 1, &["modelless/config.toml:1: missing table [model]"]),
    ("a changed model", "report changed", 1, &["changed/config.toml: ", "SHA-256", "rnn-zoo seal"]),
];

const EVAL: &[Row] = &[
    ("no model", "eval", 2, &["<MODEL>"]),
    ("two models", "eval tiny text", 2, &["'text'"]),
    ("an option twice", "eval tiny --data tiny.ts --data text.txt", 2, &["cannot be used multiple times"]),
    ("an empty value", "eval tiny --confusion=", 2, &["a value is required for '--confusion"]),
    ("a way to print", "eval tiny --format yaml", 2, &["'yaml'", "text, json"]),
    ("a model's near name", "eval spoken-digt", 1, &["spoken-digt: is not a folder: name a model folder"]),
    ("a record", "eval tiny/model/record.mpk", 1, &["record.mpk: is not a folder: name a model folder"]),
    ("no record", "eval recordless", 1, &["recordless/record.mpk: ", "(os error 2)"]),
    ("an empty record", "eval hollow", 1, &["hollow/record.mpk: ", "damaged", "copy"]),
    ("no such score", "eval tiny --metric f1", 1, &["no score `f1`: it has accuracy, loss"]),
    (
        "a score that the baseline has not",
        "eval tiny --baseline --metric loss --format json",
        1,
        &["the baseline has no score `loss`: it has accuracy"],
    ),
    ("a folder as data", "eval tiny --data folder", 1, &["folder: ", "name a file"]),
    ("another kind of data", "eval tiny --data stream.csv", 1, &["stream.csv:1: ", "`@data`"]),
    (
        "a text as tagged text",
        "eval tags --data text.txt",
        1,
        &["text.txt:1: ", "separate columns with tabs"],
    ),
    (
        "labels of other classes",
        "eval topic --data text.txt",
        1,
        &["text.txt:1: label `abcab`", "PLACE, TIME"],
    ),
    ("no column of this name", "eval stream --data text.txt", 1, &["text.txt: has no column `x`; it has: "]),
    ("a missing value", "eval stream --data nan.csv", 1, &["nan.csv:2: column `y`", "fill it in"]),
    ("an empty text", "eval text --data empty", 1, &["empty: is empty: name a file"]),
    ("half a pair", "eval pairs --data one.tsv", 1, &["one.tsv:2: ", "separate columns with tabs"]),
    ("no clip", "eval spoken-digit --data folder", 1, &["folder: has no .wav file: name a folder of them"]),
    ("no sound", "eval spoken-digit --data clips", 1, &["clips/a_1.wav: is not a wav file"]),
    ("the data of its configuration", "eval spoken-digit", 1, &["test.tar.gz: ", GONE]),
    (
        "a figure that is there",
        "eval tiny --confusion folder",
        1,
        &["folder: exists already", "name another file"],
    ),
    ("a figure of texts", "eval pairs --confusion new.svg", 1, &["a confusion matrix is of classes"]),
    ("no such device", "eval tiny --device gpu:99", 1, &["there is no gpu:99 here; there is: "]),
];

const PREDICT: &[Row] = &[
    ("nothing at all", "predict", 2, &["<MODEL>", "<INPUT>"]),
    ("an unknown option", "predict tiny 1:1 --top 3", 2, &["'--top'"]),
    ("a negative number of steps", "predict pairs go --steps -1", 2, &["'-1'"]),
    ("a word for a width", "predict pairs go --beam wide", 2, &["'wide' for '--beam <WIDTH>'"]),
    (
        "a word for a penalty",
        "predict pairs go --length-penalty x",
        2,
        &["'x' for '--length-penalty <ALPHA>'"],
    ),
    ("a search over tensors", "predict tiny --input x --output new --beam 2", 2, &["cannot be used with"]),
    ("no model there", "predict gone 1:1", 1, &["gone: is not a folder: name a model folder"]),
    (
        "a folder that is no model",
        "predict folder 1:1",
        1,
        &["folder: has no manifest.json", "name a model folder"],
    ),
    ("no such backend", "predict tiny 1:1 --backend torch", 1, &["unknown backend `torch`"]),
    ("another number of channels", "predict tiny 1:1:1", 1, &["3 channels, the model reads 2", "with `:`"]),
    ("a number beyond 32 bits", "predict tiny 1e999:1", 1, &["channel 1, step 1: `1e999` is not finite"]),
    (
        "a file that is not there",
        "predict tiny gone.ts",
        1,
        &["`gone.ts` is not a number", "no file of that name"],
    ),
    ("another kind of file", "predict tiny tiny.toml", 1, &["tiny.toml:2: ", "`@data`"]),
    ("a file not in UTF-8", "predict tiny latin", 1, &["latin:1: not UTF-8"]),
    ("a folder of an empty file", "predict text folder", 1, &["folder/x: is empty: name a file"]),
    ("a value too many", "predict stream 1,2,3", 1, &["the row has 3 values, the model reads 2"]),
    ("a cell too few", "predict stream cells.csv", 1, &["cells.csv:3: 2 cells, where the header has 3"]),
    ("a blank row", "predict stream blank.csv", 1, &["blank.csv:3: the line is blank"]),
    (
        "a character it does not know",
        "predict text xyz",
        1,
        &["character 'x' is not among the 5", "leave it out"],
    ),
    ("an empty line of characters", "predict text blank.txt", 1, &["blank.txt:2: ", "no step"]),
    ("an empty line of words", "predict tags blank.txt", 1, &["blank.txt:2: ", "no step"]),
    ("an empty line to label", "predict topic blank.txt", 1, &["blank.txt:2: ", "no step"]),
    ("an empty line to translate", "predict pairs blank.txt", 1, &["blank.txt:2: ", "no step"]),
    ("no clip there", "predict spoken-digit gone.wav", 1, &["gone.wav: ", GONE]),
    ("half a clip", "predict spoken-digit cut.wav", 1, &["cut.wav: is not a wav file", "it ends too early"]),
    ("no sound", "predict spoken-digit tiny.ts", 1, &["tiny.ts: is not a wav file", "give a .wav file"]),
    ("a folder without clips", "predict spoken-digit folder", 1, &["folder: has no .wav file"]),
    ("a damaged archive", "predict spoken-digit clips.tar.gz", 1, &["clips.tar.gz: is not a whole .tar.gz"]),
    ("a folder of tensors", "predict tiny --input folder --output new", 1, &["folder: ", "name a file"]),
    ("no tensor", "predict tiny --input empty --output new", 1, &["empty: is not a safetensors file"]),
    (
        "features for tokens",
        "predict text --input x --output new",
        1,
        &["x: the model reads tokens", "i64 [B, T]"],
    ),
    ("tensors that are there", "predict tiny --input x --output folder", 1, &["folder: exists already"]),
    ("no text to write", "predict pairs go --steps 0", 1, &["0 steps cannot be written: give 1 to 1000000"]),
    ("too long a text", "predict pairs go --steps 1000001", 1, &["give 1 to 1000000"]),
    ("a beam of nothing", "predict pairs go --beam 0", 1, &["the beam is 0 wide: give 1 to 1000"]),
    ("too wide a beam", "predict pairs go --beam 100000", 1, &["give 1 to 1000"]),
    (
        "no text to give",
        "predict pairs go --n-best 0",
        1,
        &["0 hypotheses cannot be given", "ask for 1 to 5"],
    ),
    ("more than the beam holds", "predict pairs go --beam 2 --n-best 3", 1, &["ask for 1 to 2, or widen it"]),
    ("a negative penalty", "predict pairs go --length-penalty -1", 1, &["the length penalty is -1: give 0"]),
    (
        "a penalty that is no number",
        "predict pairs go --length-penalty nan",
        1,
        &["the length penalty is NaN"],
    ),
    ("a search for a class", "predict tiny 1:1 --beam 5", 1, &["only an encoder-decoder, or a one-to-many"]),
    (
        "several classes",
        "predict tiny - --n-best 2",
        1,
        &["only an encoder-decoder, or a one-to-many", "leave out --beam"],
    ),
    ("a class that is drawn", "predict tiny 1:1 --seed 1", 1, &["only an encoder-decoder, or a one-to-many"]),
    ("a search that draws", "predict pairs go --beam 2 --seed 1", 2, &["cannot be used with"]),
    ("several that are drawn", "predict pairs go --n-best 2 --top-k 3", 2, &["cannot be used with"]),
    ("tensors that are drawn", "predict tiny --input x --output new --top-p 1", 2, &["cannot be used with"]),
    ("a negative temperature", "predict pairs go --temperature -1", 1, &["the temperature is -1: give"]),
    ("draws from no token", "predict pairs go --top-k 0", 1, &["top-k is 0", "give 1 or more"]),
    ("draws from more than all", "predict pairs go --top-p 2", 1, &["top-p is 2: give a part above 0"]),
    ("attention of a class", "predict tiny 1:1 --attention new.svg", 1, &["only an encoder-decoder model"]),
    ("attention of a folder", "predict pairs tiny --attention new.svg", 1, &["--attention draws one text"]),
    ("attention of stdin", "predict pairs - --attention new.svg", 1, &["--attention draws one text"]),
    (
        "attention of many lines",
        "predict pairs pairs.tsv --attention new.svg",
        1,
        &["--attention draws one text"],
    ),
    ("a figure that is there", "predict pairs go --attention tiny.ts", 1, &["tiny.ts: exists already"]),
    ("a figure in no folder", "predict pairs go --attention no/new.svg", 1, &["its folder does not exist"]),
];

/// What takes a language model: `generate` and `inspect`.
const LANGUAGE: &[Row] = &[
    ("generate: no model", "generate", 2, &["<MODEL>"]),
    ("generate: a prompt without --prompt", "generate text abc", 2, &["'abc'"]),
    ("generate: a prompt of nothing", "generate text --prompt", 2, &["a value is required for '--prompt"]),
    ("generate: a search", "generate text --beam 2", 2, &["'--beam'"]),
    ("generate: a negative length", "generate text --tokens -1", 2, &["'-1'"]),
    ("generate: a word for a length", "generate text --tokens many", 2, &["'many' for '--tokens <TOKENS>'"]),
    ("generate: a length beyond 64 bits", "generate text --tokens 99999999999999999999", 2, &["too large"]),
    ("generate: a word for a number", "generate text --temperature hot", 2, &["'hot' for '--temperature"]),
    ("generate: a word for a part", "generate text --top-p most", 2, &["'most' for '--top-p <TOP_P>'"]),
    ("generate: a negative count", "generate text --top-k -1", 2, &["'-1'"]),
    ("generate: a negative seed", "generate text --seed -1", 2, &["'-1'"]),
    ("generate: too large a seed", "generate text --seed 18446744073709551616", 2, &["number too large"]),
    ("generate: no model there", "generate gone", 1, &["gone: is not a folder: name a model folder"]),
    ("generate: a damaged model", "generate zoo/torn", 1, &["zoo/torn/manifest.json:1: ", "damaged", "copy"]),
    ("generate: a model of classes", "generate topic", 1, &["is not many-to-many; give a language model"]),
    (
        "generate: a model of tags",
        "generate tags",
        1,
        &["writes other tokens than it reads; give a language model"],
    ),
    ("generate: a translator", "generate pairs", 1, &["give a language model"]),
    ("generate: an unknown character", "generate text --prompt xyz", 1, &["the prompt: character 'x'"]),
    ("generate: too long a text", "generate text --tokens 1000001", 1, &["give 1 to 1000000"]),
    (
        "generate: no end of heat",
        "generate text --temperature inf",
        1,
        &["the temperature is inf", "above 0"],
    ),
    ("generate: a negative temperature", "generate text --temperature -0.5", 1, &["the temperature is -0.5"]),
    ("generate: a negative part", "generate text --top-p -0.1", 1, &["top-p is -0.1: give a part above 0"]),
    ("generate: no such device", "generate text --device gpu:99", 1, &["there is no gpu:99 here"]),
    ("inspect: nothing at all", "inspect", 2, &["--text <TEXT>", "<MODEL>"]),
    ("inspect: no text", "inspect text", 2, &["--text <TEXT>"]),
    ("inspect: a text without --text", "inspect text abc", 2, &["'abc'"]),
    ("inspect: a word for a unit", "inspect text --text abc --units x", 2, &["'x' for '--units <UNITS>'"]),
    ("inspect: no unit after `=`", "inspect text --text abc --units=", 2, &["'' for '--units <UNITS>'"]),
    ("inspect: a negative layer", "inspect text --text abc --layer -1", 2, &["'-1'"]),
    ("inspect: a word for a count", "inspect text --text abc --top all", 2, &["'all' for '--top <TOP>'"]),
    ("inspect: a way to print", "inspect text --text abc --format svg", 2, &["'svg'", "text, json"]),
    (
        "inspect: a damaged model",
        "inspect zoo/torn --text abc",
        1,
        &["zoo/torn/manifest.json:1: ", "damaged"],
    ),
    ("inspect: a model of classes", "inspect topic --text abc", 1, &["give a language model"]),
    ("inspect: a translator", "inspect pairs --text go", 1, &["give a language model"]),
    ("inspect: an unknown character", "inspect text --text abx", 1, &["character 'x' is not among the 5"]),
    ("inspect: an empty text", "inspect text --text=", 1, &["no step: give it at least one"]),
    ("inspect: no such unit", "inspect text --text abc --units 99", 1, &["no unit 99 in layer 0: it has 4"]),
    (
        "inspect: a figure that is there",
        "inspect text --text abc --output folder",
        1,
        &["folder: exists already"],
    ),
];

const EXPORT: &[Row] = &[
    ("nothing at all", "export", 2, &["--format <FORMAT>", "<MODEL>"]),
    ("no format", "export tiny", 2, &["--format <FORMAT>"]),
    (
        "no format after --format",
        "export tiny --format",
        2,
        &["a value is required", "mpk, bin, burnpack, json"],
    ),
    (
        "a format that does not exist",
        "export tiny --format tflite",
        2,
        &["'tflite'", "safetensors, pytorch, onnx"],
    ),
    ("a format in capitals", "export tiny --format ONNX", 2, &["'ONNX'", "safetensors, pytorch, onnx"]),
    ("a format's near name", "export tiny --format torch", 2, &["a similar value exists: 'pytorch'"]),
    ("by its other name", "convert tiny --format tflite", 2, &["'tflite'", "safetensors, pytorch, onnx"]),
    ("an unknown option", "export tiny --format onnx --opset 17", 2, &["'--opset'"]),
    ("no model there", "export gone --format mpk", 1, &["gone: is not a folder: name a model folder"]),
    ("no record", "export recordless --format mpk", 1, &["recordless/record.mpk: ", "(os error 2)"]),
    ("an empty record", "export hollow --format onnx", 1, &["hollow/record.mpk: ", "damaged"]),
    (
        "a changed model",
        "export changed --format mpk",
        1,
        &["changed/config.toml: ", "SHA-256", "rnn-zoo seal"],
    ),
    (
        "a folder that is there",
        "export tiny --format onnx --out folder",
        1,
        &["folder: exists already", "another"],
    ),
    (
        "a file that is there",
        "export tiny --format json --out tiny.ts",
        1,
        &["tiny.ts: exists already", "another"],
    ),
    (
        "a folder in a file",
        "export tiny --format mpk --out tiny.ts/x",
        1,
        &["tiny.ts: ", "name another folder"],
    ),
    ("half of PyTorch", "export tiny --format pytorch --half --out new", 1, &["leave out --half"]),
    ("no such backend", "export tiny --format mpk --out new --backend cuda", 1, &["unknown backend `cuda`"]),
];

const IMPORT: &[Row] = &[
    ("nothing at all", "import", 2, &["--config <CONFIG>", "--out <OUT>", "<FILE>"]),
    ("no configuration", "import good --out new", 2, &["--config <CONFIG>"]),
    ("no folder", "import good --config stack.toml", 2, &["--out <OUT>"]),
    (
        "a map without `=`",
        "import good --config stack.toml --out new --map fc",
        2,
        &["write OLD=NEW, as in fc3=head"],
    ),
    (
        "a map of a module without a name",
        "import good --config stack.toml --out new --map =head",
        1,
        &["good: has no module ``", "rnn"],
    ),
    (
        "a map that leaves nothing out",
        "import good --config stack.toml --out new --map norm=",
        1,
        &["good: has no tensor or module `norm` to leave out"],
    ),
    ("no file there", "import gone --config stack.toml --out new", 1, &["gone: ", GONE]),
    ("a folder as the file", "import folder --config stack.toml --out new", 1, &["folder: ", "name a file"]),
    (
        "an empty file",
        "import empty --config stack.toml --out new",
        1,
        &["empty: it is not safetensors", "save_file"],
    ),
    (
        "a cut file",
        "import cut --config stack.toml --out new",
        1,
        &["cut: it is not safetensors", "save_file"],
    ),
    (
        "a record as the file",
        "import tiny/model/record.mpk --config stack.toml --out new",
        1,
        &["record.mpk: it is not"],
    ),
    ("no configuration there", "import good --config gone.toml --out new", 1, &["gone.toml: ", GONE]),
    ("a folder as a configuration", "import good --config folder --out new", 1, &["folder: ", "name a file"]),
    (
        "a damaged configuration",
        "import good --config syntax.toml --out new",
        1,
        &["syntax.toml:1: not valid TOML"],
    ),
    (
        "a near name after --set",
        "import good --config stack.toml --out new --set model.n_layer=2",
        1,
        &["`--set model.n_layer`", "did you mean `n_layers`?"],
    ),
    (
        "a folder that is there",
        "import good --config stack.toml --out folder",
        1,
        &["folder: exists already"],
    ),
    (
        "a file that is there",
        "import good --config stack.toml --out tiny.ts",
        1,
        &["tiny.ts: exists already"],
    ),
    (
        "a tensor is missing",
        "import fewer --config stack.toml --out new",
        1,
        &["fewer: ", "missing: head.bias (as fc.bias [1])", "--map OLD=NEW"],
    ),
    (
        "a tensor is left over",
        "import more --config stack.toml --out new",
        1,
        &["more: ", "left over: norm.weight [2]", "--map OLD=NEW"],
    ),
    (
        "another size",
        "import good --config stack.toml --out new --set model.d_hidden=3",
        1,
        &["good: ", "of another shape: rnn.weight_ih_l0 is [2, 1]", "takes [3, D]"],
    ),
    (
        "another number of layers",
        "import good --config stack.toml --out new --set model.n_layers=2",
        1,
        &["good: ", "missing: stack.layers.1.weight_ih (as rnn.weight_ih_l1 [2, 2])"],
    ),
    (
        "a map that matches nothing",
        "import good --config stack.toml --out new --map fc3=head",
        1,
        &["good: has no module `fc3`", "rnn"],
    ),
    (
        "a map to what the model has not",
        "import good --config stack.toml --out new --map fc=tail",
        1,
        &["good: --map fc=tail: the model has no tail", "stack, head"],
    ),
    (
        "two maps to the same",
        "import good --config stack.toml --out new --map fc=head --map rnn=head",
        1,
        &["good: --map rnn=head: head is mapped already"],
    ),
    ("no schema there", "import good --config stack.toml --out new --schema gone", 1, &["gone: ", GONE]),
    (
        "an empty schema",
        "import good --config stack.toml --out new --schema empty",
        1,
        &["empty:1: ", "damaged"],
    ),
    (
        "a configuration as a schema",
        "import good --config stack.toml --out new --schema tiny.toml",
        1,
        &["tiny.toml:2: ", "damaged"],
    ),
    (
        "another model's schema",
        "import good --config stack.toml --out new --schema tiny",
        1,
        &["good: does not hold the model", "takes [2, 2]"],
    ),
    (
        "the configuration's data",
        "import good --config tiny.toml --out new --set data.train=gone.ts",
        1,
        &["gone.ts: ", GONE],
    ),
    (
        "no such backend",
        "import good --config stack.toml --out new --backend jax",
        1,
        &["unknown backend `jax`"],
    ),
];

/// What takes folders and little else: `info`, `list` and `seal`.
const FOLDERS: &[Row] = &[
    ("info: no model", "info", 2, &["<MODEL>"]),
    ("info: two models", "info tiny text", 2, &["'text'"]),
    ("info: a way to print", "info tiny --format toml", 2, &["'toml'", "text, json"]),
    ("info: no model there", "info gone", 1, &["gone: is not a folder: name a model folder"]),
    ("info: a file", "info tiny.toml", 1, &["tiny.toml: is not a folder: name a model folder"]),
    ("info: no model's folder", "info folder", 1, &["folder: has no manifest.json", "name a model folder"]),
    ("info: a run that is not finished", "info stopped", 1, &["stopped: has no manifest.json"]),
    ("info: no record", "info recordless", 1, &["recordless/record.mpk: ", "(os error 2)"]),
    ("info: an empty record", "info hollow", 1, &["hollow/record.mpk: ", "damaged"]),
    ("info: a changed model", "info changed", 1, &["changed/config.toml: ", "SHA-256", "rnn-zoo seal"]),
    ("info: no such backend", "info tiny --backend jax", 1, &["unknown backend `jax`", "ndarray, wgpu, tch"]),
    ("list: an argument", "list zoo", 2, &["'zoo'"]),
    ("list: no folder after --models", "list --models", 2, &["a value is required for '--models"]),
    ("list: an option of others", "list --backend ndarray", 2, &["'--backend'"]),
    ("list: no folder there", "list --models gone", 1, &["gone: ", GONE]),
    ("list: a file", "list --models tiny.toml", 1, &["tiny.toml: ", "name a folder"]),
    (
        "list: a folder without models",
        "list --models folder",
        1,
        &["folder: has no model folder", "--models"],
    ),
    ("list: a damaged model", "list --models zoo", 1, &["zoo/torn/manifest.json:1: ", "damaged", "copy"]),
    ("seal: no model", "seal", 2, &["<MODEL>"]),
    ("seal: two models", "seal tiny text", 2, &["'text'"]),
    ("seal: an option of others", "seal tiny --backend ndarray", 2, &["'--backend'"]),
    ("seal: no model there", "seal gone", 1, &["gone: is not a folder: name a model folder"]),
    ("seal: a file", "seal tiny.toml", 1, &["tiny.toml: is not a folder"]),
    ("seal: a run that is not finished", "seal stopped", 1, &["stopped: has no manifest.json"]),
    ("seal: no record", "seal recordless", 1, &["recordless/record.mpk: ", "(os error 2)"]),
    ("seal: a damaged manifest", "seal zoo/torn", 1, &["zoo/torn/manifest.json:1: ", "damaged", "copy"]),
];

#[test]
fn the_program_and_bench() {
    refused(PROGRAM);
}

#[test]
fn train() {
    refused(TRAIN);
}

#[test]
fn train_with_keys() {
    refused(SET);
}

#[test]
fn train_on_data() {
    refused(DATA);
}

#[test]
fn train_resumed() {
    refused(RESUME);
}

#[test]
fn sweep() {
    refused(SWEEP);
}

#[test]
fn report() {
    refused(REPORT);
}

#[test]
fn eval() {
    refused(EVAL);
}

#[test]
fn predict() {
    refused(PREDICT);
}

#[test]
fn generate_and_inspect() {
    refused(LANGUAGE);
}

#[test]
fn export() {
    refused(EXPORT);
}

#[test]
fn import() {
    refused(IMPORT);
}

#[test]
fn info_list_and_seal() {
    refused(FOLDERS);
}

/// Each sub-command has a call that the parser of arguments refuses, and one that it refuses itself.
#[test]
fn no_sub_command_is_left_out() {
    let said = Workshop::of_files().run("--help");
    let lines = said.ok().lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> =
        lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"train") && commands.contains(&"help"), "{}", said.out);
    for command in commands {
        let rows =
            TABLES.iter().copied().flatten().filter(|(_, call, ..)| call.split(' ').next() == Some(command));
        let codes: BTreeSet<i32> = rows.map(|(_, _, code, _)| *code).collect();
        // Nothing but its arguments can be wrong with `help`.
        let expected = if command == "help" { BTreeSet::from([2]) } else { BTreeSet::from([1, 2]) };
        assert_eq!(codes, expected, "exit codes of the wrong calls of {command}");
    }
}
